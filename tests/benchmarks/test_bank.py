"""The bank: one run of it for real, and what is recalled of a bank whose effects are known."""

import json

import numpy as np
import pytest

pytest.importorskip("optuna")
pytest.importorskip("lightly")

from adaptaug.learn.design import matrix
from adaptaug.learn.factors import levels_from, levels_of
from adaptaug.learn.memory import Memory, write
from adaptaug.learn.schedule import FINALISTS
from adaptaug.policy import Policy
from benchmarks import bank, recall, schema

PROFILES = {
    "letters": {"digits": 1.0, "grey": 1.0},
    "figures": {"digits": 0.9, "grey": 1.0},
    "snaps": {"natural": 1.0},
}
EFFECTS = {
    "letters": {"flip": -8.0, "crop": -4.0},
    "figures": {"flip": -6.0, "crop": -3.0},
    "snaps": {"colour": 8.0},
}


@pytest.fixture
def folder(tmp_path):
    """A bank of three sets, two of them alike, with two seeds; kNN is as the effects say."""
    rng = np.random.default_rng(0)
    for name, profile in PROFILES.items():
        off = ["colour", "grey", "blur"] if name != "snaps" else ["blur"]
        lines = [{"set": name, "profile": profile, "inert": off}]
        for seed in (0, 1):
            for policy in (*recall.DESIGN, "natural", "digits"):
                levels = levels_from(policy) if policy in recall.DESIGN else levels_of(Policy.load(policy))
                of = [(factor,) for factor in EFFECTS[name]]
                high = float((matrix([levels], of) @ np.array(list(EFFECTS[name].values())))[0])
                score = 70 + 3 * seed + high + rng.normal(0, 0.1)
                lines.append({"policy": policy, "seed": seed, "scores": dict.fromkeys(
                    ("knn", "ridge", "rotation", "edges"), score)})  # fmt: skip
        text = "\n".join(map(json.dumps, lines)) + "\n"
        file = schema.output(str(tmp_path / f"bank-{name}" / "2-core-x86.jsonl"))
        file.write_text(text + '{"policy": "cut o')
    return tmp_path


def test_a_line_that_was_cut_off_is_none(folder):
    file = folder / "bank-snaps" / "2-core-x86.jsonl"
    assert len(recall.read(file)) == 1 + 2 * 18
    assert file.read_text().endswith("}\n")


def test_what_a_bank_says_of_effects_is_remembered(folder, tmp_path):
    write(tmp_path / "memory.yaml", recall.remembered(recall.whole(folder)))
    known = Memory.load(tmp_path / "memory.yaml")
    sets = {one.name: one for one in known.sets}
    assert sets["letters"].effects["labels"]["flip"][0] == pytest.approx(-8, abs=0.3)
    assert "colour" not in sets["letters"].effects["labels"]
    behind = set(sets["snaps"].behind["labels"])
    assert {"natural", "digits"} <= behind and len(behind - {"natural", "digits"}) <= recall.PORTFOLIO
    flips = {n: known.priors(p, "labels")["flip",].mean for n, p in PROFILES.items()}
    assert flips["letters"] < -4 and abs(flips["snaps"]) < 1


def test_the_memory_suggests_what_lost_least_on_sets_alike(folder):
    known = Memory(recall.remembered(recall.whole(folder)))
    policy, _ = known.suggestion(PROFILES["letters"], "labels")
    levels = levels_of(Policy.load(policy)) if policy == "digits" else levels_from(policy)
    assert levels[0] == levels[5] == -1
    assert known.suggestion({"documents": 5.0, "mean": 3.0, "grey": 4.0}, "labels") is None


def test_the_replay_finds_the_best_corner_without_its_own_memory(folder):
    rows = recall.replayed(recall.whole(folder))
    assert len(rows) == 6
    for row in rows:
        assert row["sets remembered"] == 2
        assert all(abs(told["ships loses"]) < 1 for told in row["from"].values())
        assert all(1 <= len(told["verified"]) <= FINALISTS for told in row["from"].values())
        assert all(told["judged by"] == "seeds 0, 1" for told in row["from"].values())
    worst = next(row["from"] for row in rows if row["set"] == "letters")
    assert worst["natural"]["start loses"] > 8
    assert recall.table(rows).count("\n") == 1 + sum(len(row["from"]) for row in rows)


def _replay_of(name, folder):
    return next(
        row
        for row in recall.replayed(recall.whole(folder))
        if (row["set"], row["objective"]) == (name, "labels")
    )


def test_seeds_that_chose_nothing_judge_where_they_are_there(folder):
    row = _replay_of("letters", folder)
    best, ships = row["best"], row["from"]["natural"]["ships"]
    lines = [
        {"policy": policy, "seed": seed, "scores": dict.fromkeys(("knn", "ridge", "rotation", "edges"), score)}
        for seed in recall.FRESH for policy, score in ((ships, 74.0), (recall.HALVING, 71.0), (best, 80.0))
    ]  # fmt: skip
    file = next((folder / "bank-letters").iterdir())
    whole = file.read_text().rpartition("\n")[0]
    file.write_text("\n".join([whole, *map(json.dumps, lines), ""]))
    again = _replay_of("letters", folder)
    told = again["from"]["natural"]
    assert row["halving loses"] is None and again["halving loses"] == 9
    assert told["ships"] == ships and told["judged by"] == "seeds 2, 3, 4"
    assert told["ships loses"] == (0 if ships == best else 6)


@pytest.mark.parametrize("name", bank.HALVED)
def test_what_halving_found_is_there(name):
    assert bank.policy_of(recall.HALVING, [], name).provenance["cost"]["epochs"] > 100


def test_a_run_of_the_bank_is_a_line_and_is_not_run_twice(tmp_path, monkeypatch, light_network):
    monkeypatch.setattr(bank, "epochs_for", lambda trained: 1)
    monkeypatch.setattr(bank, "IMAGES", 256)
    for _ in range(2):
        bank.Set("digits", tmp_path, tmp_path, tmp_path / "out").measure(["natural", "------++"], 0)
    head, *rows = recall.read(next((tmp_path / "out" / "bank-digits").iterdir()))
    assert head["inert"] == ["colour", "grey", "blur"] and head["profile"]["grey"] == 1
    assert [(row["policy"], row["epochs"]) for row in rows] == [("natural", 1), ("------++", 1)]
    assert all(0 < row["scores"][m] <= 100 for row in rows for m in ("knn", "ridge", "rotation", "edges"))
