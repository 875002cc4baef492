"""Doing a search's jobs: in this process, in a pool of processes, or together with other machines."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from adaptaug.learn.arms import (
    Arm,
    Data,
    Job,
    Recipe,
    one_thread,
    run_in_worker,
    run_job,
    start_worker,
    trained,
)
from adaptaug.learn.shared import Shared
from adaptaug.simclr.contrast import Contrast


class Progress:
    """What a search tells while it runs; the command line draws it, a library user may pass a subclass."""

    def begin(self, stage: str, jobs: int) -> None: ...
    def done(self, job: str) -> None: ...
    def ranked(self, arms: Sequence[Arm]) -> None: ...
    def told(self, sentence: str) -> None: ...


class Runner:
    """Does jobs whose results are not there yet; as a context, with a pool of `workers` processes if there are any.

    `asked` has every job by name, whoever did it and when.
    """

    def __init__(self, recipe: Recipe, workers: int, shared: Shared | None, progress: Progress):
        self.recipe, self.workers, self.shared, self.progress = recipe, workers, shared, progress
        self.asked: dict[str, Job] = {}
        self._data = Data(recipe)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Runner:
        if self.workers:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, start_worker, (self.recipe,))
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def run(self, jobs: Sequence[Job]) -> None:
        """Return when all are done. What is not scored is only weights, which every machine needs: done here."""
        self.asked |= {job.name: job for job in jobs}
        if self.shared is not None and all(job.scored for job in jobs):
            done = self.shared.carry_out(jobs, self._train, self.workers)
        else:
            done = self._carry_out(jobs)
        for name in done:
            self.progress.done(name)

    def model_after(self, name: str) -> Contrast:
        """The network as a job left it; trained again where another machine did that."""
        with one_thread():
            return trained(self.asked[name], self._data)

    def _carry_out(self, jobs: Sequence[Job]) -> Iterator[str]:
        waiting = [job for job in jobs if not Path(job.out).exists()]
        yield from (job.name for job in jobs if job not in waiting)
        if self._pool is None:
            for job in waiting:
                self._train(job)
                yield job.name
            return
        futures = {self._pool.submit(run_in_worker, job): job.name for job in waiting}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def _train(self, job: Job) -> None:
        """Do one job, in the pool if there is one."""
        if self._pool is not None:
            self._pool.submit(run_in_worker, job).result()
            return
        with one_thread():
            run_job(job, self._data)
