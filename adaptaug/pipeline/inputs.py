"""The edge: whatever image the caller has -> what an engine reads, and back.

On the CPU without gradients that is 8-bit levels for the compiled core: one (H, W, C) array or a (B, C, H, W) tensor.
For torch it is (B, 3, H, W) float32 levels 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from adaptaug.backend.arrays import may_look
from adaptaug.backend.levels import luma_levels
from adaptaug.core import engine
from adaptaug.data.depth import KINDS, check_colours, is_deep, to_levels, to_unit
from adaptaug.data.transparency import shown
from adaptaug.errors import AdaptAugError

FINISHES = ("none", "unit", "imagenet", "uint8")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ACCEPTED = "expected a PIL image, an (H, W, 3) uint8 array, or a (3, H, W) or (B, 3, H, W) tensor"
_PIL_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB")


@dataclass(frozen=True)
class Source:
    """An image or batch as it came, and what it was.

    `data`: one (H, W, C) uint8 array, or a (B, C, H, W) tensor, uint8 or float in [0, 1]; C is 1 or 3.
    """

    data: Any
    kind: str  # "pil", "plane" (H, W), "array" (H, W, C), "image" (one tensor), "batch"
    mode: str = "RGB"
    plain: bool = True  # whether the core may read it: on the CPU, without gradients, not a fake one

    def __len__(self) -> int:
        return 1 if isinstance(self.data, np.ndarray) else int(self.data.shape[0])

    @property
    def channels(self) -> int:
        return int(self.data.shape[2 if isinstance(self.data, np.ndarray) else 1])

    @property
    def device(self) -> torch.device:
        return self.data.device if isinstance(self.data, torch.Tensor) else torch.device("cpu")

    @property
    def single(self) -> bool:
        """Whether it is an image in NumPy: what is said of it is in NumPy, too."""
        return isinstance(self.data, np.ndarray)

    def eight_bits(self) -> Any:
        """What the core reads: the array, or the batch as contiguous uint8 levels."""
        if self.single or self.data.dtype == torch.uint8:
            return self.data if self.single else self.data.contiguous()
        return torch.round(self.data.to(torch.float32) * 255.0).to(torch.uint8).contiguous()

    def planes(self) -> torch.Tensor:
        """(B, 3, H, W) whole levels, uint8 where they came so."""
        if self.single:
            batch = torch.as_tensor(self.data if self.data.flags.writeable else self.data.copy()).permute(
                2, 0, 1
            )[None]
        elif self.data.dtype == torch.uint8:
            batch = self.data
        else:
            batch = torch.round(self.data.to(torch.float32) * 255.0)
        return batch.expand(-1, 3, -1, -1) if self.channels == 1 else batch

    def levels(self) -> torch.Tensor:
        """What torch reads: the same in float32."""
        return self.planes().to(torch.float32)


def read(images: Any) -> Source:
    """Take what the caller has; of more than 8 bits a channel, by its own range (`depth`).

    Raises: AdaptAugError: another type, shape, range or channel count, named in one sentence.
    """
    if isinstance(images, Image.Image):
        if not (is_deep(images) or images.has_transparency_data or images.mode in _PIL_MODES):
            raise AdaptAugError(
                f"{_ACCEPTED}; got a PIL image of mode {images.mode!r}: convert it to 'RGB' first."
            )
        try:  # PIL reads a file's pixels only now
            plain = shown(images)
            grey = plain.mode in ("1", "L")
            plain = plain if plain.mode in ("RGB", "L") else plain.convert("L" if grey else "RGB")
            array = np.asarray(plain)
        except AdaptAugError:
            raise
        except (OSError, SyntaxError, ValueError) as error:
            raise AdaptAugError(
                f"{_ACCEPTED}; got a PIL image whose pixels cannot be read: {error}."
            ) from error
        return Source(_checked(array[:, :, None] if grey else array), "pil", "L" if grey else "RGB")
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
    if array.size:
        if array.dtype.kind == "f" and array.shape[2] == 3 and array.min() < 0.0:
            check_colours(float(array.min()), float(array.max()))
        array = to_levels(array)
    # Rows may have a gap between them.
    gapless = array.strides[1:] == (array.shape[2], 1) and array.strides[0] > 0
    return Source(_checked(array if gapless else np.ascontiguousarray(array)), kind)


def _checked(array: np.ndarray) -> np.ndarray:
    if min(array.shape[:2]) < 2:
        raise AdaptAugError(f"{_ACCEPTED} of at least 2 x 2 pixels; got {array.shape[1]} x {array.shape[0]}.")
    return array


def _read_tensor(tensor: torch.Tensor) -> Source:
    if tensor.layout != torch.strided or tensor.is_nested or tensor.device.type == "meta":
        kind = "meta" if tensor.device.type == "meta" else "nested" if tensor.is_nested else "sparse"
        way = "it holds no pixels" if kind == "meta" else "make it dense first"
        raise AdaptAugError(f"{_ACCEPTED}; got a {kind} tensor: {way}.")
    plain = may_look(tensor) and not tensor.requires_grad
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
    if not (tensor.dtype == torch.uint8 or tensor.is_floating_point() or str(tensor.dtype)[6:] in KINDS):
        raise AdaptAugError(
            f"{_ACCEPTED}; got a tensor of {tensor.dtype}: scale it to 0..255 and use uint8, or to 0..1 and use floats."
        )
    if tensor.dtype != torch.uint8:
        tensor = to_unit(tensor)
    return Source(tensor if tensor.ndim == 4 else tensor[None], kind, plain=plain)


@cache
def _mean_and_std(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """ImageNet's, in levels, (3, 1, 1) each, kept on each device: making them anew takes as long as using them."""
    both = torch.tensor([IMAGENET_MEAN, IMAGENET_STD], device=device).reshape(2, 3, 1, 1) * 255.0
    return both[0], both[1]


def core_form(source: Source, finish: str) -> engine.Form:
    """How the core writes a view of that source for `finish`."""
    if finish in ("unit", "imagenet"):
        return _floats(finish)
    if finish == "uint8":
        return engine.PLANAR_RGB
    if source.single:
        return engine.LUMA if source.kind != "pil" and source.channels == 1 else engine.INTERLEAVED_RGB
    return engine.PLANAR_LUMA if source.channels == 1 else engine.PLANAR_RGB


@cache
def _floats(finish: str) -> engine.Form:
    """Normalisation as one product and one sum a level."""
    if finish == "unit":
        return engine.Form(engine.FLOATS, 3, (1.0 / 255.0,) * 3)
    scale = [1.0 / (255.0 * std) for std in IMAGENET_STD]
    offset = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    return engine.Form(engine.FLOATS, 3, scale, offset)


def write_core(room: Any, source: Source, finish: str) -> Any:
    """What the core wrote in `core_form` -> what the caller wants."""
    if finish != "none":
        return room if source.kind == "batch" else room[0]
    if source.kind == "pil":
        image = Image.fromarray(room[0])
        return image.convert("L") if source.mode == "L" else image
    if source.single:
        return room[0][:, :, None] if source.kind == "array" and source.channels == 1 else room[0]
    out = room if source.data.dtype == torch.uint8 else (room.to(torch.float32) / 255.0).to(source.data.dtype)
    return out if source.kind == "batch" else out[0]


def from_planes(room: torch.Tensor, source: Source, finish: str) -> Any:
    """(B, 3, S, S) uint8 views as if they had been written in `core_form`."""
    form = core_form(source, finish)
    if form.kind == engine.PLANAR and form.channels == 3:
        return room
    if form.kind == engine.FLOATS:
        scale, offset = (torch.tensor(list(v)).reshape(3, 1, 1) for v in (form.scale, form.offset))
        return room.to(torch.float32).mul_(scale).add_(offset)
    if form.channels == 1:
        luma = luma_levels(room.to(torch.float32)).to(torch.uint8)
        return luma[:, None] if form.kind == engine.PLANAR else luma.numpy()
    return room.permute(0, 2, 3, 1).contiguous().numpy()


def write(pixels: torch.Tensor, source: Source, finish: str) -> Any:
    """Rendered (B, 3, S, S) float levels -> what the caller wants, one of FINISHES; `none` is what came."""
    if finish == "none":
        grey = source.channels == 1 and source.kind != "pil"
        out = luma_levels(pixels)[:, None] if grey else pixels
        if source.single:
            return write_core(_as_array(out, source), source, finish)
        out = out.to(torch.uint8) if source.data.dtype == torch.uint8 else (out / 255.0).to(source.data.dtype)
        return out if source.kind == "batch" else out[0]
    out = pixels if source.kind == "batch" else pixels[0]
    if finish == "uint8":
        return out.to(torch.uint8)
    if finish == "unit":
        return out / 255.0
    mean, std = _mean_and_std(out.device)
    return (out - mean) / std


def _as_array(levels: torch.Tensor, source: Source) -> np.ndarray:
    """(B, C, S, S) levels as the core writes them for an array: (B, S, S, 3), or (B, S, S) of one channel."""
    array = levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return array[..., 0] if array.shape[3] == 1 else array
