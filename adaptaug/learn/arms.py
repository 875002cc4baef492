"""An arm: a policy under trial. It goes on from the common warm-up and is scored on held-out images.

Everything here is a pure function of its arguments, so that it does not matter which process runs an arm, in
which order, or how often the search was killed in between.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptaug.backend.writing import write_atomically
from adaptaug.data import Images, open_data
from adaptaug.encoders.networks import fast_precision
from adaptaug.learn.proxies import Tasks, proxies, set_tasks
from adaptaug.learn.schedule import RUNS
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import Contrast, new_contrast
from adaptaug.simclr.metrics import features, knn_correct, labelled_subset, ridge_correct
from adaptaug.simclr.settings import sources_of

_ASKED = 1000  # queries that set tasks


@dataclass(frozen=True)
class Recipe:
    """How every arm of a search is trained and scored.

    A step has 2 * `batch` views, `views` of each image; an epoch is a pass over the images, whatever `views` is.
    `limit`: most images to train on; `queries`: most images that pick the arms, and most that judge a verification
    run; `epochs`: of a verification run, from which the others follow (`Schedule`); `tasks`: scored by `proxies` too,
    not by labels alone; `left_out`: numbers of images that cannot be read, which no run uses (`Search` finds them);
    `range`: as `data.open_data` takes it.
    """

    data: str
    limit: int
    seed: int
    arch: str = "resnet-tiny"
    size: int = 32
    batch: int = 64
    rate: float = 2e-3
    temperature: float = 0.5
    bank: int = 1000
    queries: int = 2000
    epochs: int = 14
    tasks: bool = False
    left_out: tuple[int, ...] = ()
    range: str = "auto"
    views: int = 2

    @property
    def sources(self) -> int:
        """Images a step. Raises: AdaptAugError: as `sources_of`."""
        return sources_of(self.batch, self.views)


@dataclass
class Arm:
    """A policy under trial; `correct[rung]` is (queries,) with the mean of the hits that the objective counts."""

    number: int
    name: str
    policy: Policy
    point: dict[str, float]
    correct: list[np.ndarray] = field(default_factory=list)

    @property
    def scores(self) -> list[float]:
        """Accuracy per rung reached, in percent."""
        return [100 * float(hits.mean()) for hits in self.correct]


@dataclass(frozen=True)
class Split:
    """Images (N, 3, H, W) uint8 to train on, a bank among them, and queries that are not.

    Labels are None where there are no `useful_labels`; `tasks` is what the images ask of themselves, where the recipe
    wants it.
    """

    train: torch.Tensor
    bank: torch.Tensor
    bank_labels: np.ndarray | None
    queries: torch.Tensor
    labels: np.ndarray | None
    tasks: Tasks | None


@dataclass(frozen=True)
class Job:
    """Train `policy` for some epochs from where `before` ended (None: from new weights) and score it.

    `run`: 0 for an arm that climbs, else the verification run, which has images and random numbers of its own; `out`:
    the result, .npz; the weights go beside it; `again`: with other random numbers on the same images, the first time 1.
    """

    name: str
    policy: str
    before: Job | None
    epochs: int
    run: int
    scored: bool
    out: str
    again: int = 0

    @property
    def first_epoch(self) -> int:
        return 0 if self.before is None else self.before.first_epoch + self.before.epochs

    def seed(self, recipe: Recipe) -> int:
        """Of first weights, batches and views: those of one run have the same."""
        return recipe.seed * 1000 + self.run + 100 * self.again

    @property
    def weights(self) -> Path:
        return Path(self.out).with_suffix(".pt")


def divide(recipe: Recipe, count: int, run: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `count` images a run trains on, at most `recipe.limit`, and which are its queries.

    Arms (run 0) train on three quarters of the images at most; half of the others pick among them, and have no part in
    any verification. The images that are left are divided into RUNS: each verification run is judged by a part of its
    own and trains on the others. So no image judges twice, and on few images every one judges that picked nothing.
    What is left out is missing where it would have been, and moves no other image.
    """
    order = np.random.default_rng((recipe.seed, 0)).permutation(count)
    training = min(recipe.limit, count * 3 // 4)
    picked = min(recipe.queries, (count - training) // 2)
    if run == 0:
        train, queries = order[:training], order[training : training + picked]
    else:
        pool = np.concatenate([order[:training], order[training + picked :]])
        each = min(recipe.queries, len(pool) // RUNS)
        first = (run - 1) * each
        train = np.concatenate([pool[:first], pool[first + each :]])[: recipe.limit]
        queries = pool[first : first + each]
    return train[~np.isin(train, recipe.left_out)], queries[~np.isin(queries, recipe.left_out)]


class Data:
    """A recipe's images, those of one run at a time: jobs come run by run."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self._held: tuple[int, Split] | None = None

    def of(self, run: int) -> Split:
        if self._held is None or self._held[0] != run:
            self._held = None  # before the next is read
            self._held = run, split_data(self.recipe, run)
        return self._held[1]


def useful_labels(images: Images) -> np.ndarray | None:
    """The labels, -1 where an image has none. None: fewer than half have one, or all that have are of one class, by
    which every arm is right."""
    labels = images.labels
    if labels is None or 2 * (labels >= 0).sum() < len(labels) or len(np.unique(labels[labels >= 0])) < 2:
        return None
    return labels


def split_data(recipe: Recipe, run: int = 0) -> Split:
    """The images of a run, decoded."""
    images = open_data(recipe.data, range=recipe.range)
    labels = useful_labels(images)
    train, queries = divide(recipe, len(images), run)
    bank = train[: recipe.bank]
    if labels is not None:
        bank = train[labelled_subset(labels[train], recipe.bank, recipe.seed)]
    side = None if images.same_size else 2 * recipe.size
    training, bank_pixels, query_pixels = (images.pixels(part, side) for part in (train, bank, queries))
    tasks = set_tasks(bank_pixels, query_pixels[:_ASKED], recipe.size, recipe.seed) if recipe.tasks else None
    bank_labels, query_labels = (None if labels is None else labels[part] for part in (bank, queries))
    return Split(training, bank_pixels, bank_labels, query_pixels, query_labels, tasks)


def keys_of(seed: int, epoch: int, index: np.ndarray) -> np.ndarray:
    """The views' keys (seed, epoch, index) of a batch, (B, 3)."""
    return np.stack([np.full_like(index, seed), np.full_like(index, epoch), index], 1)


def train(
    model: Contrast, optimizer: torch.optim.Optimizer, images: torch.Tensor, recipe: Recipe, job: Job
) -> None:
    """Plain steps at a constant rate: arms are compared, stopped and continued, so no schedule may know the end.

    Batches and views' keys depend on (seed, run, epoch) and not on the policy: common random numbers.
    """
    seed = job.seed(recipe)
    device = next(model.parameters()).device
    batch = min(recipe.sources, len(images))
    for epoch in range(job.first_epoch, job.first_epoch + job.epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(images))
        for first in range(0, len(order) - batch + 1, batch):
            index = order[first : first + batch]
            loss = model(images[torch.from_numpy(index)].to(device), keys_of(seed, epoch, index))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def run_job(job: Job, data: Data) -> None:
    """Train, score and write weights and result; a result that is there is left as it is."""
    out = Path(job.out)
    if out.exists():
        return
    began = time.perf_counter()
    model = trained(job, data)
    result: dict[str, Any] = {"seconds": time.perf_counter() - began}
    if job.scored:
        result |= score(model, data.of(job.run))
    write_atomically(out, lambda file: np.savez_compressed(file, **result))


def trained(job: Job, data: Data) -> Contrast:
    """The model as `job` leaves it: from its file of weights, or trained where there is none.

    What went before it is trained again too where its weights are not here, because another machine trained it.
    """
    recipe, device = data.recipe, "cuda" if torch.cuda.is_available() else "cpu"
    model = new_contrast(
        recipe.arch, Policy.loads(job.policy), recipe.size, job.seed(recipe),
        temperature=recipe.temperature, precision=fast_precision(device), n=recipe.views,
    ).to(device)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-4)
    here = job.weights.exists()
    if not here and job.before is not None and not job.before.weights.exists():
        trained(job.before, data)
    source = job if here else job.before
    if source is not None:
        state = torch.load(source.weights, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    if not here:
        model.train()
        train(model, optimizer, data.of(job.run).train, recipe, job)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        write_atomically(job.weights, lambda file: torch.save(state, file))
    return model


def score(model: Contrast, split: Split) -> dict[str, np.ndarray]:
    """Per query: whether kNN-20 and ridge on features of the labelled bank are right, and the hits of `proxies`."""

    def embed(images: torch.Tensor) -> torch.Tensor:
        return features(model.encoder, images, precision=model.precision)

    bank, query = embed(split.bank), embed(split.queries)
    scores = {}
    if split.bank_labels is not None and split.labels is not None:
        has = split.labels >= 0
        parts = bank, split.bank_labels, query[has], split.labels[has]
        scores = {"knn": knn_correct(*parts), "ridge": ridge_correct(*parts)}
    if split.tasks is not None:
        scores |= proxies(embed, split.tasks, bank, query[:_ASKED])
    return scores


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread, as in a worker: sums over more threads round differently, and small networks gain nothing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


# --- in worker processes -----------------------------------------------------------------------------------
_worker: Data | None = None


def start_worker(recipe: Recipe) -> None:
    """Work on one thread, and leave when the search is killed."""
    global _worker
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def leave_with_it() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=leave_with_it, daemon=True).start()
    _worker = Data(recipe)


def run_in_worker(job: Job) -> str:
    """What a pool calls."""
    assert _worker is not None
    run_job(job, _worker)
    return job.out
