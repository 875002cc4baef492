"""Counter-based random numbers: every number drawn is a pure function of a key.

A key is ``(seed, epoch, index)``; the view's number and a slot (which number of the view) are added
inside. ``uniforms`` hashes the five with SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) and keeps the
top 24 bits, so the numbers are the same bits in NumPy (uint64) and torch (int64, CPU or GPU), and do not
depend on batch size, worker count or the order in which images arrive.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
import torch

from adaptaug.errors import AdaptAugError

_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_BITS = 24
_WORD = (1 << 64) - 1


def _signed(value: int) -> int:
    """The int64 with the same 64 bits: torch has no arithmetic on uint64."""
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >= 1 << 63 else value


def _shift_right(bits: Any, count: int) -> Any:
    """Logical shift: int64's own shift copies the sign, so the copies are masked away."""
    if isinstance(bits, torch.Tensor):
        return (bits >> count) & ((1 << (64 - count)) - 1)
    return bits >> np.uint64(count)


def splitmix64(bits: Any) -> Any:
    """One SplitMix64 step (increment and finaliser) on a NumPy uint64 array or a torch int64 tensor."""
    torch_like = isinstance(bits, torch.Tensor)

    def constant(value: int) -> Any:
        return _signed(value) if torch_like else np.uint64(value)

    bits = bits + constant(_GOLDEN)
    bits = (bits ^ _shift_right(bits, 30)) * constant(_MULTIPLIERS[0])
    bits = (bits ^ _shift_right(bits, 27)) * constant(_MULTIPLIERS[1])
    return bits ^ _shift_right(bits, 31)


def uniforms(keys: Any, view: int, slots: int) -> Any:
    """Independent uniforms in [0, 1) for each key.

    Args:
        keys: (B, 3) int64, rows of (seed, epoch, index); NumPy array or torch tensor on any device.
        view: the view's number.
        slots: how many numbers each view may use.
    Returns: (B, slots) float64, multiples of 2^-24, bit-equal for NumPy and torch.
    """
    if isinstance(keys, torch.Tensor):
        state = splitmix64(keys[:, 0])
        state = splitmix64(state ^ keys[:, 1])
        state = splitmix64(state ^ keys[:, 2])
        state = splitmix64(state ^ view)
        slot = torch.arange(slots, device=keys.device)
        bits = splitmix64(state[:, None] ^ slot[None, :])
        return _shift_right(bits, 64 - _BITS).to(torch.float64) * 2.0**-_BITS
    words = keys.astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):  # wrapping around 2^64 is the point
        state = splitmix64(words[:, 0])
        state = splitmix64(state ^ words[:, 1])
        state = splitmix64(state ^ words[:, 2])
        state = splitmix64(state ^ np.uint64(view))
        bits = splitmix64(state[:, None] ^ np.arange(slots, dtype=np.uint64)[None, :])
    return _shift_right(bits, 64 - _BITS).astype(np.float64) * 2.0**-_BITS


def another(keys: Any, number: int) -> Any:
    """(B, 3) keys of the `number`-th further draw of the same images; number 0 is the keys themselves."""
    if number == 0:
        return keys
    change = _signed(number * _GOLDEN)
    if isinstance(keys, torch.Tensor):
        return torch.stack([keys[:, 0] ^ change, keys[:, 1], keys[:, 2]], 1)
    return np.stack([keys[:, 0] ^ np.int64(change), keys[:, 1], keys[:, 2]], 1)


def kumaraswamy(uniform: Any, a: float, b: float) -> Any:
    """Inverse CDF of Kumaraswamy(a, b) on [0, 1]: the Beta's shape from one uniform, no rejection.

    x = (1 - (1 - u)^(1/b))^(1/a); a = b = 1 is the uniform itself, bit for bit.
    """
    if a == 1.0 and b == 1.0:
        return uniform
    return (1.0 - (1.0 - uniform) ** (1.0 / b)) ** (1.0 / a)


def fresh_seed() -> int:
    """One 64-bit number from torch's default generator, mixed with the distributed rank.

    The one permitted use of a global generator: `torch.manual_seed` governs it, and torch itself reseeds
    it in every DataLoader worker. With persistent workers it simply runs on, so epochs differ.
    """
    number = int(torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64, device="cpu"))
    return _signed(number ^ (distributed_rank() * _GOLDEN))


def distributed() -> bool:
    """Whether this process is in a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def distributed_rank() -> int:
    """This process's rank, 0 outside distributed training; a worker asks the launcher's RANK (torchrun's)."""
    if distributed():
        return torch.distributed.get_rank()
    rank = os.environ.get("RANK", "0")
    return int(rank) if rank.isdigit() else 0


def as_rows(key: Any, count: int) -> np.ndarray:
    """Whatever the caller gave as key -> (count, 3) int64 rows of (seed, epoch, index).

    Args:
        key: None (fresh numbers), an int (seed; index = position), a (seed, epoch, index) triple for one
            image, or a sequence of triples for a batch.
        count: number of images.
    Raises: AdaptAugError: a key of another shape, or not as many keys as images.
    """
    if key is None:
        key = fresh_seed()
    if isinstance(key, (int, np.integer)):
        return np.array(
            [(_signed(int(key)), 0, position) for position in range(count)], dtype=np.int64
        ).reshape(-1, 3)
    if isinstance(key, torch.Tensor):
        key = key.cpu().numpy()
    if isinstance(key, Sequence) and len(key) and isinstance(key[0], (int, np.integer)):
        key = [key]
    try:
        rows = [[_signed(index(part)) for part in row] for row in key]
    except TypeError:
        rows = [[]]
    if len(rows) != count or any(len(row) != 3 for row in rows):
        raise AdaptAugError(
            f"key must be a (seed, epoch, index) triple for each of the {count} images, got {key!r:.80}; "
            "pass one triple for one image, a list of triples for a batch, or an integer seed."
        )
    return np.array(rows, dtype=np.int64).reshape(count, 3)
