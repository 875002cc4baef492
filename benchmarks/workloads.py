"""What is timed: the images, and each row's contenders. Peers' recipes are in `peers`, bare kernels in `limits`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import adaptaug
from adaptaug.learn.arms import keys_of
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import new_contrast
from benchmarks import limits, peers
from benchmarks.peers import PHOTO, SMALL, Call
from benchmarks.protocol import SUITES
from benchmarks.rivals import maker
from benchmarks.turns import Clock, Contender, Inside

# Operations that are a matrix, from which policies of the first n are made.
MATRIX = {
    "hflip": {}, "brightness": {"range": [-0.2, 0.2]}, "saturation": {"range": [-0.3, 0.3]},
    "contrast": {"range": [-0.2, 0.2]}, "hue": {"range": [-0.1, 0.1]}, "grey": {},
    "temperature": {"range": [-0.3, 0.3]}, "vflip": {}, "rotate": {"range": [-10, 10]}, "shear": {"x": [-5, 5]},
    "stretch": {"range": [0.9, 1.1]}, "perspective": {"x": [-0.1, 0.1]},
}  # fmt: skip


# --- sources ----------------------------------------------------------------------------------------------
@cache
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
    rng, whole = np.random.default_rng(0), photographs(folder, 500, 375)
    tiles = []
    for i in range(count):
        image = whole[i % len(whole)]
        side = int(rng.integers(64, min(image.shape[:2])))
        y, x = (int(rng.integers(0, n - side + 1)) for n in image.shape[:2])
        tiles.append(
            cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
        )
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()


def jpegs(images: list[np.ndarray]) -> list[bytes]:
    out = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=90)
        out.append(buffer.getvalue())
    return out


# --- one image, a file, a batch -----------------------------------------------------------------------------
def image_row(folder: str | None, width: int, height: int) -> list[Contender]:
    arrays = photographs(folder, width, height)
    pil = [Image.fromarray(a) for a in arrays]
    tensors = [torch.from_numpy(a).permute(2, 0, 1).contiguous() for a in arrays]
    rows: list[tuple[str, Call, list[Any]]] = [
        ("bare kernels", limits.one_image(PHOTO, width, height), arrays),
        ("ours, equal work", peers.ours(PHOTO.policy, PHOTO.size), arrays),
        ("ours", peers.ours("natural", PHOTO.size), arrays),
        ("albumentations", peers.albumentations(PHOTO), arrays),
        ("torchvision, PIL", peers.torchvision(PHOTO), pil),
        ("torchvision, tensors", peers.torchvision(PHOTO), tensors),
        ("lightly", peers.lightly(PHOTO), pil),
    ]
    return [Contender(name, call, cycle(inputs), 2) for name, call, inputs in rows]


def jpeg_row(folder: str | None, width: int, height: int) -> list[Contender]:
    files = jpegs(photographs(folder, width, height))
    rows = [
        ("bare kernels", limits.one_image(PHOTO, width, height, encoded=True)),
        ("ours, equal work", peers.ours(PHOTO.policy, PHOTO.size, "imagenet")),
        ("ours", peers.ours("natural", PHOTO.size, "imagenet")),
        ("albumentations", peers.decoded(peers.albumentations(PHOTO, "imagenet"), as_pil=False)),
        ("torchvision, PIL", peers.decoded(peers.torchvision(PHOTO, normalise=True), as_pil=True)),
        ("lightly", peers.decoded(peers.lightly(PHOTO, normalise=True), as_pil=True)),
    ]
    return [Contender(name, call, cycle(files), 2) for name, call in rows]


def small_row(folder: str | None, count: int = 512) -> list[Contender]:
    batch = small_images(folder, count, SMALL.size)
    arrays = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in batch]
    rows: list[tuple[str, Call, Any]] = [
        ("bare kernels", limits.batch(SMALL, count), batch),
        ("ours, equal work", peers.ours(SMALL.policy, SMALL.size), batch),
        ("ours", peers.ours("natural", SMALL.size), batch),
        ("kornia", peers.kornia(SMALL), batch.float() / 255.0),
        ("torchvision, tensors", peers.each(peers.torchvision(SMALL)), list(batch)),
        ("albumentations", peers.each(peers.albumentations(SMALL)), arrays),
    ]
    return [Contender(name, call, cycle([images]), 2 * count) for name, call, images in rows]


def batch_row(folder: str | None, count: int, device: str = "cpu") -> list[Contender]:
    """A batch of photographs at 224 px."""
    batch = small_images(folder, count, PHOTO.size).to(device)
    copy: Call = lambda images: [images.clone(), images.clone()]  # noqa: E731  read once, written twice
    rows: list[tuple[str, Call, Any]] = [
        ("copy", copy, batch),
        ("ours, equal work", peers.ours(PHOTO.policy, PHOTO.size), batch),
        ("ours", peers.ours("natural", PHOTO.size), batch),
        ("kornia", peers.kornia(PHOTO), batch.float() / 255.0),
    ]
    return [Contender(name, call, cycle([images]), 2 * count) for name, call, images in rows]


# --- operations ---------------------------------------------------------------------------------------------
def matrix_policy(count: int) -> Policy:
    """A crop and the first `count` matrix operations, all always applied, so that only their number changes."""
    operations = {"crop": {"area": [0.08, 1.0]}, **dict(list(MATRIX.items())[:count])}
    return Policy.parse({"version": 1, "guards": False, "operations": operations})


def operations_row(folder: str | None, counts: tuple[int, ...] = (3, 12)) -> list[Contender]:
    arrays, batch = photographs(folder, 500, 375), small_images(folder, 512, SMALL.size)
    row = []
    for n in counts:
        policy = matrix_policy(n)
        row += [
            Contender(f"{n}, photograph", peers.ours(policy, PHOTO.size), cycle(arrays), 2),
            Contender(f"{n}, batch of 512", peers.ours(policy, SMALL.size), cycle([batch]), 2 * len(batch)),
        ]
    return row


# --- loading and training -----------------------------------------------------------------------------------
class Transformed(Dataset[Any]):
    """Images in memory through a transform, as a data set with a peer's transform has it."""

    def __init__(self, images: list[np.ndarray], transform: Call):
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.images[index]), 0


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)


def loader_row(folder: str | None, images: int = 240, batch: int = 20) -> list[Contender]:
    """Epochs of a DataLoader with two persistent workers: two 224 px uint8 views of each photograph."""
    whole = photographs(folder, 500, 375)
    some = [whole[i % len(whole)] for i in range(images)]
    views = adaptaug.Views("natural", size=PHOTO.size, finish="uint8")
    sets: dict[str, Any] = {
        "ours": adaptaug.Keyed([(image, 0) for image in some], views),
        "albumentations": Transformed(some, peers.albumentations(PHOTO, "uint8")),
    }

    def epoch(loader: DataLoader[Any]) -> None:
        for views, _ in loader:
            assert [view.dtype for view in views] == [torch.uint8] * 2

    row = []
    for name, source in sets.items():
        loader: DataLoader[Any] = DataLoader(
            source, batch, num_workers=2, persistent_workers=True, worker_init_fn=_one_thread,
            multiprocessing_context="fork",
        )  # fmt: skip
        row.append(Contender(name, epoch, cycle([loader]), 2 * images))
    return row


class Step:
    """A step of the `cpu` suite as benchmarks.protocol trains, with what its views take."""

    def __init__(self, images: torch.Tensor, clock: Clock):
        recipe, size = SUITES["cpu"], int(images.shape[-1])
        self.images, self.batch, self.clock, self.number = images, recipe.batch, clock, 0
        self.make, self.model = maker("natural", size), new_contrast(recipe.arch, "natural", size, 0)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=recipe.rate, weight_decay=1e-4)
        self.model.train()
        self.spent: list[float] = []

    def __call__(self, _: Any) -> None:
        index = np.random.default_rng(self.number).permutation(len(self.images))[: self.batch]
        start = self.clock()
        views = self.make(self.images[torch.from_numpy(index)], keys_of(0, self.number, index), self.model)
        self.spent.append((self.clock() - start) * 1e3)
        loss = self.model.loss_of(views)[0]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.number += 1

    def views(self, _: Any) -> float:
        """Mean ms of the views of a step, of those since it was asked last."""
        spent, self.spent = self.spent, []
        return float(np.mean(spent))


def step_row(folder: str | None, clock: Clock) -> list[Contender]:
    step = Step(small_images(folder, 1024, SMALL.size), clock)
    nothing: Iterator[Any] = cycle([None])
    views = 2 * step.batch
    return [Contender("step", step, nothing, views), Inside("its views", step.views, nothing, views)]
