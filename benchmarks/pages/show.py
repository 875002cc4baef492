"""How numbers and tables are written on the pages, and where they are read from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from adaptaug.learn.intervals import Interval
from benchmarks import schema
from benchmarks.groups import Group, read_groups


def files(pattern: str) -> list[Path]:
    """The files of every question that fits, in the order of questions; pages show one machine's results."""
    return sorted(schema.RESULTS.glob(f"{pattern}/{schema.MACHINE}.json*"))


@cache
def entries(pattern: str) -> list[schema.Entry]:
    """Their objects and lines."""
    if not files(pattern):
        raise FileNotFoundError(f"benchmarks/results/{pattern}/{schema.MACHINE}.json")
    return [entry for file in files(pattern) for entry in schema.read(file)]


def one(question: str) -> Any:
    """The object that answers a question, as it is read."""
    (entry,) = entries(question)
    return entry


def lines(pattern: str) -> list[dict[str, Any]]:
    return [entry.model_dump(by_alias=True) for entry in entries(pattern)]


@cache
def groups(pattern: str, without: str = "") -> dict[str, Group]:
    """Lines of benchmarks.accuracy to compare within, by the group's slug."""
    left = files(without) if without else []
    return {group.slug: group for group in read_groups([f for f in files(pattern) if f not in left])}


def measured(*patterns: str) -> str:
    return schema.engine({day for pattern in patterns for entry in entries(pattern) for day in entry.days})


def days(group: Group) -> str:
    when = {schema.date.fromisoformat(row["when"]) for rows in group.rows.values() for row in rows.values()}
    return schema.engine(when)


def number(value: float, digits: int = 1) -> str:
    """1.25 -> 1.2, .5 -> .5, 0.0 -> 0: without the zero before the point."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return "0"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def signed(value: float, digits: int = 1) -> str:
    text = number(value, digits)
    return text if text == "0" or text.startswith("-") else f"+{text}"


def share(value: float, digits: int = 1) -> str:
    """.4367 -> 43.7 %."""
    text = number(100 * value, digits)
    return f"{text} %" if text != "0" else "0"


def points(interval: Interval | None, bold: bool = True) -> str:
    """+1.9 (+.7 to +3.1); bold where the interval excludes 0."""
    if interval is None:
        return ""
    mean = signed(interval.mean)
    text = f"**{mean}**" if bold and (interval.low > 0 or interval.high < 0) else mean
    return f"{text} ({signed(interval.low)} to {signed(interval.high)})"


def half(text: str) -> Interval:
    """`+8.58 +- 0.97`, as older results have it."""
    mean, spread = (float(part) for part in text.split("+-"))
    return Interval(mean, mean - spread, mean + spread)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    named = list(heads)
    lines_of_table = ["|" + "".join(f" {cell} |" if cell else " |" for cell in row) for row in (named, *rows)]
    return "\n".join([lines_of_table[0], "|" + "---|" * len(named), *lines_of_table[1:]])


def relative(path: Path) -> str:
    return path.relative_to(schema.RESULTS.parent.parent).as_posix()
