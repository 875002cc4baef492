"""The public surface of architecture.md, and what importing the package costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import adaptaug

PUBLIC = {
    "AdaptAugError", "AdaptiveAugment", "Explanation", "ImageStats", "Keyed", "MultiCrop", "Policy",
    "ViewParams", "Views", "collate", "decode", "explain", "measure", "plan", "render", "show", "tune",
}  # fmt: skip
HEAVY = (
    "gradio",
    "albumentations",
    "lightly",
    "lightning",
    "pytorch_lightning",
    "matplotlib",
    "sklearn",
    "optuna",
)
SIGNATURES = {
    "AdaptiveAugment": {"policy": "natural", "size": 224, "finish": "none"},
    "Views": {"policy": "natural", "n": 2, "size": 224, "finish": "imagenet", "return_params": False},
    "render": {"images": None, "params": None, "interpolation": "bilinear", "tone": True},
    "measure": {"images": None},
    "Keyed": {"dataset": None, "views": None, "seed": 0},
}


def test_public_names():
    assert set(adaptaug.__all__) == PUBLIC
    assert all(getattr(adaptaug, name).__doc__ for name in adaptaug.__all__)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str):
    parameters = inspect.signature(getattr(adaptaug, name)).parameters
    for parameter, default in SIGNATURES[name].items():
        found = parameters[parameter].default
        assert found is inspect.Parameter.empty if default is None else found == default


def test_importing_is_light_and_opens_no_socket():
    """In a fresh interpreter that reports every use of a socket."""
    code = """
import json, sys
sockets = []
sys.addaudithook(lambda event, args: sockets.append(event) if event.startswith("socket.") else None)
import adaptaug
print(json.dumps([sockets, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    sockets, modules = json.loads(run.stdout)
    assert not set(HEAVY) & set(modules)
    assert not sockets


def test_one_view_is_of_the_kind_that_came(photo, to_tensor):
    augment = adaptaug.AdaptiveAugment("natural", size=32)
    image = photo("coffee", 60, 48)
    assert isinstance(augment, torch.nn.Module)
    picture = augment(Image.fromarray(image))
    assert isinstance(picture, Image.Image) and picture.size == (32, 32) and picture.mode == "RGB"
    array = augment(image)
    assert array.dtype == np.uint8 and array.shape == (32, 32, 3)
    for dtype in (torch.uint8, torch.float32, torch.float64, torch.float16):
        tensor = to_tensor(image) if dtype == torch.uint8 else (to_tensor(image) / 255).to(dtype)
        assert augment(tensor).dtype == dtype and augment(tensor).shape == (3, 32, 32)
        assert augment(tensor[None].repeat(2, 1, 1, 1)).shape == (2, 3, 32, 32)


def test_pil_and_array_are_the_same_view(photo):
    augment = adaptaug.AdaptiveAugment("natural", size=32)
    image = photo("coffee", 60, 48)
    assert np.array_equal(augment(Image.fromarray(image), key=(1, 2, 3)), augment(image, key=(1, 2, 3)))


@pytest.mark.parametrize("kind", ["array", "image", "batch"])
def test_views_are_a_list_of_normalised_tensors(kind: str, photo, to_tensor):
    image = photo("coffee", 60, 48)
    given = {"array": image, "image": to_tensor(image), "batch": to_tensor(image)[None].repeat(3, 1, 1, 1)}[
        kind
    ]
    key = [(1, 0, i) for i in range(3)] if kind == "batch" else (1, 0, 0)
    shape = (3, 3, 32, 32) if kind == "batch" else (3, 32, 32)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    levels = adaptaug.Views("natural", n=3, size=32, finish="uint8")(given, key=key)
    unit = adaptaug.Views("natural", n=3, size=32, finish="unit")(given, key=key)
    normal = adaptaug.Views("natural", n=3, size=32)(given, key=key)
    assert isinstance(normal, list) and len(normal) == 3
    for a, b, c in zip(levels, unit, normal, strict=True):
        assert a.dtype == torch.uint8 and b.dtype == c.dtype == torch.float32 and a.shape == c.shape == shape
        assert torch.allclose(a / 255, b, atol=1e-6) and torch.allclose((b - mean) / std, c, atol=1e-5)
    assert not torch.equal(levels[0], levels[1])


def test_return_params_replays_every_view(photo):
    image = photo("coffee", 60, 48)
    made, params = adaptaug.Views("natural", size=32, finish="none", return_params=True)(image, key=(1, 0, 0))
    assert len(made) == len(params) == 2
    for view, param in zip(made, params, strict=True):
        assert isinstance(param, adaptaug.ViewParams)
        assert np.array_equal(adaptaug.render(image, param), view)


def test_first_view_is_the_same_however_many_are_made(photo):
    image = photo("coffee", 60, 48)
    two, three = (
        adaptaug.Views("natural", n=n, size=32, finish="none")(image, key=(1, 0, 0)) for n in (2, 3)
    )
    assert np.array_equal(two[1], three[1])
    assert np.array_equal(two[1], adaptaug.AdaptiveAugment("natural", 32)(image, key=(1, 0, 0), view=1))


def test_a_batch_draws_for_each_image(photo, to_tensor):
    out = adaptaug.AdaptiveAugment("natural", 32)(to_tensor(photo())[None].repeat(4, 1, 1, 1))
    assert len({row.numpy().tobytes() for row in out}) == 4


def test_nothing_drawn_is_kept_on_the_module(photo):
    augment = adaptaug.AdaptiveAugment("natural", 32)
    before = dict(vars(augment))
    augment(photo())
    assert vars(augment) == before and not augment.state_dict()


def test_explain_gives_value_ranges_and_reason_of_every_parameter(photo):
    augment = adaptaug.AdaptiveAugment("natural", 32)
    explanation = augment.explain(photo(), key=(1, 0, 0))
    params = augment.plan(photo(), key=(1, 0, 0))
    assert [row["parameter"] for row in explanation.rows] == list(params.entries)
    for row in explanation.rows:
        assert row["reason"] and "nan" not in row["reason"] and row["parameter"] in str(explanation)
        low, high = row["safe"]
        assert not row["applied"] or low - 1e-9 <= row["value"] <= high + 1e-9
    json.dumps(explanation.to_dict(), allow_nan=False)


def test_show_makes_a_picture(photo):
    assert isinstance(adaptaug.show(photo("coffee", 120, 90), "natural"), Image.Image)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 0}, "size: .*8 to"), ({"size": 32.0}, "size"), ({"size": True}, "size"),
        ({"size": 10**6}, "size"),
        ({"finish": "float"}, "finish: .*imagenet"), ({"policy": "natrual"}, "did you mean 'natural'"),
        ({"policy": {"operations": {}}}, "version"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("face", [adaptaug.AdaptiveAugment, adaptaug.Views])
def test_wrong_arguments_are_refused(face, arguments, said):
    with pytest.raises(adaptaug.AdaptAugError, match=said):
        face(**arguments)


@pytest.mark.parametrize("n", [0, -1, 2.0, True, 10**6])
def test_wrong_number_of_views_is_refused(n):
    with pytest.raises(adaptaug.AdaptAugError, match="n: expected"):
        adaptaug.Views(n=n)


def test_render_refuses_params_of_other_images(photo, to_tensor):
    params = adaptaug.plan(photo(), size=32)
    with pytest.raises(adaptaug.AdaptAugError, match=r"one row for each of 2 images, got 1"):
        adaptaug.render(to_tensor(photo())[None].repeat(2, 1, 1, 1), params)
    with pytest.raises(adaptaug.AdaptAugError, match=r"interpolation: .*nearest"):
        adaptaug.render(photo(), params, interpolation="cubic")
