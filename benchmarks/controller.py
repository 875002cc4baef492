"""Does the controller hold a band while a network learns, what does it cost, and where does accuracy peak?

    python -m benchmarks.learning band --data ../shared/data/cifar10 ../shared/data/mnist \
        --out benchmarks/results/band-controller/2-core-x86.jsonl --plot docs/img/band-controller.png

For each data set and seed the hand policy first trains while the controller only watches. How alike its pairs are in
the last third of the steps says what can be asked: a floor that a quarter (half) of them lie below, a ceiling that a
quarter (half) lie above, each of which only a tenth shall pass; and, last, the controller's own band, the warm-up's
10th and 90th percentile. Told of each, of the last third of the steps: the shares outside, kNN-20 on the test split,
and the controller's part of a step's time. One line for each network; the same command goes on after it was stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from torch.nn import functional

from adaptaug.data import open_data
from adaptaug.encoders.networks import fast_precision
from adaptaug.learn.arms import keys_of
from adaptaug.online.band import BINS, BandController
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.metrics import features, knn_correct, labelled_subset
from benchmarks.accuracy import start_worker
from benchmarks.schema import output

matplotlib.use("Agg")
from matplotlib import pyplot as plt

POLICIES = {"cifar10": "simclr-cifar", "mnist": "digits", "fashion": "digits"}
ALONE, OWN, OUTSIDE = "policy left alone", "own band", 0.1
ASKED = ("floor, 50 % below", "floor, 25 % below", ALONE, "ceiling, 25 % above", "ceiling, 50 % above", OWN)
_HELD = 0.02  # how far a share may be from what was asked
Row = dict[str, Any]


def edges_of(request: str, quantiles: list[float]) -> tuple[float | None, float | None] | None:
    """The band that is asked for, by the watched pairs' 25th, 50th and 75th percentile; None: the controller's own."""
    side, _, share = request.partition(", ")
    if side not in ("floor", "ceiling"):
        return None
    quarter, half, upper = quantiles
    if side == "floor":
        return (half if share.startswith("50") else quarter), None
    return None, half if share.startswith("50") else upper


def train(stem: str, asked: str, quantiles: list[float], limit: int, epochs: int, seed: int) -> Row:
    """One network with its band; `ALONE` leaves every strength at 0."""
    data, test = (open_data(f"{stem}_{part}.npz").labelled() for part in ("train_20k", "test_5k"))
    order = np.random.default_rng((seed, 99)).permutation(len(data))[:limit]
    assert data.labels is not None and test.labels is not None
    images, labels, batch = data.pixels(order), data.labels[order], 128
    steps = epochs * (limit // batch)
    policy = Policy.load(POLICIES[Path(stem).name])
    model = new_contrast(
        "resnet-tiny", policy, images.shape[-1], seed, precision=fast_precision(), return_params=True
    )
    controller = BandController(edges_of(asked, quantiles), OUTSIDE, warm_up=steps // 10)
    if asked == ALONE:
        controller.limits = 0.0, 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    logs, alike, spent, began = [], [], 0.0, time.process_time()
    for epoch in range(epochs):
        shuffled = np.random.default_rng((seed, epoch)).permutation(limit)
        for first in range(0, limit - batch + 1, batch):
            index = shuffled[first : first + batch]
            views, params = model.views(
                images[torch.from_numpy(index)], key=keys_of(seed, epoch, index), strength=controller.strength
            )
            loss, one, other = model.loss_of(views)
            before = time.process_time()
            logs.append({k: float(v) for k, v in controller.observe(one, other, params[0]).items()})
            spent += time.process_time() - before
            cosine = functional.cosine_similarity(one.detach(), other.detach())
            alike.append((cosine - controller.negative) / (1 - controller.negative))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    seconds = time.process_time() - began
    bank = labelled_subset(labels, 1000, seed)
    embed = lambda x: features(model.encoder, x, precision=model.precision)  # noqa: E731
    hits = knn_correct(embed(images[bank]), labels[bank], embed(test.pixels(range(len(test)))), test.labels)
    third = slice(-(steps // 3), None)
    mean = lambda key: round(float(np.mean([line[key] for line in logs[third]])), 4)  # noqa: E731
    return {
        "data": Path(stem).name, "policy": policy.name, "asked": asked, "seed": seed, "limit": limit, "epochs": epochs,
        "edges": [round(edge, 4) if math.isfinite(edge) else None for edge in controller.edges.tolist()],
        "below": mean("band_below"), "above": mean("band_above"), "similarity": mean("band_similarity"),
        "quantiles": torch.cat(alike[third]).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist(),
        "strengths": {b: round(logs[-1][f"band_strength {b}"], 2) for b in BINS},
        "knn": round(100 * float(hits.mean()), 2), "cpu_seconds": round(seconds, 1),
        "share of the time": round(spent / seconds, 4), "when": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def measure(stems: list[str], limit: int, epochs: int, seeds: int, jobs: int, out: Path) -> list[Row]:
    """Every line, from the file or trained now and appended as it comes."""
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    rows = [row for row in rows if (row["limit"], row["epochs"]) == (limit, epochs)]
    rows_by_key = {(row["data"], row["asked"], row["seed"]): row for row in rows}

    def keep(row: Row) -> Row:
        rows.append(row)
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print({k: row[k] for k in ("data", "asked", "seed", "below", "above", "knn")}, flush=True)
        return row

    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), start_worker) as pool:
        for seed in range(seeds):
            alone = {s: rows_by_key.get((Path(s).name, ALONE, seed)) for s in stems}
            watch = {
                s: pool.submit(train, s, ALONE, [], limit, epochs, seed) for s, r in alone.items() if not r
            }
            alone |= {s: keep(job.result()) for s, job in watch.items()}
            missing = [
                (s, a)
                for a in ASKED
                for s in stems
                if a != ALONE and (Path(s).name, a, seed) not in rows_by_key
            ]
            jobs_ = [
                pool.submit(train, s, a, (alone[s] or {})["quantiles"], limit, epochs, seed)
                for s, a in missing
            ]
            for job in jobs_:
                keep(job.result())
    return rows


# --- what it says -------------------------------------------------------------------------------------------
def held(row: Row) -> bool:
    """Whether each end that was asked for is passed by OUTSIDE of the pairs, within two points."""
    ends = zip(row["edges"], (row["below"], row["above"]), strict=True)
    return all(abs(share - OUTSIDE) <= _HELD for edge, share in ends if edge is not None)


def table(rows: list[Row]) -> list[str]:
    lines = ["| data, policy | asked | seeds | below | above | held | strengths at the end | kNN-20 | of the time |",
             "|" + "---|" * 9]  # fmt: skip
    for (data, policy, asked), group in grouped(rows).items():
        cells = []
        for end, side in enumerate(("below", "above")):
            shares = [100 * row[side] for row in group if row["edges"][end] is not None or asked == ALONE]
            cells.append(f"{min(shares):.1f} to {max(shares):.1f} %" if shares else "")
        strengths = [value for row in group for value in row["strengths"].values()]
        count = "" if asked == ALONE else f"{sum(map(held, group))} of {len(group)}"
        knn, spent = (np.array([row[key] for row in group]) for key in ("knn", "share of the time"))
        spread = f" ± {knn.std(ddof=1):.1f}" if len(group) > 1 else ""
        lines.append(f"| {data}, `{policy}` | {asked} | {len(group)} | {' | '.join(cells)} | {count} | "
                     f"{min(strengths):.2f} to {max(strengths):.2f} | {knn.mean():.1f}{spread} | "
                     f"{100 * spent.mean():.1f} % |")  # fmt: skip
    return lines


def grouped(rows: list[Row]) -> dict[tuple[str, str, str], list[Row]]:
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: (r["data"], ASKED.index(r["asked"]), r["seed"])):
        groups[row["data"], row["policy"], row["asked"]].append(row)
    return groups


def plot(rows: list[Row], out: Path) -> None:
    """Accuracy against what was asked, from the most alike pairs to the least, a panel for each data set."""
    names = list(dict.fromkeys(row["data"] for row in rows))
    figure, axes = plt.subplots(
        1, len(names), figsize=(5 * len(names), 3.4), layout="constrained", squeeze=False
    )
    requests = [asked for asked in ASKED if asked != OWN]
    for axis, name in zip(axes[0], names, strict=True):
        for place, asked in enumerate(requests):
            scores = [row["knn"] for row in rows if (row["data"], row["asked"]) == (name, asked)]
            axis.plot([place] * len(scores), scores, "o", color="#b8bcc2", ms=4)
            if scores:
                axis.plot(place, np.mean(scores), "o", ms=8, color="#c8553d" if asked == ALONE else "#0b6e99")
        axis.set_xticks(range(len(requests)), [asked.replace(", ", "\n") for asked in requests], fontsize=8)
        axis.set_title(f"{name}: kNN-20, %", fontsize=10, loc="left")
        axis.set_xlabel("more alike        pairs        less alike", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#dddddd", lw=0.6)
    figure.savefig(out, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="STEM", help="of STEM_train_20k.npz")
    parser.add_argument("--limit", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=output, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rows = measure(options.data, options.limit, options.epochs, options.seeds, options.jobs, options.out)
    print("\n".join(table(rows)))
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
