"""Views by the compiled core: images in memory, a policy and keys -> views, and everything that was decided.

A batch goes image by image, each in cache, over a pool of threads; what a key gives depends on none of that.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np
import torch

from adaptaug.core import library, records
from adaptaug.core.records import (
    FLOATS,
    INTERLEAVED,
    PLANAR,
    MovesRecord,
    Output,
    SourceRecord,
    pack,
    pack_routes,
)  # fmt: skip
from adaptaug.core.reports import EVERYTHING, REPORT, reports_of
from adaptaug.params import ViewParams
from adaptaug.policy import Policy
from adaptaug.policy.conditional import STATISTICS, Moves
from adaptaug.policy.ops import OPS
from adaptaug.policy.request import Request

_TASKS_PER_THREAD = 4  # parts of a batch, so that no thread waits long for the last
_off: ContextVar[bool] = ContextVar("adaptaug_core_off", default=False)


@contextmanager
def off() -> Iterator[None]:
    """Leave the core alone in this block: torch makes the views, as on a device."""
    token = _off.set(True)
    try:
        yield
    finally:
        _off.reset(token)


def usable(policy: Policy | None = None) -> bool:
    """Whether the core is there and knows all operations of a policy."""
    if _off.get() or library.load() is None:
        return False
    return policy is None or not _prepared(policy)[2] & ~known_operations()


def replays(params: ViewParams) -> bool:
    """Whether the core is there and knows all operations that parameters name: it would drop another silently."""
    return (
        usable() and not _slots_of({name.partition(".")[0] for name in params.entries}) & ~known_operations()
    )


def known_operations() -> int:
    """A bit for each slot of `ops.OPS` that C has a function for."""
    lib = library.load()
    return 0 if lib is None else _operations_of(lib)


def _slots_of(names: Iterable[str]) -> int:
    """A bit for the slot of each operation."""
    return sum(1 << OPS[name].slot for name in names)


@cache
def _operations_of(lib: ctypes.CDLL) -> int:
    return int(lib.core_operations())


def packed(policy: Policy) -> Any:
    """A policy as C reads it."""
    return _prepared(policy)[0]


def _prepared(policy: Policy) -> tuple[Any, Any, int]:
    """A policy and its rules as C reads them and a bit for the slot of each of its operations, made once."""
    prepared = policy.__dict__.get("_core")
    if prepared is None:
        names = {name for choice in policy.choices for name in choice.operations}
        prepared = pack(policy), pack_routes(policy), _slots_of(names)
        object.__setattr__(policy, "_core", prepared)
    return prepared


def _address(values: Any) -> int:
    """Of a tensor's or an array's first element; `ndarray.ctypes` takes four times as long to say it."""
    return values.data_ptr() if isinstance(values, torch.Tensor) else values.__array_interface__["data"][0]


# --- threads ----------------------------------------------------------------------------------------------
_pools: dict[int, ThreadPoolExecutor] = {}
if hasattr(os, "register_at_fork"):  # a forked child has the parent's pools, but none of their threads
    os.register_at_fork(after_in_child=_pools.clear)


def _over_images(call: Callable[[int, int], int], count: int) -> None:
    """`call(start, stop)` over the images of a batch, on as many threads as torch has here (one in a worker)."""
    threads = min(torch.get_num_threads(), count)
    if count == 0:
        failed = False
    elif threads <= 1:
        failed = bool(call(0, count))
    else:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, "adaptaug")
        parts = min(count, threads * _TASKS_PER_THREAD)
        ends = [count * i // parts for i in range(parts + 1)]
        failed = max(map(abs, _pools[threads].map(call, ends[:-1], ends[1:]))) > 0
    if failed:
        raise MemoryError("adaptaug: no memory for the views; ask for smaller ones, or for fewer at a time.")


# --- what goes in -----------------------------------------------------------------------------------------
def source_of(pixels: np.ndarray | torch.Tensor) -> SourceRecord:
    """One (H, W, C) uint8 array whose pixels have no gap between them, or a contiguous (B, C, H, W) uint8 tensor.

    Only their address is in it: keep them as long as it.
    """
    if isinstance(pixels, torch.Tensor):
        batch, channels, height, width = pixels.shape
        return SourceRecord(
            _address(pixels), channels * height * width, width, batch, height, width, channels, 1
        )
    height, width, channels = pixels.shape
    return SourceRecord(_address(pixels), 0, pixels.strides[0], 1, height, width, channels, 0)


def _moves(push: Any, count: int) -> Any:
    """What moves a batch's draws, one record an image; None where nothing does."""
    if push is None:
        return None
    rows = np.zeros(count, np.dtype(MovesRecord))
    if isinstance(push, Moves):
        rows["moved"] = 1
        for numbers, name in ((push.p, "p"), (push.strength, "strength")):
            for operation, values in numbers.items():
                slot = OPS[operation].slot
                rows[name][:, slot], rows[f"moves_{name}"][:, slot] = np.asarray(values, np.float64), 1
    else:
        rows["pushed"], rows["push"] = 1, np.asarray(push, np.float64)
    return rows


# --- what comes out ---------------------------------------------------------------------------------------
class Form:
    """How views are written: `interleaved` (S, S, 3), `luma` (S, S), `planar` (3, S, S), all uint8, or `floats`."""

    __slots__ = ("channels", "kind", "offset", "scale")

    def __init__(
        self, kind: int, channels: int = 3, scale: Sequence[float] = (1.0,) * 3, offset: Sequence[float] = (0.0,) * 3
    ):  # fmt: skip
        self.kind, self.channels = kind, channels
        self.scale, self.offset = (ctypes.c_float * 3)(*scale), (ctypes.c_float * 3)(*offset)

    def room(self, count: int, size: int) -> Any:
        """(B, S, S, 3) or (B, S, S) arrays, (B, 3, S, S) tensors."""
        if self.kind == FLOATS:
            return torch.empty((count, 3, size, size), dtype=torch.float32)
        if self.kind == PLANAR:
            return torch.empty((count, self.channels, size, size), dtype=torch.uint8)
        return np.empty((count, size, size, 3) if self.channels == 3 else (count, size, size), np.uint8)

    def output(self, room: Any, size: int) -> Output:
        return Output(
            _address(room), self.channels * size * size, self.kind, self.channels, self.scale, self.offset
        )


INTERLEAVED_RGB, LUMA, PLANAR_RGB, PLANAR_LUMA = (
    Form(INTERLEAVED), Form(INTERLEAVED, 1), Form(PLANAR), Form(PLANAR, 1),
)  # fmt: skip


def make_views(
    source: SourceRecord, request: Request, rows: np.ndarray, form: Form, push: Any = None,
) -> tuple[list[Any], np.ndarray | None]:  # fmt: skip
    """The views that are asked for, of each image: a list of what `form.room` gives, and, where parameters are asked
    for, the (B, views) reports.

    Args: rows: (B, 3) int64 keys; push: as `generate.Look.push`.
    """
    lib, numbers, size = library.load(), request.numbers, request.size
    assert lib is not None
    count, views = source.count, len(numbers)
    rooms = [form.room(count, size) for _ in numbers]
    outputs = (Output * views)(*[form.output(room, size) for room in rooms])
    reports = np.empty((count, views), REPORT) if request.params else None
    moves = _moves(push, count)
    rows = np.ascontiguousarray(rows, np.int64)
    policies, routing, _ = _prepared(request.policy)
    arguments = (
        ctypes.byref(source), policies, None if routing is None else ctypes.byref(routing),
        ctypes.c_void_p(_address(rows)), None if moves is None else ctypes.c_void_p(_address(moves)),
    )  # fmt: skip
    report = None if reports is None else ctypes.c_void_p(_address(reports))

    def part(start: int, stop: int) -> int:
        return int(lib.core_views(*arguments, start, stop, numbers.start, views, size, outputs, report))

    _over_images(part, count)
    return rooms, reports


def replay(
    source: SourceRecord, params: ViewParams, form: Form, nearest: bool = False, tone: bool = True
) -> Any:
    """What `form.room` gives: the views that `params` describe."""
    lib = library.load()
    assert lib is not None
    room, reports = form.room(source.count, params.size), reports_of(params)
    output, record = form.output(room, params.size), packed(EVERYTHING)

    def part(start: int, stop: int) -> int:
        address = ctypes.c_void_p(_address(reports))
        status: int = lib.core_replay(
            ctypes.byref(source), record, address, start, stop, params.size, nearest, tone, ctypes.byref(output)
        )  # fmt: skip
        return status

    _over_images(part, source.count)
    return room


def measure(source: SourceRecord) -> dict[str, np.ndarray]:
    """Every statistic of `conditional.STATISTICS` by name, (B,) each."""
    lib = library.load()
    assert lib is not None
    out = np.empty((source.count, records.STATISTICS))
    address = ctypes.c_void_p(_address(out))
    _over_images(
        lambda start, stop: lib.core_measure(ctypes.byref(source), start, stop, address), source.count
    )
    return {name: out[:, records.PLACES[name]] for name in STATISTICS}


def shortest_side(policy: Policy, row: np.ndarray, numbers: range, width: int, height: int) -> float:
    """The shorter side in pixels of the crops that a key draws for some views, the worse way up, before any guard."""
    lib = library.load()
    assert lib is not None
    row = np.ascontiguousarray(row, np.int64)
    key = ctypes.c_void_p(_address(row))
    return float(lib.core_shortest_side(packed(policy), key, numbers.start, len(numbers), width, height))


def jpeg_size(data: bytes) -> tuple[int, int, bool] | None:
    """Width and height of a JPEG of one or three channels, and whether it has metadata; None of anything else."""
    lib, size = library.load(), (ctypes.c_int32 * 3)()
    assert lib is not None
    return None if lib.core_jpeg_size(data, len(data), size) else (size[0], size[1], bool(size[2]))
