"""Is what a search finds better than what a person takes, on any labelled data? A search, then final trainings.

    python -m benchmarks.learning trial --data ../shared/data/cifar10_train_20k.npz=mixed --start digits --out RUN

DATA as benchmarks.accuracy takes it, perhaps with =EXPOSURE of training and test. The search sees the images that are
not the test's, in that exposure, and never another; then the policy it ships and the rivals train afresh with
--seeds paired seeds (`benchmarks.protocol`), and the test split is read once for each. RUN has the images that were
searched on, the policy, the search's folder, accuracy.jsonl and trial.md. The same command goes on after it was
stopped.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna

from adaptaug.backend.writing import write_atomically
from adaptaug.cli.base import own_side
from adaptaug.cli.progress import Live
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Recipe as SearchRecipe
from adaptaug.learn.report import write_report
from adaptaug.learn.search import Search
from adaptaug.policy import Policy
from benchmarks.accuracy import Wanted, measure_all
from benchmarks.groups import read_groups
from benchmarks.protocol import SUITES, Recipe, split
from benchmarks.report import page
from benchmarks.rivals import policy_of


def images_to_search(
    data: str, test: str | None, exposure: str, limit: int, size: int | None, out: Path
) -> None:
    """An .npz of at most `limit` images to train on and up to 4,000 held out, none of them of the test."""
    parts = split(data, test, exposure, Recipe(limit=limit), 0, size)
    pixels = np.concatenate([parts.train.numpy(), parts.held.numpy()]).transpose(0, 2, 3, 1)
    labels = np.concatenate([parts.train_labels, parts.held_labels])
    write_atomically(out, lambda file: np.savez_compressed(file, x=pixels, y=labels))


def search(
    data: Path, start: str, seed: int, limit: int, epochs: int, budget: int, workers: int, out: Path
) -> None:
    """Search and write the policy to `out`, with its report in the folder beside it."""
    optuna.logging.disable_default_handler()
    recipe = SearchRecipe(str(data), limit, seed, size=own_side(data, 64), epochs=epochs)
    with Live() as display:
        task = Search(recipe, start, out.with_suffix(".search"), budget, workers=workers, progress=display)
        outcome = task.run()
        write_report(task, outcome)
    outcome.policy.save(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, metavar="DATA[=EXPOSURE]")
    parser.add_argument("--test")
    parser.add_argument("--size", type=int, help="side of the images, where they differ")
    parser.add_argument("--start", default="simclr", help="the policy that the search begins with")
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    parser.add_argument("--limit", type=int, default=3000, help="images that the search trains on")
    parser.add_argument("--epochs", type=int, default=10, help="of the search's verification runs")
    parser.add_argument("--budget", type=int, default=18, help="policies that the search tries")
    parser.add_argument("--rivals", nargs="*", default=["simclr-cifar", "simclr", "natural", "digits"])
    parser.add_argument("--suite", choices=SUITES, default="short")
    parser.add_argument("--train", type=int, help="images of a final training, instead of the suite's")
    parser.add_argument("--labels", type=int, default=0, help="of the bank for kNN and probe; 0: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data, _, exposure = options.data.partition("=")
    exposure, folder = exposure or "clean", options.out
    try:  # before the search, which takes an hour
        Policy.load(options.start)
        for name in options.rivals:
            policy_of(name)
    except AdaptAugError as error:
        parser.error(str(error))
    folder.mkdir(parents=True, exist_ok=True)
    images = folder / f"{Path(data).stem.replace(':', '-')}-{exposure}.npz"
    policy = folder / f"searched from {Path(options.start).stem}.yaml"
    if not images.exists():
        images_to_search(data, options.test, exposure, options.limit, options.size, images)
    if not policy.exists():
        search(
            images,
            options.start,
            options.seed,
            options.limit,
            options.epochs,
            options.budget,
            options.jobs,
            policy,
        )
    recipe = replace(SUITES[options.suite], labels=options.labels)
    recipe = replace(recipe, limit=options.train or recipe.limit)
    wanted = [
        Wanted(name, 1.0, seed, data, options.test, exposure, recipe, options.size)
        for seed in range(options.seeds) for name in (str(policy), *options.rivals)
    ]  # fmt: skip
    lines = folder / "accuracy.jsonl"
    measure_all(wanted, lines, options.jobs)
    (folder / "trial.md").write_text(page(read_groups([lines]), folder / "trial.md") + "\n")
    print(folder / "trial.md")


if __name__ == "__main__":
    main()
