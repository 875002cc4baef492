"""The similarity band: what pairs are like without one, how well one is held, its cost, and what an encoder says.

    python -m benchmarks.band --data ../shared/data --run RUN --out benchmarks/results/band/2-core-x86.json

RUN is the folder of a pretraining run on CIFAR-10, whose encoder's similarity of the same pairs is compared.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional

import adaptaug
from adaptaug.data import open_data
from adaptaug.encoders.backbone import load_backbone
from adaptaug.pipeline import band as bands
from adaptaug.stats import similarity as measures
from benchmarks.schema import output, today

BANDS = ((0.0, 0.6), (0.2, 0.7), (0.4, 0.9))


def photographs(data: Path, count: int, side: int) -> torch.Tensor:
    """(N, 3, side, side) uint8, ordinary and hard ones."""
    files = sorted((data / "photos" / "exposure").glob("*.jpg"))[:count]
    images = [adaptaug.decode(f.read_bytes()) for f in files]
    images = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def pairs(
    images: torch.Tensor, policy: adaptaug.Policy, size: int, epochs: int
) -> tuple[np.ndarray, list[Any], float]:
    """Similarity of all pairs, the views, and milliseconds a pair."""
    views, alike, batches = adaptaug.Views(policy, size=size, finish="unit"), [], []
    started = time.perf_counter()
    for epoch in range(epochs):
        batches.append(views(images, key=[(0, epoch, i) for i in range(len(images))]))
    took = 1000 * (time.perf_counter() - started) / (epochs * len(images))
    for first, second in batches:
        alike.append(measures.similarity(first * 255, second * 255).numpy())
    return np.concatenate(alike), batches, took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--run")
    parser.add_argument("--policy", default="natural")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    policy = adaptaug.Policy.load(options.policy)
    cifar = open_data(Path(options.data) / "cifar10_train_20k.npz")
    sets = {"CIFAR-10, 32 px": (cifar.pixels(range(options.images)), 32),
            "photographs, 96 px": (photographs(Path(options.data), options.images, 192), 96)}  # fmt: skip
    rows: list[dict[str, Any]] = []
    for name, (images, size) in sets.items():
        alike, batches, base = pairs(images, policy, size, options.epochs)
        first, second = (torch.cat([pair[i] for pair in batches]) for i in (0, 1))
        apart = measures.similarity(first * 255, second.roll(1, 0) * 255).numpy()
        row = {"data": name, "pairs": len(alike), "quantiles": np.quantile(alike, (0.1, 0.5, 0.9)).round(3).tolist(),
               "different images": round(float(apart.mean()), 3), "ms": round(base, 3)}  # fmt: skip
        if options.run and size == 32:
            backbone = load_backbone(options.run)
            with torch.no_grad():
                z = [functional.normalize(backbone(v), dim=1) for v in (first, second)]
            row["spearman with the encoder"] = round(
                float(spearmanr(alike, (z[0] * z[1]).sum(1)).statistic), 3
            )
        rows.append(row)
        print(row, flush=True)
        for low, high in BANDS:
            held, _, took = pairs(images, policy.edit(band=(low, high)), size, options.epochs)
            before, inside = ((x >= low - 1e-3) & (x <= high + 1e-3) for x in (alike, held))
            row = {"data": name, "band": [low, high], "inside before": round(float(before.mean()), 4),
                   "inside": round(float(inside.mean()), 4), "cost": round(took / base, 2)}  # fmt: skip
            rows.append(row)
            print(row, flush=True)
    if options.out:
        flags = f"{'--run RUN ' if options.run else ''}--images {options.images} --epochs {options.epochs}"
        result = {"measured": today(), "command": f"python -m benchmarks.band --data ../shared/data {flags}",
                  "policy": options.policy,
                  "candidates": bands.CANDIDATES, "torch": torch.__version__, "rows": rows}  # fmt: skip
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
