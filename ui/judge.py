"""Does a view keep the promise? Judged on its pixels alone, with NumPy, whatever policy made it.

This repeats tests (a) to (e) of `adaptaug.promise.guards` from their statement and shares no code with them, so that
the page can say of a manual policy what it breaks and of a guarded one that it breaks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptaug.policy.schema import Promise

LUMA = np.array([0.299, 0.587, 0.114])
TOLERANCE = 1.0 / 255.0
BLANK_STD = 2.0 / 255.0


@dataclass(frozen=True)
class Failure:
    """One broken test: its letter, a label short enough for a picture, and the numbers in a sentence."""

    test: str
    label: str
    sentence: str


def luma(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (H, W) luma in [0, 1]."""
    return pixels @ LUMA / 255.0


def is_blank(frame: np.ndarray) -> bool:
    """Whether every channel is flat: such an image has nothing to lose and is counted apart."""
    return bool((frame.reshape(-1, 3).std(0) / 255.0 < BLANK_STD).all())


def newly_clipped(view: np.ndarray, crop: np.ndarray) -> float:
    """Share of pixels with a channel at 0 or 255 in the view but not in its safe crop."""

    def ends(pixels: np.ndarray) -> np.ndarray:
        return ((pixels == 0) | (pixels == 255)).any(-1)

    return float((ends(view) & ~ends(crop)).mean())


def correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """|correlation| of two luma planes; None where one of them is flat and there is none."""
    a, b = one - one.mean(), other - other.mean()
    scale = np.sqrt((a * a).mean() * (b * b).mean())
    return float(abs((a * b).mean()) / scale) if scale > 1e-6 else None


def judge_view(
    view: np.ndarray,
    crop: np.ndarray,
    frame: np.ndarray,
    promise: Promise,
    before_late: np.ndarray | None = None,
    before_erase: np.ndarray | None = None,
    erased: float = 0.0,
) -> list[Failure]:
    """The tests of the promise that a view fails, in their order; empty if it keeps it.

    Args:
        view: (S, S, 3) uint8; crop: its safe crop, as large; frame: the whole image at the view's size.
        promise: the limits. before_late: the view before noise and erase, before_erase: before erase;
        both the view itself if it has neither. erased: share of the view that was covered.
    """
    if is_blank(frame):
        return []
    before_late = view if before_late is None else before_late
    before_erase = view if before_erase is None else before_erase
    failures = []
    whole = luma(frame)
    floor = min(promise.std, promise.std_share * whole.std())
    std = luma(before_late).std()
    if std < floor - TOLERANCE:
        failures.append(Failure("a", "flat", f"contrast {std:.3f}, the promise needs {floor:.3f}"))
    clipped = newly_clipped(view, crop)
    if clipped > promise.clip + TOLERANCE:
        failures.append(
            Failure("b", "clipped", f"{clipped:.0%} newly clipped, the promise allows {promise.clip:.0%}")
        )
    mean = luma(view).mean()
    low, high = min(promise.dark, whole.mean()), max(promise.bright, whole.mean())
    if mean < low - TOLERANCE:
        failures.append(Failure("c", "too dark", f"mean {mean:.3f}, the promise needs {low:.3f}"))
    elif mean > high + TOLERANCE:
        failures.append(Failure("c", "too bright", f"mean {mean:.3f}, the promise allows {high:.3f}"))
    alike = correlation(luma(before_erase), luma(crop))
    if alike is not None and alike < promise.correlation - TOLERANCE:
        needed = f"correlation with its crop {alike:.2f}, the promise needs {promise.correlation:.2f}"
        failures.append(Failure("d", "lost content", needed))
    if erased > promise.erased + TOLERANCE:
        failures.append(
            Failure("e", "erased", f"{erased:.0%} erased, the promise allows {promise.erased:.0%}")
        )
    return failures
