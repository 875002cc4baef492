"""What long use costs: `Views` for a million images, the app under fifty visitors at once; does memory grow?

    python -m benchmarks.load views [--images 1000000] --out benchmarks/results/load-views.json
    python -m benchmarks.load app [--clients 50] [--seconds 120] --out benchmarks/results/load-app.json
    python -m benchmarks.load leaving [--clients 10] --out benchmarks/results/load-leaving.json

`views` takes pairs of views from a DataLoader over `Keyed`, in one process and from two workers; each process's memory
is looked at over and over, and its growth is what the last quarter of looks has more than the second one. `app` serves
the app on the loopback; each visitor opens the page, uploads a photograph, asks for seeds, and begins anew. `leaving`:
visitors with a photograph of 12 megapixels each come and leave, and as many again; what the app holds after the second
round is compared with what it held after the first. Ends with 1 where memory grew by more than --growth MB, or where a
visitor got neither an answer nor a refusal.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from adaptaug import Keyed, Views
from adaptaug.backend.writing import write_atomically
from benchmarks.schema import today
from benchmarks.turns import machine
from benchmarks.visitor import Answer, Visitor, served

SIDE, KNOWN, BATCH = 32, 4096, 256
PAGES_ROOM = (
    1536.0  # MB: the app keeps a hundred pages (ui/app.py), of an image, its views and their HTML each
)
LEFT = 40  # s after which the app has seen that a page is closed: it looks every 15
LOOKS = 100  # at memory, over a whole run


class Many(Dataset[tuple[np.ndarray, int]]):
    """So many images of 32 px: parts of photographs that scikit-image ships, over and over."""

    def __init__(self, count: int):
        from skimage import data

        rng, photographs = np.random.default_rng(0), [data.astronaut(), data.coffee(), data.chelsea()]
        self.count, self.images = count, np.empty((KNOWN, SIDE, SIDE, 3), np.uint8)
        for i in range(KNOWN):
            photograph = photographs[i % len(photographs)]
            top, left = (rng.integers(0, side - 2 * SIDE) for side in photograph.shape[:2])
            self.images[i] = photograph[top : top + 2 * SIDE : 2, left : left + 2 * SIDE : 2]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index % KNOWN], index


def resident(pid: int | str = "self") -> float:
    """MB of memory that a process holds; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def growth(held: Sequence[float]) -> float:
    """MB by which the last quarter of looks is above the second one; what is made once comes in the first."""
    quarter = max(1, len(held) // 4)
    return float(np.median(held[-quarter:]) - np.median(held[quarter : 2 * quarter]))


def views(count: int, workers: int) -> dict[str, Any]:
    """Pairs of views of so many images: memory of this process and of each worker, looked at as they come."""
    loader = DataLoader(Keyed(Many(count), Views("natural", size=SIDE)), BATCH, num_workers=workers)
    every = max(1, len(loader) // LOOKS)
    held: dict[str, list[float]] = {}
    began, made = time.perf_counter(), 0
    batches: Any = iter(loader)
    own = {"this process": "self"} | {
        f"worker {i}": w.pid for i, w in enumerate(getattr(batches, "_workers", []))
    }
    for number, (pair, _) in enumerate(batches):
        made += len(pair[0])
        if number % every == 0:
            for name, pid in own.items():
                held.setdefault(name, []).append(resident(pid))
    return {
        "workers": workers, "images": made, "views": 2 * made, "seconds": round(time.perf_counter() - began),
        "peak_mb": {name: round(max(seen)) for name, seen in held.items()},
        "growth_mb": {name: round(growth(seen), 1) for name, seen in held.items()},
    }  # fmt: skip


def photograph(number: int, width: int = 320, height: int = 240) -> bytes:
    """A PNG."""
    levels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def answered(act: Callable[[], Answer]) -> str:
    """What came of what a visitor did."""
    try:
        return act().kind
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {type(error).__name__}"


def visit(
    url: str, number: int, until: float, patience: float, told: Counter[str], took: list[float]
) -> None:
    """One visitor after another, each with a page of its own, until the time is over."""
    photo = photograph(number)
    while time.monotonic() < until:
        visitor = Visitor(url, patience)
        acts: list[Callable[[], Answer]] = [visitor.open, partial(visitor.upload, "photo.png", photo)]
        for act in acts + [partial(visitor.seed, seed) for seed in range(1, 4)]:
            began = time.monotonic()
            if began >= until:
                return
            answer = answered(act)
            told[answer] += 1
            took.append(time.monotonic() - began)
            if answer == "refused":
                time.sleep(1)  # as a person would who is told that the page is busy
            if not visitor.events:
                break  # it has no page to go on with


def app(clients: int, seconds: float, patience: float = 120.0) -> dict[str, Any]:
    """So many visitors at once for so long: answers by kind, waits, and the server's memory."""
    told: Counter[str] = Counter()
    took: list[float] = []
    with served() as (url, process):
        first = Visitor(url, patience)
        first.open()  # what is made once
        start, held = resident(process.pid), []
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=visit, args=(url, i, until, patience, told, took)) for i in range(clients)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            held.append(resident(process.pid))
            time.sleep(1)
        alive = process.poll() is None
        after = answered(partial(first.seed, 7))
    return {
        "clients": clients, "seconds": seconds, "answers": dict(told), "alive": alive, "answers_after": after,
        "median_s": round(float(np.median(took)), 2), "longest_s": round(max(took), 1),
        "start_mb": round(start), "peak_mb": round(max(held)), "growth_mb": round(growth(held), 1),
    }  # fmt: skip


def leaving(visitors: int, patience: float = 120.0) -> dict[str, Any]:
    """So many visitors at once with 12 megapixels each, who leave; twice. The app's memory before, with them, after."""
    held: dict[str, list[int]] = {"with": [], "after": []}
    told: Counter[str] = Counter()
    with served() as (url, process):
        for turn in range(2):
            there = []
            for number in range(visitors):
                visitor = Visitor(url, patience)
                visitor.stay()
                photo = photograph(turn * visitors + number, 4000, 3000)
                for act in (
                    visitor.open,
                    partial(visitor.upload, "photo.png", photo),
                    partial(visitor.seed, 1),
                ):
                    told[answered(act)] += 1
                there.append(visitor)
            held["with"].append(round(resident(process.pid)))
            for visitor in there:
                visitor.leave()
            time.sleep(LEFT)
            held["after"].append(round(resident(process.pid)))
    return {
        "clients": visitors,
        "answers": dict(told),
        "mb": held,
        "growth_mb": held["after"][1] - held["after"][0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("views", "app", "leaving"))
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, help="default 50 (app), 10 (leaving)")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--growth", type=float, help="MB; default 16 (views), 1536 (app), 20 (leaving)")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    problems = []
    if asked.what == "views":
        most = asked.growth or 16.0
        found: dict[str, Any] = {"runs": [views(asked.images, workers) for workers in (0, 2)]}
        for run in found["runs"]:
            grown = ", ".join(f"{name} {mb} MB" for name, mb in run["growth_mb"].items())
            print(f"{run['images']:,} images, {run['workers']} workers, {run['seconds']} s; grown: {grown}")
            problems += [f"{name} grew by {mb} MB" for name, mb in run["growth_mb"].items() if mb > most]
            problems += [f"{run['images']} images came"] if run["images"] != asked.images else []
    elif asked.what == "leaving":
        most, found = asked.growth or 20.0, leaving(asked.clients or 10)
        memory = "; ".join(f"{when} them {mb[0]}, then {mb[1]} MB" for when, mb in found["mb"].items())
        print(f"twice {found['clients']} visitors: {found['answers']}; {memory}")
        problems += (
            [f"not all were answered: {found['answers']}"] if set(found["answers"]) != {"done"} else []
        )
        problems += [f"its memory grew by {found['growth_mb']} MB"] if found["growth_mb"] > most else []
    else:
        most, found = asked.growth or PAGES_ROOM, app(asked.clients or 50, asked.seconds)
        waits = f"a wait {found['median_s']} s, at most {found['longest_s']} s"
        memory = f"{found['start_mb']} MB at first, {found['peak_mb']} MB at most"
        print(f"{asked.clients} clients for {asked.seconds:g} s: {found['answers']}; {waits}; {memory}")
        odd = {kind: n for kind, n in found["answers"].items() if kind not in ("done", "refused")}
        problems += [f"neither answered nor refused: {odd}"] if odd else []
        problems += [] if found["alive"] and found["answers_after"] == "done" else ["the app answers no more"]
        grown = found["peak_mb"] - found["start_mb"]
        problems += [f"its memory grew by {grown} MB"] if grown > most else []
    found["problems"] = problems
    how = {"views": f"--images {asked.images}", "app": f"--clients {found.get('clients')} --seconds {asked.seconds:g}",
           "leaving": f"--clients {found.get('clients')}"}  # fmt: skip
    command = f"python -m benchmarks.load {asked.what} {how[asked.what]}"
    if asked.out is not None:
        whole = {"measured": today(), "command": command, "machine": machine()} | found
        write_atomically(asked.out, lambda file: file.write(json.dumps(whole, indent=1).encode() + b"\n"))
    print(f"{len(problems)} problems" + "".join(f"; {problem}" for problem in problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
