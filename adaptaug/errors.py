"""The one error this package raises for bad input, and what its messages are made with."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable


class AdaptAugError(ValueError):
    """What was expected, what came, which file, field or operation, and the way out: in one sentence.

    >>> Policy.load("naturel")
    Traceback (most recent call last):
    adaptaug.errors.AdaptAugError: ...did you mean 'natural'?...
    """

    def __str__(self) -> str:
        return printable(super().__str__())  # it may quote what a stranger named


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known name as a hint in brackets, empty where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def printable(path: str | os.PathLike[str]) -> str:
    """A path or a sentence on one line: characters that would break the line or the terminal are escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(path)
    )
