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

from adaptaug.arrays import (
    Array,
    arange,
    clamp,
    double,
    exact_float,
    extremes,
    integer,
    is_number,
    larger,
    namespace,
    number,
    sort,
)

ANALYSIS_SIZE = 256  # longer side on which an image is described
THUMB_SIZE = 64  # longer side of the thumbnail on which crops are judged
MAP_CELLS = 8
SAMPLE_GRID = 16  # a crop's colours are sampled on a grid of this many points a side
DARK_LEVEL, BRIGHT_LEVEL = 0.05, 0.95
BLANK_STD = 2.0 / 255.0
LUMA = (0.299, 0.587, 0.114)
TOP, BOTTOM = 254.5 / 255.0, 0.5 / 255.0  # where rounding reaches 255 and 0
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
    if factor in (
        3,
        5,
    ):  # all averages, and every third or fifth of them: quicker than cv2's INTER_AREA, the same
        pixels = cv2.blur(pixels, (factor, factor), anchor=(0, 0))
        return cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class ImageStats:
    """Statistics of whole images; every one is (B,) float64 unless it says otherwise, luma in [0, 1].

    Stored: `height`, `width` of the sources and their `pixels`, as a renderer reads them. Each statistic is worked out
    when it is first asked for.
    """

    height: int
    width: int
    pixels: Array

    def __len__(self) -> int:
        return int(self.pixels.shape[0]) if isinstance(self.pixels, torch.Tensor) else 1

    def rows(self, index: Any) -> ImageStats:
        """The statistics of some of a batch's images (an index tensor, in any order, repeats allowed)."""
        return replace(self, pixels=self.pixels[index])

    @cached_property
    def _sampled(self) -> Array:
        """The pixels; of an image of 1024 px and more every n-th, so that 512 to 1023 are left."""
        step = max(1, max(self.height, self.width) // (2 * ANALYSIS_SIZE))
        return every(self.pixels, min(step, self.height, self.width))

    @cached_property
    def _first_factor(self) -> int:
        shape = self._sampled.shape
        return -(-max(shape[-2:] if isinstance(self.pixels, torch.Tensor) else shape[:2]) // ANALYSIS_SIZE)

    @cached_property
    def luma(self) -> Array:
        """(B, h, w) luma levels, averaged in whole boxes to at most 256 px."""
        if isinstance(self.pixels, torch.Tensor):
            return box_reduce(self._plane[:, None], self._first_factor)[:, 0]
        return box_reduce(self._plane, self._first_factor)[None]

    @cached_property
    def _plane(self) -> Array:
        return luma_levels(self._sampled)

    @cached_property
    def coarse_contrast(self) -> float:
        """Of a single image: standard deviation of luma on the thumbnail."""
        return luma_moments(self.thumb[0])[1]

    @cached_property
    def fine_contrast(self) -> Array:
        """Standard deviation of luma before it was averaged: resampling the whole image makes it no greater."""
        return luma_moments(self._plane)[1]

    @cached_property
    def _factor(self) -> int:
        return -(-max(self.luma.shape[1:]) // THUMB_SIZE)

    @cached_property
    def thumb(self) -> Array:
        """(B, h, w) luma levels on at most 64 px."""
        if isinstance(self.luma, torch.Tensor):
            return box_reduce(self.luma[:, None], self._factor)[:, 0]
        return box_reduce(self.luma[0], self._factor)[None]

    @cached_property
    def histogram(self) -> Array:
        """(B, 256) counts of luma."""
        if isinstance(self.luma, torch.Tensor):
            flat = self.luma.flatten(1).to(torch.int64)
            empty = torch.zeros(len(flat), 256, dtype=torch.int64, device=flat.device)
            return empty.scatter_add(1, flat, torch.ones_like(flat))
        return np.bincount(self.luma.reshape(-1), minlength=256)[None]

    @cached_property
    def colour(self) -> Array:
        """(B, 5) means of rg, yb, rg^2, yb^2 and sqrt(rg^2 + yb^2) over the thumbnail, in levels: rg = R - G,
        yb = (R + G) / 2 - B."""
        small = box_reduce(box_reduce(self._sampled, self._first_factor), self._factor)
        if isinstance(small, torch.Tensor):
            red, green, blue = small.to(torch.float64).flatten(2).unbind(1)
        else:
            red, green, blue = small.astype(np.float64).reshape(1, -1, 3).transpose(2, 0, 1)
        rg, yb = red - green, 0.5 * (red + green) - blue
        xp = namespace(rg)
        moments = (rg, yb, rg**2, yb**2, xp.sqrt(rg**2 + yb**2))
        return xp.stack([moment.mean(-1) for moment in moments], -1)

    # -- tone ---------------------------------------------------------------------------------------------
    @cached_property
    def _share(self) -> Array:
        return double(self.histogram) / double(self.histogram.sum(-1))[:, None]

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        if isinstance(self.luma, torch.Tensor):
            return luma_moments(self.luma)
        mean, std = luma_moments(self.luma[0])
        return np.array([mean]), np.array([std])

    @property
    def mean(self) -> Array:
        """Mean luma."""
        return self._moments[0]

    @property
    def contrast(self) -> Array:
        """RMS contrast: standard deviation of luma."""
        return self._moments[1]

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
        thumb = self.thumb if isinstance(self.thumb, torch.Tensor) else self.thumb.astype(np.float32)
        right, below = thumb[:, :, 1:] - thumb[:, :, :-1], thumb[:, 1:, :] - thumb[:, :-1, :]
        detail = thumb * 0.0
        detail[:, :, :-1] = right * right  # whole numbers below 2^18: exact in float32
        detail[:, :-1, :] += below * below
        return detail

    @cached_property
    def detail_map(self) -> Array:
        """(B, 8, 8) share of the image's detail in each cell; sums to 1 (uniform where there is none)."""
        rows, columns = self.thumb.shape[1:]
        xp = namespace(self.thumb)
        steps = arange(MAP_CELLS + 1, self.thumb) / MAP_CELLS
        ys, xs = xp.round(steps * rows)[None], xp.round(steps * columns)[None]
        if isinstance(self.thumb, torch.Tensor):
            across = _within(xs[:, :-1], xs[:, 1:], columns, self._planes.dtype)
            down = _within(ys[:, :-1], ys[:, 1:], rows, self._planes.dtype)
            grid = (down @ self._planes[:, :, 2 * columns :] @ across.transpose(1, 2)).to(torch.float64)
        else:
            running = self.integrals[2].reshape(1, rows + 1, columns + 1)
            running = running[:, integer(ys[0])][:, :, integer(xs[0])]
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
            profile = double(self._detail).sum(axis)
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
        steps = double(self._detail).mean((1, 2)) / 255.0**2
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

    # -- sums over boxes -----------------------------------------------------------------------------------
    def box_sums(self, x0: Array, y0: Array, x1: Array, y1: Array) -> list[Array]:
        """Sums of luma, luma squared and detail, in levels, over boxes of whole pixels of the thumbnail.

        The ends are (B, K) each, or four numbers of a single image, and so are the sums. Whole numbers: exact. A single
        image has them from running sums; in a batch masks of rows and columns are multiplied, which takes a tenth.
        """
        rows, columns = self.thumb.shape[1:]
        if isinstance(self.thumb, torch.Tensor):
            dtype = self._planes.dtype
            down, across = _within(y0, y1, rows, dtype), _within(x0, x1, columns, dtype)
            strips = (down @ self._planes).reshape(*down.shape[:2], 3, columns)
            return list((strips * across[:, :, None]).sum(-1, dtype=torch.float64).unbind(-1))
        stride = columns + 1
        a, b, c, d = (integer(y * stride + x) for y in (y0, y1) for x in (x0, x1))
        if is_number(x0):
            return [plane.item(d) - plane.item(c) - plane.item(b) + plane.item(a) for plane in self.integrals]
        return [plane[d] - plane[c] - plane[b] + plane[a] for plane in self.integrals]

    @cached_property
    def detail_total(self) -> Array:
        """Sum of the detail over the thumbnail, levels squared."""
        return double(self._detail.sum(-1)).sum(-1)

    @cached_property
    def integrals(self) -> Array:
        """Of a single image: three ((h+1)(w+1)) running sums, of luma, luma squared and detail, in levels."""
        total, squares = cv2.integral2(self.thumb[0], sdepth=cv2.CV_64F, sqdepth=cv2.CV_64F)
        return [plane.reshape(-1) for plane in (total, squares, cv2.integral(self._detail[0]))]

    @cached_property
    def _planes(self) -> Array:
        """Of a batch: (B, h, 3 w) luma, luma squared and detail side by side."""
        return torch.cat([self.thumb, self.thumb**2, self._detail], -1).to(exact_float(self.thumb))

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


def _within(start: Array, end: Array, length: int, dtype: torch.dtype) -> Array:
    """(B, K) ends -> (B, K, length), 1 from start to before end, else 0."""
    place = arange(length, start)
    return ((place >= start[..., None]) & (place < end[..., None])).to(dtype)


def measure_pixels(pixels: Array) -> ImageStats:
    """ImageStats of one (H, W, 3) uint8 image or a batch of (B, 3, H, W) float levels."""
    height, width = pixels.shape[-2:] if isinstance(pixels, torch.Tensor) else pixels.shape[:2]
    return ImageStats(height, width, pixels)


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


__all__ = ["CropStats", "ImageStats", "box_reduce", "luma_levels", "measure_pixels"]
