"""Arms as Optuna sees them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from adaptaug.learn.arms import Arm
from adaptaug.learn.space import Dimension


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna tells of trials, which are no matter of whoever runs a search; errors are raised anyway."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def distributions(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    return {d.name: FloatDistribution(d.low, d.high) for d in dimensions}


def trial_of(arm: Arm, dimensions: Sequence[Dimension]) -> FrozenTrial:
    """The arm as a trial: its value is the first rung's score, the only one that all arms have."""
    return create_trial(
        state=TrialState.COMPLETE, value=arm.scores[0], params={d.name: arm.point[d.name] for d in dimensions},
        distributions=distributions(dimensions), user_attrs={"arm": arm.name, "scores": arm.scores},
        intermediate_values=dict(enumerate(arm.scores)),
    )  # fmt: skip


def record(folder: Path, arms: Sequence[Arm], dimensions: Sequence[Dimension]) -> None:
    """study.db, for Optuna's own tools (`optuna-dashboard sqlite:///...`)."""
    unfinished = folder / "study.unfinished.db"
    unfinished.unlink(missing_ok=True)
    study = optuna.create_study(
        study_name="adaptaug", direction="maximize", storage=f"sqlite:///{unfinished}"
    )
    study.add_trials([trial_of(arm, dimensions) for arm in arms])
    unfinished.replace(folder / "study.db")
