"""Does a view keep the promise? Judged on final pixels by its statement (policies/README.md), whoever made them.

NumPy and the promise's numbers only: nothing of the guards, of the certificate or of an engine is imported, so that
each checks the other. Images are (B, S, S, 3) uint8, or one (S, S, 3); what is worked out for an image does not depend
on what lies beside it. Luma is in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from adaptaug.policy.schema import Promise

TOLERANCE = 1.0 / 255.0  # of luma
EXACT = 1e-9  # of a share of the pixels: sums are rounded
BLANK = 2.0  # levels: the standard deviation of every channel of an image without content is below
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Numbers = np.ndarray  # (B,) one an image


def luma(images: np.ndarray) -> np.ndarray:
    """(B, S, S, 3) levels -> (B, S * S) luma in [0, 1]."""
    return images.reshape(len(images), -1, 3).astype(np.float32) @ (LUMA / 255)


def clipped(images: np.ndarray) -> np.ndarray:
    """(B, S * S) whether a pixel has a channel at 0 or 255."""
    flat = images.reshape(len(images), -1, 3)
    return (flat - np.uint8(1) >= 254) @ np.ones(3, np.uint8) > 0  # 0 wraps around to 255


def correlation(a: np.ndarray, b: np.ndarray) -> Numbers:
    """|correlation| of (B, N) planes; 0 where one of them is flat."""
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.asarray(np.abs((a * b).sum(1)) / np.maximum(scale, 1e-12))


@dataclass(frozen=True)
class Frame:
    """The whole images at the view's size, which views are held to; each number is worked out once."""

    pixels: np.ndarray

    @cached_property
    def _luma(self) -> np.ndarray:
        return luma(_batch(self.pixels))

    @cached_property
    def mean(self) -> Numbers:
        return np.asarray(self._luma.mean(1))

    @cached_property
    def std(self) -> Numbers:
        return np.asarray(self._luma.std(1))

    @cached_property
    def blank(self) -> np.ndarray:
        """(B,) whether an image has no content: it has nothing to lose, and its views break nothing."""
        return np.asarray((_batch(self.pixels).std((1, 2)) < BLANK).all(-1))


@dataclass(frozen=True)
class Verdict:
    """One test of the promise on a batch, (B,) each: what was measured, between which numbers it should lie, and
    whether it does not, by more than the tolerance. `letter` is the statement's."""

    name: str
    letter: str
    value: Numbers
    low: Numbers
    high: Numbers
    broken: np.ndarray


def check(
    view: np.ndarray,
    crop: np.ndarray,
    frame: np.ndarray | Frame,
    quiet: np.ndarray | None = None,
    whole: np.ndarray | None = None,
    erased: Any = None,
    promise: Promise | None = None,
) -> list[Verdict]:
    """The tests of the promise, in the statement's order.

    Args:
        view: as delivered; crop: its safe crop; frame: the whole image at the view's size.
        quiet: the view before noise and erase, whole: before erase; the view itself where it has neither.
        erased: (B,) share of the view that was covered; without, it is not tested.
        promise: the limits; without, the default ones.
    """
    promise = Promise() if promise is None else promise
    frame = frame if isinstance(frame, Frame) else Frame(frame)
    view, crop = _batch(view), _batch(crop)
    y, y_crop = luma(view), luma(crop)
    y_quiet, y_whole = (y if v is None else luma(_batch(v)) for v in (quiet, whole))
    alike = np.where(y_crop.std(1) > 1e-9, correlation(y_whole, y_crop), 1.0)
    verdicts = [
        _verdict("std", "a", y_quiet.std(1), np.minimum(promise.std, promise.std_share * frame.std), np.inf, TOLERANCE),
        _verdict("clip", "b", (clipped(view) & ~clipped(crop)).mean(1), 0.0, promise.clip, EXACT),
        _verdict("mean", "c", y.mean(1), np.minimum(promise.dark, frame.mean),
              np.maximum(promise.bright, frame.mean), TOLERANCE),
        _verdict("like", "d", alike, promise.correlation, np.inf, TOLERANCE),
    ]  # fmt: skip
    if erased is not None:
        verdicts.append(_verdict("erased", "e", np.atleast_1d(erased), 0.0, promise.erased, EXACT))
    broken = np.any([verdict.broken for verdict in verdicts], axis=0)
    if broken.any():  # else it is not asked what is blank, which costs as much as all the rest
        for verdict in verdicts:
            verdict.broken[frame.blank] = False
    return verdicts


def violations(*images: Any, **options: Any) -> dict[str, np.ndarray]:
    """Which views break which test: its name -> (B,) bool; 'any' joins them. Arguments as `check`."""
    broken = {verdict.name: verdict.broken for verdict in check(*images, **options)}
    return broken | {"any": np.any(list(broken.values()), axis=0)}


def _batch(images: np.ndarray) -> np.ndarray:
    return images[None] if images.ndim == 3 else images


def _verdict(name: str, letter: str, value: Numbers, low: Any, high: Any, tolerance: float) -> Verdict:
    low, high = (np.broadcast_to(np.asarray(end, np.float64), value.shape) for end in (low, high))
    return Verdict(name, letter, value, low, high, (value < low - tolerance) | (value > high + tolerance))
