"""What both engines do to pixels, stage by stage, written down once; the same in C (core/warp.c, filters.c, levels.c).

Pixels are (B, 3, H, W) float32 of whole levels 0..255, in C planes of uint8: every stage rounds to levels and clips.
Parameters have one row an image, (B, ...). In the order of a view: `warp`, `lift`, `filters`, `affine`, `late` (grain,
then what covers), `blend` towards the crop. Planes of luma are (B, S, S) whole levels; what is measured of them is
in [0, 1] and made of whole sums, exact in any order. On a device nothing waits and no branch depends on data.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from adaptaug.backend.arrays import Array, clamp, extremes, may_look
from adaptaug.backend.levels import BLANK_STD, box_reduce, is_blank, luma_levels, luma_moments, whole_sum
from adaptaug.params import Entry
from adaptaug.policy.ops import OPS
from adaptaug.stats.crop import CropStats

Pixels = torch.Tensor
luma, moments = luma_levels, luma_moments  # of pixels; of a plane
crop_stats = CropStats  # of pixels and their plane


def warp(images: Pixels, matrix: Array, span: Array, size: int, nearest: bool = False) -> Pixels:
    """One warp: the box average by each image's whole factor, then bilinear; outside is reflected.

    Args:
        images: (B, C, H, W) levels; matrix: (B, 3, 3), view [-1, 1] -> source [0, 1]; span: (B,) shorter
            sides of the crops as shares of the images', by which they are averaged before.
    Returns: (B, C, size, size) levels.

    Factors differ within a batch. On a device, all that the batch could need are laid one below the other
    and read in a single `grid_sample`: nothing waits. On the CPU, where looking costs nothing, the images
    are reduced in groups of equal factor.
    """
    height, width = images.shape[-2:]
    greatest = 1 if nearest else max(1, min(height, width) // size)  # labels have no average
    if greatest == 1:
        return _warp_level(images, matrix, width, height, size, nearest)
    reduce = torch.floor(span * min(height, width) / size + 1e-9).to(torch.int64).clamp(1, greatest)
    if may_look(images):
        factors = sorted(set(reduce.tolist()))
        out = images.new_empty(*images.shape[:2], size, size)
        for factor in factors:
            level = box_reduce(images if len(factors) == 1 else images[reduce == factor], factor)
            rows = matrix if len(factors) == 1 else matrix[reduce == factor]
            part = _warp_level(level, rows, width / factor, height / factor, size, nearest)
            if len(factors) == 1:
                return part
            out[reduce == factor] = part
        return out
    levels = [box_reduce(images, factor) for factor in range(1, greatest + 1)]
    atlas = torch.cat([F.pad(level, (0, width - level.shape[-1])) for level in levels], -2)
    counted = torch.arange(1, greatest + 1, device=images.device, dtype=torch.float64)
    heights, widths = torch.ceil(height / counted), torch.ceil(width / counted)
    which = (reduce - 1).to(torch.int64)
    per_image = [t[which][:, None, None] for t in (counted, widths, heights, heights.cumsum(0) - heights)]
    factor, level_width, level_height, top = per_image
    column, row = _positions(matrix, width / factor, height / factor, level_width, level_height, size)
    return _sample(atlas, column, row + top, nearest)


def _warp_level(
    level: Pixels, matrix: Array, width: float, height: float, size: int, nearest: bool
) -> Pixels:
    """One bilinear sampling of a level of width x height pixels, which its padding may exceed."""
    if nearest:
        column, row = _positions(matrix, width, height, level.shape[-1], level.shape[-2], size)
        return _sample(level, column, row, nearest)
    # From [0, 1] of the source to [-1, 1] of the level, of which grid_sample itself mirrors what lies outside.
    # By numbers, not by a tensor of them: to copy that to a device would wait.
    column, row, last = matrix.unbind(1)
    x = column * (2 * width / level.shape[-1]) - last
    y = row * (2 * height / level.shape[-2]) - last
    view = (torch.arange(size, device=matrix.device, dtype=matrix.dtype) * 2 + 1) / size - 1
    if may_look(matrix) and not bool((matrix[:, (0, 1, 2, 2), (1, 0, 0, 1)] != 0).any()):
        # Nothing turns or slants: a row of columns and a column of rows say it all.
        across, down = x[:, :1] * view + x[:, 2:], y[:, 1:2] * view + y[:, 2:]
        across, down = across.to(level.dtype), down.to(level.dtype)
        parts = torch.broadcast_tensors(across[:, None, :], down[:, :, None])
    else:
        u, v = view[None, None, :], view[None, :, None]
        across, down, depth = (
            r[:, 0, None, None] * u + (r[:, 1, None, None] * v + r[:, 2, None, None]) for r in (x, y, last)
        )
        parts = [(across / depth).to(level.dtype), (down / depth).to(level.dtype)]
    grid = torch.stack(tuple(parts), -1)
    return F.grid_sample(level, grid, padding_mode="reflection", align_corners=False).round_()


def _positions(
    matrix: Array,
    scale_x: Array | float,
    scale_y: Array | float,
    width: Array | int,
    height: Array | int,
    size: int,
) -> tuple[Array, Array]:
    """(B, S, S) columns and rows on a level that the views' pixels read; reflected at its edges, clamped inside."""
    view = (torch.arange(size, device=matrix.device, dtype=torch.float64) * 2 + 1) / size - 1
    u, v = view[None, None, :], view[None, :, None]
    m = [[matrix[:, i, j].to(torch.float64)[:, None, None] for j in range(3)] for i in range(3)]
    w = m[2][0] * u + m[2][1] * v + m[2][2]
    x = (m[0][0] * u + m[0][1] * v + m[0][2]) / w
    y = (m[1][0] * u + m[1][1] * v + m[1][2]) / w
    column, row = _reflect(x * scale_x / width) * width - 0.5, _reflect(y * scale_y / height) * height - 0.5
    return clamp(column, 0.0, width - 1.0), clamp(row, 0.0, height - 1.0)


def _sample(level: Pixels, column: Array, row: Array, nearest: bool) -> Pixels:
    if nearest:
        column, row = torch.floor(column + 0.5), torch.floor(row + 0.5)
    grid = torch.stack([(2 * column + 1) / level.shape[-1] - 1, (2 * row + 1) / level.shape[-2] - 1], -1)
    mode = "nearest" if nearest else "bilinear"
    out = F.grid_sample(level, grid.to(level.dtype), mode=mode, padding_mode="border", align_corners=False)
    return out.round_()


def _reflect(position: torch.Tensor) -> torch.Tensor:
    """Fold the line onto [0, 1] as mirrors at 0 and 1 do."""
    folded = position - 2 * torch.floor(position / 2)
    return 1 - (1 - folded).abs()


def affine(pixels: Pixels, colour: Array) -> Pixels:
    """(B, 3, 4) affine map of RGB in [0, 1], clipped and rounded to levels; the identity is exact."""
    matrix = colour.to(pixels.dtype)
    mixed = torch.baddbmm(matrix[:, :, 3:] * 255.0, matrix[:, :, :3], pixels.flatten(2))
    return mixed.clamp_(0, 255).round_().reshape(pixels.shape)


def lift(pixels: Pixels, scale_offset: Array) -> Pixels:
    """scale x + 255 offset, by (B, 2) scales and offsets: the shift that brings a crop's mean into the promise."""

    def lifted(rows: Pixels, by: Array) -> Pixels:
        scale, offset = by.to(rows.dtype)[:, :, None, None, None].unbind(1)
        return torch.round(rows * scale + 255.0 * offset)

    changed = (scale_offset[:, 0] != 1.0) | (scale_offset[:, 1] != 0.0)
    return _changed(changed, lifted, pixels, scale_offset)


def _changed(flags: Array, change: Callable[..., Pixels], pixels: Pixels, *others: Array) -> Pixels:
    """`change(pixels, *others)` in the rows that are flagged: of a batch on the CPU, worked out in these alone.

    There `pixels`, which nobody may need as they were, are written to: most of a batch is not flagged.
    """
    if not may_look(flags):
        every_row = change(pixels, *others)
        return torch.where(flags.reshape(-1, *[1] * (pixels.ndim - 1)), every_row, pixels)
    rows = flags.nonzero()[:, 0]
    if len(rows):
        pixels[rows] = change(pixels[rows], *(other[rows] for other in others))
    return pixels


def filters(pixels: Pixels, entries: dict[str, Entry]) -> Pixels:
    """The filters and lookup tables that were drawn, in the table's order."""
    for op in OPS.values():
        if op.kind not in ("filter", "table") or op.name not in entries:
            continue
        entry = entries[op.name]
        if op.kind == "filter":
            assert op.torch is not None
            changed = torch.round(op.torch(pixels, entry.value)).clamp(0, 255)
        else:
            assert op.table is not None
            table = torch.round(op.table(entry.value) * 255.0).clamp(0, 255).to(pixels.dtype)
            changed = table.gather(1, pixels.flatten(1).to(torch.int64)).reshape(pixels.shape)
        pixels = torch.where(entry.applied[:, None, None, None], changed, pixels)
    return pixels


def late(pixels: Pixels, entries: dict[str, Entry], seed: Array, covers: bool) -> Pixels:
    """The late operations that cover a part of the view, or the others, in the table's order; where there is none,
    the very tensor that came. Identity amounts leave a row as it is; seed: (B,) whole numbers below 2^24."""
    for op in OPS.values():
        amounts = [entries[name].value for name in op.labels if name in entries]
        if op.late is not None and op.covers == covers and amounts:
            pixels = op.late(pixels, seed, *amounts)
    return pixels


def blend(crop: Pixels, view: Pixels, strength: Array) -> Pixels:
    """crop + trunc(strength (view - crop)); strength 1 is the view itself."""

    def drawn_back(view: Pixels, crop: Pixels, strength: Array) -> Pixels:
        return crop + torch.trunc(strength.to(crop.dtype)[:, None, None, None] * (view - crop))

    return _changed(strength < 1.0, drawn_back, view, crop, strength)


def select(flags: Array, one: Pixels, other: Pixels) -> Pixels:
    """Rows of one where flagged, else of the other, which may be written to."""
    return _changed(flags, lambda _, one: one, other, one)


def covariance(luma_a: Pixels, luma_b: Pixels) -> Array:
    """(B,) covariance of two (B, S, S) luma planes, in [0, 1] units."""
    count = luma_a.shape[1] * luma_a.shape[2]
    product = whole_sum(luma_a * luma_b) / count
    return (product - whole_sum(luma_a) / count * (whole_sum(luma_b) / count)) / 255.0**2


def newly_clipped(view: Pixels, crop: Pixels, allowed: float) -> Array:
    """(B,) share of pixels with a channel at 0 or 255 in the view but no channel there in the crop.

    Where no more than `allowed` are there in the view at all, their share: what was there before does not matter.
    """
    there, area = _at_an_end(view), view.shape[-2] * view.shape[-1]
    share = there.count_nonzero((1, 2)).to(torch.float64) / area

    def newly(_: Array, there: Array, crop: Pixels) -> Array:
        return (there & ~_at_an_end(crop)).count_nonzero((1, 2)).to(torch.float64) / area

    return _changed(share > allowed, newly, share, there, crop)


def _at_an_end(pixels: Pixels) -> Array:
    most, least = extremes(pixels)
    return (least <= 0) | (most >= 255)


def luma_again(flags: Array, pixels: Pixels, plane: Pixels) -> Pixels:
    """The luma of pixels that changed in the rows that are flagged; `plane`, as it was, may be written to."""
    return _changed(flags, lambda _, pixels: luma_levels(pixels), plane, pixels)


def blank(pixels: Pixels, luma_std: Array) -> Array:
    """(B,) as `levels.is_blank`; luma varies no more than the channel that varies most."""
    flat = luma_std < 2 * BLANK_STD
    return _changed(flat, lambda _, pixels: is_blank(pixels), flat, pixels)


def any_true(flags: Array) -> bool:
    """Whether any image needs a step. On a device, where asking would wait, every batch takes every step."""
    return bool(flags.any()) if may_look(flags) else True
