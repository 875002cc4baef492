"""adaptaug/core/warp.c against the torch renderer's `warp`."""

from __future__ import annotations

import ctypes
import math
from ctypes import POINTER, byref, c_double, c_int, c_int64, c_void_p

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adaptaug.backend.levels import luma_levels
from adaptaug.device import engine as renderer
from tests.core.structs import GUARD, MARK, Arena, Planes, Sums

WHOLE = np.array([[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 1]])


@pytest.fixture(scope="module")
def core(pixels_library: ctypes.CDLL) -> ctypes.CDLL:
    warp, pixels = pixels_library.warp, [c_void_p, c_int, c_int, c_int64, c_int]
    warp.restype = Sums
    warp.argtypes = [*pixels, c_double * 9, c_double, c_int, c_int, POINTER(Planes), POINTER(Arena)]
    return pixels_library


def warped(
    core: ctypes.CDLL,
    image: np.ndarray,
    matrix: np.ndarray,
    span: float,
    size: int,
    nearest: bool = False,
    room: int = 1 << 24,
) -> tuple[np.ndarray, Sums, Arena]:
    """((4, S, S) planes, luma's sums, the arena) of an (H, W[, 3]) image with any stride."""
    height, width = image.shape[:2]
    memory = np.empty(room, np.uint8)
    arena = Arena(memory.ctypes.data, memory.size, 0, 0)
    out = np.full((4, size * size + 2 * GUARD), MARK, np.uint8)
    planes = Planes((c_void_p * 4)(*(plane[GUARD:].ctypes.data for plane in out)))
    sums = core.warp(
        image.ctypes.data, height, width, image.strides[0], 3 if image.ndim == 3 else 1,
        (c_double * 9)(*np.ravel(matrix)), span, size, nearest, byref(planes), byref(arena),
    )  # fmt: skip
    assert (out[:, :GUARD] == MARK).all() and (out[:, -GUARD:] == MARK).all()
    return out[:, GUARD:-GUARD].reshape(4, size, size), sums, arena


def by_torch(image: np.ndarray, matrix: np.ndarray, span: float, size: int, nearest: bool) -> np.ndarray:
    """(C, S, S) levels. Matrices are alike up to a factor, which torch wants to be 1 where nothing slants."""
    pixels = torch.from_numpy(np.ascontiguousarray(image).reshape(*image.shape[:2], -1))
    batch = pixels.permute(2, 0, 1)[None].to(torch.float32).contiguous()
    rows = torch.from_numpy(matrix / matrix[2, 2])[None]
    return renderer.warp(batch, rows, torch.tensor([span], dtype=torch.float64), size, nearest)[0].numpy()


def in_strange_rows(pixels: np.ndarray, padding: int, upside_down: bool) -> np.ndarray:
    """The same pixels, in rows with bytes between them or from the last to the first, that end where memory does."""
    height = len(pixels)
    row = pixels[0].size + padding
    memory = np.full(height * row - padding, MARK, np.uint8)
    shape, strides = pixels.shape, (row, *pixels.strides[1:])
    if upside_down:
        view = np.lib.stride_tricks.as_strided(memory[(height - 1) * row :], shape, (-row, *strides[1:]))
    else:
        view = np.lib.stride_tricks.as_strided(memory, shape, strides)
    view[...] = pixels
    return view


def turned(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.sampled_from(((2, 300), (300, 2)))) if draw(st.integers(0, 7)) == 0 else (
        draw(st.integers(2, 300)),
        draw(st.integers(2, 300)),
    )  # fmt: skip
    shape = (height, width, 3)[: draw(st.sampled_from((2, 3, 3, 3)))]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = draw(st.sampled_from(((0, 256), (0, 256), (0, 12), (90, 93), (255, 256))))
    pixels = random.integers(low, high, shape, np.uint8)
    return in_strange_rows(pixels, draw(st.integers(0, 9)), draw(st.booleans()))


@st.composite
def placements(draw: st.DrawFn, kinds: tuple[str, ...]) -> tuple[np.ndarray, float]:
    """A crop, then what its kind has: (view [-1, 1] -> source [0, 1], span)."""
    kind, share = draw(st.sampled_from(kinds)), draw(st.floats(0.05, 1))
    part = st.floats(-0.5 * (1 - share), 0.5 * (1 - share))
    crop = np.array([[0.5 * share, 0, 0.5 + draw(part)], [0, 0.5 * share, 0.5 + draw(part)], [0, 0, 1]])
    flips = [draw(st.sampled_from((-1, 1))) * draw(st.floats(0.6, 1.6)) for _ in range(2)]
    change = np.diag([*flips, 1.0])
    if kind != "straight":
        slant = np.eye(3)
        slant[0, 1], slant[1, 0] = draw(st.floats(-0.6, 0.6)), draw(st.floats(-0.6, 0.6))
        change = turned(draw(st.floats(-180, 180))) @ slant @ change
    if kind == "perspective":
        recede = np.eye(3)
        recede[2, :2] = draw(st.floats(-0.3, 0.3)), draw(st.floats(-0.3, 0.3))
        change = change @ recede
    span = draw(st.sampled_from((share, share, 1.0, 0.1)))
    return crop @ change * draw(st.sampled_from((1, 1, 0.25, -3))), span


SIZES = st.sampled_from((8, 9, 15, 16, 31, 32, 33, 64, 97))
ALL = ("straight", "affine", "perspective")


@settings(max_examples=400, deadline=None)
@given(pictures(), placements(ALL), SIZES)
def test_is_torchs_warp_to_a_level(core, image, placement, size):
    """Rounding apart, which at .5 may fall either way: one level, on few pixels."""
    matrix, span = placement
    out, sums, arena = warped(core, image, matrix, span, size)
    channels = 3 if image.ndim == 3 else 1
    expected = by_torch(image, matrix, span, size, nearest=False)
    difference = np.abs(out[:channels] - expected)
    assert difference.max() <= 1
    # Of whole levels at a half share every second is a tie; elsewhere 128ths decide. A small view's share varies.
    assert (difference > 0).mean() <= 0.17 + 3 * math.sqrt(0.17 * 0.83 / difference.size)
    assert not arena.failed and arena.used == 0
    if channels == 1:
        assert sums.told() == (0, 0)
        return
    luma = luma_levels(torch.from_numpy(out[:3])[None].float())[0].long().numpy()
    assert np.array_equal(out[3], luma)
    assert sums.told() == (luma.sum(), (luma**2).sum())


@pytest.mark.parametrize("kind", ALL)
def test_differs_from_torch_on_few_pixels(core, kind: str):
    """Over matrices at random positions, where ties are rare."""
    random, differing = np.random.default_rng(1), []
    for number in range(60):
        height, width = random.integers(20, 300, 2)
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        share, angle = random.uniform(0.2, 0.7), random.uniform(-180, 180)
        matrix = np.diag([share / 2, share / 2, 1.0]) @ (np.eye(3) if kind == "straight" else turned(angle))
        matrix[:2, 2] = random.uniform(0.4, 0.6, 2)
        if kind == "perspective":
            matrix[2, :2] = random.uniform(-0.2, 0.2, 2)
        size = (32, 61, 64)[number % 3]
        out, *_ = warped(core, image, matrix, share, size)
        differing.append((out[:3] != by_torch(image, matrix, share, size, False)).mean())
    assert np.mean(differing) <= 0.006


@settings(max_examples=200, deadline=None)
@given(pictures(), placements(ALL), SIZES)
def test_nearest_is_torchs_but_for_ties(core, image, placement, size):
    matrix, span = placement
    out, sums, _ = warped(core, image, matrix, span, size, nearest=True)
    expected = by_torch(image, matrix, span, size, nearest=True)
    height, width = image.shape[:2]
    view = (np.arange(size) * 2 + 1) / size - 1
    u, v = np.meshgrid(view, view)
    x, y, depth = (row[0] * u + row[1] * v + row[2] for row in matrix)
    at = np.stack([x / depth * width, y / depth * height])
    tied = (np.abs(at - np.rint(at)) < 1e-4).any(0)
    assert np.array_equal(out[: len(expected), ~tied], expected[:, ~tied])
    assert sums.told() == (0, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 70), st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.booleans())
def test_a_whole_frame_of_the_views_size_is_copied(core, size, seed, across, down, grey):
    shape = (size, size) if grey else (size, size, 3)
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    matrix = WHOLE @ np.diag([1 - 2 * across, 1 - 2 * down, 1])
    expected = image[:: 1 - 2 * down, :: 1 - 2 * across].reshape(size, size, -1)
    for nearest in (False, True):
        out, *_ = warped(core, image, matrix, 1.0, size, nearest)
        assert np.array_equal(np.moveaxis(out[: expected.shape[2]], 0, -1), expected)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@example(259, 3, 0, False, False)  # more rows than are summed in 16 bits
@example(518, 1, 1, True, True)
@example(13, 12, 2, True, False)
def test_averages_are_torchs(core, factor, more, seed, upright, grey):
    """The last eight boxes of an image each way, one a pixel of the view: the very numbers, edges repeated too."""
    size, more = 8, more % factor
    height, width = size * factor, size * factor + more
    shape = (height, width) if grey else (height, width, 3)
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    first = 1 if more else 0
    matrix = np.array([[4 * factor / width, 0, (first + 4) * factor / width], [0, 0.5, 0.5], [0, 0, 1]])
    if upright:
        image, matrix = image.swapaxes(0, 1).copy(), matrix[[1, 0, 2]][:, [1, 0, 2]]
    for turn in (np.eye(3), np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])):  # straight, and any other way
        out, *_ = warped(core, image, matrix @ turn, 1.0, size, room=1 << 26)
        expected = by_torch(image, matrix @ turn, 1.0, size, nearest=False)
        assert np.array_equal(out[: len(expected)], expected)


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_a_flat_image_stays_flat(core, level: int):
    image = np.full((97, 61, 3), level, np.uint8)
    for matrix in (WHOLE, WHOLE @ turned(33), WHOLE @ np.array([[1, 0, 0], [0, 1, 0], [0.2, 0.1, 1]])):
        for span in (0.2, 1.0):
            out, *_ = warped(core, image, matrix, span, 17)
            assert (out == level).all()


@pytest.mark.parametrize(
    "matrix",
    [
        np.full((3, 3), np.nan),
        np.zeros((3, 3)),
        WHOLE * [[1e300, 1, 1], [1, 1e300, 1], [1, 1, 1]],
        np.add(WHOLE, [[0, 0, 1e12], [0, 0, -1e12], [0, 0, 0]]),
        np.array([[0.5, 0.1, 0.5], [0.2, 0.5, 0.5], [1, 1, 0]]),  # the horizon crosses the view
        np.array([[0.5, 0.1, 0.5], [0.2, 0.5, 0.5], [2, -3, 1]]),
        np.array([[50.0, 0, 0.5], [0, 50.0, 0.5], [0, 0, 1]]),
    ],
)
@pytest.mark.parametrize("span", [0.0, 0.3, 1.0, 1e9, math.nan])
def test_senseless_numbers_read_and_write_nothing_outside(core, matrix: np.ndarray, span: float):
    image = in_strange_rows(np.full((40, 50, 3), 7, np.uint8), 5, False)
    for nearest in (False, True):
        out, _, arena = warped(core, image, matrix, span, 16, nearest)
        assert not arena.failed and (out[:3] == 7).all()


@pytest.mark.parametrize("angle", [0, 20])
def test_without_memory_it_says_so(core, angle: int):
    image = np.zeros((300, 400, 3), np.uint8)
    assert warped(core, image, WHOLE @ turned(angle), 1.0, 32)[2].failed == 0
    for room in (0, 500, 1000, 2000):
        assert warped(core, image, WHOLE @ turned(angle), 1.0, 32, room=room)[2].failed
