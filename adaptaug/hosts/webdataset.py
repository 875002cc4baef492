"""webdataset: views of a stream's samples, keyed by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch

from adaptaug import keys
from adaptaug.errors import AdaptAugError
from adaptaug.shared import Shared, Sharing

_FRESH = -1


class Keyed(Sharing):
    """`WebDataset(urls).decode("pil").map(Keyed(views)).to_tuple("jpg", "cls")`: a sample's `__key__` is its identity.

    After `set_epoch(e)` a sample's views are a function of (seed, e, `__key__`) alone, whichever worker makes them;
    without, they are fresh. `.map_tuple(views, ...)` with the views themselves does where keys do not matter.

    Args:
        views: a Views, a MultiCrop or an AdaptiveAugment; image: the field of the images; seed: of the whole run.
    """

    def __init__(self, views: Callable[..., Any], image: str = "jpg", seed: int = 0):
        self.views, self.image, self.seed = views, image, seed
        self._epoch = Shared(torch.full((1,), _FRESH, dtype=torch.int64))

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(sample, dict) or self.image not in sample or "__key__" not in sample:
            got = ", ".join(sample) if isinstance(sample, dict) else type(sample).__name__
            raise AdaptAugError(
                f"expected a sample with '__key__' and an image as {self.image!r}, got {got}."
            )
        index = int.from_bytes(hashlib.sha256(sample["__key__"].encode()).digest()[:8], "little", signed=True)
        epoch = int(self._epoch[0])
        key = (keys.fresh_seed(), 0, index) if epoch == _FRESH else (self.seed, epoch, index)
        return {**sample, self.image: self.views(sample[self.image], key=key)}

    def set_epoch(self, epoch: int) -> None:
        """Fix the epoch of all keys from now on, in every worker."""
        if epoch < 0:
            raise AdaptAugError(f"set_epoch: expected an epoch of 0 or more, got {epoch}.")
        self._epoch[0] = epoch
