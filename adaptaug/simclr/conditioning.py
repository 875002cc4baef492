"""A projection head that is told what was done to each view (CASSLE, 2306.06082).

The contrastive loss asks that two views of an image look alike to the head, so an encoder forgets what the views
change: light, colour, place. Where such things are content, a head that knows what was done to a view can undo it, and
the encoder need not forget. The head is thrown away after pretraining; features are made without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from adaptaug.errors import AdaptAugError
from adaptaug.params import ViewParams
from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS
from adaptaug.views import plan

# What a head may be told: the kinds of operations whose draws it sees, or the geometry as a whole.
TOLD = {"tone": ("tone", "table"), "colour": ("colour",), "crop": ("geometry",)}
_WIDTH = 64  # of what the head takes them in as


def check_told(about: Sequence[str]) -> None:
    """Raises: AdaptAugError: other than some of TOLD, each once."""
    if not about or len(set(about)) < len(about) or set(about) - set(TOLD):
        raise AdaptAugError(
            f"tell: expected one or more of {', '.join(TOLD)}, each once, got {', '.join(about)!r}."
        )


def describe(params: ViewParams, about: Sequence[str] = tuple(TOLD)) -> torch.Tensor:
    """What was done to each view, as numbers for a head: (B, N) float32; N is the same for all views of a policy.

    Of each number that operations of tone or colour drew: whether it was applied, 0 or 1, and what was drawn, less the
    identity, as a share of the operation's whole range, 0 where it was not applied. Of the crop, with flips and all
    other geometry: the two rows of the matrix from the view's square to the source's frame, less those of the full
    frame, 6 numbers. They are draws, and not what they came to for an image (a dark image's gain): from those a head
    could tell images apart without looking.

    Raises: AdaptAugError: `about` has other names, or of this policy there is nothing to tell.
    """
    check_told(about)
    columns: list[torch.Tensor] = []
    for name, entry in params.entries.items():
        op = OPS[name.partition(".")[0]]
        if op.kind == "geometry" or not any(op.kind in TOLD[group] for group in about):
            continue
        parameter = op.parameters[name.partition(".")[2] or "range"]
        applied = torch.as_tensor(entry.applied)
        reach = parameter.high - parameter.low or 1.0  # what is on or off has no range
        change = (torch.as_tensor(entry.value) - parameter.identity) / reach
        columns += [applied, torch.where(applied, change, 0.0)]
    if "crop" in about:
        columns += (torch.as_tensor(params.matrix)[:, :2].flatten(1) - _full_frame(params)).unbind(1)
    if not columns:
        raise AdaptAugError(
            f"tell: expected {', '.join(about)} to be among what the policy changes; it has none of it."
        )
    return torch.stack([number.float() for number in columns], 1)


def _full_frame(params: ViewParams) -> torch.Tensor:
    matrix = torch.as_tensor(params.matrix)
    return matrix.new_tensor([0.5, 0, 0.5, 0, 0.5, 0.5])


def numbers_of(policy: Policy, about: Sequence[str]) -> int:
    """How many numbers `describe` gives of a view by this policy."""
    return describe(plan(np.zeros((8, 8, 3), np.uint8), policy, key=(0, 0, 0), size=8), about).shape[1]


class ConditionedHead(nn.Module):
    """A projection head of features and, beside them, of what `describe` says: head([features, g(told)]), g a linear
    layer and a ReLU.

    Args:
        head: takes `ConditionedHead.width` features more than the encoder gives.
        numbers: of what it is told, `numbers_of(policy, about)`.

    `forward(features, told)`: (B, F), (B, numbers) -> (B, D). Without `told`, nothing was done.

    >>> head = ConditionedHead(torch.nn.Linear(512 + ConditionedHead.width, 128), numbers=16)
    >>> head(torch.zeros(4, 512), torch.zeros(4, 16)).shape
    torch.Size([4, 128])
    """

    width = _WIDTH

    def __init__(self, head: nn.Module, numbers: int):
        super().__init__()
        self.head, self.numbers = head, numbers
        self.told = nn.Sequential(nn.Linear(numbers, _WIDTH), nn.ReLU())

    def forward(self, features: torch.Tensor, told: torch.Tensor | None = None) -> torch.Tensor:
        if told is None:
            told = features.new_zeros(len(features), self.numbers)
        out: torch.Tensor = self.head(torch.cat([features, self.told(told).to(features.dtype)], 1))
        return out
