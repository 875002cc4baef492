"""PIL images as they are shown: 8 bits a channel, nothing transparent; one rule for files, bytes and PIL images.

What is transparent is put on white, as pages are, unless what is drawn is light itself: where its mean luma, weighed by
how opaque each pixel is, is above 3/4 of white, the ground is black, so that a white logo does not vanish.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from adaptaug.data.depth import AUTO, Range, is_deep, to_levels

_LIGHT = 0.75 * 255.0
_LUMA = (0.299, 0.587, 0.114)
_LOOKED_AT = 512  # pixels of the longer side, at least, that decide
_PHOTOMETRIC = 262  # TIFF's tag


def shown(image: Image.Image, range: Range = AUTO) -> Image.Image:
    """An image as it is shown: L where it is deep or has one channel beside its opacity, RGB on a ground; others as
    they are. Raises: AdaptAugError: more than 8 bits, and no finite value.
    """
    if is_deep(image):
        return Image.fromarray(_deep_on_ground(image, np.asarray(to_levels(image, range))))
    return _on_ground(image) if image.has_transparency_data else image


def _on_ground(image: Image.Image) -> Image.Image:
    grey = image.mode in ("LA", "La")
    coloured = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    if coloured.getchannel("A").getextrema() != (255, 255):
        step = max(1, max(coloured.size) // _LOOKED_AT)
        some = np.asarray(coloured)[::step, ::step].astype(np.float64)
        ground = _ground(some[..., :3] @ _LUMA, some[..., 3])
        coloured = Image.alpha_composite(Image.new("RGBA", coloured.size, (ground,) * 3 + (255,)), coloured)
    return coloured.convert("L" if grey else "RGB")


def _deep_on_ground(image: Image.Image, levels: np.ndarray) -> np.ndarray:
    """(H, W) levels, dark where the image is; one of its values may stand for what is transparent."""
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # of a TIFF whose least value is white
        levels = 255 - levels
    if (value := image.info.get("transparency")) is None:
        return levels
    clear = np.asarray(image) == value
    return np.where(clear, np.uint8(_ground(levels, ~clear)), levels)


def _ground(luma: np.ndarray, opacity: np.ndarray) -> int:
    """The ground's level for luma and opacity of any one shape: 255, or 0 below a light drawing."""
    weight = float(opacity.sum())
    return 0 if weight > 0 and float((luma * opacity).sum()) / weight > _LIGHT else 255
