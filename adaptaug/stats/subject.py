"""What tells glyphs, text and photographs apart, beside the statistics that `image.py` has: (B,) float64 each.

Counts and sums of whole levels of the luma at 256 px, so that the core (core/subject.c) has the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from adaptaug.backend.arrays import Array, arange
from adaptaug.stats.image import ImageStats

CELL, LEAST_RANGE = 8, 40  # px of the luma; levels between the darkest and the lightest of a cell that counts


def statistic(stats: ImageStats, name: str) -> Array:
    """(B,) a statistic of `policy.routes.RULED` by its name."""
    return _OWN[name](stats) if name in _OWN else getattr(stats, name)


def two_levels(histogram: Array) -> tuple[Array, Array]:
    """Otsu's two classes of (B, 256) counts: their share of the variance, 0 to 1, and the highest level of the lower.

    The criterion at a level with N of n pixels, of sum S, up to it is (n S - N S_all)^2 / (N (n - N)).
    """
    counts, levels = histogram.double(), arange(256, histogram)
    total, sums = counts.cumsum(-1), (counts * levels).cumsum(-1)
    every, whole = total[:, -1:], sums[:, -1:]
    both = total * (every - total)
    criterion = torch.where(both > 0, (every * sums - total * whole) ** 2 / both.clamp(min=1.0), 0.0)
    variance = every[:, 0] * (counts * levels**2).sum(-1) - whole[:, 0] ** 2
    most = criterion.amax(-1)
    first = torch.where(criterion == most[:, None], levels, 256.0).amin(-1)
    return torch.where(variance > 0, most / variance.clamp(min=1.0), 0.0), first


def separation(stats: ImageStats) -> Array:
    """How much two levels explain of the luma: variance between Otsu's classes over all of it, 0 to 1."""
    return two_levels(stats.histogram)[0]


def black(stats: ImageStats) -> Array:
    """Share of pixels of luma 0."""
    return stats.histogram[:, 0].double() / stats.histogram.sum(-1).double()


def ink(stats: ImageStats) -> Array:
    """Which side of its surroundings fine detail lies on, -1 (light) to 1 (dark).

    In each cell of 8 x 8 pixels with a range of 40 levels: how far the mean lies above the middle of the range. The sum
    of that over the sum of half the ranges; 0 without such a cell. Text is dark in few pixels of light cells.
    """
    luma = stats.luma[:, None].float()
    if min(luma.shape[-2:]) < CELL:
        return stats.mean * 0.0
    most, least = F.max_pool2d(luma, CELL), -F.max_pool2d(-luma, CELL)
    total = F.avg_pool2d(luma, CELL, divisor_override=1).double()  # whole numbers below 2^24
    middle, counted = (CELL**2 / 2) * (most + least).double(), most - least >= LEAST_RANGE
    ranges = torch.where(counted, (most - least).double(), 0.0).sum((1, 2, 3))
    above = torch.where(counted, total - middle, 0.0).sum((1, 2, 3))
    return above / (CELL**2 / 2 * ranges).clamp(min=1.0)


def strokes(stats: ImageStats) -> Array:
    """How many pieces of the rarer of two levels a row or column of pixels meets, of those that meet any: a glyph has
    one or two, text many. 0 where there is one level."""
    _, highest = two_levels(stats.histogram)
    luma = stats.luma
    lower = luma <= highest[:, None, None].to(luma.dtype)
    few = 2 * lower.sum((1, 2)) < luma.shape[1] * luma.shape[2]
    rare = lower == few[:, None, None]
    pieces = lines = torch.zeros_like(few, dtype=torch.int64)
    for axis in (1, 2):
        begins = rare.narrow(axis, 1, rare.shape[axis] - 1) & ~rare.narrow(axis, 0, rare.shape[axis] - 1)
        each = begins.sum(axis) + rare.select(axis, 0)
        pieces, lines = pieces + each.sum(-1), lines + (each > 0).sum(-1)
    flat = (stats.histogram > 0).sum(-1) < 2
    return torch.where(flat, 0.0, pieces.double() / lines.double().clamp(min=1.0))


_OWN: dict[str, Callable[[ImageStats], Array]] = {
    "levels": separation,
    "black": black,
    "ink": ink,
    "strokes": strokes,
}
