"""Pixels -> statistics. Deterministic; everything downstream sees these and never the pixels.

Every statistic is made of integer sums over levels (`levels`). `ImageStats` describes a whole image (round one:
where to look), `CropStats` (`crop.py`) a crop as rendered at the view's size (round two: how it looks). Both have one
row an image; a single image is a batch of one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from adaptaug.backend.arrays import Array, arange, exact_float
from adaptaug.backend.cached import cached_property
from adaptaug.backend.levels import box_reduce, every, luma_levels, luma_moments
from adaptaug.stats.colouring import Colouring, colouring

ANALYSIS_SIZE = 256  # longer side on which an image is described
THUMB_SIZE = 64  # longer side of the thumbnail on which crops are judged
MAP_CELLS = 8
DARK_LEVEL, BRIGHT_LEVEL = 0.05, 0.95


@dataclass(frozen=True)
class ImageStats:
    """Statistics of whole images; every one is (B,) float64 unless it says otherwise, luma in [0, 1].

    Stored: `height`, `width` of the sources and their `pixels`, as a renderer reads them. Each statistic is worked out
    when it is first asked for.

    >>> stats = measure(image)
    >>> len(stats), stats.height, 0 < float(stats.mean[0]) < 1
    (1, 96, True)
    """

    height: int
    width: int
    pixels: Array

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    def rows(self, index: Any) -> ImageStats:
        """The statistics of some of a batch's images (an index tensor, in any order, repeats allowed)."""
        return replace(self, pixels=self.pixels[index])

    @cached_property
    def _sampled(self) -> Array:
        """The pixels; of an image of 1024 px and more every n-th, so that 512 to 1023 are left."""
        step = max(1, max(self.height, self.width) // (2 * ANALYSIS_SIZE))
        return every(self.pixels, min(step, self.height, self.width)).to(torch.float32)

    @cached_property
    def _first_factor(self) -> int:
        return -(-int(max(self._sampled.shape[-2:])) // ANALYSIS_SIZE)

    @cached_property
    def luma(self) -> Array:
        """(B, h, w) luma levels, averaged in whole boxes to at most 256 px."""
        return box_reduce(self._plane[:, None], self._first_factor)[:, 0]

    @cached_property
    def _plane(self) -> Array:
        return luma_levels(self._sampled)

    @cached_property
    def _factor(self) -> int:
        return -(-int(max(self.luma.shape[1:])) // THUMB_SIZE)

    @cached_property
    def thumb(self) -> Array:
        """(B, h, w) luma levels on at most 64 px."""
        return box_reduce(self.luma[:, None], self._factor)[:, 0]

    @cached_property
    def histogram(self) -> Array:
        """(B, 256) counts of luma."""
        flat = self.luma.flatten(1).to(torch.int64)
        empty = torch.zeros(len(flat), 256, dtype=torch.int64, device=flat.device)
        return empty.scatter_add(1, flat, torch.ones_like(flat))

    def _thumb_colours(self) -> Array:
        """(B, 3, N) levels of the thumbnail in colour."""
        small = box_reduce(box_reduce(self._sampled, self._first_factor), self._factor)
        return small.to(torch.float64).flatten(2)

    @cached_property
    def colouring(self) -> Colouring:
        """Cast and deviation of the thumbnail's colours, in the units of the operation chroma's targets."""
        levels = self._thumb_colours()
        mean, products = levels.mean(-1), levels @ levels.swapaxes(1, 2) / levels.shape[-1]
        return colouring(mean / 255.0, (products - mean[:, :, None] * mean[:, None]) / 255.0**2)

    @cached_property
    def colour(self) -> Array:
        """(B, 5) means of rg, yb, rg^2, yb^2 and sqrt(rg^2 + yb^2) over the thumbnail, in levels: rg = R - G,
        yb = (R + G) / 2 - B."""
        red, green, blue = self._thumb_colours().unbind(1)
        rg, yb = red - green, 0.5 * (red + green) - blue
        moments = (rg, yb, rg**2, yb**2, torch.sqrt(rg**2 + yb**2))
        return torch.stack([moment.mean(-1) for moment in moments], -1)

    # -- tone ---------------------------------------------------------------------------------------------
    @cached_property
    def _share(self) -> Array:
        return self.histogram.double() / self.histogram.sum(-1).double()[:, None]

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        return luma_moments(self.luma)

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
        return below.sum(-1).double() / 255.0

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
        return -(share * torch.log2(torch.where(share > 0, share, 1.0))).sum(-1)

    # -- colour -------------------------------------------------------------------------------------------
    @cached_property
    def chroma(self) -> Array:
        """Mean chroma sqrt(rg^2 + yb^2), in [0, 1] units of the channels."""
        return self.colour[:, 4] / 255.0

    @cached_property
    def colourfulness(self) -> Array:
        """Hasler and Suesstrunk (2003): sqrt(var rg + var yb) + .3 sqrt(mean rg^2 + mean yb^2), in levels."""
        rg, yb, rg2, yb2 = (self.colour[:, i] for i in range(4))
        spread = torch.sqrt((rg2 - rg**2 + yb2 - yb**2).clamp(min=0.0))
        return spread + 0.3 * torch.sqrt(rg**2 + yb**2)

    @cached_property
    def grey(self) -> Array:
        """True where the image has no colour worth the name (mean chroma below 3 levels)."""
        return self.colour[:, 4] < 3.0

    # -- composition --------------------------------------------------------------------------------------
    @cached_property
    def _detail(self) -> Array:
        """(B, h, w) squared luma steps to the right and below, levels squared: where the content is."""
        thumb = self.thumb
        right, below = thumb[:, :, 1:] - thumb[:, :, :-1], thumb[:, 1:, :] - thumb[:, :-1, :]
        detail = thumb * 0.0
        detail[:, :, :-1] = right * right  # whole numbers below 2^18: exact in float32
        detail[:, :-1, :] += below * below
        return detail

    @cached_property
    def detail_map(self) -> Array:
        """(B, 8, 8) share of the image's detail in each cell; sums to 1 (uniform where there is none)."""
        rows, columns = self.thumb.shape[1:]
        steps = arange(MAP_CELLS + 1, self.thumb) / MAP_CELLS
        ys, xs = torch.round(steps * rows)[None], torch.round(steps * columns)[None]
        across = _within(xs[:, :-1], xs[:, 1:], columns, self._planes.dtype)
        down = _within(ys[:, :-1], ys[:, 1:], rows, self._planes.dtype)
        grid = (down @ self._planes[:, :, 2 * columns :] @ across.transpose(1, 2)).to(torch.float64)
        total = grid.sum((1, 2))[:, None, None]
        flat = 1.0 / MAP_CELLS**2
        return torch.where(total > 0, grid / torch.where(total > 0, total, 1.0), flat)

    @cached_property
    def centroid(self) -> Array:
        """(B, 2) where the detail lies: x and y in [0, 1]."""
        centres = (arange(MAP_CELLS, self.detail_map) + 0.5) / MAP_CELLS
        x = (self.detail_map.sum(1) * centres).sum(-1)
        y = (self.detail_map.sum(2) * centres).sum(-1)
        return torch.stack([x, y], -1)

    @cached_property
    def spread(self) -> Array:
        """Root mean square distance of the detail from its centroid, as a share of the frame."""
        centres = (arange(MAP_CELLS, self.detail_map) + 0.5) / MAP_CELLS
        x = (self.detail_map.sum(1) * (centres[None] - self.centroid[:, :1]) ** 2).sum(-1)
        y = (self.detail_map.sum(2) * (centres[None] - self.centroid[:, 1:]) ** 2).sum(-1)
        return torch.sqrt(x + y)

    @cached_property
    def detail_box(self) -> Array:
        """(B, 4) x0, y0, x1, y1 of the frame's part that holds 90 % of the detail along each axis."""
        bounds = []
        for axis in (1, 2):
            profile = self._detail.double().sum(axis)
            total = profile.sum(-1).clamp(min=1e-9)[:, None]
            running = profile.cumsum(-1) / total
            count = float(profile.shape[-1])
            bounds.append(
                ((running < 0.05).sum(-1).double() / count, ((running < 0.95).sum(-1) + 1).double() / count)
            )
        (x0, x1), (y0, y1) = bounds
        return torch.stack([x0, y0, x1, y1], -1)

    @cached_property
    def sharpness(self) -> Array:
        """Mean squared luma step between neighbours of the thumbnail over the luma variance (0 smooth, ~2 noise)."""
        steps = self._detail.double().mean((1, 2)) / 255.0**2
        return steps / (self.contrast**2).clamp(min=1e-6)

    @cached_property
    def border_uniformity(self) -> Array:
        """Share of the border's pixels within .05 of the border's median luma: 1 is a plain background."""
        thumb = self.thumb.double()
        ring = torch.cat([thumb[:, 0, :], thumb[:, -1, :], thumb[:, 1:-1, 0], thumb[:, 1:-1, -1]], 1)
        return (torch.abs(ring - _median(ring)[:, None]) <= 0.05 * 255).sum(-1).double() / ring.shape[1]

    @cached_property
    def foreground_fraction(self) -> Array:
        """Share of the thumbnail's pixels more than .15 away from the border's median luma."""
        thumb = self.thumb.double().flatten(1)
        median = _median(self.thumb.double()[:, 0, :])
        return (torch.abs(thumb - median[:, None]) > 0.15 * 255).sum(-1).double() / thumb.shape[1]

    # -- sums over boxes -----------------------------------------------------------------------------------
    def box_sums(self, x0: Array, y0: Array, x1: Array, y1: Array) -> list[Array]:
        """Sums of luma, luma squared and detail, in levels, over boxes of whole pixels of the thumbnail.

        The ends are (B, K) each, and so are the sums. Whole numbers: exact. Masks of rows and columns are multiplied,
        which takes a tenth of reading running sums.
        """
        rows, columns = self.thumb.shape[1:]
        dtype = self._planes.dtype
        down, across = _within(y0, y1, rows, dtype), _within(x0, x1, columns, dtype)
        strips = (down @ self._planes).reshape(*down.shape[:2], 3, columns)
        return list((strips * across[:, :, None]).sum(-1, dtype=torch.float64).unbind(-1))

    @cached_property
    def detail_total(self) -> Array:
        """Sum of the detail over the thumbnail, levels squared."""
        return self._detail.sum(-1).double().sum(-1)

    @cached_property
    def _planes(self) -> Array:
        """(B, h, 3 w) luma, luma squared and detail side by side."""
        return torch.cat([self.thumb, self.thumb**2, self._detail], -1).to(exact_float(self.thumb))

    def summary(self, row: int = 0) -> dict[str, Any]:
        """One image's statistics as plain numbers, for people and JSON."""
        out: dict[str, Any] = {"height": self.height, "width": self.width}
        out.update({name: round(float(getattr(self, name)[row]), 4) for name in STATISTICS})
        out["grey"] = bool(self.grey[row])
        out["quantiles"] = {
            f"{100 * q:g}%": round(float(self.quantile(q)[row]), 4)
            for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
        }
        out["centroid"] = [round(float(v), 4) for v in self.centroid[row]]
        out["detail_box"] = [round(float(v), 4) for v in self.detail_box[row]]
        return out


@dataclass(frozen=True)
class Statistic:
    """A number of `ImageStats` that says something of an image as such, whatever its size."""

    name: str
    title: str
    low: float  # where a bar or a histogram begins,
    high: float  # and ends
    unit: str
    short: str = ""  # its name in the profile of a data set, which leaves it out without one
    page: bool = True  # shown beside an image in the app
    policy: bool = (
        True  # a policy's weights may use it: the core measures it, too, in the order of this table
    )


STATISTICS: dict[str, Statistic] = {
    row.name: row
    for row in (
        Statistic("mean", "Brightness", 0, 1, "mean luma", "mean"),
        Statistic("contrast", "Contrast", 0, 0.5, "std of luma", "contrast"),
        Statistic("dark_fraction", "Dark pixels", 0, 1, "share with luma below .05", "dark"),
        Statistic("bright_fraction", "Bright pixels", 0, 1, "share with luma above .95", "bright"),
        Statistic("entropy", "Entropy", 0, 5, "of luma, bits: 0 one tone, 5 all alike", "entropy"),
        Statistic("chroma", "Colour", 0, 0.5, "mean distance from grey", "chroma", page=False),
        Statistic("colourfulness", "Colourfulness", 0, 150, "Hasler and Suesstrunk: above 80 very colourful"),
        Statistic("spread", "Detail spread", 0, 0.5, "distance from its centre, share of the frame"),
        Statistic("sharpness", "Sharpness", 0, 2, "squared steps / variance: 0 smooth, 2 noise", "sharpness"),
        Statistic("border_uniformity", "Even border", 0, 1, "share of the border near its median", "border"),
        Statistic("foreground_fraction", "Foreground", 0, 1, "share of pixels unlike the border", "foreground",
                  page=False),
    )
}  # fmt: skip


def _within(start: Array, end: Array, length: int, dtype: torch.dtype) -> Array:
    """(B, K) ends -> (B, K, length), 1 from start to before end, else 0."""
    place = arange(length, start)
    return ((place >= start[..., None]) & (place < end[..., None])).to(dtype)


def _median(values: Array) -> Array:
    """(B,) of (B, N): the upper one of an even number."""
    return torch.sort(values, dim=-1).values[:, values.shape[1] // 2]


def measure_pixels(pixels: torch.Tensor) -> ImageStats:
    """ImageStats of (B, 3, H, W) levels, uint8 or float."""
    height, width = pixels.shape[-2:]
    return ImageStats(height, width, pixels)


def with_statistics(pixels: torch.Tensor, values_by_name: dict[str, np.ndarray]) -> ImageStats:
    """ImageStats of (B, 3, H, W) levels of which some statistics are known already: the core has measured them."""
    stats = measure_pixels(pixels)
    values = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in values_by_name.items()}
    stats.__dict__["_moments"] = values.pop("mean"), values.pop("contrast")
    stats.__dict__.update(values)
    return stats
