"""Images for pretraining: an order that is a pure function of seed and step, and batches read in that order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from adaptaug.data import Images
from adaptaug.errors import AdaptAugError
from adaptaug.simclr.conditioning import describe
from adaptaug.simclr.growing import Growing

_WORST_SHARE = 0.01  # of images that may be unreadable before training stops


@dataclass(frozen=True)
class Order:
    """Which images make up a step: a permutation per epoch, drawn from (seed, epoch), the remainder left out.

    `batch` counts the images of all processes; with `ranks` of them, process `rank` has every ranks-th of each
    batch. An epoch has a whole number of `together` batches: those whose gradients are added before a step.
    """

    count: int
    batch: int
    seed: int
    rank: int = 0
    ranks: int = 1
    together: int = 1

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.count // (self.batch * self.together) * self.together

    def keys(self, number: int) -> np.ndarray:
        """(B / ranks, 3): (seed, epoch, index) of a batch's images on this process; batches are counted from 0."""
        epoch, place = divmod(number, self.per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        index = order[place * self.batch : (place + 1) * self.batch][self.rank :: self.ranks]
        return np.stack([np.full_like(index, self.seed), np.full_like(index, epoch), index], 1)


class _Batches(Dataset[Any]):
    """Number -> batch, so that a worker reads and makes a whole batch."""

    def __init__(
        self,
        images: Images,
        order: Order,
        index: np.ndarray,
        views: Growing[Any] | None,
        told: tuple[str, ...],
    ):
        self.images, self.order, self.index, self.views, self.told = images, order, index, views, told

    def __getitem__(self, number: int) -> dict[str, Any]:
        keys, kept, bad = self.order.keys(number), [], []
        make = None if self.views is None else self.views.at(number // self.order.together)
        pixels: list[Any] = []
        for row, i in enumerate(self.index[keys[:, 2]]):
            try:
                image = self.images[int(i)]
            except AdaptAugError as error:
                bad.append(str(error))
                continue
            pixels.append(make(image, key=tuple(keys[row])) if make else image)
            kept.append(row)
        batch: dict[str, Any] = {"keys": keys[kept], "bad": bad}
        if self.views is None:
            batch["images"] = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
            return batch
        if self.told:
            pixels, params = map(list, zip(*pixels, strict=True))
            batch["told"] = [
                torch.cat([describe(p, self.told) for p in view]) for view in zip(*params, strict=True)
            ]
        batch["views"] = [torch.stack(view) for view in zip(*pixels, strict=True)]
        return batch


class Batches:
    """The loader Lightning iterates over: one epoch's batches from wherever training stands.

    Args:
        images, index: the data set and which of it is trained on.
        order: says which images make up a step.
        done: called at the start of an epoch: how many batches are done. A run that resumes within an epoch goes on
            with the next because nothing here has a memory of its own.
        total: batches in the whole run; workers read on across epochs up to it.
        views: made in the workers where given, else uint8 images of one size are handed on.
        told: what is told of each such view (`conditioning`), which then come with what was drawn.
    """

    def __init__(self, images: Images, index: np.ndarray, order: Order, done: Callable[[], int], total: int,
                 views: Growing[Any] | None = None, workers: int = 0, told: tuple[str, ...] = ()):  # fmt: skip
        self.dataset, self.order = _Batches(images, order, index, views, told), order
        self.done, self.total, self.workers = done, total, workers
        self.reader: Iterator[dict[str, Any]] | None = None
        self.given = -1  # batches up to the last one read

    def __len__(self) -> int:
        return self.order.per_epoch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        done = self.done()
        if (
            self.reader is None or self.given != done
        ):  # starting workers takes seconds: once a run, not once an epoch
            self.reader = iter(DataLoader(
                self.dataset, batch_size=None, sampler=range(done, self.total), num_workers=self.workers,
                multiprocessing_context="spawn" if self.workers else None,
            ))  # fmt: skip
        end = (done // len(self) + 1) * len(self)
        for self.given in range(done + 1, end + 1):
            yield next(self.reader)


class Unreadable:
    """Counts images that could not be read and stops the run when they are more than one in a hundred."""

    def __init__(self, count: int):
        self.count, self.sentences = count, dict[str, None]()

    def add(self, sentences: list[str]) -> None:
        """Note new ones. Raises: AdaptAugError: too many."""
        self.sentences.update(dict.fromkeys(sentences))
        if len(self.sentences) > _WORST_SHARE * self.count:
            raise AdaptAugError(f"{len(self.sentences)} of {self.count} images could not be read, more than 1 %; "
                                f"the last: {next(reversed(self.sentences))}")  # fmt: skip

    def leave_out(self, images: Images, index: np.ndarray) -> np.ndarray:
        """Read these images once, note those that cannot be read and return the others. Raises: AdaptAugError: too
        many."""
        rest, sentences = [], []
        for i in index:
            try:
                images[int(i)]
                rest.append(i)
            except AdaptAugError as error:
                sentences.append(str(error))
        self.add(sentences)
        return np.array(rest, int)
