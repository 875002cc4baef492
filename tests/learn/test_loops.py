"""A search's policy in somebody else's loop: the five lines of the README, with plain PyTorch and with lightly."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

pytest.importorskip("optuna")
pytest.importorskip("lightly")

import adaptaug
from adaptaug.learn import Recipe, Search
from tests.hosts import loop
from tests.support.network import light

SIDE = 16


@pytest.fixture(scope="module")
def policy(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found") / "search"
    recipe = Recipe(str(digits), limit=64, seed=0, size=SIDE, batch=16, bank=50, queries=100, epochs=5)
    with light():
        return Search(recipe, "simclr", str(folder), budget=6, workers=0).run().policy


def test_plain_pytorch(policy, digits):
    images = torch.from_numpy(np.load(digits)["x"][:32]).unsqueeze(1).expand(-1, 3, -1, -1)
    dataset = TensorDataset(images, torch.arange(32))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIDE * SIDE, 16))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    views = adaptaug.Views(policy, n=2, size=SIDE)
    for (first, second), _label in DataLoader(adaptaug.Keyed(dataset, views), batch_size=16):
        one, other = (torch.nn.functional.normalize(model(view), dim=1) for view in (first, second))
        loss = torch.nn.functional.cross_entropy(one @ other.T / 0.5, torch.arange(len(one)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert first.shape == (16, 3, SIDE, SIDE) and not torch.equal(first, second)
        assert torch.isfinite(loss)


def test_lightly(policy, digits, tmp_path):
    from lightly.data import LightlyDataset
    from PIL import Image

    for number, pixels in enumerate(np.load(digits)["x"][: 2 * loop.BATCH]):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    data = LightlyDataset(str(tmp_path), transform=adaptaug.Views(policy, n=2, size=loop.SIZE))
    simclr = loop.SimCLR()
    for (first, second), _targets, _names in DataLoader(data, loop.BATCH):
        simclr.step(first, second)
        assert torch.isfinite(first).all() and not torch.equal(first, second)
