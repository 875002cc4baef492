"""Colours to targets of their own: reached in closed form, grey left grey, bounded by clipping, and told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug.core.engine import off
from adaptaug.policy import Policy
from adaptaug.promise.checker import clipped
from adaptaug.promise.reasons import Reason
from tests.support.promise import SOURCES

SIZE = 48
ENGINES = ("torch", "core")
LUMA = np.array([0.299, 0.587, 0.114])
NARROW = {"rg": [-0.15, 0.2], "yb": [-0.2, 0.3], "std": [0.05, 0.3]}
WIDE = {"rg": [-1.0, 1.0], "yb": [-1.0, 1.0], "std": [0.3, 1.0]}
TONE = {"exposure": {"mean": [0.4, 0.6], "std": [0.08, 0.14]}}


def policy(chroma: dict[str, Any], guards: bool = True, **others: Any) -> Policy:
    return Policy.parse({"version": 1, "guards": guards, "operations": {"chroma": chroma, **others}})


def planned(engine: str, policy: Policy, image: np.ndarray, key: Any = (3, 0, 0), view: int = 0):
    """The view of one image as (S, S, 3) and its parameters, by either engine."""
    views = adaptaug.Views(policy, n=1, size=SIZE, first=view, finish="none", return_params=True)
    if engine == "core":
        (out,), (params,) = views(image, key=key)
        return np.asarray(out), params
    with off():
        (out,), (params,) = views(torch.from_numpy(image.copy()).permute(2, 0, 1)[None], key=[key])
    return out[0].permute(1, 2, 0).numpy(), params.row(0)


def colours_of(image: np.ndarray) -> dict[str, float]:
    """Cast and deviation by the formula of policies/README.md, over all pixels."""
    red, green, blue = np.moveaxis(image.reshape(-1, 3) / 255.0, -1, 0)
    luma = image.reshape(-1, 3) @ LUMA / 255.0
    chroma = np.stack([red - green, (red + green) / 2 - blue])
    cast = chroma.mean(1) / luma.mean()
    std = np.sqrt((chroma - cast[:, None] * luma).var(1).sum()) / luma.mean()
    return {"rg": cast[0], "yb": cast[1], "std": std}


@pytest.fixture(scope="module")
def image(photo) -> np.ndarray:
    return photo("coffee", SIZE, SIZE)


@pytest.mark.parametrize("tone", [{}, TONE], ids=["own tone", "exposed"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_view_has_the_drawn_cast_and_deviation(engine: str, tone: dict[str, Any], photographs, photo):
    """Before any guard, whatever the tone; off by the sampled grid and where channels clip."""
    for number, name in enumerate(photographs):
        photograph = photo(name, SIZE, SIZE)
        for key in range(5):
            view, params = planned(engine, policy(NARROW, guards=False, **tone), photograph, (key, 0, number))
            if clipped(view[None]).mean() > clipped(photograph[None]).mean() + 0.01:
                continue
            for part, found in colours_of(view).items():
                assert found == pytest.approx(float(params.value(f"chroma.{part}")[0]), abs=0.03), (
                    name,
                    part,
                )


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_the_formula(engine: str, image):
    """A pixel gets its luma times the cast, and its difference from the crop's cast times one gain."""
    view, params = planned(
        engine, policy({"rg": [0.1, 0.1], "yb": [0.05, 0.05], "std": [0.2, 0.2]}, False), image
    )
    luma = image @ LUMA
    grid = colours_of(image[::3, ::3])  # where crops are sampled
    gain = 0.2 / grid["std"]
    rg = luma * 0.1 + gain * (image[..., 0] * 1.0 - image[..., 1] - luma * grid["rg"])
    yb = luma * 0.05 + gain * (image[..., :2].mean(-1) - image[..., 2] - luma * grid["yb"])
    middle = luma + (LUMA[1] - LUMA[0]) / 2 * rg + LUMA[2] * yb  # (R + G) / 2
    expected = np.stack([middle + rg / 2, middle - rg / 2, middle - yb], -1)
    assert np.abs(view - expected.clip(0, 255)).max() <= 1
    assert {float(entry.reason[0]) for entry in params.entries.values()} == {Reason.UNGUARDED}


@pytest.mark.parametrize("engine", ENGINES)
def test_luma_and_black_stay(engine: str, image):
    dark = image.copy()
    dark[:10] = 0
    view, _ = planned(engine, policy(NARROW, guards=False), dark)
    inside = ((view > 0) & (view < 255)).all(-1)
    assert inside.mean() > 0.4
    assert np.abs((view.astype(float) - dark) @ LUMA)[inside].max() <= 1
    assert (view[:10] == 0).all()


@pytest.mark.parametrize("guards", [True, False])
@pytest.mark.parametrize("engine", ENGINES)
def test_grey_stays_grey(engine: str, guards: bool, image):
    grey = np.repeat(np.rint(image @ LUMA).astype(np.uint8)[..., None], 3, 2)
    noisy = np.clip(grey + np.random.default_rng(0).integers(-2, 3, grey.shape), 0, 255).astype(np.uint8)
    for source in (grey, noisy):
        for key in range(3):
            view, params = planned(engine, policy(WIDE, guards), source, (key, 0, 0))
            assert np.array_equal(view, source)
            assert not any(entry.applied[0] for entry in params.entries.values())
            assert "grey" in params.explain().rows[0]["reason"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_view_made_grey_gets_no_cast(engine: str, image):
    view, params = planned(engine, policy(WIDE, grey={"p": 1.0}), image)
    assert np.ptp(view, axis=-1).max() <= 1  # the core rounds each channel by itself
    assert params.entries["grey"].applied[0] and not params.entries["chroma.rg"].applied[0]


def test_what_is_nearly_grey_goes_a_part_of_the_way(image):
    """From nothing at 3 levels to all of it at 6, without a step."""
    luma = (image @ LUMA)[..., None]
    shares = []
    for strength in np.linspace(0, 0.2, 41):
        source = np.rint(luma + strength * (image - luma)).clip(0, 255).astype(np.uint8)
        _, params = planned("core", policy(NARROW, guards=False), source)
        chroma, share = (float(params.evidence[name][0]) for name in ("crop_chroma", "chroma_share"))
        assert share == pytest.approx(np.clip(chroma * 255 / 3 - 1, 0, 1))
        shares.append(share)
    assert shares[0] == 0 and shares[-1] == 1 and sum(0 < share < 1 for share in shares) >= 3


@pytest.mark.parametrize("engine", ENGINES)
def test_clipping_stays_below_the_promise_without_the_certificate(engine: str):
    """Targets far out are approached as far as the pixels allow: few guarded views are left to the certificate."""
    pulled: dict[bool, list[bool]] = {True: [], False: []}
    for guarded in pulled:
        bounded = policy(WIDE | {"guard": guarded}, **TONE)
        for number, source in enumerate(SOURCES.values()):
            for key in range(12):
                _, params = planned(engine, bounded, source, (key, 0, number))
                pulled[guarded].append(float(params.strength[0]) < 1.0)
                if guarded and params.entries["chroma.rg"].reason[0] == Reason.COLOUR_CLIPS:
                    assert 0 <= float(params.evidence["chroma_share"][0]) < 1
                    assert "15% of the pixels newly clip" in params.explain().rows[-1]["reason"]
    assert np.mean(pulled[True]) <= 0.05
    assert np.mean(pulled[False]) > 0.2  # it had work to do


@pytest.mark.parametrize("clip", [0.0, 0.05, 0.25])
def test_newly_clipped_pixels_are_at_most_the_promised_share(clip: float, image):
    bounded = policy(WIDE).edit(promise={"clip": clip})
    newly = []
    for key in range(40):
        view, params = planned("core", bounded, image, (key, 0, 0))
        newly.append((clipped(view[None]) & ~clipped(image[None])).mean())
        assert newly[-1] <= clip
        # The samples are a part of the pixels: where none may clip they cannot tell, and the certificate steps in.
        assert float(params.strength[0]) == 1.0 or clip == 0.0
    assert max(newly) >= 0.5 * clip  # what is allowed is used


@pytest.mark.parametrize("engine", ENGINES)
def test_targets_do_not_depend_on_the_image(engine: str, photographs, photo):
    drawn = {}
    for name in photographs:
        _, params = planned(engine, policy(NARROW, guards=False), photo(name, SIZE, SIZE), (9, 0, 0))
        if float(params.evidence["chroma_share"][0]) == 1.0:
            drawn[name] = [float(params.value(f"chroma.{part}")[0]) for part in NARROW]
    assert len(drawn) >= 3 and np.ptp(list(drawn.values()), axis=0).max() < 1e-12


@pytest.mark.parametrize("engine", ENGINES)
def test_the_deviation_is_raised_by_no_more_than_its_gain(engine: str, image):
    luma = (image @ LUMA)[..., None]
    pale = np.rint(luma + 0.25 * (image - luma)).astype(np.uint8)
    given = {"rg": [0.0, 0.0], "yb": [0.0, 0.0], "std": [0.9, 1.0], "gain": 2.0}
    view, params = planned(engine, policy(given, guards=False), pale)
    own = colours_of(pale[::3, ::3])["std"]
    assert float(params.entries["chroma.std"].high[0]) == pytest.approx(2 * own)
    assert colours_of(view)["std"] == pytest.approx(2 * own, rel=0.1)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_changes_no_other_operation(engine: str, image):
    """Not its draws, not the tone: with chroma a key gives the same view in other colours."""
    plain = Policy.load("natural")
    for key in range(8):
        _, before = planned(engine, plain, image, (key, 0, 0))
        _, after = planned(engine, plain.edit({"chroma": NARROW}), image, (key, 0, 0))
        assert np.array_equal(before.matrix, after.matrix)
        for name, entry in before.entries.items():
            for part in ("value", "low", "high", "reason", "applied"):
                assert np.array_equal(getattr(entry, part), getattr(after.entries[name], part)), name
        assert (LUMA @ after.colour[0]) == pytest.approx(LUMA @ before.colour[0], abs=1e-12)
        assert not {"crop_chroma", "chroma_share"} & before.evidence.keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_key_gives_the_same_bits_alone_and_in_a_batch(engine: str, photographs, photo):
    images = np.stack([photo(name, SIZE, SIZE) for name in photographs] * 5)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    keys = [(4, 0, i) for i in range(len(images))]
    views = adaptaug.Views(
        Policy.load("natural").edit({"chroma": NARROW}), n=2, size=SIZE, return_params=True
    )
    if engine == "torch":
        with off():
            together, told = views(batch, key=keys)
            alone = [views(batch[i : i + 1], key=[key]) for i, key in enumerate(keys)]
    else:
        together, told = views(batch, key=keys)
        alone = [views(batch[i : i + 1], key=[key]) for i, key in enumerate(keys)]
    for i, (made, params) in enumerate(alone):
        for view in (0, 1):
            assert torch.equal(made[view][0], together[view][i])
            assert np.array_equal(params[view].row(0).colour, told[view].row(i).colour)


@pytest.mark.parametrize("guards", [True, False])
def test_strength_is_the_distance_from_the_crops_own_colours(guards: bool, image):
    """`conditional` weights move a target away from where the crop is already, never past its range."""
    plain = policy(NARROW, guards)
    weights = {"statistics": {"mean": [0.1, 0.1]}, "operations": {"chroma": {"strength": {"mean": 0.3}}}}
    further = plain.edit(conditional=weights)  # far above the mean: three deviations
    own = colours_of(image[::3, ::3])
    for key in range(20):
        (_, before), (_, after) = (planned("core", p, image, (key, 0, 0)) for p in (plain, further))
        if min(float(p.evidence["chroma_share"][0]) for p in (before, after)) < 1:
            continue
        for part, (low, high) in NARROW.items():
            one, two = (float(p.value(f"chroma.{part}")[0]) for p in (before, after))
            start = min(max(own[part], low), high)
            assert abs(two - start) >= abs(one - start) - 1e-9 and low - 1e-9 <= two <= high + 1e-9
