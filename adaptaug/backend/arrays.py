"""Small operations on tensors with one row an image, (B, ...): nothing in them waits for a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import torch

Array = Any  # a torch.Tensor with one row an image; NumPy in the parameters of a single image


Function = TypeVar("Function", bound=Callable[..., Any])


def at_home(function: Function) -> Function:
    """Has a function of images make its tensors where these lie, whatever `torch.set_default_device` says."""

    @wraps(function)
    def placed(images: Any, *others: Any, **options: Any) -> Any:
        # An empty tensor tells where tensors are made three times as fast as `torch.get_default_device`.
        if torch.compiler.is_compiling() or torch.empty(0).device.type == "cpu":
            return function(images, *others, **options)
        with images.device if isinstance(images, torch.Tensor) else torch.device("cpu"):
            return function(images, *others, **options)

    return placed  # type: ignore[return-value]


def clamp(value: torch.Tensor, low: torch.Tensor | float, high: torch.Tensor | float) -> torch.Tensor:
    """Clamp to [low, high], either of which may be a tensor or a number; high wins where low > high."""
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return value.clamp(low, high)
    return smaller(larger(value, low), high)


def smaller(a: torch.Tensor, b: torch.Tensor | float) -> torch.Tensor:
    return a.clamp(max=b) if isinstance(b, (int, float)) else torch.minimum(a, b)


def larger(a: torch.Tensor, b: torch.Tensor | float) -> torch.Tensor:
    return a.clamp(min=b) if isinstance(b, (int, float)) else torch.maximum(a, b)


def arange(count: int, like: torch.Tensor) -> torch.Tensor:
    """0 ... count-1 as float64, on the device of `like`."""
    return torch.arange(count, device=like.device, dtype=torch.float64)


def constant(value: float, like: torch.Tensor) -> torch.Tensor:
    """A float64 tensor full of `value`, shaped and placed like `like`."""
    return torch.full(like.shape, value, dtype=torch.float64, device=like.device)


def ranked(values: torch.Tensor, rank: torch.Tensor | int) -> torch.Tensor:
    """(B,) the value of (B, N) that `rank` others of its row precede in order, so many in all rows or (B,)."""
    if isinstance(rank, torch.Tensor):
        return pick(torch.sort(values, dim=-1).values, rank)
    return torch.kthvalue(values, rank + 1, dim=-1).values


def first_true(flags: torch.Tensor) -> torch.Tensor:
    """Index of the first True in each row of (B, K); K - 1 where there is none."""
    candidates = arange(flags.shape[-1], flags)
    return torch.where(flags, candidates, float(flags.shape[-1] - 1)).amin(-1).to(torch.int64)


def pick(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """rows[b, index[b]] for (B, K) rows."""
    return rows.gather(1, index[:, None])[:, 0]


def pick_rows(values: Sequence[torch.Tensor], which: torch.Tensor) -> torch.Tensor:
    """Row i of `values[which[i]]`, for tensors of one shape."""
    out = values[0]
    for number, other in enumerate(values[1:], 1):
        out = torch.where((which == number).reshape(-1, *[1] * (out.ndim - 1)), other, out)
    return out


def choose(flags: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Row by row, of tensors of any shape (B, ...)."""
    return torch.where(flags.reshape(-1, *[1] * (one.ndim - 1)), one, other)


def matrices(entries: list[list[torch.Tensor | float]], like: torch.Tensor) -> torch.Tensor:
    """Nested list of (B,) tensors and numbers -> (B, rows, columns) float64."""
    # One tensor for each number, and one copy of all: short tensors cost by the call.
    shared: dict[float, torch.Tensor] = {}
    parts = []
    for entry in (entry for line in entries for entry in line):
        if isinstance(entry, (int, float)):
            if entry not in shared:
                shared[entry] = constant(entry, like)
            entry = shared[entry]
        parts.append(entry)
    return torch.stack(parts, -1).reshape(*like.shape, len(entries), len(entries[0]))


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) products, term by term: the same bits for any batch size, which a library's matmul is not."""
    return a[:, :, :1] * b[:, :1, :] + a[:, :, 1:2] * b[:, 1:2, :] + a[:, :, 2:] * b[:, 2:, :]


def cofactors(matrix: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) signed minors."""
    a, b = matrix.roll(-1, 1), matrix.roll(-2, 1)
    return a.roll(-1, 2) * b.roll(-2, 2) - a.roll(-2, 2) * b.roll(-1, 2)


def mix(matrix: torch.Tensor, channels: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) maps of (B, 3, N) channels, term by term like `product`."""
    mixed = matrix[:, :, :1] * channels[:, :1]
    return mixed.add_(matrix[:, :, 1:2] * channels[:, 1:2]).add_(matrix[:, :, 2:] * channels[:, 2:])


def weighted(weights: Sequence[float], channels: torch.Tensor) -> torch.Tensor:
    """(B, N) sum of (B, 3, N) channels times three weights: luma, with luma's."""
    return channels[:, 0] * weights[0] + channels[:, 1] * weights[1] + channels[:, 2] * weights[2]


def exact_float(like: torch.Tensor) -> torch.dtype:
    """In what matrix products of whole numbers below 2^24 are exact: a GPU, or a CPU told to hurry, rounds float32."""
    hurried = not may_look(like) or torch.is_autocast_enabled("cpu")
    return torch.float64 if hurried or torch.get_float32_matmul_precision() != "highest" else torch.float32


def extremes(channels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Greatest and least of three channels, (B, 3, ...) -> (B, ...) each."""
    red, green, blue = channels[:, 0], channels[:, 1], channels[:, 2]  # a reduction over so few is slower
    return torch.maximum(torch.maximum(red, green), blue), torch.minimum(torch.minimum(red, green), blue)


def mean_variance(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B,) each of (B, N)."""
    mean = values.sum(-1) / values.shape[-1]
    centred = values - mean[:, None]
    return mean, (centred * centred).sum(-1) / values.shape[-1]


def may_look(tensor: torch.Tensor) -> bool:
    """Whether looking at values costs nothing: on the CPU, outside torch.compile and fake tensors."""
    from torch._guards import detect_fake_mode

    if tensor.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    # A fake one is of a type of its own.
    return type(tensor) is torch.Tensor or detect_fake_mode(tensor) is None
