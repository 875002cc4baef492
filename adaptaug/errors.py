"""The one error this package raises for bad input, and the hint that several of its messages end with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AdaptAugError(ValueError):
    """What was expected, what came, which file, field or operation, and the way out: in one sentence."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as a hint in brackets, empty where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
