"""solo-learn, whose last release is of 2021 and is not installed: a contract test of its documented pipeline."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

import adaptaug
from adaptaug.hosts import sololearn
from tests.hosts import loop

CIFAR = {  # the form of its config files
    "rrc": {"enabled": True, "crop_min_scale": 0.2, "crop_max_scale": 1.0},
    "color_jitter": {"enabled": True, "brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2, "prob": 0.8},
    "grayscale": {"enabled": True, "prob": 0.2},
    "gaussian_blur": {"enabled": False, "prob": 0.0},
    "solarization": {"enabled": True, "prob": 0.2},
    "equalization": {"enabled": False, "prob": 0.0},
    "horizontal_flip": {"enabled": True, "prob": 0.5},
    "crop_size": 32,
    "num_crops": 2,
}  # fmt: skip


class NCrops:
    """Its documented NCropAugmentation: n calls of a transform that gives one tensor."""

    def __init__(self, transform, count):
        self.transform, self.count = transform, count

    def __call__(self, image):
        return [self.transform(image) for _ in range(self.count)]


class Pipeline:
    """Its documented FullTransformPipeline: the crops of all its augmentations in one list."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        return [crop for transform in self.transforms for crop in transform(image)]


class Indexed(loop.Same):
    """Its data sets give (index, crops, target)."""

    def __getitem__(self, index):
        crops, target = super().__getitem__(index)
        return index, crops, target


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_its_documented_pipeline_trains(workers, coffee):
    augment = adaptaug.AdaptiveAugment("natural", loop.SIZE, finish="imagenet")
    data = Indexed(Image.fromarray(coffee), Pipeline([NCrops(augment, 2)]))
    simclr, seen = loop.SimCLR(), []
    for _, (first, second), _ in DataLoader(data, loop.BATCH, **loop.workers(workers)):
        simclr.step(first, second)
        seen += [first, second]
    loop.assert_no_draw_repeats(seen)


def test_its_config_becomes_a_policy():
    (group,) = sololearn.read([CIFAR]).groups
    policy = group.policy
    assert (group.n, group.size, policy.guards) == (2, 32, False)
    assert policy["crop"].area == (0.2, 1.0) and policy["hue"].range == (-0.2, 0.2)
    assert policy["brightness"].p == 0.8 and policy["solarize"].p == 0.2 and "blur" not in policy
    assert sololearn.read([CIFAR], guards=True).groups[0].policy.guards


def test_asymmetric_nodes_are_views_of_one_image(coffee):
    second = {**CIFAR, "crop_size": 24, "num_crops": 1}
    views = sololearn.read([{**CIFAR, "num_crops": 1}, second])(coffee, key=(0, 0, 0))
    assert [view.shape[-1] for view in views] == [32, 24]
    assert all(view.dtype == torch.float32 for view in views)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"equalization": {"enabled": True, "prob": 0.3}}, r"augmentations\[0\]\.equalization"),
     ({"colour": {}}, r"augmentations\[0\]\.colour: unknown field"),
     ({"rrc": {"crop_min_scale": 7}}, r"augmentations\[0\].*crop\.area")],
)  # fmt: skip
def test_what_has_no_operation_is_refused_in_a_sentence(change, said):
    with pytest.raises(adaptaug.AdaptAugError, match=said):
        sololearn.read([{**CIFAR, **change}])
