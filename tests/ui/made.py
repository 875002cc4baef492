"""Runs and searches as the trainer and the search write them, for tests."""

from __future__ import annotations

import json
import math

from adaptaug import Policy
from adaptaug.learn.space import DIMENSIONS, coordinates


def make_run(folder, steps=40, policy="documents", ended=True):
    """metrics.jsonl and, of a run that has ended, encoder.json."""
    folder.mkdir(parents=True)
    lines = []
    for step in range(1, steps + 1):
        lines.append({"step": step, "epoch": 0, "train_loss": 6.0 / math.sqrt(step), "certificate_share": 0.01,
                      "band_below": 0.05, "band_above": 0.2, "band_similarity": 0.6,
                      "band_strength dark": 0.1, "band_strength bright": 0.3})  # fmt: skip
        if step % 10 == 0:
            lines.append(
                {"step": step, "epoch": 0, "knn": 20.0 + step, "knn_of_raw_pixels": 30.0, "rankme": 9.0}
            )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if ended:
        (folder / "encoder.json").write_text(json.dumps({"policy": Policy.load(policy).dumps()}))
    return folder


def make_search(folder, arms=6, start="simclr"):
    """settings.json, arms/ and study.db with the trials that `Search` records."""
    import pytest

    optuna = pytest.importorskip(
        "optuna", reason="the study is written by optuna: pip install 'adaptaug[search]'"
    )
    (folder / "arms").mkdir(parents=True)
    policy = Policy.load(start)
    (folder / "settings.json").write_text(json.dumps({"start": policy.dumps(), "budget": arms}))
    here = coordinates(policy)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="adaptaug", direction="maximize", storage=f"sqlite:///{folder / 'study.db'}"
    )
    reach = {d.name: optuna.distributions.FloatDistribution(d.low, d.high) for d in DIMENSIONS}
    for number in range(arms):
        scores = [80.0 + number, 82.0 + number][: 2 if number in (0, arms - 1) else 1]
        point = here | {"rotation": 3.0 * number, "grey": 0.0}
        name = "start" if number == 0 else f"arm {number:02d}"
        study.add_trial(optuna.trial.create_trial(
            value=scores[0], params=here if number == 0 else point, distributions=reach,
            user_attrs={"arm": name, "scores": scores},
        ))  # fmt: skip
    return folder
