"""Runs and searches as they lie on disk: found by name in one folder, and read while they are being written.

Nothing in the folder is trusted: files have limits, lines that are no JSON are passed over, links are not followed.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from adaptaug import AdaptAugError, Policy
from adaptaug.data.files import printable
from adaptaug.learn.space import DIMENSIONS, coordinates, free_dimensions, place
from adaptaug.policy import MAX_FILE_BYTES

MAX_BYTES = 32_000_000  # of metrics.jsonl: the end of a longer file is read
MAX_STUDY, MAX_SETTINGS = 64_000_000, 1_000_000
MAX_SHOWN, MAX_ARMS, MAX_SERIES = 200, 5000, 64
_STEPS = 5_000_000  # of SQLite's machine, ten times what a search of MAX_ARMS takes


@dataclass(frozen=True)
class Found:
    """A run (`kind` "run") or a search ("search") in a folder."""

    name: str
    kind: str
    folder: Path
    changed: float


@dataclass
class Metrics:
    """metrics.jsonl: `series[name]` is (steps, values); `skipped` counts lines that hold no step."""

    series: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    skipped: int = 0
    cut: bool = False


@dataclass(frozen=True)
class Trial:
    """An arm: its accuracy in percent at each rung it reached, and where it lies in the search's space."""

    number: int
    name: str
    scores: list[float]
    point: dict[str, float]


@dataclass
class Study:
    """A search; its trials in the order in which they began."""

    start: str
    trials: list[Trial]
    settings: dict[str, Any]

    @cached_property
    def leading(self) -> list[Trial]:
        """Whoever got furthest first, and of those the most accurate."""
        return sorted(self.trials, key=lambda t: (-len(t.scores), -t.scores[-1]))

    @property
    def best(self) -> Trial | None:
        """None before the first arm is scored."""
        return self.leading[0] if self.leading else None


def find_runs(roots: Iterable[Path | None]) -> list[Found]:
    """Runs and searches directly inside the folders, the one changed last first; links are passed over."""
    runs: dict[str, Found] = {}
    for root in roots:
        try:
            inside = sorted(root.iterdir()) if root is not None else []
        except OSError:
            inside = []
        for folder in inside:
            kind, file = _kind(folder)
            if kind and folder.name not in runs:
                runs[folder.name] = Found(folder.name, kind, folder, _changed(file))
    return sorted(runs.values(), key=lambda run: -run.changed)[:MAX_SHOWN]


def _kind(folder: Path) -> tuple[str, Path]:
    metrics, settings, arms = folder / "metrics.jsonl", folder / "settings.json", folder / "arms"
    readable = printable(folder.name) == folder.name  # a name that is no text cannot be sent to a page
    if folder.is_symlink() or not readable or not folder.is_dir():
        return "", folder
    if own_file(metrics):
        return "run", metrics
    begun = folder.suffix == ".search" and not settings.exists()
    if begun or (own_file(settings) and arms.is_dir() and not arms.is_symlink()):
        return "search", folder / "study.db" if own_file(
            folder / "study.db"
        ) else folder if begun else settings
    return "", folder


def own_file(file: Path) -> bool:
    """Whether this is a plain file and no link to one elsewhere."""
    return file.is_file() and not file.is_symlink()


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def pick(roots: Iterable[Path | None], name: str) -> Found:
    """A run by its name. Raises: AdaptAugError: there is none of that name in the folders."""
    for run in find_runs(roots):
        if run.name == name:
            return run
    raise AdaptAugError(f"{printable(name)}: no such run in the runs folder; choose another.")


def stamp(run: Found) -> tuple[Any, ...]:
    """What changes when there is something new to read."""
    files = [run.folder / name for name in ("metrics.jsonl", "study.db", "encoder.json", "policy.yaml")]
    return run.name, *((f.stat().st_mtime_ns, f.stat().st_size) for f in files if own_file(f))


# --- a run --------------------------------------------------------------------------------------------------
def read_metrics(folder: Path) -> Metrics:
    """Every number of metrics.jsonl over the steps. A last line that is half written is passed over."""
    metrics = Metrics()
    path = folder / "metrics.jsonl"
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size > MAX_BYTES:
                file.seek(size - MAX_BYTES)
                file.readline()
                metrics.cut = True
            text = file.read(MAX_BYTES)
    except OSError:
        return metrics
    for line in text.split(b"\n"):
        if line.strip():
            _take(metrics, line)
    return metrics


def _take(metrics: Metrics, line: bytes) -> None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    step = record.get("step") if isinstance(record, dict) else None
    if not finite(step):
        metrics.skipped += 1
        return
    for name, value in record.items():
        if name != "step" and finite(value) and (name in metrics.series or len(metrics.series) < MAX_SERIES):
            steps, values = metrics.series.setdefault(name, ([], []))
            steps.append(float(step))
            values.append(float(value))


def finite(value: Any) -> bool:
    """A number that can be drawn; JSON as Python reads it has NaN, infinities and numbers of any length."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e12
        and not math.isnan(value)
    )


# --- a search -----------------------------------------------------------------------------------------------
def read_study(folder: Path) -> Study:
    """Arms and scores of a search. Raises: AdaptAugError: files that no search has written."""
    if not (folder / "settings.json").exists():
        return Study("", [], {})  # the search is still loading its code
    settings = read_json(folder / "settings.json")
    start = settings.get("start")
    if not isinstance(start, str):
        raise AdaptAugError(
            f"{printable(folder.name)}: expected settings.json of a search, got something else."
        )
    return Study(start, _trials(folder / "study.db", folder.name), settings)


def read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_SETTINGS:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _trials(path: Path, name: str) -> list[Trial]:
    if not own_file(path):
        return []  # no rung is finished yet
    try:
        if path.stat().st_size > MAX_STUDY:
            raise sqlite3.DatabaseError("too large")
        # The search replaces the file as a whole, so no lock is needed to read one state of it.
        base = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            budget = iter(range(_STEPS // 1000))
            base.set_progress_handler(lambda: next(budget, None) is None, 1000)
            rows = base.execute(
                "select trial_id, key, value_json from trial_user_attributes where key in ('arm', 'scores') limit ?",
                (2 * MAX_ARMS,),
            ).fetchall()
            params = base.execute(
                "select trial_id, param_name, param_value from trial_params limit ?",
                (len(DIMENSIONS) * MAX_ARMS,),
            ).fetchall()
        finally:
            base.close()
        return _arms(rows, params)
    except (sqlite3.Error, OSError, ValueError, TypeError, RecursionError) as error:
        raise AdaptAugError(f"{printable(name)}: study.db is not one that a search has written.") from error


def _arms(told: list[tuple[Any, ...]], params: list[tuple[Any, ...]]) -> list[Trial]:
    known: dict[int, dict[str, Any]] = {}
    for trial, key, text in told:
        known.setdefault(int(trial), {})[key] = json.loads(text)
    points: dict[int, dict[str, float]] = {}
    names = {d.name for d in DIMENSIONS}
    for trial, name, value in params:
        if name in names and finite(value):
            points.setdefault(int(trial), {})[name] = float(value)
    out = []
    for trial, said in sorted(known.items()):
        scores = said.get("scores")
        scores = [float(s) for s in scores if finite(s)] if isinstance(scores, list) else []
        if scores:
            out.append(Trial(len(out), str(said.get("arm", trial))[:100], scores, points.get(trial, {})))
    return out


# --- the policy of either -----------------------------------------------------------------------------------
def policy_of(run: Found) -> Policy:
    """What a run was trained with, or what a search has found, as far as it got.

    Raises: AdaptAugError: a run that has not ended, a search without a scored arm, a policy that cannot be read.
    """
    name = printable(run.name)
    if run.kind == "run":
        path = run.folder / "encoder.json"
        text = read_json(path).get("policy") if own_file(path) else None
        if not isinstance(text, str):
            raise AdaptAugError(
                f"{name}: has not ended yet, and its policy is written at its end; try again then."
            )
        return Policy.loads(text, f"{name}: its policy")
    try:
        return policy_file(run)
    except FileNotFoundError:
        pass
    study = read_study(run.folder)
    if study.best is None:
        raise AdaptAugError(f"{name}: no arm is scored yet; try again when the first rung is done.")
    return policy_of_arm(Policy.loads(study.start, f"{name}: its start"), study.best)


def policy_file(run: Found) -> Policy:
    """The policy that a search has written. Raises: FileNotFoundError: it has not yet."""
    for path in (run.folder / "policy.yaml", run.folder.with_suffix(".yaml")):
        if own_file(path) and path.stat().st_size <= MAX_FILE_BYTES:
            text = path.read_text(encoding="utf-8", errors="replace")
            return Policy.loads(text, f"{printable(run.name)}: its policy")
    raise FileNotFoundError


def policy_of_arm(start: Policy, arm: Trial) -> Policy:
    """An arm's policy from its place; a free dimension that no arm was given changes no pixel and is off."""
    if arm.name == "start":
        return start
    if arm.name == "start + guards":
        return place(start, {}, arm.name)
    still = {d.name: d.off for d in free_dimensions(start) if d.name not in arm.point}
    return place(start, coordinates(start) | still | arm.point, arm.name)
