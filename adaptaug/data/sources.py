"""Where a data set's pixels lie: an array, image files; tar shards are in `shards.py`, others' sets in `libraries.py`.

A source gives `source[i]`, (H, W, 3) uint8, and `source.raw(i)`, bytes that stand for the item in a fingerprint.
Reading in any order and from any process is what makes a killed run go on at its exact image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adaptaug.backend.reading import content
from adaptaug.data.depth import AUTO, Range, to_levels
from adaptaug.data.files import MAX_PIXELS, open_image
from adaptaug.data.sidecars import is_sidecar
from adaptaug.errors import AdaptAugError


class Source(ABC):
    """Images by number. `same_size`: whether all are known to have one size; `range`: of those deeper than 8 bits."""

    same_size = False
    range: Range = AUTO

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> np.ndarray: ...

    @abstractmethod
    def raw(self, index: int) -> bytes: ...


class Opened(NamedTuple):
    """A source with what is known of its images; `labels` as `labels.Labels`, with what is to be said of them.

    `left_out`: a sentence, where anything was.
    """

    source: Source
    names: list[str]
    labels: np.ndarray | None = None
    class_names: list[str] = []  # noqa: RUF012 - never changed
    about_labels: str = ""
    left_out: str = ""


# --- arrays -------------------------------------------------------------------------------------------------
class Array(Source):
    """(N, H, W[, 3]) uint8, or deeper."""

    same_size = True

    def __init__(self, pixels: np.ndarray):
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> np.ndarray:
        image = to_levels(self.pixels[index], self.range)
        return np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else np.ascontiguousarray(image)

    def raw(self, index: int) -> bytes:
        return bytes(self.pixels[index].tobytes())


# --- files --------------------------------------------------------------------------------------------------
class Files(Source):
    """Image files."""

    def __init__(self, paths: list[Path], max_pixels: int = MAX_PIXELS):
        self.paths, self.max_pixels = paths, max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(open_image(self.paths[index], self.max_pixels, self.range))

    def raw(self, index: int) -> bytes:
        return content(self.paths[index])


# --- what the others share ----------------------------------------------------------------------------------
def files_of(folder: Path, suffix: str) -> list[Path]:
    """Those of a kind that lie in a folder, sorted, without what other systems put there (`._train-000.tar`)."""
    return sorted(file for file in folder.glob(f"*{suffix}") if not is_sidecar(file.name))


def needs(module: str, extra: str) -> Any:
    """A module of an extra. Raises: AdaptAugError: it is not installed."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise AdaptAugError(
            f"this needs {module.partition('.')[0]}, which is not installed: pip install 'adaptaug[{extra}]'."
        ) from None
