"""albumentations: a transform whose draw sees the image and does not repeat itself in workers."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks a server for news

import albumentations as A
import numpy as np

from adaptaug.depth import is_deep
from adaptaug.errors import AdaptAugError
from adaptaug.hosts.masks import move_masks
from adaptaug.views import AdaptiveAugment, render

_IMAGE = "expected an (H, W, 3) array of uint8 or deeper as image="


class Adaptive(A.DualTransform):
    """`A.Compose([..., Adaptive("natural", 224), A.ToTensorV2()])`: one view; masks and boxes follow its geometry.

    The draw comes from torch's generator, which every worker has reseeded, and not from albumentations' own, which
    repeats itself in all workers and epochs (2.0.8). `to_dict`, `save` and `load` carry the policy. Key points are
    refused. With `p` below 1 albumentations decides, from its own generator, whether a view is made at all.

    Args:
        policy: a preset's name, a policy file's path, or the mapping a policy file holds.
        size: the view's side in pixels; view: its number.
    """

    _targets = (A.core.type_definitions.Targets.IMAGE, A.core.type_definitions.Targets.MASK,
                A.core.type_definitions.Targets.BBOXES)  # fmt: skip

    class InitSchema(A.core.transforms_interface.BaseTransformInitSchema):
        policy: str | dict[str, Any]
        size: int
        view: int

    def __init__(
        self, policy: str | dict[str, Any] = "natural", size: int = 224, view: int = 0, p: float = 1.0
    ):
        super().__init__(p=p)
        self.policy, self.size, self.view = policy, size, view
        self.augment = AdaptiveAugment(policy, size)

    @classmethod
    def get_class_fullname(cls) -> str:
        return f"{cls.__module__}.{cls.__qualname__}"

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """The plan for this image."""
        image = data.get("image")
        if not isinstance(image, np.ndarray) or not (image.dtype == np.uint8 or is_deep(image)):
            raise AdaptAugError(f"{_IMAGE}; got {getattr(image, 'dtype', type(image).__name__)}.")
        return {
            "plan": self.augment.plan(image, view=self.view),
            "width": image.shape[1],
            "height": image.shape[0],
        }

    def apply(self, img: np.ndarray, plan: Any = None, **params: Any) -> np.ndarray:
        return render(img, plan)

    def apply_to_mask(self, mask: np.ndarray, plan: Any = None, **params: Any) -> np.ndarray:
        planes = mask.reshape(*mask.shape[:2], -1)
        moved = move_masks(
            [np.ascontiguousarray(planes[:, :, i : i + 1]) for i in range(planes.shape[2])], plan
        )
        out = np.concatenate(moved, 2).astype(mask.dtype)
        return out[:, :, 0] if mask.ndim == 2 else out

    def apply_to_bboxes(
        self, bboxes: np.ndarray, plan: Any = None, width: int = 1, height: int = 1, **params: Any
    ) -> np.ndarray:
        moved = (
            plan.move_boxes(bboxes[:, :4], 1.0, 1.0) / plan.size
        )  # albumentations hands on shares of the image
        return np.concatenate([moved, bboxes[:, 4:]], 1).astype(bboxes.dtype)
