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
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug import AdaptAugError
from adaptaug.data.files import write_atomically

BUDGET, LIMIT, SIDE, EPOCHS, START = 8, 240, 16, 5, "simclr"
PROGRESS = "progress.json"
PACKAGES = {"optuna": "search", "scipy": "search", "sklearn": "search", "lightly": "search"}
PATIENCE = 0.5  # seconds that the process has to end by itself


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
        self._stopped = False
        self._lock = threading.Lock()

    def start(self) -> Path:
        """Begin, and return the folder it writes to. Raises: AdaptAugError: one runs, or an extra is not installed."""
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
            self.folder.mkdir()
            with (self.folder / "log.txt").open("wb") as log:
                # The pipe closes when this process ends, however it ends; the demo waits for that.
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "adaptaug.ui.demo", str(self.folder)],
                    stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            return self.folder

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it now, whatever it is doing; what it has written stays."""
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
        told = _read(self.folder / PROGRESS)
        done, total = int(told.get("done", 0)), int(told.get("total", 0))
        code = self._process.poll()
        if code is None:
            said = (
                f"{told['stage']}: {done} of {total} trainings"
                if told
                else "Starting: loading the training code"
            )
        elif self._stopped:
            said = (
                f"Stopped after {done} of {total} trainings" if total else "Stopped before its first training"
            )
        elif code == 0:
            said = f"Finished: {done} trainings"
        else:
            said = f"The demo ended with an error: {self._last_words()}"
        return {"running": code is None, "done": done, "total": total, "said": said, "name": self.folder.name}

    def _last_words(self) -> str:
        assert self.folder is not None
        lines = (self.folder / "log.txt").read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing."

    def close(self) -> None:
        self.stop()
        if self.root is not None:
            shutil.rmtree(self.root, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


# --- the process --------------------------------------------------------------------------------------------
def write_digits(path: Path) -> None:
    """scikit-learn's 1,797 digits of 8 x 8 as an .npz, at twice their size: 8 px leave nothing to crop."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    levels = np.round(digits.images * (255 / 16)).astype(np.uint8).repeat(2, 1).repeat(2, 2)
    write_atomically(path, lambda file: np.savez(file, x=levels, y=digits.target.astype(np.int64)))


def run(folder: Path) -> None:
    """The search; its policy is written into `folder` when it has ended."""
    from adaptaug.learn.arms import Recipe
    from adaptaug.learn.search import Progress, Search

    class Told(Progress):
        """Progress as a file: the stage, trainings done, and how many there will be as far as is known."""

        done_, total, stage = 0, 0, ""

        def begin(self, stage: str, jobs: int) -> None:
            stages = search.schedule.trainings(BUDGET, len(search.first_arms()))
            after = [name for name, _, _ in stages].index(stage) + 1
            left = sum(count for _, count, _ in stages[after:])
            self.stage, self.total = stage.capitalize(), max(self.total, self.done_ + jobs + left)
            self.tell()

        def done(self, job: str) -> None:
            self.done_ += 1
            self.tell()

        def tell(self) -> None:
            text = json.dumps({"stage": self.stage, "done": self.done_, "total": max(self.total, self.done_)})
            write_atomically(folder / PROGRESS, lambda file: file.write(text.encode()))

    data = folder / "digits.npz"
    write_digits(data)
    recipe = Recipe(str(data), LIMIT, seed=0, size=SIDE, batch=24, bank=LIMIT, queries=300, epochs=EPOCHS)
    search = Search(recipe, START, folder, BUDGET, "labels", workers=0, progress=Told())
    outcome = search.run()
    outcome.policy.save(folder / "policy.yaml")


def _leave_with_the_app() -> None:
    sys.stdin.buffer.read()  # returns when the app's end of the pipe closes
    os._exit(1)


if __name__ == "__main__":
    os.nice(5)  # the app answers first
    threading.Thread(target=_leave_with_the_app, daemon=True).start()
    began = time.perf_counter()
    run(Path(sys.argv[1]))
    print(f"{time.perf_counter() - began:.0f} s")
    sys.stdout.flush()
    os._exit(0)  # the thread above is waiting for the pipe
