"""Keyed: hand each item of a data set its own key, so that its views do not depend on the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import Dataset

from adaptaug import keys
from adaptaug.errors import AdaptAugError

_FOLLOW_VISITS = -1


class Keyed(Dataset[Any]):
    """A data set whose first field goes through `views` with the key (seed, epoch, index).

    Args:
        dataset: a map-style data set without a transform; items are an image or a tuple whose first field is one.
        views: a Views, an AdaptiveAugment, or any callable that takes `key=`.
        seed: of the whole run.

    The epoch is how often an item has been asked for, counted in shared memory: right with any number of
    workers, forked, spawned or persistent, and nothing to remember. `set_epoch` fixes it instead, for a
    resumed run or a distributed sampler (do both there: `sampler.set_epoch(e); keyed.set_epoch(e)`).
    """

    def __init__(self, dataset: Any, views: Callable[..., Any], seed: int = 0):
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise AdaptAugError(
                f"Keyed: expected a map-style data set with a length, got {type(dataset).__name__}; "
                "for a stream pass key=(seed, epoch, number) to the views yourself."
            )
        if not callable(views):
            raise AdaptAugError(
                f"Keyed: expected Views or AdaptiveAugment as second argument, got {type(views).__name__}."
            )
        self.dataset, self.views, self.seed = dataset, views, seed
        self._visits = torch.zeros(len(dataset), dtype=torch.int64).share_memory_()
        self._epoch = torch.full((1,), _FOLLOW_VISITS, dtype=torch.int64).share_memory_()
        self._rank: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker is outside the process group and cannot ask for its rank.
        return self.__dict__ | {"_rank": keys.distributed_rank()}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        index = int(index)
        index += len(self) if index < 0 else 0
        item = self.dataset[index]
        image, rest = (item[0], tuple(item[1:])) if isinstance(item, (tuple, list)) else (item, None)
        views = self.views(image, key=self._key(index))
        return views if rest is None else (views, *rest)

    def _key(self, index: int) -> tuple[int, int, int]:
        epoch = int(self._epoch[0])
        if epoch != _FOLLOW_VISITS:
            return self.seed, epoch, index
        visit = int(self._visits[index])
        self._visits[index] += 1
        # Ranks share no memory, so without set_epoch each has numbers of its own.
        rank = keys.distributed_rank() if self._rank is None else self._rank
        return self.seed + (rank << 32), visit, index

    def set_epoch(self, epoch: int) -> None:
        """Fix the epoch of all keys from now on, in every worker."""
        if epoch < 0:
            raise AdaptAugError(f"set_epoch: expected an epoch of 0 or more, got {epoch}.")
        self._epoch[0] = epoch
