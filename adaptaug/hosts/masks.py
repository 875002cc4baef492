"""Masks beside an image, for the hosts that have them."""

from __future__ import annotations

import torch

from adaptaug.errors import AdaptAugError
from adaptaug.params import ViewParams
from adaptaug.views import render


def move_masks(masks: torch.Tensor, plan: ViewParams) -> torch.Tensor:
    """(B, K, H, W) of any type -> (B, K, S, S) of the same: the planes of each image as its view, by nearest neighbour.

    Every value is one that was there: numbers below 0 that mean "ignore", ids beyond 255, shares of soft masks. They
    are moved byte by byte. Raises: AdaptAugError: masks of another number of images than `plan` has.
    """
    if len(masks) != len(plan):
        raise AdaptAugError(f"mask: expected those of {len(plan)} images, got shape {tuple(masks.shape)}.")
    masks = masks.detach().contiguous()
    count, planes, height, width = masks.shape
    if not masks.numel():
        return masks.new_zeros(count, planes, plan.size, plan.size)
    parts = masks.view(torch.uint8).reshape(count, planes, height, width, -1)
    moved = [
        render(parts[:, plane, :, :, part][:, None].contiguous(), plan, "nearest", tone=False)[:, 0]
        for plane in range(planes)
        for part in range(parts.shape[4])
    ]
    out = torch.stack(moved, -1).reshape(count, plan.size, plan.size, planes, -1)
    return out.contiguous().view(masks.dtype)[..., 0].permute(0, 3, 1, 2).contiguous()
