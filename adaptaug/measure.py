"""Pixels -> statistics. Deterministic; everything downstream sees these and never the pixels.

Luma is the integer (9798 R + 19235 G + 3735 B + 2^14) >> 15 of 8-bit levels (Rec. 601 weights), and every
statistic is made of integer sums: exact in any order, so equal on every device.

`ImageStats` describes a whole image (round one: where to look), `CropStats` a crop as rendered at the
view's size (round two: how it looks). Both are batched: one row an image; a single image is a batch of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from adaptaug.arrays import Array, arange, double, integer, larger, namespace, sort

ANALYSIS_SIZE = 256  # longer side on which an image is described
THUMB_SIZE = 64  # longer side of the thumbnail on which crops are judged
MAP_CELLS = 8
SAMPLE_GRID = 16  # a crop's colours are sampled on a grid of this many points a side
DARK_LEVEL, BRIGHT_LEVEL = 0.05, 0.95
BLANK_STD = 2.0 / 255.0
_LUMA_R, _LUMA_G, _LUMA_B, _LUMA_HALF, _LUMA_SHIFT = 9798, 19235, 3735, 1 << 14, 15


class cached_property:
    """functools.cached_property without its lock, which torch.compile cannot enter (Python below 3.12)."""

    def __init__(self, function: Callable[[Any], Any]):
        self.function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.function(instance)
        return value


def luma_levels(pixels: Array) -> Array:
    """Integer luma levels. (H, W, 3) uint8 -> (H, W) uint8; (B, 3, H, W) float levels -> (B, H, W) float levels."""
    if isinstance(pixels, torch.Tensor):
        # Below 2^24, so float32 arithmetic on whole levels is exact.
        total = pixels[:, 0] * _LUMA_R + pixels[:, 1] * _LUMA_G + pixels[:, 2] * _LUMA_B + _LUMA_HALF
        return torch.floor(total * 2.0**-_LUMA_SHIFT)
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def box_reduce(pixels: Array, factor: int) -> Array:
    """Average boxes of `factor` x `factor` pixels, rounded to levels; edges are repeated to fill the last box.

    (H, W[, 3]) uint8 with cv2's INTER_AREA, (B, C, H, W) float levels with avg_pool2d: the same numbers.
    """
    if factor == 1:
        return pixels
    if isinstance(pixels, torch.Tensor):
        height, width = pixels.shape[-2:]
        below, right = -height % factor, -width % factor
        if below or right:
            pixels = F.pad(pixels, (0, right, 0, below), mode="replicate")
        mean = F.avg_pool2d(pixels, factor)
        return torch.floor(mean + 0.5) if factor == 2 else torch.round(mean)  # cv2 rounds halves so
    height, width = pixels.shape[:2]
    below, right = -height % factor, -width % factor
    if below or right:
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class ImageStats:
    """Statistics of whole images; every derived one is (B,) float64, luma in [0, 1].

    Stored: `height`, `width` of the sources; `histogram` (B, 256) counts of luma on the image reduced by
    whole boxes to at most 256 px; `thumb` (B, h, w) luma levels on at most 64 px; `colour` (B, 5) means of
    rg, yb, rg^2, yb^2 and sqrt(rg^2 + yb^2), with rg = R - G and yb = (R + G) / 2 - B on the thumbnail, in
    units of levels.
    """

    height: int
    width: int
    histogram: Array
    thumb: Array
    colour: Array

    def __len__(self) -> int:
        return int(self.thumb.shape[0])

    def rows(self, index: Any) -> ImageStats:
        """The statistics of some of the images (an index array, in any order, repeats allowed)."""
        return replace(
            self, histogram=self.histogram[index], thumb=self.thumb[index], colour=self.colour[index]
        )

    # -- tone ---------------------------------------------------------------------------------------------
    @cached_property
    def _share(self) -> Array:
        return double(self.histogram) / double(self.histogram.sum(-1))[:, None]

    @cached_property
    def mean(self) -> Array:
        """Mean luma."""
        return (self._share * arange(256, self._share)).sum(-1) / 255.0

    @cached_property
    def contrast(self) -> Array:
        """RMS contrast: standard deviation of luma."""
        square = (self._share * (arange(256, self._share) / 255.0) ** 2).sum(-1)
        return namespace(square).sqrt(larger(square - self.mean**2, 0.0))

    def quantile(self, share: float) -> Array:
        """Least luma that at least `share` of the pixels do not exceed."""
        below = self._share.cumsum(-1) < share - 1e-12
        return double(below.sum(-1)) / 255.0

    @cached_property
    def dark_fraction(self) -> Array:
        """Share of pixels with luma below .05."""
        return self._share[:, : int(DARK_LEVEL * 255) + 1].sum(-1)

    @cached_property
    def bright_fraction(self) -> Array:
        """Share of pixels with luma above .95."""
        return self._share[:, int(BRIGHT_LEVEL * 255) + 1 :].sum(-1)

    @cached_property
    def entropy(self) -> Array:
        """Shannon entropy of luma in 32 bins, in bits: 0 (flat) to 5."""
        share = self._share.reshape(-1, 32, 8).sum(-1)
        xp = namespace(share)
        return -(share * xp.log2(xp.where(share > 0, share, 1.0))).sum(-1)

    # -- colour -------------------------------------------------------------------------------------------
    @cached_property
    def chroma(self) -> Array:
        """Mean chroma sqrt(rg^2 + yb^2), in [0, 1] units of the channels."""
        return self.colour[:, 4] / 255.0

    @cached_property
    def colourfulness(self) -> Array:
        """Hasler and Suesstrunk (2003): sqrt(var rg + var yb) + .3 sqrt(mean rg^2 + mean yb^2), in levels."""
        xp = namespace(self.colour)
        rg, yb, rg2, yb2 = (self.colour[:, i] for i in range(4))
        spread = xp.sqrt(larger(rg2 - rg**2 + yb2 - yb**2, 0.0))
        return spread + 0.3 * xp.sqrt(rg**2 + yb**2)

    @cached_property
    def grey(self) -> Array:
        """True where the image has no colour worth the name (mean chroma below 3 levels)."""
        return self.colour[:, 4] < 3.0

    # -- composition --------------------------------------------------------------------------------------
    @cached_property
    def _detail(self) -> Array:
        """(B, h, w) squared luma steps to the right and below, levels squared: where the content is."""
        thumb = double(self.thumb)
        right = (thumb[:, :, 1:] - thumb[:, :, :-1]) ** 2
        below = (thumb[:, 1:, :] - thumb[:, :-1, :]) ** 2
        return _pad_end(right, 2) + _pad_end(below, 1)

    @cached_property
    def detail_map(self) -> Array:
        """(B, 8, 8) share of the image's detail in each cell; sums to 1 (uniform where there is none)."""
        rows, columns = self.thumb.shape[1:]
        xp = namespace(self.thumb)
        steps = arange(MAP_CELLS + 1, self.thumb) / MAP_CELLS
        ys, xs = integer(xp.round(steps * rows)), integer(xp.round(steps * columns))
        running = self.integrals[:, 2].reshape(-1, rows + 1, columns + 1)[:, ys][:, :, xs]
        grid = running[:, 1:, 1:] - running[:, :-1, 1:] - running[:, 1:, :-1] + running[:, :-1, :-1]
        total = grid.sum((1, 2))[:, None, None]
        flat = 1.0 / MAP_CELLS**2
        return xp.where(total > 0, grid / xp.where(total > 0, total, 1.0), flat)

    @cached_property
    def centroid(self) -> Array:
        """(B, 2) where the detail lies: x and y in [0, 1]."""
        centres = (arange(MAP_CELLS, self.detail_map) + 0.5) / MAP_CELLS
        x = (self.detail_map.sum(1) * centres).sum(-1)
        y = (self.detail_map.sum(2) * centres).sum(-1)
        return namespace(x).stack([x, y], -1)

    @cached_property
    def spread(self) -> Array:
        """Root mean square distance of the detail from its centroid, as a share of the frame."""
        centres = (arange(MAP_CELLS, self.detail_map) + 0.5) / MAP_CELLS
        x = (self.detail_map.sum(1) * (centres[None] - self.centroid[:, :1]) ** 2).sum(-1)
        y = (self.detail_map.sum(2) * (centres[None] - self.centroid[:, 1:]) ** 2).sum(-1)
        return namespace(x).sqrt(x + y)

    @cached_property
    def detail_box(self) -> Array:
        """(B, 4) x0, y0, x1, y1 of the frame's part that holds 90 % of the detail along each axis."""
        bounds = []
        for axis in (1, 2):
            profile = self._detail.sum(axis)
            total = larger(profile.sum(-1), 1e-9)[:, None]
            running = profile.cumsum(-1) / total
            count = float(profile.shape[-1])
            bounds.append(
                (double((running < 0.05).sum(-1)) / count, double((running < 0.95).sum(-1) + 1) / count)
            )
        (x0, x1), (y0, y1) = bounds
        return namespace(x0).stack([x0, y0, x1, y1], -1)

    @cached_property
    def sharpness(self) -> Array:
        """Mean squared luma step between neighbours of the thumbnail over the luma variance (0 smooth, ~2 noise)."""
        steps = self._detail.mean((1, 2)) / 255.0**2
        return steps / larger(self.contrast**2, 1e-6)

    @cached_property
    def border_uniformity(self) -> Array:
        """Share of the border's pixels within .05 of the border's median luma: 1 is a plain background."""
        xp = namespace(self.thumb)
        thumb = double(self.thumb)
        border = [thumb[:, 0, :], thumb[:, -1, :], thumb[:, 1:-1, 0], thumb[:, 1:-1, -1]]
        ring = xp.concatenate(border, 1) if xp is np else torch.cat(border, 1)
        median = sort(ring)[:, ring.shape[1] // 2]
        return double((xp.abs(ring - median[:, None]) <= 0.05 * 255).sum(-1)) / ring.shape[1]

    @cached_property
    def foreground_fraction(self) -> Array:
        """Share of the thumbnail's pixels more than .15 away from the border's median luma."""
        xp = namespace(self.thumb)
        thumb = double(self.thumb).reshape(len(self), self.thumb.shape[1] * self.thumb.shape[2])
        ring = double(self.thumb)[:, 0, :]
        median = sort(ring)[:, ring.shape[1] // 2]
        return double((xp.abs(thumb - median[:, None]) > 0.15 * 255).sum(-1)) / thumb.shape[1]

    # -- integral images, for judging any box in constant time ---------------------------------------------
    @cached_property
    def integrals(self) -> Array:
        """(B, 3, (h+1)(w+1)) running sums of luma, luma squared and detail over the thumbnail, in levels."""
        xp = namespace(self.thumb)
        thumb = double(self.thumb)
        planes = xp.stack([thumb, thumb**2, self._detail], 1).cumsum(-1).cumsum(-2)
        if xp is np:
            planes = np.pad(planes, ((0, 0), (0, 0), (1, 0), (1, 0)))
        else:
            planes = F.pad(planes, (1, 0, 1, 0))
        return planes.reshape(len(self), 3, planes.shape[2] * planes.shape[3])

    def summary(self, row: int = 0) -> dict[str, Any]:
        """One image's statistics as plain numbers, for people and JSON."""
        names = (
            "mean", "contrast", "dark_fraction", "bright_fraction", "entropy", "chroma", "colourfulness",
            "spread", "sharpness", "border_uniformity", "foreground_fraction",
        )  # fmt: skip
        out: dict[str, Any] = {"height": self.height, "width": self.width}
        out.update({name: round(float(getattr(self, name)[row]), 4) for name in names})
        out["grey"] = bool(self.grey[row])
        out["quantiles"] = {
            f"{100 * q:g}%": round(float(self.quantile(q)[row]), 4)
            for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
        }
        out["centroid"] = [round(float(v), 4) for v in self.centroid[row]]
        out["detail_box"] = [round(float(v), 4) for v in self.detail_box[row]]
        return out


def _pad_end(array: Array, axis: int) -> Array:
    """One row (axis 1) or column (axis 2) of zeros at the end."""
    if isinstance(array, torch.Tensor):
        return F.pad(array, (0, 1, 0, 0) if axis == 2 else (0, 0, 0, 1))
    return np.pad(array, ((0, 0), (0, int(axis == 1)), (0, int(axis == 2))))


def measure_pixels(pixels: Array) -> ImageStats:
    """ImageStats of one (H, W, 3) uint8 image or a batch of (B, 3, H, W) float levels."""
    torch_like = isinstance(pixels, torch.Tensor)
    height, width = pixels.shape[-2:] if torch_like else pixels.shape[:2]
    small = box_reduce(pixels, -(-max(height, width) // ANALYSIS_SIZE))
    luma = luma_levels(small)
    longest = max(small.shape[-2:] if torch_like else small.shape[:2])
    factor = -(-longest // THUMB_SIZE)
    if torch_like:
        flat = luma.flatten(1).to(torch.int64)
        histogram: Array = torch.zeros(len(luma), 256, dtype=torch.int64, device=luma.device)
        histogram = histogram.scatter_add(1, flat, torch.ones_like(flat))
        thumb = box_reduce(luma[:, None], factor)[:, 0]
        red, green, blue = box_reduce(small, factor).to(torch.float64).flatten(2).unbind(1)
    else:
        histogram = np.bincount(luma.reshape(-1), minlength=256)[None]
        thumb = box_reduce(luma, factor)[None]
        red, green, blue = box_reduce(small, factor).astype(np.float64).reshape(1, -1, 3).transpose(2, 0, 1)
    rg, yb = red - green, 0.5 * (red + green) - blue
    xp = namespace(rg)
    moments = (rg, yb, rg**2, yb**2, xp.sqrt(rg**2 + yb**2))
    colour = xp.stack([moment.mean(-1) for moment in moments], -1)
    return ImageStats(height, width, histogram, thumb, colour)


@dataclass(frozen=True)
class CropStats:
    """Statistics of crops as rendered at the view's size.

    `mean`, `std` (B,) of luma in [0, 1] over all pixels; `step` (B,) mean squared luma difference of
    horizontal and vertical neighbours; `samples` (B, N, 3) RGB in [0, 1] on a grid of at most 16 x 16 pixels.
    """

    mean: Array
    std: Array
    step: Array
    samples: Array

    @property
    def reach(self) -> Array:
        """Correlation length of luma in pixels of the view, from the correlation of neighbours."""
        xp = namespace(self.mean)
        correlation = 1.0 - self.step / larger(2.0 * self.std**2, 1e-9)
        return -1.0 / xp.log(
            xp.where(correlation > 0.05, xp.where(correlation < 0.999, correlation, 0.999), 0.05)
        )


def luma_moments(luma: Array) -> tuple[Array, Array]:
    """Mean and standard deviation in [0, 1] of (B, S, S) float or one (S, S) uint8 luma plane; exact sums."""
    total: Array
    square: Array
    if isinstance(luma, torch.Tensor):
        flat = luma.flatten(1)
        total, square = flat.sum(1, dtype=torch.float64), (flat * flat).sum(1, dtype=torch.float64)
        count = flat.shape[1]
    else:
        total, square = np.array([cv2.sumElems(luma)[0]]), np.array([cv2.norm(luma, cv2.NORM_L2SQR)])
        count = luma.size
    mean = total / count
    return mean / 255.0, namespace(mean).sqrt(larger(square / count - mean * mean, 0.0)) / 255.0


def measure_crop(pixels: Array, luma: Array) -> CropStats:
    """CropStats of (B, 3, S, S) float levels, or of (S, S, 3) uint8 with its (S, S) luma."""
    size = luma.shape[-1]
    stride = max(1, size // SAMPLE_GRID)
    if isinstance(pixels, torch.Tensor):
        mean, std = luma_moments(luma)
        right, below = luma[:, :, 1:] - luma[:, :, :-1], luma[:, 1:, :] - luma[:, :-1, :]
        total = (right * right).sum((1, 2), dtype=torch.float64) + (below * below).sum(
            (1, 2), dtype=torch.float64
        )
        samples = pixels[:, :, ::stride, ::stride].flatten(2).transpose(1, 2).to(torch.float64) / 255.0
    else:
        mean, std = luma_moments(luma)
        right = cv2.norm(luma[:, 1:], luma[:, :-1], cv2.NORM_L2SQR)
        total = np.array([right + cv2.norm(luma[1:], luma[:-1], cv2.NORM_L2SQR)])
        samples = pixels[::stride, ::stride].reshape(1, -1, 3) / 255.0
    return CropStats(mean, std, total / (2 * size * (size - 1) * 255.0**2), samples)


def is_blank(pixels: Array) -> Array:
    """(B,) True where every channel's standard deviation is below 2/255."""
    if isinstance(pixels, torch.Tensor):
        flat = pixels.to(torch.float64).flatten(2)
        mean = flat.mean(-1)
        variance = (flat * flat).mean(-1) - mean * mean
        return (variance < (BLANK_STD * 255.0) ** 2).all(-1)
    _, std = cv2.meanStdDev(pixels)
    return np.array([bool((std < BLANK_STD * 255.0).all())])


__all__ = ["CropStats", "ImageStats", "box_reduce", "luma_levels", "measure_crop", "measure_pixels"]
