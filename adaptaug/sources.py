"""Where a data set's pixels lie: an array, image files, tar shards, a Hugging Face or a torchvision data set.

A source gives `source[i]`, (H, W, 3) uint8, and `source.raw(i)`, bytes that stand for the item in a fingerprint.
Reading in any order and from any process is what makes a killed run go on at its exact image, so tar shards are
indexed once and then read at random, and not streamed.
"""

from __future__ import annotations

import inspect
import io
import os
import posixpath
import tarfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from adaptaug.depth import AUTO, Range, to_levels
from adaptaug.errors import AdaptAugError
from adaptaug.files import MAX_PIXELS, open_image, printable, read_image, upright_rgb
from adaptaug.folders import LeftOut
from adaptaug.formats import suffixes
from adaptaug.labels import COLUMNS, Labels, of_texts, settle
from adaptaug.sidecars import is_sidecar


class Source(ABC):
    """Images by number. `same_size`: whether all are known to have one size; `range`: of those deeper than 8 bits."""

    same_size = False
    range: Range = AUTO

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> np.ndarray: ...

    @abstractmethod
    def raw(self, index: int) -> bytes: ...


class Opened(NamedTuple):
    """A source with what is known of its images; `labels` as `labels.Labels`, with what is to be said of them.

    `left_out`: a sentence, where anything was.
    """

    source: Source
    names: list[str]
    labels: np.ndarray | None = None
    class_names: list[str] = []  # noqa: RUF012 - never changed
    about_labels: str = ""
    left_out: str = ""


# --- arrays -------------------------------------------------------------------------------------------------
class Array(Source):
    """(N, H, W[, 3]) uint8, or deeper."""

    same_size = True

    def __init__(self, pixels: np.ndarray):
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> np.ndarray:
        image = to_levels(self.pixels[index], self.range)
        return np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else np.ascontiguousarray(image)

    def raw(self, index: int) -> bytes:
        return self.pixels[index].tobytes()


# --- files --------------------------------------------------------------------------------------------------
class Files(Source):
    """Image files."""

    def __init__(self, paths: list[Path], max_pixels: int = MAX_PIXELS):
        self.paths, self.max_pixels = paths, max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(open_image(self.paths[index], self.max_pixels, self.range))

    def raw(self, index: int) -> bytes:
        return self.paths[index].read_bytes()


# --- tar shards ---------------------------------------------------------------------------------------------
class Shards(Source):
    """Images inside tar files, each read where it lies."""

    def __init__(self, tars: list[Path], shard: np.ndarray, offset: np.ndarray, size: np.ndarray,
                 names: list[str], max_pixels: int = MAX_PIXELS):  # fmt: skip
        self.tars, self.shard, self.offset, self.size = tars, shard, offset, size
        self.names, self.max_pixels = names, max_pixels

    def __len__(self) -> int:
        return len(self.shard)

    def __getitem__(self, index: int) -> np.ndarray:
        name = printable(self.names[index])
        return np.asarray(read_image(io.BytesIO(self.raw(index)), name, self.max_pixels, self.range))

    def raw(self, index: int) -> bytes:
        tar = self.tars[self.shard[index]]
        try:
            with tar.open("rb") as file:
                file.seek(int(self.offset[index]))
                return file.read(int(self.size[index]))
        except OSError as error:
            raise AdaptAugError(
                f"{printable(self.names[index])}: cannot be read ({error.strerror})."
            ) from None


def open_shards(pattern: str | Path, max_pixels: int = MAX_PIXELS) -> Opened:
    """webdataset's tar shards: one, a folder of them, or a pattern such as `train-{0000..0999}.tar`.

    A sample's image is its first member with an image's suffix, its label the number or name in `KEY.cls`.
    Links to members of the same tar are followed.
    """
    tars = _tars(Path(pattern))
    names: list[str] = []
    where: list[tuple[int, int, int]] = []
    samples: list[str] = []
    classes: dict[str, str] = {}  # by the sample's name, which ends at its first dot
    left = LeftOut()
    for number, tar in enumerate(tars):
        pictured = set()
        try:
            with tarfile.open(tar, "r:") as archive:
                places = _places(archive)
                for member in archive:
                    folder, _, base = _path(member).rpartition("/")  # ./0.png and 0.cls are of one sample
                    stem, _, kind = base.partition(".")
                    sample = f"{tar.name}/{folder}/{stem}"
                    hidden = any(map(is_sidecar, member.name.split("/")))
                    pictures = f".{kind.rpartition('.')[2].lower()}" in suffixes()
                    if member.isdir() or (hidden and not pictures):
                        continue
                    content = places.get(_path(member))
                    if content is None:
                        left.add("links to nothing", member.name)
                    elif kind.lower() == "cls" and (label := archive.extractfile(content)) is not None:
                        classes[sample] = label.read().decode("utf-8", "backslashreplace")
                    elif not pictures:
                        left.add_file(base)
                    elif hidden:
                        left.add("hidden images", member.name)
                    elif sample in pictured:
                        left.add("further images of a sample", member.name)
                    else:
                        pictured.add(sample)
                        samples.append(sample)
                        names.append(printable(f"{tar.name}/{member.name}"))
                        where.append((number, content.offset_data, content.size))
        except (OSError, tarfile.TarError) as error:
            raise AdaptAugError(f"{tar}: expected an uncompressed tar of images and .cls labels; "
                                f"it cannot be read ({error}).") from None  # fmt: skip
    if not names:
        raise AdaptAugError(f"{pattern}: expected image files in {len(tars)} tar shards, found none; "
                            f"{left.sentence(0) or 'they are empty.'}")  # fmt: skip
    shard, offset, size = np.array(where, np.int64).T.copy()
    labels = Labels(None, [], f"no labels: no sample of {pattern} has a KEY.cls.")
    if classes:
        labels = of_texts(f"KEY.cls of {pattern}", [classes.get(sample) for sample in samples])
    return Opened(
        Shards(tars, shard, offset, size, names, max_pixels),
        names,
        *labels,
        left_out=left.sentence(len(names)),
    )


def files_of(folder: Path, suffix: str) -> list[Path]:
    """Those of a kind that lie in a folder, sorted, without what other systems put there (`._train-000.tar`)."""
    return sorted(file for file in folder.glob(f"*{suffix}") if not is_sidecar(file.name))


def _places(archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Each member's path -> the file that it is, through links inside the archive."""
    members = archive.getmembers()
    found = {_path(member): member for member in members if member.isfile()}
    links = [member for member in members if member.islnk() or member.issym()]
    while links:  # a link may lead to a later link
        rest = []
        for link in links:
            folder = posixpath.dirname(link.name) if link.issym() else ""
            target = found.get(posixpath.normpath(posixpath.join(folder, link.linkname)))
            if target is None:
                rest.append(link)
            else:
                found[_path(link)] = target
        if len(rest) == len(links):
            break
        links = rest
    return found


def _path(member: tarfile.TarInfo) -> str:
    return posixpath.normpath(member.name)


def _tars(pattern: Path) -> list[Path]:
    if pattern.is_dir():
        return files_of(pattern, ".tar")
    if "{" not in str(pattern):
        tars = [pattern]
    else:
        shards = _needs("webdataset.shardlists", "hosts")
        tars = [Path(path) for path in shards.expand_urls(str(pattern))]
    missing = [str(tar) for tar in tars if not tar.is_file()]
    if missing:
        raise AdaptAugError(
            f"{pattern}: expected {len(tars)} tar shards, {len(missing)} are not there, the first {missing[0]}."
        )
    return tars


# --- Hugging Face -------------------------------------------------------------------------------------------
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
        if cell and cell["bytes"] is not None:
            return cell["bytes"]
        try:
            return Path(cell["path"]).read_bytes()
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
    datasets = _needs("datasets", "hosts")
    files = [path] if path.suffix == ".parquet" else files_of(path, ".parquet")
    try:
        if files:
            rows = datasets.Dataset.from_parquet([str(file) for file in files])
        else:
            rows = datasets.load_from_disk(str(path))
    except Exception as error:  # whatever its many readers raise
        reason = " ".join(str(error).split())[:120]
        raise AdaptAugError(f"{path}: cannot be read as a Hugging Face data set ({reason}).") from None
    left = []
    if isinstance(rows, datasets.DatasetDict):
        if "train" not in rows and len(rows) > 1:
            raise AdaptAugError(
                f"{path}: expected a split 'train', got {', '.join(rows)}; name one's folder."
            )
        chosen = "train" if "train" in rows else next(iter(rows))
        left += [f"split {name} {len(part):,}" for name, part in rows.items() if name != chosen]
        rows = rows[chosen]
    pictures = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    if not pictures:
        raise AdaptAugError(f"{path}: expected a column of images, got {', '.join(rows.column_names)}.")
    left += [f"column {name} {len(rows):,}" for name in pictures[1:]]
    labels = _column_labels(path, rows.with_format(None), datasets)
    rows = rows.select_columns([pictures[0]]).cast_column(pictures[0], datasets.Image(decode=False))
    names = [f"{printable(path.name)}[{i}]" for i in range(len(rows))]
    said = f"left out beside {len(rows):,} images: {printable(', '.join(left))}." if left else ""
    return Opened(Hub(rows, names, max_pixels), names, *labels, left_out=said)


def _column_labels(path: Path, rows: Any, datasets: Any) -> Labels:
    """Of the first of `COLUMNS` that holds labels, else of the one column of class labels that there is."""
    columns = sorted((name for name in rows.features if name.lower() in COLUMNS),
                     key=lambda name: COLUMNS.index(name.lower()))  # fmt: skip
    classes = [name for name, kind in rows.features.items() if isinstance(kind, datasets.ClassLabel)]
    if not columns and len(classes) == 1:
        columns = classes
    found = [
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
        found.append(labels)
    return found[min(1, len(found) - 1)]


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

    wanted, _, root = name.partition(":")[2].partition("@")
    title, _, split = wanted.partition(":")
    known = {title.lower(): title for title in torchvision.datasets.__all__}
    if title.lower() not in known:
        raise AdaptAugError(
            f"{name}: expected the name of one of torchvision's data sets, such as torchvision:CIFAR10."
        )
    make = getattr(torchvision.datasets, known[title.lower()])
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
    names = [f"{known[title.lower()]}[{i}]" for i in range(len(dataset))]
    labels = _torchvision_labels(known[title.lower()], dataset)
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
        given = dataset[0][1]
    except Exception:  # an image that cannot be read: then only a number is surely no file
        return isinstance(first, int | np.integer)
    try:
        return given is first or np.array_equal(np.asarray(given), np.asarray(first))
    except (TypeError, ValueError):  # lists of several lengths
        return False


def _needs(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise AdaptAugError(
            f"this needs {module.partition('.')[0]}, which is not installed: pip install 'adaptaug[{extra}]'."
        ) from None
