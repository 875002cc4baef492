"""Conditional weights: an image's statistics move how often and how strongly operations are applied."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug.pipeline import generate
from adaptaug.planning.draws import further, position
from adaptaug.policy import Policy, preset_names
from adaptaug.policy.conditional import STATISTICS
from adaptaug.policy.ops import OPS
from adaptaug.report.captions import describe_view
from tests.conftest import PHOTOGRAPHS

SIZE = 32
DRAWS = 80
NAMES = [name.partition(".")[0] for name in PHOTOGRAPHS]
TONE = {"mean": [0.45, 0.2], "contrast": [0.22, 0.08]}
RANGES: dict[str, dict[str, Any]] = {  # two-sided, one-sided from below and from above, in the logarithm
    "rotate": {"range": [-30, 60]}, "shear": {"x": [-20, 20], "y": [0, 10]}, "stretch": {"range": [0.5, 2]},
    "blur": {"range": [0.1, 2]}, "posterize": {"range": [3, 8]}, "solarize": {"range": [0.2, 1]},
    "gamma": {"range": [0.5, 4]}, "brightness": {"range": [-0.4, 0.8]}, "contrast": {"range": [-0.4, 0.8]},
    "saturation": {"range": [-0.5, 1]}, "hue": {"range": [-0.1, 0.2]}, "noise": {"range": [0, 0.1]},
    "erase": {"area": [0, 0.2], "ratio": [0.5, 2]},
    "crop": {"area": [0.1, 1], "ratio": [0.75, 1.3333]},
}  # fmt: skip


def parse(operations: dict[str, Any], weights: dict[str, Any], statistics: Any = None, **rest: Any) -> Policy:
    conditional = {"statistics": TONE if statistics is None else statistics, "operations": weights}
    return Policy.parse({"version": 1, "operations": operations, "conditional": conditional, **rest})


@pytest.fixture(scope="module")
def batch(photo) -> torch.Tensor:
    """One photograph many times, dark in the first half and bright in the second."""
    image = torch.from_numpy(photo("coffee", 60, 48)).permute(2, 0, 1).float()
    dark, bright = image * 0.2, 255 - (255 - image) * 0.3
    images = torch.stack([dark, bright]).round().to(torch.uint8)
    return images.repeat_interleave(DRAWS, 0)


KEYS = torch.tensor([[3, 0, index % DRAWS] for index in range(2 * DRAWS)])


def entries(policy: Policy, images: torch.Tensor) -> dict[str, Any]:
    return adaptaug.AdaptiveAugment(policy, SIZE).plan(images, key=KEYS).entries


def draws(policy: Policy, images: torch.Tensor) -> Any:
    return generate.planning.Draws(policy, KEYS, 0, adaptaug.measure(images))


def test_p_follows_the_formula_and_the_draw_follows_p(batch):
    policy = parse({"hflip": {"p": 0.3}}, {"hflip": {"p": {"mean": -0.5, "contrast": 0.25}}})
    stats = adaptaug.measure(batch)
    scores = [((getattr(stats, n) - m) / sd).clamp(-3, 3) for n, (m, sd) in TONE.items()]
    expected = torch.sigmoid(math.log(0.3 / 0.7) - 0.5 * scores[0] + 0.25 * scores[1])
    made = draws(policy, batch)
    assert torch.allclose(made.probability("hflip"), expected, atol=1e-12)
    applied = entries(policy, batch)["hflip"].applied
    assert torch.equal(applied, made.number("hflip", 0) < expected)
    dark, bright = applied[:DRAWS].double().mean(), applied[DRAWS:].double().mean()
    assert abs(dark - expected[0]) < 0.15 and abs(bright - expected[-1]) < 0.15 and dark > bright + 0.1


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_p_of_0_and_1_stay(p, batch):
    policy = parse({"hflip": {"p": p}}, {"hflip": {"p": {"mean": -5, "contrast": 5}}})
    assert (entries(policy, batch)["hflip"].applied == bool(p)).all()
    assert (draws(policy, batch).probability("hflip") == p).all()


def test_statistics_count_to_three_deviations(batch):
    far = parse({"hflip": {"p": 0.5}}, {"hflip": {"p": {"mean": 1}}}, {"mean": [0.45, 1e-6]})
    found = draws(far, batch).probability("hflip")
    sigmoid = 1 / (1 + math.exp(-3))
    assert np.allclose(found[:DRAWS], 1 - sigmoid) and np.allclose(found[DRAWS:], sigmoid)


@pytest.mark.parametrize("p", [{}, {"mean": 0.0, "contrast": 0.0}], ids=["empty", "zero"])
@pytest.mark.parametrize("name", preset_names())
def test_no_weights_change_no_bit(name, p, batch):
    plain = Policy.load(name)
    changed = plain.edit(
        conditional={
            "statistics": TONE,
            "operations": {"crop": {"p": p, "strength": p}, "blur" if "blur" in plain else "crop": {"p": p}},
        }
    )
    images, keys = batch[::20], KEYS[::20]
    one, params = adaptaug.Views(plain, size=SIZE, return_params=True)(images, key=keys)
    two, more = adaptaug.Views(changed, size=SIZE, return_params=True)(images, key=keys)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    # As text: what no image was asked for is nan there, which is unlike itself.
    assert json.dumps([p.to_dict() for p in params]) == json.dumps([p.to_dict() for p in more])


# A guarded crop says what the box really has: cut to the frame and enlarged, it is no plain number any more.
@pytest.mark.parametrize(
    ("name", "guards"), [(n, g) for n in RANGES for g in ("on", "off") if (n, g) != ("crop", "on")]
)
def test_strength_moves_away_from_the_identity(name, guards, batch):
    """Dark images (mean 1.5 deviations below) get weaker draws and bright ones stronger, in their range and side."""
    op = OPS[name]
    given = {name: RANGES[name]}
    plain = parse(given, {}, guards=guards)
    found = (
        entries(plain, batch),
        entries(parse(given, {name: {"strength": {"mean": 0.8}}}, guards=guards), batch),
    )
    for label in found[0]:
        spec = op.parameters[label.partition(".")[2] or "range"]
        before, after = found[0][label], found[1][label]
        low, high = after.low, after.high
        inside = (after.value >= low - 1e-9) & (after.value <= high + 1e-9)
        assert inside[after.applied].all()
        if spec.place:
            assert torch.equal(before.value, after.value)
            continue
        at = torch.log if spec.log else (lambda value: value)
        start = math.log(spec.identity) if spec.log else spec.identity
        distance = [at(entry.value.double()) - start for entry in (before, after)]
        free = before.applied & after.applied & (before.reason == after.reason)
        both = free & (before.low == low) & (before.high == high)
        weaker, stronger = both.clone(), both.clone()
        weaker[DRAWS:], stronger[:DRAWS] = False, False
        assert (distance[1].abs() <= distance[0].abs() + 1e-9)[weaker].all(), label
        assert (distance[1].abs() >= distance[0].abs() - 1e-9)[stronger].all(), label
        assert (distance[0] * distance[1] >= -1e-9)[both].all(), "the side of the identity changed"
        if both.any():
            assert (distance[0] != distance[1])[both].any()


@pytest.mark.parametrize("guards", ["on", "off"])
def test_the_strength_of_exposure_is_the_distance_from_the_crops_own_tone(guards, batch):
    """Mean and deviation as targets have no identity but those that the crop has already."""
    given = {"exposure": {"mean": [0.1, 0.9], "std": [0.02, 0.3]}}
    augment = [
        adaptaug.AdaptiveAugment(parse(given, weights, guards=guards), SIZE).plan(batch, key=KEYS)
        for weights in ({}, {"exposure": {"strength": {"mean": 1.0}}})
    ]
    for part in ("mean", "std"):
        own = augment[0].evidence[f"crop_{part}"]
        before, after = ((a.value(f"exposure.{part}") - own).abs() for a in augment)
        kept = [entry.entries[f"exposure.{part}"] for entry in augment]
        same = (
            (kept[0].low == kept[1].low) & (kept[0].high == kept[1].high) & (kept[0].reason == kept[1].reason)
        )
        if guards == "on":  # at a limit of tone_strength all is drawn back together
            same = (
                same
                & (augment[0].evidence["tone_strength"] == 1)
                & (augment[1].evidence["tone_strength"] == 1)
            )
        dark, bright = same.clone(), same.clone()
        dark[DRAWS:], bright[:DRAWS] = False, False
        if part == "mean":
            assert dark.sum() > 20 and bright.sum() > 20
        assert (after <= before + 1e-9)[dark].all() and (after >= before - 1e-9)[bright].all()


def test_the_formula_of_strength():
    array = torch.tensor
    fraction, power = array([0.0, 0.25, 0.5, 0.75, 1.0]), array([0.5] * 5)
    low, high = array([0.0] * 5), array([2.0] * 5)
    # One-sided: r ** power from the identity's end; two-sided: the same on either side of it.
    assert np.allclose(
        further(fraction, power, position(0, low, high)), [0, 0.5, math.sqrt(0.5), math.sqrt(0.75), 1]
    )
    assert np.allclose(
        further(fraction, power, position(2, low, high)), [0, 1 - math.sqrt(0.75), 1 - math.sqrt(0.5), 0.5, 1]
    )
    middle = math.sqrt(0.5) / 2
    assert np.allclose(
        further(fraction, power, position(1, low, high)), [0, 0.5 - middle, 0.5, 0.5 + middle, 1]
    )
    assert np.allclose(position(1, low + 0.5, high, log=True), 0.5)
    assert np.allclose(position(7.0, low, high), 1) and np.allclose(position(3, low, low), 1)


def test_operations_applied_together_stay_together(batch):
    """The group's p follows the weights of its first operation."""
    weights = {"brightness": {"p": {"mean": -1.0}}, "hue": {"strength": {"mean": 1.0}}}
    policy = Policy.load("simclr").edit(conditional={"statistics": TONE, "operations": weights})
    found = entries(policy, batch)
    applied = [found[name].applied for name in ("brightness", "contrast", "saturation", "hue")]
    assert all(torch.equal(applied[0], other) for other in applied)
    assert applied[0][:DRAWS].double().mean() > applied[0][DRAWS:].double().mean() + 0.2


def test_both_renderers_draw_the_same(photo, to_tensor):
    weights = {
        name: {"p": dict.fromkeys(STATISTICS, 0.2)}
        | ({} if OPS[name].switch else {"strength": dict.fromkeys(STATISTICS, -0.1)})
        for name in Policy.load("natural").operations
    }
    statistics = {name: [0.3, 0.2] for name in STATISTICS}
    policy = Policy.load("natural").edit(conditional={"statistics": statistics, "operations": weights})
    augment = adaptaug.AdaptiveAugment(policy, SIZE)
    images = [photo(name, 80, 60) for name in NAMES]
    many = augment.plan(
        torch.stack([to_tensor(image) for image in images]), key=[(1, 0, i) for i in range(4)]
    )
    for index, image in enumerate(images):
        one = augment.plan(image, key=(1, 0, index))
        for name, entry in one.entries.items():
            assert entry.applied[0] == many.entries[name].applied[index]
            assert float(entry.value[0]) == pytest.approx(float(many.entries[name].value[index]), abs=0.02)
        for name, value in one.evidence.items():
            if name.startswith(("p.", "conditional_p.", "power.")):
                assert float(value[0]) == pytest.approx(float(many.evidence[name][index]), abs=1e-9)


def test_explain_shows_what_was_conditioned(photo):
    weights = {"exposure": {"p": {"mean": -0.5}, "strength": {"contrast": 0.3}}, "grey": {"p": {"mean": 1}}}
    policy = Policy.load("natural").edit(conditional={"statistics": TONE, "operations": weights})
    image = (photo("coffee") * 0.2).astype(np.uint8)
    explanation = adaptaug.explain(image, policy, key=(1, 0, 0), size=SIZE)
    rows = {row["parameter"]: row for row in explanation.rows}
    assert "; p 0.80 -> 0.9" in rows["exposure.mean"]["reason"]
    assert "weaker draws (power 1." in rows["exposure.mean"]["reason"]
    assert "; p 0.20 -> 0.0" in rows["grey"]["reason"] and not rows["hue"]["conditioned"]
    assert "for this image" in str(explanation)
    json.dumps(explanation.to_dict(), allow_nan=False)
    notes = describe_view(explanation, 0.4, 0.2)
    assert "for this image" not in " ".join(note.why for note in notes)
    params = explanation.params
    assert adaptaug.ViewParams.from_dict(params.to_dict()).to_dict() == params.to_dict()


def test_saving_and_pickling_lose_nothing(tmp_path):
    weights = {
        "exposure": {"p": {"mean": -0.5, "contrast": 1 / 3}, "strength": {"contrast": 0.3}},
        "hflip": {},
    }
    policy = Policy.load("natural").edit(conditional={"statistics": TONE, "operations": weights})
    policy.save(tmp_path / "policy.yaml")
    for back in (Policy.load(tmp_path / "policy.yaml"), pickle.loads(pickle.dumps(policy))):
        assert back == policy and back.dumps() == policy.dumps()
        assert back.conditional.operations["exposure"].p["contrast"] == 1 / 3
    assert "conditional" not in Policy.load("natural").dumps()


MEAN = {"mean": [0.5, 0.2]}


@pytest.mark.parametrize(
    ("conditional", "said"),
    [
        ({"statistics": {"meen": [0, 1]}}, r"statistics\.meen: no such statistic.*'mean'.*known: mean, contrast"),
        ({"statistics": {"mean": [0, 0]}}, r"statistics\.mean: .*above 0, got 0"),
        ({"statistics": {"mean": [0]}}, r"statistics\.mean"),
        ({"statistics": {"mean": ["a", 1]}}, r"statistics\.mean\.0: .*number.*'a'"),
        ({"operations": {"hflip": {"p": {"mean": 1}}}}, r"operations\.hflip\.p\.mean: .*statistics.*has: none"),
        ({"statistics": MEAN, "operations": {"hflip": {"p": {"mean": 7}}}}, r"hflip\.p\.mean: .*equal to 5, got 7"),
        ({"operations": {"hflip": {"q": {}}}}, r"operations\.hflip\.q: unknown field.*known: p, strength"),
        ({"statistics": MEAN, "operations": {"hflop": {}}}, r"operations\.hflop: .*'hflip'.*has: hflip, blur"),
        ({"statistics": MEAN, "operations": {"noise": {}}}, r"operations\.noise: .*has: hflip"),
        ({"statistics": MEAN, "operations": {"blur": {"p": {"mean": 1}}}}, r"operations\.blur: .*lock: true"),
        ({"statistics": MEAN, "operations": {"hflip": {"strength": {"mean": 1}}}}, r"hflip\.strength: .*on or off"),
        ({"statistics": MEAN, "operations": {"hue": {"p": {"mean": 1}}}}, r"hue\.p: .*'saturation'.*group 'jitter'"),
        ({"statistic": {}}, r"conditional\.statistic: unknown field.*'statistics'"),
        (3, r"conditional: .*got 3"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_is_wrong_is_named(conditional, said):
    operations = {
        "hflip": {"p": 0.5}, "blur": {"range": [0, 1], "lock": True},
        "saturation": {"together": "jitter"}, "hue": {"together": "jitter"},
    }  # fmt: skip
    with pytest.raises(adaptaug.AdaptAugError, match=said) as caught:
        Policy.parse({"version": 1, "operations": operations, "conditional": conditional})
    assert "\n" not in str(caught.value) and str(caught.value).startswith("policy: conditional")


def test_every_statistic_is_measured_and_documented(photo):
    summary = adaptaug.measure(photo()).summary()
    format_ = (Path(__file__).parent.parent / "policies" / "README.md").read_text(encoding="utf-8")
    for name in STATISTICS:
        assert isinstance(summary[name], float)
        assert f"`{name}`" in format_
    for field in ("statistics", "operations"):
        assert f"`conditional.{field}`" in format_
