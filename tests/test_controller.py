"""The band controller: shares follow their targets, bins go their own ways, state survives, cost is small."""

import numpy as np
import pytest
import torch

from adaptaug import AdaptAugError, Policy, Views, measure
from adaptaug.online.band import BINS, BandController
from tests.support.batches import SIDE, images, keys


def embed(view):
    """Not a network: pixels at 8 x 8, which is as far from the view as a fresh encoder."""
    small = torch.nn.functional.adaptive_avg_pool2d(view, 8).flatten(1)
    return small - small.mean(1, keepdim=True)


CROP_AND_TONE = {"version": 1, "name": "crop and tone", "guards": False, "operations": {
    "crop": {"area": [0.3, 1.0]}, "brightness": {"p": 0.5, "range": [-0.4, 0.4]}}}  # fmt: skip


def run(controller, steps, policy=CROP_AND_TONE):
    make, told = Views(policy, size=SIDE, return_params=True), []
    for step in range(steps):
        views, params = make(images(), key=keys(step), strength=controller.strength)
        told.append(controller.observe(*(embed(view) for view in views), params[0]))
    return told


def share(told, name, last=60):
    return float(torch.stack([line[name] for line in told[-last:]]).mean())


@pytest.mark.parametrize(
    ("band", "outside", "name"), [((0.6, None), 0.2, "band_below"), ((None, 0.9), 0.2, "band_above")]
)
def test_a_share_follows_its_target(band, outside, name):
    told = run(BandController(band, outside, warm_up=5), 200)
    assert abs(share(told, name) - outside) < 0.03
    assert abs(share(told[:10], name) - outside) > 0.05  # it was elsewhere before


def test_both_ends_are_exceeded_alike():
    """The band of the policy's own 10th and 90th percentile: one strength a bin cannot narrow it, but centre it."""
    controller = BandController(warm_up=40)
    told = run(controller, 160)
    assert share(told, "band_below") == pytest.approx(share(told, "band_above"), abs=0.04)
    assert controller.bins.unique().numel() == len(BINS)  # each bin by a strength of its own


def test_the_warm_up_only_watches():
    controller = BandController((0.9, None), warm_up=10)
    run(controller, 10)
    assert not controller.bins.any()
    run(controller, 1)
    assert controller.bins.any()


def test_bins_are_four_alike_in_size():
    controller = BandController(warm_up=3)
    run(controller, 3)
    stats = measure(images())
    counts = torch.bincount(controller._bin(stats.mean, stats.contrast), minlength=len(BINS))
    assert counts.tolist() == pytest.approx([16, 16, 16, 16], abs=1)


def test_images_that_are_all_alike_are_no_error():
    controller, make = BandController(warm_up=2), Views("natural", size=SIDE, return_params=True)
    same = images(1).repeat(8, 1, 1, 1)
    for step in range(4):
        views, params = make(same, key=keys(step, 8), strength=controller.strength)
        told = controller.observe(*(embed(view) for view in views), params[0])
    assert all(torch.isfinite(value) for value in told.values())


def test_a_strength_is_bounded():
    controller = BandController((0.999, None), outside=0.01, warm_up=0, limits=(-0.3, 0.3))
    run(controller, 30)
    assert float(controller.bins.min()) == pytest.approx(-0.3)


def test_what_a_bin_at_its_limit_cannot_give_the_others_do():
    """Pairs of the first bin stay too alike whatever is done: alone it would leave a tenth too many of all above."""
    controller = BandController((None, 0.9), outside=0.2, warm_up=0)
    which, start = torch.arange(len(BINS)).repeat(8), torch.tensor([1.0, 0.5, 0.5, 0.5])
    for _ in range(300):
        above = (start - 0.2 * controller.bins).clamp(min=0)[which]
        controller._steer(torch.zeros_like(above), above, which, torch.tensor(True))
    assert float(controller.bins[0]) == controller.limits[1]
    assert float(above.mean()) == pytest.approx(0.2, abs=0.05)


def test_stronger_views_are_less_alike():
    make = Views(CROP_AND_TONE, size=SIDE)

    def similar(push):
        one, other = (
            embed(v) for v in make(images(), key=keys(0), strength=lambda stats: stats.mean * 0 + push)
        )
        return float(torch.nn.functional.cosine_similarity(one, other).mean())

    assert similar(-2.0) > similar(0.0) > similar(2.0)


@pytest.mark.parametrize("policy", ["natural", "simclr-cifar", "digits"])
def test_a_strength_of_0_changes_nothing(policy):
    make = Views(policy, size=SIDE, finish="none")
    plain, pushed = (
        make(images(), key=keys(3)),
        make(images(), key=keys(3), strength=lambda stats: stats.mean * 0),
    )
    assert all(torch.equal(a, b) for a, b in zip(plain, pushed, strict=True))


def test_locked_operations_are_not_pushed():
    policy = Policy.load("simclr-cifar").edit({"saturation": {"lock": True, "together": None}})
    make = Views(policy, size=SIDE, return_params=True)
    _, (one, _) = make(images(), key=keys(0), strength=lambda stats: stats.mean * 0 + 3)
    _, (other, _) = make(images(), key=keys(0))
    assert torch.equal(one.entries["saturation"].value, other.entries["saturation"].value)
    assert one.entries["contrast"].applied.sum() > other.entries["contrast"].applied.sum()


@pytest.mark.parametrize(("push", "least", "most"), [(-3.0, 0.0, 0.05), (0.0, 0.1, 0.3), (3.0, 0.4, 0.6)])
def test_a_switch_is_pushed_to_a_half_at_most(push, least, most):
    """Two views differ most where half of them are grey."""
    make = Views("simclr-cifar", size=SIDE, return_params=True)
    _, params = make(images(128), key=keys(0, 128), strength=lambda stats: stats.mean * 0 + push)
    assert least <= float(params[0].entries["grey"].applied.float().mean()) <= most


def test_what_a_policy_never_does_is_not_pushed_into_it():
    policy = Policy.load("simclr-cifar").edit({"grey": {"p": 0.0}, "hue": {"p": 0.0, "together": None}})
    _, (params, _) = Views(policy, size=SIDE, return_params=True)(
        images(), key=keys(0), strength=lambda stats: stats.mean * 0 + 4
    )
    assert not params.entries["grey"].applied.any() and not params.entries["hue"].applied.any()


def test_one_image_is_strengthened_as_in_a_batch():
    controller = BandController()
    controller.bins.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
    controller.splits.copy_(torch.tensor([0.5, 0.1, 0.1]))
    batch = images(4)
    array = batch[1].permute(1, 2, 0).numpy()
    assert controller.strength(measure(array))[0] == float(controller.strength(measure(batch))[1])


def test_a_saved_controller_goes_on_bit_for_bit():
    one = BandController((0.5, 0.9), warm_up=3)
    run(one, 10)
    other = BandController((0.5, 0.9), warm_up=3)
    other.load_state_dict(one.state_dict())
    ends = [run(controller, 3)[-1]["band_strength dark, flat"] for controller in (one, other)]
    assert torch.equal(*ends)


@pytest.mark.parametrize(
    ("band", "outside", "sentence"),
    [
        ((None, None), 0.1, "neither"),
        ((0.9, 0.2), 0.1, "below the ceiling"),
        ((0.2, 0.9), 0.6, "a share above 0"),
    ],
)
def test_a_band_that_is_none_is_refused(band, outside, sentence):
    with pytest.raises(AdaptAugError, match=sentence):
        BandController(band, outside)


@pytest.mark.parametrize("library", ["plain", "lightly"])
def test_in_somebody_elses_loop(library):
    """The five lines of the README, in a loop of plain PyTorch and in one of lightly's parts."""
    from adaptaug.learn import BandController

    if library == "lightly":
        lightly = pytest.importorskip("lightly")
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        assert lightly
        model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(),
            SimCLRProjectionHead(128, 32, 16),
        )  # fmt: skip
        loss_of = NTXentLoss()
    else:
        model = torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(192, 16)
        )

        def loss_of(one, other):
            one, other = (torch.nn.functional.normalize(z, dim=1) for z in (one, other))
            return torch.nn.functional.cross_entropy(one @ other.T / 0.5, torch.arange(len(one)))

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    make, controller = Views("natural", size=SIDE, return_params=True), BandController((0.9, None), warm_up=2)
    losses = []
    for step in range(8):
        views, params = make(images(), key=keys(step), strength=controller.strength)
        first, second = (model(view) for view in views)
        loss = loss_of(first, second)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told = controller.observe(first, second, params[0])
        losses.append(float(loss.detach()))
    assert all(np.isfinite(losses)) and 0 <= float(told["band_below"]) <= 1
    assert float(controller.bins.max()) < 0  # hardly a pair is that alike: the views were made weaker


def test_a_view_says_what_the_training_loop_asked_of_it():
    make = Views(CROP_AND_TONE, size=SIDE, return_params=True)
    _, params = make(images(1), key=keys(0, 1), strength=lambda seen: torch.full((1,), 0.4).double())
    assert str(params[0].explain()).startswith("strength: stronger by the training loop (+0.40)")


def test_a_view_that_nobody_steered_says_nothing_of_it():
    _, params = Views(CROP_AND_TONE, size=SIDE, return_params=True)(images(1), key=keys(0, 1))
    assert "steering" not in params[0].explain().to_dict()
