"""Pixels of a crop -> statistics: round two, how it looks as rendered at the view's size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from adaptaug.arrays import Array, clamp, extremes, larger, namespace, number
from adaptaug.lazy import cached_property
from adaptaug.levels import BOTTOM, LUMA, TOP, luma_moments, whole_sum

SAMPLE_GRID = 16  # a crop's colours are sampled on a grid of this many points a side


@dataclass(frozen=True)
class CropStats:
    """Statistics of crops as rendered at the view's size, each worked out when it is first asked for.

    Stored: `pixels`, (B, 3, S, S) float levels or (S, S, 3) uint8, and `luma`, their levels. Of a single image the
    statistics are plain numbers, but for `samples`.
    """

    pixels: Array
    luma: Array

    def rows(self, index: torch.Tensor) -> CropStats:
        """The statistics of some of a batch's crops."""
        return CropStats(self.pixels[index], self.luma[index])

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """(B,) mean and standard deviation of luma in [0, 1] over all pixels."""
        return luma_moments(self.luma)

    @cached_property
    def mean(self) -> Array:
        """(B,) mean of luma in [0, 1] over all pixels."""
        return self.moments[0]

    @cached_property
    def std(self) -> Array:
        """(B,) standard deviation of luma in [0, 1] over all pixels."""
        return self.moments[1]

    @cached_property
    def step(self) -> Array:
        """(B,) mean squared luma difference of horizontal and vertical neighbours."""
        luma, size = self.luma, self.luma.shape[-1]
        if isinstance(luma, torch.Tensor):
            right, below = luma[:, :, 1:] - luma[:, :, :-1], luma[:, 1:, :] - luma[:, :-1, :]
            total: Array = whole_sum(right * right) + whole_sum(below * below)
        else:
            total = cv2.norm(luma[:, 1:], luma[:, :-1], cv2.NORM_L2SQR)
            total += cv2.norm(luma[1:], luma[:-1], cv2.NORM_L2SQR)
        return total / (2 * size * (size - 1) * 255.0**2)

    @cached_property
    def samples(self) -> Array:
        """(B, 3, N) RGB in [0, 1] on a grid of 16 x 16 pixels, or up to twice as many a side."""
        return self._sampled / 255.0

    @cached_property
    def _sampled(self) -> Array:
        """The samples in levels."""
        stride = max(1, self.luma.shape[-1] // SAMPLE_GRID)
        if isinstance(self.pixels, torch.Tensor):
            return self.pixels[:, :, ::stride, ::stride].flatten(2).to(torch.float64)
        return self.pixels[::stride, ::stride].transpose(2, 0, 1).reshape(1, 3, -1).astype(np.float64)

    @cached_property
    def _sums(self) -> Array:
        return number(self._sampled.sum(-1))

    @cached_property
    def clipped(self) -> Array:
        """(B, N) whether a sample has a channel at 0 or 255."""
        greatest, least = extremes(self.samples)
        return (greatest > TOP) | (least < BOTTOM)

    @cached_property
    def covariance(self) -> Array:
        """(B, 3, 3) covariances of the samples' channels."""
        products = number(self._sampled @ self._sampled.swapaxes(1, 2))  # of whole levels: exact in any order
        sums, count = self._sums, self._sampled.shape[-1]
        unit = (255.0 * count) ** 2
        if isinstance(products, list):
            return [
                [(p * count - a * b) / unit for p, b in zip(row, sums, strict=True)]
                for row, a in zip(products, sums, strict=True)
            ]
        return (products * count - sums[:, :, None] * sums[:, None]) / unit

    @cached_property
    def sampled_luma(self) -> tuple[Array, Array]:
        """(B,) mean and variance of the samples' luma, unrounded."""
        red, green, blue = LUMA
        sums, covariance = self._sums, self.covariance
        if isinstance(sums, torch.Tensor):
            sums, covariance = sums.unbind(1), covariance.permute(1, 2, 0)
        x, y, z = (a * red + b * green + c * blue for a, b, c in covariance)
        mean = (sums[0] * red + sums[1] * green + sums[2] * blue) / (255.0 * self._sampled.shape[-1])
        return mean, x * red + y * green + z * blue

    @property
    def reach(self) -> Array:
        """Correlation length of luma in pixels of the view, from the correlation of neighbours."""
        correlation = 1.0 - self.step / larger(2.0 * self.std**2, 1e-9)
        return -1.0 / namespace(correlation).log(clamp(correlation, 0.05, 0.999))
