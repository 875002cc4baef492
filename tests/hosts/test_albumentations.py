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
from adaptaug.pixels import IMAGENET_MEAN, IMAGENET_STD
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


def test_a_soft_mask_is_refused_in_a_sentence(coffee):
    soft = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    with pytest.raises(adaptaug.AdaptAugError, match="mask: expected whole numbers from 0 to 255"):
        A.Compose([Adaptive("natural", 64)])(image=coffee, mask=soft)


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
