"""Does the controller hold a band while a network learns, what does it cost, and where does accuracy peak?

    python -m benchmarks.controller --data ../shared/data/cifar10 ../shared/data/mnist --out R.json

For each data set the hand policy trains once while the controller only watches; its warm-up's 10th and 90th percentile
of similarity are the reference. Then, from equal seeds, floors above and ceilings below them are asked for, each to be
exceeded by 10 % of the pairs, and the policy's own band (both ends). Told: the shares in the last third of the steps,
kNN-20 on the test split, and the controller's part of a step's time.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch

from adaptaug.controller import BINS, BandController
from adaptaug.data import open_data
from adaptaug.learn.arms import keys_of
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.encoders import fast_precision
from adaptaug.simclr.evaluate import features, knn_correct, labelled_subset

POLICIES = {"cifar10": "simclr-cifar", "mnist": "digits"}


def train(stem: str, name: str, band: tuple | None, limit: int, epochs: int, seed: int, watch: bool) -> dict:
    """One network with its band; `watch` leaves every strength at 0."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    data, test = open_data(f"{stem}_train_20k.npz"), open_data(f"{stem}_test_5k.npz")
    order = np.random.default_rng((seed, 99)).permutation(len(data))[:limit]
    images, labels = data.pixels(order), data.labels[order]
    batch = 128
    steps = epochs * (limit // batch)
    policy = Policy.load(POLICIES[Path(stem).name])
    model = new_contrast(
        "resnet-tiny", policy, images.shape[-1], seed, precision=fast_precision(), return_params=True
    )
    controller = BandController(band, warm_up=steps // 10, limit=0.0 if watch else 2.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    told, spent, began = [], 0.0, time.perf_counter()
    for epoch in range(epochs):
        shuffled = np.random.default_rng((seed, epoch)).permutation(limit)
        for first in range(0, limit - batch + 1, batch):
            index = shuffled[first : first + batch]
            views, params = model.views(
                images[torch.from_numpy(index)], key=keys_of(seed, epoch, index), strength=controller.strength
            )
            loss, one, other = model.loss_of(views)
            before = time.perf_counter()
            told.append({k: float(v) for k, v in controller.observe(one, other, params[0]).items()})
            spent += time.perf_counter() - before
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    seconds = time.perf_counter() - began
    known = labelled_subset(labels, 1000, seed)
    embed = lambda x: features(model.encoder, x, precision=model.precision)  # noqa: E731
    hits = knn_correct(embed(images[known]), labels[known], embed(test.pixels(range(len(test)))), test.labels)
    last = told[-steps // 3 :]
    mean = lambda key: round(float(np.mean([line[key] for line in last])), 4)  # noqa: E731
    return {
        "data": Path(stem).name, "policy": policy.name, "name": name, "seed": seed, "watch": watch,
        "edges": [round(edge, 3) if math.isfinite(edge) else None for edge in controller.edges.tolist()],
        "below": mean("band_below"), "above": mean("band_above"), "similarity": mean("band_similarity"),
        "strengths": {b: round(told[-1][f"band_strength {b}"], 2) for b in BINS},
        "knn": round(100 * float(hits.mean()), 2), "seconds": round(seconds, 1),
        "share of the time": round(spent / seconds, 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--limit", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    common, rows = (options.limit, options.epochs), []
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for seed in range(options.seeds):
            watched = [
                pool.submit(train, stem, "policy as it is", None, *common, seed, True)
                for stem in options.data
            ]
            jobs = []
            for stem, future in zip(options.data, watched, strict=True):
                rows.append(future.result())
                low, high = rows[-1]["edges"]
                asked = {"own band": None}
                asked |= {f"floor +{d:g}": (round(low + d, 3), None) for d in (0.1, 0.25)}
                asked |= {f"ceiling -{d:g}": (None, round(high - d, 3)) for d in (0.05, 0.15)}
                jobs += [pool.submit(train, stem, n, b, *common, seed, False) for n, b in asked.items()]
            rows += [job.result() for job in jobs]
    command = f"python -m benchmarks.controller --data {' '.join(options.data)} --limit {options.limit} "
    command += f"--epochs {options.epochs} --seeds {options.seeds}"
    options.out.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
