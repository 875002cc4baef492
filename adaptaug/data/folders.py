"""Which files of folders are images, and in a sentence what was left out and why.

Links are followed, as torchvision does; one that leads back to a folder it lies in, or to one that was read below the
same first folder, is not, so that every walk ends. Our own plots and sheets are no images.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adaptaug.backend.reading import content
from adaptaug.data.formats import WAY_OUT, is_missing, suffixes
from adaptaug.data.sidecars import is_sidecar
from adaptaug.errors import printable

_SHOWN = 6  # reasons in the sentence; the rest are counted together
_SIGNED = re.compile(rb'"adaptaug":\s*"\d')  # what every JSON of ours says: the version that wrote it
_STUDY = "settings.json"  # of a search, in its folder, beside its plots
_PLOTS = ("scores.png", "ranges.png", "relevance.png", "effects.png")


@dataclass
class LeftOut:
    """How many files were left out for which reason, and to each reason one of their names, or the way out."""

    reasons: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, name: str = "") -> None:
        self.reasons[reason] += 1
        self.names.setdefault(reason, name)

    def add_file(self, name: str) -> None:
        """A file that is no image of a kind we read."""
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - of a tar's member, too
        self.add(suffix or "without suffix", WAY_OUT if is_missing(suffix) else "" if suffix else name)

    def sentence(self, kept: int) -> str:
        """One line, empty where nothing was left out."""
        if not self.reasons:
            return ""
        # What a plugin would read comes first, whatever there is more of.
        order = sorted(self.reasons.items(), key=lambda item: (self.names[item[0]] != WAY_OUT, -item[1]))
        parts = [
            f"{printable(reason)} {number:,}"
            + (f" ({printable(name)})" if (name := self.names[reason]) else "")
            for reason, number in order[:_SHOWN]
        ]
        if rest := order[_SHOWN:]:
            parts.append(f"others {sum(number for _, number in rest):,}")
        return f"left out {self.reasons.total():,} beside {kept:,} images: {', '.join(parts)}."


def search(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Path], LeftOut]:
    """The image files that paths name, each once, and what else lies there.

    A folder gives the files below it, however deep, whose suffix is an image's (`formats.suffixes`), sorted by path;
    not hidden ones. Any other path is kept as it is, even if nothing is there: `open_image` says what is wrong with it.
    """
    files: dict[Path, None] = {}
    left_out = LeftOut()
    for path in map(Path, paths):
        files.update(dict.fromkeys(sorted(_below(path, left_out)) if path.is_dir() else [path]))
    return list(files), left_out


def _below(folder: Path, left_out: LeftOut) -> Iterator[Path]:
    top = _identity(folder)
    for inside in _listed(folder, left_out):
        if isinstance(inside, Path):
            yield inside
        else:  # a class, maybe: what it shares with others is in both
            yield from _walk(inside, {top}, left_out)


def _walk(folder: os.DirEntry[str], visited: set[tuple[int, int]], left_out: LeftOut) -> Iterator[Path]:
    folders = [folder]
    while folders:
        entry = folders.pop(0)
        try:
            identity = _identity(entry.path)
        except OSError:  # removed meanwhile
            continue
        if identity in visited:
            left_out.add("links to folders read already", entry.name)
            continue
        visited.add(identity)
        for inside in _listed(Path(entry.path), left_out):
            if isinstance(inside, Path):
                yield inside
            else:
                folders.append(inside)
        # A folder goes before links to it.
        folders.sort(key=lambda entry: entry.is_symlink())


def _identity(path: str | Path) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def _listed(folder: Path, left_out: LeftOut) -> Iterator[Path | os.DirEntry[str]]:
    """Image files as paths and folders as entries, of one folder."""
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        left_out.add("folders that cannot be read", folder.name)
        return
    names = {entry.name for entry in entries}
    endings = suffixes()
    for entry in entries:
        stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 - a million of them
        if _is_folder(entry):
            if is_sidecar(entry.name):
                left_out.add("hidden folders", entry.name)
            else:
                yield entry
        elif suffix.lower() in endings:
            if is_sidecar(entry.name):
                left_out.add("hidden images", entry.name)
            elif _is_special(entry):
                left_out.add("pipes and devices", entry.name)
            elif suffix.lower() == ".png" and _is_ours(folder, entry.name, stem, names):
                left_out.add("adaptaug's own", entry.name)
            else:
                yield folder / entry.name
        elif entry.is_symlink() and not Path(entry.path).exists():
            left_out.add("links to nothing", entry.name)
        elif not is_sidecar(entry.name):
            left_out.add_file(entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """A pipe, a socket or a device; what a link leads nowhere to is said where it is opened."""
    try:
        return not entry.is_file() and os.path.exists(entry.path)  # noqa: PTH110 - a link to itself: False
    except OSError:
        return False


def _is_ours(folder: Path, name: str, stem: str, beside: set[str]) -> bool:
    """Whether we made this PNG: we write no plot or sheet without its numbers beside it, in a JSON that says so."""
    note = _STUDY if name in _PLOTS else f"{stem}.json"
    if note not in beside:
        return False
    try:
        return _SIGNED.search(content(folder / note, 1 << 20)) is not None
    except OSError:
        return False
