"""CIFAR-10 as `pack` carries it: all 60,000 images as JPEG bytes (../shared/data/README.md)."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from adaptaug.errors import AdaptAugError
from benchmarks.gpu.pack import CIFAR
from benchmarks.protocol import Sealed


@dataclass(frozen=True)
class Cifar:
    """Images (N, 3, 32, 32) uint8 on the device and their labels; the test split is sealed until the end."""

    train: torch.Tensor
    labels: np.ndarray
    test: Sealed


@lru_cache(maxsize=1)
def cifar(folder: Path, limit: int, device: torch.device) -> Cifar:
    """Up to `limit` images of each split. Raises: AdaptAugError: the pack is not there."""
    file = folder / CIFAR
    if not file.exists():
        raise AdaptAugError(
            f"{file}: expected the images, got nothing; `python -m benchmarks.gpu pack` puts them there."
        )
    with np.load(file, allow_pickle=False) as pack:
        data, offsets, labels, is_train = (pack[name] for name in ("data", "offsets", "y", "is_train"))
    # The file is ordered by class: a fixed order for the first `limit`, the whole set where that is all.
    order = np.random.default_rng(0).permutation(len(labels))
    parts = [order[is_train[order] == flag][:limit] for flag in (1, 0)]

    def image(index: int) -> np.ndarray:
        return np.asarray(
            Image.open(io.BytesIO(data[offsets[index] : offsets[index + 1]].tobytes())).convert("RGB")
        )

    with ThreadPoolExecutor() as pool:
        pixels = [
            torch.from_numpy(np.stack(list(pool.map(image, part))))
            .permute(0, 3, 1, 2)
            .contiguous()
            .to(device)
            for part in parts
        ]
    return Cifar(pixels[0], labels[parts[0]], Sealed(pixels[1], labels[parts[1]]))
