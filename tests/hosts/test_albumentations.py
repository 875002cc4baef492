"""albumentations 2.0.8: in a Compose, with masks and boxes, saved and loaded, and right in workers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

A = pytest.importorskip("albumentations")

import adaptaug
from adaptaug.hosts.albumentations import Adaptive
from adaptaug.pipeline.inputs import IMAGENET_MEAN, IMAGENET_STD
from tests.hosts import loop


class Twice:
    """Two views as dictionaries of albumentations; at module level for spawn."""

    def __init__(self, chain):
        self.chain = chain

    def __call__(self, image):
        return [self.chain(image=image)["image"] for _ in range(2)]


def chain(size=loop.SIZE, **boxes):
    steps = [
        A.Rotate(5, p=0.5),
        Adaptive("natural", size),
        A.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        A.ToTensorV2(),
    ]
    return A.Compose(steps, **boxes)


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_it_trains_and_no_draw_repeats_in_workers(workers, coffee):
    """albumentations' own transforms repeat themselves there: every worker and every epoch draws the same."""
    loader = DataLoader(loop.Same(coffee, Twice(chain())), loop.BATCH, **loop.workers(workers))
    simclr, seen = loop.SimCLR(), []
    for _ in range(2):
        for (first, second), _ in loader:
            simclr.step(first, second)
            seen += [first, second]
    loop.assert_no_draw_repeats(seen)


def test_the_same_seed_is_the_same_view(coffee):
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(Adaptive("natural", 32)(image=coffee)["image"])
    assert np.array_equal(*made) and made[0].dtype == np.uint8
    torch.manual_seed(5)
    assert np.array_equal(made[0], adaptaug.AdaptiveAugment("natural", 32)(coffee))


def test_masks_and_boxes_follow(coffee):
    mask = np.zeros((48, 64), np.uint8)
    mask[8:40, 6:30] = 3
    both = A.Compose(
        [Adaptive("digits", 64)], bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"])
    )
    torch.manual_seed(0)
    for _ in range(8):
        out = both(image=coffee, mask=mask, bboxes=[[6, 8, 30, 40]], labels=[1])
        assert out["mask"].shape == (64, 64) and set(np.unique(out["mask"])) <= {0, 3}
        rows, columns = np.nonzero(out["mask"])
        (left, top, right, bottom) = out["bboxes"][0]
        assert left - 1.5 <= columns.min() and columns.max() <= right + 1.5
        assert top - 1.5 <= rows.min() and rows.max() <= bottom + 1.5


MASKS = {
    "ignored as -1": np.int64([-1, 7]), "ignored as -100": np.int16([-100, 3]), "ids": np.int32([0, 70_000]),
    "uint16": np.uint16([300, 65_535]), "soft": np.float32([0.1, 0.7]), "double": np.float64([1e300, -0.5]),
    "half": np.float16([0.1, 0.7]), "bool": np.array([False, True]), "levels": np.uint8([0, 255]),
}  # fmt: skip


@pytest.mark.parametrize("kind", MASKS)
def test_a_masks_values_are_what_they_were(kind, coffee):
    """And lie where those of a mask of levels do."""
    one, other = MASKS[kind]
    inside = np.zeros((48, 64), bool)
    inside[8:40, 6:30] = True
    made = []
    for mask in (np.where(inside, other, one), inside.astype(np.uint8)):
        torch.manual_seed(3)
        made.append(A.Compose([Adaptive("digits", 64)])(image=coffee, mask=mask)["mask"])
    assert made[0].dtype == MASKS[kind].dtype and 0 < made[1].sum() < made[1].size
    assert np.array_equal(made[0], np.where(made[1] == 1, other, one))


@pytest.mark.parametrize("none", [[], np.zeros((0, 4), np.float32)], ids=["list", "array"])
def test_no_boxes_and_no_points_are_none(none, coffee):
    boxes = A.BboxParams("pascal_voc", label_fields=["labels"])
    assert (
        len(
            A.Compose([Adaptive("natural", 32)], bbox_params=boxes)(image=coffee, bboxes=none, labels=[])[
                "bboxes"
            ]
        )
        == 0
    )
    points = A.Compose([Adaptive("natural", 32)], keypoint_params=A.KeypointParams("xy"))
    assert (
        len(points(image=coffee, keypoints=none if isinstance(none, list) else np.zeros((0, 2)))["keypoints"])
        == 0
    )


def test_key_points_follow(coffee):
    """A point lies where the middle of a mask around it does; its angle and size are those of a mask's bar."""
    mask = np.zeros((48, 64), np.uint8)
    mask[23:26, 22:43] = 1
    points = A.Compose(
        [Adaptive("digits", 64)], keypoint_params=A.KeypointParams("xyas", remove_invisible=False)
    )
    for seed in range(8):
        torch.manual_seed(seed)
        out = points(image=coffee, mask=mask, keypoints=[(32.5, 24.5, 0, 10)])
        (x, y, angle, size) = out["keypoints"][0]
        rows, columns = np.nonzero(out["mask"])
        if min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == 63:
            continue  # cut off
        assert abs(x - columns.mean() - 0.5) < 1 and abs(y - rows.mean() - 0.5) < 1
        spread = np.cov(columns, rows)
        along = np.linalg.eigh(spread)[1][:, 1]
        turned = np.deg2rad(angle)
        assert abs(along @ [np.cos(turned), np.sin(turned)]) > 0.98
        assert size == pytest.approx(10 * np.sqrt(len(rows) / 63), rel=0.2)


def test_a_policy_itself_is_taken_and_saved(coffee):
    mine = adaptaug.Policy.load("digits").edit(name="mine")
    first = A.Compose([Adaptive(mine, 24)])
    second = A.from_dict(A.to_dict(first))
    made = []
    for chain in (first, second, A.Compose([Adaptive("digits", 24)])):
        torch.manual_seed(0)
        made.append(chain(image=coffee)["image"])
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])
    assert second.transforms[0].augment.policy == mine
    with pytest.raises(adaptaug.AdaptAugError, match="nonsense"):
        Adaptive("nonsense")


@pytest.mark.parametrize("form", ["dict", "json", "yaml"])
@pytest.mark.parametrize("policy", ["digits", "mapping"])
def test_saved_and_loaded(form, policy, coffee, tmp_path):
    if policy == "mapping":
        policy = {"version": 1, "name": "mine", "operations": {"crop": {"area": [0.3, 0.9]}}}
    first = A.Compose([Adaptive(policy, 24)])
    if form == "dict":
        second = A.from_dict(A.to_dict(first))
    else:
        A.save(first, tmp_path / "chain", data_format=form)
        second = A.load(tmp_path / "chain", data_format=form)
    made = []
    for both in (first, second):
        torch.manual_seed(1)
        made.append(both(image=coffee)["image"])
    assert np.array_equal(*made) and made[0].shape == (24, 24, 3)


@pytest.mark.parametrize(
    "image", [np.zeros((48, 64, 3), np.int64), np.zeros((3, 48, 64), np.uint8)], ids=["int64", "chw"]
)
def test_other_images_are_refused_in_a_sentence(image):
    with pytest.raises(adaptaug.AdaptAugError, match="expected"):
        Adaptive("natural", 32)(image=image)


def test_importing_it_asks_no_server():
    code = """
import socket
def refuse(*_): raise SystemExit("network")
socket.socket.connect = socket.create_connection = refuse
import adaptaug.hosts.albumentations, adaptaug.hosts.huggingface, adaptaug.hosts.lightning, adaptaug.hosts.timm
import adaptaug.hosts.torchvision, adaptaug.hosts.webdataset, adaptaug.hosts.sololearn
"""
    environment = {"PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
