"""One search by many machines: its jobs in a database that all of them see, by Optuna's own means.

Every machine runs the same search and reaches the same stages, since all it decides by is what the jobs found. A job is
a trial: enqueued by whoever misses it first, claimed by one (`ask` is atomic), kept by a heartbeat, failed and enqueued
again when its machine falls silent. Its result, a few kilobytes of hits, travels in the trial; weights do not: whoever
continues an arm that another machine began trains it again from the warm-up (`arms.trained`), at that cost.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from optuna.exceptions import TrialPruned, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from adaptaug.backend.writing import write_atomically
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Job
from adaptaug.learn.study import quiet

POLL = 0.5  # seconds between two looks at the study
_DATABASE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
_ALIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)


class Shared:
    """A study in a database.

    Args:
        url: SQLAlchemy's, such as postgresql://user:password@host/database or sqlite:///file.db. It is kept in memory
            only; a password may also come from ~/.pgpass or PGPASSWORD.
        name: of the study; made where there is none.
        heartbeat: seconds between two signs of life; a machine that gives none for three times as long loses its jobs.

    Raises: AdaptAugError: no database there, a driver that is not installed, a study that is something else.
    """

    def __init__(self, url: str, name: str, heartbeat: int = 20):
        self.name, self.patience = name, 3 * heartbeat
        self._url = _parse(url)
        self._me = f"{socket.gethostname()}:{os.getpid()}"
        self._unbegun: dict[int, float] = {}
        try:
            with self._told(), quiet():
                self._study = _retried(lambda: self._open(heartbeat))
        except ImportError:
            raise AdaptAugError(f"--storage {self._url.drivername}://: expected a database with an installed driver; "
                                "pip install 'adaptaug[storage]' brings PostgreSQL's.") from None  # fmt: skip

    def _open(self, heartbeat: int) -> optuna.Study:
        options: dict[str, Any] = {"pool_pre_ping": True}
        if self._url.drivername.startswith("sqlite"):
            options["connect_args"] = {"timeout": 60}  # one writes at a time, the others wait
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.RDBStorage(
                self._url.render_as_string(hide_password=False), options,
                heartbeat_interval=heartbeat, grace_period=self.patience,
            )  # fmt: skip
        return optuna.create_study(
            study_name=self.name, storage=storage, direction="maximize", load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(),
        )  # fmt: skip

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database as one sentence, without the password."""
        try:
            yield
        except AdaptAugError:
            raise
        except Exception as error:
            reason = _database_error(error)
            if reason is None:
                raise
            what = (
                " ".join(str(reason.__cause__ or reason).split("\n[SQL")[0].split()) or type(reason).__name__
            )
            if self._url.password:
                what = what.replace(str(self._url.password), "***")
            place = f"{self._url.drivername}://{self._url.host or ''}/{self._url.database or ''}"
            raise AdaptAugError(
                f"--storage {place}: expected a database that answers, got: {what}; when it does, the same command "
                "goes on."
            ) from None

    # --- what all machines agree on -------------------------------------------------------------------------
    def agree(self, what: str, compute: Callable[[], Any]) -> Any:
        """What was first written under this name, by whichever machine; if nothing was, what `compute` returns, as JSON
        keeps it. Trials are numbered by the database, so there is one first."""
        with self._told():
            if not self._agreed(what):
                attributes = {"agreed": what, "value": compute()}
                self._study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs=attributes))
            return self._agreed(what)[0].user_attrs["value"]

    def _agreed(self, what: str) -> list[FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        if trials and "agreed" not in trials[0].user_attrs:
            raise AdaptAugError(
                f"--study {self.name}: expected a search's study or a new name, got one of another program."
            )
        return [trial for trial in trials if trial.user_attrs.get("agreed") == what]

    # --- jobs -----------------------------------------------------------------------------------------------
    def carry_out(self, jobs: Sequence[Job], train: Callable[[Job], None], at_once: int) -> Iterator[str]:
        """Names of the jobs as they are done, here or elsewhere; their results then lie in `job.out`.

        Args:
            train: does a job, so that its result lies there.
            at_once: how many of this machine's threads call it at a time; 0: the one that calls.
        """
        missing = {job.name: job for job in jobs}
        jobs_by_name = dict(missing)
        threads = ThreadPoolExecutor(at_once) if at_once else None
        working: set[Future[None]] = set()
        try:
            while missing:
                for future in [f for f in working if f.done()]:
                    working.remove(future)
                    future.result()
                with self._told():
                    done, waiting = self._look(missing)
                for name, result in done.items():
                    _write(missing.pop(name).out, base64.b64decode(result))
                    yield name
                if threads is not None:
                    free = min(waiting, at_once - len(working))
                    working |= {threads.submit(self._work, jobs_by_name, train) for _ in range(free)}
                elif waiting:
                    self._work(jobs_by_name, train)
                if working:
                    wait(working, POLL, FIRST_COMPLETED)
                elif missing and not waiting:
                    time.sleep(POLL)
        finally:
            if threads is not None:
                threads.shutdown(wait=False, cancel_futures=True)

    def _look(self, missing: dict[str, Job]) -> tuple[dict[str, str], int]:
        """Results by job of those done, and how many wait; jobs that nobody has in hand are enqueued."""
        self._fail_silent()
        trials = self._study.get_trials(deepcopy=False, states=_ALIVE)
        taken = {trial.user_attrs.get("job") for trial in trials}
        new = [name for name in missing if name not in taken]
        for name in new:
            self._study.enqueue_trial({}, user_attrs={"job": name})
        done = {
            trial.user_attrs["job"]: trial.user_attrs["result"] for trial in trials
            if trial.state == TrialState.COMPLETE and trial.user_attrs["job"] in missing
        }  # fmt: skip
        return done, len(new) + sum(trial.state == TrialState.WAITING for trial in trials)

    def _fail_silent(self) -> None:
        """Fail trials without a heartbeat, also where the machine died before the first, which Optuna never fails."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(self._study)
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        unbegun = [trial.number for trial in running if "by" not in trial.user_attrs]
        now = time.monotonic()
        self._unbegun = {number: self._unbegun.get(number, now) for number in unbegun}
        for number, since in self._unbegun.items():
            if now - since > self.patience:
                self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def _work(self, jobs: dict[str, Job], train: Callable[[Job], None]) -> None:
        """Take one waiting job and do it."""
        failed = False

        def objective(trial: optuna.Trial) -> float:
            nonlocal failed
            trial.set_user_attr("by", self._me)
            job = jobs.get(trial.user_attrs.get("job", ""))
            if job is None or self._first(job.name) != trial.number:
                raise TrialPruned("another machine took it, or is at another stage")
            try:
                train(job)
                content, score = Path(job.out).read_bytes(), _score(job)
            except Exception:
                failed = True
                raise
            trial.set_user_attr("result", base64.b64encode(content).decode())
            return score

        try:
            with self._told():
                self._study.optimize(objective, n_trials=1)
        except (UpdateFinishedTrialError, ValueError):
            # Optuna's, where another machine has finished the trial meanwhile: this one was silent for too long, or
            # both took it at once, as SQLite locks no rows.
            if failed:
                raise

    def _first(self, name: str) -> int | None:
        """Number of the trial that does this job where it was enqueued twice."""
        trials = self._study.get_trials(deepcopy=False, states=_ALIVE)
        return next((trial.number for trial in trials if trial.user_attrs.get("job") == name), None)


def _database_error(error: BaseException | None) -> BaseException | None:
    """The database's error behind this one: Optuna, putting a trial in order after it, may stumble over its own."""
    while error is not None and not isinstance(error, _DATABASE_ERRORS):
        error = error.__cause__ or error.__context__
    return error


def _write(path: str, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))


def _score(job: Job) -> float:
    """Mean of all hits in percent, for Optuna's dashboard."""
    with np.load(job.out) as arrays:
        hits = [arrays[name].mean() for name in arrays.files if arrays[name].ndim]
    return 100 * float(np.mean(hits))


def _parse(url: str) -> sqlalchemy.URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise AdaptAugError(
            "--storage: expected a database's URL such as postgresql://user@host/database, got what is none."
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _retried(open_: Callable[[], optuna.Study], times: int = 3) -> optuna.Study:
    """Machines that start together may make the same tables at once: all but one fail, and find them the next time."""
    for _ in range(times - 1):
        with contextlib.suppress(*_DATABASE_ERRORS):
            return open_()
        time.sleep(POLL)
    return open_()
