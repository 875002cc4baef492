"""Data sets as users have them -> images: folders, class folders, .npz, tar shards, Hugging Face, torchvision."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from adaptaug.data.depth import AUTO, Range, Widest, is_deep, parse
from adaptaug.data.files import MAX_PIXELS
from adaptaug.data.folders import search
from adaptaug.data.formats import is_missing, suffixes
from adaptaug.data.labels import COLUMNS, Labels, joined, of_folders, settle, some
from adaptaug.data.libraries import is_hub, open_hub, open_torchvision
from adaptaug.data.shards import open_shards
from adaptaug.data.sources import Array, Files, Opened, Source, files_of
from adaptaug.errors import AdaptAugError, printable

KINDS = (
    "a folder of images, a folder of class folders, an image file, an .npz or .npy, tar shards "
    "(train-{0000..0999}.tar), a Hugging Face data set on disk, or torchvision:NAME"
)

_NPZ = (
    "expected an .npz with 'x' or 'images', (N, H, W[, 3]) uint8 or deeper, and, where there are labels, "
    "'y' or 'labels'"
)


@dataclass
class Images:
    """A data set, read one image at a time.

    `names`, `labels` (None without, -1 where one image has none) and `class_names` (empty: classes are called by their
    numbers) are known at once; `about_labels` says in a sentence where labels are missing, and why. `images[i]` decodes
    to (H, W, 3) uint8. Iterating skips what cannot be read and lists it in `bad` as (name, sentence). `left_out` says
    in a sentence what else lies there and is no image of it; empty where nothing does.
    """

    names: list[str]
    labels: np.ndarray | None
    class_names: list[str]
    source: Source
    bad: list[tuple[str, str]] = field(default_factory=list)
    kept: np.ndarray | None = None
    left_out: str = ""
    about_labels: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.source[self._place(index)]

    def _place(self, index: int) -> int:
        return int(index if self.kept is None else self.kept[index])

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for index, name in enumerate(self.names):
            try:
                yield name, self[index]
            except AdaptAugError as error:
                self.bad.append((name, str(error)))

    @property
    def range(self) -> str:
        """By which values deeper than 8 bits are read: auto, or LOW,HIGH."""
        return str(self.source.range)

    @property
    def same_size(self) -> bool:
        """Whether all images are known to have one size."""
        return self.source.same_size

    def pixels(self, index: Sequence[int] | np.ndarray, side: int | None = None) -> torch.Tensor:
        """Some images as one (N, 3, H, W) uint8 tensor, every one resized to side x side where a side is given.

        Resizing by area to a square changes the aspect; it is for small networks on photographs of all sizes.
        """
        images = [self[int(i)] for i in index]
        if side is not None:
            images = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()

    def fingerprint(self) -> str:
        """SHA-256 over number, names and labels of the images, and pixels or files of up to 256 spread over them."""
        digest = hashlib.sha256(str(len(self)).encode())
        digest.update("\n".join(self.names).encode())
        digest.update(b"" if self.labels is None else np.asarray(self.labels, np.int64).tobytes())
        for i in range(min(256, len(self))):
            with contextlib.suppress(AdaptAugError, OSError):  # an unreadable one counts by its name
                digest.update(self.source.raw(self._place(i * len(self) // min(256, len(self)))))
        return digest.hexdigest()[:16]

    def take(self, count: int, seed: int = 0) -> Images:
        """At most `count` of the images, chosen by a seed and kept in order."""
        if count >= len(self):
            return self
        return self._part(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def labelled(self) -> Images:
        """Those that have a label. Raises: AdaptAugError: none has."""
        if self.labels is None:
            raise AdaptAugError(f"expected images with labels; {self.about_labels or 'these have none.'}")
        return self if (self.labels >= 0).all() else self._part(np.flatnonzero(self.labels >= 0))

    def _part(self, kept: np.ndarray) -> Images:
        return Images(
            [self.names[i] for i in kept], None if self.labels is None else self.labels[kept], self.class_names,
            self.source, kept=np.array([self._place(i) for i in kept]), left_out=self.left_out,
            about_labels=self.about_labels,
        )  # fmt: skip


def open_data(path: str | Path, max_pixels: int = MAX_PIXELS, range: str | Range = AUTO) -> Images:
    """Open any of KINDS; labels where it has them.

    Args:
        max_pixels: of an image file; larger ones are refused (and listed in `bad`), not decoded.
        range: by which images deeper than 8 bits are read: auto, data, or LOW,HIGH (`depth`).
    Raises: AdaptAugError: nothing there, no image in it, or arrays of another shape or type.
    """
    parse(range)  # before anything is read
    opened = _opened(str(path), max_pixels)
    opened.source.range = range_of(opened.source, range)
    return Images(
        opened.names, opened.labels, opened.class_names, opened.source, left_out=opened.left_out,
        about_labels=opened.about_labels,
    )  # fmt: skip


def range_of(source: Source, range: str | Range) -> Range:
    """What `range` is for a source: with `data`, that of all its images that can be read, each of which is."""
    value_range = parse(range)
    if value_range is not None:
        return source.range if value_range == AUTO else value_range
    return _widest(source)


def _widest(source: Source) -> Range:
    source.range = widest = Widest()
    for index in range(len(source)):
        with contextlib.suppress(AdaptAugError):
            source[index]
    return widest.settle()


def _opened(name: str, max_pixels: int) -> Opened:
    path, suffix = Path(name), Path(name).suffix.lower()
    if name.lower().startswith("torchvision:"):
        return open_torchvision(name)
    if suffix in (".npz", ".npy") and not path.is_dir():
        return _open_npz(path)
    if suffix == ".tar":
        return open_shards(path, max_pixels)
    if is_hub(path):
        return open_hub(path, max_pixels)
    if path.is_file() and (suffix in suffixes() or is_missing(suffix)):
        return Opened(Files([path], max_pixels), [printable(path)], *_ALONE)
    if not path.is_dir():
        raise AdaptAugError(f"{printable(path)}: expected {KINDS}; {_instead(path)}.")
    files, left_out = search([path])
    shards = [
        opens for kind, opens in ((".tar", open_shards), (".parquet", open_hub)) if files_of(path, kind)
    ]
    if shards and not files:
        return shards[0](path, max_pixels)
    # Images first: beside them may lie the archive that they came from, or a table about them. But a plot beside
    # shards is no data set.
    if shards and all(file.parent == path for file in files):
        with contextlib.suppress(AdaptAugError):
            opened = shards[0](path, max_pixels)
            if len(opened.source) > len(files):
                beside = f"left out {len(files):,} beside the shards: {some(file.name for file in files)}."
                return opened._replace(left_out=joined(beside, opened.left_out))
    if files:
        return _open_folder(path, files, max_pixels)._replace(left_out=left_out.sentence(len(files)))
    raise AdaptAugError(f"{path}: expected image files in this folder or below, found none; "
                        f"{left_out.sentence(0) or 'it is empty.'}")  # fmt: skip


_ALONE = Labels(None, [], "no labels: it is one image file.")
_ARCHIVES = {".zip": "unzip", ".gz": "tar xzf", ".tgz": "tar xzf", ".bz2": "tar xjf", ".xz": "tar xJf",
             ".zst": "tar xf", ".7z": "7z x", ".rar": "unrar x"}  # fmt: skip


def _instead(path: Path) -> str:
    """What lies there, and what to do about it."""
    if not path.exists():
        return "there is no such folder or file"
    if (unpack := _ARCHIVES.get(path.suffix.lower())) and path.is_file():
        return f"this is a packed archive: unpack it ({unpack} {printable(path.name)}) and give the folder"
    return f"this is a file of another kind ({path.suffix or 'without a suffix'})"


def _open_folder(path: Path, files: list[Path], max_pixels: int) -> Opened:
    inside = [file.relative_to(path) for file in files]
    return Opened(Files(files, max_pixels), [printable(file) for file in inside], *of_folders(path, inside))


def _is_pickled(arrays: Any, name: str) -> bool:
    """Whether an array of an .npz holds Python's objects, which only an unsafe pickle could read."""
    try:
        arrays[name]
    except ValueError as error:
        if "Object arrays" in str(error):
            return True
        raise
    return False


def _open_npz(path: Path) -> Opened:
    try:
        if path.suffix.lower() == ".npy":  # only images
            return _of_arrays(path, {"x": np.load(path, allow_pickle=False)}, [])
        if not zipfile.is_zipfile(path):  # NumPy takes it for a pickle and says how to load it unsafely
            raise ValueError("it is no archive, or one cut off; np.savez(NAME, x=array) writes one")
        with np.load(path, allow_pickle=False) as arrays:
            data = {
                name: arrays[name]
                for name in arrays.files
                if name in ("x", "images")
                or (name in ("class_names", *COLUMNS) and not _is_pickled(arrays, name))
            }
            pickled = [name for name in arrays.files if name in COLUMNS and name not in data]
    except AdaptAugError:
        raise
    except Exception as error:  # zipfile, zlib and numpy's headers have errors of their own
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise AdaptAugError(f"{path}: {_NPZ}; it cannot be read ({reason}).") from None
    return _of_arrays(path, data, pickled)


def _of_arrays(path: Path, data: dict[str, Any], pickled: list[str]) -> Opened:
    images = data.get("x", data.get("images"))
    if images is None:
        raise AdaptAugError(f"{path}: {_NPZ}; it has neither.")
    readable = images.dtype == np.uint8 or is_deep(images)
    if not readable or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise AdaptAugError(f"{path}: {_NPZ}; got {images.dtype} of shape {images.shape}.")
    if not len(images) or min(images.shape[1:3]) < 2:
        raise AdaptAugError(
            f"{path}: expected one image or more, of at least 2 x 2 pixels, got shape {images.shape}."
        )
    place = next((name for name in COLUMNS if name in data), None)
    labels = Labels(None, [], f"no labels: {path} has no array 'y' or 'labels'.")
    if place is None and pickled:
        labels = Labels(None, [], f"no labels: {path}: '{pickled[0]}' holds Python's objects, which are not read for "
                                  "safety's sake; save it as text, with '' for none.")  # fmt: skip
    if place is not None:
        names = np.atleast_1d(data.get("class_names", []))
        labels = settle(f"{path}: '{place}'", data[place], len(images), names)
    source = Array(images)
    if is_deep(images):
        try:
            source.range = Range(*AUTO.of(images))
        except AdaptAugError as error:
            raise AdaptAugError(f"{path}: {error}") from None
    return Opened(source, [f"{path.name}[{i}]" for i in range(len(images))], *labels)
