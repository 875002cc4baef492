"""Pixels as levels: luma, averages of boxes, sums.

Luma is the integer (9798 R + 19235 G + 3735 B + 2^14) >> 15 of 8-bit levels (Rec. 601 weights). Sums are of whole
numbers: exact in any order, so equal on every device and in the core.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

BLANK_STD = 2.0 / 255.0
LUMA = (0.299, 0.587, 0.114)
TOP, BOTTOM = 254.5 / 255.0, 0.5 / 255.0  # where rounding reaches 255 and 0
_LUMA_R, _LUMA_G, _LUMA_B, _LUMA_HALF, _LUMA_SHIFT = 9798, 19235, 3735, 1 << 14, 15


def luma_levels(pixels: torch.Tensor) -> torch.Tensor:
    """Whole luma levels: (B, 3, H, W) float levels -> (B, H, W) float levels."""
    # Below 2^24, so float32 arithmetic on whole levels is exact. In place: a batch is slowed by memory alone.
    total = pixels[:, 0] * _LUMA_R
    total.add_(pixels[:, 1], alpha=_LUMA_G).add_(pixels[:, 2], alpha=_LUMA_B).add_(_LUMA_HALF)
    return total.mul_(2.0**-_LUMA_SHIFT).floor_()


def every(pixels: torch.Tensor, step: int) -> torch.Tensor:
    """Every `step`-th pixel of (B, C, H, W) levels, both ways."""
    if step == 1:
        return pixels
    height, width = pixels.shape[-2:]
    return pixels[:, :, : height // step * step : step, : width // step * step : step]


def box_reduce(pixels: torch.Tensor, factor: int) -> torch.Tensor:
    """Average boxes of `factor` x `factor` pixels of (B, C, H, W) levels, rounded; edges fill the last box.

    An even factor halves first and rounds in between, which is within a level of the average and three times quicker.
    """
    if factor == 1:
        return pixels
    height, width = pixels.shape[-2:]
    below, right = -height % factor, -width % factor
    if below or right:
        pixels = F.pad(pixels, (0, right, 0, below), mode="replicate")
    while factor % 2 == 0:
        pixels, factor = _average(pixels, 2), factor // 2
    return _average(pixels, factor) if factor > 1 else pixels


def _average(pixels: torch.Tensor, factor: int) -> torch.Tensor:
    """Whole boxes of 2 x 2 or an odd number of pixels. In odd ones no average lies between two levels."""
    return torch.floor(F.avg_pool2d(pixels, factor) + 0.5)


def whole_sum(planes: torch.Tensor) -> torch.Tensor:
    """(B,) sums of (B, H, W) whole numbers of at most 255^2: exact, a row of up to 256 of them in float32 already."""
    rows = planes.sum(-1) if planes.shape[-1] <= 256 else planes.sum(-1, dtype=torch.float64)
    return rows.sum(-1, dtype=torch.float64)


def luma_moments(luma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation in [0, 1] of (B, S, S) luma planes; exact sums."""
    total, square = whole_sum(luma), whole_sum(luma * luma)
    count = luma.shape[1] * luma.shape[2]
    mean = total / count
    return mean / 255.0, torch.sqrt((square / count - mean * mean).clamp(min=0.0)) / 255.0


def is_blank(pixels: torch.Tensor) -> torch.Tensor:
    """(B,) True where every channel's standard deviation is below 2/255."""
    flat = pixels.flatten(2)
    mean = flat.sum(-1, dtype=torch.float64) / flat.shape[-1]
    variance = (flat * flat).sum(-1, dtype=torch.float64) / flat.shape[-1] - mean * mean
    return (variance < (BLANK_STD * 255.0) ** 2).all(-1)
