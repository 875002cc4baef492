"""A network for tests of what stands around one: a fifth of the time of resnet-tiny, and most of what is left is views.

It goes by the same name, has as many features, and what a checkpoint has to keep: weights, and running statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

WIDTH = 128


class Light(nn.Module):
    """(B, 3, H, W) -> (B, WIDTH): two convolutions, each with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)  # `build_encoder` puts its stem here
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, WIDTH, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(WIDTH)
        self.fc = nn.Linear(WIDTH, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = self.bn1(self.conv1(images)).relu()
        return self.fc(self.bn2(self.conv2(seen)).relu().mean((2, 3)))


@contextmanager
def light() -> Iterator[None]:
    """`resnet-tiny` is this network, in this process."""
    from adaptaug.encoders import networks  # here, as it brings torchvision, which most tests do without

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "_tiny", Light)
        yield
