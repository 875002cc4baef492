"""The core's kernels one by one against OpenCV: microseconds of processor time, in turns in one process.

    python -m benchmarks.kernels [--library PATH] [--only WORD]

Each line is a record of `kernels()`: a name, the core's call, OpenCV's calls for the same work. OpenCV has one thread.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from ctypes import c_double, c_float, c_int, c_int64, c_size_t, c_void_p
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np

from adaptaug.policy.ops import blur_kernel_size

SIZE = 224
CORE, SOURCES = (
    Path(__file__).parents[1] / "adaptaug" / "core",
    (
        "arena.c",
        "levels.c",
        "warp.c",
        "filters.c",
    ),
)
ROUNDS, LEAST_US = 15, 3000.0  # a sample lasts at least so long


class Kernel(NamedTuple):
    name: str
    core: Callable[[], object]
    opencv: Callable[[], object]


def address(array: np.ndarray) -> c_void_p:
    return c_void_p(array.ctypes.data)


def planes(array: np.ndarray) -> ctypes.Array[c_void_p]:
    """The core's `Planes` of (4, S, S) levels; its first three are also `u8 *plane[3]`."""
    return (c_void_p * 4)(*(plane.ctypes.data for plane in array))


def photograph(height: int, width: int) -> np.ndarray:
    """(height, width, 3) levels: smooth colours and grain, from no file."""
    random = np.random.default_rng(0)
    coarse = cv2.resize(
        random.integers(0, 256, (9, 12, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(coarse + random.normal(0, 6, coarse.shape), 0, 255).astype(np.uint8)


def kernels(core: ctypes.CDLL) -> Iterator[Kernel]:
    yield from level_kernels(core)
    yield from box_kernels(core)
    yield from warp_kernels(core)
    yield from filter_kernels(core)


def level_kernels(core: ctypes.CDLL) -> Iterator[Kernel]:
    image, view = photograph(375, 500), photograph(SIZE, SIZE)
    count, pixels = c_int(SIZE * SIZE), c_int(375 * 500)
    planar = np.stack([*np.moveaxis(view, -1, 0), cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)])
    grey, out, rows = planar[3].copy(), np.empty_like(planar), np.empty_like(view)
    before, after, room = planes(planar), planes(out), (c_int64 * 8)()
    plane, floats = np.empty(image.shape[:2], np.uint8), np.empty((3, SIZE, SIZE), np.float32)

    yield Kernel(
        "luma and sums of 500x375",
        lambda: core.luma_of_row(address(image), pixels, address(plane), room),
        lambda: cv2.meanStdDev(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY, dst=plane)),
    )
    yield Kernel(
        "luma and sums of planes",
        lambda: core.luma_of_planes(before, count, room),
        lambda: cv2.meanStdDev(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY, dst=grey)),
    )
    yield Kernel(
        "sums of luma",
        lambda: core.sums_of(address(grey), c_size_t(grey.size)),
        lambda: cv2.meanStdDev(grey),
    )
    yield Kernel(
        "product of two lumas",
        lambda: core.product_of(address(grey), address(planar[3]), c_size_t(grey.size)),
        lambda: cv2.norm(grey, planar[3], cv2.NORM_L2SQR),
    )
    yield Kernel(
        "squared steps",
        lambda: core.squared_steps(address(grey), c_int(SIZE)),
        lambda: [
            cv2.norm(grey[1:], grey[:-1], cv2.NORM_L2SQR),
            cv2.norm(grey[:, 1:], grey[:, :-1], cv2.NORM_L2SQR),
        ],
    )
    colour = np.array([[1.1, -0.05, 0.02, 0.01], [0.02, 1.05, 0.01, -0.02], [-0.03, 0.04, 1.2, 0.01]])
    levels = colour * [1, 1, 1, 255]
    colours, mapped = (c_double * 12)(*colour.flat), np.empty_like(view)

    def mapped_and_judged() -> None:
        cv2.transform(view, levels, dst=mapped)
        luma = cv2.cvtColor(mapped, cv2.COLOR_RGB2GRAY)
        cv2.meanStdDev(luma)
        cv2.norm(luma, grey, cv2.NORM_L2SQR)
        cv2.countNonZero(cv2.inRange(mapped, (1, 1, 1), (254, 254, 254)))

    yield Kernel(
        "colour map, luma, all sums",
        lambda: core.colour_map(before, address(grey), colours, count, after),
        mapped_and_judged,
    )

    def judged() -> None:
        luma = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
        cv2.meanStdDev(luma)
        cv2.norm(luma, grey, cv2.NORM_L2SQR)
        cv2.countNonZero(cv2.inRange(view, (1, 1, 1), (254, 254, 254)))

    yield Kernel("luma, all sums", lambda: core.toned_sums(before, address(grey), count), judged)
    yield Kernel(
        "pixels at an end",
        lambda: core.ended_pixels(before, count),
        lambda: cv2.countNonZero(cv2.inRange(view, (1, 1, 1), (254, 254, 254))),
    )
    table = np.random.default_rng(1).permutation(256).astype(np.uint8)
    yield Kernel(
        "table of levels",
        lambda: core.apply_table(after, count, address(table)),
        lambda: cv2.LUT(view, table, dst=rows),
    )
    yield Kernel(
        "blend",
        lambda: core.blend(after, before, count, c_double(0.7)),
        lambda: cv2.addWeighted(rows, 0.7, view, 0.3, 0.0, dst=mapped),
    )
    grain = np.empty((SIZE, SIZE), np.float32)
    yield Kernel(
        "noise",
        lambda: core.add_noise(after, c_int(SIZE), c_int64(7), c_double(0.05)),
        lambda: cv2.add(
            view,
            cv2.merge([cv2.randn(grain, np.zeros(1), np.full(1, 12.0))] * 3),
            dst=mapped,
            dtype=cv2.CV_8U,
        ),
    )
    yield Kernel(
        "erase",
        lambda: core.erase_box(after, c_int(SIZE), c_int(20), c_int(30), c_int(60), c_int(70)),
        lambda: cv2.rectangle(mapped, (20, 30), (79, 99), cv2.mean(mapped), -1),
    )
    yield Kernel(
        "planes to rows",
        lambda: core.interleave(before, c_size_t(grey.size), address(rows)),
        lambda: cv2.merge(list(planar[:3]), dst=rows),
    )
    yield Kernel(
        "rows to planes",
        lambda: core.deinterleave(address(view), c_size_t(grey.size), after),
        lambda: cv2.split(view, list(out[:3])),
    )
    scale, offset = (c_float * 3)(0.017, 0.018, 0.019), (c_float * 3)(-2.1, -2.0, -1.8)
    yield Kernel(
        "planes to floats",
        lambda: core.as_floats(before, c_size_t(grey.size), scale, offset, address(floats)),
        lambda: cv2.dnn.blobFromImage(view, 0.018, mean=(118.0, 111.0, 100.0)),
    )


def box_kernels(core: ctypes.CDLL) -> Iterator[Kernel]:
    large = photograph(1536, 2048)[:, :, 0].copy()
    work, out = np.empty(1 << 22, np.uint8), np.empty(large.size, np.uint8)
    arena = Arena(work.ctypes.data, work.size, 0, 0)
    yield Kernel(
        "read 2048x1536 once", lambda: core.sums_of(address(large), c_size_t(large.size)), lambda: large.max()
    )
    for factor in (2, 3, 4, 5, 6, 7, 8, 9, 16):
        part = large[: 1536 // factor * factor, : 2048 // factor * factor].copy()
        height, width = part.shape
        sizes, reduced = [c_int(n) for n in (height, width, factor)], (width // factor, height // factor)
        yield Kernel(
            f"boxes of {factor} in 2048x1536",
            partial(core.box_plane, address(part), *sizes, address(out), ctypes.byref(arena)),
            partial(cv2.resize, part, reduced, interpolation=cv2.INTER_AREA),
        )


def warp_kernels(core: ctypes.CDLL) -> Iterator[Kernel]:
    """Luma and its sums are in the core's alone."""
    work, out = np.empty(1 << 24, np.uint8), np.empty((4, SIZE, SIZE), np.uint8)
    arena = Arena(work.ctypes.data, work.size, 0, 0)
    turn = np.array([[0.92, -0.39, 0], [0.39, 0.92, 0], [0, 0, 1]])
    recede = np.array([[1, 0, 0], [0, 1, 0], [0.1, -0.05, 1]])
    for height, width in ((375, 500), (1536, 2048)):
        image = photograph(height, width)
        source = [address(image), c_int(height), c_int(width), c_int64(3 * width), c_int(3)]
        for share in (0.9, 0.45):
            crop = np.array([[share / 2, 0, 0.5], [0, share / 2, 0.5], [0, 0, 1]])
            for name, change in (("", np.eye(3)), (", turned", turn), (", receding", recede)):
                matrix = crop @ change
                numbers = [(c_double * 9)(*matrix.flat), c_double(share), c_int(SIZE), c_int(0)]
                yield Kernel(
                    f"warp {share} of {width}x{height}{name}",
                    partial(core.warp, *source, *numbers, planes(out), ctypes.byref(arena)),
                    partial(opencv_warp, image, matrix, share),
                )


def opencv_warp(image: np.ndarray, matrix: np.ndarray, share: float) -> np.ndarray:
    """The same by OpenCV: the average of whole boxes of the part that is seen, then one bilinear warp."""
    height, width = image.shape[:2]
    factor = max(1, int(share * min(height, width) / SIZE + 1e-9))
    corners = matrix @ np.array([[-1, 1, -1, 1], [-1, -1, 1, 1], [1, 1, 1, 1]])
    ends = (corners[:2] / corners[2]).clip(0, 1) * [[width], [height]]
    (x0, y0), (x1, y1) = (
        ends.min(1).astype(int) // factor * factor,
        np.ceil(ends.max(1) / factor).astype(int) * factor,
    )
    part = image[y0:y1, x0:x1]
    if factor > 1:
        size = (part.shape[1] // factor, part.shape[0] // factor)
        part = cv2.resize(part[: size[1] * factor, : size[0] * factor], size, interpolation=cv2.INTER_AREA)
    place = np.array(
        [[width / factor, 0, -x0 / factor - 0.5], [0, height / factor, -y0 / factor - 0.5], [0, 0, 1]]
    )
    view = np.array([[2 / SIZE, 0, 1 / SIZE - 1], [0, 2 / SIZE, 1 / SIZE - 1], [0, 0, 1]])
    flags, whole = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, place @ matrix @ view
    part = cv2.cvtColor(
        part, cv2.COLOR_RGB2RGBA
    )  # OpenCV reads four channels more than twice as fast as three
    if abs(whole[2, :2]).max() < 1e-12:
        out = cv2.warpAffine(
            part, whole[:2] / whole[2, 2], (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT
        )
    else:
        out = cv2.warpPerspective(part, whole, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return cv2.cvtColor(out, cv2.COLOR_RGBA2RGB)


def opencv_blur(view: np.ndarray, sigma: float) -> np.ndarray:
    taps = min(blur_kernel_size(SIZE), 2 * round(3 * sigma) + 1)  # those that weigh something
    kernel = cv2.getGaussianKernel(taps, sigma)
    return cv2.sepFilter2D(view, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)


def opencv_sharpen(view: np.ndarray, amount: float) -> np.ndarray:
    kernel = -amount * np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    kernel[1, 1] += 1 + amount
    return cv2.filter2D(view, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


def filter_kernels(core: ctypes.CDLL) -> Iterator[Kernel]:
    view, out = photograph(SIZE, SIZE), np.empty((4, SIZE, SIZE), np.uint8)
    planar, work = np.concatenate([np.moveaxis(view, -1, 0), out[:1]]), np.empty(1 << 20, np.uint8)
    arena = Arena(work.ctypes.data, work.size, 0, 0)
    for name, amounts in (("blur", (0.5, 1.0, 2.0, 4.0)), ("sharpen", (1.0,))):
        for amount in amounts:
            numbers = [c_int(SIZE), c_double(amount), planes(out), ctypes.byref(arena)]
            yield Kernel(
                f"{name} {amount}",
                partial(getattr(core, name), planes(planar), *numbers),
                partial(opencv_blur if name == "blur" else opencv_sharpen, view, amount),
            )


class Arena(ctypes.Structure):
    _fields_ = [("start", c_void_p), ("room", c_size_t), ("used", c_size_t), ("failed", c_int)]


class Toned(ctypes.Structure):
    _fields_ = [("numbers", c_int64 * 4)]


def compiled(folder: Path) -> Path:
    """The kernels' files by zig, as the package's, else by cc, with all their functions shown."""
    flags = "-O3 -std=c11 -fPIC -shared -ffp-contract=off -fno-math-errno -fno-trapping-math".split()
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if importlib.util.find_spec("ziglang") is None:
        compiler = ["cc", *(["-march=x86-64-v3"] if x86 else [])]
    else:
        compiler = [sys.executable, "-m", "ziglang", "cc", *(["-mcpu=x86_64_v3"] if x86 else [])]
    sources = [str(CORE / name) for name in SOURCES]
    subprocess.run([*compiler, *flags, *sources, "-o", str(folder / "kernels.so"), "-lm"], check=True)
    return folder / "kernels.so"


def sample(call: Callable[[], object]) -> float:
    """Microseconds of processor time that one call takes."""
    calls, spent = 1, 0.0
    while True:
        start = time.process_time_ns()
        for _ in range(calls):
            call()
        spent = (time.process_time_ns() - start) / 1e3
        if spent >= LEAST_US:
            return spent / calls
        calls *= 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--library", type=Path, help="a library that shows the kernels; compiled where none is given"
    )
    parser.add_argument("--only", default="", help="kernels whose name has this word")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        core = ctypes.CDLL(str(options.library or compiled(Path(folder))))
    core.colour_map.restype = core.toned_sums.restype = Toned
    print(f"{'microseconds':32}{'core':>10}{'OpenCV':>10}{'ratio':>8}")
    for name, ours, theirs in kernels(core):
        if options.only not in name:
            continue
        turns = [(sample(ours), sample(theirs)) for _ in range(ROUNDS)]
        mine, other = (median(column) for column in zip(*turns, strict=True))
        print(f"{name:32}{mine:10.1f}{other:10.1f}{other / mine:8.2f}", flush=True)


if __name__ == "__main__":
    main()
