"""The single-image renderer: (S, S, 3) uint8 with OpenCV, for DataLoader workers and large photographs.

The same functions as render/torch.py, over the same parameters with one row; they may branch.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from adaptaug.arrays import Array, row
from adaptaug.measure import CropStats, box_reduce, is_blank, luma_levels, luma_moments
from adaptaug.ops import OPS, erase_mask, noise_levels
from adaptaug.params import Entry

Pixels = np.ndarray
_SAME = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
_LEAST = 64  # pixels a side below which cutting out what is seen saves nothing


def _seen(full: np.ndarray, size: int, width: int, height: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the source's pixels that a view's (3, 3) matrix can read, mirrored ones included."""
    corners = np.array([[-0.5, -0.5, size - 0.5, size - 0.5], [-0.5, size - 0.5] * 2, [1.0] * 4])
    x, y, w = full @ corners
    (x0, x1), (y0, y1) = _reach(x / w, width), _reach(y / w, height)
    return x0, y0, x1, y1


def _reach(ends: np.ndarray, length: int) -> tuple[int, int]:
    """The part of 0 .. length that holds the ends and, of what lies outside, its mirror image."""
    low, high = math.floor(min(ends)) - 1, math.ceil(max(ends)) + 2
    return max(0, min(low, 2 * length - high)), min(length, max(high, -low))


def warp(image: Pixels, matrix: Array, reduce: int, size: int, nearest: bool = False) -> Pixels:
    """One warp of an (H, W[, C]) image; see render/torch.py. Only the part that is seen is averaged."""
    height, width = image.shape[:2]
    factor = 1 if nearest else max(1, min(reduce, min(height, width) // size))  # labels have no average
    # Pixel index of the view -> [-1, 1] -> source pixels, both at pixel centres.
    to_view = np.array([[2.0 / size, 0, 1.0 / size - 1], [0, 2.0 / size, 1.0 / size - 1], [0, 0, 1]])
    to_pixels = np.array([[width / factor, 0, -0.5], [0, height / factor, -0.5], [0, 0, 1]])
    full = to_pixels @ np.array(matrix) @ to_view
    x0, y0, x1, y1 = _seen(full, size, -(-width // factor), -(-height // factor))
    if x1 - x0 >= _LEAST and y1 - y0 >= _LEAST:
        image = image[y0 * factor : y1 * factor, x0 * factor : x1 * factor]
        full = np.array([[1.0, 0, -x0], [0, 1.0, -y0], [0, 0, 1]]) @ full
    image = box_reduce(image, factor)
    flags = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    padded = image.ndim == 3 and not nearest
    if padded:  # OpenCV reads four channels more than twice as fast as three
        image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    if abs(full[2, 0]) < 1e-12 and abs(full[2, 1]) < 1e-12:
        full, apply = full[:2] / full[2, 2], cv2.warpAffine
    else:
        apply = cv2.warpPerspective
    out = apply(image, full, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return cv2.cvtColor(out, cv2.COLOR_RGBA2RGB) if padded else out


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


def crop_stats(pixels: Pixels, plane: Pixels) -> CropStats:
    return CropStats(pixels, plane)


def blank(pixels: Pixels) -> bool:
    return is_blank(pixels)


def any_true(flag: bool) -> bool:
    """Whether the one image needs it: only then is it computed."""
    return flag
