"""What an image's views are trained towards: SimCLR, and four others whose losses and heads lightly has."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import combinations, groupby, permutations
from typing import Any

import torch
from lightly import loss as losses
from lightly.models.modules import heads
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.utils.dist import gather, rank, world_size
from lightly.utils.scheduler import cosine_schedule
from torch import nn
from torch.nn import functional

from adaptaug.errors import AdaptAugError
from adaptaug.simclr.conditioning import ConditionedHead

OBJECTIVES = ("simclr", "mocov2", "byol", "vicreg", "barlow")
_BANK = 4096  # keys in MoCo's queue
_MOMENTUM = 0.996  # of the teacher at the start; rises to 1 on a cosine (BYOL, section 3.2)


class NTXent(losses.NTXentLoss):
    """SimCLR's loss (2002.05709), over K views of each image: the mean over all ordered pairs of an image's views.

    For views a != b of image i, with u = z / |z| and T the temperature,

        l(i, a, b) = -log( e(ia, ib) / (e(ia, ib) + sum over j != i and c of e(ia, jc)) ), e(x, y) = exp(u_x . u_y / T).

    An image's other views are neither positive nor negative in a pair's denominator; those of all other images, of all
    processes, are its negatives. So Poly-View's "arithmetic" loss (2403.05490) and, of two views, lightly's. Where some
    views are small (`large`: how many are not), two of them are no pair: parts are told of wholes (SwAV, 2006.09882).
    """

    def forward(self, *views: torch.Tensor, large: int | None = None) -> torch.Tensor:
        """The loss of K views' embeddings, (B, D) each, large ones first; of several processes, that of this one's
        images."""
        if len(views) == 2:
            loss: torch.Tensor = super().forward(*views)
            return loss
        mine = functional.normalize(torch.stack(views), dim=2)
        every = torch.cat(gather(mine), 1) if world_size() > 1 else mine
        image = torch.arange(mine.shape[1], device=mine.device) + rank() * mine.shape[1]
        own = image[:, None] == torch.arange(every.shape[1], device=mine.device)
        logits = torch.einsum("aid,cjd->iacj", mine, every) / self.temperature
        negatives = logits.masked_fill(own[:, None, None], -torch.inf).flatten(2).logsumexp(2)
        positives = torch.einsum("aid,bid->iab", mine, mine) / self.temperature
        another = ~torch.eye(len(views), dtype=torch.bool, device=mine.device)
        if large is not None:
            another[large:, large:] = False
        return functional.softplus(negatives[:, :, None] - positives)[:, another].mean()


class Objective(nn.Module):
    """A projection head, a loss, and, for MoCo and BYOL, a teacher: a slowly following copy of encoder and head.

    Args:
        name: one of OBJECTIVES. simclr: NT-Xent over the batch; mocov2: against a queue of 4,096 keys; byol: the
            prediction of the teacher's projection; vicreg and barlow: variance, covariance, cross-correlation.
        encoder: what the teacher copies; `encoder.width` features go into the head.
        layers: of SimCLR's head (2, or 3 as SimCLRv2); temperature: of simclr and mocov2; projection: of the same.
        told: of how many numbers about each view SimCLR's head is told (`conditioning`); of none by default.

    Of more than two views the loss is the mean over pairs: ordered ones for simclr and byol, whose two sides differ,
    unordered ones for vicreg and barlow. mocov2 takes two.
    With several processes negatives, queue, covariances and correlations are those of all of them; but for barlow,
    each standardises its features by its own part of the batch.
    Raises: AdaptAugError: unknown name.
    """

    def __init__(
        self, name: str, encoder: nn.Module, layers: int = 2, temperature: float = 0.5, projection: int = 128,
        told: int = 0,
    ):  # fmt: skip
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
            more = ConditionedHead.width if told else 0
            self.head = heads.SimCLRProjectionHead(width + more, width, projection, num_layers=layers)
            if told:
                self.head = ConditionedHead(self.head, told)
            self.loss = NTXent(temperature, gather_distributed=True)
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
        self, embed: Callable[..., torch.Tensor], encoder: nn.Module, views: list[torch.Tensor],
        told: list[torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, ...]:  # fmt: skip
        """The loss of K views (B, 3, S, S) each, then the embeddings (B, D) of each view.

        `embed(encoder, head, images)` is how both networks are run. All views of one size go through a
        network as one batch, but for MoCo, where one is the query and one the key. Small views, of simclr alone,
        come last. `told`: of a head that is told, what was done to each view, (B, numbers) each.
        """
        if self.name == "mocov2":
            first, second = views
            query = embed(encoder, self.head, first)
            key = self._of_teacher(embed, second)
            return self.loss(query, key), query, key
        sizes = [[*group] for _, group in groupby(views, lambda view: view.shape[-1])]
        embedded: list[torch.Tensor] = []
        for group in sizes:
            of_group = () if told is None else (torch.cat(told[len(embedded) : len(embedded) + len(group)]),)
            embedded += embed(encoder, self.head, torch.cat(group), *of_group).chunk(len(group))
        if self.name == "simclr":
            return self.loss(*embedded, large=len(sizes[0]) if len(sizes) > 1 else None), *embedded
        if self.name == "byol":
            told = [self.predictor(z) for z in embedded]
            targets = self._of_teacher(embed, torch.cat(views)).chunk(len(views))
            pairs = [(told[a], targets[b]) for a, b in permutations(range(len(views)), 2)]
        else:
            pairs = list(combinations(embedded, 2))
        return torch.stack([self.loss(*pair) for pair in pairs]).mean(), *embedded

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
