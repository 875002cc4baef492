"""How alike a small frozen encoder finds two views: the strict way to hold a policy's `band`.

C = (cos(z1, z2) - apart) / (1 - apart), with z an encoder's features of the views and `apart` the mean cosine of
different images: 1 is the same view to it, 0 as different as another image. Its scale is not that of `similarity`, so
a band wants numbers of its own. The cost, up to four encoder passes a view, is in benchmarks/README.md.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from adaptaug.errors import AdaptAugError
from adaptaug.stats.similarity import Alike


class Judge:
    """A measure of likeness for `Views(policy, judge=...)`.

    Args:
        encoder: (B, 3, S, S) floats in [0, 1] -> (B, D) features; or what `load_backbone` reads: the folder of a run,
            a file of weights (`load_backbone(file, normalise=...)` where its normalisation is taken wrong). A module
            is copied and frozen: what is trained goes on without it.
        images: (N, 3, H, W) of the data, uint8 or floats in [0, 1], two or more, for `apart`; without any it is 0.

    Raises: AdaptAugError: no such encoder, or images that are not that.
    """

    def __init__(self, encoder: nn.Module | str | Path, images: torch.Tensor | None = None):
        if not isinstance(encoder, nn.Module):
            from adaptaug.encoders.backbone import load_backbone

            encoder = load_backbone(encoder)
        self._encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self.apart = 0.0 if images is None else self._apart(images)

    def __call__(self, first: Any, second: Any) -> torch.Tensor:
        """(B,) C of views in pairs: (B, 3, S, S) float levels 0..255, or one (S, S, 3) uint8 array each."""
        one, other = (self._embed(_unit(view)) for view in (first, second))
        return ((one * other).sum(1) - self.apart) / (1.0 - self.apart)

    @torch.no_grad()
    def _embed(self, images: torch.Tensor) -> torch.Tensor:
        features = self._encoder.to(images.device)(images)
        return functional.normalize(features.flatten(1).float(), dim=1)

    def _apart(self, images: torch.Tensor) -> float:
        if images.ndim != 4 or len(images) < 2:
            raise AdaptAugError(
                f"images: expected two or more, (N, 3, H, W), to be told apart, got {tuple(images.shape)}."
            )
        z = self._embed(images.float() / 255.0 if images.dtype == torch.uint8 else images)
        count = len(z)
        return min(0.99, float((z.sum(0).square().sum() - count) / (count * (count - 1))))


def as_measure(judge: Alike | nn.Module | str | Path) -> Alike:
    """What `Views` takes as judge -> a measure."""
    return Judge(judge) if isinstance(judge, nn.Module | str | Path) else judge


def _unit(view: torch.Tensor | np.ndarray) -> torch.Tensor:
    if isinstance(view, np.ndarray):
        view = torch.from_numpy(view.astype(np.float32)).permute(2, 0, 1)[None]
    return view / 255.0
