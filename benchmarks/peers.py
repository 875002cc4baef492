"""The peers of benchmarks.throughput, each with the recipe it is compared on: resized crop, flip, jitter, grey, blur.

Every builder returns a function of one call's images that makes two views of each. Where a library cannot leave a step
out (lightly's conversion to a float tensor) the call has it, and the row's note says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import cv2
import numpy as np
import torch
from PIL import Image

import adaptaug
from adaptaug.types import Finish

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AREA, RATIO = (0.08, 1.0), (0.75, 4 / 3)
Call = Callable[[Any], Any]


@dataclass(frozen=True)
class Recipe:
    """Equal work: SimCLR's for ImageNet (strength 1, blur) or for CIFAR-10 (strength .5, no blur)."""

    size: int
    strength: float
    blur: float
    policy: str

    @property
    def jitter(self) -> tuple[float, float, float, float]:
        return 0.8 * self.strength, 0.8 * self.strength, 0.8 * self.strength, 0.2 * self.strength

    @property
    def taps(self) -> int:
        return max(3, int(0.1 * self.size) | 1)


PHOTO = Recipe(224, 1.0, 0.5, "simclr")
SMALL = Recipe(32, 0.5, 0.0, "simclr-cifar")


def ours(policy: str | adaptaug.Policy, size: int, finish: Finish = "none") -> Call:
    views = adaptaug.Views(policy, n=2, size=size, finish=finish)
    count = 0

    def call(images: Any) -> Any:
        nonlocal count
        count += 1  # a new draw each time, at the cost a training loop has
        single = not isinstance(images, torch.Tensor)
        return views(images, key=(0, count, 0) if single else count)

    return call


def albumentations(recipe: Recipe, finish: str = "none") -> Call:
    """Views as arrays (`none`), or as tensors of levels (`uint8`) or normalised (`imagenet`), as ours have it."""
    import albumentations as A
    from albumentations.pytorch import ToTensorV2

    side = (recipe.size, recipe.size)
    steps = [
        A.RandomResizedCrop(side, AREA, RATIO),
        A.HorizontalFlip(),
        A.ColorJitter(*recipe.jitter, p=0.8),
        A.ToGray(p=0.2),
    ]
    if recipe.blur:
        steps.append(A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2.0), p=recipe.blur))
    if finish == "imagenet":
        steps.append(A.Normalize(MEAN, STD))
    compose = A.Compose([*steps, ToTensorV2()] if finish != "none" else steps)
    return lambda image: [compose(image=image)["image"] for _ in range(2)]


def torchvision(recipe: Recipe, normalise: bool = False, device: str = "cpu") -> Call:
    """v2 on one PIL image or one uint8 tensor, whichever comes."""
    from torchvision.transforms import v2

    steps: list[Any] = [
        v2.RandomResizedCrop(recipe.size, AREA, RATIO, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(*recipe.jitter)], 0.8),
        v2.RandomGrayscale(0.2),
    ]
    if recipe.blur:
        steps.append(v2.RandomApply([v2.GaussianBlur(recipe.taps, (0.1, 2.0))], recipe.blur))
    if normalise:
        steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    compose = v2.Compose(steps)
    return lambda image: [compose(image) for _ in range(2)]


def lightly(recipe: Recipe, normalise: bool = False) -> Call:
    """SimCLRTransform; the conversion to a float tensor is part of it."""
    from lightly.transforms import SimCLRTransform

    return SimCLRTransform(
        input_size=recipe.size, cj_strength=recipe.strength, gaussian_blur=recipe.blur, sigmas=(0.1, 2.0),
        normalize={"mean": list(MEAN), "std": list(STD)} if normalise else None,
    )  # fmt: skip


def kornia(recipe: Recipe, device: str = "cpu") -> Call:
    """On a float batch in [0, 1], its own kind of input; small images cropped in one call, which is faster there."""
    import kornia.augmentation as K

    cropping = "resample" if recipe.size <= 64 else "slice"
    steps = [
        K.RandomResizedCrop((recipe.size, recipe.size), AREA, RATIO, cropping_mode=cropping), K.RandomHorizontalFlip(),
        K.ColorJitter(*recipe.jitter, p=0.8), K.RandomGrayscale(p=0.2),
    ]  # fmt: skip
    if recipe.blur:
        steps.append(K.RandomGaussianBlur((recipe.taps, recipe.taps), (0.1, 2.0), p=recipe.blur))
    compose = K.AugmentationSequential(*steps, data_keys=["input"])
    return lambda batch: [compose(batch) for _ in range(2)]


def each(call: Call) -> Call:
    """The same on every image of a list."""
    return lambda images: [call(image) for image in images]


def decoded(call: Call, as_pil: bool) -> Call:
    """The same on a JPEG file's bytes."""
    import io

    def from_bytes(data: bytes) -> Any:
        if as_pil:
            return call(Image.open(io.BytesIO(data)).convert("RGB"))
        levels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        return call(levels)

    return from_bytes
