"""How fast: ours and the peers in one run, one after the other in turns, and the bare kernels as the limit.

    python -m benchmarks.throughput [--device cpu|cuda] [--threads N] [--rows ...] [--data FOLDER] [--out FILE]

Each row is a workload. Its contenders take turns, a slice of time each, over and over, so that what else the machine
does hits all alike; given are the median and the quartiles of the slices, in ms for each view: on a CPU of processor
time (with one thread the wall clock's, less what other processes had), on a GPU of the wall clock. `ours, equal work`
is a manual policy without guards that does what the peers do; `ours, natural` measures, guards and certifies.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks import limits, peers
from benchmarks.peers import PHOTO, SMALL, Call

# Against whom, at least and aimed at (ratio of the peer's median to ours; of ours to the limit's).
TARGETS = {
    ("photo", "equal work", "albumentations"): (1.6, 2.5), ("photo", "natural", "albumentations"): (1.2, 2.0),
    ("photo", "natural", "torchvision, PIL"): (15, 30), ("photo", "natural", "torchvision, tensor"): (15, 30),
    ("photo", "natural", "lightly"): (15, 30), ("large", "natural", "albumentations"): (1.2, 2.5),
    ("jpeg", "natural", "albumentations"): (1.2, 2.0), ("jpeg", "natural", "torchvision, PIL"): (2, 5),
    ("jpeg-large", "natural", "albumentations"): (1.2, 2.0), ("jpeg-large", "natural", "torchvision, PIL"): (2, 5),
    ("small", "natural", "kornia"): (3, 6), ("small", "natural", "torchvision, tensor"): (8, 15),
    ("small", "natural", "albumentations"): (2, 4), ("device", "natural", "kornia"): (5, 15),
}  # fmt: skip
LIMIT = (2.5, 1.5)
PACKAGES = (
    "adaptaug",
    "torch",
    "torchvision",
    "albumentations",
    "kornia",
    "lightly",
    "opencv-python",
    "numpy",
    "pillow",
)


@dataclass
class Contender:
    """Who, with what, and how many views one call makes."""

    name: str
    call: Call
    inputs: Iterator[Any]
    views: int
    times: list[float] = field(default_factory=list)  # ms for a view, one each slice

    def slice(self, seconds: float, clock: Callable[[], float]) -> None:
        calls, start = 0, clock()
        while calls == 0 or clock() - start < seconds:
            self.call(next(self.inputs))
            calls += 1
        self.times.append((clock() - start) * 1e3 / calls / self.views)

    @property
    def median(self) -> float:
        return float(np.median(self.times))


# --- sources ----------------------------------------------------------------------------------------------
def photographs(folder: str | None, width: int, height: int) -> list[np.ndarray]:
    """Photographs of exactly that size: scikit-image's own, or a folder's first twelve."""
    if folder:
        files = sorted(f for f in Path(folder).rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))[
            :12
        ]
        images = [np.asarray(Image.open(f).convert("RGB")) for f in files]
    else:
        from skimage import data

        images = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    out = []
    for image in images:
        scale = min(image.shape[1] / width, image.shape[0] / height)
        part = image[: int(height * scale), : int(width * scale)]
        out.append(
            cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)
        )
    return out


def small_images(folder: str | None, count: int, size: int) -> torch.Tensor:
    """(count, 3, size, size) uint8: pieces of the photographs."""
    rng = np.random.default_rng(0)
    tiles = []
    for i in range(count):
        image = photographs_cache(folder)[i % len(photographs_cache(folder))]
        side = int(rng.integers(64, min(image.shape[:2])))
        y, x = (int(rng.integers(0, n - side + 1)) for n in image.shape[:2])
        tiles.append(
            cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
        )
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()


_cache: dict[Any, list[np.ndarray]] = {}


def photographs_cache(folder: str | None) -> list[np.ndarray]:
    if folder not in _cache:
        _cache[folder] = photographs(folder, 500, 375)
    return _cache[folder]


def jpegs(images: list[np.ndarray]) -> list[bytes]:
    out = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
        out.append(buffer.getvalue())
    return out


# --- rows -------------------------------------------------------------------------------------------------
def image_row(folder: str | None, width: int, height: int) -> list[Contender]:
    arrays = photographs(folder, width, height)
    pil = [Image.fromarray(a) for a in arrays]
    tensors = [torch.from_numpy(a).permute(2, 0, 1).contiguous() for a in arrays]
    rows: list[tuple[str, Call, list[Any]]] = [
        ("limit", limits.one_image(PHOTO, width, height), arrays),
        ("ours, equal work", peers.ours(PHOTO.policy, PHOTO.size), arrays),
        ("ours, natural", peers.ours("natural", PHOTO.size), arrays),
        ("albumentations", peers.albumentations(PHOTO), arrays),
        ("torchvision, PIL", peers.torchvision(PHOTO), pil),
        ("torchvision, tensor", peers.torchvision(PHOTO), tensors),
        ("lightly", peers.lightly(PHOTO), pil),
    ]
    return [Contender(name, call, cycle(inputs), 2) for name, call, inputs in rows]


def jpeg_row(folder: str | None, width: int, height: int) -> list[Contender]:
    files = jpegs(photographs(folder, width, height))
    whole = limits.one_image(PHOTO, width, height, encoded=True)
    rows = [
        ("limit", whole),
        ("ours, equal work", peers.ours(PHOTO.policy, PHOTO.size, "imagenet")),
        ("ours, natural", peers.ours("natural", PHOTO.size, "imagenet")),
        ("albumentations", peers.decoded(peers.albumentations(PHOTO, normalise=True), as_pil=False)),
        ("torchvision, PIL", peers.decoded(peers.torchvision(PHOTO, normalise=True), as_pil=True)),
        ("lightly", peers.decoded(peers.lightly(PHOTO, normalise=True), as_pil=True)),
    ]
    return [Contender(name, call, cycle(files), 2) for name, call in rows]


def small_row(folder: str | None, count: int = 512) -> list[Contender]:
    batch = small_images(folder, count, SMALL.size)
    arrays = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in batch]
    rows: list[tuple[str, Call, Any]] = [
        ("limit", limits.batch(SMALL, count), batch),
        ("ours, equal work", peers.ours(SMALL.policy, SMALL.size), batch),
        ("ours, natural", peers.ours("natural", SMALL.size), batch),
        ("kornia", peers.kornia(SMALL), batch.float() / 255.0),
        ("torchvision, tensor", peers.each(peers.torchvision(SMALL)), list(batch)),
        ("albumentations", peers.each(peers.albumentations(SMALL)), arrays),
    ]
    return [Contender(name, call, cycle([images]), 2 * count) for name, call, images in rows]


def device_row(folder: str | None, device: str, count: int = 1024) -> list[Contender]:
    batch = small_images(folder, count, PHOTO.size).to(device)
    copy: Call = lambda images: [images.clone(), images.clone()]  # noqa: E731  read once, written twice
    rows: list[tuple[str, Call, Any]] = [
        ("limit", copy, batch),
        ("ours, equal work", peers.ours(PHOTO.policy, PHOTO.size), batch),
        ("ours, natural", peers.ours("natural", PHOTO.size), batch),
        ("kornia", peers.kornia(PHOTO), batch.float() / 255.0),
    ]
    return [Contender(name, call, cycle([images]), 2 * count) for name, call, images in rows]


ROWS: dict[str, tuple[str, Callable[[str | None], list[Contender]]]] = {
    "photo": ("500x375 photograph -> two 224 uint8 views", lambda folder: image_row(folder, 500, 375)),
    "large": ("2048x1536 photograph -> two 224 uint8 views", lambda folder: image_row(folder, 2048, 1536)),
    "jpeg": ("500x375 JPEG -> two 224 normalised views", lambda folder: jpeg_row(folder, 500, 375)),
    "jpeg-large": ("2048x1536 JPEG -> two 224 normalised views", lambda folder: jpeg_row(folder, 2048, 1536)),
    "small": ("batch of 512 of 32x32 -> 2x512 views", small_row),
}


def device_clock() -> float:
    """Seconds, once the device has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


# --- measuring and telling ----------------------------------------------------------------------------------
def measure(contenders: list[Contender], slices: int, seconds: float, clock: Callable[[], float]) -> None:
    for _ in range(2):  # warm-up
        for contender in contenders:
            contender.slice(seconds, clock)
            contender.times.clear()
    for _ in range(slices):
        for contender in contenders:
            contender.slice(seconds, clock)


def summary(row: str, contenders: list[Contender]) -> list[dict[str, Any]]:
    """For each contender: ms a view, and the ratios that the targets are about."""
    medians = {c.name: c.median for c in contenders}
    out = []
    for contender in contenders:
        low, high = np.quantile(contender.times, (0.25, 0.75))
        entry: dict[str, Any] = {
            "name": contender.name, "ms": round(contender.median, 4), "quartiles": [round(low, 4), round(high, 4)],
        }  # fmt: skip
        for kind in ("equal work", "natural"):
            entry[f"times ours, {kind}"] = round(contender.median / medians[f"ours, {kind}"], 2)
            if (row, kind, contender.name) in TARGETS:
                entry[f"at least, {kind}"], entry[f"aim, {kind}"] = TARGETS[row, kind, contender.name]
        if contender.name == "limit":
            entry["ours, equal work, times the limit"] = round(
                medians["ours, equal work"] / contender.median, 2
            )
            entry["at most"], entry["aim"] = LIMIT
        out.append(entry)
    return out


def show(title: str, entries: list[dict[str, Any]]) -> None:
    table = Table("", "ms a view", "quartiles", "x ours, equal work", "x ours, natural", title=title)
    for entry in entries:
        cells = []
        for kind in ("equal work", "natural"):
            ratio, least = f"{entry[f'times ours, {kind}']:.2f}", entry.get(f"at least, {kind}")
            cells.append(f"{ratio} (at least {least:g})" if least else ratio)
        if entry["name"] == "limit":
            cells[0] = f"ours is {entry['ours, equal work, times the limit']:.2f} x (at most {LIMIT[0]:g})"
        low, high = entry["quartiles"]
        table.add_row(entry["name"], f"{entry['ms']:.3f}", f"{low:.3f} .. {high:.3f}", *cells)
    Console(width=120).print(table)


def machine(device: str) -> dict[str, Any]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "-"
    model = (
        [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
        if Path("/proc/cpuinfo").exists()
        else []
    )
    return {
        "cpu": model[0].split(":")[1].strip() if model else platform.processor(), "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "python": platform.python_version(), "versions": versions,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, "device"], default=list(ROWS))
    parser.add_argument("--slices", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.15, help="of a slice")
    parser.add_argument("--data", help="a folder of photographs instead of scikit-image's")
    parser.add_argument("--out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    cuda = options.device == "cuda"
    clock = device_clock if cuda else time.process_time
    rows = ["device"] if cuda else options.rows
    result: dict[str, Any] = {"machine": machine(options.device), "threads": options.threads, "rows": {}}
    result["device row"] = "measured" if cuda else "not measured"
    for row in rows:
        title, build = ROWS.get(
            row, ("batch of 1024 of 224x224 on the device", lambda f: device_row(f, options.device))
        )
        contenders = build(options.data)
        measure(contenders, options.slices, options.seconds, clock)
        result["rows"][row] = {"title": title, "contenders": summary(row, contenders)}
        show(title, result["rows"][row]["contenders"])
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
