"""The few array operations that NumPy and torch spell differently.

Statistics, guards and plans are small arrays with one row an image. They are written once, against the
functions both libraries share (`where`, `sqrt`, `exp`, `stack`, ...); `xp` is the library at hand: NumPy
for a single image (no dispatch cost), torch for a batch (any device, nothing waits for the device).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch

Array = Any  # np.ndarray or torch.Tensor


def namespace(array: Array) -> ModuleType:
    """The library an array belongs to: `numpy` or `torch`."""
    return torch if isinstance(array, torch.Tensor) else np


def clamp(value: Array, low: Array | float, high: Array | float) -> Array:
    """Clamp to [low, high], either of which may be an array or a number; high wins where low > high."""
    xp = namespace(value)
    value = xp.where(value < low, low, value)
    return xp.where(value > high, high, value)


def smaller(a: Array, b: Array | float) -> Array:
    return namespace(a).where(a < b, a, b)


def larger(a: Array, b: Array | float) -> Array:
    return namespace(a).where(a > b, a, b)


def sort(values: Array) -> Array:
    """Sorted ascending along the last axis."""
    return torch.sort(values, dim=-1).values if isinstance(values, torch.Tensor) else np.sort(values, axis=-1)


def arange(count: int, like: Array) -> Array:
    """0 ... count-1 as float64, on the device of `like`."""
    if isinstance(like, torch.Tensor):
        return torch.arange(count, device=like.device, dtype=torch.float64)
    return np.arange(count, dtype=np.float64)


def integer(values: Array) -> Array:
    return values.to(torch.int64) if isinstance(values, torch.Tensor) else values.astype(np.int64)


def double(values: Array) -> Array:
    return values.to(torch.float64) if isinstance(values, torch.Tensor) else values.astype(np.float64)


def constant(value: float, like: Array) -> Array:
    """A float64 array full of `value`, shaped and placed like `like`."""
    if isinstance(like, torch.Tensor):
        return torch.full(like.shape, value, dtype=torch.float64, device=like.device)
    return np.full(like.shape, value, dtype=np.float64)


def first_true(flags: Array) -> Array:
    """Index of the first True in each row of (B, K); K - 1 where there is none."""
    xp = namespace(flags)
    candidates = arange(flags.shape[-1], flags)
    return integer(xp.amin(xp.where(flags, candidates, float(flags.shape[-1] - 1)), -1))


def pick(rows: Array, index: Array) -> Array:
    """rows[b, index[b]] for (B, K) rows."""
    if isinstance(rows, torch.Tensor):
        return rows.gather(1, index[:, None])[:, 0]
    return np.take_along_axis(rows, index[:, None], 1)[:, 0]


def pick_rows(values: Sequence[torch.Tensor], which: torch.Tensor) -> torch.Tensor:
    """Row i of `values[which[i]]`, for tensors of one shape."""
    out = values[0]
    for number, other in enumerate(values[1:], 1):
        out = torch.where((which == number).reshape(-1, *[1] * (out.ndim - 1)), other, out)
    return out


def gather(rows: Array, index: Array) -> Array:
    """rows[b, index[b, n]] for (B, K) rows and (B, N) indices."""
    return rows.gather(1, index) if isinstance(rows, torch.Tensor) else np.take_along_axis(rows, index, 1)


def matrices(entries: list[list[Array | float]], like: Array) -> Array:
    """Nested list of (B,) arrays and numbers -> (B, rows, columns) float64."""
    xp = namespace(like)
    rows = [
        xp.stack([constant(e, like) if isinstance(e, (int, float)) else e for e in row], -1)
        for row in entries
    ]
    return xp.stack(rows, -2)


def may_look(tensor: torch.Tensor) -> bool:
    """Whether looking at values costs nothing: on the CPU, outside torch.compile and fake tensors."""
    from torch._guards import detect_fake_mode

    return (
        tensor.device.type == "cpu" and not torch.compiler.is_compiling() and detect_fake_mode(tensor) is None
    )
