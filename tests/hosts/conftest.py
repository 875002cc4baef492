from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.hosts import loop

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


@pytest.fixture(scope="session")
def coffee(photographs) -> np.ndarray:
    """(48, 64, 3) uint8."""
    return np.ascontiguousarray(photographs["coffee"][40:328:6, 60:444:6])


@pytest.fixture(scope="session")
def folder(coffee, tmp_path_factory) -> Path:
    """Two class folders with one photograph COUNT times."""
    root = tmp_path_factory.mktemp("photos")
    for i in range(loop.COUNT):
        path = root / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(coffee).save(path)
    return root
