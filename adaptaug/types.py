"""What users hand in and get back, as editors and type checkers show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, Union

import numpy as np
import torch

if TYPE_CHECKING:
    from PIL import Image

# One image or a batch: a PIL image; (H, W, 3) uint8 or deeper; (3, H, W) or (B, 3, H, W), uint8 or floats in [0, 1];
# an image file's bytes.
ImageLike: TypeAlias = Union["Image.Image", np.ndarray, torch.Tensor, bytes]
# (seed, epoch, index) of one image, or one for each of a batch; a seed alone; (B, 3) int64 on any device.
Key: TypeAlias = int | tuple[int, int, int] | Sequence[tuple[int, int, int]] | np.ndarray | torch.Tensor
# none: the kind that came; unit: float32 CHW in [0, 1]; imagenet: that, normalised; uint8: CHW levels.
Finish: TypeAlias = Literal["none", "unit", "imagenet", "uint8"]
Size: TypeAlias = int  # a view's side in pixels, 8 to 4096

__all__ = ["Finish", "ImageLike", "Key", "Size"]
