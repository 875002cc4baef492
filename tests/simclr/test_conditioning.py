"""A projection head that is told what was done to each view."""

import numpy as np
import pytest
import torch

pytest.importorskip("lightly")

from adaptaug import Policy, Views, plan
from adaptaug.errors import AdaptAugError
from adaptaug.policy import preset_names
from adaptaug.policy.ops import OPS
from adaptaug.simclr.conditioning import ConditionedHead, describe, numbers_of
from adaptaug.simclr.contrast import new_contrast

FIXED = {"p": 1.0}


def policy(**operations):
    return Policy(guards=False, operations=operations)


def test_draws_are_told_as_shares_of_their_ranges(photographs):
    params = plan(
        photographs["coffee"],
        policy(brightness={**FIXED, "range": (0.5, 0.5)}, grey={"p": 0.0}),
        key=(0, 0, 0),
    )
    reach = OPS["brightness"].parameters["range"]
    assert describe(params, ["tone"]).tolist() == [[1.0, pytest.approx(0.5 / (reach.high - reach.low))]]
    assert describe(params, ["colour"]).tolist() == [[0.0, 0.0]]


def test_a_flip_is_told_by_the_crops_matrix(photographs):
    whole, flipped = (plan(photographs["coffee"], policy(hflip={"p": p}), key=(0, 0, 0)) for p in (0.0, 1.0))
    assert describe(whole, ["crop"]).tolist() == [pytest.approx([0.0] * 6)]
    assert describe(flipped, ["crop"]).tolist() == [pytest.approx([-1.0, 0, 0, 0, 0, 0])]


def test_what_is_told_is_the_same_for_a_dark_image_and_a_bright_one(photographs):
    """The draw, not its effect: a gain that depends on the image would tell images apart."""
    bright = photographs["coffee"][:200, :200]
    dark = (bright * 0.3).astype(np.uint8)
    targets = policy(exposure={**FIXED, "mean": (0.3, 0.7), "std": (0.1, 0.2)})
    told = [describe(plan(image, targets, key=(0, 0, 7)), ["tone"]) for image in (bright, dark)]
    assert told[0].tolist() == told[1].tolist() and told[0].abs().sum() > 0


@pytest.mark.parametrize("preset", preset_names())
def test_of_every_view_and_preset_as_many_numbers(preset, photographs):
    views = Views(preset, 4, 32, return_params=True)
    about = ["crop", "tone", "colour"]
    for image in (photographs["coffee"], np.zeros((16, 16), np.uint8)):
        _, params = views(image, key=(0, 0, 3))
        assert {tuple(describe(p, about).shape) for p in params} == {
            (1, numbers_of(Policy.load(preset), about))
        }
    assert all(torch.isfinite(describe(p, about)).all() for p in params)


@pytest.mark.parametrize("about", [[], ["light"], ["tone", "tone"]], ids=str)
def test_other_names_are_refused(photographs, about):
    params = plan(photographs["coffee"], "natural", key=(0, 0, 0))
    with pytest.raises(AdaptAugError, match="tell: expected one or more of tone, colour, crop, each once"):
        describe(params, about)


def test_a_policy_that_does_nothing_of_the_kind_is_refused():
    with pytest.raises(AdaptAugError, match="tell: expected tone to be among what the policy changes"):
        numbers_of(policy(hflip=FIXED), ["tone"])


def test_the_head_uses_it_and_does_without():
    head = ConditionedHead(torch.nn.Linear(8 + ConditionedHead.width, 4), numbers=3)
    features, told = torch.randn(5, 8), torch.randn(5, 3)
    assert not torch.equal(head(features, told), head(features))
    assert torch.equal(head(features, torch.zeros(5, 3)), head(features))


@pytest.mark.parametrize("small", [0, 2])
def test_each_view_is_told_its_own(photographs, small):
    """Large views and small ones go through the network apart; a row of what is told follows its view."""
    model = new_contrast("resnet-tiny", "natural", 16, 0, n=2, small=small, small_size=8, return_params=True,
                         tell=["tone", "crop"]).eval()  # fmt: skip
    images = torch.from_numpy(np.stack([photographs["coffee"][i : i + 64, :64] for i in range(0, 12, 3)]))
    keys = np.stack([np.zeros(4, int), np.zeros(4, int), np.arange(4)], 1)
    views, params = model.views(images.permute(0, 3, 1, 2).contiguous(), key=keys)
    told = [describe(p, ["tone", "crop"]) for p in params]
    _, *embedded = model.loss_of(views, told)
    for view, row, made in zip(views, told, embedded, strict=True):
        alone = model._embed(model.encoder, model.objective.head, view, row)
        torch.testing.assert_close(made, alone, atol=1e-4, rtol=1e-3)
