"""A call: the rows that it has time for, each written as soon as it is done, and none of them twice.

R.json: {"calls": what each call was asked, where it ran and how it ended, "rows": what was found, "begun": the row that
a call is at}. A row that a call began and never came back from (a crash, a machine taken away) is not tried again by
itself, or it would take the next call's time as well.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import torch

from adaptaug.backend.writing import write_atomically
from adaptaug.errors import AdaptAugError

SPARE = 1.25  # a row may take so many times what is expected of it
RESERVE = 3.0  # seconds to end in
Clock = Callable[[], float]


class NoTime(Exception):
    """Why a row was not begun, or where it was stopped to be gone on with, as half a sentence."""


@dataclass(frozen=True)
class Row:
    """`run` gives what was found, or raises NoTime; `guess`: the seconds it is thought to take on a GPU.

    resumable: it stops by itself and is gone on with; whether there is time for it is its own affair.
    """

    part: str
    name: str
    guess: float
    run: Callable[[Call], dict[str, Any]]
    resumable: bool = False

    @property
    def key(self) -> str:
        return f"{self.part}: {self.name}"


class Call:
    """What one call has: a deadline, `seconds` from `began`, and the file that its rows go to.

    also: where the same file is written a second time; facts: of the machine, told with the call; clock: in seconds.
    """

    def __init__(
        self, out: Path, seconds: float, facts: dict[str, Any], also: Path | None = None,
        clock: Clock = time.monotonic, began: float | None = None,
    ):  # fmt: skip
        self.out, self.also, self.clock = out, also, clock
        self.end = (clock() if began is None else began) + seconds
        self.results: dict[str, Any] = (
            json.loads(out.read_text()) if out.exists() else {"calls": [], "rows": [], "begun": None}
        )
        self.number = len(self.results["calls"])
        at = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
        self.told: dict[str, Any] = {"at": at, "seconds": seconds, **facts, "left": {}}
        self.results["calls"].append(self.told)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - RESERVE - self.clock()

    def row(self, key: str) -> dict[str, Any] | None:
        """What was found by an earlier row, of this call or another."""
        return next((row for row in self.results["rows"] if row["row"] == key), None)

    def expected(self, row: Row) -> float:
        """Seconds that a row will take: its guess, times what earlier ones took of theirs."""
        done = [one for one in self.results["rows"] if one["guess"] and "failed" not in one]
        pace = [one["seconds"] / one["guess"] for one in done]
        return row.guess * (median(pace) if pace else 1.0)

    def run(self, rows: Sequence[Row], again: bool = False) -> None:
        """Every row that is not there yet and that there is time for; `again`: those that failed as well."""
        if again:
            self.results["rows"] = [row for row in self.results["rows"] if "failed" not in row]
        self._bury({row.key for row in rows if row.resumable}, again)
        for row in rows:
            if self.row(row.key) is not None:
                continue
            if not row.resumable and (needed := SPARE * self.expected(row)) > self.left:
                self.told["left"][row.key] = (
                    f"about {needed:.0f} s would be needed, and {max(0.0, self.left):.0f} are left"
                )
                continue
            self._measure(row)
        self.told["unused"] = round(self.left, 1)
        self.write()

    def _bury(self, resumable: set[str], again: bool) -> None:
        """What an earlier call began and did not come back from."""
        begun = self.results["begun"]
        if begun is not None and begun["row"] not in resumable and not again:
            reason = "an earlier call began it and did not come back; --again tries it once more"
            self._keep(begun, {"failed": reason}, 0)
        self.results["begun"] = None

    def _measure(self, row: Row) -> None:
        start = self.clock()
        begun = self.results["begun"] = {"row": row.key, "guess": row.guess, "call": self.number}
        self.write()
        try:
            result = row.run(self)
        except NoTime as reason:
            self.told["left"][row.key] = str(reason)
            self.results["begun"] = None
            self.write()
            return
        except Exception as error:
            result = {"failed": sentence(error)}
        self._keep(begun, result, self.clock() - start)
        self.results["begun"] = None
        self.write()
        self._clear()

    def _keep(self, begun: dict[str, Any], result: dict[str, Any], seconds: float) -> None:
        self.results["rows"].append({**begun, "seconds": round(seconds, 2), **result})
        print(f"{begun['row']}: {result.get('failed', 'done')} ({seconds:.1f} s)", flush=True)

    def _clear(self) -> None:
        """Give the row's memory back; a device that a row has broken would only fail the others."""
        if torch.cuda.is_available():
            gc.collect()
            try:
                torch.cuda.synchronize()
                torch.cuda.empty_cache()
            except RuntimeError as error:
                raise AdaptAugError(
                    f"the device no longer answers ({sentence(error)}); the same command in a new process goes on."
                ) from None

    def write(self) -> None:
        text = (json.dumps(self.results, indent=1) + "\n").encode()
        for path in (self.out, self.also):
            if path is not None:
                write_atomically(path, lambda file: file.write(text))


def sentence(error: BaseException) -> str:
    """An error as one line of at most 300 characters, with the name of its type where it is not ours."""
    name = "" if isinstance(error, AdaptAugError) else f"{type(error).__name__}: "
    return " ".join(f"{name}{error}".split())[:300]
