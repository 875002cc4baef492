"""Learning a policy: before training (`Search`) and during it (`BandController`, `ConditionalHeads`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adaptaug.controller import BandController
from adaptaug.learn.heads import ConditionalHeads

if TYPE_CHECKING:
    from adaptaug.learn.arms import Recipe
    from adaptaug.learn.search import Search

__all__ = ["BandController", "ConditionalHeads", "Recipe", "Search"]


def __getattr__(name: str) -> Any:
    """`Search` and `Recipe` when they are asked for: they need the extra `search`, the others do not."""
    if name == "Search":
        from adaptaug.learn.search import Search

        return Search
    if name == "Recipe":
        from adaptaug.learn.arms import Recipe

        return Recipe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
