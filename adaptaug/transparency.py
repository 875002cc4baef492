"""Transparent images -> the ground that they are shown on: one rule for files, bytes and PIL images.

White, as pages are, unless what is drawn is light itself: where its mean luma, weighed by how opaque each pixel is, is
above 3/4 of white, the ground is black, so that a white logo does not vanish.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_LIGHT = 0.75 * 255.0
_LUMA = (0.299, 0.587, 0.114)
_LOOKED_AT = 512  # pixels of the longer side, at least, that decide


def on_ground(image: Image.Image) -> Image.Image:
    """A transparent image (RGBA, LA, PA, La, RGBa, a palette with a transparent entry) -> RGB, of a grey one L."""
    grey = image.mode in ("LA", "La")
    coloured = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    if coloured.getchannel("A").getextrema() != (255, 255):
        step = max(1, max(coloured.size) // _LOOKED_AT)
        some = np.asarray(coloured)[::step, ::step].astype(np.float64)
        ground = _ground(some[..., :3] @ _LUMA, some[..., 3])
        coloured = Image.alpha_composite(Image.new("RGBA", coloured.size, (ground,) * 3 + (255,)), coloured)
    return coloured.convert("L" if grey else "RGB")


def levels_on_ground(image: Image.Image, levels: np.ndarray) -> np.ndarray:
    """(H, W) levels of an image of more than 8 bits, of whose values one may stand for what is transparent."""
    if (value := image.info.get("transparency")) is None:
        return levels
    clear = np.asarray(image) == value
    return np.where(clear, np.uint8(_ground(levels, ~clear)), levels)


def _ground(luma: np.ndarray, opacity: np.ndarray) -> int:
    """The ground's level for luma and opacity of any one shape: 255, or 0 below a light drawing."""
    weight = float(opacity.sum())
    return 0 if weight > 0 and float((luma * opacity).sum()) / weight > _LIGHT else 255
