"""The few array operations that NumPy, torch and plain Python numbers spell differently.

Statistics, guards and plans are written once, for a batch and for a single image. In a batch a number is a tensor
(B,), one row an image (any device, nothing waits for it). Of a single image a number is Python's own: an operation on
it costs a twentieth of one on an array of one row, and a plan has a thousand. What is longer than a number, like the
256 sampled colours, is an array with a row axis in both cases. `xp` is the library at hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch

Array = (
    Any  # torch.Tensor or np.ndarray with one row an image; a Python number or nested list of a single image
)
_NUMBER = (float, int)  # truths included

# The functions of `namespace` for Python numbers.
_plain: Any = SimpleNamespace(
    where=lambda condition, yes, no: yes if condition else no,
    floor=lambda value: float(math.floor(value)), round=lambda value: float(round(value)),
    abs=abs, sqrt=math.sqrt, exp=math.exp, log=math.log, sin=math.sin, cos=math.cos, tan=math.tan,
)  # fmt: skip


def namespace(array: Array) -> ModuleType:
    """The library an array belongs to: `torch`, `numpy`, or the same functions for plain numbers."""
    if isinstance(array, _NUMBER):
        return _plain
    return torch if isinstance(array, torch.Tensor) else np


def is_number(value: Array) -> bool:
    """Whether it is a single image's number, on which a branch costs nothing."""
    return isinstance(value, _NUMBER)


def number(values: Array) -> Array:
    """A NumPy array of one row as the plain number, truth or (nested) list in it; a tensor as it is."""
    return values.tolist()[0] if isinstance(values, np.ndarray) else values


def row(values: Array) -> Array:
    """The opposite of `number`: a single image's number or list as a NumPy array of one row."""
    return np.array([values]) if isinstance(values, (*_NUMBER, list)) else values


def column(values: Array, axes: int = 1) -> Array:
    """(B,) -> (B, 1, ...), to be combined with longer arrays; a plain number is ready for that."""
    return values if isinstance(values, _NUMBER) else values[(slice(None), *[None] * axes)]


def never(flags: Array) -> bool:
    """Whether a single image's truth is known to be false, so that what follows of it can be left out."""
    return flags is False


def none_true(flags: Array) -> bool:
    """Whether it is known, at no cost, that no image's flag is true."""
    return not bool(flags.any()) if isinstance(flags, torch.Tensor) and may_look(flags) else flags is False


def logical_not(flags: Array) -> Array:
    return not flags if isinstance(flags, _NUMBER) else ~flags


def stack(parts: Sequence[Array]) -> Array:
    """Numbers (B,) side by side: (B, K); a list for a single image."""
    return list(parts) if isinstance(parts[0], _NUMBER) else namespace(parts[0]).stack(list(parts), -1)


def part(values: Array, *index: int) -> Array:
    """One number of what `stack` or `matrices` made: (B,)."""
    if isinstance(values, list):
        for place in index:
            values = values[place]
        return values
    return values[(slice(None), *index)]


def choose(flags: Array, one: Array, other: Array) -> Array:
    """Row by row, of what `stack` or `matrices` made."""
    if isinstance(flags, _NUMBER):
        return one if flags else other
    return namespace(flags).where(column(flags, one.ndim - 1), one, other)


def clamp(value: Array, low: Array | float, high: Array | float) -> Array:
    """Clamp to [low, high], either of which may be an array or a number; high wins where low > high."""
    if isinstance(value, _NUMBER):
        value = low if value < low else value
        return high if value > high else value
    if isinstance(value, np.ndarray):
        return np.minimum(np.maximum(value, low), high)
    if isinstance(low, _NUMBER) and isinstance(high, _NUMBER):
        return value.clamp(low, high)
    return smaller(larger(value, low), high)


def smaller(a: Array, b: Array | float) -> Array:
    if isinstance(a, _NUMBER):
        return a if a < b else b
    if isinstance(a, np.ndarray):
        return np.minimum(a, b)
    return a.clamp(max=b) if isinstance(b, _NUMBER) else torch.minimum(a, b)


def larger(a: Array, b: Array | float) -> Array:
    if isinstance(a, _NUMBER):
        return a if a > b else b
    if isinstance(a, np.ndarray):
        return np.maximum(a, b)
    return a.clamp(min=b) if isinstance(b, _NUMBER) else torch.maximum(a, b)


def sort(values: Array) -> Array:
    """Sorted ascending along the last axis."""
    return torch.sort(values, dim=-1).values if isinstance(values, torch.Tensor) else np.sort(values, axis=-1)


def ranked(values: Array, rank: int) -> Array:
    """(B,) the value of (B, N) that `rank` others of its row precede in order; a number for a single image."""
    if isinstance(values, torch.Tensor):
        if not may_look(values):
            return torch.kthvalue(values, rank + 1, dim=-1).values
        return torch.from_numpy(np.partition(values.numpy(), rank, axis=-1)[:, rank])  # five times as fast
    return number(np.partition(values, rank, axis=-1)[:, rank])


def arange(count: int, like: Array) -> Array:
    """0 ... count-1 as float64, on the device of `like`."""
    if isinstance(like, torch.Tensor):
        return torch.arange(count, device=like.device, dtype=torch.float64)
    return np.arange(count, dtype=np.float64)


def integer(values: Array) -> Array:
    if isinstance(values, _NUMBER):
        return int(values)
    return values.to(torch.int64) if isinstance(values, torch.Tensor) else values.astype(np.int64)


def double(values: Array) -> Array:
    if isinstance(values, _NUMBER):
        return float(values)
    return values.to(torch.float64) if isinstance(values, torch.Tensor) else values.astype(np.float64)


def constant(value: float, like: Array) -> Array:
    """A float64 array full of `value`, shaped and placed like `like`."""
    if isinstance(like, _NUMBER):
        return value
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


def matrices(entries: list[list[Array | float]], like: Array) -> Array:
    """Nested list of (B,) arrays and numbers -> (B, rows, columns) float64; the list itself for a single image."""
    if isinstance(like, _NUMBER):
        return entries
    # One array for each number, and one copy of all: short arrays cost by the call.
    shared: dict[float, Array] = {}
    parts = []
    for entry in (entry for line in entries for entry in line):
        if isinstance(entry, _NUMBER):
            if entry not in shared:
                shared[entry] = constant(entry, like)
            entry = shared[entry]
        parts.append(entry)
    return namespace(like).stack(parts, -1).reshape(*like.shape, len(entries), len(entries[0]))


def product(a: Array, b: Array) -> Array:
    """(B, 3, 3) products, term by term: the same bits for any batch size, which a library's matmul is not."""
    if isinstance(a, list):
        columns = list(zip(*b, strict=True))
        return [[x * p + y * q + z * r for p, q, r in columns] for x, y, z in a]
    return a[:, :, :1] * b[:, :1, :] + a[:, :, 1:2] * b[:, 1:2, :] + a[:, :, 2:] * b[:, 2:, :]


def cofactors(matrix: Array) -> Array:
    """(B, 3, 3) signed minors."""
    if isinstance(matrix, list):
        after = ((1, 2), (2, 0), (0, 1))  # in this order a minor has its sign
        return [
            [matrix[a][c] * matrix[b][d] - matrix[a][d] * matrix[b][c] for c, d in after] for a, b in after
        ]
    a, b = matrix.roll(-1, 1), matrix.roll(-2, 1)
    return a.roll(-1, 2) * b.roll(-2, 2) - a.roll(-2, 2) * b.roll(-1, 2)


def scaled(matrix: Array, factor: Array) -> Array:
    """(B, 3, 3) maps times (B,) factors."""
    if isinstance(matrix, list):
        return [[value * factor for value in row] for row in matrix]
    return matrix * column(factor, 2)


def between_maps(one: Array, other: Array, share: Array) -> Array:
    """(B, 3, 3) maps, (B,) shares of the way from one to the other."""
    if isinstance(one, list):
        return [
            [a + (b - a) * share for a, b in zip(*rows, strict=True)] for rows in zip(one, other, strict=True)
        ]
    return one + (other - one) * column(share, 2)


def mix(matrix: Array, channels: Array) -> Array:
    """(B, 3, 3) maps of (B, 3, N) channels, term by term like `product`."""
    if isinstance(matrix, list):
        return (np.array(matrix) @ channels[0])[None]
    mixed = matrix[:, :, :1] * channels[:, :1]
    return mixed.add_(matrix[:, :, 1:2] * channels[:, 1:2]).add_(matrix[:, :, 2:] * channels[:, 2:])


def shifted(channels: Array, gain: Array, offset: Array) -> Array:
    """(B, 3, N) channels times (B,) gains plus (B,) offsets; in place."""
    channels *= column(gain, 2)
    channels += column(offset, 2)
    return channels


def weighted(weights: Sequence[float], channels: Array) -> Array:
    """(B, N) sum of (B, 3, N) channels times three weights: luma, with luma's."""
    total = channels[:, 0] * weights[0]
    for i in (1, 2):
        total += channels[:, i] * weights[i]
    return total


def nowhere(pixels: Array) -> Array:
    """(B,) of false, for a batch of pixels; one false for a single image."""
    return (
        torch.zeros_like(pixels[:, 0, 0, 0], dtype=torch.bool) if isinstance(pixels, torch.Tensor) else False
    )


def exact_float(like: torch.Tensor) -> torch.dtype:
    """In what matrix products of whole numbers below 2^24 are exact: a GPU, or a CPU told to hurry, rounds float32."""
    hurried = not may_look(like) or torch.is_autocast_enabled("cpu")
    return torch.float64 if hurried or torch.get_float32_matmul_precision() != "highest" else torch.float32


def extremes(channels: Array) -> tuple[Array, Array]:
    """Greatest and least of three channels, (B, 3, ...) -> (B, ...) each."""
    xp = namespace(channels)
    red, green, blue = channels[:, 0], channels[:, 1], channels[:, 2]  # a reduction over so few is slower
    return xp.maximum(xp.maximum(red, green), blue), xp.minimum(xp.minimum(red, green), blue)


def how_many(flags: Array) -> Array:
    """(B,) of (B, N): how many are true."""
    if isinstance(flags, torch.Tensor):
        return flags.count_nonzero(-1)
    return int(np.count_nonzero(flags))


def mean_variance(values: Array) -> tuple[Array, Array]:
    """(B,) each of (B, N)."""
    count = values.shape[-1]
    if isinstance(values, torch.Tensor):
        mean = values.sum(-1) / count
        centred = values - mean[:, None]
        return mean, (centred * centred).sum(-1) / count
    mean = float(values.sum()) / count
    centred = values[0] - mean
    return mean, float(centred @ centred) / count


def may_look(tensor: torch.Tensor) -> bool:
    """Whether looking at values costs nothing: on the CPU, outside torch.compile and fake tensors."""
    from torch._guards import detect_fake_mode

    if tensor.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return (
        type(tensor) is torch.Tensor or detect_fake_mode(tensor) is None
    )  # a fake one is of a type of its own
