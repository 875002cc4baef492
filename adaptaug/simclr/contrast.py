"""The contrastive step: images -> two views -> embeddings -> NT-Xent."""

from __future__ import annotations

from typing import Any

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import nn

from adaptaug.policy import Policy
from adaptaug.simclr.encoders import build_encoder
from adaptaug.views import Views


class Contrast(nn.Module):
    """An encoder, its projection head, the views and the loss, as one module.

    Args:
        encoder: from `build_encoder`.
        policy: what the two views are drawn from.
        size: side of a view in pixels.
        layers: of the projection head: 2 is SimCLR's, 3 SimCLRv2's.
        temperature: of NT-Xent.
        precision: computes forward in this type where it is not None.
    """

    def __init__(
        self, encoder: nn.Module, policy: Policy | str, size: int, layers: int = 2, temperature: float = 0.5,
        projection: int = 128, precision: torch.dtype | None = None,
    ):  # fmt: skip
        super().__init__()
        self.encoder = encoder
        self.head = SimCLRProjectionHead(encoder.width, encoder.width, projection, num_layers=layers)
        self.loss = NTXentLoss(temperature=temperature, gather_distributed=torch.distributed.is_initialized())
        self.views = Views(policy, n=2, size=size, finish="imagenet")
        self.precision = precision

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised views (B, 3, S, S) -> (B, projection) embeddings in float32."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, self.precision, enabled=self.precision is not None):
            return self.head(self.encoder(images)).float()

    def forward(self, images: torch.Tensor, key: Any) -> torch.Tensor:
        """Images (B, 3, H, W) uint8 with their keys -> the loss. Both views pass the encoder as one batch."""
        first, second = self.views(images, key=key)
        z = self.embed(torch.cat([first, second]))
        return self.loss(*z.chunk(2))


def new_contrast(
    arch: str, policy: Policy | str, size: int, seed: int, stem: str = "auto", **options: Any
) -> Contrast:
    """A Contrast whose first weights are a function of the seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Contrast(build_encoder(arch, stem, size), policy, size, **options)
    return model.to(memory_format=torch.channels_last)
