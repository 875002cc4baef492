"""How alike two views look, without a network: the stand-in by which a pair is kept inside a policy's `band`.

A view is described by where its edges run (histograms of gradient direction, 8 directions in 4 x 4 cells, each view's
normalised) and by its colours (histograms of luma and of two colour differences, 8 levels each, soft). The similarity
is the mean of the two cosines, moved so that views of different photographs are near 0:
(mean cosine - MU) / (1 - MU). 1 is the same view; the least seen is about -.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

Alike = Callable[[Any, Any], torch.Tensor]  # views in pairs, as `similarity` takes them -> (B,)

# About the mean cosine of `natural` views of different images, CIFAR-10's and photographs (benchmarks/band.py).
MU = 0.70
_SIDE, _CELLS, _DIRECTIONS, _LEVELS = 32, 4, 8, 8


def similarity(first: Any, second: Any) -> torch.Tensor:
    """(B,) similarity of views in pairs.

    Args: first, second: (B, 3, S, S) float levels 0..255, or one (S, S, 3) uint8 array each.
    """
    one, other = _describe(_tensor(first)), _describe(_tensor(second))
    cosine = torch.stack([(a * b).sum(1) for a, b in zip(one, other, strict=True)]).mean(0)
    return (cosine - MU) / (1.0 - MU)


def _tensor(view: torch.Tensor | np.ndarray) -> torch.Tensor:
    if isinstance(view, np.ndarray):
        return torch.from_numpy(view.astype(np.float32)).permute(2, 0, 1)[None]
    return view


def _describe(views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    small = functional.adaptive_avg_pool2d(views, _SIDE) / 255.0
    red, green, blue = small.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return _edges(luma), _colours(torch.stack([luma, (red - green) / 2 + 0.5, (blue - luma) / 2 + 0.5], 1))


def _edges(luma: torch.Tensor) -> torch.Tensor:
    across = functional.pad(luma[:, :, 2:] - luma[:, :, :-2], (1, 1))
    down = functional.pad(luma[:, 2:] - luma[:, :-2], (0, 0, 1, 1))
    size = torch.sqrt(across**2 + down**2 + 1e-12)
    turn = torch.atan2(down, across) / torch.pi % 1.0 * _DIRECTIONS  # of an edge, whichever side is bright
    places = torch.arange(_DIRECTIONS, device=luma.device)[:, None, None]
    away = torch.abs(turn[:, None] - places)
    away = torch.minimum(away, _DIRECTIONS - away)
    cells = functional.avg_pool2d(size[:, None] * torch.relu(1.0 - away), _SIDE // _CELLS)
    return functional.normalize(cells.flatten(1), dim=1)


def _colours(channels: torch.Tensor) -> torch.Tensor:
    places = (torch.arange(_LEVELS, device=channels.device) / (_LEVELS - 1))[:, None, None]
    weight = torch.relu(1.0 - torch.abs(channels[:, :, None] - places) * (_LEVELS - 1))
    return functional.normalize(torch.sqrt(weight.mean((3, 4)) + 1e-12).flatten(1), dim=1)
