"""The single-image renderer: (S, S, 3) uint8 with OpenCV, for DataLoader workers and large photographs.

The same functions as render/torch.py, over the same parameters with one row; they may branch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from adaptaug.arrays import Array, row
from adaptaug.crops import CropStats
from adaptaug.levels import BLANK_STD, box_reduce, is_blank, luma_levels, luma_moments
from adaptaug.ops import OPS, erase_mask, noise_levels
from adaptaug.params import Entry

Pixels = np.ndarray
_SAME = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]


def warp(image: Pixels, matrix: Array, span: float, size: int, nearest: bool = False) -> Pixels:
    """One warp of an (H, W[, C]) image; see render/torch.py. Only the part that is seen is averaged."""
    height, width = image.shape[:2]
    factor = (
        1 if nearest else max(1, math.floor(span * min(height, width) / size + 1e-9))
    )  # labels have no average
    (a, b, c), (d, e, f) = _to_pixels(matrix, size, width / factor, height / factor)
    g, h, i = _from_pixels(matrix[2], size)
    x, y = _ends((a, b, c), (g, h, i), size), _ends((d, e, f), (g, h, i), size)
    (x0, x1), (y0, y1) = _seen(x, -(-width // factor)), _seen(y, -(-height // factor))
    image = box_reduce(image[y0 * factor : y1 * factor, x0 * factor : x1 * factor], factor)
    full = np.array([[a - x0 * g, b - x0 * h, c - x0 * i], [d - y0 * g, e - y0 * h, f - y0 * i], [g, h, i]])
    flags = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    padded = image.ndim == 3 and not nearest
    if padded:  # OpenCV reads four channels more than twice as fast as three
        image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    if abs(g) < 1e-12 and abs(h) < 1e-12:
        full, apply = full[:2] / i, cv2.warpAffine
    else:
        apply = cv2.warpPerspective
    out = apply(image, full, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return cv2.cvtColor(out, cv2.COLOR_RGBA2RGB) if padded else out


def _to_pixels(matrix: Array, size: int, width: float, height: float) -> list[tuple[float, float, float]]:
    """x and y of a view's matrix, from pixels of the view to pixels of the source, at pixel centres in both."""
    last = matrix[2]
    rows = [
        [v * n - 0.5 * w for v, w in zip(row, last, strict=True)]
        for row, n in zip(matrix[:2], (width, height), strict=True)
    ]
    return [_from_pixels(row, size) for row in rows]


def _from_pixels(row: Sequence[float], size: int) -> tuple[float, float, float]:
    """A matrix's row that takes a view's [-1, 1], as one that takes its pixels."""
    (u, v, w), step = row, 2.0 / size
    return u * step, v * step, w + (u + v) * (0.5 * step - 1.0)


def _ends(row: tuple[float, float, float], last: tuple[float, float, float], size: int) -> list[float]:
    """Where a view's four corners lie on one axis of the source."""
    (u, v, w), (g, h, i) = row, last
    near, far = -0.5, size - 0.5
    return [
        (u * x + v * y + w) / (g * x + h * y + i)
        for x, y in ((near, near), (near, far), (far, near), (far, far))
    ]


def _seen(ends: list[float], length: int) -> tuple[int, int]:
    """The part of 0 .. length that holds the ends and, of what lies outside, its mirror image."""
    low, high = math.floor(min(ends)) - 1, math.ceil(max(ends)) + 2
    return max(0, min(low, 2 * length - high)), min(length, max(high, -low))


def affine(pixels: Pixels, colour: Array) -> Pixels:
    if colour == _SAME:
        return pixels
    return cv2.transform(pixels, np.array([[r, g, b, 255.0 * offset] for r, g, b, offset in colour]))


def lift(pixels: Pixels, scale_offset: Array) -> Pixels:
    scale, offset = scale_offset
    if scale == 1.0 and offset == 0.0:
        return pixels
    table = np.rint(np.arange(256) * scale + 255.0 * offset).astype(np.uint8)
    return cv2.LUT(pixels, table)


def filters(pixels: Pixels, entries: dict[str, Entry]) -> Pixels:
    for op in OPS.values():
        if op.kind not in ("filter", "table") or op.name not in entries:
            continue
        entry = entries[op.name]
        if not entry.applied:
            continue
        if op.kind == "filter":
            assert op.opencv is not None
            pixels = op.opencv(pixels, entry.value)
        else:
            assert op.table is not None
            table = np.rint(np.clip(op.table(row(entry.value))[0], 0, 1) * 255.0).astype(np.uint8)
            pixels = cv2.LUT(pixels, table)
    return pixels


def noise(pixels: Pixels, entries: dict[str, Entry], seed: int) -> Pixels:
    if "noise" not in entries or not entries["noise"].applied:
        return pixels
    grain = noise_levels(row(seed), pixels.shape[1], row(entries["noise"].value))[0]
    return np.clip(np.rint(pixels + grain.astype(np.float32)[:, :, None]), 0, 255).astype(np.uint8)


def erase(pixels: Pixels, entries: dict[str, Entry]) -> Pixels:
    if "erase.area" not in entries or not entries["erase.area"].applied:
        return pixels
    area, ratio, x, y = (row(entries[f"erase.{part}"].value) for part in ("area", "ratio", "x", "y"))
    out = pixels.copy()
    out[erase_mask(area, ratio, x, y, pixels.shape[1])[0]] = np.rint(pixels.mean((0, 1))).astype(np.uint8)
    return out


def blend(crop: Pixels, view: Pixels, strength: float) -> Pixels:
    if strength == 1.0:
        return view
    if strength == 0.0:
        return crop
    step = np.trunc(np.float32(strength) * (view.astype(np.float32) - crop))
    return (crop + step).astype(np.uint8)


def select(flag: bool, one: Pixels, other: Pixels) -> Pixels:
    return one if flag else other


def covariance(luma_a: Pixels, luma_b: Pixels) -> float:
    """Covariance of two luma planes, from sums of squares, which cv2 has exact and fast."""
    squares = cv2.norm(luma_a, cv2.NORM_L2SQR) + cv2.norm(luma_b, cv2.NORM_L2SQR)
    product = 0.5 * (squares - cv2.norm(luma_a, luma_b, cv2.NORM_L2SQR)) / luma_a.size
    means = cv2.sumElems(luma_a)[0] * cv2.sumElems(luma_b)[0] / luma_a.size**2
    return (product - means) / 255.0**2


def newly_clipped(view: Pixels, crop: Pixels, allowed: float) -> float:
    """As in render/torch.py; where even all clipped channels together are no more than allowed, their share."""
    area = view.shape[0] * view.shape[1]
    most = view.size - cv2.countNonZero(cv2.inRange(view.reshape(view.shape[0], -1), 1, 254))
    if most <= allowed * area:
        return most / area
    inside, inside_before = (cv2.inRange(p, (1, 1, 1), (254, 254, 254)) for p in (view, crop))
    newly = cv2.countNonZero(inside_before) - cv2.countNonZero(cv2.bitwise_and(inside_before, inside))
    return newly / area


def moments(plane: Pixels) -> tuple[Array, Array]:
    return luma_moments(plane)


def luma(pixels: Pixels) -> Pixels:
    return luma_levels(pixels)


def luma_again(flag: bool, pixels: Pixels, plane: Pixels) -> Pixels:
    return luma_levels(pixels) if flag else plane


def crop_stats(pixels: Pixels, plane: Pixels) -> CropStats:
    return CropStats(pixels, plane)


def blank(pixels: Pixels, luma_std: float) -> bool:
    return luma_std < 2 * BLANK_STD and is_blank(pixels)


def any_true(flag: bool) -> bool:
    """Whether the one image needs it: only then is it computed."""
    return flag
