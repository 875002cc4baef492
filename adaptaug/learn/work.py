"""What a search's method works with: jobs in the search's folder, their results, and who leads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from adaptaug.learn.arms import Arm, Job
from adaptaug.learn.runner import Runner
from adaptaug.policy import Policy

COUNTED = {
    "labels": ("knn", "ridge"),
    "images": ("rotation", "edges"),
}  # of an objective, the hits that count; which, and why: benchmarks/README.md


class Work:
    """`arms` are all that were tried, the start first; `ranked` those that came as far as the leading one."""

    def __init__(self, folder: Path, objective: str, runner: Runner):
        self.runner, self._folder, self._objective = runner, folder / "arms", objective
        self.arms: list[Arm] = []
        self.ranked: list[Arm] = []

    def job(
        self, name: str, policy: Policy, epochs: int, before: Job | None = None, run: int = 0,
        scored: bool = True, again: int = 0,
    ) -> Job:  # fmt: skip
        return Job(
            name, policy.dumps(), before, epochs, run, scored, str(self._folder / f"{name}.npz"), again
        )

    def train(self, jobs: Sequence[Job]) -> None:
        """Return when all are done."""
        self.runner.run(jobs)

    def hits(self, job: Job) -> np.ndarray:
        """(queries,) mean of the hits that the objective counts."""
        with np.load(job.out) as arrays:
            return np.asarray(np.mean([arrays[name] for name in COUNTED[self._objective]], axis=0))

    def rank(self, arms: list[Arm]) -> None:
        """Take note of who leads, the best first."""
        self.ranked = arms
        self.runner.progress.ranked(arms)

    def forget(self, numbers: set[int]) -> None:
        """Remove the weights of arms that are out; their results stay."""
        for number in numbers:
            for file in self._folder.glob(f"arm-{number:02d}-rung-*.pt"):
                file.unlink(missing_ok=True)
