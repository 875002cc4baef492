"""adaptaug/core/filters.c against the torch renderer's filters."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_double, c_int, c_void_p
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptaug.policy.ops import OPS
from tests.core.structs import GUARD, MARK, Arena, Planes


@pytest.fixture(scope="module")
def core(pixels_library: ctypes.CDLL) -> ctypes.CDLL:
    for filtering in (pixels_library.blur, pixels_library.sharpen):
        filtering.restype = None
        filtering.argtypes = [POINTER(Planes), c_int, c_double, POINTER(Planes), POINTER(Arena)]
    return pixels_library


def filtered(
    core: ctypes.CDLL, name: str, pixels: np.ndarray, amount: float, room: int = 1 << 22
) -> tuple[np.ndarray, Arena]:
    """((3, S, S) levels, the arena) of (3, S, S) levels; no luma is given, none is written."""
    size = pixels.shape[-1]
    memory = np.empty(room, np.uint8)
    arena = Arena(memory.ctypes.data, memory.size, 0, 0)
    source, out = np.ascontiguousarray(pixels), np.full((3, size * size + 2 * GUARD), MARK, np.uint8)
    planes = [
        Planes((c_void_p * 4)(*(plane.ctypes.data for plane in part))) for part in (source, out[:, GUARD:])
    ]
    getattr(core, name)(byref(planes[0]), size, amount, byref(planes[1]), byref(arena))
    assert (out[:, :GUARD] == MARK).all() and (out[:, -GUARD:] == MARK).all()
    return out[:, GUARD:-GUARD].reshape(3, size, size), arena


def by_torch(name: str, pixels: np.ndarray, amount: float) -> np.ndarray:
    """(3, S, S) levels before they are rounded."""
    function: Any = OPS[name].torch
    levels = torch.from_numpy(pixels)[None].to(torch.float32)
    return function(levels, torch.tensor([amount], dtype=torch.float64)).clamp(0, 255)[0].numpy()


@st.composite
def views(draw: st.DrawFn) -> np.ndarray:
    size = draw(st.sampled_from((8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 224)))
    low, high = draw(st.sampled_from(((0, 256), (0, 256), (0, 9), (100, 103), (250, 256))))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    view = random.integers(low, high, (3, size, size), np.uint8)
    return np.where(view > (low + high) // 2, high - 1, low).astype(np.uint8) if draw(st.booleans()) else view


@settings(max_examples=300, deadline=None)
@given(views(), st.floats(0, 5) | st.sampled_from((1e-9, 0.2, 0.3, 0.5, 40.0)))
def test_blur_is_torchs_rounded(core, view, sigma):
    """To the nearest level, give or take what sums of 16 bits cut off: a tenth of a level."""
    out, arena = filtered(core, "blur", view, sigma)
    assert np.abs(out - by_torch("blur", view, sigma)).max() <= 0.6
    assert not arena.failed and arena.used == 0


@settings(max_examples=300, deadline=None)
@given(views(), st.floats(0, 4))
def test_sharpen_is_torchs_rounded(core, view, amount):
    out, arena = filtered(core, "sharpen", view, amount)
    assert np.abs(out - by_torch("sharpen", view, amount)).max() <= 0.501
    assert not arena.failed and arena.used == 0


@pytest.mark.parametrize("size", [8, 9, 224, 1000])
def test_nothing_asked_changes_nothing(core, size: int):
    view = np.random.default_rng(size).integers(0, 256, (3, size, size), np.uint8)
    for sigma in (0.0, 1e-12, 1e-3, 0.1):
        assert np.array_equal(filtered(core, "blur", view, sigma)[0], view)
    assert np.array_equal(filtered(core, "sharpen", view, 0.0)[0], view)


@pytest.mark.parametrize("sigma", [0.25, 0.7, 2.0, 5.0, 100.0])
def test_blur_moves_no_flat_level(core, sigma: float):
    for level in range(256):
        view = np.full((3, 21, 21), level, np.uint8)
        assert (filtered(core, "blur", view, sigma)[0] == level).all()


@pytest.mark.parametrize("sigma", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("highest", [6, 255])
def test_what_is_cut_off_shifts_nothing(core, highest: int, sigma: float):
    """On a dark view that a gain would stretch, and a whole one: the mean, and how often levels differ from torch's."""
    view = np.random.default_rng(0).integers(0, highest + 1, (3, 224, 224), np.uint8)
    expected = by_torch("blur", view, sigma)
    out, _ = filtered(core, "blur", view, sigma)
    assert abs(out.mean() - expected.mean()) <= 0.01
    assert (out != np.round(expected)).mean() <= 0.02


@pytest.mark.parametrize("size", [2048, 4096])
def test_blur_of_a_large_view(core, size: int):
    """Against the formula, along a line: a view that only changes from left to right."""
    row = np.random.default_rng(size).integers(0, 256, size).astype(np.uint8)
    view = np.broadcast_to(row, (3, size, size))
    out, arena = filtered(core, "blur", view, 5.0)
    reach = max(3, int(0.1 * size) | 1) // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / 5.0) ** 2)
    expected = np.convolve(np.pad(row.astype(float), reach, mode="reflect"), weights / weights.sum(), "valid")
    assert not arena.failed and (out == out[:1, :1]).all()
    assert np.abs(out[0, 0] - expected).max() <= 0.6


@pytest.mark.parametrize("name", ["blur", "sharpen"])
def test_without_memory_it_says_so(core, name: str):
    view = np.zeros((3, 64, 64), np.uint8)
    for room in (0, 100):
        assert filtered(core, name, view, 1.5, room)[1].failed
