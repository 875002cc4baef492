"""Arms as Optuna sees them."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
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


@functools.cache
def _empty() -> bytes:
    """The file of a study without trials: made once a process, as Optuna loads all its migrations to make one."""
    with tempfile.TemporaryDirectory() as folder:
        storage = RDBStorage(f"sqlite:///{folder}/study.db")
        optuna.create_study(study_name="adaptaug", direction="maximize", storage=storage)
        storage.engine.dispose()
        return Path(folder, "study.db").read_bytes()


def record(folder: Path, arms: Sequence[Arm], dimensions: Sequence[Dimension]) -> None:
    """study.db, for Optuna's own tools (`optuna-dashboard sqlite:///...`)."""
    unfinished = folder / "study.unfinished.db"
    unfinished.write_bytes(_empty())
    storage = RDBStorage(f"sqlite:///{unfinished}", skip_compatibility_check=True, skip_table_creation=True)
    study = optuna.load_study(study_name="adaptaug", storage=storage)
    study.add_trials([trial_of(arm, dimensions) for arm in arms])
    storage.engine.dispose()
    unfinished.replace(folder / "study.db")
