"""What the two views are trained towards: SimCLR, and four others whose losses and heads lightly has."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from lightly import loss as losses
from lightly.models.modules import heads
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from adaptaug.errors import AdaptAugError

OBJECTIVES = ("simclr", "mocov2", "byol", "vicreg", "barlow")
_BANK = 4096  # keys in MoCo's queue
_MOMENTUM = 0.996  # of the teacher at the start; rises to 1 on a cosine (BYOL, section 3.2)


class Objective(nn.Module):
    """A projection head, a loss, and, for MoCo and BYOL, a teacher: a slowly following copy of encoder and head.

    Args:
        name: one of OBJECTIVES. simclr: NT-Xent over the batch; mocov2: against a queue of 4,096 keys; byol: the
            prediction of the teacher's projection; vicreg and barlow: variance, covariance, cross-correlation.
        encoder: what the teacher copies; `encoder.width` features go into the head.
        layers: of SimCLR's head (2, or 3 as SimCLRv2); temperature: of simclr and mocov2; projection: of the same.

    With several processes negatives, queue, covariances and correlations are those of all of them; but for barlow,
    each standardises its features by its own part of the batch.
    Raises: AdaptAugError: unknown name.
    """

    def __init__(
        self, name: str, encoder: nn.Module, layers: int = 2, temperature: float = 0.5, projection: int = 128
    ):
        super().__init__()
        if name not in OBJECTIVES:
            raise AdaptAugError(f"objective: expected one of {', '.join(OBJECTIVES)}, got {name!r}.")
        self.name = name
        width: Any = encoder.width
        self.predictor: nn.Module = nn.Identity()
        self.teacher: nn.ModuleList | None = None
        self.head: nn.Module
        self.loss: nn.Module
        if name == "simclr":
            self.head = heads.SimCLRProjectionHead(width, width, projection, num_layers=layers)
            self.loss = losses.NTXentLoss(temperature, gather_distributed=True)
        elif name == "mocov2":
            self.head = heads.MoCoProjectionHead(width, width, projection)
            self.loss = losses.NTXentLoss(temperature, (_BANK, projection), gather_distributed=True)
            queue: Any = self.loss.memory_bank
            # lightly leaves its queue out of checkpoints: a resumed run would differ.
            for buffer in ("bank", "bank_ptr"):
                queue.register_buffer(buffer, getattr(queue, buffer), persistent=True)
        elif name == "byol":
            self.head = heads.BYOLProjectionHead(width, 2 * width, 256)
            self.predictor = heads.BYOLPredictionHead(256, 2 * width, 256)
            self.loss = losses.NegativeCosineSimilarity()
        elif name == "vicreg":
            self.head = heads.VICRegProjectionHead(width, 4 * width, 4 * width)
            self.loss = losses.VICRegLoss(gather_distributed=True)
        else:
            self.head = heads.BarlowTwinsProjectionHead(width, 4 * width, 4 * width)
            self.loss = losses.BarlowTwinsLoss(gather_distributed=True)
        if name in ("mocov2", "byol"):
            self.teacher = nn.ModuleList([copy.deepcopy(encoder), copy.deepcopy(self.head)])
            deactivate_requires_grad(self.teacher)

    def forward(
        self, embed: Callable[..., torch.Tensor], encoder: nn.Module, views: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The loss of two views (B, 3, S, S) each, and their embeddings (B, D).

        `embed(encoder, head, images)` is how both networks are run. Both views go through a
        network as one batch, but for MoCo, where one is the query and one the key.
        """
        if self.name == "mocov2":
            query = embed(encoder, self.head, views[0])
            key = self._of_teacher(embed, views[1])
            return self.loss(query, key), query, key
        first, second = embed(encoder, self.head, torch.cat(views)).chunk(2)
        if self.name != "byol":
            return self.loss(first, second), first, second
        target, other = self._of_teacher(embed, torch.cat(views)).chunk(2)
        loss = 0.5 * (self.loss(self.predictor(first), other) + self.loss(self.predictor(second), target))
        return loss, first, second

    @torch.no_grad()
    def _of_teacher(self, embed: Callable[..., torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        assert self.teacher is not None
        return embed(*self.teacher, images)

    def follow(self, encoder: nn.Module, step: int, steps: int) -> None:
        """Move the teacher, where there is one, towards the student: called once before each step."""
        if self.teacher is not None:
            momentum = cosine_schedule(min(step, steps), max(steps, 1), _MOMENTUM, 1.0)
            for student, teacher in zip((encoder, self.head), self.teacher, strict=True):
                update_momentum(student, teacher, momentum)
