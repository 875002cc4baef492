"""How alike the two views of a pair are: on their pixels, and to a trained encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from adaptaug.data.files import printable
from adaptaug.stats.similarity import similarity

Pixels = list[tuple[np.ndarray, ...]]  # two or more (S, S, 3) uint8 of each key


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
    """The similarity of each pair, measured on its pixels without a network: 1 is the same view. Of more than two, the
    mean of the first's with each other one, as a policy's band takes it."""
    if not pairs:
        return []
    first = _levels(pairs, 0)
    others = [similarity(first, _levels(pairs, side)) for side in range(1, len(pairs[0]))]
    return torch.stack(others).mean(0).tolist()


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

    def features(self, images: np.ndarray) -> torch.Tensor:
        """(B, S, S, 3) uint8 -> (B, F)."""
        with torch.inference_mode():
            return self._encoder(torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)) / 255.0)

    def of(self, pairs: Pixels) -> list[float]:
        """One cosine a pair, as `alike`."""
        if not pairs:
            return []
        first, *others = (
            self.features(np.stack([pair[side] for pair in pairs])) for side in range(len(pairs[0]))
        )
        cosine = torch.nn.functional.cosine_similarity
        return torch.stack([cosine(first, other) for other in others]).mean(0).tolist()
