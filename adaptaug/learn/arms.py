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
from dataclasses import dataclass
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
    """How every arm of a search is trained and scored; `tasks`: by `proxies` too, not by labels alone."""

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
    tasks: bool = False


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
    """Train `policy` from `start` (a saved state, or None: from new weights) for some epochs and score it."""

    name: str
    policy: str
    start: str | None
    first_epoch: int
    epochs: int
    run: int
    queries: str
    out: str


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
    """Train, score and write state and result; a result that is there is left as it is."""
    out = Path(job.out)
    if out.exists():
        return
    began = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = new_contrast(
        recipe.arch, Policy.loads(job.policy), recipe.size, recipe.seed,
        temperature=recipe.temperature, precision=fast_precision(device),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-4)
    if job.start is not None:
        state = torch.load(job.start, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    model.train()
    train(model, optimizer, split.train, recipe, job)
    result: dict[str, Any] = {"seconds": time.perf_counter() - began, "pairs": job.epochs * len(split.train)}
    if job.queries:
        result |= score(model, split, job.queries)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    write_atomically(out.with_suffix(".pt"), lambda file: torch.save(state, file))
    write_atomically(out, lambda file: np.savez(file, **result))


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
