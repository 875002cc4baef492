"""Brightness decides: dark sources are lifted, bright ones calmed, ordinary ones move as far as by hand."""

import numpy as np
import pytest
from skimage import data

import adaptaug
from adaptaug.promise.checker import luma
from tests.support.promise import brighter, darker

SIZE, KEYS = 64, 60


def tones(image, policy):
    """Mean and std of the luma of views and of their safe crops: (KEYS, 4)."""
    augment = adaptaug.AdaptiveAugment(policy, size=SIZE)
    out = []
    for number in range(KEYS):
        params = augment.plan(image, key=(5, 0, number))
        view, crop = adaptaug.render(image, params), adaptaug.render(image, params.safe_crop())
        planes = luma(np.stack([view, crop]))
        out.append([*planes.mean(1), *planes.std(1)])
    return np.array(out)


PHOTOGRAPHS = {"astronaut": data.astronaut(), "coffee": data.coffee(), "chelsea": data.chelsea()}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_no_view_of_a_dark_source_is_darker_than_its_crop(name):
    view, crop, *_ = tones(darker(PHOTOGRAPHS[name]), "natural").T
    assert (view >= crop - 1 / 255).all()
    assert np.quantile(view, 0.9) - np.quantile(view, 0.1) > 0.2  # and they spread over the exposure range


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_no_view_of_a_bright_source_is_brighter_than_its_crop(name):
    view, crop, *_ = tones(brighter(PHOTOGRAPHS[name]), "natural").T
    assert (view <= crop + 1 / 255).all()
    assert np.quantile(view, 0.9) - np.quantile(view, 0.1) > 0.2


def test_ordinary_photographs_move_at_least_as_far_as_by_hand():
    def spread(policy):
        moved = np.concatenate([tones(image, policy) for image in PHOTOGRAPHS.values()])
        view, crop, view_std, crop_std = moved.T
        return np.std(view - crop), np.std(np.log(np.maximum(view_std, 1e-3) / np.maximum(crop_std, 1e-3)))

    adaptive, manual = spread("natural"), spread("simclr-cifar")
    assert adaptive[0] >= manual[0]
    assert adaptive[1] >= manual[1]


def test_the_reason_for_a_dark_source_names_its_mean():
    augment = adaptaug.AdaptiveAugment("natural", size=SIZE)
    image = darker(PHOTOGRAPHS["astronaut"])
    reasons = {row["reason"] for k in range(30) for row in augment.explain(image, key=(5, 0, k)).rows}
    assert any(reason.startswith("dark source (mean 0.1") for reason in reasons)
