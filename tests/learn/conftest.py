"""A search small enough for tests: scikit-learn's digits."""

import numpy as np
import pytest

from adaptaug.cli import run
from tests.support.network import light


@pytest.fixture(scope="session")
def unlabelled(digits):
    path = digits.parent / "unlabelled.npz"
    np.savez(path, x=np.load(digits)["x"][:400])
    return path


@pytest.fixture
def no_study_file(monkeypatch):
    """Searches without study.db, which takes Optuna half of their time: those that a file's tests share have it."""
    for method in ("halving", "screening"):
        monkeypatch.setattr(f"adaptaug.learn.{method}.record", lambda *given: None)


def small(data, seed=0, **changes):
    from adaptaug.learn.arms import Recipe

    changed = {"limit": 256, "seed": seed, "size": 16, "batch": 64, "bank": 200, "epochs": 5} | changes
    return Recipe(str(data), **changed)


def of_arguments(data):
    """The recipe of the command below: as few images as it takes."""
    return small(data, 3, limit=64, batch=16, bank=1000)


def arguments(data, out):
    return ["search", str(data), "--start", "simclr", "--budget", "6", "--limit", "64", "--seed", "3", "--size", "16",
            "--batch", "16", "--epochs", "5", "--workers", "0", "--out", str(out)]  # fmt: skip


@pytest.fixture(scope="session")
def searched(digits, tmp_path_factory):
    """The policy file of a search that nobody killed, by one process."""
    out = tmp_path_factory.mktemp("whole") / "policy.yaml"
    with light():
        assert run(arguments(digits, out)) == 0
    return out
