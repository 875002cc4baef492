"""The compiled core: found beside this file, checked, and loaded once a process.

ADAPTAUG_CORE=off leaves it alone (torch does its work), ADAPTAUG_CORE=require makes its absence an error.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from adaptaug.core import built
from adaptaug.core.records import STRUCTS
from adaptaug.errors import AdaptAugError

FOLDER = Path(__file__).parent
WISHES = ("", "require", "off")
REBUILD = "`make core` in a checkout or `pip install -v --force-reinstall --no-deps --no-cache-dir adaptaug` builds it"


class Unusable(Exception):
    """Why a library cannot be used, as half a sentence."""


def load() -> ctypes.CDLL | None:
    """The library, None where there is none to trust (`why_not` says why); AdaptAugError where it is required."""
    library, reason = _attempt()
    if library is None and _wish() == "require":
        raise AdaptAugError(
            f"ADAPTAUG_CORE=require, but {reason}: {REBUILD}, and without ADAPTAUG_CORE torch does its work."
        )
    return library


def why_not() -> str:
    """Why `load` gives None, as half a sentence; empty where it gives the library."""
    return _attempt()[1]


@cache
def say_once(say: Callable[[str], None]) -> None:
    """Let `say` tell the user, once a process, where torch does the core's work."""
    if load() is None:
        say(
            f"torch makes the views, several times slower than the compiled core, because {why_not()}; {REBUILD}."
        )


def open_library(level: str) -> ctypes.CDLL:
    """The library of one level, if it was compiled from the sources beside it and has Python's structs."""
    path = FOLDER / built.library_name(level)
    if not path.is_file():
        raise Unusable(f"{path.name} is not there: it was not compiled when the package was installed")
    try:
        library = ctypes.CDLL(str(path))
        library.core_source_hash.restype, library.core_size.restype = ctypes.c_char_p, ctypes.c_int64
    except (OSError, AttributeError) as error:
        raise Unusable(f"{path.name} does not load ({error})") from error
    if library.core_source_hash().decode() != _hash():
        raise Unusable(f"{path.name} was compiled from other sources than those in {FOLDER}")
    for name, struct in STRUCTS.items():
        here, there = ctypes.sizeof(struct), library.core_size(name.encode())
        if here != there:
            raise Unusable(f"{name} has {there} bytes in {path.name} and {here} in Python")
    library.core_shortest_side.restype = ctypes.c_double
    return library


@cache
def _hash() -> str:
    return built.source_hash(FOLDER)


def _wish() -> str:
    wish = os.environ.get("ADAPTAUG_CORE", "")
    if wish not in WISHES:
        raise AdaptAugError(f"ADAPTAUG_CORE is {wish!r}: expected 'require', 'off' or nothing.")
    return wish


@cache
def _attempt() -> tuple[ctypes.CDLL | None, str]:
    """The library for this processor, or None and why."""
    if _wish() == "off":
        return None, "ADAPTAUG_CORE=off"
    try:
        first, *better = built.levels()
        core = open_library(first)
        return (open_library(better[0]) if better and core.core_runs_v3() else core), ""
    except Unusable as error:
        return None, str(error)
