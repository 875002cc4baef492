"""By what, other than content, can two views be told to be of one image? No training; seconds.

    python -m benchmarks.shortcuts --data ../shared/data/cifar10_train_20k.npz \
        --out benchmarks/results/shortcuts/2-core-x86.json

For each policy, how often a view's partner is nearer than a view of another image, by nothing but luma (mean and
deviation), or by nothing but colour (mean and deviation of I and Q): 50 % is chance, and what is above it a network may
learn instead of content. On the data as they are and in mixed exposure (`benchmarks.shifts`).
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch

from adaptaug import AdaptiveAugment
from adaptaug.data import open_data
from benchmarks.rivals import policy_of
from benchmarks.schema import output, today
from benchmarks.shifts import YIQ, expose

POLICIES = ("simclr-cifar", "hand s=1 crop=0.08", "guards only", "targets without guards", "clip .05", "natural",
            "natural, grey .4", "natural, colour s=1")  # fmt: skip


def statistics_of(views: torch.Tensor) -> dict[str, torch.Tensor]:
    """(N, 3, S, S) uint8 -> what a shortcut could use: (N, 2) of luma, (N, 4) of colour."""
    planes = torch.einsum("ij,njk->nik", torch.from_numpy(YIQ).float(), views.flatten(2).float() / 255)
    moments = torch.cat([planes.mean(2), planes.std(2)], 1)
    return {"luma": moments[:, [0, 3]], "colour": moments[:, [1, 2, 4, 5]]}


def told_apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Percent of (view, other image's view) in which the own partner is the nearer one; ties count half."""
    both = torch.cat([one, other])
    one, other = ((part - both.mean(0)) / (both.std(0) + 1e-6) for part in (one, other))
    distance = torch.cdist(one, other)
    own = distance.diagonal()[:, None]
    nearer = (distance > own).float() + 0.5 * (distance == own).float()
    count = len(one)
    return 100 * float((nearer.sum() - 0.5 * count) / (count * (count - 1)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--policies", nargs="*", default=POLICIES)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--out", type=output, required=True)
    options = parser.parse_args()
    data = open_data(options.data)
    index = np.arange(min(options.images, len(data)))
    pixels = data.pixels(index, None if data.same_size else 96)
    keys = np.stack([np.zeros_like(index), np.zeros_like(index), index], 1)
    rows = []
    for exposure in ("clean", "mixed"):
        images = expose(pixels, index, exposure)
        for name in options.policies:
            policy = policy_of(name)
            assert policy is not None
            make = AdaptiveAugment(policy, int(images.shape[-1]))
            one, other = (statistics_of(make(images, key=keys, view=view)) for view in (0, 1))
            shares = {kind: round(told_apart(one[kind], other[kind]), 1) for kind in one}
            rows.append({"exposure": exposure, "policy": name, **shares})
            print(rows[-1])
    command = f"python -m benchmarks.shortcuts --data {options.data} --images {options.images}"
    options.out.write_text(
        json.dumps({"measured": today(), "command": command, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
