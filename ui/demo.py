"""A search small enough for a minute, on scikit-learn's digits: the code that `adaptaug search` runs, in a process
of its own, which the app can stop at once and which ends with the app.

`python -m adaptaug.ui.demo FOLDER` is that process; `Demo` starts, watches and stops it.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug import AdaptAugError
from adaptaug.backend.writing import write_atomically

BUDGET, LIMIT, SIDE, BATCH, EPOCHS, START = 8, 240, 16, 24, 5, "simclr"
SECONDS = 60.0  # from the click: where they are over, the demo ends with the policy that leads
SCORING = 1.3  # times what training takes, for what `estimate` leaves out and what a busy machine adds
PROGRESS = "progress.json"
PACKAGES = {"optuna": "search", "scipy": "search", "sklearn": "search", "lightly": "search"}
PATIENCE = 0.5  # seconds that the process has to end by itself
LOADING, MEASURING = "Loading the training code", "Measuring this machine"
NOT_YOURS = "Another visitor started this demo, and only they can stop it."


def missing() -> str:
    """What keeps a demo from starting, and the way out, in one sentence; empty if nothing does."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    return f"The demo needs {absent[0]}, which is not installed: pip install 'adaptaug[search]', then start again."


class Demo:
    """The one demo that a server runs at a time; its folders vanish with the server."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.owner: str | None = None
        self._stopped, self._began = False, 0.0
        self._lock = threading.Lock()

    def start(self, owner: str | None = None) -> Path:
        """Begin for a visitor, and return the folder it writes to.

        Raises: AdaptAugError: one runs, or an extra is not installed.
        """
        with self._lock:
            if self.running:
                raise AdaptAugError("A demo is running already; stop it, or wait for its end.")
            if sentence := missing():
                raise AdaptAugError(sentence)
            if self.root is None:
                self.root = Path(tempfile.mkdtemp(prefix="adaptaug-demo-"))
                atexit.register(self.close)
            number = 1 + len(list(self.root.glob("*.search")))
            self.folder, self._stopped = self.root / f"demo-{number}.search", False
            self.owner, self._began = owner, time.monotonic()
            self.folder.mkdir()
            with (self.folder / "log.txt").open("wb") as log:
                # The pipe closes when this process ends, however it ends; the demo waits for that.
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "adaptaug.ui.demo", str(self.folder), str(self._began + SECONDS)],
                    stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            return self.folder

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, owner: str | None = None) -> None:
        """End it now, whatever it is doing; what it has written stays. Raises: AdaptAugError: it is another's."""
        if self.running and owner != self.owner:
            raise AdaptAugError(NOT_YOURS)
        self._end()

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        self._stopped = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(PATIENCE)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    def state(self) -> dict[str, Any]:
        """`running`, `done` and `total` trainings, and `said`, one sentence for people; {} before the first demo."""
        if self._process is None or self.folder is None:
            return {}
        report = _read(self.folder / PROGRESS)
        done, total = int(report.get("done", 0)), int(report.get("total", 0))
        code = self._process.poll()
        if code is None:
            text = _under_way(report, time.monotonic() - self._began)
        elif self._stopped:
            text = (
                f"Stopped after {done} of {total} trainings" if total else "Stopped before its first training"
            )
        elif code == 0:
            took = float(report.get("at", self._began)) - self._began
            text = f"{report.get('stage', 'Finished')}: {done} trainings in {took:.0f} s"
        elif code < 0:
            text = (
                f"The demo was killed ({signal.Signals(-code).name}), as a system does when memory runs out; "
                "start it again."
            )
        else:
            text = f"The demo ended with an error: {self._last_words()}"
        return {"running": code is None, "done": done, "total": total, "said": text, "name": self.folder.name}

    def _last_words(self) -> str:
        assert self.folder is not None
        lines = (self.folder / "log.txt").read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing."

    def close(self) -> None:
        self._end()
        if self.root is not None:
            shutil.rmtree(self.root, ignore_errors=True)


def _under_way(report: dict[str, Any], seconds: float) -> str:
    """What it is doing, and how long that will take."""
    if not report.get("total"):
        return f"{report.get('stage', LOADING)}, {seconds:.0f} s so far of {SECONDS:.0f}"
    left = max(0.0, min(float(report.get("left", SECONDS)), SECONDS - seconds))
    return f"{report['stage']}: {report['done']} of {report['total']} trainings, about {left:.0f} s left"


def _read(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text())
        return about if isinstance(about, dict) else {}
    except (OSError, ValueError):
        return {}


# --- the process --------------------------------------------------------------------------------------------
def write_digits(path: Path) -> None:
    """scikit-learn's 1,797 digits of 8 x 8 as an .npz, at twice their size: 8 px leave nothing to crop."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = np.round(digits.images * (255 / 16)).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    write_atomically(path, lambda file: np.savez(file, x=levels, y=digits.target.astype(np.int64)))


class OutOfTime(KeyboardInterrupt):
    """The demo's time is over; a search that is interrupted keeps what it has."""


class Teller:
    """Tells in a file which stage is on, the trainings done, how many there will be as far as is known, and the
    seconds left; ends the search at its deadline.

    `stages` are (name, most trainings, epochs of one), by which what is left is reckoned from what was.
    """

    def __init__(self, folder: Path, deadline: float, now: Callable[[], float] = time.monotonic):
        self.path, self.deadline, self._now = folder / PROGRESS, deadline, now
        self.stages: list[tuple[str, int, int]] = []
        self._began = self._now()
        self._finished, self._total, self._epochs, self._left_epochs = 0, 0, 0, 0
        self._at = ("", 0, 0)

    def begin(self, stage: str, jobs: int) -> None:
        place = [name for name, _, _ in self.stages].index(stage)
        after = self.stages[place + 1 :]
        if not self._epochs:
            self._began = self._now()
        self._at = (stage.capitalize(), jobs, self.stages[place][2])
        self._total = max(self._total, self._finished + jobs + sum(count for _, count, _ in after))
        self._left_epochs = jobs * self._at[2] + sum(count * each for _, count, each in after)
        self.tell(self._at[0])

    def done(self, job: str) -> None:
        self._finished += 1
        self._epochs += self._at[2]
        self._left_epochs = max(0, self._left_epochs - self._at[2])
        self.tell(self._at[0])
        if self._now() > self.deadline:
            raise OutOfTime

    def ranked(self, arms: Any) -> None:
        """Of no news here."""

    def tell(self, stage: str) -> None:
        took = self._now() - self._began
        left = took / self._epochs * self._left_epochs if self._epochs else self.deadline - self._now()
        told = {"stage": stage, "done": self._finished, "total": max(self._total, self._finished), "left": left,
                "at": self._now()}  # fmt: skip
        write_atomically(self.path, lambda file: file.write(json.dumps(told).encode()))


def fitting(limit: int, estimated: float, left: float) -> int:
    """Images to train on, so that what was estimated for `limit` of them takes no longer than is left."""
    return max(4 * BATCH, min(limit, int(limit * left / (SCORING * max(estimated, 1e-3)))))


def run(folder: Path, deadline: float) -> None:
    """The search; its policy is written into `folder` when it has ended, or its time has."""
    teller = Teller(folder, deadline)
    teller.tell(LOADING)
    from adaptaug.learn.arms import Recipe
    from adaptaug.learn.estimate import estimate
    from adaptaug.learn.search import Progress, Search

    class Told(Teller, Progress):
        pass

    teller.tell(MEASURING)
    data = folder / "digits.npz"
    write_digits(data)

    def search_of(limit: int, where: Path | str, progress: Progress | None = None) -> Search:
        recipe = Recipe(
            str(data), limit, seed=0, size=SIDE, batch=BATCH, bank=limit, queries=300, epochs=EPOCHS
        )
        return Search(recipe, START, where, BUDGET, "labels", workers=0, progress=progress)

    with tempfile.TemporaryDirectory() as aside:  # a search settles in its folder
        seconds = estimate(search_of(LIMIT, aside)).seconds
    told = Told(folder, deadline)
    search = search_of(fitting(LIMIT, seconds, deadline - time.monotonic()), folder, told)
    told.stages = search.how.trainings()
    try:
        policy, ended = search.run().policy, "Finished"
    except OutOfTime:
        policy, ended = search.best_so_far(), "Its time is over, and the policy that leads is not verified"
    policy.save(folder / "policy.yaml")
    told.tell(ended)


def _leave_with_the_app() -> None:
    sys.stdin.buffer.read()  # returns when the app's end of the pipe closes
    os._exit(1)


if __name__ == "__main__":
    os.nice(5)  # the app answers first
    threading.Thread(target=_leave_with_the_app, daemon=True).start()
    run(Path(sys.argv[1]), float(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # the thread above is waiting for the pipe
