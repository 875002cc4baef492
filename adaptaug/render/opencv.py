"""The single-image renderer: (S, S, 3) uint8 with OpenCV, for DataLoader workers and large photographs.

The same functions as render/torch.py, over the same parameters with one row; they may branch.
"""

from __future__ import annotations

import cv2
import numpy as np

from adaptaug.arrays import Array
from adaptaug.measure import CropStats, box_reduce, is_blank, luma_levels, luma_moments, measure_crop
from adaptaug.ops import OPS, erase_mask, noise_levels
from adaptaug.params import Entry

Pixels = np.ndarray


def warp(image: Pixels, matrix: Array, reduce: Array, size: int, nearest: bool = False) -> Pixels:
    """One warp of an (H, W[, C]) image; see render/torch.py. Only the part that is seen is averaged."""
    height, width = image.shape[:2]
    factor = (
        1 if nearest else max(1, min(int(reduce[0]), min(height, width) // size))
    )  # labels have no average
    # Pixel index of the view -> [-1, 1] -> source pixels, both at pixel centres.
    to_view = np.array([[2.0 / size, 0, 1.0 / size - 1], [0, 2.0 / size, 1.0 / size - 1], [0, 0, 1]])
    to_pixels = np.array([[width / factor, 0, -0.5], [0, height / factor, -0.5], [0, 0, 1]])
    full = to_pixels @ matrix[0] @ to_view
    border = cv2.BORDER_REFLECT
    if factor > 1:
        corners = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1], [1, 1, 1, 1]]) - np.array([[0.5], [0.5], [0]])
        corners[:2] = np.where(corners[:2] < 0, -0.5, size - 0.5)
        x, y, w = full @ corners
        x, y = x / w, y / w
        x0, y0 = max(0, int(np.floor(x.min())) - 1), max(0, int(np.floor(y.min())) - 1)
        x1 = min(-(-width // factor), int(np.ceil(x.max())) + 2)
        y1 = min(-(-height // factor), int(np.ceil(y.max())) + 2)
        image = box_reduce(image[y0 * factor : y1 * factor, x0 * factor : x1 * factor], factor)
        full = np.array([[1.0, 0, -x0], [0, 1.0, -y0], [0, 0, 1]]) @ full
    flags = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    if abs(full[2, 0]) < 1e-12 and abs(full[2, 1]) < 1e-12:
        return cv2.warpAffine(image, full[:2] / full[2, 2], (size, size), flags=flags, borderMode=border)
    return cv2.warpPerspective(image, full, (size, size), flags=flags, borderMode=border)


def affine(pixels: Pixels, colour: Array) -> Pixels:
    matrix = colour[0]
    if np.array_equal(matrix, np.eye(3, 4)):
        return pixels
    return cv2.transform(pixels, np.hstack([matrix[:, :3], matrix[:, 3:] * 255.0]))


def lift(pixels: Pixels, scale_offset: Array) -> Pixels:
    scale, offset = (float(v) for v in scale_offset[0])
    if scale == 1.0 and offset == 0.0:
        return pixels
    table = np.rint(np.arange(256) * scale + 255.0 * offset).astype(np.uint8)
    return cv2.LUT(pixels, table)


def filters(pixels: Pixels, entries: dict[str, Entry]) -> Pixels:
    for op in OPS.values():
        if op.kind not in ("filter", "table") or op.name not in entries:
            continue
        entry = entries[op.name]
        if not entry.applied[0]:
            continue
        if op.kind == "filter":
            assert op.opencv is not None
            pixels = op.opencv(pixels, float(entry.value[0]))
        else:
            assert op.table is not None
            table = np.rint(np.clip(op.table(entry.value)[0], 0, 1) * 255.0).astype(np.uint8)
            pixels = cv2.LUT(pixels, table)
    return pixels


def noise(pixels: Pixels, entries: dict[str, Entry], seed: Array) -> Pixels:
    if "noise" not in entries or not entries["noise"].applied[0]:
        return pixels
    grain = noise_levels(seed, pixels.shape[1], entries["noise"].value)[0]
    return np.clip(np.rint(pixels + grain.astype(np.float32)[:, :, None]), 0, 255).astype(np.uint8)


def erase(pixels: Pixels, entries: dict[str, Entry]) -> Pixels:
    if "erase.area" not in entries or not entries["erase.area"].applied[0]:
        return pixels
    area, ratio, x, y = (entries[f"erase.{part}"].value for part in ("area", "ratio", "x", "y"))
    out = pixels.copy()
    out[erase_mask(area, ratio, x, y, pixels.shape[1])[0]] = np.rint(pixels.mean((0, 1))).astype(np.uint8)
    return out


def blend(crop: Pixels, view: Pixels, strength: Array) -> Pixels:
    s = float(strength[0])
    if s == 1.0:
        return view
    if s == 0.0:
        return crop
    step = np.trunc(np.float32(s) * (view.astype(np.float32) - crop))
    return (crop + step).astype(np.uint8)


def select(flags: Array, one: Pixels, other: Pixels) -> Pixels:
    return one if flags[0] else other


def covariance(luma_a: Pixels, luma_b: Pixels) -> Array:
    """Covariance of two luma planes, from sums of squares, which cv2 has exact and fast."""
    squares = cv2.norm(luma_a, cv2.NORM_L2SQR) + cv2.norm(luma_b, cv2.NORM_L2SQR)
    product = 0.5 * (squares - cv2.norm(luma_a, luma_b, cv2.NORM_L2SQR)) / luma_a.size
    means = cv2.sumElems(luma_a)[0] * cv2.sumElems(luma_b)[0] / luma_a.size**2
    return np.array([(product - means) / 255.0**2])


def newly_clipped(view: Pixels, crop: Pixels) -> Array:
    inside, inside_before = (cv2.inRange(p, (1, 1, 1), (254, 254, 254)) for p in (view, crop))
    newly = cv2.countNonZero(inside_before) - cv2.countNonZero(cv2.bitwise_and(inside_before, inside))
    return np.array([newly / inside.size])


def moments(plane: Pixels) -> tuple[Array, Array]:
    return luma_moments(plane)


def luma(pixels: Pixels) -> Pixels:
    return luma_levels(pixels)


def crop_stats(pixels: Pixels, plane: Pixels) -> CropStats:
    return measure_crop(pixels, plane)


def blank(pixels: Pixels) -> Array:
    return is_blank(pixels)


def any_true(flags: Array) -> bool:
    """Whether the one image needs it: only then is it computed."""
    return bool(flags[0])
