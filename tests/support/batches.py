"""Batches of images of four kinds, and their keys, for what learns from a batch."""

import numpy as np
import torch

SIDE = 32


def images(count=64, seed=0):
    """Half dark, half bright; in each half one flat, one contrasty kind."""
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(count) % 2, 190, 60)[:, None, None, None]
    spread = np.where(np.arange(count) % 4 < 2, 8, 40)[:, None, None, None]
    coarse = rng.normal(size=(count, 3, 8, 8)).repeat(4, 2).repeat(4, 3)
    return torch.from_numpy(np.clip(level + spread * coarse, 0, 255).astype(np.uint8))


def keys(step, count=64):
    return [(0, step, i) for i in range(count)]
