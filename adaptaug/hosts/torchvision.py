"""torchvision v2: one view of a whole sample, with its masks and boxes."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from adaptaug.errors import AdaptAugError
from adaptaug.hosts.masks import move_masks
from adaptaug.policy import Policy
from adaptaug.views import AdaptiveAugment, render


class Adaptive(v2.Transform):
    """`v2.Compose([..., Adaptive("natural", 224), v2.ToDtype(torch.float32, scale=True)])`, samples with targets too.

    Masks and boxes follow the geometry: masks of any type by nearest neighbour, those of a batch with its images; boxes
    as the smallest around their moved corners, cut to the view (`v2.SanitizeBoundingBoxes` drops the empty ones).
    Labels and other tensors are left alone, as by all of v2. Rotated boxes, key points and videos are refused.

    Args:
        policy, size: as AdaptiveAugment; view: its number.
    """

    _transformed_types = (torch.Tensor, Image.Image)

    def __init__(self, policy: Policy | str | dict[str, Any] = "natural", size: int = 224, view: int = 0):
        super().__init__()
        self.augment, self.view = AdaptiveAugment(policy, size), view

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What the one image of the sample gets."""
        follow = (tv_tensors.Mask, tv_tensors.BoundingBoxes)
        images = [part for part in flat_inputs if not isinstance(part, follow)]
        wrong = [
            part
            for part in images
            if isinstance(part, tv_tensors.TVTensor) and type(part) is not tv_tensors.Image
        ]
        if wrong or len(images) != 1:
            got = ", ".join(type(part).__name__ for part in flat_inputs) or "no image"
            raise AdaptAugError(f"expected one image, with masks and boxes where there are any; got {got}.")
        image = images[0]
        size = image.size[::-1] if isinstance(image, Image.Image) else tuple(image.shape[-2:])
        plain = image.as_subclass(torch.Tensor) if isinstance(image, torch.Tensor) else image
        return {"params": self.augment.plan(plain, view=self.view), "size": size}

    def transform(self, part: Any, params: dict[str, Any]) -> Any:
        """A part of the sample as it is in the view."""
        plan, (height, width) = params["params"], params["size"]
        if isinstance(part, Image.Image):
            return render(part, plan)
        if isinstance(part, tv_tensors.BoundingBoxes) and len(plan) != 1:
            raise AdaptAugError(
                f"boxes: expected one image, as they do not say whose they are, got {len(plan)}."
            )
        plain = part.as_subclass(torch.Tensor)
        if isinstance(part, tv_tensors.Mask):
            return tv_tensors.wrap(_mask(plain, plan), like=part)
        if isinstance(part, tv_tensors.BoundingBoxes):
            return _boxes(part, plan, width, height)
        view = render(plain, plan)
        return tv_tensors.wrap(view, like=part) if isinstance(part, tv_tensors.Image) else view


def _mask(mask: torch.Tensor, plan: Any) -> torch.Tensor:
    """(..., H, W) of any type: of one image, or (B, ..., H, W) of a batch, the planes of each moved alike."""
    count, sides = len(plan), mask.shape[-2:]
    batch = mask[None] if count == 1 else mask
    planes = batch.reshape(len(batch), batch[0].numel() // sides.numel(), *sides)
    return move_masks(planes, plan).reshape(*mask.shape[:-2], plan.size, plan.size)


def _boxes(boxes: Any, plan: Any, width: int, height: int) -> Any:
    form = boxes.format
    if form not in (tv_tensors.BoundingBoxFormat.XYXY, tv_tensors.BoundingBoxFormat.XYWH,
                    tv_tensors.BoundingBoxFormat.CXCYWH):  # fmt: skip
        raise AdaptAugError(f"boxes: expected XYXY, XYWH or CXCYWH, got {form.value}.")
    corners = v2.functional.convert_bounding_box_format(boxes, new_format=tv_tensors.BoundingBoxFormat.XYXY)
    there = corners.as_subclass(torch.Tensor).detach().cpu().double().numpy()
    moved = torch.from_numpy(plan.move_boxes(there, width, height)).to(boxes.device, boxes.dtype)
    side = plan.size
    around = tv_tensors.BoundingBoxes(
        moved, format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=(side, side)
    )
    return v2.functional.convert_bounding_box_format(around, new_format=form)
