"""Each operation alone, through the whole pipeline and both renderers: against torchvision's or PIL's own, or
against its formula; and the exact identity where nothing is asked of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from PIL import Image

import adaptaug
from adaptaug.core.engine import off
from adaptaug.policy.ops import LUMA, OPS, SLOTS_PER_OP, Op, erase_mask, noise_levels

SIZE = 224
BILINEAR = F.InterpolationMode.BILINEAR
ENGINES = ("torch", "core")
TOLERANCE = 2  # levels


def only(name: str, **entry: Any) -> adaptaug.Policy:
    """A policy of one operation, always applied, with guards off; `x=5` fixes a number at 5."""
    fixed = {k: [v, v] if k != "p" and not isinstance(v, (list, tuple)) else v for k, v in entry.items()}
    return adaptaug.Policy.parse({"version": 1, "guards": False, "operations": {name: fixed}})


def transformed(image: torch.Tensor, rows: list[list[float]]) -> torch.Tensor:
    """PIL's bilinear warp by a 3x3 matrix from view to source, about the centre, half a side long."""
    half = SIZE / 2
    place = np.array([[half, 0, half], [0, half, half], [0, 0, 1]])
    matrix = place @ np.array(rows) @ np.linalg.inv(place)
    data = (matrix / matrix[2, 2]).reshape(-1)[:8]
    source = Image.fromarray(image.permute(1, 2, 0).numpy())
    warped = source.transform(
        (SIZE, SIZE), Image.Transform.PERSPECTIVE, tuple(data), Image.Resampling.BILINEAR
    )
    return torch.from_numpy(np.array(warped)).permute(2, 0, 1)


def shear(image: torch.Tensor, x: float, y: float) -> torch.Tensor:
    return F.affine(image, 0.0, [0, 0], 1.0, [x, y], BILINEAR)


# operation -> [(its numbers, what another library makes of the image)]; a new operation adds its line here,
# or a test of its own formula below and its name in OWN_FORMULA.
REFERENCES: dict[str, list[tuple[dict[str, float], Any]]] = {
    "hflip": [({}, F.horizontal_flip)],
    "vflip": [({}, F.vertical_flip)],
    "rotate": [({"range": v}, lambda x, v=v: F.rotate(x, v, BILINEAR)) for v in (-30, 7.5, 20)],
    "shear": [
        ({"x": 15}, lambda x: shear(x, 15, 0)),
        ({"x": -8}, lambda x: shear(x, -8, 0)),
        ({"y": 15}, lambda x: shear(x, 0, 15)),
        ({"y": -8}, lambda x: shear(x, 0, -8)),
    ],
    "stretch": [
        ({"range": v}, lambda x, v=v: transformed(x, [[v**-0.5, 0, 0], [0, v**0.5, 0], [0, 0, 1]]))
        for v in (0.8, 1.3)
    ],
    "perspective": [
        ({"x": 0.1, "y": -0.05}, lambda x: transformed(x, [[1, 0, 0], [0, 1, 0], [0.1, -0.05, 1]]))
    ],
    "blur": [({"range": v}, lambda x, v=v: F.gaussian_blur(x, [23, 23], [v, v])) for v in (0.4, 1.5, 3.0)],
    "sharpen": [({"range": v}, lambda x, v=v: F.adjust_sharpness(x, 1 + v)) for v in (0.5, 2.0)],
    "gamma": [({"range": v}, lambda x, v=v: F.adjust_gamma(x, v)) for v in (0.5, 1.7)],
    "invert": [({}, F.invert)],
    "solarize": [({"range": v / 255}, lambda x, v=v: F.solarize(x, v)) for v in (0, 100, 128, 200)],
    "posterize": [({"range": v}, lambda x, v=v: F.posterize(x, v)) for v in (1, 3, 7)],
    "brightness": [({"range": v}, lambda x, v=v: F.adjust_brightness(x, 1 + v)) for v in (-0.4, 0.4, 1.0)],
    "contrast": [({"range": v}, lambda x, v=v: F.adjust_contrast(x, 1 + v)) for v in (-0.4, 0.4, 1.0)],
    "saturation": [({"range": v}, lambda x, v=v: F.adjust_saturation(x, 1 + v)) for v in (-0.5, 0.5, 1.0)],
    "grey": [({}, lambda x: F.rgb_to_grayscale(x, 3))],
}
OWN_FORMULA = {"crop", "hue", "temperature", "exposure", "chroma", "noise", "erase"}
CASES = [(name, *case) for name, cases in REFERENCES.items() for case in cases]


@pytest.fixture(scope="module")
def image(photo) -> np.ndarray:
    return photo("coffee", SIZE, SIZE)


def interior(pixels: np.ndarray, margin: int = SIZE // 4) -> np.ndarray:
    """Away from the border, where rules for what lies outside differ between libraries."""
    return pixels[margin:-margin, margin:-margin].astype(int)


def test_every_operation_is_checked_against_a_reference():
    assert set(OPS) == set(REFERENCES) | OWN_FORMULA


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_a_record_says_all_that_is_read_of_it(op: Op):
    """What the editor offers is an entry that shows; a kind's function is there; a caption takes the numbers."""
    begun = adaptaug.Policy.parse({"version": 1, "operations": {op.name: op.start}})[op.name]
    assert op.start and begun.p > 0
    ranges = [getattr(begun, name) for name, spec in op.parameters.items() if not spec.place]
    assert op.switch or all(low < high for low, high in ranges)
    functions = {"geometry": op.matrix, "filter": op.torch, "table": op.table, "late": op.late}
    assert functions.get(op.kind, op.matrix) is not None or op.name in ("crop", "chroma") or op.kind == "tone"
    values = dict.fromkeys(op.parameters, 0.25)
    shown = op.caption.format(name=op.name, numbers=".25", **values)
    assert shown and op.switch == ("25" not in shown)


def test_slots_do_not_overlap():
    assert len({op.slot for op in OPS.values()}) == len(OPS)
    assert all(1 + len(op.parameters) <= SLOTS_PER_OP for op in OPS.values())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "numbers", "reference"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_agrees_with_the_reference(
    engine: str, name: str, numbers: Any, reference: Any, image, view_of, to_tensor
):
    ours = view_of(engine, only(name, **numbers), image, SIZE)
    theirs = reference(to_tensor(image)).permute(1, 2, 0).numpy()
    assert np.abs(interior(ours) - interior(theirs)).max() <= TOLERANCE
    assert not np.array_equal(theirs, image)  # it did act


def identity_of(op: Op) -> dict[str, Any]:
    inside = all(spec.low <= spec.identity <= spec.high for spec in op.parameters.values())
    return {name: spec.identity for name, spec in op.parameters.items()} if inside else {"p": 0.0}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_identity_value_is_exact(engine: str, op: Op, image, view_of):
    assert np.array_equal(view_of(engine, only(op.name, **identity_of(op)), image, SIZE), image)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_not_applied_is_exact(engine: str, op: Op, image, view_of):
    widest = {name: [spec.low, spec.high] for name, spec in op.parameters.items()}
    assert np.array_equal(view_of(engine, only(op.name, p=0.0, **widest), image, SIZE), image)


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_renderers_agree_over_the_whole_range(op: Op, photo, to_tensor):
    """Each operation at random amounts: planned and rendered by one, replayed by the other."""
    image = photo("chelsea", 96, 96)
    widest = {name: [spec.low, spec.high] for name, spec in op.parameters.items()}
    augment = adaptaug.AdaptiveAugment(only(op.name, **widest), 96)
    for index in range(6):
        params = augment.plan(image, key=(11, 0, index))
        by_core = adaptaug.render(image, params).astype(int)
        with off():
            by_torch = adaptaug.render(to_tensor(image), params).permute(1, 2, 0).numpy().astype(int)
        assert np.abs(by_core - by_torch).mean() <= 1.5
        assert np.percentile(np.abs(by_core - by_torch), 99) <= 6


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_amounts_stay_in_the_policy_range(op: Op, photo, to_tensor):
    widest = {name: [spec.low, spec.high] for name, spec in op.parameters.items()}
    batch = to_tensor(photo())[None].expand(64, -1, -1, -1)
    params = adaptaug.AdaptiveAugment(only(op.name, **widest), 32).plan(batch, key=5)
    for name, entry in params.entries.items():
        spec = op.parameters[name.partition(".")[2] or "range"]
        assert entry.applied.all()
        assert (entry.value >= spec.low - 1e-9).all() and (entry.value <= spec.high + 1e-9).all()
        assert spec.low == spec.high or entry.value.std() > 0


# --- operations with a formula of their own ---------------------------------------------------------------
@pytest.mark.parametrize("engine", ENGINES)
def test_crop_agrees_with_pil_on_the_same_box(engine: str, image, view_of):
    policy = only("crop", area=0.25, ratio=1.0)
    evidence = adaptaug.AdaptiveAugment(policy, SIZE).plan(image, key=(1, 0, 0)).evidence
    x, y, w, h = (float(evidence[f"box_{part}"][0]) * SIZE for part in ("x", "y", "width", "height"))
    assert (w, h) == pytest.approx((SIZE / 2, SIZE / 2))
    theirs = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(x, y, x + w, y + h))
    ours = view_of(engine, policy, image, SIZE)
    assert np.abs(interior(ours, 8) - interior(np.array(theirs), 8)).max() <= TOLERANCE


def test_crop_has_the_drawn_area_and_aspect(photo):
    image = photo("chelsea", 451, 300)
    policy = only("crop", area=[0.1, 0.4], ratio=[0.75, 1.3])
    for index in range(20):
        params = adaptaug.AdaptiveAugment(policy, 64).plan(image, key=(1, 0, index))
        box = {part: float(params.evidence[f"box_{part}"][0]) for part in ("x", "y", "width", "height")}
        assert box["width"] * box["height"] == pytest.approx(float(params.value("crop.area")[0]))
        ratio = box["width"] * 451 / (box["height"] * 300)
        assert ratio == pytest.approx(float(params.value("crop.ratio")[0]))
        assert (
            box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 1 and box["y"] + box["height"] <= 1
        )


def hue_formula(rgb: np.ndarray, turns: float) -> np.ndarray:
    """Rotation of (I, Q) by `turns`, FCC NTSC constants, in double precision."""
    to_yiq = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    y, i, q = np.moveaxis(rgb @ to_yiq.T, -1, 0)
    angle = 2 * math.pi * turns
    turned = np.stack(
        [y, i * math.cos(angle) - q * math.sin(angle), i * math.sin(angle) + q * math.cos(angle)], -1
    )
    return turned @ np.linalg.inv(to_yiq).T


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("turns", [-0.5, -0.1, 0.05, 0.25])
def test_hue_is_a_rotation_in_yiq(engine: str, turns: float, image, view_of):
    expected = np.clip(hue_formula(image.astype(float), turns), 0, 255)
    ours = view_of(engine, only("hue", range=turns), image, SIZE)
    assert np.abs(ours - expected).max() <= 1


@pytest.mark.parametrize("engine", ENGINES)
def test_hue_keeps_luma(engine: str, image, view_of):
    ours = view_of(engine, only("hue", range=0.15), image, SIZE).astype(float)
    unclipped = ((ours > 0) & (ours < 255)).all(-1)
    assert unclipped.mean() > 0.5
    assert np.abs((ours - image) @ np.array(LUMA))[unclipped].max() <= 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("amount", [-1.0, -0.3, 0.6])
def test_temperature_moves_red_against_blue_and_keeps_luma(engine: str, amount: float, image, view_of):
    changed = image * [1 + amount / 2, 1, 1 - amount / 2]
    expected = changed + ((image - changed) @ np.array(LUMA))[:, :, None]
    ours = view_of(engine, only("temperature", range=amount), image, SIZE)
    assert np.abs(ours - np.clip(expected, 0, 255)).max() <= 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.1), (0.4, 0.08)])
def test_exposure_reaches_its_targets(engine: str, mean: float, std: float, image, view_of):
    view = view_of(engine, only("exposure", mean=mean, std=std), image, SIZE)
    luma = view @ np.array(LUMA) / 255
    assert luma.mean() == pytest.approx(mean, abs=2 / 255) and luma.std() == pytest.approx(std, abs=2 / 255)


@pytest.mark.parametrize("engine", ENGINES)
def test_noise_has_its_std_and_no_colour(engine: str, view_of):
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    grain = view_of(engine, only("noise", range=0.1), grey, SIZE).astype(float) - 128
    assert np.array_equal(grain[..., 0], grain[..., 1]) and np.array_equal(grain[..., 0], grain[..., 2])
    assert grain[..., 0].std() / 255 == pytest.approx(0.1, rel=0.03) and abs(grain.mean()) < 0.5
    assert abs(np.corrcoef(grain[:, 1:, 0].ravel(), grain[:, :-1, 0].ravel())[0, 1]) < 0.03


def test_noise_is_the_same_bits_in_torch():
    grey, policy = np.full((SIZE, SIZE, 3), 128, np.uint8), only("noise", range=0.05)
    augment = adaptaug.AdaptiveAugment(policy, SIZE)
    for index in range(3):
        params = augment.plan(grey, key=(1, 0, index))
        sigma = torch.from_numpy(params.value("noise"))
        grain = noise_levels(torch.from_numpy(params.noise_seed), SIZE, sigma).float()[0, :, :, None]
        assert np.array_equal(augment(grey, key=(1, 0, index)), torch.round(128 + grain).numpy().repeat(3, 2))


@pytest.mark.parametrize("engine", ENGINES)
def test_erase_covers_a_rectangle_of_at_most_its_area(engine: str, image, view_of):
    view = view_of(engine, only("erase", area=0.2, ratio=1.5), image, SIZE)
    changed = (view != image).any(-1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    block = view[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert block.shape[0] * block.shape[1] <= 0.2 * SIZE**2
    assert changed.mean() == pytest.approx(0.2, abs=0.01)
    assert (block == block[0, 0]).all() and np.abs(block[0, 0] - image.mean((0, 1))).max() <= 1


def test_erase_never_exceeds_its_area():
    rng = np.random.default_rng(0)
    area, ratio, x, y = (
        rng.uniform(0, 0.25, 500),
        rng.uniform(0.3, 3.3, 500),
        rng.random(500),
        rng.random(500),
    )
    mask = erase_mask(*(torch.from_numpy(v) for v in (area, ratio, x, y)), 32).numpy()
    assert (mask.mean((1, 2)) <= area + 1e-12).all()
