"""What a file in benchmarks/results holds, so that a page can say of every number what made it, when, and where.

Results lie as results/<question>/<machine>.json(l). An object (.json) or each line (.jsonl) names its command or its
recipe, its day and, mostly, its machine; findings stand beside these under names of their own. `benchmarks.pages` and
tests/benchmarks/test_pages.py read every file through `read`.

    python -m benchmarks.schema     # moves what was written as results/<question>.json(l) to its place
"""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import date, datetime, timezone
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

RESULTS = Path(__file__).parent / "results"
MACHINE = "2-core-x86"  # what pages show, and what a result was measured on that does not say it
CORE = date(2026, 11, 30)  # views came from the compiled core from this day's first measurement on


def today() -> str:
    """What a benchmark writes as `measured`: the day, in UTC."""
    return datetime.now(timezone.utc).date().isoformat()


class Kept(BaseModel):
    """Names that are not listed are findings: they are kept, not checked."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    def findings(self) -> dict[str, Any]:
        return self.__pydantic_extra__ or {}


class Machine(Kept):
    """Where a time was taken."""

    cpu: str
    cores: PositiveInt
    versions: dict[str, str]


class Result(Kept):
    """An object: one benchmark's one run."""

    command: str = Field(pattern=r"^([A-Z_]+=\S+ )*(python -m benchmarks\.|adaptaug )")
    measured: date
    machine: Machine | str | None = None

    @property
    def days(self) -> set[date]:
        return {self.measured}


class Sitting(Kept):
    """One of the runs that counted towards a total."""

    command: str
    commit: str
    machine: Machine
    at: datetime | None = None


class Counted(Kept):
    """benchmarks.promise since the core: a total over sittings."""

    views: int
    violations: int
    seconds: float
    sittings: list[Sitting]
    rows: list[dict[str, Any]]

    @property
    def days(self) -> set[date]:
        return {sitting.at.date() if sitting.at else CORE for sitting in self.sittings}


class Training(Kept):
    """A line of benchmarks.accuracy: one policy trained once."""

    policy: str
    sha: str
    seed: int
    data: str
    exposure: str
    recipe: dict[str, int | float | str]
    scores: dict[str, dict[str, float]]
    machine: str
    when: date

    @property
    def days(self) -> set[date]:
        return {self.when}


class Learned(Kept):
    """A line of benchmarks.learning: one training with a policy that moves."""

    data: str
    policy: str
    seed: int
    cpu_seconds: float
    when: date

    @property
    def days(self) -> set[date]:
        return {self.when}


class Timed(Kept):
    """A line of benchmarks.throughput: contenders in turns."""

    row: str
    command: str
    commit: str
    at: datetime
    machine: Machine
    contenders: list[dict[str, Any]]
    claims: list[dict[str, Any]]

    @property
    def days(self) -> set[date]:
        return {self.at.date()}


class Remembered(Kept):
    """A line of benchmarks.bank: the data set, then one policy trained once. The first ones do not name their day."""

    when: date = CORE
    policy: str | None = None
    scores: dict[str, float] = {}

    @property
    def days(self) -> set[date]:
        return {self.when}


Entry = Result | Counted | Training | Learned | Timed | Remembered

KINDS: dict[str, type[Entry]] = {  # a file is of the first kind whose pattern its question fits
    "accuracy-*": Training,
    "tune-*": Training,
    "views-*": Training,
    "routes-*": Training,
    "told-*": Training,
    "band-controller": Learned,
    "learning-heads": Learned,
    "throughput*": Timed,
    "promise-core*": Counted,
    "bank-replay": Result,
    "bank-*": Remembered,
    "*": Result,
}


def kind_of(path: Path) -> type[Entry]:
    """By the question: the name of the file's folder or, before it is moved there, of the file."""
    questions = path.parent.name, path.stem
    return next(kind for pattern, kind in KINDS.items() if any(fnmatch(name, pattern) for name in questions))


def read(path: Path) -> list[Entry]:
    """The file's object, or its lines; raises pydantic's ValidationError where one is not of its kind."""
    text = path.read_text(encoding="utf-8")
    kind = kind_of(path)
    return [
        kind.model_validate(json.loads(part))
        for part in (text.splitlines() if path.suffix == ".jsonl" else [text])
    ]


def machine_of(entries: list[Entry]) -> str:
    """`2-core-x86`, `8-core-arm`, or the GPU's name where one was used; results of two machines are two files."""
    names = {_machine_name(entry) for entry in entries}
    if len(names) > 1:
        raise ValueError(
            f"expected results of one machine, got {' and '.join(sorted(names))}: divide the file"
        )
    return names.pop()


def _machine_name(entry: Entry) -> str:
    machine = entry.sittings[-1].machine if isinstance(entry, Counted) else getattr(entry, "machine", None)
    if not isinstance(machine, Machine):
        return _name(machine or "")
    if gpu := machine.findings().get("gpu"):
        return re.sub(r"\W+", "-", str(gpu).lower())
    return _name(f"{machine.cores} cores, {machine.cpu}")


def _name(machine: str) -> str:
    """`x86_64, 2 cores, torch 2.14.1` -> `2-core-x86`."""
    cores = re.search(r"(\d+) (?:CPU )?cores", machine)
    if cores is None:
        return MACHINE
    return f"{cores[1]}-core-{'arm' if re.search('aarch64|arm|apple', machine.lower()) else 'x86'}"


def this_machine() -> str:
    """What a benchmark that names its file itself calls it."""
    return _name(f"{os.cpu_count()} cores, {platform.machine()}")


def output(text: str) -> Path:
    """The type of a benchmark's --out: the folder is there before minutes of measuring, not after them."""
    path = Path(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def move(file: Path) -> Path:
    """results/QUESTION.json(l) -> results/QUESTION/MACHINE.json(l): an object replaces, lines join those there."""
    place = file.with_suffix("") / f"{machine_of(read(file))}{file.suffix}"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if place.suffix == ".jsonl" and place.exists():
        earlier = place.read_text(encoding="utf-8").splitlines(keepends=True)
        lines = [*earlier, *(line for line in lines if line not in earlier)]
    output(str(place)).write_text("".join(lines), encoding="utf-8")
    file.unlink()
    return place


def engine(days: set[date]) -> str:
    """With which engine the views of these days were made, and when: a sentence for a page."""
    first, last = min(days), max(days)
    when = f"{first}" if first == last else f"{first} to {last}"
    if last < CORE:
        return f"Measured {when} with the engine of 0.1, before the compiled core."
    if first < CORE:
        return f"Measured {when}: what is older than {CORE} with the engine of 0.1, before the compiled core."
    return f"Measured {when} with the compiled core."


if __name__ == "__main__":
    for file in sorted(RESULTS.glob("*.json*")):
        print(f"{file.name} -> {move(file).relative_to(RESULTS)}")
