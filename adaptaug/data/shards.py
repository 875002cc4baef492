"""webdataset's tar shards as a source: indexed once and then read at random, and not streamed."""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug.data.files import MAX_PIXELS, read_image
from adaptaug.data.folders import LeftOut
from adaptaug.data.formats import suffixes
from adaptaug.data.labels import COLUMNS, Labels, of_texts, settle
from adaptaug.data.sidecars import is_sidecar
from adaptaug.data.sources import Opened, Source, files_of, needs
from adaptaug.errors import AdaptAugError, printable

_LARGEST_JSON = 1 << 20  # bytes; what is beside a picture is short


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
        tar = self.tars[int(self.shard[index])]
        try:
            with tar.open("rb") as file:
                file.seek(int(self.offset[index]))
                return bytes(file.read(int(self.size[index])))
        except OSError as error:
            raise AdaptAugError(
                f"{printable(self.names[index])}: cannot be read ({error.strerror})."
            ) from None


def open_shards(pattern: str | Path, max_pixels: int = MAX_PIXELS) -> Opened:
    """webdataset's tar shards: one, a folder of them, or a pattern such as `train-{0000..0999}.tar`.

    A sample's image is its first member with an image's suffix, its label the number or name in `KEY.cls`; where there
    is none of these, what `KEY.json` has under the first of `labels.COLUMNS` that holds labels.
    Links to members of the same tar are followed.
    """
    tars = _tars(Path(pattern))
    names: list[str] = []
    where: list[tuple[int, int, int]] = []
    samples: list[str] = []
    classes: dict[str, str] = {}  # by the sample's name, which ends at its first dot
    fields: dict[str, dict[str, Any]] = {}  # by a column, then so
    left_out = LeftOut()
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
                        left_out.add("links to nothing", member.name)
                    elif kind.lower() == "cls" and (label := archive.extractfile(content)) is not None:
                        classes[sample] = label.read().decode("utf-8", "backslashreplace")
                    elif kind.lower() == "json" and (cells := _fields(archive, content)):
                        for column, value in cells.items():
                            fields.setdefault(column, {})[sample] = value
                    elif not pictures:
                        left_out.add_file(base)
                    elif hidden:
                        left_out.add("hidden images", member.name)
                    elif sample in pictured:
                        left_out.add("further images of a sample", member.name)
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
                            f"{left_out.sentence(0) or 'they are empty.'}")  # fmt: skip
    shard, offset, size = np.array(where, np.int64).T.copy()
    if classes:
        labels = of_texts(f"KEY.cls of {pattern}", [classes.get(sample) for sample in samples])
    else:
        labels = _of_json(pattern, samples, fields)
    return Opened(
        Shards(tars, shard, offset, size, names, max_pixels),
        names,
        *labels,
        left_out=left_out.sentence(len(names)),
    )


def _fields(archive: tarfile.TarFile, content: tarfile.TarInfo) -> dict[str, Any]:
    """What a sample's JSON has that may be its label, by the column's name in lower case."""
    file = archive.extractfile(content)
    try:
        fields = json.loads(file.read()) if file is not None and content.size <= _LARGEST_JSON else None
    except (ValueError, RecursionError):
        return {}
    return (
        {name.lower(): value for name, value in fields.items() if name.lower() in COLUMNS}
        if isinstance(fields, dict)
        else {}
    )


def _of_json(pattern: str | Path, samples: list[str], fields: dict[str, dict[str, Any]]) -> Labels:
    """Of the first column that holds labels; where none does, why the first does not."""
    labels = []
    for column in sorted(fields, key=COLUMNS.index):
        cells = [fields[column].get(sample) for sample in samples]
        labels.append(settle(f"'{column}' in KEY.json of {pattern}", cells, len(cells)))
        if labels[-1].numbers is not None:
            return labels[-1]
    nothing = f"no labels: no sample of {pattern} has a label in a KEY.json or has a KEY.cls."
    return labels[0] if labels else Labels(None, [], nothing)


def _places(archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Each member's path -> the file that it is, through links inside the archive."""
    members = archive.getmembers()
    files = {_path(member): member for member in members if member.isfile()}
    links = [member for member in members if member.islnk() or member.issym()]
    while links:  # a link may lead to a later link
        rest = []
        for link in links:
            folder = posixpath.dirname(link.name) if link.issym() else ""
            target = files.get(posixpath.normpath(posixpath.join(folder, link.linkname)))
            if target is None:
                rest.append(link)
            else:
                files[_path(link)] = target
        if len(rest) == len(links):
            break
        links = rest
    return files


def _path(member: tarfile.TarInfo) -> str:
    return posixpath.normpath(member.name)


def _tars(pattern: Path) -> list[Path]:
    if pattern.is_dir():
        return files_of(pattern, ".tar")
    if "{" not in str(pattern):
        tars = [pattern]
    else:
        shards = needs("webdataset.shardlists", "hosts")
        tars = [Path(path) for path in shards.expand_urls(str(pattern))]
    missing = [str(tar) for tar in tars if not tar.is_file()]
    if missing:
        raise AdaptAugError(
            f"{pattern}: expected {len(tars)} tar shards, {len(missing)} are not there, the first {missing[0]}."
        )
    return tars
