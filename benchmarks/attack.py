"""The promise under attack: CMA-ES looks for an image whose views break it.

    python -m benchmarks.attack [--evaluations 100000] [--policies NAME ...] \
        --out benchmarks/results/attack/2-core-x86.json

An image of 32 px is 30 numbers (a sky, a patch, stripes, a bar, noise, tone: `picture`). A start has a key of its own
and a population of images, all drawn by that key; it moves them to where a pair of views comes nearest to a limit of
the promise, or over it, as benchmarks/promise's checker measures it on final pixels: how far beyond the limit, in
tolerances of the statement (above 1 is a broken promise). A start goes on while it gets nearer; each is a function of
its number, so that a run may be stopped at any time and goes on where it was: --out holds the totals so far, and how
to make the worst again (`worst`). `guards off` attacks each policy with guards and certificate off, to show that the
attack finds what there is.

Source: Hansen, The CMA evolution strategy: a tutorial, 1604.00772; as `cmaes` has it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import adaptaug
from adaptaug.backend.writing import write_atomically
from adaptaug.errors import AdaptAugError
from adaptaug.policy import Policy, preset_names
from adaptaug.promise.checker import TOLERANCE, Frame, check
from benchmarks.judging import FRAME, Seen, promised, see
from benchmarks.promise import told_to_stop
from benchmarks.schema import today
from benchmarks.turns import commit, machine

NUMBERS, SIDE = 30, 32
POPULATION = 32
PATIENCE = 6  # generations without getting nearer, then the next start
LONGEST = 40  # generations of a start
UNIT = {"std": TOLERANCE, "mean": TOLERANCE, "like": TOLERANCE, "clip": SIDE**-2, "erased": SIDE**-2}
SAVE_EVERY = 20  # starts
WITHOUT = ", guards off"

_AXIS = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE * 2 - 1


def picture(numbers: np.ndarray) -> np.ndarray:
    """(B, 30) numbers, ordinary ones near 0 -> (B, 32, 32, 3) uint8.

    A colour and a slope of it (6), a soft patch: place, size, colour (6), stripes: frequency, angle, phase, colour (6),
    a bar with hard edges: place, sides, colour (7), noise (1), gain, offset, gamma and floor of all (4).
    """
    n = np.asarray(numbers, np.float32)[:, :, None, None]
    y, x = _AXIS[None, :, None], _AXIS[None, None, :]
    colour = lambda first: n[:, first : first + 3]  # noqa: E731
    planes = 0.5 + 0.25 * colour(0) + 0.25 * (colour(3) * x[:, None])
    size = np.exp(n[:, 8] - 1.0)
    patch = np.exp(-((x - n[:, 6]) ** 2 + (y - n[:, 7]) ** 2) / (2 * size**2))
    planes = planes + 0.4 * colour(9) * patch[:, None]
    angle = n[:, 13]
    stripes = np.sin(12 * np.exp(0.5 * n[:, 12]) * (x * np.cos(angle) + y * np.sin(angle)) + n[:, 14] * np.pi)
    planes = planes + 0.3 * (colour(15) - 0.5) * stripes[:, None]
    inside = (np.abs(x - n[:, 18]) < 0.5 * np.exp(n[:, 20])) & (np.abs(y - n[:, 19]) < 0.5 * np.exp(n[:, 21]))
    planes = planes + 0.4 * colour(22) * inside[:, None]
    grain = np.random.default_rng(0).standard_normal((3, SIDE, SIDE)).astype(np.float32)
    planes = planes + 0.1 * np.abs(n[:, 25, None]) * grain
    planes = np.clip((planes - 0.5) * np.exp(n[:, 26, None] - 0.3) + 0.5 + 0.3 * n[:, 27, None], 0, 1)
    planes = planes ** np.exp(0.7 * n[:, 28, None])
    floor = 0.3 * np.clip(n[:, 29, None], 0, 3)  # under all levels, as of a hazy photograph
    return np.round(255 * np.clip(floor + planes * (1 - floor), 0, 1)).astype(np.uint8).transpose(0, 2, 3, 1)


def beyond(seen: Seen, policy: Policy, view: int, frame: Frame) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """By test, how far each view is beyond its limit in UNIT, (B,), below 0 within it; and which views break one.

    The limits are the policy's, where it has routes those of the image's own.
    """
    whole = seen.pixels.get("whole")
    erased = None if whole is None else (whole != seen.pixels["view"]).any(-1).mean((1, 2))
    pixels = {name: p for name, p in seen.pixels.items() if name != "frame"}
    verdicts = check(**pixels, frame=frame, erased=erased, promise=promised(policy, view, seen.route))
    far = {
        v.name: np.where(frame.blank, -np.inf, np.maximum(v.low - v.value, v.value - v.high) / UNIT[v.name])
        for v in verdicts
    }
    return far, np.any([v.broken for v in verdicts], axis=0)


def judged(
    policy: Policy, held_to: Policy, key: tuple[int, int, int], images: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """`beyond` of the worse view of a pair of each image, and which pairs are broken, all drawn with one key."""
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    views = adaptaug.Views(policy, 2, SIDE, "none", return_params=True)
    whole = adaptaug.AdaptiveAugment(FRAME, size=SIDE)(batch)
    frame = Frame(np.ascontiguousarray(whole.permute(0, 2, 3, 1).numpy()))
    pair = see(batch, views, whole, [key] * len(images))
    one, other = (beyond(seen, held_to, view, frame) for view, seen in enumerate(pair))
    return {test: np.maximum(far, other[0][test]) for test, far in one[0].items()}, one[1] | other[1]


@dataclass
class Best:
    """The nearest to a limit, or the furthest beyond it, of one test."""

    beyond: float
    start: int
    key: tuple[int, int, int]
    numbers: list[float]


def attack(name: str, start: int, seed: int = 0) -> tuple[int, int, dict[str, Best]]:
    """One start of CMA-ES: evaluations, how many of these pairs are broken, and the best by test.

    Which test a start goes for changes from start to start, so that the easiest to approach is not the only one.
    """
    from cmaes import CMA

    guarded = Policy.load(name.removesuffix(WITHOUT))
    policy = guarded.edit(guards=False) if name.endswith(WITHOUT) else guarded
    rng = np.random.default_rng((seed, start, 31))
    key = (seed, start, int(rng.integers(2**31)))
    search = CMA(
        mean=rng.normal(0, 0.5, NUMBERS), sigma=0.6, seed=int(rng.integers(2**31)), population_size=POPULATION
    )
    best: dict[str, Best] = {}
    broken, evaluations, last = 0, 0, 0
    top = -np.inf
    for generation in range(LONGEST):
        asked = np.array([search.ask() for _ in range(POPULATION)])
        found, bad = judged(policy, guarded, key, picture(asked))
        goal = found[list(found)[start % len(found)]]
        for test, far in found.items():
            row = int(far.argmax())
            if np.isfinite(far[row]) and (test not in best or far[row] > best[test].beyond):
                best[test] = Best(float(far[row]), start, key, [round(float(v), 6) for v in asked[row]])
        broken += int(bad.sum())
        evaluations += POPULATION
        if goal.max() > top + 1e-3:
            top, last = float(goal.max()), generation
        if generation - last >= PATIENCE or search.should_stop():
            break
        lowest = np.nan_to_num(-goal, posinf=1e6)
        search.tell(list(zip(asked, lowest.tolist(), strict=True)))
    return evaluations, broken, best


def begun(path: Path | None, seed: int) -> dict[str, Any]:
    """The totals so far. Raises: AdaptAugError: the file is of another seed."""
    if path is None or not path.exists():
        return {"seed": seed, "policies": {}, "sittings": []}
    total: dict[str, Any] = json.loads(path.read_text())
    if total.get("seed") != seed:
        raise AdaptAugError(
            f"{path}: expected totals of seed {seed}, got {total.get('seed')}; name another --out."
        )
    return total


def save(total: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        text = (json.dumps(total) + "\n").encode()
        write_atomically(path, lambda file: file.write(text))


def run(
    names: list[str],
    evaluations: int,
    path: Path | None,
    seed: int = 0,
    command: str = "python -m benchmarks.attack",
) -> dict[str, Any]:
    """Attack each policy until it has had so many evaluations, or somebody stops it; the totals are in `path`."""
    total = begun(path, seed)
    total |= {"command": command, "measured": today()}
    total["sittings"].append({"commit": commit(), "machine": machine()})
    with told_to_stop() as stop:
        for name in names:
            row = total["policies"].setdefault(
                name, {"starts": 0, "evaluations": 0, "broken": 0, "seconds": 0.0, "worst": {}}
            )
            while row["evaluations"] < evaluations and not stop.is_set():
                began = time.perf_counter()
                done, broken, best = attack(name, row["starts"], seed)
                row["starts"], row["evaluations"] = row["starts"] + 1, row["evaluations"] + done
                row["broken"] += broken
                row["seconds"] = round(row["seconds"] + time.perf_counter() - began, 2)
                for test, each in best.items():
                    if test not in row["worst"] or each.beyond > row["worst"][test]["beyond"]:
                        row["worst"][test] = vars(each)
                if row["starts"] % SAVE_EVERY == 0 or row["evaluations"] >= evaluations or stop.is_set():
                    save(total, path)
    return total


def show(total: dict[str, Any]) -> None:
    table = Table(
        "policy", "starts", "evaluations", "broken", *UNIT, title="nearest to a limit: levels, pixels"
    )
    for name, row in total["policies"].items():
        far = [f"{row['worst'][test]['beyond']:.2f}" if test in row["worst"] else "-" for test in UNIT]
        table.add_row(name, f"{row['starts']:,}", f"{row['evaluations']:,}", f"{row['broken']:,}", *far)
    Console(width=110).print(table)
    guarded = {name: row for name, row in total["policies"].items() if not name.endswith(WITHOUT)}
    broken, pairs = (sum(row[number] for row in guarded.values()) for number in ("broken", "evaluations"))
    print(f"{broken} broken of {pairs:,} pairs of views attacked with guards on")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    guarded = [name for name in preset_names() if Policy.load(name).guards]
    parser.add_argument("--policies", nargs="+", default=guarded)
    parser.add_argument("--evaluations", type=int, default=100_000, help="of each policy")
    parser.add_argument("--unguarded", type=int, default=2_000, help="of each with its guards off")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    run([name + WITHOUT for name in options.policies], options.unguarded, options.out, options.seed)
    show(run(options.policies, options.evaluations, options.out, options.seed))


if __name__ == "__main__":
    try:
        main()
    except AdaptAugError as error:
        raise SystemExit(str(error)) from None
