"""What a file in benchmarks/results holds, so that a page can say of every number what made it, when, and where.

An object (.json) or each line (.jsonl) names its command or its recipe, its day and, mostly, its machine; what was
found stands beside these under names of its own. `python -m benchmarks.pages` and tests/benchmarks/test_pages.py read
every file through `read`.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

RESULTS = Path(__file__).parent / "results"
CORE = date(2026, 11, 30)  # views came from the compiled core from this day's first measurement on


def today() -> str:
    """What a benchmark writes as `measured`: the day, in UTC."""
    return datetime.now(timezone.utc).date().isoformat()


class Kept(BaseModel):
    """Names that are not listed are findings: they are kept, not checked."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    def found(self) -> dict[str, Any]:
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

KINDS: dict[str, type[Entry]] = {  # a file is of the first kind whose pattern its name fits
    "accuracy-*.jsonl": Training,
    "tune-*.jsonl": Training,
    "views-*.jsonl": Training,
    "told-*.jsonl": Training,
    "band-controller.jsonl": Learned,
    "learning-heads.jsonl": Learned,
    "throughput*.jsonl": Timed,
    "promise-core*.json": Counted,
    "bank/*.jsonl": Remembered,
    "*.json": Result,
}


def kind_of(path: Path) -> type[Entry]:
    names = path.name, f"{path.parent.name}/{path.name}"
    return next(kind for pattern, kind in KINDS.items() if any(fnmatch(name, pattern) for name in names))


def read(path: Path) -> list[Entry]:
    """The file's object, or its lines; raises pydantic's ValidationError where one is not of its kind."""
    text = path.read_text(encoding="utf-8")
    kind = kind_of(path)
    return [
        kind.model_validate(json.loads(part))
        for part in (text.splitlines() if path.suffix == ".jsonl" else [text])
    ]


def engine(days: set[date]) -> str:
    """With which engine the views of these days were made, and when: a sentence for a page."""
    first, last = min(days), max(days)
    when = f"{first}" if first == last else f"{first} to {last}"
    if last < CORE:
        return f"Measured {when} with the engine of 0.1, before the compiled core."
    if first < CORE:
        return f"Measured {when}: what is older than {CORE} with the engine of 0.1, before the compiled core."
    return f"Measured {when} with the compiled core."
