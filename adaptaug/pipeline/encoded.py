"""An image file's bytes -> pixels, of a large JPEG only as many as the views need.

A JPEG can be decoded to 1/2, 1/4 or 1/8 of its size, which spares most of the work after its entropy coding. How much
may go is known before any pixel is: the crops' sizes are drawn from the key, and guards only enlarge them.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from adaptaug import planning
from adaptaug.core import engine
from adaptaug.data.depth import AUTO, of_one
from adaptaug.data.files import read_image
from adaptaug.data.metadata import orientation, turn_array
from adaptaug.policy import Policy
from adaptaug.policy.request import Request

# OpenCV's flags; its REDUCED_GRAYSCALE ones say only how far to reduce.
SHRINKS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
# Which way up is ours to say: OpenCV reads other metadata than Pillow.
_AS_IT_LIES = cv2.IMREAD_IGNORE_ORIENTATION
_END = b"\xff\xd9"


def decode(
    data: bytes, shrink: Callable[[int, int], int] = lambda width, height: 1, range: Any = AUTO
) -> np.ndarray:
    """Upright (H, W, 3) uint8 RGB; a JPEG of width x height pixels at 1 / shrink(width, height) of its size.

    Args: range: by which images of more than 8 bits are read, as `depth.to_levels`.
    Raises: AdaptAugError: as `files.read_image`.

    >>> decode(png).shape
    (96, 96, 3)
    """
    name, header = "the image's bytes", _jpeg(data)
    # OpenCV is twice as fast as Pillow, but fills what a truncated file lacks with grey and says nothing.
    if header and _END in data[-64:] and max(header[:2]) <= _LONGEST:
        width, height, number = header
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), SHRINKS[shrink(width, height)] | _AS_IT_LIES)
        if pixels is not None:
            return turn_array(pixels, number)
    return np.asarray(read_image(io.BytesIO(data), name, range=of_one(range)))


def _jpeg(data: bytes) -> tuple[int, int, int] | None:
    """Width, height and orientation of a JPEG of one or three channels; None of anything else."""
    if engine.usable() and (size := engine.jpeg_size(data)) is not None:
        width, height, metadata = size
        if not metadata:  # nothing could say that it is turned
            return width, height, 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no reason to stop
            with Image.open(io.BytesIO(data)) as header:  # reads no pixel
                if header.format != "JPEG" or header.mode not in ("RGB", "L"):
                    return None
                return *header.size, orientation(header)
    except Exception:  # whatever it is, read_image says so in a sentence
        return None


_LONGEST = 10_000  # beyond, read_image knows the limits


def affordable(request: Request, rows: np.ndarray) -> Callable[[int, int], int]:
    """How far an image may be shrunk for the views asked for of one key: 1, 2, 4 or 8, as a function of its size.

    So far that every crop as drawn still has `size` pixels a side, whichever way up the image is: that only its
    metadata tells. 1 where what is drawn depends on pixels.
    """

    policy = request.policy

    def shrink(width: int, height: int) -> int:
        if policy.pair.overlap or policy.band or policy.conditional.operations or policy.routes:
            return 1
        least = _shortest_side(policy, rows, request.numbers, width, height)
        return max(shrink for shrink in SHRINKS if shrink == 1 or shrink * request.size <= least)

    return shrink


def _shortest_side(policy: Policy, rows: np.ndarray, numbers: range, width: int, height: int) -> float:
    if engine.usable(policy):
        return engine.shortest_side(policy, rows, numbers, width, height)
    keys = torch.from_numpy(rows)
    return min(
        planning.shortest_side(policy.for_view(number), keys, number, *shape)
        for number in numbers
        for shape in ((width, height), (height, width))
    )
