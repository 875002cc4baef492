"""Learning a policy: before training (`Search`, `find`) and during it (`BandController`, `ConditionalHeads`)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from adaptaug.online.band import BandController
from adaptaug.online.heads import ConditionalHeads

if TYPE_CHECKING:
    from adaptaug.learn.arms import Recipe
    from adaptaug.learn.finding import find
    from adaptaug.learn.search import Search
    from adaptaug.learn.shared import Shared

__all__ = ["BandController", "ConditionalHeads", "Recipe", "Search", "Shared", "find"]
_LATE = {"Recipe": "arms", "Search": "search", "Shared": "shared", "find": "finding"}


def __getattr__(name: str) -> Any:
    """The search when it is asked for: it needs the extra `search`, the others do not."""
    if name in _LATE:
        return getattr(importlib.import_module(f"adaptaug.learn.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
