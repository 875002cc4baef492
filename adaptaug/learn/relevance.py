"""What each operation does to an encoder's view of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from adaptaug.learn.space import DIMENSIONS
from adaptaug.policy import Policy
from adaptaug.simclr.metrics import features
from adaptaug.views import AdaptiveAugment


@dataclass(frozen=True)
class Relevance:
    """Of one dimension at half strength.

    `moved`: mean cosine distance between an image's features and its view's; near 0, the operation does
    nothing here. `crossed`: share of views whose nearest clean neighbour has another label than the image's own
    nearest neighbour's share; much above 0 at half strength, the operation changes what the image is.
    """

    name: str
    moved: float
    crossed: float


def relevance(
    encoder: nn.Module, images: torch.Tensor, labels: np.ndarray, size: int,
    seed: int = 0, precision: torch.dtype | None = None,
) -> list[Relevance]:  # fmt: skip
    """Apply each dimension alone, unguarded, at half its reach, to uint8 images (N, 3, H, W)."""

    def embed(views: torch.Tensor) -> torch.Tensor:
        return functional.normalize(features(encoder, views, precision=precision), dim=1)

    identity = AdaptiveAugment(_only({}), size=size)
    keys = [(seed, 0, i) for i in range(len(images))]
    clean = embed(identity(images, key=keys))
    labels = np.asarray(labels)

    def missed(points: torch.Tensor) -> float:
        similar = points @ clean.T
        similar.fill_diagonal_(-2)  # its own clean image is no neighbour
        return float((labels[similar.argmax(1).numpy()] != labels).mean())

    at_rest, out = missed(clean), []
    for dimension in (d for d in DIMENSIONS if d.alone):
        half = dimension.none + 0.5 * (dimension.far - dimension.none)
        if dimension.chance:  # half a probability is not half a strength: the operation as it is
            half = 1.0
        view = embed(AdaptiveAugment(_only(dimension.change(half)), size=size)(images, key=keys))
        moved = float((1 - (view * clean).sum(1)).mean())
        out.append(Relevance(dimension.name, moved, missed(view) - at_rest))
    return out


def inert(images: torch.Tensor, size: int, seed: int = 0) -> list[str]:
    """Names of the dimensions that change no pixel of these uint8 images (N, 3, H, W), such as colour on grey data."""
    keys = [(seed, 0, i) for i in range(len(images))]
    clean = AdaptiveAugment(_only({}), size=size)(images, key=keys).float()
    out = []
    for dimension in (d for d in DIMENSIONS if d.alone):
        view = AdaptiveAugment(_only(dimension.change(dimension.far)), size=size)(images, key=keys).float()
        if (view - clean).abs().mean() < 0.5:  # rounding, in levels of 255
            out.append(dimension.name)
    return out


def _only(changes: dict[str, Any]) -> Policy:
    return Policy.parse({
        "version": 1, "name": "one", "guards": False,
        "operations": {k: {**v, "p": 1.0} for k, v in changes.items() if v is not None},
    })  # fmt: skip
