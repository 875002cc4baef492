"""Data sets as users have them -> images: a folder, a folder of class folders, or an .npz."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from adaptaug.errors import AdaptAugError
from adaptaug.files import find_images, open_image

_NPZ = "expected an .npz with 'x' or 'images', (N, H, W[, 3]) uint8, and, where there are labels, 'y' or 'labels'"


@dataclass
class Images:
    """A data set, read one image at a time.

    `names`, `labels` (None without) and `class_names` are known at once; `images[i]` decodes to (H, W, 3)
    uint8. Iterating skips what cannot be read and lists it in `bad` as (name, sentence).
    """

    names: list[str]
    labels: np.ndarray | None
    class_names: list[str]
    source: Any
    bad: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> np.ndarray:
        if isinstance(self.source, np.ndarray):
            image = self.source[index]
            return np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else np.ascontiguousarray(image)
        return np.asarray(open_image(self.source[index]))

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        for index, name in enumerate(self.names):
            try:
                yield name, self[index]
            except AdaptAugError as error:
                self.bad.append((name, str(error)))

    @property
    def same_size(self) -> bool:
        """Whether all images are known to have one size."""
        return isinstance(self.source, np.ndarray)

    def pixels(self, index: Sequence[int] | np.ndarray, side: int | None = None) -> torch.Tensor:
        """Some images as one (N, 3, H, W) uint8 tensor, every one resized to side x side where a side is given.

        Resizing by area to a square changes the aspect; it is for small networks on photographs of all sizes.
        """
        kept = [self[int(i)] for i in index]
        if side is not None:
            kept = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in kept]
        return torch.from_numpy(np.stack(kept)).permute(0, 3, 1, 2).contiguous()

    def fingerprint(self) -> str:
        """SHA-256 over number, names and labels of the images, and pixels or files of up to 256 spread over them."""
        digest = hashlib.sha256(str(len(self)).encode())
        digest.update("\n".join(self.names).encode())
        digest.update(b"" if self.labels is None else np.asarray(self.labels, np.int64).tobytes())
        for i in range(min(256, len(self))):
            item = self.source[i * len(self) // min(256, len(self))]
            digest.update(item.tobytes() if isinstance(item, np.ndarray) else Path(item).read_bytes())
        return digest.hexdigest()[:16]

    def take(self, count: int, seed: int = 0) -> Images:
        """At most `count` of the images, chosen by a seed and kept in order."""
        if count >= len(self):
            return self
        kept = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        labels = None if self.labels is None else self.labels[kept]
        source = self.source[kept] if isinstance(self.source, np.ndarray) else [self.source[i] for i in kept]
        return Images([self.names[i] for i in kept], labels, self.class_names, source)


def open_data(path: str | Path) -> Images:
    """Open a folder of images, a folder of class folders, or an .npz.

    Raises: AdaptAugError: nothing there, no image in it, or arrays of another shape or type.
    """
    path = Path(path)
    if path.suffix == ".npz":
        return _open_npz(path)
    if not path.is_dir():
        raise AdaptAugError(f"{path}: expected a folder of images or an .npz file; there is no such folder.")
    files = [Path(file) for file in find_images([path])]
    if not files:
        raise AdaptAugError(f"{path}: expected image files in this folder or below, found none.")
    parents = sorted(
        {file.relative_to(path).parts[0] for file in files if len(file.relative_to(path).parts) > 1}
    )
    labels, classes = None, []
    if parents and all(len(file.relative_to(path).parts) > 1 for file in files):
        classes = parents
        labels = np.array([classes.index(file.relative_to(path).parts[0]) for file in files])
    return Images([str(file.relative_to(path)) for file in files], labels, classes, files)


def _open_npz(path: Path) -> Images:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            data = {
                name: arrays[name]
                for name in arrays.files
                if name in ("x", "images", "y", "labels", "class_names")
            }
    except (OSError, ValueError, EOFError) as error:
        raise AdaptAugError(f"{path}: {_NPZ}; it cannot be read ({error}).") from None
    images = data.get("x", data.get("images"))
    if images is None:
        raise AdaptAugError(f"{path}: {_NPZ}; it has neither.")
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise AdaptAugError(f"{path}: {_NPZ}; got {images.dtype} of shape {images.shape}.")
    labels = data.get("y", data.get("labels"))
    if labels is not None and len(labels) != len(images):
        raise AdaptAugError(f"{path}: expected a label for each of {len(images)} images, got {len(labels)}.")
    classes = [str(name) for name in data.get("class_names", [])]
    return Images([f"{path.name}[{i}]" for i in range(len(images))], labels, classes, images)
