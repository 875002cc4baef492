"""lightly: LightlyDataset, its collate, and steps of its SimCLR, MoCo and BYOL."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

pytest.importorskip("lightly")
from lightly.data import LightlyDataset
from lightly.data.multi_view_collate import MultiViewCollate
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead, MoCoProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum

import adaptaug
from adaptaug.encoders.networks import build_encoder
from tests.hosts import loop


@pytest.mark.parametrize(
    ("workers", "collate"),
    [*((workers, None) for workers in loop.LOADERS), (0, MultiViewCollate())],
    ids=["default", "default, workers", "multi-view"],
)
def test_simclr_trains(workers, collate, folder):
    data = LightlyDataset(str(folder), transform=adaptaug.Views("natural", size=loop.SIZE))
    loader = DataLoader(data, loop.BATCH, collate_fn=collate, **loop.workers(workers))
    simclr, seen = loop.SimCLR(), []
    for _ in range(2):
        for (first, second), targets, names in loader:
            simclr.step(first, second)
            assert len(targets) == len(names) == loop.BATCH
            seen += [first, second]
    loop.assert_no_draw_repeats(seen)


def test_keyed_keeps_targets_and_names(folder):
    views = adaptaug.Views("natural", size=loop.SIZE)
    made = []
    for workers in loop.LOADERS:
        loader = DataLoader(
            adaptaug.Keyed(LightlyDataset(str(folder)), views, seed=1), 4, **loop.workers(workers)
        )
        batches = list(loader)
        assert batches[0][2][0].endswith("0.png") and batches[0][1].tolist() == [0, 0, 0, 0]
        made.append(torch.cat([torch.cat(views) for views, _, _ in batches]))
    assert torch.equal(*made)


@pytest.fixture
def batches(folder):
    data = LightlyDataset(str(folder), transform=adaptaug.Views("byol", size=loop.SIZE))
    return DataLoader(data, loop.BATCH)


def test_moco_steps(batches):
    torch.manual_seed(0)
    backbone, head = build_encoder("resnet-tiny", size=loop.SIZE), MoCoProjectionHead(128, 64, 32)
    slow = copy.deepcopy(backbone), copy.deepcopy(head)
    for module in slow:
        deactivate_requires_grad(module)
    criterion = NTXentLoss(memory_bank_size=(16, 32))
    for (query, key), _, _ in batches:
        update_momentum(backbone, slow[0], m=0.99)
        update_momentum(head, slow[1], m=0.99)
        loss = criterion(head(backbone(query)), slow[1](slow[0](key)).detach())
        loss.backward()
        assert torch.isfinite(loss)


def test_byol_steps(batches):
    torch.manual_seed(0)
    online = nn.Sequential(build_encoder("resnet-tiny", size=loop.SIZE), BYOLProjectionHead(128, 64, 32))
    predict, target = BYOLPredictionHead(32, 64, 32), copy.deepcopy(online)
    deactivate_requires_grad(target)
    criterion = NegativeCosineSimilarity()
    for (first, second), _, _ in batches:
        update_momentum(online, target, m=0.99)
        loss = 0.5 * (
            criterion(predict(online(first)), target(second))
            + criterion(predict(online(second)), target(first))
        )
        loss.backward()
        assert torch.isfinite(loss)
