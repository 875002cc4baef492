"""A look at a search's data before anything is trained: what can be read, and a few images that stand for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from adaptaug.data import Images
from adaptaug.learn.arms import Recipe, divide
from adaptaug.learn.schedule import RUNS
from adaptaug.simclr.loader import Unreadable

_FEW = 64


def used(recipe: Recipe, count: int) -> np.ndarray:
    """Which of `count` images any run trains on or is judged by, in order."""
    return np.unique(np.concatenate([part for run in range(RUNS + 1) for part in divide(recipe, count, run)]))


def readable(recipe: Recipe, images: Images) -> tuple[Recipe, list[str]]:
    """Read once all that any run uses: the recipe without what cannot be read, and a sentence about each of these.

    Raises: AdaptAugError: more than one in a hundred cannot be read.
    """
    indices = used(recipe, len(images))
    unreadable = Unreadable(len(indices))
    bad = np.setdiff1d(indices, unreadable.leave_out(images, indices))
    return replace(recipe, left_out=(*recipe.left_out, *bad.tolist())), list(unreadable.sentences)


def sample(recipe: Recipe, images: Images) -> torch.Tensor:
    """A few of the images used, (N, 3, H, W) uint8, spread over the set: where it is sorted by class, the first are of
    one."""
    indices = used(recipe, len(images))
    few = min(_FEW, len(indices))
    return images.pixels(
        indices[np.arange(few) * len(indices) // few], None if images.same_size else 2 * recipe.size
    )
