"""What colours are like: their cast, their deviation about it, how far they are from grey. Both engines' formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from adaptaug.backend.arrays import Array, larger
from adaptaug.backend.levels import LUMA

AXES = ((1.0, -1.0, 0.0), (0.5, 0.5, -1.0))  # chroma: red against green, yellow against blue


class Colouring(NamedTuple):
    """(B,) each. `rg` and `yb`: mean chroma, the cast; `std`: deviation of both together about the cast, which is taken
    to grow with luma as light does. All three over mean luma. `chroma`: root mean square distance from grey in [0, 1].
    """

    rg: Array
    yb: Array
    std: Array
    chroma: Array


def colouring(
    mean: Array, covariance: Array, matrix: Array | None = None, offset: Array | float = 0.0
) -> Colouring:
    """Of colours with these means (B, 3) and covariances (B, 3, 3), after a map of RGB (B, 3, 3) and a grey offset."""

    def through(weights: Sequence[float]) -> list[Any]:
        """Weights of the mapped channels as weights of the colours' own; term by term, as `arrays.product`."""
        if matrix is None:
            return list(weights)
        return [sum(matrix[:, i, j] * weights[i] for i in range(3)) for j in range(3)]

    def average(weights: list[Any]) -> Array:
        return sum(weights[i] * mean[:, i] for i in range(3))

    def variance(weights: list[Any]) -> Array:
        return larger(
            sum(weights[i] * weights[j] * covariance[:, i, j] for i in range(3) for j in range(3)), 0.0
        )

    luma = through(LUMA)
    level = larger(average(luma) + offset, 1e-6)
    casts: list[Array] = []
    squares: Array = 0.0
    about: Array = 0.0
    for axis in map(through, AXES):
        casts.append(average(axis) / level)
        squares = squares + average(axis) ** 2 + variance(axis)
        about = about + variance([own - casts[-1] * share for own, share in zip(axis, luma, strict=True)])
    return Colouring(casts[0], casts[1], torch.sqrt(about) / level, torch.sqrt(squares))
