"""Data sets that other libraries hold, as sources: Hugging Face's on disk and torchvision's by name."""

from __future__ import annotations

import inspect
import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adaptaug.backend.reading import content
from adaptaug.data.files import MAX_PIXELS, read_image, upright_rgb
from adaptaug.data.formats import formats, suffixes
from adaptaug.data.labels import COLUMNS, Labels, settle
from adaptaug.data.sources import Array, Opened, Source, files_of, needs
from adaptaug.errors import AdaptAugError, printable

_LOOKED_AT = 16  # rows, to see what a column holds


class Hub(Source):
    """The image column of a Hugging Face data set, decoded by us."""

    def __init__(self, rows: Any, names: list[str], max_pixels: int = MAX_PIXELS):
        self.rows, self.names, self.max_pixels = rows, names, max_pixels
        self.column = rows.column_names[0]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        name = self.names[index]
        return np.asarray(read_image(io.BytesIO(self.raw(index)), name, self.max_pixels, self.range))

    def raw(self, index: int) -> bytes:
        cell = self.rows[index][self.column]
        if isinstance(cell, bytes):
            return cell
        if cell and cell["bytes"] is not None:
            return bytes(cell["bytes"])
        try:
            return content(Path(cell["path"]))
        except (TypeError, OSError):
            raise AdaptAugError(
                f"{self.names[index]}: expected an image, got none or a missing file."
            ) from None


def is_hub(path: Path) -> bool:
    """Whether it is a folder that Hugging Face's `save_to_disk` wrote, or a parquet file."""
    marks = ("dataset_dict.json", "state.json")
    return path.suffix == ".parquet" or any((path / name).is_file() for name in marks)


def open_hub(path: Path, max_pixels: int = MAX_PIXELS) -> Opened:
    """A data set of Hugging Face's `save_to_disk` (the split `train` of several), or parquet files with images."""
    datasets = needs("datasets", "hosts")
    files = [path] if path.suffix == ".parquet" else files_of(path, ".parquet")
    try:
        if files:
            rows = datasets.Dataset.from_parquet([str(file) for file in files])
        else:
            rows = datasets.load_from_disk(str(path))
    except Exception as error:  # whatever its many readers raise
        reason = " ".join(str(error).split())[:120]
        raise AdaptAugError(f"{path}: cannot be read as a Hugging Face data set ({reason}).") from None
    left_out = []
    if isinstance(rows, datasets.DatasetDict):
        if "train" not in rows and len(rows) > 1:
            raise AdaptAugError(
                f"{path}: expected a split 'train', got {', '.join(rows)}; name one's folder."
            )
        split = "train" if "train" in rows else next(iter(rows))
        left_out += [f"split {name} {len(part):,}" for name, part in rows.items() if name != split]
        rows = rows[split]
    pictures = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    pictures = pictures or [name for name, kind in rows.features.items() if _holds_files(rows, name, kind)]
    if not pictures:
        raise AdaptAugError(f"{path}: expected a column of images, got {', '.join(rows.column_names)}.")
    left_out += [f"column {name} {len(rows):,}" for name in pictures[1:]]
    labels = _column_labels(path, rows.with_format(None), datasets)
    rows = rows.select_columns([pictures[0]])
    if isinstance(rows.features[pictures[0]], datasets.Image):
        rows = rows.cast_column(pictures[0], datasets.Image(decode=False))
    names = [f"{printable(path.name)}[{i}]" for i in range(len(rows))]
    note = f"left out beside {len(rows):,} images: {printable(', '.join(left_out))}." if left_out else ""
    return Opened(Hub(rows, names, max_pixels), names, *labels, left_out=note)


def _holds_files(rows: Any, name: str, kind: Any) -> bool:
    """Whether a column of no type of theirs has image files: bytes, or {bytes, path}, as other writers leave them."""
    if isinstance(kind, dict):
        if not {"bytes", "path"} <= set(kind):
            return False
    elif getattr(kind, "dtype", None) not in ("binary", "large_binary"):
        return False
    cells = rows.with_format(None).select_columns([name])[: min(len(rows), _LOOKED_AT)][name]
    data = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells if cell is not None]
    paths = [cell["path"] or "" for cell in cells if isinstance(cell, dict) and cell["bytes"] is None]
    return any(map(_is_image, data)) or any(Path(path).suffix.lower() in suffixes() for path in paths)


def _is_image(data: bytes | None) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(io.BytesIO(data or b""), formats=formats()).close()
    except Exception:  # whatever it is, it is none
        return False
    return True


def _column_labels(path: Path, rows: Any, datasets: Any) -> Labels:
    """Of the first of `COLUMNS` that holds labels, else of the one column of class labels that there is."""
    columns = sorted((name for name in rows.features if name.lower() in COLUMNS),
                     key=lambda name: COLUMNS.index(name.lower()))  # fmt: skip
    classes = [name for name, kind in rows.features.items() if isinstance(kind, datasets.ClassLabel)]
    if not columns and len(classes) == 1:
        columns = classes
    settled = [
        Labels(
            None, [], f"no labels: no column of {path} is called label, or another of {', '.join(COLUMNS)}."
        )
    ]
    for column in columns:
        kind = rows.features[column]
        inner = getattr(kind, "feature", kind)  # of a list's cells
        if isinstance(inner, datasets.ClassLabel | datasets.Value):
            values = rows.select_columns([column])[:][column]
            labels = settle(
                f"column {column} of {path}", values, len(rows), getattr(inner, "names", None) or ()
            )
        else:
            labels = Labels(None, [], f"no labels: column {column} of {path} holds {type(kind).__name__}.")
        if labels.numbers is not None:
            return labels
        settled.append(labels)
    return settled[min(1, len(settled) - 1)]


# --- torchvision --------------------------------------------------------------------------------------------
class Torchvision(Source):
    """A torchvision data set whose images lie in files."""

    def __init__(self, dataset: Any, names: list[str]):
        self.dataset, self.names = dataset, names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> np.ndarray:
        try:
            image = self.dataset[index][0]
        except Exception as error:  # whatever PIL and the data set's own reader raise
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise AdaptAugError(f"{self.names[index]}: cannot be read ({reason}).") from None
        if not isinstance(image, Image.Image):
            raise AdaptAugError(f"{self.names[index]}: expected an image, got {type(image).__name__}.")
        return np.asarray(upright_rgb(image, self.range))

    def raw(self, index: int) -> bytes:
        return self[index].tobytes()


def open_torchvision(name: str) -> Opened:
    """`torchvision:NAME[:SPLIT][@ROOT]`, such as `torchvision:STL10:unlabeled@/data`.

    Without SPLIT its training part. ROOT is by default ADAPTAUG_DATA or ~/.cache/adaptaug; what is not there is
    downloaded by torchvision, where it can. Raises: AdaptAugError: no such data set, or none there.
    """
    import torchvision

    title_and_part, _, root = name.partition(":")[2].partition("@")
    title, _, split = title_and_part.partition(":")
    sets = {title.lower(): title for title in torchvision.datasets.__all__}
    if title.lower() not in sets:
        raise AdaptAugError(
            f"{name}: expected the name of one of torchvision's data sets, such as torchvision:CIFAR10."
        )
    make = getattr(torchvision.datasets, sets[title.lower()])
    accepts = inspect.signature(make).parameters
    folder = Path(root or os.environ.get("ADAPTAUG_DATA", Path.home() / ".cache" / "adaptaug")).expanduser()
    options: dict[str, Any] = {"root": str(folder)} if "root" in accepts else {}
    if "train" in accepts:
        options["train"] = split in ("", "train")
    elif "split" in accepts and (split or accepts["split"].default is inspect.Parameter.empty):
        options["split"] = split or "train"
    try:
        try:
            dataset = make(**options)
        except RuntimeError:  # this is how they say that nothing is there
            if "download" not in accepts:
                raise
            folder.mkdir(parents=True, exist_ok=True)
            dataset = make(**options, download=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise AdaptAugError(f"{name}: torchvision could not open it in {folder} ({reason}).") from None
    names = [f"{sets[title.lower()]}[{i}]" for i in range(len(dataset))]
    labels = _torchvision_labels(sets[title.lower()], dataset)
    pixels = np.asarray(getattr(dataset, "data", None))
    if pixels.dtype == np.uint8 and len(pixels) == len(dataset):
        if pixels.ndim == 4 and pixels.shape[1] == 3 and pixels.shape[3] != 3:
            pixels = pixels.transpose(0, 2, 3, 1)
        return Opened(Array(pixels), names, *labels)
    return Opened(Torchvision(dataset, names), names, *labels)


def _torchvision_labels(title: str, dataset: Any) -> Labels:
    """Of the list that it keeps of them, under one of the names that torchvision's data sets have for it."""
    for place in ("targets", "labels", "_labels", "y", "_samples", "samples"):
        values: Any = getattr(dataset, place, None)
        if not hasattr(values, "__len__") or len(values) != len(dataset):
            continue
        if place.endswith("samples"):  # (file, label)
            values = [
                sample[1] if isinstance(sample, tuple) and len(sample) == 2 else sample for sample in values
            ]
        if not len(values) or not _gives(dataset, values[0]):
            continue
        return settle(f"{place} of {title}", values, len(dataset), getattr(dataset, "classes", None) or ())
    return Labels(None, [], f"no labels: torchvision's {title} keeps no list of them, one for each image.")


def _gives(dataset: Any, first: Any) -> bool:
    """Whether it gives this with its first image: VOC and Cityscapes keep files of annotations as `targets`."""
    try:
        item = dataset[0][1]
    except Exception:  # an image that cannot be read: then only a number is surely no file
        return isinstance(first, int | np.integer)
    try:
        return item is first or np.array_equal(np.asarray(item), np.asarray(first))
    except (TypeError, ValueError):  # lists of several lengths
        return False
