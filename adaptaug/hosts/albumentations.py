"""albumentations: a transform whose draw sees the image and does not repeat itself in workers."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks a server for news

import albumentations as A
import numpy as np
import torch
import yaml

from adaptaug.data.depth import is_deep
from adaptaug.errors import AdaptAugError
from adaptaug.hosts.masks import move_masks
from adaptaug.policy import Policy
from adaptaug.views import AdaptiveAugment, render

_IMAGE = "expected an (H, W, 3) array of uint8 or deeper as image="


class Adaptive(A.DualTransform):
    """`A.Compose([..., Adaptive("natural", 224), A.ToTensorV2()])`: a view; masks, boxes, points follow its geometry.

    The draw comes from torch's generator, which every worker has reseeded, and not from albumentations' own, which
    repeats itself in all workers and epochs (2.0.8). `to_dict`, `save` and `load` carry the policy. With `p` below 1
    albumentations decides, from its own generator, whether a view is made at all.

    Args:
        policy: a preset's name, a policy file's path, a Policy, or the mapping a policy file holds.
        size: the view's side in pixels; view: its number.
    """

    _targets = tuple(
        getattr(A.core.type_definitions.Targets, name) for name in ("IMAGE", "MASK", "BBOXES", "KEYPOINTS")
    )

    class InitSchema(A.core.transforms_interface.BaseTransformInitSchema):
        policy: Any  # `as_policy` says what is wrong with it, in a sentence
        size: int
        view: int

    def __init__(
        self,
        policy: Policy | str | dict[str, Any] = "natural",
        size: int = 224,
        view: int = 0,
        p: float = 1.0,
    ):
        super().__init__(p=p)
        self.augment = AdaptiveAugment(policy, size)
        # As it is saved: a Policy by what its file would hold.
        self.policy = yaml.safe_load(policy.dumps()) if isinstance(policy, Policy) else policy
        self.size, self.view = size, view

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
        return np.asarray(render(img, plan))

    def apply_to_mask(self, mask: np.ndarray, plan: Any = None, **params: Any) -> np.ndarray:
        planes = np.array(mask).reshape(*mask.shape[:2], -1).transpose(2, 0, 1)
        out = (
            move_masks(torch.from_numpy(np.ascontiguousarray(planes))[None], plan)[0].permute(1, 2, 0).numpy()
        )
        return out[:, :, 0] if mask.ndim == 2 else out

    def apply_to_bboxes(
        self, bboxes: np.ndarray, plan: Any = None, width: int = 1, height: int = 1, **params: Any
    ) -> np.ndarray:
        if not len(bboxes):
            return bboxes
        boxes_of_view = (
            plan.move_boxes(bboxes[:, :4], 1.0, 1.0) / plan.size
        )  # albumentations hands on shares of the image
        return np.concatenate([boxes_of_view, bboxes[:, 4:]], 1).astype(bboxes.dtype)

    def apply_to_keypoints(
        self, keypoints: np.ndarray, plan: Any = None, width: int = 1, height: int = 1, **params: Any
    ) -> np.ndarray:
        """(N, 4 or more) x, y, z, angle, size: an angle turns, and a size grows, as what is around the point does."""
        if not len(keypoints):
            return keypoints
        place = np.asarray(keypoints[:, :2], np.float64)
        turn = np.stack([np.cos(keypoints[:, 3]), np.sin(keypoints[:, 3])], 1)
        across = turn[:, ::-1] * [-1, 1]
        at, along, aside = (plan.move_points(place + by, width, height) for by in (0 * turn, turn, across))
        along, aside = along - at, aside - at
        area = np.abs(along[:, 0] * aside[:, 1] - along[:, 1] * aside[:, 0])
        angle = np.arctan2(along[:, 1], along[:, 0]) % (2 * np.pi)
        moved = [
            at,
            keypoints[:, 2:3],
            angle[:, None],
            keypoints[:, 4:5] * np.sqrt(area)[:, None],
            keypoints[:, 5:],
        ]
        return np.concatenate(moved, 1).astype(keypoints.dtype)
