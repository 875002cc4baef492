"""The edge: whatever image the caller has -> what a renderer reads, and back.

Inside, a single image is (H, W, 3) uint8 for OpenCV, a batch is (B, 3, H, W) float32 levels 0..255 for torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from adaptaug.arrays import may_look
from adaptaug.depth import is_deep, to_levels
from adaptaug.errors import AdaptAugError
from adaptaug.levels import luma_levels
from adaptaug.render import opencv as _opencv
from adaptaug.render import torch as _torch

FINISHES = ("none", "unit", "imagenet", "uint8")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ACCEPTED = "expected a PIL image, an (H, W, 3) uint8 array, or a (3, H, W) or (B, 3, H, W) tensor"
_PIL_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB")


@dataclass(frozen=True)
class Source:
    """An image or batch as a renderer reads it, and what it was."""

    engine: ModuleType
    pixels: Any
    kind: str  # "pil", "plane" (H, W), "array" (H, W, C), "image" (one tensor), "batch"
    channels: int
    dtype: torch.dtype | None
    mode: str = "RGB"

    def __len__(self) -> int:
        return int(self.pixels.shape[0]) if self.engine is _torch else 1

    @property
    def device(self) -> torch.device | None:
        return self.pixels.device if self.engine is _torch else None


def read(images: Any) -> Source:
    """Take what the caller has; of more than 8 bits a channel, by its own range (`depth`).

    Raises: AdaptAugError: another type, shape, range or channel count, named in one sentence.
    """
    if isinstance(images, Image.Image):
        deep = is_deep(images)
        clear = "transparency" in images.info and (deep or images.mode == "P")
        if clear or not (deep or images.mode in _PIL_MODES):
            raise AdaptAugError(
                f"{_ACCEPTED}; got a PIL image of mode {images.mode!r}: convert it to 'RGB' first"
                + (" (flatten the transparency yourself)." if images.has_transparency_data else ".")
            )
        try:  # PIL reads a file's pixels only now
            shown = to_levels(images) if deep else images
            array = np.asarray(shown if shown.mode == "RGB" else shown.convert("RGB"))
        except AdaptAugError:
            raise
        except (OSError, SyntaxError, ValueError) as error:
            raise AdaptAugError(
                f"{_ACCEPTED}; got a PIL image whose pixels cannot be read: {error}."
            ) from error
        return Source(_opencv, _checked(array), "pil", 3, None, "L" if shown.mode in ("1", "L") else "RGB")
    if isinstance(images, np.ndarray):
        return _read_array(images)
    if isinstance(images, torch.Tensor):
        return _read_tensor(images)
    if isinstance(images, bytes):
        raise AdaptAugError(
            f"{_ACCEPTED}; got bytes, which only views are made of: adaptaug.decode them first."
        )
    raise AdaptAugError(f"{_ACCEPTED}; got {type(images).__name__}.")


def _read_array(array: np.ndarray) -> Source:
    if array.dtype != np.uint8 and not is_deep(array):
        raise AdaptAugError(f"{_ACCEPTED}; got an array of {array.dtype}: scale it to 0..255 and use uint8.")
    kind = "plane" if array.ndim == 2 else "array"
    if kind == "plane":
        array = array[:, :, None]
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        raise AdaptAugError(
            f"{_ACCEPTED}; got an array of shape {array.shape}, which looks like (C, H, W): transpose it."
        )
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise AdaptAugError(f"{_ACCEPTED}; got an array of shape {array.shape}.")
    channels = array.shape[2]
    if array.size:
        array = to_levels(array)
    if channels == 1:
        array = np.repeat(array, 3, axis=2)
    return Source(_opencv, _checked(np.ascontiguousarray(array)), kind, channels, None)


def _checked(array: np.ndarray) -> np.ndarray:
    if min(array.shape[:2]) < 2:
        raise AdaptAugError(f"{_ACCEPTED} of at least 2 x 2 pixels; got {array.shape[1]} x {array.shape[0]}.")
    return array


def _read_tensor(tensor: torch.Tensor) -> Source:
    tensor = tensor.detach()  # whole levels have no gradient
    kind = "image" if tensor.ndim == 3 else "batch"
    if tensor.ndim not in (3, 4) or tensor.shape[-3] not in (1, 3):
        hint = (
            " (it looks like (H, W, C): permute it)"
            if tensor.ndim == 3 and tensor.shape[-1] in (1, 3)
            else ""
        )
        raise AdaptAugError(f"{_ACCEPTED}; got a tensor of shape {tuple(tensor.shape)}{hint}.")
    if min(tensor.shape[-2:]) < 2:
        raise AdaptAugError(
            f"{_ACCEPTED} of at least 2 x 2 pixels; got a tensor of shape {tuple(tensor.shape)}."
        )
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise AdaptAugError(f"{_ACCEPTED} of uint8 or float in [0, 1]; got {tensor.dtype}.")
    # Looking at values would wait for a GPU, so a float batch is checked where it lies in memory.
    if tensor.is_floating_point() and tensor.numel() and may_look(tensor):
        low, high = float(tensor.min()), float(tensor.max())
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise AdaptAugError(
                f"{_ACCEPTED}, float in [0, 1]; got values from {low:.4g} to {high:.4g}: "
                "augment before normalising, and scale to [0, 1]."
            )
    batch = tensor if tensor.ndim == 4 else tensor[None]
    levels = (
        batch.to(torch.float32)
        if tensor.dtype == torch.uint8
        else torch.round(batch.to(torch.float32) * 255.0)
    )
    channels = tensor.shape[-3]
    if channels == 1:
        levels = levels.expand(-1, 3, -1, -1)
    return Source(_torch, levels, kind, channels, tensor.dtype)


@cache
def _mean_and_std(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """ImageNet's, in levels, (3, 1, 1) each, kept on each device: making them anew takes as long as using them."""
    both = torch.tensor([IMAGENET_MEAN, IMAGENET_STD], device=device).reshape(2, 3, 1, 1) * 255.0
    return both[0], both[1]


def write(pixels: Any, source: Source, finish: str) -> Any:
    """Rendered pixels -> what the caller wants: `none` (what came), `unit`, `imagenet` or `uint8` tensors."""
    if finish == "none":
        if source.kind == "pil":
            image = Image.fromarray(pixels)
            return image.convert("L") if source.mode == "L" else image
        if source.kind == "plane":
            return luma_levels(pixels)
        if source.kind == "array":
            if source.channels == 1:
                return luma_levels(pixels)[:, :, None]
            return pixels.copy() if np.may_share_memory(pixels, source.pixels) else pixels  # a blank image
        assert source.dtype is not None
        out = pixels if source.channels == 3 else luma_levels(pixels)[:, None]
        out = out.to(torch.uint8) if source.dtype == torch.uint8 else (out / 255.0).to(source.dtype)
        return out if source.kind == "batch" else out[0]
    if source.engine is _opencv:
        planes = np.empty((3, *pixels.shape[:2]), np.uint8)
        cv2.split(pixels, list(planes))  # twice as fast as a transposed copy
        out = torch.from_numpy(planes)
        out = out if finish == "uint8" else out.to(torch.float32)
    else:
        out = pixels if source.kind == "batch" else pixels[0]
        out = out.to(torch.uint8) if finish == "uint8" else out
    if finish == "uint8":
        return out
    if finish == "unit":
        return out / 255.0
    mean, std = _mean_and_std(out.device)
    if source.engine is _opencv:  # a fresh copy
        return out.sub_(mean).div_(std)
    return (out - mean) / std
