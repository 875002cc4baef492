"""Brightness decides: what `natural` does to the tone of dark, bright and ordinary photographs, and a hand policy.

python -m benchmarks.tone --data ../shared/data --out benchmarks/results/tone/2-core-x86.json
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import cv2
import numpy as np
import torch

import adaptaug
from adaptaug.promise.checker import luma
from benchmarks.judging import gather_sources
from benchmarks.schema import output, today

KINDS = ("dark", "dark_lowcontrast", "highkey", "normal")


def tones(images: list[np.ndarray], policy: str, keys: int, size: int = 96) -> np.ndarray:
    """(N, 5): luma mean of source, view and safe crop, luma std of view and safe crop."""
    augment = adaptaug.AdaptiveAugment(policy, size=size)
    out = []
    for i, image in enumerate(images):
        source = float(adaptaug.measure(image).mean[0])
        for k in range(keys):
            params = augment.plan(image, key=(11, 0, i * keys + k))
            planes = luma(
                np.stack([adaptaug.render(image, params), adaptaug.render(image, params.safe_crop())])
            )
            out.append([source, *planes.mean(1), *planes.std(1)])
    return np.array(out)


def describe(rows: np.ndarray) -> dict[str, float]:
    source, view, crop, view_std, crop_std = rows.T
    dark, bright = source < 0.25, source > 0.75
    log_contrast = np.log(np.maximum(view_std, 1e-3) / np.maximum(crop_std, 1e-3))
    return {
        "views": len(rows),
        "of dark sources": int(dark.sum()),
        "darker than their crop": int((view < crop - 1 / 255)[dark].sum()),
        "of bright sources": int(bright.sum()),
        "brighter than their crop": int((view > crop + 1 / 255)[bright].sum()),
        "mean, 10 %": round(float(np.quantile(view, 0.1)), 3),
        "mean, 90 %": round(float(np.quantile(view, 0.9)), 3),
        "spread of mean shift": round(float(np.std(view - crop)), 4),
        "spread of log contrast": round(float(np.std(log_contrast)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--keys", type=int, default=20, help="views of each photograph")
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    sources = gather_sources(options.data, 400)
    result: dict[str, Any] = {
        kind: {p: describe(tones(sources[kind], p, options.keys)) for p in ("natural", "simclr-cifar")}
        for kind in KINDS
    }
    for kind, policies in result.items():
        for policy, numbers in policies.items():
            print(f"{kind:<18}{policy:<14}{numbers}")
    if options.out:
        result["measured"] = today()
        result["command"] = (
            f"python -m benchmarks.tone --data {options.data} --keys {options.keys} --out {options.out}"
        )
        options.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
