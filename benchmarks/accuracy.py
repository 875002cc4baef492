"""Does a policy train a better encoder? SimCLR with each policy and seed, then kNN and a linear probe on its features.

    python -m benchmarks.accuracy --data ../shared/data/cifar10_train_20k.npz --exposure mixed --suite cpu \
        --policies simclr-cifar natural --seeds 5 --out benchmarks/results/accuracy-cifar10/2-core-x86.jsonl

DATA is any labelled data set that adaptaug opens (.npz, class folders, torchvision:CIFAR10, ...), or sklearn:digits.
Its test split is found by name (X_train*.npz beside X_test*.npz, torchvision's), given by --test, or a fifth set aside.
--policies takes presets, files, and the names that --list prints. NAME*1.5 trains half as long again (equal time for
a policy whose views cost more); "NAME, views=4" has four views of each image, in as many views a step and steps as with
two; "NAME, batch=64", rate and norm likewise change the recipe for one row. --tune GRID instead of --policies takes a
grid of manual recipes, one seed, and prints the best by the hold-out. Each (policy, seed) is one line of FILE; what is
there is not measured again, so that the same command goes on after it was stopped.
`python -m benchmarks.report FILE...` makes tables and plots of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console

from adaptaug.errors import AdaptAugError
from benchmarks.protocol import SUITES, Recipe, run
from benchmarks.rivals import grids, known_names, label, parted, policy_of
from benchmarks.schema import output

EXPOSURES = ("clean", "mixed", "dark", "over", "low")


@dataclass(frozen=True)
class Wanted:
    """One line to be measured."""

    name: str
    longer: float
    seed: int
    data: str
    test: str | None
    exposure: str
    recipe: Recipe
    size: int | None

    def key(self) -> dict[str, Any]:
        """What makes it the same measurement: names alone would not do, a policy's file may change."""
        policy = policy_of(self.name)
        text = "" if policy is None else policy.edit(name="", description="", provenance={}).dumps()
        return {
            "policy": label(self.name) + (f" x{self.longer:g}" if self.longer != 1 else ""),
            "sha": hashlib.sha256(text.encode()).hexdigest()[:12], "seed": self.seed,
            "data": Path(self.data).name, "exposure": self.exposure, "recipe": self.recipe.common(), "size": self.size,
        }  # fmt: skip


def start_worker() -> None:
    os.nice(5)  # whoever works on this machine comes first; ratios are of cpu_seconds
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _measure(wanted: Wanted) -> dict[str, Any]:
    """A line, in a worker; on a GPU, in the one process that there is."""
    policy = policy_of(wanted.name)
    searched = (policy.provenance if policy is not None else {}).get("cost", {})
    row = run(wanted.name, wanted.data, wanted.test, wanted.exposure, wanted.recipe, wanted.seed, wanted.size,
                wanted.longer)  # fmt: skip
    return wanted.key() | {k: v for k, v in row.items() if k != "recipe"} | {
        "search": searched, "machine": machine(),
        "when": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def machine() -> str:
    """Told with every line: seconds are comparable on one kind of machine only."""
    units = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {units}"


def measure_all(wanted: list[Wanted], out: Path, jobs: int) -> list[dict[str, Any]]:
    """Every line that is wanted, from the file or measured now and appended as it comes, seed by seed."""
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    rows_by_name = {_name(row): row for row in rows}
    missing = {_name(w.key()): w for w in wanted if _name(w.key()) not in rows_by_name}
    console = Console(stderr=True)
    console.print(f"{len(wanted)} lines: {len(wanted) - len(missing)} known, {len(missing)} to measure")
    began = time.perf_counter()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), start_worker) as pool:
        futures = {pool.submit(_measure, w): name for name, w in missing.items()}
        for done, future in enumerate(as_completed(futures), 1):
            row = rows_by_name[futures[future]] = future.result()
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            own = row["scores"][row["exposure"]]
            left = (time.perf_counter() - began) / done * (len(missing) - done) / 60
            console.print(
                f"{row['policy']}, seed {row['seed']}: kNN {own['knn']:.2f}, probe {own['probe']:.2f}, "
                f"{row['cpu_seconds']:.0f} s; about {left:.0f} min left", highlight=False,
            )  # fmt: skip
    return [rows_by_name[_name(w.key())] for w in wanted]


def _name(row: dict[str, Any]) -> str:
    return json.dumps(
        {k: row[k] for k in ("policy", "sha", "seed", "data", "exposure", "recipe", "size")}, sort_keys=True
    )


def best(rows: list[dict[str, Any]]) -> str:
    """The policy with the best mean of kNN and probe on the hold-out."""
    scores: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        scores[row["policy"]].append(float(np.mean(list(row["scores"]["hold-out"].values()))))
    return max(scores, key=lambda name: float(np.mean(scores[name])))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data")
    parser.add_argument("--test")
    parser.add_argument("--exposure", choices=EXPOSURES, default="clean")
    parser.add_argument("--suite", choices=SUITES, default="cpu")
    parser.add_argument(
        "--policies", nargs="*", default=["simclr-cifar", "natural"], metavar="NAME[, views=K][*FACTOR]"
    )
    parser.add_argument("--tune", choices=grids(), help="a grid of manual recipes, on the hold-out")
    parser.add_argument("--views", type=int, help="of each image, for all that name no number of their own")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, help="images to train on, instead of the suite's")
    parser.add_argument("--epochs", type=int, help="instead of the suite's")
    parser.add_argument("--labels", type=int, help="of the bank for kNN and probe, instead of all")
    parser.add_argument("--size", type=int, help="side of the images, where they differ")
    parser.add_argument("--jobs", type=int, default=1 if torch.cuda.is_available() else os.cpu_count())
    parser.add_argument("--out", type=output)
    parser.add_argument("--list", action="store_true", help="print the names that --policies knows")
    options = parser.parse_args()
    if options.list:
        print("\n".join(known_names()))
        return
    if options.data is None or options.out is None:
        parser.error("expected --data and --out")
    changed = {
        k: getattr(options, k) for k in ("limit", "epochs", "labels") if getattr(options, k) is not None
    }
    recipe = replace(SUITES[options.suite], **changed)
    names = list(grids()[options.tune]) if options.tune else options.policies
    wanted = []
    for seed in range(1 if options.tune else options.seeds):
        for text in names:
            name, _, factor = text.partition("*")
            if options.views and "views" not in parted(name)[1]:
                name += f", views={options.views}"
            wanted.append(Wanted(name, float(factor or 1), seed, options.data, options.test, options.exposure, recipe,
                                 options.size))  # fmt: skip
    rows = measure_all(wanted, options.out, options.jobs)
    if options.tune:
        print(f"best manual recipe by the hold-out: {best(rows)}")


if __name__ == "__main__":
    try:
        main()
    except AdaptAugError as error:
        raise SystemExit(str(error)) from None
