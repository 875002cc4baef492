"""kornia: a module inside its containers, on a batch."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

K = pytest.importorskip("kornia.augmentation")
from kornia.enhance import Normalize

import adaptaug
from adaptaug.pipeline.inputs import IMAGENET_MEAN, IMAGENET_STD
from tests.hosts import loop


@pytest.fixture
def chain():
    augment = adaptaug.AdaptiveAugment("natural", loop.SIZE)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    return K.ImageSequential(augment, K.RandomHorizontalFlip(p=0.5), Normalize(mean, std))


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_two_views_of_each_batch_train(workers, chain, coffee):
    image = torch.from_numpy(coffee).permute(2, 0, 1) / 255
    loader = DataLoader(loop.Same(image), loop.BATCH, **loop.workers(workers))
    simclr, seen = loop.SimCLR(), []
    for _ in range(2):
        for batch, _ in loader:
            first, second = chain(batch), chain(batch)
            simclr.step(first, second)
            seen += [first, second]
    loop.assert_no_draw_repeats(seen)


def test_the_same_seed_is_the_same_view(chain, coffee):
    batch = (torch.from_numpy(coffee).permute(2, 0, 1) / 255).expand(3, -1, -1, -1)
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(chain(batch))
    assert torch.equal(*made)
    assert not torch.equal(made[0][0], made[0][1])  # each image has a draw of its own


def test_normalised_images_are_refused_in_a_sentence(chain):
    with pytest.raises(adaptaug.AdaptAugError, match="augment before normalising"):
        chain(torch.randn(2, 3, 48, 64))
