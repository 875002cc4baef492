"""The strict band: how well a frozen encoder's band is held, and what it costs.

    python -m benchmarks.judge --data ../shared/data/cifar10_train_20k.npz --judge RUN --out R.json

RUN is the folder of a pretraining run. Band: what holds the middle 80 % of the pairs without one, then the middle half.
Times are medians of interleaved repeats, one thread: a batch's pairs without a band, with the band of the views' own
likeness, with the judge's; and a training step of resnet-tiny.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

import adaptaug
from adaptaug.data import open_data
from adaptaug.encoders.likeness import Judge
from adaptaug.simclr.contrast import new_contrast
from benchmarks.schema import output, today

BATCH = 64


def medians(tasks: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Milliseconds of each, run in turns."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for repeat in range(repeats + 1):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            if repeat:  # the first warms up
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: round(statistics.median(series), 2) for name, series in times.items()}


def alike(judge: Judge, policy: adaptaug.Policy, images: torch.Tensor, size: int) -> np.ndarray:
    """The judge's similarity of the pairs of all images, kept in the policy's band if it has one."""
    holding = None if policy.band is None else judge
    make, shares = adaptaug.Views(policy, size=size, finish="none", judge=holding), []
    for first in range(0, len(images), BATCH):
        part = images[first : first + BATCH]
        shares.append(
            judge(*(v.float() for v in make(part, key=[(0, 0, first + i) for i in range(len(part))])))
        )
    return torch.cat(shares).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--policy", default="natural")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = open_data(options.data)
    images = data.pixels(range(options.images))
    size, policy = images.shape[-1], adaptaug.Policy.load(options.policy)
    judge = Judge(options.judge, images)
    before = alike(judge, policy, images, size)
    rows: list[dict[str, Any]] = []
    for share in (0.8, 0.5):
        low, high = (float(q) for q in np.quantile(before, (0.5 - share / 2, 0.5 + share / 2)))
        banded = policy.edit(band=(round(low, 3), round(high, 3)))
        after = alike(judge, banded, images, size)
        inside = [float(np.mean((x >= low - 2e-3) & (x <= high + 2e-3))) for x in (before, after)]
        rows.append(
            {"band": banded.band, "inside before": round(inside[0], 3), "inside": round(inside[1], 3)}
        )
        print(rows[-1], flush=True)
    part, keys = images[:BATCH], [(0, 0, i) for i in range(BATCH)]
    model = new_contrast("resnet-tiny", policy, size, 0)
    pairs_by_name = {
        "no band": adaptaug.Views(policy, size=size),
        "band, views' own likeness": adaptaug.Views(policy.edit(band=(0.2, 0.7)), size=size),
        "band, judge": adaptaug.Views(banded, size=size, judge=judge),
    }
    tasks: dict[str, Callable[[], Any]] = {
        name: partial(views, part, key=keys) for name, views in pairs_by_name.items()
    }
    views = pairs_by_name["no band"](part, key=keys)
    tasks["forward and backward, resnet-tiny"] = lambda: model.loss_of(views)[0].backward()
    times = medians(tasks, options.repeats)
    print(times)
    if options.out:
        result = {"measured": today(),
                  "command": f"python -m benchmarks.judge --data {options.data} --judge RUN --images {options.images}",
                  "policy": policy.name, "batch": BATCH, "size": size, "torch": torch.__version__, "apart": judge.apart,
                  "rows": rows, "ms a batch": times}  # fmt: skip
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
