"""Images of more than 8 bits a channel -> 8 bits, by one rule.

Such images (X-rays, microscopy, depth, elevation) seldom use the range of their type, and seldom say which they use.
So a range LOW ... HIGH of values becomes the levels 0 ... 255, in proportion, rounded; what lies beyond is cut, and NaN
is LOW. The range is

- `auto`: an image's own lowest and highest finite value, of an .npz those of all its images;
- `data`: the lowest and highest of all images of a data set, which are read once for it;
- `LOW,HIGH`: as you say, such as a CT window `-160,240`.

Floats that lie in 0 ... 1 are taken as they are, 0 ... 1, unless they span less than 1/16 of it; in tensors, where
this is what floats mean, always. So are those that a sharp resampling (bicubic, Lanczos) has moved beyond 0 or 1: by
1/4 at most, and no further outside than inside. Colours in floats below 0, and in tensors above 1, are a mistake
(normalised before they were augmented) and refused: only grey values and whole numbers have another range. Where LOW
= HIGH there is nothing to see, and the levels are 0. All channels of an image have one range, and so has each image
of a batch of tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from PIL import Image

from adaptaug.backend.arrays import may_look
from adaptaug.errors import AdaptAugError

KINDS = ("uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
# Of 0 ... 1: what rounding may add, what resampling may, what must be used.
_SLACK, _OVERSHOOT, _LEAST = 1e-3, 1 / 4, 1 / 16
_NOTHING = "expected an image with finite values, got none; leave it out."


@dataclass(frozen=True)
class Range:
    """From which value to which; None: an image's own."""

    low: float | None = None
    high: float | None = None

    def of(self, values: np.ndarray) -> tuple[float, float]:
        """The ends for these values. Raises: AdaptAugError: none of them is finite."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        return settled(*extremes(values), values.dtype.kind == "f")

    def __str__(self) -> str:
        """As `parse` reads it."""
        return (
            "auto"
            if self.low is None
            else ",".join(repr(end).removesuffix(".0") for end in (self.low, self.high))
        )


class Widest(Range):
    """The range of all that it is asked about: `data`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, float, bool]] = []

    def of(self, values: np.ndarray) -> tuple[float, float]:
        self.seen.append((*extremes(values), values.dtype.kind == "f"))
        return settled(*self.seen[-1])

    def settle(self) -> Range:
        """The range, each image's own where all have 8 bits."""
        if not self.seen:
            return AUTO
        lows, highs, floats = zip(*self.seen, strict=True)
        return Range(*settled(min(lows), max(highs), all(floats)))


AUTO = Range()


def parse(text: Any) -> Range | None:
    """`auto`, `LOW,HIGH` or (low, high) -> Range; None for `data`. Raises: AdaptAugError: anything else."""
    if isinstance(text, Range):
        return text
    if text in ("auto", "data"):
        return AUTO if text == "auto" else None
    try:
        low, high = (float(end) for end in (text.split(",") if isinstance(text, str) else text))
        if isfinite(low) and isfinite(high) and low < high:
            return Range(low, high)
    except (TypeError, ValueError):
        pass
    raise AdaptAugError(f"range: expected auto, data, or LOW,HIGH such as '0,4095', got {text!r}.")


def of_one(text: Any) -> Range:
    """`parse` for an image by itself. Raises: AdaptAugError: `data`, too."""
    if (depth := parse(text)) is None:
        raise AdaptAugError("range: expected auto or LOW,HIGH for one image; 'data' is of a data set.")
    return depth


def is_deep(image: Any) -> bool:
    """Whether a PIL image or array has more than 8 bits a channel, of a kind that can be read."""
    if isinstance(image, Image.Image):
        return image.mode in ("I", "F") or image.mode.startswith("I;")
    return image.dtype != np.uint8 and image.dtype.name in KINDS  # a dtype's name is slow to ask for


def to_levels(image: Any, range: Any = AUTO) -> Any:
    """A PIL image of mode I;16, I or F -> L; an array of `KINDS`, any shape -> uint8. Others are left as they are.

    Args: range: `auto`, `LOW,HIGH`, (low, high) or a Range.
    Raises: AdaptAugError: a range that is none; no finite value.
    """
    if not is_deep(image):
        return image
    values = np.asarray(image)
    low, high = of_one(range).of(values)
    # In halves, as the step from the lowest to the highest float64 is no float64.
    scale = high / 2 - low / 2
    with np.errstate(all="ignore"):
        shares = (values.astype(np.float64) / 2 - low / 2) / scale if scale else np.zeros(values.shape)
        levels = np.rint(255.0 * np.clip(np.nan_to_num(shares, nan=0.0), 0.0, 1.0)).astype(np.uint8)
    return Image.fromarray(levels) if isinstance(image, Image.Image) else levels


def extremes(values: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest finite value. Raises: AdaptAugError: there is none."""
    if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
        if not finite.any():
            raise AdaptAugError(_NOTHING)
        values = values[finite]
    return float(values.min()), float(values.max())


def settled(low: float, high: float, floats: bool) -> tuple[float, float]:
    """The range that values from `low` to `high` are read by."""
    as_is = (
        floats and (high - low >= _LEAST or low == high) and (_is_unit(low, high) or _overshoots(low, high))
    )
    return (0.0, 1.0) if as_is else (low, high)


def check_colours(low: float, high: float) -> None:
    """Raises: AdaptAugError: colours in floats from `low` to `high`, beyond what resampling makes of 0 ... 1."""
    if not (_is_unit(low, high) or _overshoots(low, high)):
        raise AdaptAugError(
            f"expected colours in floats in [0, 1], got values from {low:.4g} to {high:.4g}: augment before "
            "normalising, and scale to [0, 1]."
        )


def _is_unit(low: Any, high: Any) -> Any:
    """Whether floats from `low` to `high`, numbers or tensors, lie in 0 ... 1."""
    return (low >= -_SLACK) & (high <= 1 + _SLACK)


def _overshoots(low: Any, high: Any) -> Any:
    beyond = (abs(low) - low + abs(high - 1) + (high - 1)) / 2
    inside = (high - low) - beyond
    return (low >= -_OVERSHOOT) & (high <= 1 + _OVERSHOOT) & (inside >= beyond) & (high - low >= _LEAST)


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """(..., C, H, W) of floats or `KINDS` -> levels by each image's own range, uint8; of floats, in 0 ... 1.

    Nothing waits for a device: colours in floats are cut to 0 ... 1 there. Raises: AdaptAugError: on the CPU, no finite
    value, or as `check_colours`.
    """
    floats, look = images.is_floating_point(), may_look(images)
    colours = floats and images.shape[-3] == 3
    if floats and look and images.numel():  # what is usual costs one look
        ends = [float(end) for end in images.aminmax()]
        if colours:
            check_colours(*ends)
        if _is_unit(*ends):
            return images
    if colours:
        return images.clamp(0.0, 1.0)
    values = images.to(
        torch.float64 if look or not floats else torch.promote_types(images.dtype, torch.float32)
    )
    finite = values.isfinite()
    low = torch.where(finite, values, torch.inf).amin((-3, -2, -1), keepdim=True)
    high = torch.where(finite, values, -torch.inf).amax((-3, -2, -1), keepdim=True)
    if look and bool((low > high).any()):
        raise AdaptAugError(_NOTHING)
    if floats:
        as_is = _is_unit(low, high) | _overshoots(low, high)
        low, high = torch.where(as_is, 0.0, low), torch.where(as_is, 1.0, high)
    shares = (values / 2 - low / 2) / torch.where(low == high, torch.inf, high / 2 - low / 2)
    levels = torch.round(255.0 * shares.nan_to_num(0.0).clamp(0.0, 1.0))
    return (levels / 255.0).to(images.dtype) if floats else levels.to(torch.uint8)
