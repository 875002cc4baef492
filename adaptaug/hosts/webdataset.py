"""webdataset: views of a stream's samples, keyed by their names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import get_worker_info

from adaptaug.backend import keys
from adaptaug.data.shared import Shared, Sharing
from adaptaug.errors import AdaptAugError

_FRESH = -1


class Keyed(Sharing):
    """`WebDataset(urls).decode("pil").map(Keyed(views)).to_tuple("jpg", "cls")`: a sample's `__key__` is its identity.

    After `set_epoch(e)` a sample's views are a function of (seed, e, `__key__`) and of how often the key has come
    before in this epoch, whichever worker makes them; without, they are fresh. Every worker counts what it reads, which
    is right where a key is in one worker's shards only (`.repeat()`, a key in two shards of a worker). Where several
    may draw the same one, `WebDataset(..., resampled=True)`, say `resampled=True` here too: each worker of each rank
    has draws of its own then. `.map_tuple(views, ...)` with the views themselves does where keys do not matter.

    Args:
        views: a Views, a MultiCrop or an AdaptiveAugment; image: the field of the images; seed: of the whole run;
        resampled: whether several workers or ranks may get the same sample.
    """

    def __init__(self, views: Callable[..., Any], image: str = "jpg", seed: int = 0, resampled: bool = False):
        self.views, self.image, self.seed, self.resampled = views, image, seed, resampled
        # The epoch, and how often it was set: then counts begin anew, in each worker when it next reads.
        self._epoch = Shared(torch.tensor([_FRESH, 0], device="cpu"))
        self._turn, self._visits = 0, Counter[int]()

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(sample, dict) or self.image not in sample or "__key__" not in sample:
            got = ", ".join(sample) if isinstance(sample, dict) else type(sample).__name__
            raise AdaptAugError(
                f"expected a sample with '__key__' and an image as {self.image!r}, got {got}."
            )
        index = int.from_bytes(hashlib.sha256(sample["__key__"].encode()).digest()[:8], "little", signed=True)
        return {**sample, self.image: self.views(sample[self.image], key=self._key(index))}

    def _key(self, index: int) -> tuple[int, int, int]:
        epoch, turn = self._epoch.values.tolist()
        if epoch == _FRESH:
            return keys.fresh_seed(), 0, index
        if turn != self._turn:
            self._turn, self._visits = turn, Counter()
        visit = self._visits[index]
        self._visits[index] += 1
        reader = _reader() if self.resampled else 0
        return self.seed + (reader << 32), epoch + (visit << 32), index

    def set_epoch(self, epoch: int) -> None:
        """Fix the epoch of all keys from now on, in every worker."""
        if epoch < 0:
            raise AdaptAugError(f"set_epoch: expected an epoch of 0 or more, got {epoch}.")
        self._epoch[0] = epoch
        self._epoch[1] += 1


def _reader() -> int:
    """Which of all ranks' workers this is; 0 of one process that reads by itself."""
    worker = get_worker_info()
    workers, number = (1, 0) if worker is None else (worker.num_workers, worker.id)
    return keys.distributed_rank() * workers + number
