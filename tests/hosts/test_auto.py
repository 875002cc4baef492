"""`auto` in every host: a glyph takes `digits` there and a photograph `natural`, as if the host had been given that."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import adaptaug
from adaptaug.cli import run

SIZE = 32


@pytest.fixture(scope="module")
def glyph():
    """(32, 32, 3) uint8: a light stroke on black."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:24, 14:18] = 255
    return image


@pytest.fixture(params=["glyph", "photograph"])
def case(request, glyph, coffee):
    """(image, the preset that suits it)."""
    return (glyph, "digits") if request.param == "glyph" else (coffee, "natural")


def albumentations(policy, image):
    A = pytest.importorskip("albumentations")
    from adaptaug.hosts.albumentations import Adaptive

    chain = A.Compose(
        [Adaptive(policy, SIZE)], bbox_params=A.BboxParams(format="pascal_voc", label_fields=["labels"])
    )
    made = chain(image=image, mask=image[..., 0] // 128, bboxes=[[4, 4, 20, 24]], labels=[0])
    return [made["image"], made["mask"], np.asarray(made["bboxes"])]


def torchvision(policy, image):
    from torchvision import tv_tensors

    from adaptaug.hosts.torchvision import Adaptive

    mask = tv_tensors.Mask(torch.from_numpy(image[..., 0] // 128))
    boxes = tv_tensors.BoundingBoxes([[4, 4, 20, 24]], format="XYXY", canvas_size=image.shape[:2])
    view, mask, boxes = Adaptive(policy, SIZE)(Image.fromarray(image), mask, boxes)
    return [np.asarray(view), mask.numpy(), boxes.numpy()]


def lightning(policy, image):
    from types import SimpleNamespace

    from adaptaug.hosts.lightning import ViewsOnDevice

    class Rest:
        def on_after_batch_transfer(self, batch, dataloader_idx):
            return batch

    class Model(ViewsOnDevice, Rest):
        dtype = torch.float32
        views = adaptaug.Views(policy, size=SIZE)

    model = Model()
    model.trainer = SimpleNamespace(training=True, lightning_module=model)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    return list(model.on_after_batch_transfer([pixels, torch.zeros(1)], 0)[0])


def huggingface(policy, image):
    from adaptaug.hosts.huggingface import Transform

    rows = Transform(adaptaug.Views(policy, size=SIZE))({"image": [Image.fromarray(image)]})
    return [view for field in rows.values() for row in field for view in row]


def webdataset(policy, image):
    from adaptaug.hosts.webdataset import Keyed

    keyed = Keyed(adaptaug.Views(policy, size=SIZE))
    keyed.set_epoch(1)
    return list(keyed({"__key__": "a", "jpg": Image.fromarray(image)})["jpg"])


@pytest.mark.parametrize("host", [albumentations, torchvision, lightning, huggingface, webdataset])
def test_a_host_routes_as_views_do(host, case):
    image, preset = case
    made = []
    for policy in ("auto", preset):
        torch.manual_seed(3)
        made.append(host(policy, image))
    assert len(made[0]) == len(made[1]) > 1
    for routed, alone in zip(*made, strict=True):
        assert np.array_equal(np.asarray(routed), np.asarray(alone))


def test_an_exported_albumentations_pipeline_keeps_its_routes(glyph):
    A = pytest.importorskip("albumentations")
    from adaptaug.hosts.albumentations import Adaptive

    loaded = A.from_dict(A.to_dict(A.Compose([Adaptive(adaptaug.Policy.load("auto"), SIZE)])))
    made = []
    for chain in (loaded, A.Compose([Adaptive("digits", SIZE)])):
        torch.manual_seed(3)
        made.append(chain(image=glyph)["image"])
    assert np.array_equal(*made)


def test_the_command_line_previews_by_it(glyph, tmp_path):
    Image.fromarray(glyph).save(tmp_path / "glyph.png")
    views = []
    for policy in ("auto", "digits"):
        out = tmp_path / f"{policy}.png"
        assert run(["preview", str(tmp_path / "glyph.png"), "--policy", policy, "--out", str(out)]) == 0
        (image,) = json.loads(out.with_suffix(".json").read_text())["images"]
        views.append([view for pair in image["pairs"] for view in pair["views"]])
    for routed, alone in zip(*views, strict=True):
        assert (
            routed["lines"][0].startswith("glyphs: policy digits") and routed["lines"][1:] == alone["lines"]
        )
        assert routed["parameters"] == alone["parameters"]
