"""torchvision: v1's Compose and ImageFolder, v2's Compose with and without targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms, tv_tensors
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import adaptaug
from adaptaug.hosts.torchvision import Adaptive
from tests.hosts import loop

SIZE = loop.SIZE


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_image_folder_trains(workers, folder):
    data = ImageFolder(folder, transform=adaptaug.Views("natural", size=SIZE))
    loader = DataLoader(data, loop.BATCH, drop_last=True, **loop.workers(workers, "spawn"))
    simclr, seen = loop.SimCLR(), []
    for _ in range(2):  # epochs of two steps
        for (first, second), labels in loader:
            simclr.step(first, second)
            assert labels.dtype == torch.int64
            seen += [first, second]
    loop.assert_no_draw_repeats(seen)


def test_keyed_image_folder_is_the_same_with_workers(folder):
    made = []
    for workers in loop.LOADERS:
        data = adaptaug.Keyed(ImageFolder(folder), adaptaug.Views("natural", size=SIZE), seed=4)
        made.append(
            torch.cat([torch.cat(views) for views, _ in DataLoader(data, 4, **loop.workers(workers))])
        )
    assert torch.equal(*made)


def test_in_a_compose_of_v1(coffee):
    chain = transforms.Compose([adaptaug.AdaptiveAugment("natural", SIZE), transforms.ToTensor()])
    view = chain(Image.fromarray(coffee))
    assert view.shape == (3, SIZE, SIZE) and 0 <= view.min() < view.max() <= 1
    with pytest.raises(adaptaug.AdaptAugError, match="expected a PIL image"):
        chain("photo.jpg")


# --- v2 -----------------------------------------------------------------------------------------------------
@pytest.fixture
def sample(photographs):
    """An image, a mask and boxes of two rectangles, and a label. Large, so that a pixel of it is little in a view."""
    image = tv_tensors.Image(torch.from_numpy(photographs["coffee"][:384, :512].copy()).permute(2, 0, 1))
    mask = torch.zeros(384, 512, dtype=torch.uint8)
    corners = [[48, 64, 240, 320], [288, 160, 480, 352]]
    for number, (left, top, right, bottom) in enumerate(corners, 1):
        mask[top:bottom, left:right] = number
    boxes = tv_tensors.BoundingBoxes(torch.tensor(corners).float(), format="XYXY", canvas_size=(384, 512))
    return {"image": image, "mask": tv_tensors.Mask(mask), "boxes": boxes, "label": 7}


def test_a_plain_image_in_v2(coffee):
    chain = v2.Compose([Adaptive("natural", SIZE), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    view, label = chain(Image.fromarray(coffee), 3)
    assert type(view) is tv_tensors.Image and view.shape == (3, SIZE, SIZE)
    assert view.dtype == torch.float32 and label == 3
    assert chain(torch.from_numpy(coffee).permute(2, 0, 1)).shape == (3, SIZE, SIZE)


def test_targets_follow_the_geometry(sample):
    # Turned less than would show what lies outside the image, which is mirrored, masks as well and boxes not.
    policy = adaptaug.Policy.load("natural").edit(
        {"crop": {"area": [0.1, 0.6]}, "rotate": {"range": [-4, 4]}}
    )
    torch.manual_seed(0)
    checked = 0
    for _ in range(20):
        out = v2.Compose([Adaptive(policy, 64)])(sample)
        assert type(out["image"]) is tv_tensors.Image and type(out["mask"]) is tv_tensors.Mask
        assert type(out["boxes"]) is tv_tensors.BoundingBoxes and out["boxes"].canvas_size == (64, 64)
        assert out["label"] == 7 and out["mask"].dtype == torch.uint8
        for number, (left, top, right, bottom) in enumerate(out["boxes"].tolist(), 1):
            rows, columns = torch.nonzero(out["mask"] == number, as_tuple=True)
            if not len(rows):
                continue
            # The box is around the moved corners, and the mask's pixels, whose middles are at .5, lie within.
            assert left - 0.5 <= columns.min() + 0.5 and columns.max() + 0.5 <= right + 0.5
            assert top - 0.5 <= rows.min() + 0.5 and rows.max() + 0.5 <= bottom + 0.5
            checked += 1
    assert checked >= 20  # of 40 boxes; the others lie outside their view


@pytest.mark.parametrize("form", ["XYWH", "CXCYWH"])
def test_boxes_keep_their_format(form, sample):
    sample["boxes"] = v2.functional.convert_bounding_box_format(sample["boxes"], new_format=form)
    assert Adaptive("natural", SIZE)(sample)["boxes"].format.value == form


def test_a_box_outside_is_empty_and_can_be_dropped(coffee):
    params = adaptaug.plan(coffee, adaptaug.Policy.load("simclr"), key=(0, 0, 1), size=64)
    inside = np.asarray(params.matrix[0]) @ [0, 0, 1]  # where the view's middle comes from
    x = 0.0 if inside[0] > 0.5 else 63.0
    moved = params.move_boxes([[x, 0, x + 1, 1], [0, 0, 64, 48]], 64, 48)
    assert (moved >= 0).all() and (moved <= 64).all()
    assert moved[1].tolist() == [0, 0, 64, 64]  # the whole image fills the view


def test_object_masks_move_alike(sample):
    planes = tv_tensors.Mask(torch.stack([sample["mask"] == 1, sample["mask"] == 2]))
    torch.manual_seed(3)
    one = Adaptive("digits", 64)(sample)["mask"]
    torch.manual_seed(3)
    two = Adaptive("digits", 64)({**sample, "mask": planes})["mask"]
    assert two.dtype == torch.bool and torch.equal(two[0], one == 1) and torch.equal(two[1], one == 2)


IGNORED = {
    "ignored as -1": torch.tensor([-1, 7]), "ids": torch.tensor([0, 70_000], dtype=torch.int32),
    "soft": torch.tensor([0.1, 0.7], requires_grad=True), "bfloat16": torch.tensor([0.1, 0.7], dtype=torch.bfloat16),
}  # fmt: skip


@pytest.mark.parametrize("kind", IGNORED)
def test_a_masks_values_are_what_they_were(kind, sample):
    mask = IGNORED[kind][(sample["mask"] == 1).long()]
    torch.manual_seed(3)
    one = Adaptive("digits", 64)(sample)["mask"]
    torch.manual_seed(3)
    two = Adaptive("digits", 64)({**sample, "mask": tv_tensors.Mask(mask)})["mask"]
    assert two.dtype == mask.dtype and torch.equal(two.detach(), IGNORED[kind].detach()[(one == 1).long()])


@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=str)
def test_a_batch_moves_each_images_masks(shape, sample):
    """K planes of each of three images, or one without a dimension for it."""
    planes = torch.stack([sample["mask"] == number for number in range(max(shape, default=1))])
    batch = torch.stack([planes, planes.flip(-1), planes.flip(-2)]).reshape(3, *shape, *planes.shape[-2:])
    given = tv_tensors.Image(sample["image"].expand(3, -1, -1, -1)), tv_tensors.Mask(batch)
    torch.manual_seed(3)
    _, masks = Adaptive("digits", 64)(*given)
    assert masks.shape == (3, *shape, 64, 64) and masks.dtype == torch.bool
    torch.manual_seed(3)
    plan = adaptaug.AdaptiveAugment("digits", 64).plan(given[0].as_subclass(torch.Tensor))
    levels = batch.reshape(3, -1, *planes.shape[-2:])[:, :1].to(torch.uint8)
    alone = adaptaug.render(levels, plan, "nearest", tone=False)
    assert torch.equal(masks.reshape(3, -1, 64, 64)[:, :1].to(torch.uint8), alone)
    with pytest.raises(adaptaug.AdaptAugError, match="mask: expected those of 3 images"):
        Adaptive("digits", 64)(given[0], tv_tensors.Mask(batch[:2]))
    with pytest.raises(adaptaug.AdaptAugError, match="boxes: expected one image"):
        Adaptive("digits", 64)(given[0], sample["boxes"])


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "with gradients", "XYWH"])
def test_boxes_of_any_float_type_follow(kind, sample):
    plain = sample["boxes"].as_subclass(torch.Tensor).float()
    given = (
        plain.clone().requires_grad_()
        if kind == "with gradients"
        else plain.to(getattr(torch, kind, torch.float32))
    )
    made = []
    for boxes in (plain, given):
        torch.manual_seed(3)
        boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(384, 512))
        form = kind if kind == "XYWH" else "XYXY"
        boxes = v2.functional.convert_bounding_box_format(boxes, new_format=form)
        made.append(Adaptive("digits", 64)({**sample, "boxes": boxes})["boxes"])
    assert made[1].dtype == given.dtype
    assert torch.allclose(made[0].float(), made[1].float(), atol=0.5)


@pytest.mark.parametrize("wrong", ["video", "none", "two"])
def test_other_samples_are_refused_in_a_sentence(wrong, sample):
    image = sample["image"]
    given = {"video": [tv_tensors.Video(image[None])], "none": [sample["boxes"]], "two": [image, image]}[
        wrong
    ]
    with pytest.raises(adaptaug.AdaptAugError, match="expected one image"):
        Adaptive("natural", SIZE)(given)


def test_targets_without_the_host_are_refused_in_a_sentence(coffee):
    with pytest.raises(adaptaug.AdaptAugError, match=r"adaptaug\.hosts\.torchvision\.Adaptive"):
        v2.Compose([adaptaug.AdaptiveAugment("natural", SIZE)])(Image.fromarray(coffee), 3)
