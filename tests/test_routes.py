"""A policy that routes: every image gets what its own policy gives it, whatever lies beside it."""

from __future__ import annotations

import copy
import io
import json
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as samples

import adaptaug
from adaptaug import AdaptAugError, Policy, ViewParams, Views
from adaptaug.core import engine
from adaptaug.policy.routes import MOST, RULED
from adaptaug.promise.reasons import REASONS
from benchmarks.judging import FRAME, see
from tests.test_subject import glyph

SIZE = 40
ENGINES = [pytest.param(nullcontext, id="core", marks=pytest.mark.skipif(not engine.usable(), reason="no core")),
           pytest.param(engine.off, id="torch")]  # fmt: skip
SUBJECTS = ["natural", "natural", "lowlight", "documents", "documents", "digits", "natural"]
# Far from each other in all that a row may have of its own: promise, guards of operations, ranges, operations.
TIGHT = {
    "name": "tight", "promise": {"clip": 0.05, "correlation": 0.8, "std": 0.1, "bright": 0.7},
    "operations": {
        "crop": {"area": [0.1, 1], "content": 0.5, "guard": False}, "blur": {"range": [0, 3], "guard": False},
        "rotate": {"range": [-90, 90]}, "brightness": {"range": [-0.8, 1]}, "erase": {"area": [0, 0.2]},
    },
}  # fmt: skip
INKY = {
    "name": "inky", "promise": {"erased": 0.1},
    "operations": {
        "crop": {"area": [0.3, 1], "content": 0.3}, "rotate": {"range": [-40, 40], "guard": False},
        "grey": {"p": 0.5, "guard": False}, "erase": {"area": [0, 0.25], "lock": True},
        "chroma": {"rg": [-0.2, 0.2], "yb": [-0.2, 0.4], "std": [0.1, 0.4], "guard": False},
    },
}  # fmt: skip
OTHERS = {
    "name": "others",
    "operations": {
        "hflip": {"p": 0.5}, "contrast": {"range": [-0.5, 1], "shape": [2, 3]}, "gamma": {"range": [0.5, 2]},
        "hue": {"range": [-0.2, 0.2]}, "grey": {"p": 0.3}, "shear": {"x": [-20, 20], "y": [-5, 5]},
        "chroma": {"rg": [-0.3, 0.3], "yb": [-0.1, 0.3], "std": [0.05, 0.6]},
        "solarize": {"range": [0.5, 1], "p": 0.2},
    },
}  # fmt: skip
APART = {
    "version": 1,
    "routes": [
        {"subject": "dark", "when": {"mean": [None, 0.2]}, "policy": TIGHT},
        {"subject": "inky", "when": {"ink": [0.25, None]}, "policy": INKY},
        {"subject": "rest", "policy": OTHERS},
    ],
}
SECOND = {"solarize": {"p": 0.5, "range": [0.5, 0.8]}, "crop": {"area": [0.2, 0.4]}}
PAIRS = {
    "overlap": {"overlap": [0.2, 0.6]},
    "shared": {"share": ["crop", "exposure"]},
    "second": {"second": SECOND},
}


def scenes() -> list[np.ndarray]:
    """(64, 64, 3) each: two photographs, a dark one, dark text, light text, a glyph, a thing on black."""
    coffee, page = samples.coffee(), np.repeat(samples.page()[40:104, 40:104, None], 3, 2)
    wide = np.uint8(np.clip((page.astype(float) - 90) * 2.2, 0, 255) > 128) * 255
    thing = np.zeros((64, 64, 3), np.uint8)
    thing[32:, 20:50] = (np.mgrid[:32, :30][0] * 2 + 20)[:, :, None]  # down to the edge, as no glyph
    return [
        np.ascontiguousarray(image) for image in (
            samples.astronaut()[:64, :64], coffee[100:164, 100:164],
            np.uint8(coffee[100:164, 200:264] * 0.15), page, 255 - wide,
            np.repeat(glyph(64)[:, :, None], 3, 2), thing,
        )
    ]  # fmt: skip


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    return torch.from_numpy(np.stack(scenes())).permute(0, 3, 1, 2).contiguous()


def keys_of(count: int, epoch: int = 0) -> list[tuple[int, int, int]]:
    return [(7, epoch, index) for index in range(count)]


def equal_rows(many: ViewParams, row: int, alone: ViewParams) -> None:
    """All that was decided for a row is that of its image alone, but for operations that its policy does not have."""
    for name in ("matrix", "span", "lift", "colour", "strength", "failed", "frame", "blank", "noise_seed"):
        assert torch.equal(getattr(many, name)[row], getattr(alone, name)[0]), name
    for name, entry in many.entries.items():
        if name not in alone.entries:
            assert not entry.applied[row] and REASONS[int(entry.reason[row])].startswith("not an operation")
            continue
        for part in ("value", "low", "high", "reason", "applied"):
            assert torch.equal(getattr(entry, part)[row], getattr(alone.entries[name], part)[0]), (name, part)
        ends = [float(np.broadcast_to(np.asarray(end, np.float64), len(many))[row]) for end in entry.policy]
        assert ends == list(alone.entries[name].policy), name


@pytest.mark.parametrize("use", ENGINES)
@pytest.mark.parametrize("policy", ["auto", "apart", "overlap", "shared", "second"])
def test_each_row_is_its_policys_own(use, policy, batch):
    auto = Policy.load("auto")
    routed = (
        Policy.parse(APART)
        if policy == "apart"
        else auto.edit(pair=PAIRS[policy])
        if policy in PAIRS
        else auto
    )
    with use():
        for epoch in range(3):
            keys = keys_of(len(batch), epoch)
            views, params = Views(routed, 2, SIZE, "uint8", return_params=True)(batch, key=keys)
            if policy == "auto":
                assert [routed.by_route(route).name for route in params[0].route] == SUBJECTS
            for row, route in enumerate(params[0].route.tolist()):
                alone = Views(routed.choices[route], 2, SIZE, "uint8", return_params=True)
                own, said = alone(batch[row : row + 1], key=keys[row : row + 1])
                for number in (0, 1):
                    assert torch.equal(views[number][row], own[number][0]), (epoch, row, number)
                    equal_rows(params[number], row, said[number])


@pytest.mark.parametrize("use", ENGINES)
def test_permuting_a_batch_permutes_its_views(use, batch):
    order = torch.tensor([5, 2, 0, 6, 4, 1, 3])
    keys, views = keys_of(len(batch)), Views("auto", 2, SIZE, "uint8")
    with use():
        straight, mixed = views(batch, key=keys), views(batch[order], key=[keys[i] for i in order])
    assert all(torch.equal(a[order], b) for a, b in zip(straight, mixed, strict=True))


@pytest.mark.parametrize("use", ENGINES)
def test_pushed_draws_are_each_policys_own(use, batch):
    routed, keys = Policy.parse(APART), keys_of(len(batch))
    strength = lambda stats: torch.full((len(stats),), 0.8).double()  # noqa: E731
    with use():
        views, params = Views(routed, 2, SIZE, "uint8", return_params=True)(
            batch, key=keys, strength=strength
        )
        for row, route in enumerate(params[0].route.tolist()):
            own = Views(routed.choices[route], 2, SIZE, "uint8")(
                batch[row : row + 1], key=keys[row : row + 1], strength=strength
            )
            assert all(torch.equal(a[row], b[0]) for a, b in zip(views, own, strict=True))


def test_a_band_holds_for_all(batch):
    routed, keys = Policy.load("auto").edit(band=(0.3, 0.7)), keys_of(len(batch))
    views, params = Views(routed, 2, SIZE, "uint8", return_params=True)(batch, key=keys)
    for row, route in enumerate(params[0].route.tolist()):
        own = Views(routed.choices[route], 2, SIZE, "uint8")(batch[row : row + 1], key=keys[row : row + 1])
        assert all(torch.equal(a[row], b[0]) for a, b in zip(views, own, strict=True))


def test_the_route_is_the_same_from_every_container_and_engine():
    for image, subject in zip(scenes(), SUBJECTS, strict=True):
        tensor = torch.from_numpy(image).permute(2, 0, 1)
        lossless = io.BytesIO()
        Image.fromarray(image).save(lossless, "png")
        given = [
            image,
            Image.fromarray(image),
            tensor,
            tensor[None],
            tensor.double() / 255,
            lossless.getvalue(),
        ]
        for use in (nullcontext, engine.off):
            with use():
                plans = [adaptaug.plan(one, "auto", key=(0, 0, 0), size=SIZE) for one in given]
            assert {Policy.load("auto").by_route(plan.route[0]).name for plan in plans} == {subject}


def test_a_large_jpeg_is_read_in_full_for_its_route():
    """At an eighth of its size a page is grey, and no text."""
    page = Image.fromarray(np.tile(samples.page(), (5, 3))).convert("RGB")
    file = io.BytesIO()
    page.save(file, "jpeg", quality=95)
    whole = adaptaug.plan(adaptaug.decode(file.getvalue()), "auto", key=(0, 0, 0), size=SIZE)
    assert int(adaptaug.plan(file.getvalue(), "auto", key=(0, 0, 0), size=SIZE).route[0]) == int(
        whole.route[0]
    )


# --- the promise -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("use", ENGINES)
def test_every_row_keeps_its_own_promise(use, batch):
    """The independent checker, with the limits of each image's policy; with a stricter one's some would break."""
    routed = Policy.parse(APART)
    views = Views(routed, 2, SIZE, "none", return_params=True)
    strict, broken = routed.choices[0].edit(promise={"correlation": 0.95, "clip": 0.0}), 0
    with use():
        frame = adaptaug.AdaptiveAugment(FRAME, size=SIZE)(batch)
        for epoch in range(6):
            for number, seen in enumerate(see(batch, views, frame, keys_of(len(batch), epoch))):
                assert not seen.broken(routed, number)["any"].any()
                broken += int(seen.broken(strict, number)["any"].sum())
    assert broken > 0


# --- what is said ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("use", ENGINES)
def test_explain_names_the_subject_and_what_decided_it(use):
    scene = scenes()
    with use():
        text = str(adaptaug.explain(scene[3], "auto", key=(0, 0, 0), size=SIZE))
        photograph = adaptaug.explain(scene[1], "auto", key=(0, 0, 0), size=SIZE)
        plain = adaptaug.explain(scene[1], "natural", key=(0, 0, 0), size=SIZE)
    assert text.startswith("subject: dark text: policy documents\ndecided by: ink 0.")
    assert "(0.25 or more)" in text and "hue" not in text and "perspective" in text
    assert photograph.to_dict()["subject"] == "photographs: policy natural"
    assert (
        photograph.decided_by.startswith("border_uniformity ")
        and "(glyphs: 0.97 or more)" in photograph.decided_by
    )
    assert {row["operation"] for row in photograph.rows} == set(Policy.load("natural").operations)
    assert plain.rows == photograph.rows and plain.subject == plain.decided_by == ""


def test_parameters_are_plain_data(batch):
    views = Views("auto", 1, SIZE, "none", return_params=True)
    made, (params,) = views(batch, key=keys_of(len(batch)))
    back = ViewParams.from_dict(json.loads(json.dumps(params.to_dict())))
    assert torch.equal(adaptaug.render(batch, back), made[0])
    assert back.route.tolist() == params.route.tolist() and str(back.explain(3)) == str(params.explain(3))
    rows = [
        adaptaug.plan(image, "auto", key=key, size=SIZE)
        for image, key in zip(scenes(), keys_of(len(batch)), strict=True)
    ]
    stacked = ViewParams.stack(rows)
    assert torch.equal(adaptaug.render(batch, stacked), made[0])
    assert [str(stacked.explain(i)) for i in range(7)] == [str(row.explain()) for row in rows]
    assert str(params.to("cpu").explain(5)) == str(params.row(5).explain())
    with pytest.raises(AdaptAugError, match="one policy"):
        ViewParams.stack([rows[0], adaptaug.plan(scenes()[0], "natural", key=(0, 0, 0), size=SIZE)])


# --- the file ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data", ["auto", APART], ids=["names", "in place"])
def test_saving_copying_and_pickling_lose_nothing(data, tmp_path, batch):
    policy = Policy.load(data) if isinstance(data, str) else Policy.parse(data)
    Views(policy, 1, SIZE)(batch)  # with all that is made of it
    policy.save(tmp_path / "policy.yaml")
    copies = [
        Policy.load(tmp_path / "policy.yaml"),
        pickle.loads(pickle.dumps(policy)),
        copy.deepcopy(policy),
        policy.edit(),
    ]
    for back in copies:
        assert back == policy and back.dumps() == policy.dumps() and back.choices == policy.choices
    assert not policy.operations and "operations" not in policy.dumps().partition("routes")[0]


def route(**fields):
    return {"subject": "a", "when": {"mean": [None, 0.5]}, "policy": "natural"} | fields


REST = {"subject": "rest", "policy": "natural"}
REFUSED = [
    ({"routes": [route(when={"meen": [0, 1]}), REST]}, r"routes\.0\.when\.meen: no such statistic.*'mean'.*strokes"),
    ({"routes": [route(when={}), REST]}, r"routes\.0\.when: expected a rule"),
    ({"routes": [REST, route()]}, r"routes\.0\.when: expected a rule"),
    ({"routes": [route()]}, r"routes\.0\.when: expected none in the last"),
    ({"routes": [route(when={"mean": [0.5, 0.1]}), REST]}, r"routes\.0\.when\.mean: .*expected \[low, high\]"),
    ({"routes": [route(when={"mean": [None, None]}), REST]}, r"expected \[low, high\], of which one may be null"),
    ({"routes": [route(when={"mean": [True, 1]}), REST]}, r"expected \[low, high\]"),
    ({"routes": [route(policy="nature"), REST]}, r"routes\.0\.policy: expected a preset's name.*'nature'.*natural"),
    ({"routes": [route(policy="/etc/passwd"), REST]}, r"routes\.0\.policy: expected a preset's name"),
    ({"routes": [route(policy={"operations": {"hew": {}}}), REST]}, r"routes\.0\.policy: operations\.hew: no such"),
    ({"routes": [route(policy="auto"), REST]}, r"routes\.0\.policy: expected a policy without routes of its own"),
    ({"routes": [route(policy={"routes": [REST]}), REST]}, r"without routes of its own"),
    ({"routes": [route()] * MOST + [REST]}, rf"routes: expected at most {MOST}, got {MOST + 1}"),
    ({"routes": [route(), REST], "operations": {"hflip": {}}}, r"operations: expected none beside routes"),
    ({"routes": [route(subject=""), REST]}, r"routes\.0\.subject"),
    ({"routes": [route(colour=1), REST]}, r"routes\.0\.colour: unknown field"),
    ({"routes": [route(policy={"band": [0.1, 0.5]}), REST]}, r"routes: band: expected the same in all"),
    ({"routes": [route(policy={"pair": {"share": ["crop"]}}), REST]}, r"routes: pair: expected the same in all"),
    ({"routes": [route(policy="simclr"), REST]}, r"routes: guards: expected the same in all"),
    ({"routes": [route(policy={"conditional": {"statistics": {"mean": [0.5, 0.1]}}}), REST]}, r"routes: conditional: "),
    ({"routes": [route(policy={"operations": {n: {"together": "x"} for n in ("hue", "saturation")}}), REST]},
     r"expected 'hue' in the same group"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_is_refused_in_a_sentence(data, said):
    with pytest.raises(AdaptAugError, match=said) as caught:
        Policy.parse({"version": 1, **data})
    assert "\n" not in str(caught.value)


def test_what_a_batch_has_one_of_is_the_files_own():
    """Of policies that agree the file has it; its own holds for policies that say nothing."""
    banded = Policy.load("natural").edit(band=(0.1, 0.8), conditional={"statistics": {"mean": [0.4, 0.2]}})
    place = adaptaug_yaml(banded)
    taken = Policy.parse({"version": 1, "routes": [route(policy=place), REST | {"policy": place}]})
    assert taken.band == (0.1, 0.8) and taken.conditional == banded.conditional
    given = Policy.load("auto").edit(band=(0.2, 0.9), guards=False)
    assert not given.guards and all(one.band == (0.2, 0.9) and not one.guards for one in given.choices)
    assert Policy.loads(given.dumps()) == given


def adaptaug_yaml(policy: Policy):
    import yaml

    return yaml.safe_load(policy.dumps())


def test_what_works_on_one_policy_says_so(tmp_path):
    from adaptaug.learn import ConditionalHeads, Recipe, Search

    with pytest.raises(
        AdaptAugError, match=r"start: expected one policy.*'auto', which routes; take one of: digits, "
    ):
        Search(Recipe("nowhere", 100, 0), "auto", tmp_path)
    with pytest.raises(AdaptAugError, match="which routes"):
        ConditionalHeads(Policy.load("auto"), steps=10)
    with pytest.raises(AdaptAugError, match="expected none beside routes"):
        Policy.load("auto").edit({"hflip": {"p": 0.1}})
    with pytest.raises(AdaptAugError, match=r"digits.*hue: expected an operation of this policy"):
        Policy.load("auto").edit(conditional={"statistics": {}, "operations": {"hue": {}}})


@pytest.mark.parametrize("names", [RULED[::2], RULED[1::2]], ids=["even", "odd"])
def test_every_statistic_may_be_named(names, batch):
    rules = [route(subject=name, when={name: [1e9, None]}) for name in names]
    policy = Policy.parse({"version": 1, "routes": [*rules, REST]})
    for use in (nullcontext, engine.off):
        with use():
            (params,) = Views(policy, 1, SIZE).plan(batch, key=keys_of(len(batch)))
        assert params.route.tolist() == [len(names)] * len(batch)
        assert {f"subject.{name}" for name in names} <= params.evidence.keys()
