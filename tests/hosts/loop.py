"""What the tests of all hosts share: a folder of one photograph many times, workers, and a step of SimCLR."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import nn
from torch.utils.data import Dataset

from adaptaug.encoders.networks import build_encoder

COUNT, SIZE, BATCH = 8, 32, 4
# Whichever draws the workers make: with one photograph in all items, two views are equal only if their draws are.
LOADERS = [0, 2]


def workers(count: int, start: str = "forkserver") -> dict[str, Any]:
    """Options of a DataLoader: none, or workers that pickle what they are given and live on."""
    if not count:
        return {"num_workers": 0}
    return {"num_workers": count, "multiprocessing_context": start, "persistent_workers": True}


class Same(Dataset):
    """One image with its number, many times; at module level to be pickled."""

    def __init__(self, image: Any, transform: Any = None):
        self.image, self.transform = image, transform

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(self.image) if self.transform else self.image, index


class SimCLR:
    """An encoder, a head, an optimizer; `step` is what a trainer does with two normalised views."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(build_encoder("resnet-tiny", size=SIZE), SimCLRProjectionHead(128, 64, 32))
        self.loss, self.optimizer = NTXentLoss(), torch.optim.SGD(self.model.parameters(), 0.01)

    def step(self, first: torch.Tensor, second: torch.Tensor) -> None:
        """Assert the views to be what it takes, and its loss to be finite."""
        for view in (first, second):
            assert type(view) is torch.Tensor and view.dtype == torch.float32
            assert view.shape[1:] == (3, SIZE, SIZE)
            assert -2.2 < view.min() < view.max() < 2.7  # ImageNet's normalisation of [0, 1]
        loss = self.loss(self.model(first), self.model(second))
        loss.backward()
        self.optimizer.step()
        assert np.isfinite(loss.item())


def assert_no_draw_repeats(views: list[torch.Tensor]) -> None:
    """Of batches (B, 3, S, S): all their images differ."""
    pixels = [view.numpy().tobytes() for batch in views for view in batch]
    assert len(set(pixels)) == len(pixels)
