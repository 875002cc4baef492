"""How alike the two views of a pair are: on their pixels, and to a trained encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from adaptaug.data.files import printable
from adaptaug.stats.similarity import similarity

Pixels = list[tuple[np.ndarray, np.ndarray]]  # pairs of (S, S, 3) uint8


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: views are small, and where a machine is busy, its threads wait for each other.

    Measured on 2 busy cores: 270 ms for the similarities of 6 pairs with two threads, 1.5 ms with one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def alike(pairs: Pixels) -> list[float]:
    """The similarity of each pair, measured on its pixels without a network: 1 is the same view."""
    return similarity(_levels(pairs, 0), _levels(pairs, 1)).tolist() if pairs else []


def _levels(pairs: Pixels, side: int) -> torch.Tensor:
    """(B, 3, S, S) float levels of one side."""
    views = np.stack([pair[side] for pair in pairs]).transpose(0, 3, 1, 2)
    return torch.from_numpy(views.astype(np.float32))


class Backbone:
    """The cosine of an encoder's features, and the name to call it by.

    Args: checkpoint, normalise, trust_pickle: as `load_backbone` takes them. Raises: AdaptAugError: it cannot.
    """

    def __init__(self, checkpoint: str, normalise: str | None = None, trust_pickle: bool = False):
        from adaptaug.encoders.backbone import load_backbone

        self._encoder = load_backbone(checkpoint, normalise, trust_pickle=trust_pickle)
        report = self._encoder.report
        arch = f"{report.arch}, " if report else ""
        self.name = f"{printable(Path(checkpoint).name)} ({arch}{self._encoder.width} features)"

    def of(self, pairs: Pixels) -> list[float]:
        """One cosine a pair."""
        if not pairs:
            return []
        with torch.inference_mode():
            one, other = (self._encoder(_levels(pairs, side) / 255.0) for side in (0, 1))
        return torch.nn.functional.cosine_similarity(one, other).tolist()
