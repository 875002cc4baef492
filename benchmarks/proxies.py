"""Do the tasks that images set themselves rank policies as labels do? A search by labels that scores both ways.

    python -m benchmarks.proxies --data ../shared/data/cifar10_train_20k.npz --start digits --folder runs/x --out R.json

Over all arms of a search (30 policies, two epochs after a common warm-up): Spearman's correlation of each proxy with
kNN-20 and with the mean of kNN and ridge on held-out images, with a bootstrap interval over arms; and how much true
accuracy is lost by taking the arm that a proxy likes best. The search is kept in --folder and goes on if killed; its
report and its policy lie there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from adaptaug.learn.arms import Recipe
from adaptaug.learn.proxies import TASKS
from adaptaug.learn.report import write_report
from adaptaug.learn.runner import Progress
from adaptaug.learn.search import Search
from adaptaug.learn.work import COUNTED
from benchmarks.schema import output, today

SCORES = (*TASKS, "lidar", "rankme")


class Printed(Progress):
    def begin(self, stage: str, jobs: int) -> None:
        print(f"{stage}: {jobs} to train", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--start", default="digits")
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--limit", type=int, default=6000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=output, required=True)
    options = parser.parse_args()
    recipe = Recipe(
        options.data, options.limit, options.seed, size=options.size, epochs=options.epochs, tasks=True
    )
    search = Search(
        recipe, options.start, options.folder, options.budget, "labels", options.workers, Printed()
    )
    outcome = search.run()
    write_report(search, outcome)
    outcome.policy.save(options.folder / "policy.yaml")
    arms = [_row(options.folder, arm.number, arm.name) for arm in outcome.arms]
    result: dict[str, Any] = {
        "measured": today(),
        "command": "python -m benchmarks.proxies "
        + " ".join(f"--{k} {v}" for k, v in vars(options).items()),
        "shipped": outcome.shipped, "verified": outcome.verified, "cost": outcome.cost,
        "seconds": round(outcome.seconds), "correlation": correlations(arms), "arms": arms,
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    for name, row in result["correlation"].items():
        print(f"{name:24}", row)


def _row(folder: Path, number: int, name: str) -> dict:
    with np.load(folder / "arms" / f"arm-{number:02d}-rung-1.npz") as hits:
        row = {key: round(float(100 * hits[key].mean()), 3) for key in ("knn", "ridge", *TASKS)}
        row |= {key: round(float(hits[key]), 3) for key in ("lidar", "rankme")}
    return {"arm": name, **row, "labels": round((row["knn"] + row["ridge"]) / 2, 3)}


def correlations(arms: list[dict]) -> dict[str, dict]:
    """Of each score, of the mean rank of all, and of the mean of the tasks, with kNN and with both judges."""
    columns = {name: np.array([arm[name] for arm in arms]) for name in (*SCORES, "knn", "labels")}
    rank = {name: stats.rankdata(columns[name]) for name in SCORES}
    columns["mean of the tasks"] = np.mean([columns[name] for name in TASKS], 0)
    columns["objective images"] = np.mean([columns[name] for name in COUNTED["images"]], 0)
    columns["mean rank of the tasks"] = np.mean([rank[name] for name in TASKS], 0)
    columns["mean rank of all"] = np.mean([rank[name] for name in SCORES], 0)
    rng, rows = np.random.default_rng(0), {}
    for name in (c for c in columns if c not in ("knn", "labels")):
        best = int(columns[name].argmax())
        rows[name] = {
            "with kNN": _spearman(columns[name], columns["knn"], rng),
            "with kNN and ridge": _spearman(columns[name], columns["labels"], rng),
            "its best arm": arms[best]["arm"],
            "points below the best": round(float(columns["labels"].max() - columns["labels"][best]), 2),
        }
    return rows


def _spearman(one: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> list[float]:
    """Correlation with its 95 % bootstrap interval over arms."""
    picks = rng.integers(0, len(one), (1000, len(one)))
    many = [stats.spearmanr(one[p], other[p]).statistic for p in picks]
    low, high = np.nanpercentile(many, [2.5, 97.5])
    return [round(float(x), 3) for x in (stats.spearmanr(one, other).statistic, low, high)]


if __name__ == "__main__":
    main()
