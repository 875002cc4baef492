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
    files = [page for place in places for page in sorted(ROOT.glob(place))]
    return [page for page in files if MARKED.search(page.read_text(encoding="utf-8"))]


def filled(text: str, value: Callable[[str], str]) -> str:
    """The page with what `value` makes of each marker's name; a table stands in lines of its own."""

    def fill(mark: re.Match[str]) -> str:
        content = value(mark[1])
        inside = f"\n\n{content}\n\n" if "\n" in content or content.startswith("|") else content
        return f"<!--={mark[1]}-->{inside}<!--/-->"

    return MARKED.sub(fill, text)


def names(text: str) -> list[str]:
    return [mark[1] for mark in MARKED.finditer(text)]


def typed(text: str) -> str:
    """The page without what is filled in: what people wrote."""
    return MARKED.sub("", text)
