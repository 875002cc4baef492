"""The contrastive step: images -> two views -> embeddings -> NT-Xent."""

from __future__ import annotations

from collections.abc import Sequence
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
        return_params: of `views`: whether they come with what was drawn.
    """

    def __init__(
        self, encoder: nn.Module, policy: Policy | str, size: int, layers: int = 2, temperature: float = 0.5,
        projection: int = 128, precision: torch.dtype | None = None, return_params: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.encoder = encoder
        self.head = SimCLRProjectionHead(encoder.width, encoder.width, projection, num_layers=layers)
        self.loss = NTXentLoss(temperature=temperature, gather_distributed=torch.distributed.is_initialized())
        self.views = Views(policy, n=2, size=size, finish="imagenet", return_params=return_params)
        self.precision = precision

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised views (B, 3, S, S) -> (B, projection) embeddings in float32."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, self.precision, enabled=self.precision is not None):
            return self.head(self.encoder(images)).float()

    def embed_clean(self, images: torch.Tensor) -> torch.Tensor:
        """`embed` in evaluation mode, without gradients, on the CPU."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            embedded = self.embed(images).cpu()
        self.train(was_training)
        return embedded

    def loss_of(self, views: Sequence[torch.Tensor]) -> torch.Tensor:
        """NT-Xent of two views, which pass the encoder as one batch."""
        return self.loss(*self.embed(torch.cat(list(views))).chunk(2))

    def forward(self, images: torch.Tensor, key: Any) -> torch.Tensor:
        """Images (B, 3, H, W) uint8 with their keys -> the loss."""
        return self.loss_of(self.views(images, key=key))


def new_contrast(
    arch: str, policy: Policy | str, size: int, seed: int, stem: str = "auto", **options: Any
) -> Contrast:
    """A Contrast whose first weights are a function of the seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Contrast(build_encoder(arch, stem, size), policy, size, **options)
    return model.to(memory_format=torch.channels_last)
