"""Pixels of a crop -> statistics: round two, how it looks as rendered at the view's size."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from adaptaug.backend.arrays import clamp, extremes, larger
from adaptaug.backend.cached import cached_property
from adaptaug.backend.levels import BOTTOM, LUMA, TOP, luma_moments, whole_sum
from adaptaug.stats.colouring import Colouring, colouring

SAMPLE_GRID = 16  # a crop's colours are sampled on a grid of this many points a side


@dataclass(frozen=True)
class CropStats:
    """Statistics of crops as rendered at the view's size, each worked out when it is first asked for.

    Stored: `pixels`, (B, 3, S, S) float levels, and `luma`, theirs.
    """

    pixels: torch.Tensor
    luma: torch.Tensor

    def rows(self, index: torch.Tensor) -> CropStats:
        """The statistics of some of a batch's crops."""
        return CropStats(self.pixels[index], self.luma[index])

    @cached_property
    def moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(B,) mean and standard deviation of luma in [0, 1] over all pixels."""
        return luma_moments(self.luma)

    @cached_property
    def mean(self) -> torch.Tensor:
        """(B,) mean of luma in [0, 1] over all pixels."""
        return self.moments[0]

    @cached_property
    def std(self) -> torch.Tensor:
        """(B,) standard deviation of luma in [0, 1] over all pixels."""
        return self.moments[1]

    @cached_property
    def step(self) -> torch.Tensor:
        """(B,) mean squared luma difference of horizontal and vertical neighbours."""
        luma, size = self.luma, self.luma.shape[-1]
        right, below = luma[:, :, 1:] - luma[:, :, :-1], luma[:, 1:, :] - luma[:, :-1, :]
        total = whole_sum(right * right) + whole_sum(below * below)
        return total / (2 * size * (size - 1) * 255.0**2)

    @cached_property
    def samples(self) -> torch.Tensor:
        """(B, 3, N) RGB in [0, 1] on a grid of 16 x 16 pixels, or up to twice as many a side."""
        return self._sampled / 255.0

    @cached_property
    def _sampled(self) -> torch.Tensor:
        """The samples in levels."""
        stride = max(1, self.luma.shape[-1] // SAMPLE_GRID)
        return self.pixels[:, :, ::stride, ::stride].flatten(2).to(torch.float64)

    @cached_property
    def _sums(self) -> torch.Tensor:
        return self._sampled.sum(-1)

    @cached_property
    def clipped(self) -> torch.Tensor:
        """(B, N) whether a sample has a channel at 0 or 255."""
        greatest, least = extremes(self.samples)
        return (greatest > TOP) | (least < BOTTOM)

    @cached_property
    def covariance(self) -> torch.Tensor:
        """(B, 3, 3) covariances of the samples' channels."""
        products = self._sampled @ self._sampled.swapaxes(1, 2)  # of whole levels: exact in any order
        sums, count = self._sums, self._sampled.shape[-1]
        unit = (255.0 * count) ** 2
        return (products * count - sums[:, :, None] * sums[:, None]) / unit

    @cached_property
    def sampled_luma(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(B,) mean and variance of the samples' luma, unrounded."""
        red, green, blue = LUMA
        sums, covariance = self._sums.unbind(1), self.covariance.permute(1, 2, 0)
        x, y, z = (a * red + b * green + c * blue for a, b, c in covariance)
        mean = (sums[0] * red + sums[1] * green + sums[2] * blue) / (255.0 * self._sampled.shape[-1])
        return mean, x * red + y * green + z * blue

    def colouring(self, matrix: torch.Tensor, offset: torch.Tensor | float = 0.0) -> Colouring:
        """Of the samples after a (B, 3, 3) map of RGB and an offset of all channels, unclipped."""
        mean = self._sums / (255.0 * self._sampled.shape[-1])
        return colouring(mean, self.covariance, matrix, offset)

    @property
    def reach(self) -> torch.Tensor:
        """Correlation length of luma in pixels of the view, from the correlation of neighbours."""
        correlation = 1.0 - self.step / larger(2.0 * self.std**2, 1e-9)
        return -1.0 / torch.log(clamp(correlation, 0.05, 0.999))
