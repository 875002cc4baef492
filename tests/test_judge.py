"""The band held by what a frozen encoder finds alike."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import nn

import adaptaug
from adaptaug.encoders.likeness import Judge
from adaptaug.encoders.networks import build_encoder
from adaptaug.errors import AdaptAugError

SIZE = 32
LOW, HIGH = BAND = (0.4, 0.8)
POLICY = adaptaug.Policy.load("natural").edit(band=BAND)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder("resnet-tiny", size=SIZE)


@pytest.fixture
def images(photographs, to_tensor):
    return torch.stack(
        [to_tensor(i[y : y + 64, 100:164]) for i in photographs.values() for y in range(0, 256, 32)]
    )


def test_the_same_view_is_1_and_different_images_are_0_on_average(encoder, images):
    judge, levels = Judge(encoder, images), images.float()
    assert torch.allclose(judge(levels, levels), torch.ones(len(images)), atol=1e-5)
    apart = torch.stack([judge(levels, levels.roll(shift, 0)) for shift in range(1, len(images))])
    assert float(apart.mean()) == pytest.approx(0, abs=1e-4)


def test_the_band_is_held_by_the_encoder(encoder, images):
    judge = Judge(encoder, images)
    keys = [(0, 0, i) for i in range(len(images))]
    make = adaptaug.Views(POLICY, size=SIZE, finish="none", judge=judge, return_params=True)
    plain = adaptaug.Views(POLICY.edit(band=None), size=SIZE, finish="none")(images, key=keys)
    held, params = make(images, key=keys)
    before, after = (judge(a.float(), b.float()) for a, b in (plain, held))
    inside = [(LOW <= found) & (found <= HIGH) for found in (before, after)]
    assert (inside[1] | ~inside[0]).all()  # what was inside is as it was
    assert inside[1].sum() > inside[0].sum()
    assert torch.allclose(params[0].evidence["similarity"].float(), after, atol=1e-3)


def test_one_image_is_held_too(encoder, photo):
    image, judge = photo("coffee", 64, 64), Judge(encoder)
    make = adaptaug.Views(
        POLICY.edit(band=(0.99, 1.0)), size=SIZE, finish="none", judge=judge, return_params=True
    )
    (first, second), params = make(image, key=(0, 0, 0))
    assert float(params[0].evidence["similarity"][0]) == pytest.approx(
        float(judge(np.asarray(first), np.asarray(second))[0]), abs=1e-5
    )


def test_what_is_trained_goes_on_without_it(encoder, images):
    judge = Judge(encoder)
    before = judge(images.float(), images.float().flip(3))
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.mul_(2).add_(0.1)
    assert torch.equal(judge(images.float(), images.float().flip(3)), before)


def test_workers_get_the_same(encoder, photo):
    views = adaptaug.Views(POLICY, size=SIZE, judge=Judge(encoder))
    sent, image = pickle.loads(pickle.dumps(views)), photo("astronaut", 64, 64)
    assert all(map(torch.equal, views(image, key=(0, 0, 1)), sent(image, key=(0, 0, 1))))


def test_a_file_of_weights_is_a_judge(tmp_path, images):
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", "cifar")
    torch.save(encoder.state_dict(), tmp_path / "weights.pt")
    views = adaptaug.Views(POLICY, size=SIZE, judge=tmp_path / "weights.pt", return_params=True)
    _, params = views(images[:2], key=0)
    assert torch.isfinite(params[0].evidence["similarity"]).all()


@pytest.mark.parametrize(("policy", "n"), [("natural", 2), (POLICY, 1)])
def test_a_judge_without_a_band_to_hold_is_refused(policy, n):
    with pytest.raises(AdaptAugError, match="judge: expected a policy with a band"):
        adaptaug.Views(policy, n, judge=nn.Flatten())
