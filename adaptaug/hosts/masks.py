"""Masks beside an image, for the hosts that have them."""

from __future__ import annotations

from typing import Any

import torch

from adaptaug.errors import AdaptAugError
from adaptaug.params import ViewParams
from adaptaug.views import render


def move_masks(planes: list[Any], plan: ViewParams) -> list[Any]:
    """Planes of labels, (1, H, W) tensors or (H, W, 1) arrays, by nearest neighbour; uint8 of the view's size.

    Raises: AdaptAugError: a label that is no whole number from 0 to 255.
    """
    moved = []
    for plane in planes:
        levels = plane.to(torch.uint8) if isinstance(plane, torch.Tensor) else plane.astype("uint8")
        if plane.min() < 0 or plane.max() > 255 or (levels != plane).any():
            raise AdaptAugError(
                "mask: expected whole numbers from 0 to 255; split greater labels into planes, and make levels of a "
                "soft mask."
            )
        moved.append(render(levels, plan, interpolation="nearest", tone=False))
    return moved
