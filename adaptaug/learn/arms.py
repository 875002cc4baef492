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

from adaptaug.data import open_data
from adaptaug.files import write_atomically
from adaptaug.learn.proxies import Tasks, proxies, set_tasks
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import Contrast, new_contrast
from adaptaug.simclr.encoders import fast_precision
from adaptaug.simclr.evaluate import features, knn_correct, labelled_subset, ridge_correct

_ASKED = 1000  # queries that set tasks


@dataclass(frozen=True)
class Recipe:
    """How every arm of a search is trained and scored.

    `epochs`: of a verification run, from which the others follow (`Schedule`); `tasks`: scored by `proxies` too, not by
    labels alone.
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
    held_out: int = 4000
    epochs: int = 14
    tasks: bool = False


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
    """Images (N, 3, H, W) uint8 to train on, a bank among them, and two disjoint sets of queries.

    `select` picks arms; `verify` alone decides whether the winner ships, so the picking cannot flatter it. Labels are
    None where the data has none; `tasks` has what each set of queries asks of itself, where the recipe wants it.
    """

    train: torch.Tensor
    bank: torch.Tensor
    bank_labels: np.ndarray | None
    select: torch.Tensor
    select_labels: np.ndarray | None
    verify: torch.Tensor
    verify_labels: np.ndarray | None
    tasks: dict[str, Tasks]


@dataclass(frozen=True)
class Job:
    """Train `policy` for some epochs from where `before` ended (None: from new weights) and score it on `queries`.

    `out`: the result, .npz; the weights go beside it.
    """

    name: str
    policy: str
    before: Job | None
    epochs: int
    run: int
    queries: str
    out: str

    @property
    def first_epoch(self) -> int:
        return 0 if self.before is None else self.before.first_epoch + self.before.epochs

    @property
    def weights(self) -> Path:
        return Path(self.out).with_suffix(".pt")


def split_data(recipe: Recipe) -> Split:
    """At most `limit` images to train on; held-out ones come from the rest, or from a quarter of few images."""
    images = open_data(recipe.data)
    labels = images.labels
    order = np.random.default_rng((recipe.seed, 0)).permutation(len(images))
    train_count = min(recipe.limit, len(images) * 3 // 4)
    train, rest = order[:train_count], order[train_count : train_count + recipe.held_out]
    half = len(rest) // 2
    select, verify = rest[:half], rest[half:]
    bank = (
        train[: recipe.bank]
        if labels is None
        else train[labelled_subset(labels[train], recipe.bank, recipe.seed)]
    )
    side = None if images.same_size else 2 * recipe.size
    parts = {"train": train, "bank": bank, "select": select, "verify": verify}
    pixels: dict[str, Any] = {name: images.pixels(part, side) for name, part in parts.items()}
    known: dict[str, Any] = {
        f"{name}_labels": None if labels is None else labels[parts[name]]
        for name in ("bank", "select", "verify")
    }
    tasks = {
        name: set_tasks(pixels["bank"], pixels[name][:_ASKED], recipe.size, recipe.seed)
        for name in ("select", "verify") if recipe.tasks
    }  # fmt: skip
    return Split(**pixels, **known, tasks=tasks)


def keys_of(seed: int, epoch: int, index: np.ndarray) -> np.ndarray:
    """The views' keys (seed, epoch, index) of a batch, (B, 3)."""
    return np.stack([np.full_like(index, seed), np.full_like(index, epoch), index], 1)


def train(
    model: Contrast, optimizer: torch.optim.Optimizer, images: torch.Tensor, recipe: Recipe, job: Job
) -> None:
    """Plain steps at a constant rate: arms are compared, stopped and continued, so no schedule may know the end.

    Batches and views' keys depend on (seed, run, epoch) and not on the policy: common random numbers.
    """
    seed = recipe.seed * 1000 + job.run
    device = next(model.parameters()).device
    batch = min(recipe.batch, len(images))
    for epoch in range(job.first_epoch, job.first_epoch + job.epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(images))
        for first in range(0, len(order) - batch + 1, batch):
            index = order[first : first + batch]
            loss = model(images[torch.from_numpy(index)].to(device), keys_of(seed, epoch, index))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def run_job(job: Job, recipe: Recipe, split: Split) -> None:
    """Train, score and write weights and result; a result that is there is left as it is."""
    out = Path(job.out)
    if out.exists():
        return
    began = time.perf_counter()
    model = trained(job, recipe, split)
    result: dict[str, Any] = {"seconds": time.perf_counter() - began}
    if job.queries:
        result |= score(model, split, job.queries)
    write_atomically(out, lambda file: np.savez_compressed(file, **result))


def trained(job: Job, recipe: Recipe, split: Split) -> Contrast:
    """The model as `job` leaves it: from its file of weights, or trained where there is none.

    What went before it is trained again too where its weights are not here, because another machine trained it.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = new_contrast(
        recipe.arch, Policy.loads(job.policy), recipe.size, recipe.seed * 1000 + job.run,
        temperature=recipe.temperature, precision=fast_precision(device),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-4)
    here = job.weights.exists()
    if not here and job.before is not None and not job.before.weights.exists():
        trained(job.before, recipe, split)
    source = job if here else job.before
    if source is not None:
        state = torch.load(source.weights, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    if not here:
        model.train()
        train(model, optimizer, split.train, recipe, job)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        write_atomically(job.weights, lambda file: torch.save(state, file))
    return model


def score(model: Contrast, split: Split, queries: str) -> dict[str, np.ndarray]:
    """Per query: whether kNN-20 and ridge on features of the labelled bank are right, and the hits of `proxies`."""
    wanted, labels = getattr(split, queries), getattr(split, f"{queries}_labels")
    embed = lambda images: features(model.encoder, images, precision=model.precision)  # noqa: E731
    bank, query = embed(split.bank), embed(wanted)
    found = {}
    if split.bank_labels is not None:
        given = bank, split.bank_labels, query, labels
        found = {"knn": knn_correct(*given), "ridge": ridge_correct(*given)}
    if queries in split.tasks:
        found |= proxies(embed, split.tasks[queries], bank, query[:_ASKED])
    return found


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
_worker: tuple[Recipe, Split] | None = None


def start_worker(recipe: Recipe) -> None:
    """Load the data once, on one thread, and leave when the search is killed."""
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
    _worker = recipe, split_data(recipe)


def run_in_worker(job: Job) -> str:
    """What a pool calls."""
    assert _worker is not None
    run_job(job, *_worker)
    return job.out
