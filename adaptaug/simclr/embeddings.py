"""Embeddings: features of clean images and of adaptive views of each, written as they come and read in blocks.

A set is `features` (N, 1 + k, W): row [i, 0] is image i as it is, the others are its views. It lies in a folder
(`features.npy` and what is known beside it, memory-mapped) or, for small ones, in one .npz.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from adaptaug import __version__
from adaptaug.backend import keys
from adaptaug.backend.writing import alone, reserve, write_atomically
from adaptaug.data import Images
from adaptaug.encoders.backbone import Backbone
from adaptaug.errors import AdaptAugError
from adaptaug.policy import Policy
from adaptaug.views import Views

_FEATURES, _ABOUT, _KNOWN = "features.npy", "about.json", "known.npz"
_WAIT = 60.0  # seconds that other processes wait for the first to make the files


@dataclass
class Embeddings:
    """Features (N, 1 + k, W), a memory map where they lie in a folder, and what is known of their images.

    Labels, class names and `about_labels` are those of `data.Images`.
    `readable` marks the rows that have been filled; those of images that could not be read are zero.
    """

    features: np.ndarray
    names: list[str]
    labels: np.ndarray | None
    class_names: list[str]
    readable: np.ndarray
    about: dict[str, Any]
    about_labels: str = ""

    @property
    def width(self) -> int:
        """Features of an image."""
        return int(self.features.shape[2])

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Images start ... stop - 1, as a copy in float32. A memory map is read as a file, so that it takes no room."""
        if not isinstance(self.features, np.memmap):
            return self.features[start:stop].astype(np.float32)
        one = self.features[0].nbytes
        file, kind = str(self.features.filename), self.features.dtype
        count, offset = (stop - start) * one // kind.itemsize, self.features.offset + start * one
        raw = np.fromfile(file, kind, count, offset=offset)
        return raw.reshape(-1, *self.features.shape[1:]).astype(np.float32)

    def blocks(self, size: int) -> Iterator[tuple[int, np.ndarray]]:
        """(first image, rows) block by block."""
        for start in range(0, len(self.features), size):
            yield start, self.rows(start, min(start + size, len(self.features)))


def open_embeddings(path: str | Path) -> Embeddings:
    """Open what `embed` wrote. Raises: AdaptAugError: nothing there, something else, or not finished."""
    path = Path(path)
    try:
        if path.is_dir():
            about = json.loads((path / _ABOUT).read_text())
            features = np.load(path / _FEATURES, mmap_mode="r", allow_pickle=False)
            with np.load(path / _KNOWN, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            arrays["readable"] = np.load(path / "readable.npy", allow_pickle=False)
            missing = int((~_seen(path, len(features))).sum())
            if missing:
                raise AdaptAugError(
                    f"{path}: {missing} of {len(features)} images are not embedded yet; run `adaptaug embed` again."
                )
        else:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            features, about = arrays.pop("features"), json.loads(str(arrays.pop("about")))
        if features.ndim != 3 or len(features) != len(arrays["names"]):
            raise ValueError(f"features of shape {features.shape} for {len(arrays['names'])} names")
        if "labels" in arrays:  # some lie as (N, 1)
            arrays["labels"] = arrays["labels"].reshape(len(features)).astype(np.int64)
    except AdaptAugError:
        raise
    except Exception as error:  # zipfile, zlib and numpy's headers have errors of their own
        raise AdaptAugError(
            f"{path}: expected embeddings that `adaptaug embed` wrote ({' '.join(str(error).split())[:90]})."
        ) from None
    return Embeddings(
        features, [str(n) for n in arrays["names"]], arrays.get("labels"), [str(c) for c in arrays["class_names"]],
        arrays["readable"], about, str(arrays.get("about_labels", "")),
    )  # fmt: skip


class _Items(Dataset[Any]):
    """Image number -> (1 + k, 3, S, S) uint8 of the clean image and its views, or the sentence that says why not.

    Without `views` (they are made of whole batches, on the device) it is (clean, the image as it lies there).
    """

    def __init__(self, images: Images, size: int, views: Views[Any] | None, seed: int):
        self.images, self.size, self.views, self.seed = images, size, views, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        try:
            image = self.images[index]
        except AdaptAugError as error:
            return str(error)
        clean = _tensor(clean_view(image, self.size))
        if self.views is None:
            return clean, _tensor(image)
        return torch.stack([clean, *self.views(image, key=(self.seed, 0, index))])


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def clean_view(image: np.ndarray, size: int) -> np.ndarray:
    """The image as it is evaluated: the shorter side resized to `size`, the middle cut out. (S, S, 3) uint8."""
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    scale = size / min(height, width)
    across, down = max(size, round(width * scale)), max(size, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, (across, down), interpolation=interpolation)
    left, top = (across - size) // 2, (down - size) // 2
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def embed(
    images: Images, backbone: Backbone, out: str | Path, views: int = 4, policy: Policy | str = "natural",
    size: int = 224, seed: int = 0, batch: int = 64, workers: int = 0, half: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:  # fmt: skip
    """Features of every image and of `views` adaptive views of it. Killed, the same call goes on where it stopped.

    Args:
        out: a file name.npz, or a folder, which is memory-mapped and written by all of torchrun's processes at once,
            each a part of the images (they share the folder's disk). Their number may be another when it goes on.
        half: store float16.
        Views of images of one size are made in batches on the backbone's device, others in the workers.
        progress: called with images done and all of this process.
    Memory does not grow with the set: a batch of views and the names. Images that cannot be read are listed in
    `images.bad` and marked. Raises: AdaptAugError: another set of embeddings in `out`; no image could be read.
    """
    out = Path(out)
    rank, ranks = keys.distributed_rank(), int(os.environ.get("WORLD_SIZE", "1"))
    packed = out.suffix == ".npz"
    if packed and ranks > 1:
        raise AdaptAugError(f"{out}: several processes write a folder; give --out a name without .npz.")
    folder = out.with_suffix(".partial") if packed else out
    policy = policy if isinstance(policy, Policy) else Policy.load(policy)
    about = {
        "width": backbone.width, "views": views, "size": size, "seed": seed, "images": len(images),
        "policy": policy.dumps() if views else None, "data": images.fingerprint(), "weights": fingerprint(backbone),
        "checkpoint": getattr(backbone.report, "source", None),
        "normalisation": getattr(backbone.report, "normalisation", None), "adaptaug": __version__,
    }  # fmt: skip
    if images.range != "auto":
        about["range"] = images.range
    if packed and out.exists():
        raise AdaptAugError(f"{out}: exists already; remove it, or choose another --out.")
    with alone(folder, rank):
        _make(folder, images, about, np.float16 if half else np.float32, rank)
        _fill(
            folder,
            images,
            backbone,
            policy if views else None,
            about,
            batch,
            workers,
            (rank, ranks),
            progress,
        )
        if packed:
            _pack(folder, out)
    if packed:
        shutil.rmtree(folder)
    return out


def _fill(
    folder: Path, images: Images, backbone: Backbone, policy: Policy | None, about: dict[str, Any], batch: int,
    workers: int, part: tuple[int, int], progress: Callable[[int, int], None] | None,
) -> None:  # fmt: skip
    """Embed what is not done yet of one process's part of the images: its rank, and how many there are."""
    (rank, ranks), (views, size, seed) = part, (about[name] for name in ("views", "size", "seed"))
    features = np.load(folder / _FEATURES, mmap_mode="r+")
    readable = np.load(folder / "readable.npy", mmap_mode="r+")
    start, stop = rank * len(images) // ranks, (rank + 1) * len(images) // ranks
    note = folder / f"done-{rank}-of-{ranks}.json"
    todo = start + np.flatnonzero(~_seen(folder, len(images))[start:stop])
    make = None if policy is None else Views(policy, views, size, finish="uint8")
    together = images.same_size or make is None  # a batch at a time, on the device
    items = _Items(images, size, None if together else make, seed)
    loader = DataLoader(
        items, sampler=todo.tolist(), batch_size=batch, num_workers=workers, collate_fn=list,
        multiprocessing_context="spawn" if workers else None,
    )  # fmt: skip
    device = next(backbone.parameters()).device
    for sample in loader:
        here, todo = todo[: len(sample)].tolist(), todo[len(sample) :]
        kept = [i for i, item in enumerate(sample) if not isinstance(item, str)]
        images.bad += [
            (images.names[here[i]], item) for i, item in enumerate(sample) if isinstance(item, str)
        ]
        if kept:
            if together:
                pixels = torch.stack([sample[i][0] for i in kept]).to(device)[:, None]
                if make is not None:
                    rows = [(seed, 0, here[i]) for i in kept]
                    views_of_batch = make(torch.stack([sample[i][1] for i in kept]).to(device), key=rows)
                    pixels = torch.cat([pixels, torch.stack(views_of_batch, 1)], 1)
            else:
                pixels = torch.stack([sample[i] for i in kept]).to(device)
            with torch.no_grad():
                parts = pixels.flatten(0, 1).split(
                    batch
                )  # views of a batch are not held in the network at once
                found = torch.cat([backbone(part.float() / 255).float().cpu() for part in parts]).numpy()
            features[[here[i] for i in kept]] = found.reshape(len(kept), 1 + views, -1)
            readable[[here[i] for i in kept]] = True
        done = int(todo[0] if len(todo) else stop) - start  # what lies between was done by others
        features.flush()
        readable.flush()
        write_atomically(note, lambda file: file.write(json.dumps({"done": done}).encode()))  # noqa: B023 - called at once
        if progress is not None:
            progress(done, stop - start)
    if start < stop and not readable[start:stop].any():  # more processes than images: nothing is this one's
        raise AdaptAugError(f"none of {stop - start} images could be read.")
    unreadable = {name for name, _ in images.bad}
    images.bad += [(images.names[i], f"{images.names[i]}: could not be read when it was its turn.")
                   for i in range(start, stop) if not readable[i] and images.names[i] not in unreadable]  # fmt: skip


def fingerprint(backbone: Backbone) -> str:
    """SHA-256 over its weights and its normalisation."""
    digest = hashlib.sha256(str(backbone.mean.flatten().tolist() + backbone.std.flatten().tolist()).encode())
    for name, tensor in sorted(backbone.encoder.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _seen(folder: Path, count: int) -> np.ndarray:
    """Which images are done: the first `done` of each part, by the notes of however many processes there have been."""
    places = np.zeros(count, bool)
    for note in folder.glob("done-*-of-*.json"):
        rank, ranks = (int(number) for number in note.stem.split("-")[1::2])
        start = rank * count // ranks
        places[start : start + json.loads(note.read_text())["done"]] = True
    return places


def _make(folder: Path, images: Images, about: dict[str, Any], dtype: type, rank: int) -> None:
    """The set's files, empty; or, where they are there, a check that they are of the same run."""
    there = folder / _ABOUT  # written last
    if rank and not there.exists():
        until = time.monotonic() + _WAIT
        while not there.exists():
            if time.monotonic() > until:
                raise AdaptAugError(f"{folder}: the first process has not made its files in {_WAIT:g} s.")
            time.sleep(0.2)
    if there.exists():
        before = json.loads(there.read_text())
        changed = [name for name, value in about.items() if before.get(name) != value]
        if changed:
            raise AdaptAugError(
                f"{folder}: holds embeddings with another {', '.join(changed)}; remove it, or choose another --out."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(images), 1 + about["views"], about["width"])
    np.lib.format.open_memmap(folder / _FEATURES, "w+", dtype, shape)
    np.lib.format.open_memmap(folder / "readable.npy", "w+", bool, (len(images),))
    for name in (_FEATURES, "readable.npy"):
        reserve(folder / name)
    known: dict[str, Any] = {
        "names": np.array(images.names),
        "class_names": np.array(images.class_names, dtype=str),
        "about_labels": images.about_labels,
    }
    if images.labels is not None:
        known["labels"] = images.labels
    write_atomically(folder / _KNOWN, lambda file: np.savez(file, **known))
    write_atomically(there, lambda file: file.write(json.dumps(about, indent=1).encode()))


def _pack(folder: Path, out: Path) -> None:
    """The folder as one .npz, whose arrays are copied piece by piece."""
    with np.load(folder / _KNOWN, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    features = np.load(folder / _FEATURES, mmap_mode="r")
    readable, about = np.load(folder / "readable.npy"), (folder / _ABOUT).read_text()
    write_atomically(
        out, lambda file: np.savez(file, features=features, readable=readable, about=about, **arrays)
    )
