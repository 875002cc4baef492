"""Guarantees for any image, any policy the schema accepts, any key (hypothesis)."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adaptaug
from benchmarks.judging import FRAME, judge
from benchmarks.random_policies import random_policy

CHECK = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
SEEDS = st.integers(0, 2**32 - 1)


def noise(rng, h, w):
    return rng.integers(0, 256, (h, w, 3))


def gradient(rng, h, w):
    ends = rng.integers(0, 256, (2, 3))
    share = (
        np.add.outer(np.linspace(0, rng.random(), h), np.linspace(0, 1 - rng.random() / 2, w))[..., None] / 2
    )
    return ends[0] + share * (ends[1] - ends[0])


def strokes(rng, h, w):
    image = np.full((h, w, 3), rng.integers(0, 256), float)
    for _ in range(int(rng.integers(1, 4))):
        top, left = rng.integers(0, h), rng.integers(0, w)
        image[top : top + max(1, h // 6), left : left + max(1, w // 3)] = rng.integers(0, 256, 3)
    return image


def dim(rng, h, w):
    return rng.normal(rng.uniform(5, 250), rng.uniform(1, 12), (h, w, 3))


def patches(rng, h, w):
    return np.repeat(np.repeat(rng.integers(0, 256, (-(-h // 7), -(-w // 7), 3)), 7, 0), 7, 1)[:h, :w]


@st.composite
def images(draw):
    rng = np.random.default_rng(draw(SEEDS))
    h, w = draw(st.integers(2, 80)), draw(st.integers(2, 80))
    make = draw(st.sampled_from([noise, gradient, strokes, dim, patches]))
    return np.clip(make(rng, h, w), 0, 255).astype(np.uint8)


policies = st.builds(random_policy, st.integers(0, 5000))
keys = st.tuples(st.integers(0, 2**31), st.integers(0, 10_000), st.integers(0, 2**31))
sizes = st.sampled_from([8, 31, 32, 64])


@CHECK
@given(images(), policies, keys, sizes, st.integers(0, 2))
def test_the_promise_holds_for_any_image_policy_and_key(image, policy, key, size, view):
    frame = adaptaug.AdaptiveAugment(FRAME, size=size)(image)
    broken, _, _ = judge(image, adaptaug.AdaptiveAugment(policy, size=size), frame, key, view)
    assert {name for name, flags in broken.items() if flags.any()} == set()


@CHECK
@given(images(), policies, keys, sizes)
def test_the_promise_holds_in_the_torch_renderer(image, policy, key, size):
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    frame = adaptaug.AdaptiveAugment(FRAME, size=size)(batch)
    broken, _, _ = judge(
        batch, adaptaug.AdaptiveAugment(policy, size=size), frame, [key, (key[0], key[1], 7)]
    )
    assert {name for name, flags in broken.items() if flags.any()} == set()


@CHECK
@given(images(), policies, keys)
def test_a_key_decides_every_pixel(image, policy, key):
    augment = adaptaug.AdaptiveAugment(policy, size=32)
    assert np.array_equal(augment(image, key=key), augment(image.copy(), key=key))


@CHECK
@given(images(), policies, keys)
def test_a_plan_replays_the_call(image, policy, key):
    augment = adaptaug.AdaptiveAugment(policy, size=32)
    assert np.array_equal(augment(image, key=key), adaptaug.render(image, augment.plan(image, key=key)))


@CHECK
@given(policies)
def test_a_policy_is_saved_without_loss(policy):
    assert adaptaug.Policy.loads(policy.dumps()) == policy


@CHECK
@given(images(), policies, keys)
def test_an_image_in_a_batch_has_its_own_draw(image, policy, key):
    """What lies beside an image changes nothing of its view."""
    one = torch.from_numpy(image).permute(2, 0, 1)
    other = torch.flip(one, (2,))
    augment = adaptaug.AdaptiveAugment(policy, size=32)
    together = augment(torch.stack([one, other]), key=[key, (0, 0, 0)])
    alone = augment(one[None], key=[key])
    assert (together[0].int() - alone[0].int()).abs().max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_what_is_too_thin_is_refused_in_a_sentence(shape):
    with pytest.raises(adaptaug.AdaptAugError, match="2 x 2"):
        adaptaug.AdaptiveAugment("natural", size=32)(np.zeros((*shape, 3), np.uint8))
