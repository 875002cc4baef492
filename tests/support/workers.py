"""A data set for DataLoader's workers, in which draws are all that differs."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch.utils.data import Dataset

import adaptaug

ITEMS, SIZE = 8, 32


class Same(Dataset[Any]):
    """One image, many times: two views differ only if their draws do. At module level for spawn."""

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return np.random.default_rng(0).integers(40, 216, (SIZE, SIZE, 3), dtype=np.uint8), index


def keyed(seed: int = 3) -> adaptaug.Keyed:
    return adaptaug.Keyed(Same(), adaptaug.Views("natural", size=SIZE, finish="uint8"), seed=seed)
