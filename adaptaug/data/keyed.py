"""Keyed: hand each item of a data set its own key, so that its views do not depend on the workers."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from types import FrameType
from typing import Any

import torch
from torch.utils.data import ConcatDataset, Dataset

from adaptaug.backend import keys
from adaptaug.data.collation import collate, fields_of, place_of, replaced
from adaptaug.data.shared import Shared, SharedText, Sharing
from adaptaug.data.visits import Visit, VisitSampler
from adaptaug.errors import AdaptAugError
from adaptaug.policy import Policy

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

    After `set_epoch` a sample that comes again is a new picture only where the visit is known: within a batch it is
    counted; across batches and ranks (a list with repeats, WeightedRandomSampler, timm's RepeatAugSampler) hand the
    loader `sampler=keyed.sampler(sampler)`, or `batch_sampler=keyed.sampler(batch_sampler)`. What comes once has the
    same views with it and without. torch's Subset (`random_split`) around a Keyed keeps visits. A repeat that nobody
    counted warns, once.

    Of several Keyed with one seed in a ConcatDataset each has draws of its own, by its place; the first has those that
    it has alone. A copy or a pickle goes on from where the original is, and neither changes the other.

    >>> data = Keyed([(image, 7), (image, 8)], Views("natural", size=32), seed=5)
    >>> (first, second), label = data[1]
    >>> tuple(first.shape), label
    ((3, 32, 32), 8)

    Raises: AdaptAugError: a data set that is not map-style, `views` that take no key, no image in `field`.
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
        self._visits = Shared(torch.zeros(len(dataset), dtype=torch.int64, device="cpu"))
        self._epoch = Shared(torch.full((1,), _FOLLOW_VISITS, dtype=torch.int64, device="cpu"))
        # After set_epoch, to find repeats: how often it was called, whether we have warned; when an item last came.
        self._turn = Shared(torch.tensor([0, 0], device="cpu"))
        self._came = Shared(torch.zeros(len(dataset), dtype=torch.int64, device="cpu"))
        self._rank: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker is outside the process group and cannot ask for its rank; a launcher has none to tell.
        return self.__dict__ | ({"_rank": keys.distributed_rank()} if keys.distributed() else {})

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        """A sample; a list of indices (`DataLoader(sampler=BatchSampler(...), batch_size=None)`) gives their batch."""
        if isinstance(index, (list, tuple)) or getattr(index, "ndim", 0) > 0:
            return collate(self.__getitems__(list(index)))
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """What torch's loader asks a batch's samples by: all of one policy, however often it changes."""
        if (text := self._policy.changed()) is not None:
            self.views = copy(self.views)  # whoever else has these views keeps their policy
            self.views.policy = Policy.loads(text)  # type: ignore[attr-defined]
        place, visits, samples = self._place(), Counter[int](), []
        true_visits = None if all(isinstance(one, Visit) for one in indices) else _lost_visits(len(indices))
        for number, request in enumerate(indices):
            index = int(request)
            index += len(self) if index < 0 else 0
            if not isinstance(request, Visit):
                request = (
                    Visit(index, true_visits[number].visit, true_visits[number].rank)
                    if true_visits
                    else Visit(index, visits[index])
                )
                visits[index] += 1
                if not (request.visit or request.rank):
                    self._warn_of_repeats(index, place)
            samples.append(self._sample(index, request, place))
        return samples

    def _sample(self, index: int, asked: Visit, place: int) -> Any:
        item = self.dataset[index]
        if isinstance(item, (tuple, list)):
            item = tuple(item) if isinstance(item, list) else item
            where = place_of(item, self._there(item, fields_of(item)))
            return replaced(item, where, self.views(item[where], key=self._key(index, asked, place)))
        if isinstance(item, Mapping):
            image = item[self._there(item, item)]
            return replaced(item, self.field, self.views(image, key=self._key(index, asked, place)))
        return self.views(item, key=self._key(index, asked, place))

    def _there(self, item: Any, fields: Iterable[Any]) -> Any:
        """The field that has the image. Raises: AdaptAugError: the samples have others."""
        if self.field not in fields:
            names = ", ".join(repr(field) for field in fields)
            raise AdaptAugError(
                f"Keyed: expected field= to be one of a sample's ({names}), got {self.field!r}."
            )
        return self.field

    def _key(self, index: int, asked: Visit, place: int) -> tuple[int, int, int]:
        seed, epoch = self.seed + (place << 48), int(self._epoch[0])
        if epoch != _FOLLOW_VISITS:
            return seed + (asked.rank << 32), epoch + (asked.visit << 32), index
        visit = int(self._visits[index])
        self._visits[index] += 1
        # Ranks share no memory, so without set_epoch each has numbers of its own.
        rank = keys.distributed_rank() if self._rank is None or keys.distributed() else self._rank
        return seed + ((asked.rank or rank) << 32), visit, index

    def _place(self) -> int:
        """How many Keyed of this seed stand before this one in the ConcatDatasets that ask, which give it only its own
        index: so they are looked for among the callers."""
        place = 0
        for frame in _torchs_callers():
            if frame.f_code is ConcatDataset.__getitem__.__code__:
                number = frame.f_locals.get(
                    "dataset_idx", 0
                )  # without torch's name for it, as if it stood alone
                before = frame.f_locals["self"].datasets[:number]
                place += sum(other.seed == self.seed for part in before for other in _all_keyed(part))
        return place

    def _warn_of_repeats(self, index: int, place: int) -> None:
        epoch = int(self._epoch[0])
        if epoch == _FOLLOW_VISITS:
            return
        turn, warned = self._turn.values.tolist()
        came = turn + (place << 32)
        if int(self._came[index]) == came and not warned:
            self._turn[1] = 1
            warnings.warn(
                f"Keyed: sample {index} came again in epoch {epoch} and got the same views; where the sampler repeats "
                "samples write sampler=keyed.sampler(sampler), where what lies between picks them "
                "Keyed(Subset(data, indices), views), and where an epoch is over keyed.set_epoch(epoch).",
                stacklevel=2,
            )
        self._came[index] = came

    def sampler(self, sampler: Iterable[Any], skip: int = 0) -> VisitSampler:
        """The same indices or batches, each with the number of its visit, so that a repeat is a new picture.

        A sampler that may give one sample to several ranks has its rank told, too; a DistributedSampler's shares are
        what one process gives. `skip`: how many indices, or batches of a batch sampler, the first epoch leaves out:
        those that an interrupted run has done. They are counted, so that the others are what they would have been. Its
        `state_dict()` and `load_state_dict()` do that too, as torchdata's StatefulDataLoader asks.
        """
        return VisitSampler(sampler, len(self), skip)

    def set_epoch(self, epoch: int) -> None:
        """Fix the epoch of all keys from now on, in every worker."""
        if epoch < 0:
            raise AdaptAugError(f"set_epoch: expected an epoch of 0 or more, got {epoch}.")
        self._epoch[0] = epoch
        self._turn[0] += 1

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


def _all_keyed(dataset: Any) -> Iterator[Keyed]:
    """Every Keyed in ConcatDatasets and what wraps one data set."""
    if isinstance(dataset, Keyed):
        yield dataset
    elif isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            yield from _all_keyed(part)
    elif hasattr(dataset, "dataset"):
        yield from _all_keyed(dataset.dataset)


def _torchs_callers() -> Iterator[FrameType]:
    """The functions of torch's data sets (ConcatDataset, Subset) among the callers, the nearest first."""
    frame = sys._getframe(1).f_back
    while frame is not None:
        if frame.f_globals is ConcatDataset.__getitem__.__globals__:
            yield frame
        frame = frame.f_back


def _lost_visits(count: int) -> list[Visit] | None:
    """What a Subset was asked for, in the order of what it asks: its own indices say nothing of visits."""
    for frame in _torchs_callers():
        here = frame.f_locals
        for candidates in ([here.get("idx")], here.get("indices")):
            if (
                isinstance(candidates, list)
                and len(candidates) == count
                and all(isinstance(a, Visit) for a in candidates)
            ):
                return candidates
    return None
