"""Pixels as levels: luma, averages of boxes, sums; the same numbers in OpenCV and in torch.

Luma is the integer (9798 R + 19235 G + 3735 B + 2^14) >> 15 of 8-bit levels (Rec. 601 weights). Sums are of whole
numbers: exact in any order, so equal on every device.
"""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F

from adaptaug.arrays import Array, larger, namespace

BLANK_STD = 2.0 / 255.0
LUMA = (0.299, 0.587, 0.114)
TOP, BOTTOM = 254.5 / 255.0, 0.5 / 255.0  # where rounding reaches 255 and 0
_LUMA_R, _LUMA_G, _LUMA_B, _LUMA_HALF, _LUMA_SHIFT = 9798, 19235, 3735, 1 << 14, 15


def luma_levels(pixels: Array) -> Array:
    """Integer luma levels. (H, W, 3) uint8 -> (H, W) uint8; (B, 3, H, W) float levels -> (B, H, W) float levels."""
    if isinstance(pixels, torch.Tensor):
        # Below 2^24, so float32 arithmetic on whole levels is exact. In place: a batch is slowed by memory alone.
        total = pixels[:, 0] * _LUMA_R
        total.add_(pixels[:, 1], alpha=_LUMA_G).add_(pixels[:, 2], alpha=_LUMA_B).add_(_LUMA_HALF)
        return total.mul_(2.0**-_LUMA_SHIFT).floor_()
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def every(pixels: Array, step: int) -> Array:
    """Every `step`-th pixel of an (H, W, 3) uint8 image or (B, C, H, W) levels, both ways."""
    if step == 1:
        return pixels
    if isinstance(pixels, torch.Tensor):
        height, width = pixels.shape[-2:]
        return pixels[:, :, : height // step * step : step, : width // step * step : step]
    height, width = pixels.shape[0] // step, pixels.shape[1] // step
    return cv2.resize(
        pixels[: height * step, : width * step], (width, height), interpolation=cv2.INTER_NEAREST
    )


def box_reduce(pixels: Array, factor: int) -> Array:
    """Average boxes of `factor` x `factor` pixels, rounded to levels; edges are repeated to fill the last box.

    (H, W[, 3]) uint8 with cv2, (B, C, H, W) float levels with avg_pool2d: the same numbers. An even factor halves
    first and rounds in between, which is within a level of the average and three times quicker.
    """
    if factor == 1:
        return pixels
    torch_like = isinstance(pixels, torch.Tensor)
    height, width = pixels.shape[-2:] if torch_like else pixels.shape[:2]
    below, right = -height % factor, -width % factor
    if below or right:
        if torch_like:
            pixels = F.pad(pixels, (0, right, 0, below), mode="replicate")
        else:
            pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    while factor % 2 == 0:
        pixels, factor = _average(pixels, 2), factor // 2
    return _average(pixels, factor) if factor > 1 else pixels


def _average(pixels: Array, factor: int) -> Array:
    """Whole boxes of 2 x 2 or an odd number of pixels. In odd ones no average lies between two levels."""
    if isinstance(pixels, torch.Tensor):
        return torch.floor(F.avg_pool2d(pixels, factor) + 0.5)
    size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
    if factor in (3, 5):  # all averages, and every third or fifth of them: as INTER_AREA, but quicker
        pixels = cv2.blur(pixels, (factor, factor), anchor=(0, 0))
        return cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def whole_sum(planes: torch.Tensor) -> torch.Tensor:
    """(B,) sums of (B, H, W) whole numbers of at most 255^2: exact, a row of up to 256 of them in float32 already."""
    rows = planes.sum(-1) if planes.shape[-1] <= 256 else planes.sum(-1, dtype=torch.float64)
    return rows.sum(-1, dtype=torch.float64)


def luma_moments(luma: Array) -> tuple[Array, Array]:
    """Mean and standard deviation in [0, 1] of (B, S, S) float or one (S, S) uint8 luma plane; exact sums."""
    total: Array
    square: Array
    if isinstance(luma, torch.Tensor):
        total, square = whole_sum(luma), whole_sum(luma * luma)
        count = luma.shape[1] * luma.shape[2]
    else:
        total, square = cv2.sumElems(luma)[0], cv2.norm(luma, cv2.NORM_L2SQR)
        count = luma.size
    mean = total / count
    return mean / 255.0, namespace(mean).sqrt(larger(square / count - mean * mean, 0.0)) / 255.0


def is_blank(pixels: Array) -> Array:
    """(B,) True where every channel's standard deviation is below 2/255; one truth for a single image."""
    if isinstance(pixels, torch.Tensor):
        flat = pixels.flatten(2)
        mean = flat.sum(-1, dtype=torch.float64) / flat.shape[-1]
        variance = (flat * flat).sum(-1, dtype=torch.float64) / flat.shape[-1] - mean * mean
        return (variance < (BLANK_STD * 255.0) ** 2).all(-1)
    _, std = cv2.meanStdDev(pixels)
    return bool((std < BLANK_STD * 255.0).all())
