"""The contrastive step: images -> views -> embeddings -> a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from adaptaug.encoders.networks import build_encoder
from adaptaug.online.band import BandController
from adaptaug.online.heads import ConditionalHeads
from adaptaug.policy import Policy
from adaptaug.simclr.conditioning import numbers_of
from adaptaug.simclr.objectives import Objective
from adaptaug.views import MultiCrop, Views, as_policy


class Contrast(nn.Module):
    """An encoder, the views and the objective, as one module.

    Args:
        encoder: from `build_encoder`.
        policy: what an image's `n` views are drawn from.
        size: side of a view in pixels; small, small_size: of how many small views besides.
        objective, layers, temperature, projection: as Objective.
        precision: computes forward in this type where it is not None.
        return_params: of `views`: whether they come with what was drawn.
        tell: what the head is told of each view, `conditioning.TOLD`; it needs `return_params`.
    """

    def __init__(
        self, encoder: nn.Module, policy: Policy | str, size: int, objective: str = "simclr", layers: int = 2,
        temperature: float = 0.5, projection: int = 128, precision: torch.dtype | None = None,
        return_params: bool = False, n: int = 2, small: int = 0, small_size: int = 0, tell: Sequence[str] = (),
    ):  # fmt: skip
        super().__init__()
        self.encoder = encoder
        numbers = numbers_of(as_policy(policy), tell) if tell else 0
        self.objective = Objective(objective, encoder, layers, temperature, projection, numbers)
        self.views = views_of(policy, n, size, small, small_size, return_params)
        self.precision = precision
        self.controller: BandController | ConditionalHeads | None = None  # what steers the views, if anything

    def _embed(
        self, encoder: nn.Module, head: nn.Module, images: torch.Tensor, *told: torch.Tensor
    ) -> torch.Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, self.precision, enabled=self.precision is not None):
            embedded: torch.Tensor = head(encoder(images), *told)
            return embedded.float()

    def embed_clean(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised views (B, 3, S, S) -> embeddings (B, D), in evaluation mode, without gradients, on the CPU."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            embedded = self._embed(self.encoder, self.objective.head, images).cpu()
        self.train(was_training)
        return embedded

    def loss_of(
        self, views: Sequence[torch.Tensor], told: list[torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, ...]:
        """The objective's loss of K normalised views (B, 3, S, S) each, then the embeddings (B, D) of each.

        told: of a head that is told, what was done to each view, (B, numbers) each."""
        out: tuple[torch.Tensor, ...] = self.objective(self._embed, self.encoder, list(views), told)
        return out

    def forward(self, images: torch.Tensor, key: Any) -> torch.Tensor:
        """Images (B, 3, H, W) uint8 with their keys -> the loss."""
        return self.loss_of(self.views(images, key=key))[0]


def views_of(
    policy: Policy | str, n: int, size: int, small: int = 0, small_size: int = 0, return_params: bool = False
) -> Views[Any] | MultiCrop:
    """n views of each image and, of the same policy, `small` views of `small_size` pixels a side."""
    large = Views(policy, n, size, return_params=return_params)
    return MultiCrop(large, Views(policy, small, small_size, return_params=return_params)) if small else large


def new_contrast(
    arch: str, policy: Policy | str, size: int, seed: int, stem: str = "auto", **options: Any
) -> Contrast:
    """A Contrast whose first weights are a function of the seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Contrast(build_encoder(arch, stem, size), policy, size, **options)
    return model.to(memory_format=torch.channels_last)
