"""Pixels -> statistics. Deterministic; everything downstream sees these and never the pixels.

Every statistic is made of integer sums over levels (`levels.py`). `ImageStats` describes a whole image (round one:
where to look), `CropStats` (`crops.py`) a crop as rendered at the view's size (round two: how it looks). Both are
batched: one row an image; a single image is a batch of one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch

from adaptaug.arrays import (
    Array,
    arange,
    double,
    exact_float,
    integer,
    is_number,
    larger,
    namespace,
    sort,
)
from adaptaug.lazy import cached_property
from adaptaug.levels import box_reduce, every, luma_levels, luma_moments

ANALYSIS_SIZE = 256  # longer side on which an image is described
THUMB_SIZE = 64  # longer side of the thumbnail on which crops are judged
MAP_CELLS = 8
DARK_LEVEL, BRIGHT_LEVEL = 0.05, 0.95


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


def with_statistics(pixels: torch.Tensor, known: dict[str, np.ndarray]) -> ImageStats:
    """ImageStats of (B, 3, H, W) levels of which some statistics are known already: the core has measured them."""
    stats = measure_pixels(pixels)
    values = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in known.items()}
    stats.__dict__["_moments"] = values.pop("mean"), values.pop("contrast")
    stats.__dict__.update(values)
    return stats
