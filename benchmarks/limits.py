"""The limit of benchmarks.throughput: the kernels that a row's result cannot do without, called with ready arguments.

Nothing is drawn, measured, decided or checked here, crops lie on whole pixels, and what a view does not need for its
draw is left out (a tenth of the views would do without colour): no library can be below it with the same kernels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from adaptaug.pipeline.encoded import SHRINKS
from benchmarks.peers import MEAN, STD, Call, Recipe

_DRAWS = 64


def _boxes(rng: np.random.Generator, width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Crops as the recipe draws them, on whole pixels: x, y, w, h."""
    boxes = []
    for _ in range(_DRAWS):
        area, ratio = (
            rng.uniform(0.08, 1.0) * width * height,
            np.exp(rng.uniform(np.log(0.75), np.log(4 / 3))),
        )
        w, h = min(width, int((area * ratio) ** 0.5)), min(height, int((area / ratio) ** 0.5))
        boxes.append((int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1)), w, h))
    return boxes


def one_image(recipe: Recipe, width: int, height: int, encoded: bool = False) -> Call:
    """Two views of one (H, W, 3) uint8 array, or normalised ones of a JPEG's bytes (`encoded`).

    Resize, flip, one 3x4 colour map, blur, each as often as it is drawn.
    """
    rng = np.random.default_rng(0)
    boxes, gates = _boxes(rng, width, height), rng.random((_DRAWS, 3)).tolist()
    colour = np.hstack([np.eye(3) * 0.9 + 0.02, np.full((3, 1), 5.0)])
    kernels = [cv2.getGaussianKernel(2 * int(np.ceil(3 * s)) + 1, s) for s in rng.uniform(0.1, 2.0, _DRAWS)]
    mean, std = (torch.tensor(v).reshape(3, 1, 1) * 255.0 for v in (MEAN, STD))
    count = 0

    def view(image: np.ndarray, shrink: int = 1) -> Any:
        nonlocal count
        i = count = (count + 1) % _DRAWS
        x, y, w, h = (side // shrink for side in boxes[i])
        reduce = max(1, min(w, h) // recipe.size)
        part = image[y : y + h, x : x + w]
        if reduce > 1:  # down-scaling by more than 2 has to average
            whole = part[: h // reduce * reduce, : w // reduce * reduce]
            part = cv2.resize(whole, (w // reduce, h // reduce), interpolation=cv2.INTER_AREA)
        out = cv2.resize(part, (recipe.size, recipe.size))
        out = cv2.flip(out, 1) if gates[i][0] < 0.5 else out
        out = cv2.transform(out, colour) if gates[i][1] < 0.8 else out
        if gates[i][2] < recipe.blur:
            out = cv2.sepFilter2D(out, -1, kernels[i], kernels[i])
        if not encoded:
            return out
        return torch.from_numpy(out).permute(2, 0, 1).to(torch.float32).sub_(mean).div_(std)

    def from_bytes(data: bytes) -> Any:
        """Decoded no larger than the next two crops need."""
        least = min(min(boxes[(count + i) % _DRAWS][2:]) for i in (1, 2))
        shrink = max(n for n in SHRINKS if n == 1 or n * recipe.size <= least)
        image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), SHRINKS[shrink]))
        return [view(image, shrink), view(image, shrink)]

    return from_bytes if encoded else lambda image: [view(image), view(image)]


def batch(recipe: Recipe, count: int, device: str = "cpu") -> Call:
    """Two views of a uint8 batch: to float, one `grid_sample`, one 3x4 map, back to uint8; grids and maps are ready."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.rand(count, 2, generator=generator) * 0.6 + 0.3
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0], scale[:, 1]
    grid = F.affine_grid(theta, [count, 3, recipe.size, recipe.size], align_corners=False).to(device)
    colour = (torch.eye(3) * 0.9 + 0.02).expand(count, 3, 3).contiguous().to(device)
    offset = torch.full((count, 3, 1), 5.0, device=device)

    def view(levels: torch.Tensor) -> torch.Tensor:
        crop = F.grid_sample(levels, grid, padding_mode="border", align_corners=False)
        out = torch.baddbmm(offset, colour, crop.flatten(2)).clamp_(0, 255).round_()
        return out.reshape(crop.shape).to(torch.uint8)

    def call(images: torch.Tensor) -> Any:
        levels = images.to(torch.float32)
        return [view(levels), view(levels)]

    return call
