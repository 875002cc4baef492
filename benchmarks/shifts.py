"""What is done to images before training and testing: exposure shifts, and tests of what a feature relies on.

All are functions of uint8 images (N, 3, H, W) and a seed; image i of a data set is always shifted the same way.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

EXPOSURES = ("clean", "dark", "over", "low")  # a quarter each of the mixture
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def _to_linear(levels: torch.Tensor) -> torch.Tensor:
    """sRGB levels 0..255 -> linear light in [0, 1] (IEC 61966-2-1)."""
    value = levels.float() / 255
    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _to_levels(linear: torch.Tensor) -> torch.Tensor:
    value = torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=1e-9) ** (1 / 2.4) - 0.055
    )
    return torch.round(value.clamp(0, 1) * 255).to(torch.uint8)


def expose(images: torch.Tensor, index: np.ndarray, exposure: str, seed: int = 0) -> torch.Tensor:
    """Images as a camera would have taken them in other light: in linear light, then rounded to 8 bits again.

    dark: light times 2^-4 .. 2^-2. over: light times 2 .. 2^2.6, clipped. low: contrast times .12 .. .35 about a veil
    of light of .2 .. .6. mixed: one of the four (clean among them) for each image. `index`: each image's number
    in its data set, which with the seed decides amount and kind.
    """
    if exposure == "clean":
        return images
    numbers = np.stack([np.random.default_rng((seed, 31, int(i))).random(4) for i in index])
    kind = (
        np.array(EXPOSURES)[(numbers[:, 0] * 4).astype(int)] if exposure == "mixed" else np.array([exposure])
    )
    column = lambda n: torch.from_numpy(numbers[:, n]).float().view(-1, 1, 1, 1)  # noqa: E731
    light = _to_linear(images)
    contrast, veil = 0.12 + 0.23 * column(2), 0.2 + 0.4 * column(3)
    shifts = {
        "clean": light, "dark": light * 2 ** (-4 + 2 * column(1)), "over": light * 2 ** (1 + 1.6 * column(1)),
        "low": light * contrast + veil * (1 - contrast),
    }  # fmt: skip
    out = images.clone()
    for name, shifted in shifts.items():
        mask = torch.from_numpy(np.broadcast_to(kind == name, len(images)).copy())
        if name != "clean" and mask.any():
            out[mask] = _to_levels(shifted[mask])
    return out


def grey(images: torch.Tensor) -> torch.Tensor:
    """Luma in all three channels: colour cannot be relied on."""
    weights = torch.tensor(YIQ[0]).float().view(1, 3, 1, 1)
    luma = (images.float() * weights).sum(1, keepdim=True)
    return luma.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1).contiguous()


def turn_hue(images: torch.Tensor, degrees: float = 120.0) -> torch.Tensor:
    """Chroma turned in YIQ, luma kept but for clipping: colour misleads."""
    angle = np.radians(degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    matrix = torch.from_numpy(np.linalg.inv(YIQ) @ turn @ YIQ).float()
    turned = torch.einsum("ij,njhw->nihw", matrix, images.float())
    return turned.round().clamp(0, 255).to(torch.uint8)


def occlude(images: torch.Tensor) -> torch.Tensor:
    """One quarter of image i, the (i mod 4)-th, is replaced by the image's mean colour."""
    out, half = images.clone(), images.shape[-1] // 2
    for place in range(4):
        rows, columns = (
            (slice(0, half), slice(half, None))[place // 2],
            (slice(0, half), slice(half, None))[place % 2],
        )
        mean = images[place::4].float().mean((2, 3), keepdim=True).round().to(torch.uint8)
        part = out[place::4]
        part[:, :, rows, columns] = mean
    return out


def crop_centre(images: torch.Tensor, share: float = 0.625) -> torch.Tensor:
    """The middle `share` of each side, resized to the whole."""
    side = images.shape[-1]
    inner = round(side * share)
    first = (side - inner) // 2
    part = images[:, :, first : first + inner, first : first + inner].float()
    large = functional.interpolate(part, (side, side), mode="bilinear", align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8)


RELIANCE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "grey": grey, "hue": turn_hue, "occluded": occlude, "centre": crop_centre,
}  # fmt: skip


def is_grey(images: torch.Tensor) -> bool:
    """Whether no image has colour."""
    return bool((images[:, 0] == images[:, 1]).all() and (images[:, 0] == images[:, 2]).all())
