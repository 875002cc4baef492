"""What a search will cost, told before it starts: how much is trained, and how long that takes here."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from adaptaug.encoders.networks import fast_precision
from adaptaug.learn import arms
from adaptaug.learn.search import Search
from adaptaug.simclr.contrast import new_contrast

_STEPS = 6  # timed, after as many that warm up


@dataclass(frozen=True)
class Estimate:
    """At most this many `epochs` and `pairs` are trained, in about `seconds` on the search's processes."""

    arms: int
    epochs: int
    pairs: int
    seconds: float


def estimate(search: Search) -> Estimate:
    """Count what `search` may train, and time a few steps of its start policy, of which most of the cost is made.

    Scoring, a few percent, is left out. Fewer pairs are trained where the arms that stay are among the best of a rung,
    or the verification ends with its first arm.
    """
    recipe = search.recipe
    stages = search.how.trainings()
    epochs = sum(count * each for _, count, each in stages)
    split = arms.split_data(recipe)
    pairs = epochs * len(split.train) * recipe.views // 2
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = new_contrast(
        recipe.arch, search.start, recipe.size, recipe.seed, precision=fast_precision(device), n=recipe.views
    )
    optimizer = torch.optim.AdamW(model.to(device).parameters(), lr=recipe.rate)
    few = split.train[: _STEPS * recipe.sources]
    job = arms.Job("timed", search.start.dumps(), None, 1, 0, False, "")
    with arms.one_thread():
        for _ in range(2):
            began = time.perf_counter()
            arms.train(model, optimizer, few, recipe, job)
            if device == "cuda":
                torch.cuda.synchronize()
            each = (time.perf_counter() - began) / max(1, len(few) // recipe.sources * recipe.batch)
    return Estimate(search.budget, epochs, pairs, pairs * each / max(1, search.workers))
