"""The list of rooms in CONTRIBUTING.md, from the import contract and the docstrings: python -m tests.support.rooms."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms: python -m tests.support.rooms -->\n", "<!-- end of rooms -->"
_WIDTH = 118


def layers() -> list[list[str]]:
    """Rooms that may not import each other, floor by floor; each floor imports from those after it only."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [[room.strip() for room in floor.split("|")] for floor in found]


def _about(file: Path) -> str:
    """The first sentence of a module's docstring."""
    text = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def _lines(room: str) -> list[str]:
    single = ROOT / "adaptaug" / f"{room}.py"
    if single.exists():
        return [f"{room}.py".ljust(14) + _about(single)]
    folder = single.with_suffix("")
    modules = sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("__"))
    wrapped = textwrap.wrap(", ".join(modules), _WIDTH - 14)
    about = textwrap.wrap(_about(folder / "__init__.py"), _WIDTH - 14)
    return [f"{room}/".ljust(14) + about[0], *(" " * 14 + line for line in about[1:] + wrapped)]


def listed() -> str:
    floors = [
        [line for room in floor for line in _lines(room)] for floor in layers() if floor != ["__main__"]
    ]
    return "```\n" + "\n\n".join("\n".join(floor) for floor in floors) + "\n```\n"


def written(page: str) -> str:
    """The page with the list as it is now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + listed() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
