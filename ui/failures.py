"""Which tests of the promise a view fails, in words and numbers that people read."""

from __future__ import annotations

from typing import Any, NamedTuple

from adaptaug.promise.checker import check

# test -> the label of what lies below, and above; what was measured; how it is written
_WORDS = {
    "std": ("flat", "", "contrast", ".3f"),
    "clip": ("", "clipped", "newly clipped", ".0%"),
    "mean": ("too dark", "too bright", "mean", ".3f"),
    "like": ("lost content", "", "correlation with its crop", ".2f"),
    "erased": ("", "erased", "erased", ".0%"),
}


class Failure(NamedTuple):
    """One broken test: its letter, a label short enough for a picture, and the numbers in a sentence."""

    test: str
    label: str
    sentence: str


def failures(*images: Any, **options: Any) -> list[Failure]:
    """The tests of the promise that one view fails, in their order; empty if it keeps it. Arguments as `check`."""
    out = []
    for verdict in check(*images, **options):
        if not verdict.broken[0]:
            continue
        value, low, high = (float(number[0]) for number in (verdict.value, verdict.low, verdict.high))
        below, above, measured, digits = _WORDS[verdict.name]
        label, limit = (below, f"needs {low:{digits}}") if value < low else (above, f"allows {high:{digits}}")
        number = f"{value:{digits}}"
        measured = f"{number} {measured}" if digits == ".0%" else f"{measured} {number}"
        out.append(Failure(verdict.letter, label, f"{measured}, the promise {limit}"))
    return out
