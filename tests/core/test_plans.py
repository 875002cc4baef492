"""The core plans by the rules that torch plans by: the same policy, statistics and keys give the same parameters.

The statistics of a whole image are equal to the bit (whole sums); those of a crop are made equal by giving both the
same crop's pixels, since two warps round differently. A decision may flip only where a number lies within 1e-9 of a
level: none has, over all of these.
"""

from __future__ import annotations

import ctypes
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptaug.backend import keys
from adaptaug.backend.levels import luma_levels
from adaptaug.core import engine, library
from adaptaug.core.records import Report
from adaptaug.core.reports import params_of
from adaptaug.pipeline import generate
from adaptaug.policy import Policy, preset_names
from adaptaug.policy.conditional import STATISTICS, Moves
from adaptaug.policy.request import Request
from adaptaug.promise import guards
from adaptaug.stats.crop import CropStats
from adaptaug.stats.image import measure_pixels
from benchmarks.random_policies import random_policy

plan = generate.planning
SIZE = 48
CLOSE = {"rel": 1e-11, "abs": 1e-11}
MANY = settings(max_examples=150, deadline=None, derandomize=True, database=None)
pytestmark = pytest.mark.skipif(not engine.usable(), reason="there is no core")


def scene(seed: int) -> np.ndarray:
    """A smooth random scene of a random size, contrast and brightness."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(50, 130, 2)
    image = cv2.resize(rng.random((6, 7, 3)), (int(width), int(height)), interpolation=cv2.INTER_CUBIC)
    return np.clip((image * rng.uniform(0.1, 1.2) + rng.uniform(-0.2, 0.4)) * 255, 0, 255).astype(np.uint8)


def levels(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def by_core(
    image: np.ndarray, crop: np.ndarray, policy: Policy, rows: np.ndarray, view: int, limit: Any, push: Any
) -> Any:
    """What the core plans of an image and of a crop: one view's ViewParams (without what only a render knows)."""
    lib = library.load()
    assert lib is not None
    numbers = np.zeros(6) if limit is None else np.array(
        [float(v[0]) for v in (limit.std, limit.low, limit.high, limit.own, limit.dark, limit.bright)]
    )  # fmt: skip
    reports, moves = np.empty(1, np.dtype(Report)), engine._moves(push, 1)
    source = engine.source_of(image)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (rows, crop, numbers, reports)]
    failed = lib.core_plan(
        ctypes.byref(source), engine.packed(policy), pointers[0],
        None if moves is None else ctypes.c_void_p(moves.ctypes.data), view, SIZE, *pointers[1:],
    )  # fmt: skip
    assert not failed
    return params_of(reports, Request(policy, SIZE, range(view, view + 1)), rows, view, push, False)


def assert_same(ours: Any, theirs: Any, name: str) -> None:
    assert np.ravel(ours) == pytest.approx(np.ravel(theirs), **CLOSE), name


def compare(image: np.ndarray, policy: Policy, key: int, view: int, push: Any = None) -> None:
    rows = keys.as_rows((key, 1, 2), 1)
    own, torch_rows, stats = policy.for_view(view), torch.from_numpy(rows), measure_pixels(levels(image))
    overlaps = view and policy.pair.overlap is not None
    first = plan.Draws(policy, torch_rows, 0, stats, push) if overlaps else None
    draws = plan.Draws(own, torch_rows, view, stats, push)
    where = plan.plan_where(stats, own, draws, SIZE, first)
    crop = np.ascontiguousarray(cv2.resize(image, (SIZE, SIZE)))
    crops = CropStats(levels(crop), luma_levels(levels(crop)))
    limit = guards.limits(own.promise, crops.mean, crops.std, crops.mean) if policy.guards else None
    filters = plan.plan_filters(crops, own, draws, SIZE)
    colour, tone, evidence = plan.plan_tone(crops, own, draws, limit)
    late, seed = plan.plan_late(own, draws)

    core = by_core(image, crop, policy, rows, view, limit, push)
    assert_same(core.matrix, where.matrix, "matrix")
    assert_same(core.span, where.span, "span")
    assert_same(core.colour, colour, "colour")
    assert int(core.noise_seed[0]) == int(seed[0])
    entries = where.entries | filters | tone | late
    assert core.entries.keys() == entries.keys()
    for name, ours in core.entries.items():
        for part in ("value", "low", "high", "reason", "applied"):
            assert_same(getattr(ours, part), getattr(entries[name], part), f"{name}.{part}")
    found = where.evidence | evidence | draws.evidence()
    for name, value in found.items():
        if name in core.evidence:  # numbers of a gate that did not open may be there in torch alone
            assert_same(core.evidence[name], value, name)
    assert core.evidence.keys() >= where.evidence.keys() | evidence.keys()


@MANY
@given(st.integers(0, 199), st.integers(0, 10**9), st.integers(0, 2**31), st.integers(0, 1))
def test_random_policies(policy_seed: int, image_seed: int, key: int, view: int):
    compare(scene(image_seed), random_policy(policy_seed), key, view)


@pytest.mark.parametrize("policy_seed", range(200))
def test_every_random_policy(policy_seed: int):
    for view in (0, 1):
        compare(scene(policy_seed), random_policy(policy_seed), 7 * policy_seed, view)


@pytest.mark.parametrize("push", [-4.0, -0.3, 0.7, 2.0])
@pytest.mark.parametrize("preset", [name for name in preset_names() if not Policy.load(name).routes])
def test_pushed_draws(preset: str, push: float):
    for key in range(4):
        compare(scene(key), Policy.load(preset), key, key % 2, torch.tensor([push], dtype=torch.float64))


@pytest.mark.parametrize("key", range(8))
def test_moves_by_operation_and_what_a_learner_reads_of_them(key: int):
    policy = Policy.load("natural")
    one = lambda value: torch.tensor([value], dtype=torch.float64)  # noqa: E731
    moves = Moves(
        {name: one(0.3 * key - 1) for name in policy.operations},
        {
            name: one(0.2 * key - 0.5)
            for name in ("crop", "blur", "exposure", "brightness", "contrast", "hue")
        },
        {},
    )
    compare(scene(key), policy, key, key % 2, moves)


@pytest.mark.parametrize(
    "shape", [(150, 200), (375, 500), (33, 70), (600, 2), (2, 2), (257, 511), (1100, 700)]
)
def test_statistics_are_the_same(shape: tuple[int, int], photo):
    image = photo("coffee", shape[1], shape[0])
    ours, theirs = engine.measure(engine.source_of(image)), measure_pixels(levels(image))
    for name in STATISTICS:
        assert_same(ours[name], getattr(theirs, name), name)
