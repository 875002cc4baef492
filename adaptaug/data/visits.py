"""Samples that come more than once in an epoch: indices that say which time it is, and for which rank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from operator import index as whole
from typing import Any

from torch.utils.data import DistributedSampler, RandomSampler, Sampler, SequentialSampler

from adaptaug.backend import keys
from adaptaug.errors import AdaptAugError


class Visit(int):
    """An index, the `visit`-th of its kind in an epoch, counted from 0; ConcatDataset's arithmetic keeps what it knows.

    `rank` is 0 too where no other rank gets the sample.
    """

    visit: int
    rank: int

    def __new__(cls, value: int, visit: int = 0, rank: int = 0) -> Visit:
        self = super().__new__(cls, value)
        self.visit, self.rank = visit, rank
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Visit, (int(self), self.visit, self.rank)

    def __add__(self, other: int) -> Visit:
        return Visit(int(self) + other, self.visit, self.rank)

    __radd__ = __add__

    def __sub__(self, other: int) -> Visit:
        return self + -other


class VisitSampler(Sampler[Any]):
    """What `Keyed.sampler` gives: another sampler's indices, or batches of them, as Visits; all else is its own."""

    def __init__(self, sampler: Iterable[Any], count: int, skip: int = 0):
        if not hasattr(sampler, "__iter__"):
            raise AdaptAugError(
                f"Keyed.sampler: expected a sampler or a list of indices, got {type(sampler).__name__}."
            )
        self.sampler, self.count, self.skip = sampler, count, skip
        self._visits: Counter[int] = (
            Counter()
        )  # of this epoch up to now, and how many indices or batches were given
        self._given, self._resumes = 0, False

    def __iter__(self) -> Iterator[Any]:
        rank, skip, self.skip = _rank(self.sampler), self.skip, 0
        if not self._resumes:
            self._visits = Counter()
        self._resumes = False
        for number, one in enumerate(self.sampler):
            told, self._given = _told(one, self._visits, rank, self.count), number + 1
            if number >= skip:
                yield told
        self._visits, self._given = Counter(), 0

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, for a run that goes on within an epoch: the sampler's own state, if it has one, too."""
        own = getattr(self.sampler, "state_dict", None)
        return {"given": self._given, "visits": dict(self._visits), "sampler": own() if own else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there: a sampler without a state of its own is run up to it."""
        if state["sampler"] is None:
            self.skip = state["given"]
        else:
            self.sampler.load_state_dict(state["sampler"])  # type: ignore[attr-defined]
            self._visits, self._resumes = Counter(state["visits"]), True

    def __len__(self) -> int:
        return max(0, len(self.sampler) - self.skip)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:  # set_epoch, batch_size
        if name == "sampler" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.sampler, name)


def _told(one: Any, visits: Counter[int], rank: int, count: int) -> Any:
    if isinstance(one, (list, tuple)) or getattr(one, "ndim", 0) > 0:
        return [_told(part, visits, rank, count) for part in one]
    index = whole(one)
    same = index + count if index < 0 else index  # from the end of `count` samples
    visits[same] += 1
    return Visit(index, visits[same] - 1, rank)


def _rank(sampler: Any) -> int:
    """By which rank's draws its samples differ from another rank's: 0 where no other rank gets them."""
    while not hasattr(sampler, "rank") and isinstance(getattr(sampler, "sampler", None), Iterable):
        sampler = sampler.sampler
    if isinstance(sampler, DistributedSampler) and not _repeats(sampler.dataset):
        return 0
    rank = getattr(sampler, "rank", None)
    return rank if isinstance(rank, int) else keys.distributed_rank()


def _repeats(source: Any) -> bool:
    """Whether what a DistributedSampler shares out is another sampler's draws (Lightning, catalyst) with repeats."""
    inner = getattr(source, "_sampler", None) or getattr(source, "sampler", None)
    if isinstance(inner, RandomSampler):
        return inner.replacement
    return isinstance(inner, Iterable) and not isinstance(inner, SequentialSampler)
