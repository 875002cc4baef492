"""Keyed: hand each item of a data set its own key, so that its views do not depend on the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any

import torch
from torch.utils.data import Dataset

from adaptaug import keys
from adaptaug.errors import AdaptAugError
from adaptaug.policy import Policy
from adaptaug.shared import Shared, SharedText, Sharing

_FOLLOW_VISITS = -1


class Keyed(Sharing, Dataset[Any]):
    """A data set whose images go through `views` with the key (seed, epoch, index).

    Args:
        dataset: a map-style data set without a transform; items are an image, or a tuple or mapping with one in it.
        views: a Views, an AdaptiveAugment, or any callable that takes `key=`.
        seed: of the whole run.
        field: where the image is in a tuple or mapping: its place or its name.

    The epoch is how often an item has been asked for, counted in shared memory: right with any number of
    workers, forked, spawned or persistent, and nothing to remember. `set_epoch` fixes it instead, for a
    resumed run or a distributed sampler (do both there: `sampler.set_epoch(e); keyed.set_epoch(e)`).
    `set_policy` changes the policy in every worker, persistent ones too.
    """

    def __init__(self, dataset: Any, views: Callable[..., Any], seed: int = 0, field: int | str = 0):
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise AdaptAugError(
                f"Keyed: expected a map-style data set with a length, got {type(dataset).__name__}; "
                "for a stream pass key=(seed, epoch, number) to the views yourself."
            )
        if not callable(views):
            raise AdaptAugError(
                f"Keyed: expected Views or AdaptiveAugment as second argument, got {type(views).__name__}."
            )
        self.dataset, self.views, self.seed, self.field = dataset, views, seed, field
        self._policy = SharedText()
        self._visits = Shared(torch.zeros(len(dataset), dtype=torch.int64))
        self._epoch = Shared(torch.full((1,), _FOLLOW_VISITS, dtype=torch.int64))
        self._rank: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker is outside the process group and cannot ask for its rank; a launcher has none to tell.
        return self.__dict__ | ({"_rank": keys.distributed_rank()} if keys.distributed() else {})

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """What torch's loader asks a batch's samples by: all of one policy, however often it changes."""
        if (text := self._policy.changed()) is not None:
            self.views = copy(self.views)  # whoever else has these views keeps their policy
            self.views.policy = Policy.loads(text)  # type: ignore[attr-defined]
        return [self._sample(int(index)) for index in indices]

    def _sample(self, index: int) -> Any:
        index += len(self) if index < 0 else 0
        item = self.dataset[index]
        if isinstance(item, (tuple, list)):
            item, place = tuple(item), self._there(item, range(len(item)))
            views = self.views(item[place], key=self._key(index))
            return (*item[:place], views, *item[place + 1 :])
        if isinstance(item, Mapping):
            return {**item, self.field: self.views(item[self._there(item, item)], key=self._key(index))}
        return self.views(item, key=self._key(index))

    def _there(self, item: Any, fields: Iterable[Any]) -> Any:
        """The field that has the image. Raises: AdaptAugError: the samples have others."""
        if self.field not in fields:
            known = ", ".join(repr(field) for field in fields)
            raise AdaptAugError(
                f"Keyed: expected field= to be one of a sample's ({known}), got {self.field!r}."
            )
        return self.field

    def _key(self, index: int) -> tuple[int, int, int]:
        epoch = int(self._epoch[0])
        if epoch != _FOLLOW_VISITS:
            return self.seed, epoch, index
        visit = int(self._visits[index])
        self._visits[index] += 1
        # Ranks share no memory, so without set_epoch each has numbers of its own.
        rank = keys.distributed_rank() if self._rank is None or keys.distributed() else self._rank
        return self.seed + (rank << 32), visit, index

    def set_epoch(self, epoch: int) -> None:
        """Fix the epoch of all keys from now on, in every worker."""
        if epoch < 0:
            raise AdaptAugError(f"set_epoch: expected an epoch of 0 or more, got {epoch}.")
        self._epoch[0] = epoch

    def set_policy(self, policy: Policy) -> None:
        """Take another policy from now on, in every worker: batches that are being read may still have the old one."""
        if not isinstance(policy, Policy):
            raise AdaptAugError(
                f"set_policy: expected a Policy, got {policy!r:.60}; Policy.load makes one of a name or a file."
            )
        if not hasattr(self.views, "policy"):
            raise AdaptAugError(
                f"set_policy: expected Views or AdaptiveAugment to change, got {type(self.views).__name__}."
            )
        self._policy.write(policy.dumps())
