"""Data sets as users have them, and what hands them to a loader: `open_data`, `Images`; keys, visits, collation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptaug.data.opening import Images, open_data, range_of

__all__ = ["Images", "open_data", "range_of"]


def __getattr__(name: str) -> Any:
    """Data sets are opened where they are asked for: who only makes views need not import their readers."""
    if name in __all__:
        from adaptaug.data import opening

        return getattr(opening, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
