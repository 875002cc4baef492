"""The attack on the promise finds what there is to find, and goes on where it was stopped."""

import json

import numpy as np
import pytest

pytest.importorskip("cmaes")

from adaptaug.errors import AdaptAugError
from benchmarks import attack

NATURAL = "natural"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(attack, "LONGEST", 2)


def test_pictures_are_of_every_kind():
    """Dark and bright, flat and full of contrast, grey and coloured, with clipped pixels and without."""
    made = attack.picture(np.random.default_rng(0).normal(0, 1, (300, attack.NUMBERS))).astype(float)
    mean, std = made.mean((1, 2, 3)), made.std((1, 2)).max(1)
    clipped = ((made == 0) | (made == 255)).mean((1, 2, 3))
    assert made.shape == (300, 32, 32, 3)
    assert mean.min() < 40 and mean.max() > 215 and std.min() < 12 and std.max() > 80
    assert clipped.min() == 0 and clipped.max() > 0.3


def test_without_guards_it_finds_broken_views():
    _, broken, best = attack.attack(NATURAL + attack.WITHOUT, 2)
    assert broken > 0 and best["clip"].beyond > 0


def test_with_guards_nothing_is_broken():
    evaluations, broken, best = attack.attack(NATURAL, 2)
    assert evaluations == 2 * attack.POPULATION and broken == 0
    assert all(each.beyond <= 1 for each in best.values())


def test_the_worst_can_be_made_again():
    _, _, best = attack.attack(NATURAL + attack.WITHOUT, 3)
    guarded = attack.Policy.load(NATURAL)
    for test, each in best.items():
        images = attack.picture(np.array([each.numbers]))
        found, _ = attack.judged(guarded.edit(guards=False), guarded, each.key, images)
        assert found[test][0] == pytest.approx(each.beyond, abs=0.5)


def test_stopped_and_gone_on_with_it_is_as_in_one_sitting(tmp_path):
    pairs = 2 * attack.POPULATION
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    attack.run([NATURAL], 2 * pairs, one)
    for much in (pairs, 2 * pairs):
        attack.run([NATURAL], much, two)
    rows = [json.loads(path.read_text())["policies"][NATURAL] for path in (one, two)]
    for row in rows:
        del row["seconds"]
    assert rows[0] == rows[1] and rows[0]["starts"] == 2


def test_totals_of_another_seed_are_not_added_to(tmp_path):
    path = tmp_path / "totals.json"
    attack.run([], 0, path, seed=0)
    attack.save(attack.begun(None, 0), path)
    with pytest.raises(AdaptAugError, match="expected totals of seed 1, got 0"):
        attack.run([NATURAL], 64, path, seed=1)


def test_an_image_is_held_to_the_promise_of_its_own_route():
    plain = {"version": 1, "operations": {}}
    hard = plain | {"promise": {"dark": 0.4, "std": 0.2, "correlation": 0.9}}
    rule = {"subject": "dark", "when": {"mean": [None, 0.5]}, "policy": hard}
    routed = attack.Policy.parse({"version": 1, "routes": [rule, {"subject": "rest", "policy": plain}]})
    images = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (60, 200)])
    images[:, :16] += 40
    found, _ = attack.judged(routed, routed, (0, 0, 0), images)
    for row, policy in enumerate((hard, plain)):
        alone = attack.Policy.parse(policy)
        expected, _ = attack.judged(alone, alone, (0, 0, 0), images[row : row + 1])
        for test, far in expected.items():
            assert found[test][row] == pytest.approx(far[0], abs=1e-3)
