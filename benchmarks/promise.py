"""How often the promise is broken (never, one hopes) and how often the certificate has to act.

    python -m benchmarks.promise --data ../shared/data --random 200 --views 1000000 --workers 2 --out FILE.json

Views are made as a user makes them, pairs with all that a policy says of pairs, and judged in batches by
adaptaug/promise/checker.py. The work is cut into units: a policy, a kind of source, a size and a way in, all decided
by the unit's number, so that a run may be stopped at any time (Ctrl-C, --minutes) and goes on where it was: --out
holds one line of JSON with the totals so far. Presets see every kind of source in each round; `--random N` adds N
policies with guards on and everything else anywhere the schema accepts, their counts added up, each with the next
kind in each round. `--against` sets the certificate's shares beside those of earlier files: with the --views of one,
all of it is of the same draws. Without --data, on photographs that scikit-image ships.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import adaptaug
from adaptaug.backend.writing import write_atomically
from adaptaug.errors import AdaptAugError
from adaptaug.policy import Policy, preset_names
from benchmarks.judging import FRAME, Seen, gather_sources, see, together
from benchmarks.random_policies import random_policy
from benchmarks.turns import Load, commit, machine, now

# By what comes in: that alone decides who makes the views. A batch with gradients is torch's.
ARRAY, BATCH, TORCH = "array", "uint8 batch", "float batch, torch"
WAYS = {BATCH: 0.75, ARRAY: 0.15, TORCH: 0.10}  # shares of the units
SIZES = {32: (0.80, 64), 96: (0.15, 32), 224: (0.05, 16)}  # a view's side: share of the units, images in one
RANDOM = "random policies"
SAVE_EVERY = 20.0  # seconds


# --- units --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Settings:
    """What decides every unit: a file goes on only with the same."""

    data: str | None
    limit: int
    policies: tuple[str, ...]
    random: int
    seed: int

    def sources(self) -> dict[str, list[np.ndarray]]:
        return gather_sources(self.data, self.limit)


class Unit(NamedTuple):
    number: int
    policy: str | int  # a preset's name or a file, or a random policy's seed
    source: str
    way: str
    size: int
    images: int

    @property
    def label(self) -> str:
        return RANDOM if isinstance(self.policy, int) else self.policy


VIEWS = 2  # of each image: a pair


def units(settings: Settings, least: int) -> Iterator[Unit]:
    """Units for `least` views, the same ones every time."""
    names = list(settings.sources())
    presets = [(policy, name) for policy in settings.policies for name in names]
    per_round, number, views = len(presets) + settings.random, 0, 0
    while views < least:
        turn, place = divmod(number, per_round)
        drawn = place - len(presets)
        policy, source = presets[place] if drawn < 0 else (drawn, names[(drawn + turn) % len(names)])
        rng = np.random.default_rng((settings.seed, number, 1))
        way = str(rng.choice(list(WAYS), p=list(WAYS.values())))
        size = int(rng.choice(list(SIZES), p=[share for share, _ in SIZES.values()]))
        yield Unit(number, policy, source, way, size, SIZES[size][1])
        number, views = number + 1, views + VIEWS * SIZES[size][1]


def count(settings: Settings, unit: Unit) -> dict[str, Any]:
    """Make and judge a unit's views: its counts, and how to make again what is broken."""
    images = settings.sources()[unit.source]
    policy = random_policy(unit.policy) if isinstance(unit.policy, int) else Policy.load(unit.policy)
    rng = np.random.default_rng((settings.seed, unit.number, 2))
    which = rng.integers(0, len(images), unit.images)
    if unit.way != ARRAY:  # images of the first one's shape
        shape = images[which[0]].shape
        alike = [i for i, image in enumerate(images) if image.shape == shape]
        which = np.array(alike)[which % len(alike)]
    keys = [(settings.seed, unit.number, position) for position in range(unit.images)]
    views = adaptaug.Views(policy, VIEWS, unit.size, "none", return_params=True)
    tally: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    found = []
    for view, seen in enumerate(_through(unit, views, [images[i] for i in which], keys)):
        broken = seen.broken(policy, view)
        tally.update({f"broken: {test}": int(flags.sum()) for test, flags in broken.items()})
        tally.update({
            "views": len(which), "certificate": int(seen.acted.sum()), "pulled back": int(seen.pulled.sum()),
        })  # fmt: skip
        failed.update(str(int(code)) for code in seen.failed[seen.pulled])
        for row in np.flatnonzero(broken["any"]):
            tests = [test for test, flags in broken.items() if flags[row] and test != "any"]
            found.append(
                {**unit._asdict(), "image": int(which[row]), "key": keys[row], "view": view, "tests": tests}
            )
    return {**tally, "failed": dict(failed), "found": found}


def _reduced(image: np.ndarray, most: int = 384) -> np.ndarray:
    """What loading workers make of a photograph for a batch: whole boxes averaged, at most `most` px."""
    box = -(-max(image.shape[:2]) // most)
    height, width = (side // box for side in image.shape[:2])
    return cv2.resize(image[: height * box, : width * box], (width, height), interpolation=cv2.INTER_AREA)


def _through(
    unit: Unit, views: adaptaug.Views, images: list[np.ndarray], keys: list[tuple[int, int, int]]
) -> list[Seen]:
    """Images by the unit's way: one Seen a view, of all images."""
    frame_of = adaptaug.AdaptiveAugment(FRAME, size=unit.size)
    if unit.way == ARRAY:
        alone = [see(i, views, frame_of(i), key) for i, key in zip(images, keys, strict=True)]
        return [together(parts) for parts in zip(*alone, strict=True)]
    batch = torch.from_numpy(np.stack([_reduced(i) for i in images])).permute(0, 3, 1, 2).contiguous()
    if unit.way == TORCH:
        batch = (batch.float() / 255.0).requires_grad_()
    return see(batch, views, frame_of(batch), keys)


# --- counting, in as many sittings as it takes ----------------------------------------------------------------
def added(total: dict[str, Any], unit: Unit, counts: dict[str, Any]) -> None:
    """A unit's counts into the totals: a row for each policy and source, one for each policy, way and size."""
    failed, found = counts.pop("failed"), counts.pop("found")
    for rows, names in (
        ("rows", {"policy": unit.label, "source": unit.source}),
        ("ways", {"policy": unit.label, "way": unit.way, "size": unit.size}),
    ):
        row = next((r for r in total[rows] if names.items() <= r.items()), None)
        if row is None:
            row = {**names, "failed": {}}
            total[rows].append(row)
        for into, more in ((row, counts), (row["failed"], failed)):
            for name, number in more.items():
                into[name] = into.get(name, 0) + number
    total["units"] = unit.number + 1
    total["views"] += counts["views"]
    total["violations"] += counts["broken: any"]
    total["found"] = (total["found"] + found)[:100]


def begun(path: Path | None, settings: Settings) -> dict[str, Any]:
    """The totals so far. Raises: AdaptAugError: the file is of other settings."""
    asked = json.loads(json.dumps(asdict(settings)))
    if path is None or not path.exists():
        return {"settings": asked, "units": 0, "views": 0, "violations": 0, "seconds": 0.0, "sittings": [],
                "found": [], "rows": [], "ways": []}  # fmt: skip
    total = json.loads(path.read_text())
    if total.get("settings") != asked:
        raise AdaptAugError(
            f"{path}: expected the totals of the same settings, {asked}, got {total.get('settings')}; "
            "go on with those, or name another --out."
        )
    return total


_settings: Settings | None = None  # a worker's


def _start(settings: Settings) -> None:
    global _settings
    _settings = settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process says when to stop
    _one_thread()
    settings.sources()


def _one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _count(unit: Unit) -> dict[str, Any]:
    assert _settings is not None
    return count(_settings, unit)


@contextmanager
def counted(settings: Settings, todo: list[Unit], workers: int) -> Iterator[Iterator[dict[str, Any]]]:
    """The units' counts in their order, made by as many processes."""
    if workers == 1:
        yield (count(settings, unit) for unit in todo)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _start, (settings,)) as pool:
        yield pool.imap(_count, todo)


def run(
    settings: Settings, views: int, path: Path | None = None, workers: int = 1, minutes: float | None = None,
    command: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Count until there are so many views, the time is over or somebody stops it; the totals are in `path`."""
    total = begun(path, settings)
    todo = list(units(settings, views))[total["units"] :]
    sitting = {
        "command": command,
        "commit": commit(),
        "at": now(),
        "machine": machine(),
        "from unit": total["units"],
    }
    before = total["seconds"]
    total["sittings"].append(sitting)
    start, load = time.perf_counter(), Load()
    saved = start

    def save() -> None:
        nonlocal saved
        saved = time.perf_counter()
        total["seconds"] = round(before + saved - start, 1)
        sitting.update({"units": total["units"] - sitting["from unit"], "load": load.told()})
        if path is not None:
            text = (json.dumps(total) + "\n").encode()
            write_atomically(path, lambda file: file.write(text))
        if total["views"]:
            each = total["seconds"] * 1e3 / total["views"]
            print(
                f"{total['views']:>9,} views, {total['violations']} broken, {each:.2f} ms a view", flush=True
            )

    with told_to_stop() as stop, counted(settings, todo, workers) as counts:
        save()
        for unit, found in zip(todo, counts, strict=False):
            added(total, unit, found)
            if stop.is_set() or (minutes is not None and time.perf_counter() - start > 60 * minutes):
                print("stopped; the same command goes on from here")
                break
            if time.perf_counter() - saved > SAVE_EVERY:
                save()
    save()
    return total


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM, so that no unit is counted by half; a second one is what it always is."""
    stop, before = threading.Event(), dict[int, Any]()

    def tell(number: int, _: Any) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, tell)
    try:
        yield stop
    finally:
        for told, handler in before.items():
            signal.signal(told, handler)


# --- telling --------------------------------------------------------------------------------------------------
def shares(rows: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(policy, source) -> views, and those on which the certificate acted; a policy's sum under source ''."""
    out: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        for name in ((row["policy"], row["source"]), (row["policy"], "")):
            views, acted = out.get(name, (0, 0))
            out[name] = views + row["views"], acted + row["certificate"]
    return out


def far(now: tuple[int, int], then: tuple[int, int]) -> bool:
    """Whether two shares of independent views differ by more than three standard errors."""
    views, acted = now[0] + then[0], now[1] + then[1]
    error = (acted / views * (1 - acted / views) * (1 / now[0] + 1 / then[0])) ** 0.5
    return abs(now[1] / now[0] - then[1] / then[0]) > 3 * max(error, 1 / views)


def show(total: dict[str, Any], earlier: list[dict[str, Any]]) -> None:
    now, then = shares(total["rows"]), shares(earlier)
    table = Table("policy", "source", "views", "certificate acted", "before", title="the certificate")
    for (policy, source), (views, acted) in sorted(now.items()):
        old = then.get((policy, source))
        said = f"{old[1] / old[0]:.2%}" if old else "-"
        if (
            old and policy != RANDOM and far((views, acted), old)
        ):  # those depend on which policies they are of
            said += " far"
        table.add_row(policy, source or "all", f"{views:,}", f"{acted / views:.2%}", said)
    Console(width=110).print(table)
    ways = Table("policy", "way in", "size", "views", "certificate acted", "broken")
    for row in sorted(total["ways"], key=lambda r: (r["policy"], r["way"], r["size"])):
        ways.add_row(row["policy"], row["way"], str(row["size"]), f"{row['views']:,}",
                     f"{row['certificate'] / row['views']:.2%}", str(row["broken: any"]))  # fmt: skip
    Console(width=110).print(ways)
    for found in total["found"][:10]:
        print("broken:", json.dumps(found))
    print(f"{total['violations']} violations over {total['views']:,} views in {total['seconds']:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    guarded = [name for name in preset_names() if Policy.load(name).guards]
    parser.add_argument("--data")
    parser.add_argument("--views", type=int, default=200_000)
    parser.add_argument("--policies", nargs="+", default=guarded)
    parser.add_argument("--random", type=int, default=0, metavar="N", help="random policies besides")
    parser.add_argument("--limit", type=int, default=400, help="images of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--minutes", type=float, help="stop after so many")
    parser.add_argument("--against", nargs="+", default=[], metavar="FILE", help="earlier results")
    parser.add_argument("--quick", action="store_true", help="2,000 views")
    parser.add_argument("--out")
    options = parser.parse_args()
    _one_thread()
    settings = Settings(options.data, options.limit, tuple(options.policies), options.random, options.seed)
    total = run(
        settings, 2000 if options.quick else options.views, Path(options.out) if options.out else None,
        options.workers, options.minutes, "python -m benchmarks.promise " + " ".join(sys.argv[1:]),
    )  # fmt: skip
    show(total, [row for file in options.against for row in json.loads(Path(file).read_text())["rows"]])
    sys.exit(total["violations"] > 0)


if __name__ == "__main__":
    main()
