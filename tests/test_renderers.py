"""The two renderers agree, replay what was planned, and do not alias or depend on the batch."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

import adaptaug

PRESETS = ("natural", "simclr", "digits")
SIZES = ((500, 375, 224), (500, 375, 96), (640, 427, 96), (96, 128, 96), (48, 40, 32))
FULL = adaptaug.Policy.parse(
    {"version": 1, "guards": False, "operations": {}}
)  # the whole frame, nothing else


def assert_alike(a: np.ndarray, b: np.ndarray) -> None:
    difference = np.abs(a.astype(int) - b.astype(int))
    assert difference.mean() <= 1.5 and np.percentile(difference, 99) <= 6


@pytest.mark.parametrize(("width", "height", "size"), SIZES)
@pytest.mark.parametrize("policy", PRESETS)
def test_agree_on_photographs(policy: str, width: int, height: int, size: int, photographs, photo, to_tensor):
    """Planned and rendered by one, replayed by the other, over keys and photographs, each way."""
    augment = adaptaug.AdaptiveAugment(policy, size)
    for number, name in enumerate(photographs):
        image = photo(name, width, height)
        tensor = to_tensor(image)
        for index in range(4):
            params = augment.plan(image if index else tensor, key=(number, 0, index))
            by_torch = adaptaug.render(tensor, params).permute(1, 2, 0).numpy()
            assert_alike(adaptaug.render(image, params), by_torch)


@pytest.mark.parametrize("policy", PRESETS)
def test_same_key_same_plan_in_both(policy: str, photo, to_tensor):
    """Parameters before the warp to 1e-6; the same decisions throughout."""
    image = photo("astronaut", 500, 375)
    augment = adaptaug.AdaptiveAugment(policy, 96)
    for index in range(12):
        ours = augment.plan(image, key=(4, 0, index))
        theirs = augment.plan(to_tensor(image), key=(4, 0, index)).row(0)
        assert np.allclose(ours.matrix, theirs.matrix, atol=1e-6) and np.array_equal(ours.span, theirs.span)
        assert all(ours.entries[k].applied == theirs.entries[k].applied for k in ours.entries)
        assert np.array_equal(ours.frame, theirs.frame) and np.array_equal(ours.strength, theirs.strength)


@pytest.mark.parametrize("engine", ["torch", "core"])
@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_downscaling_is_the_box_average(engine: str, factor: int, photo, view_of):
    image = photo("astronaut", 64 * factor, 64 * factor)
    expected = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(view_of(engine, FULL, image, 64).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("engine", ["torch", "core"])
@pytest.mark.parametrize("source", [200, 224, 291, 320])
def test_fine_patterns_do_not_alias(engine: str, source: int, view_of):
    """One-pixel stripes and checks, reduced 3 to 5 times, average to grey instead of making moire."""
    y, x = np.mgrid[:source, :source]
    for pattern in (x % 2, y % 2, (x + y) % 2):
        image = np.repeat((pattern * 255).astype(np.uint8)[:, :, None], 3, 2)
        view = view_of(engine, FULL, image, 64).astype(int)
        # A box of an odd side holds half a stripe more of one kind: 255 / (2 * 3) at worst.
        assert abs(view.mean() - 127.5) <= 3 and np.abs(view - 127.5).max() <= 255 / 6 + 1


@pytest.mark.parametrize("engine", ["torch", "core"])
@pytest.mark.parametrize("factor", [2.3, 3.7, 6.1])
def test_downscaling_by_no_whole_factor_makes_no_moire(engine: str, factor: float, photo, view_of):
    """Against exact area resampling, and plain bilinear's distance from it.

    What is left of the factor after whole boxes, 1 to 2, is bilinear, which blurs and lets through some of what is
    finer than the view. Blur is no aliasing: moire is coarse, so it is looked for in what a blur of the views leaves.
    """
    side = round(64 * factor)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    # A view's pixel holds one period; from coarse in the middle to a period of two pixels at the edges.
    finer = [np.cos(2 * np.pi * cycles / factor * x) for cycles in (0.95, 1.05)]
    zone = np.cos(np.pi * (x * x + y * y) / side)
    patterns = [np.repeat(np.rint(127.5 + 127.5 * wave)[:, :, None], 3, 2) for wave in (zone, *finer)]

    def errors(image: np.ndarray, coarse: float) -> tuple[float, float]:
        exact, plain = (
            cv2.resize(image.astype(np.float64), (64, 64), interpolation=how)
            for how in (cv2.INTER_AREA, cv2.INTER_LINEAR)
        )
        ours = view_of(engine, FULL, image.astype(np.uint8), 64).astype(np.float64)
        ours, plain = ours - exact, plain - exact
        if coarse:
            ours, plain = (cv2.GaussianBlur(difference, (0, 0), coarse) for difference in (ours, plain))
        return float(np.abs(ours).mean()), float(np.abs(plain).mean())

    for pattern in patterns:
        ours, plain = errors(pattern, coarse=1.5)
        assert ours <= 0.25 * plain and ours <= 8
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        ours, plain = errors(photo(name, side, side), coarse=0)
        assert ours <= 0.95 * plain and ours <= 6


@pytest.mark.parametrize("policy", PRESETS)
def test_render_of_plan_is_augment_bit_for_bit(policy: str, photo, to_tensor):
    augment = adaptaug.AdaptiveAugment(policy, 96)
    image = photo("rocket", 320, 240)
    batch = torch.stack([to_tensor(photo(name, 320, 240)) for name in ("rocket", "coffee", "chelsea")])
    for seed in range(6):
        key = (seed, 0, 0)
        assert np.array_equal(adaptaug.render(image, augment.plan(image, key=key)), augment(image, key=key))
        assert torch.equal(adaptaug.render(batch, augment.plan(batch, key=seed)), augment(batch, key=seed))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_around_it_changes_nothing(dtype: torch.dtype, photo, to_tensor):
    """Views are often made in a training step, where mixed precision is on."""
    augment = adaptaug.AdaptiveAugment("natural", 64)
    batch = torch.stack([to_tensor(photo(name, 120, 90)) for name in ("rocket", "coffee", "chelsea")] * 4)
    plain, params = augment(batch, key=1), augment.plan(batch, key=1)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(augment(batch, key=1), plain) and torch.equal(
            adaptaug.render(batch, params), plain
        )


@pytest.mark.parametrize("engine", ["core", "torch"])
def test_a_plan_is_applied_to_another_size_as_if_planned_for_it(engine: str, photo, to_tensor):
    crop = {
        "version": 1,
        "guards": False,
        "operations": {"crop": {"area": [0.3, 1.0]}, "rotate": {"range": [-9, 9]}},
    }
    sizes = [photo("coffee", height, width) for height, width in ((90, 120), (360, 480))]
    small, large = sizes if engine == "core" else map(to_tensor, sizes)
    augment = adaptaug.AdaptiveAugment(crop, 32)
    for index in range(8):
        for image, other in ((small, large), (large, small)):
            own, borrowed = (augment.plan(i, key=(1, 0, index)) for i in (image, other))
            assert np.array_equal(adaptaug.render(image, own), adaptaug.render(image, borrowed))


def test_every_operation_replays_bit_for_bit(photo, to_tensor):
    """With all operations at their widest and guards on, so that lift, frame and certificate take part."""
    widest = {
        name: {k: [spec.low, spec.high] for k, spec in op.parameters.items()}
        for name, op in adaptaug.policy.ops.OPS.items()
    }
    augment = adaptaug.AdaptiveAugment({"version": 1, "operations": widest}, 48)
    image = (photo("coffee", 80, 64) * 0.3).astype(np.uint8)
    batch = to_tensor(image)[None].expand(24, -1, -1, -1)
    params = augment.plan(batch, key=0)
    assert (params.strength < 1).any()  # the certificate took part
    assert torch.equal(adaptaug.render(batch, params), augment(batch, key=0))
    for index in range(24):
        key = (0, 0, index)
        assert np.array_equal(adaptaug.render(image, augment.plan(image, key=key)), augment(image, key=key))


@pytest.mark.parametrize("policy", PRESETS)
def test_params_survive_json(policy: str, photo, to_tensor):
    augment = adaptaug.AdaptiveAugment(policy, 64)
    image = photo("chelsea", 150, 100)
    params = augment.plan(image, key=(2, 1, 0))
    back = adaptaug.ViewParams.from_dict(json.loads(json.dumps(params.to_dict())))
    assert back.to_dict() == params.to_dict()
    assert np.array_equal(adaptaug.render(image, back), adaptaug.render(image, params))
    batch = to_tensor(image)[None].expand(4, -1, -1, -1)
    planned = augment.plan(batch, key=3)
    back = adaptaug.ViewParams.from_dict(json.loads(json.dumps(planned.to_dict())))
    assert torch.equal(adaptaug.render(batch, back), adaptaug.render(batch, planned))


@pytest.mark.parametrize("policy", PRESETS)
def test_a_batch_is_its_images_one_by_one(policy: str, photographs, photo, to_tensor):
    """Whatever the batch: the same numbers drawn and decided, pixels at most a level apart on .1 %."""
    augment = adaptaug.AdaptiveAugment(policy, 64)
    batch = torch.stack([to_tensor(photo(name, 160, 120)) for name in photographs] * 2)
    rows = [(9, 1, index) for index in range(len(batch))]
    views, params = augment(batch, key=rows), augment.plan(batch, key=rows)
    alone = [augment(image, key=row) for image, row in zip(batch, rows, strict=True)]
    for index, (image, row) in enumerate(zip(batch, rows, strict=True)):
        single = augment.plan(image, key=row).row(0)
        together = params.row(index)
        assert np.array_equal(single.matrix, together.matrix)
        assert np.allclose(single.colour, together.colour, atol=1e-6)
        for name, entry in single.entries.items():
            other = together.entries[name]
            assert np.array_equal(entry.applied, other.applied) and np.array_equal(entry.reason, other.reason)
            assert np.allclose(entry.value, other.value, atol=1e-6)
        assert np.array_equal(single.strength, together.strength) and np.array_equal(
            single.failed, together.failed
        )
    difference = (views.int() - torch.stack(alone).int()).abs()
    assert difference.max() <= 1 and (difference > 0).float().mean() <= 1e-3


@pytest.mark.parametrize("width", [120, 480])  # at 480 the image itself is reduced first; labels must not be
@pytest.mark.parametrize("engine", ["torch", "core"])
def test_a_mask_follows_the_geometry(engine: str, width: int, photo, to_tensor):
    """Nearest, tone=False: no label that was not there, each where the image's own pixel went."""
    unit = width // 12
    image = photo("astronaut", width, 9 * unit)
    labels = np.zeros((9 * unit, width), np.uint8)
    labels[2 * unit : 6 * unit, 3 * unit : 8 * unit], labels[5 * unit : 8 * unit, 7 * unit : 11 * unit] = (
        7,
        200,
    )
    marked = np.repeat(labels[:, :, None], 3, 2)
    augment = adaptaug.AdaptiveAugment("natural", 64)
    for index in range(5):
        params = augment.plan(image, key=(1, 0, index))
        mask = marked if engine == "core" else to_tensor(marked)
        out = adaptaug.render(mask, params, interpolation="nearest", tone=False)
        out = out if engine == "core" else out.permute(1, 2, 0).numpy()
        smooth = adaptaug.render(marked, params, tone=False)
        assert set(np.unique(out)) <= {0, 7, 200}
        inside = cv2.dilate(smooth[..., 0], np.ones((5, 5))) == cv2.erode(smooth[..., 0], np.ones((5, 5)))
        assert inside.mean() > 0.5 and (out[..., 0] == smooth[..., 0])[inside].all()


def test_a_grey_mask_keeps_its_channel(photo):
    mask = torch.zeros(1, 90, 120, dtype=torch.uint8)
    params = adaptaug.plan(photo("astronaut", 120, 90), "natural", key=(1, 0, 0), size=64)
    assert adaptaug.render(mask, params, interpolation="nearest", tone=False).shape == (1, 64, 64)


@pytest.mark.parametrize("engine", ["torch", "core"])
def test_geometry_applies_at_another_size(engine: str, photo, to_tensor):
    """The same part of a picture four times as large: the same view, but for its resolution."""
    small, large = photo("astronaut", 128, 96), photo("astronaut", 512, 384)
    augment = adaptaug.AdaptiveAugment("digits", 64)
    for index in range(4):
        params = augment.plan(small, key=(3, 0, index))
        views = [
            adaptaug.render(x if engine == "core" else to_tensor(x), params, tone=False)
            for x in (small, large)
        ]
        a, b = (np.asarray(v if engine == "core" else v.permute(1, 2, 0)).astype(float) for v in views)
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9


def test_safe_crop_is_the_geometry_alone(photo):
    image = photo("coffee", 160, 120)
    params = adaptaug.plan(image, "natural", key=(5, 0, 1), size=64)
    assert np.array_equal(params.lift, [[1.0, 0.0]])  # an ordinary photograph needs none
    assert np.array_equal(
        adaptaug.render(image, params.safe_crop()), adaptaug.render(image, params, tone=False)
    )
