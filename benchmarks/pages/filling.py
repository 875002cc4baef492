"""Markers on a page, and what stands between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MARKED = re.compile(r"<!--=([a-z0-9_]+\.[a-z0-9_]+)-->(.*?)<!--/-->", re.DOTALL)


def pages() -> list[Path]:
    """Every Markdown file that holds a marker, in the places where they may."""
    places = ("README.md", "SECURITY.md", "docs/**/*.md", "benchmarks/README.md", "benchmarks/pages/*.md")
    found = [page for place in places for page in sorted(ROOT.glob(place))]
    return [page for page in found if MARKED.search(page.read_text(encoding="utf-8"))]


def filled(text: str, value: Callable[[str], str]) -> str:
    """The page with what `value` makes of each marker's name; a table stands in lines of its own."""

    def fill(found: re.Match[str]) -> str:
        made = value(found[1])
        inside = f"\n\n{made}\n\n" if "\n" in made or made.startswith("|") else made
        return f"<!--={found[1]}-->{inside}<!--/-->"

    return MARKED.sub(fill, text)


def names(text: str) -> list[str]:
    return [found[1] for found in MARKED.finditer(text)]


def typed(text: str) -> str:
    """The page without what is filled in: what people wrote."""
    return MARKED.sub("", text)
