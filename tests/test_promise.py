"""The promise, judged on final pixels by adaptaug/promise/checker.py, which knows nothing of the guards."""

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug.backend.arrays import constant
from adaptaug.pipeline import generate
from adaptaug.policy.ops import OPS
from adaptaug.promise import boxes, guards
from tests.support.promise import WIDEST, count


def widen(monkeypatch):
    """Break every guard: the drawn box, the widest tone, any blur."""
    monkeypatch.setattr(
        boxes, "choose_box", lambda stats, box, *_: (box, box[:, 0] * 0, box[:, 0], box[:, 0])
    )
    monkeypatch.setattr(guards, "tone_strength", lambda crop, *_: constant(1.0, crop.mean))
    monkeypatch.setattr(guards, "blur_limit", lambda crop, *_: constant(5.0, crop.mean))
    monkeypatch.setattr(guards.ToneRoom, "greatest_gain", lambda room, target: constant(12.0, target))


@pytest.mark.parametrize(
    "renderer, size, views", [("array", 96, 12), ("batch", 32, 40), ("torch", 32, 40), ("torch", 96, 20)]
)
@pytest.mark.parametrize("policy", ["natural", "digits"])
def test_presets_keep_the_promise_without_leaning_on_the_certificate(policy, renderer, size, views):
    broken, acted = count(policy, views, renderer, size)
    assert broken == 0
    assert acted <= 0.05


@pytest.mark.parametrize("renderer, views", [("array", 12), ("batch", 40), ("torch", 40)])
def test_the_widest_policy_keeps_the_promise(renderer, views):
    assert count(WIDEST, views, renderer, 64)[0] == 0


@pytest.mark.parametrize("renderer, views", [("array", 12), ("batch", 40)])
def test_the_cores_certificate_holds_where_no_operation_is_guarded(renderer, views):
    bare = WIDEST.edit({name: {"guard": False} for name in OPS})
    broken, acted = count(bare, views, renderer, 64)
    assert broken == 0
    assert acted > 0.2  # it had work to do


def test_the_certificate_holds_when_the_guards_are_broken(monkeypatch):
    widen(monkeypatch)
    broken, acted = count(WIDEST, 40, "torch", 64)
    assert broken == 0
    assert acted > 0.2  # it had work to do


def test_the_checker_sees_a_broken_certificate(monkeypatch):
    widen(monkeypatch)
    monkeypatch.setattr(
        generate, "certify", lambda seen, limit: (constant(1.0, seen.mean), (seen.mean * 0).to(torch.int64))
    )
    assert count(WIDEST, 40, "torch", 64)[0] > 30


def test_blank_images_come_back_as_they_are():
    grey = np.full((40, 40, 3), 90, np.uint8)
    augment = adaptaug.AdaptiveAugment(WIDEST, size=40)
    params = augment.plan(grey, key=(0, 0, 0))
    assert bool(params.blank[0]) and params.explain().certificate == "blank image: returned as it is"
    assert np.array_equal(augment(grey, key=(0, 0, 0)), grey)
