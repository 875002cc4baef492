"""The bank: what each corner of screening's design, and each preset, gives on each data set at hand.

    python -m benchmarks.bank --shared ../shared/data --sets digits mnist --seeds 0 1

    python -m benchmarks.bank --sets mnist --seeds 2 3 4 --policies digits halving

Every run is one of screening's: new weights, one length (4 epochs of 3,000 images, or as many images of a smaller set),
equal random numbers for equal seeds, judged by the search's own measures on images that it did not train on, with
labels and without. OUT/bank-SET/MACHINE.jsonl has what `profile` says of the set, then a line for each run; it grows
line by line, and the same command goes on where it was stopped. Images are kept in --work, outside the repository. With
--remember adaptaug/learn/memory.yaml or --replay benchmarks/results/bank-replay/2-core-x86.json nothing is trained
(`benchmarks.recall`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug import __version__
from adaptaug.backend.writing import write_atomically
from adaptaug.data import open_data
from adaptaug.learn.arms import Data, Job, Recipe, divide, one_thread, run_job
from adaptaug.learn.design import corners
from adaptaug.learn.factors import corner, inert_factors, levels_from, signs
from adaptaug.learn.memory import looked, numbers, write
from adaptaug.learn.sample import sample
from adaptaug.learn.screening import epochs_for
from adaptaug.policy import Policy
from benchmarks import cells, glyphs, recall
from benchmarks.schema import RESULTS, this_machine, today
from benchmarks.sets import Part
from benchmarks.shifts import expose

START = "natural"  # what the corners are corners of
PRESETS = ("natural", "simclr", "digits", "documents", "lowlight")
IMAGES = 3000  # to train on
KEPT = 7000  # of a larger set: to train on, to be judged by, and some that neither uses
Row = dict[str, Any]


def _shared(name: str, exposure: str = "clean") -> Callable[[Path], Part]:
    """The first images of one of the development sets, whose order is random."""

    def make(shared: Path) -> Part:
        images = open_data(shared / f"{name}.npz")
        index = np.arange(min(KEPT, len(images)))
        assert images.labels is not None
        pixels = expose(images.pixels(index), index, exposure)
        return {"x": pixels.permute(0, 2, 3, 1).numpy(), "y": images.labels[index]}

    return make


def _sklearn(_: Path) -> Part:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return {"x": (digits.images * 15.9).astype(np.uint8), "y": digits.target}


def _first(part: Part) -> Part:
    return {name: part[name][:KEPT] for name in ("x", "y")}


SETS: dict[str, Callable[[Path], Part]] = {
    "digits": _sklearn,
    "mnist": _shared("mnist_train_20k"),
    "cifar10": _shared("cifar10_train_20k"),
    "cells": lambda _: _first(cells.make()["train"]),
    "fashion": _shared("fashion_train_20k"),
    "fonts": lambda _: _first(glyphs.both()["train"]),
    "cifar10-mixed": _shared("cifar10_train_20k", "mixed"),
}  # fmt: skip


# Searches by halving that were made of these data, on more images and for longer: what theirs found may run here, too.
HALVED = {
    "digits": "sklearn-digits-from-natural", "mnist": "mnist-from-natural", "cifar10": "cifar10-from-digits",
    "cells": "cells-from-simclr", "fashion": "fashion-from-natural", "fonts": "glyphs-from-natural",
    "cifar10-mixed": "cifar10-mixed-from-digits",
}  # fmt: skip


def policy_of(name: str, off: list[str], of: str = "") -> Policy:
    """A preset, a corner by the signs of its levels, or what `halving` found of a data set."""
    if name in PRESETS:
        return Policy.load(name)
    if name == recall.HALVING:
        return Policy.load(RESULTS / f"search-{HALVED[of]}" / "policy.yaml")
    return corner(Policy.load(START), levels_from(name), name, off)


class Set:
    """One data set of the bank: its images, and the lines that are there."""

    def __init__(self, name: str, shared: Path, work: Path, out: Path):
        self.name, self.file = name, out / f"bank-{name}" / f"{this_machine()}.jsonl"
        images = work / f"{name}.npz"
        if not images.exists():
            work.mkdir(parents=True, exist_ok=True)
            arrays = SETS[name](shared)
            write_atomically(images, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
        opened = open_data(images)
        size = max(8, max(opened[0].shape[:2]))
        recipe = Recipe(str(images), IMAGES, 0, size=size, tasks=True)
        trained = len(divide(recipe, len(opened), 0)[0])
        self.recipe = replace(recipe, epochs=epochs_for(trained))
        if not self.file.exists():
            off = inert_factors(sample(self.recipe, opened), size)
            self._add(
                {
                    "set": name,
                    "images": len(opened),
                    "size": size,
                    "inert": off,
                    "profile": numbers(looked(opened)),
                }
            )
        self.head, *self.rows = recall.read(self.file)

    def _add(self, row: Row) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def measure(self, policies: list[str], seed: int) -> None:
        """The runs of one seed that are not there yet."""
        there = {row["policy"] for row in self.rows if row["seed"] == seed}
        data = Data(replace(self.recipe, seed=seed))
        for name in (p for p in policies if p not in there):
            row = {
                "policy": name,
                "seed": seed,
                **self._run(policy_of(name, self.head["inert"], self.name), data),
            }
            self.rows.append(row)
            self._add(row)
            print(f"{self.name} {name} seed {seed}: {row['seconds']} s", flush=True)

    def _run(self, policy: Policy, data: Data) -> Row:
        began = time.process_time()
        with tempfile.TemporaryDirectory() as folder, one_thread():
            job = Job("run", policy.dumps(), None, data.recipe.epochs, 0, True, str(Path(folder) / "run.npz"))
            run_job(job, data)
            with np.load(job.out) as hits:
                scores = {n: round(100 * float(v.mean()), 3) for n, v in hits.items() if v.ndim}
        trained, queries = (len(part) for part in divide(data.recipe, self.head["images"], 0))
        return {
            "epochs": data.recipe.epochs, "trained": trained, "asked": queries, "scores": scores,
            "seconds": round(time.process_time() - began, 1), "adaptaug": __version__,
            "when": today(),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shared", type=Path, default=Path("../shared/data"), help="where the development sets lie"
    )
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "adaptaug-bank")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument(
        "--policies", nargs="+", help='others than the 16 corners and the presets: "corner +--+-+-+", halving'
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument(
        "--remember", type=Path, metavar="YAML", help="train nothing: write the memory of what is there"
    )
    parser.add_argument(
        "--replay", type=Path, metavar="JSON", help="train nothing: screen again from what is there"
    )
    options = parser.parse_args()
    if options.remember or options.replay:
        sets = recall.whole(options.out)
        if options.remember:
            write(options.remember, recall.remembered(sets))
        if options.replay:
            rows = recall.replayed(sets)
            replay = {
                "command": "python -m benchmarks.bank --replay benchmarks/results/bank-replay/2-core-x86.json",
                "measured": today(), "rows": rows,
            }  # fmt: skip
            write_atomically(options.replay, lambda file: file.write(json.dumps(replay, indent=1).encode()))
            print(recall.table(rows))
        return
    policies = [name.removeprefix("corner ") for name in options.policies or ()] or [
        *(signs(levels) for levels in corners()),
        *PRESETS,
    ]
    for seed in options.seeds:
        for name in options.sets:
            Set(name, options.shared, options.work, options.out).measure(policies, seed)


if __name__ == "__main__":
    main()
