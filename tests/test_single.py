"""A single image is planned in plain numbers by the rules that plan a batch: the same parameters come out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptaug import generate, guard, keys
from adaptaug.crops import CropStats
from adaptaug.levels import luma_levels
from adaptaug.measure import measure_pixels
from adaptaug.ops import OPS
from benchmarks.random_policies import random_policy

plan = generate.plan
SIZE = 48
CLOSE = {"rel": 1e-11, "abs": 1e-11}
MANY = settings(max_examples=120, deadline=None, derandomize=True, database=None)


def scene(seed: int) -> np.ndarray:
    """A smooth random scene of a random size, contrast and brightness."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(50, 130, 2)
    image = cv2.resize(rng.random((6, 7, 3)), (int(width), int(height)), interpolation=cv2.INTER_CUBIC)
    return np.clip((image * rng.uniform(0.1, 1.2) + rng.uniform(-0.2, 0.4)) * 255, 0, 255).astype(np.uint8)


def levels(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def assert_same(single: Any, batch: Any, name: str) -> None:
    assert np.ravel(single) == pytest.approx(np.ravel(batch), **CLOSE), name


def assert_same_entries(single: dict[str, Any], batch: dict[str, Any]) -> None:
    assert list(single) == list(batch)
    for name, one in single.items():
        other = batch[name]
        for part in ("value", "low", "high", "reason", "applied"):
            assert_same(getattr(one, part), getattr(other, part), f"{name}.{part}")


@MANY
@given(st.integers(0, 5000), st.integers(0, 10**9), st.integers(0, 2**31), st.integers(0, 1))
def test_plans_are_the_same_as_in_a_batch(policy_seed: int, image_seed: int, key: int, view: int):
    image, policy = scene(image_seed), random_policy(policy_seed).for_view(view)
    rows = keys.as_rows((key, 1, 2), 1)
    seen = measure_pixels(image), measure_pixels(levels(image))
    draws = [
        plan.Draws(policy, given, view, stats)
        for given, stats in zip((rows, torch.from_numpy(rows)), seen, strict=True)
    ]
    single, batch = (
        plan.plan_where(stats, policy, drawn, SIZE) for stats, drawn in zip(seen, draws, strict=True)
    )
    assert_same_entries(single.entries, batch.entries)
    assert_same(single.matrix, batch.matrix, "matrix")
    assert_same(single.span, batch.span, "span")

    crop = cv2.resize(image, (SIZE, SIZE))
    crops = [CropStats(pixels, luma_levels(pixels)) for pixels in (crop, levels(crop))]
    limits: list[Any] = [None, None]
    if policy.guards:
        limits = [guard.limits(policy.promise, c.mean, c.std, c.mean) for c in crops]
    filters = [plan.plan_filters(c, policy, d, SIZE) for c, d in zip(crops, draws, strict=True)]
    assert_same_entries(*filters)
    tones = [plan.plan_tone(c, policy, d, limit) for c, d, limit in zip(crops, draws, limits, strict=True)]
    assert_same(tones[0][0], tones[1][0], "colour")
    assert_same_entries(tones[0][1], tones[1][1])
    late = [plan.plan_late(policy, d) for d in draws]
    assert_same_entries(late[0][0], late[1][0])
    assert late[0][1] == int(late[1][1])


def test_numbers_drawn_one_at_a_time_are_those_drawn_together():
    for key in ((0, 0, 0), (-1, 2**40, -(2**62)), (2**63 - 1, 7, 12345)):
        for view in (0, 3):
            row = np.array([key], dtype=np.int64)
            one, all_of_them = keys.Uniforms(key, view), keys.uniforms(row, view, 200)[0]
            assert [one[slot] for slot in range(200)] == all_of_them.tolist()


@pytest.mark.parametrize("sigma", [0.1, 0.4, 0.8, 1.3, 2.0, 3.3, 5.0])
@pytest.mark.parametrize("size", [33, 96, 224])
def test_the_quick_blur_is_the_gaussian(sigma: float, size: int, photo):
    """Within 2 levels of the Gaussian over all taps, in float; noise is the hardest there is."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    taps = max(3, int(0.1 * size) | 1)
    kernel = cv2.getGaussianKernel(taps, sigma)
    for image in (photo("coffee", size, size), noise):
        exact = cv2.sepFilter2D(
            image.astype(np.float64), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101
        )
        assert np.abs(OPS["blur"].opencv(image, sigma) - exact).max() <= 2
