"""adaptaug/core/levels.c and arena.c against NumPy in whole numbers and the torch renderer."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_double, c_float, c_int, c_int64, c_size_t, c_void_p
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptaug.backend.levels import box_reduce, luma_levels
from adaptaug.device import engine as renderer
from adaptaug.policy.ops import erase_mask, noise_levels
from tests.core.structs import Arena, Planes, Sums


class Toned(ctypes.Structure):
    _fields_ = [("luma", Sums), ("product", c_int64), ("ended", c_int64)]

    def told(self) -> tuple[int, int, int, int]:
        return (*self.luma.told(), self.product, self.ended)


@pytest.fixture(scope="module")
def core(pixels_library: ctypes.CDLL) -> ctypes.CDLL:
    plane, planes, many = c_void_p, POINTER(Planes), POINTER(c_void_p)
    for name, result, arguments in (
        ("arena_take", c_void_p, [POINTER(Arena), c_size_t]),
        ("luma_of_row", None, [plane, c_int, plane, POINTER(Sums)]),
        ("luma_of_planes", None, [planes, c_int, POINTER(Sums)]),
        ("sums_of", Sums, [plane, c_size_t]),
        ("product_of", c_int64, [plane, plane, c_size_t]),
        ("box_plane", None, [plane, c_int, c_int, c_int, plane, POINTER(Arena)]),
        ("squared_steps", c_int64, [plane, c_int]),
        ("apply_table", None, [planes, c_int, plane]),
        ("colour_map", Toned, [planes, plane, c_double * 12, c_int, planes]),
        ("toned_sums", Toned, [planes, plane, c_int]),
        ("ended_pixels", c_int64, [planes, c_int]),
        ("newly_ended", c_int64, [planes, planes, c_int]),
        ("blend", None, [planes, planes, c_int, c_double]),
        ("add_noise", None, [planes, c_int, c_int64, c_double]),
        ("erase_box", None, [planes, c_int, c_int, c_int, c_int, c_int]),
        ("interleave", None, [many, c_size_t, plane]),
        ("deinterleave", None, [plane, c_size_t, many]),
        ("as_floats", None, [many, c_size_t, c_float * 3, c_float * 3, plane]),
    ):
        function = getattr(pixels_library, name)
        function.restype, function.argtypes = result, arguments
    return pixels_library


GUARD = 77  # what lies around what may be written to, and must stay


class Plane:
    """`values` at an odd address, with bytes before and behind that nothing may touch."""

    def __init__(self, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values)
        self.memory = np.full(values.nbytes + 129, GUARD, np.uint8)
        start = 64 + int(self.memory.ctypes.data % 2 == 0) if values.dtype == np.uint8 else 64
        self.start, self.stop = start, start + values.nbytes
        self.values = self.memory[start : self.stop].view(values.dtype).reshape(values.shape)
        self.values[:] = values
        self.address = self.memory.ctypes.data + start

    def check(self) -> np.ndarray:
        assert (self.memory[: self.start] == GUARD).all()
        assert (self.memory[self.stop :] == GUARD).all()
        return self.values


class View:
    """Four planes of levels, of which the luma is yet to be worked out."""

    def __init__(self, rgb: np.ndarray) -> None:
        self.parts = [Plane(row) for row in (*rgb, np.full(rgb.shape[1:], 3, np.uint8))]
        self.planes = Planes((c_void_p * 4)(*(part.address for part in self.parts)))

    def rgb(self) -> np.ndarray:
        return np.stack([part.check() for part in self.parts[:3]])

    def luma(self) -> np.ndarray:
        return self.parts[3].check()


def addresses(rgb: np.ndarray) -> tuple[Any, list[Plane]]:
    parts = [Plane(row) for row in rgb]
    return (c_void_p * 3)(*(part.address for part in parts)), parts


def arena(room: int = 1 << 24) -> tuple[Arena, np.ndarray]:
    memory = np.zeros(room, np.uint8)
    return Arena(memory.ctypes.data, room, 0, 0), memory


def luma(rgb: np.ndarray) -> np.ndarray:
    """(3, ...) levels -> luma levels, by the formula."""
    r, g, b = rgb.astype(np.int64)
    return ((9798 * r + 19235 * g + 3735 * b + (1 << 14)) >> 15).astype(np.uint8)


def sums(plane: np.ndarray) -> tuple[int, int]:
    wide = plane.astype(np.int64)
    return int(wide.sum()), int((wide * wide).sum())


def ended(rgb: np.ndarray) -> np.ndarray:
    return ((rgb == 0) | (rgb == 255)).any(0)


def levels(seed: int, *shape: int) -> np.ndarray:
    """Random levels, of which many are 0 or 255."""
    random = np.random.default_rng(seed)
    drawn = random.integers(-60, 316, shape)
    kind = random.integers(0, 8)
    return (
        np.full(shape, 255 * (kind == 0), np.uint8) if kind < 2 else np.clip(drawn, 0, 255).astype(np.uint8)
    )


def as_torch(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb.astype(np.float32))[None]


counts = st.one_of(st.integers(1, 200), st.integers(4090, 4200), st.just(224 * 224), st.just(3 * 4096))
seeds = st.integers(0, 1 << 32)
many = settings(max_examples=60, deadline=None)


def test_arena_blocks_are_aligned_apart_and_end_with_the_memory(core: ctypes.CDLL) -> None:
    memory = np.zeros(1000, np.uint8)
    work = Arena(memory.ctypes.data + 3, 900, 0, 0)
    one, other = core.arena_take(work, 100), core.arena_take(work, 1)
    assert one % 64 == other % 64 == 0
    assert one >= memory.ctypes.data + 3 and other >= one + 100 + 64
    assert work.used <= 900 and not work.failed
    assert core.arena_take(work, 1 << 62) is None and work.failed
    assert core.arena_take(work, 900) is None
    last = core.arena_take(work, 300)
    assert last + 300 + 64 <= memory.ctypes.data + 903


def test_luma_is_the_formula_for_every_colour(core: ctypes.CDLL) -> None:
    green, blue = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8), indexing="ij")
    for red in range(256):
        view = View(np.stack([np.full_like(green, red), green, blue]))
        found = Sums(5, 7)
        core.luma_of_planes(view.planes, green.size, found)
        expected = luma(view.rgb())
        assert (view.luma() == expected).all()
        total, square = sums(expected)
        assert found.told() == (total + 5, square + 7)


@many
@given(count=counts, seed=seeds)
def test_luma_of_a_row(core: ctypes.CDLL, count: int, seed: int) -> None:
    rgb, out, found = Plane(levels(seed, count, 3)), Plane(np.zeros(count, np.uint8)), Sums(1, 2)
    core.luma_of_row(rgb.address, count, out.address, found)
    expected = luma(rgb.values.T)
    assert (out.check() == expected).all()
    assert (expected == luma_levels(as_torch(rgb.values.T[:, None]))[0, 0].numpy()).all()
    assert found.told() == (sums(expected)[0] + 1, sums(expected)[1] + 2)


@many
@given(count=counts, seed=seeds)
def test_sums_and_products(core: ctypes.CDLL, count: int, seed: int) -> None:
    one, other = Plane(levels(seed, count)), Plane(levels(seed + 1, count))
    assert core.sums_of(one.address, count).told() == sums(one.values)
    product = int((one.values.astype(np.int64) * other.values).sum())
    assert core.product_of(one.address, other.address, count) == product


def test_sums_of_a_hundred_million_white_pixels(core: ctypes.CDLL) -> None:
    plane = np.full(100_000_000, 255, np.uint8)
    address = plane.ctypes.data
    assert core.sums_of(address, plane.size).told() == (255 * plane.size, 255**2 * plane.size)
    assert core.product_of(address, address, plane.size) == 255**2 * plane.size


@many
@given(size=st.integers(1, 300), seed=seeds)
def test_squared_steps(core: ctypes.CDLL, size: int, seed: int) -> None:
    plane = Plane(levels(seed, size, size))
    wide = plane.values.astype(np.int64)
    expected = (np.diff(wide, axis=0) ** 2).sum() + (np.diff(wide, axis=1) ** 2).sum()
    assert core.squared_steps(plane.address, size) == expected


def test_squared_steps_of_the_largest_chequers(core: ctypes.CDLL) -> None:
    size = 10_000
    plane = np.zeros((size, size), np.uint8)
    plane[::2, ::2] = plane[1::2, 1::2] = 255
    assert core.squared_steps(plane.ctypes.data, size) == 2 * size * (size - 1) * 255**2


def averaged(plane: np.ndarray, factor: int) -> np.ndarray:
    """levels.box_reduce in whole numbers."""
    below, right = -plane.shape[0] % factor, -plane.shape[1] % factor
    wide = np.pad(plane.astype(np.int64), ((0, below), (0, right)), mode="edge")
    while factor > 1:
        by = 2 if factor % 2 == 0 else factor
        boxes = wide.reshape(wide.shape[0] // by, by, wide.shape[1] // by, by).sum((1, 3))
        wide, factor = (2 * boxes + by * by) // (2 * by * by), factor // by
    return wide.astype(np.uint8)


def boxed(core: ctypes.CDLL, plane: np.ndarray, factor: int) -> np.ndarray:
    height, width = plane.shape
    given = Plane(plane)
    work, _memory = arena(1 << 25)
    out = Plane(np.zeros((-(-height // factor), -(-width // factor)), np.uint8))
    core.box_plane(given.address, height, width, factor, out.address, work)
    assert not work.failed and work.used == 0
    return out.check()


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 300),
    factor=st.integers(1, 40),
    seed=seeds,
    dark=st.booleans(),
)
def test_boxes_are_those_of_torch(
    core: ctypes.CDLL, height: int, width: int, factor: int, seed: int, dark: bool
) -> None:
    plane = levels(seed, height, width)
    plane = plane % 2 if dark else plane
    found = boxed(core, plane, factor)
    assert (found == averaged(plane, factor)).all()
    assert (found == box_reduce(as_torch(plane[None]), factor)[0, 0].numpy()).all()


@pytest.mark.parametrize(
    "factor", [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 31, 96, 257, 258, 259, 301, 602, 1000]
)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (259, 517), (1000, 600)])
def test_boxes_of_white_and_of_any_levels(core: ctypes.CDLL, factor: int, shape: tuple[int, int]) -> None:
    white = np.full(shape, 255, np.uint8)
    assert (boxed(core, white, factor) == 255).all()
    plane = levels(factor + 2, *shape)
    assert (boxed(core, plane, factor) == averaged(plane, factor)).all()


def test_boxes_without_memory_say_so(core: ctypes.CDLL) -> None:
    plane, out = Plane(levels(3, 40, 40)), Plane(np.zeros((20, 20), np.uint8))
    work, _memory = arena(64)
    core.box_plane(plane.address, 40, 40, 3, out.address, work)
    assert work.failed and not out.check().any()


@many
@given(count=counts, seed=seeds)
def test_table(core: ctypes.CDLL, count: int, seed: int) -> None:
    rgb, table = levels(seed, 3, count), np.random.default_rng(seed).permutation(256).astype(np.uint8)
    view = View(rgb)
    core.apply_table(view.planes, count, table.ctypes.data)
    assert (view.rgb() == table[rgb]).all()
    assert (view.luma() == 3).all()


MAPS = {
    "identity": np.eye(3, 4),
    "grey": np.repeat([[0.299, 0.587, 0.114, 0.0]], 3, 0),
    "bright": np.c_[1.3 * np.eye(3), [0.2, 0.1, -0.1]],
    "black": np.c_[np.eye(3), [-2.0, -2.0, -2.0]],
    "white": np.c_[np.eye(3), [2.0, 2.0, 2.0]],
    "huge": np.c_[1e30 * np.eye(3), [-1e31, 0.0, 1e31]],
    "invert": np.c_[-np.eye(3), [1.0, 1.0, 1.0]],
    "half": np.c_[0.5 * np.eye(3), [0.0, 0.0, 0.0]],  # every odd level lies between two
}


def mapped(core: ctypes.CDLL, rgb: np.ndarray, matrix: np.ndarray, in_place: bool) -> np.ndarray:
    """The map's pixels, when its luma and sums are what they should be."""
    count = rgb.shape[1]
    before, crop_luma = View(rgb), Plane(levels(count, count))
    after = before if in_place else View(np.zeros_like(rgb))
    told = core.colour_map(
        before.planes, crop_luma.address, (c_double * 12)(*matrix.flat), count, after.planes
    ).told()
    out = after.rgb()
    assert in_place or (before.rgb() == rgb).all()
    plane = luma(out)
    assert (after.luma() == plane).all()
    product = int((plane.astype(np.int64) * crop_luma.values).sum())
    assert told == (*sums(plane), product, ended(out).sum())
    after.parts[3].values[:] = 0
    assert core.toned_sums(after.planes, crop_luma.address, count).told() == told
    assert (after.luma() == plane).all()
    return out


OFF_IN_WORDS = 2.75 / 32  # of a level that is made of 16 bits, at most, before it is rounded


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("in_place", [False, True])
def test_colour_maps(core: ctypes.CDLL, name: str, in_place: bool) -> None:
    rgb = levels(7, 3, 5000)
    out = mapped(core, rgb, MAPS[name], in_place)
    exact = (MAPS[name][:, :3] @ rgb + MAPS[name][:, 3:] * 255.0).clip(0, 255)
    far = np.abs(exact % 1 - 0.5) > OFF_IN_WORDS
    assert np.abs(out - exact).max() <= 0.5 + OFF_IN_WORDS
    assert (out == np.rint(exact))[far].all()
    torch_like = renderer.affine(as_torch(rgb[:, None]), torch.from_numpy(MAPS[name])[None])
    assert (out == torch_like[0, :, 0].numpy())[far].all()
    if name == "identity":
        assert (out == rgb).all()


@many
@given(seed=seeds, strong=st.floats(0.01, 2.0), shift=st.floats(-0.5, 0.5))
def test_grey_stays_grey(core: ctypes.CDLL, seed: int, strong: float, shift: float) -> None:
    """Where a map's rows have one sum: every map of a policy's has."""
    matrix = np.random.default_rng(seed).normal(0, strong, (3, 4))
    matrix[:, :3] += ((1.0 + shift) - matrix[:, :3].sum(1, keepdims=True)) / 3
    matrix[:, 3] = shift
    out = mapped(core, np.repeat(np.arange(256, dtype=np.uint8)[None], 3, 0), matrix, False)
    assert (out[0] == out[1]).all() and (out[0] == out[2]).all()


@many
@given(count=counts, seed=seeds, strong=st.floats(0.01, 6.0), in_place=st.booleans())
def test_any_colour_map(core: ctypes.CDLL, count: int, seed: int, strong: float, in_place: bool) -> None:
    random = np.random.default_rng(seed)
    matrix = random.normal(0, strong, (3, 4)) * [1, 1, 1, 0.5]
    rgb = levels(seed, 3, count)
    out = mapped(core, rgb, matrix, in_place)
    exact = (matrix[:, :3] @ rgb + matrix[:, 3:] * 255.0).clip(0, 255)
    off = np.abs(out - np.rint(exact))
    error = 2.0**-22 * (
        np.abs(matrix[:, :3]) @ rgb + np.abs(matrix[:, 3:]) * 255.0
    )  # in floats, as levels.c says
    error = np.maximum(error, OFF_IN_WORDS)
    assert off[np.abs(exact % 1 - 0.5) > error].max(initial=0) == 0
    assert off.max() <= 1


@many
@given(count=counts, seed=seeds)
def test_ended(core: ctypes.CDLL, count: int, seed: int) -> None:
    rgb, before = levels(seed, 3, count), levels(seed + 1, 3, count)
    view, crop = View(rgb), View(before)
    assert core.ended_pixels(view.planes, count) == ended(rgb).sum()
    assert core.newly_ended(view.planes, crop.planes, count) == (ended(rgb) & ~ended(before)).sum()
    share = renderer.newly_clipped(as_torch(rgb[:, None]), as_torch(before[:, None]), 0.0)
    assert core.newly_ended(view.planes, crop.planes, count) == round(float(share) * count)


@many
@given(
    count=counts,
    seed=seeds,
    strength=st.one_of(st.floats(0, 0.999999), st.sampled_from([0.0, 0.5, 0.1, 1 / 3])),
)
def test_blend_is_that_of_torch(core: ctypes.CDLL, count: int, seed: int, strength: float) -> None:
    rgb, before = levels(seed, 3, count), levels(seed + 1, 3, count)
    view, crop = View(rgb), View(before)
    core.blend(view.planes, crop.planes, count, strength)
    expected = renderer.blend(
        as_torch(before[:, None]), as_torch(rgb[:, None]), torch.tensor([strength]).double()
    )
    assert (view.rgb() == expected[0, :, 0].numpy()).all()


@many
@given(size=st.integers(1, 70), seed=seeds, key=st.integers(0, (1 << 24) - 1), sigma=st.floats(0, 1))
def test_noise_is_that_of_torch(core: ctypes.CDLL, size: int, seed: int, key: int, sigma: float) -> None:
    rgb = levels(seed, 3, size, size)
    view = View(rgb)
    core.add_noise(view.planes, size, key, sigma)
    grain = noise_levels(torch.tensor([key]), size, torch.tensor([sigma], dtype=torch.float64)).float()
    assert (view.rgb() == torch.round(as_torch(rgb) + grain[:, None]).clamp(0, 255)[0].numpy()).all()


@many
@given(
    size=st.integers(1, 70),
    seed=seeds,
    draw=st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
)
def test_erase_is_that_of_torch(core: ctypes.CDLL, size: int, seed: int, draw: list[float]) -> None:
    rgb = levels(seed, 3, size, size)
    area, ratio, x, y = draw[0], 0.3 + 3 * draw[1], draw[2], draw[3]
    drawn = [torch.tensor([value]).double() for value in (area, ratio, x, y)]
    where = erase_mask(drawn[0], drawn[1], drawn[2], drawn[3], size)[0].numpy()
    rows, columns = where.any(1).nonzero()[0], where.any(0).nonzero()[0]
    box = (columns[0], rows[0], len(columns), len(rows)) if len(rows) else (0, 0, 0, 0)
    view = View(rgb)
    core.erase_box(view.planes, size, *map(int, box))
    fill = torch.round(as_torch(rgb).mean((2, 3), keepdim=True))  # sums below 2^24: exact
    assert (view.rgb() == torch.where(torch.from_numpy(where), fill, as_torch(rgb))[0].numpy()).all()


@pytest.mark.parametrize(
    ("levels_", "mean"), [([0, 1, 0, 1], 0), ([1, 2, 1, 2], 2), ([2, 3, 3, 3], 3), ([255] * 4, 255)]
)
def test_erase_rounds_to_the_even_level(core: ctypes.CDLL, levels_: list[int], mean: int) -> None:
    view = View(np.tile(np.array(levels_, np.uint8).reshape(2, 2), (3, 1, 1)))
    core.erase_box(view.planes, 2, 1, 0, 1, 2)
    assert (view.rgb()[:, :, 1] == mean).all()
    assert (view.rgb()[:, :, 0] == [levels_[0], levels_[2]]).all()


@many
@given(count=counts, seed=seeds)
def test_planes_and_rows(core: ctypes.CDLL, count: int, seed: int) -> None:
    rgb = levels(seed, 3, count)
    rows = Plane(np.zeros((count, 3), np.uint8))
    given, _kept = addresses(rgb)
    core.interleave(given, count, rows.address)
    assert (rows.check() == rgb.T).all()
    views, parts = addresses(np.zeros_like(rgb))
    core.deinterleave(rows.address, count, views)
    assert (np.stack([part.check() for part in parts]) == rgb).all()
    scale = np.array([1 / (255 * std) for std in (0.229, 0.224, 0.225)], np.float32)
    offset = np.array([-2.1, 0.0, 1e-3], np.float32)
    floats = Plane(np.zeros((3, count), np.float32))
    core.as_floats(
        given, count, (c_float * 3)(*scale.tolist()), (c_float * 3)(*offset.tolist()), floats.address
    )
    assert (floats.check() == rgb.astype(np.float32) * scale[:, None] + offset[:, None]).all()
