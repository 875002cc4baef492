"""What counts as an image's label: one rule that every source calls. Its table is docs/labels.md.

Labels are numbers (N,) int64, -1 where an image has none. Class names say what the numbers are called; without names, a
class is called by its number. Nothing is guessed from a word: whatever was left out, or not taken, is said in a note.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adaptaug.data.sidecars import is_sidecar
from adaptaug.errors import AdaptAugError, printable

NONE = -1
# Arrays of an .npz and columns of a table that hold labels, in whatever case; the first that does is taken.
COLUMNS = (
    "label",
    "y",
    "labels",
    "fine_label",
    "coarse_label",
    "class",
    "target",
    "targets",
    "category",
    "cls",
)
_PARTS = frozenset(("train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing", "unlabeled",
                    "unlabelled"))  # fmt: skip
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_SHOWN = 3  # names in a note
_LARGEST = np.iinfo(np.int64).max


class Labels(NamedTuple):
    """`numbers` None where no image has a label; `note` a sentence, empty where every image has its own."""

    numbers: np.ndarray | None
    names: list[str]
    note: str = ""


def settle(where: str, values: Any, count: int, names: Iterable[Any] = ()) -> Labels:
    """Labels as a source has them (array, tensor or list of anything) -> by the rule.

    Args: where: the file and field, for sentences; names: what the numbers from 0 are called, where that is known.
    Raises: AdaptAugError: not one for each of `count` images.
    """
    class_names = [_decoded(name) for name in names]
    cells = values.numpy() if hasattr(values, "detach") else values
    if isinstance(cells, np.ndarray) and cells.shape == (1, count) and count > 1:
        cells = cells[0]  # as a row, which MATLAB's files have
    length = np.shape(cells)[:1] if isinstance(cells, np.ndarray) else (len(cells),)
    if length != (count,):
        shape = np.shape(cells) if isinstance(cells, np.ndarray) else length
        raise AdaptAugError(f"{where}: expected one label for each of {count} images, got shape {shape}.")
    one_each = _one_each(cells, indices=bool(class_names))
    if one_each is None:
        return Labels(
            None, [], f"no labels: {where} has more than one value for an image, and is not one-hot."
        )
    values, place = _distinct(one_each)
    kinds = [_kind(value) for value in values]
    if unknown := [value for value, kind in zip(values, kinds, strict=True) if kind == "unknown"]:
        return Labels(None, [], f"no labels: {where} has values of type {type(unknown[0]).__name__}.")
    if "text" in kinds:
        texts = [None if kind == "none" else _text(v) for v, kind in zip(values, kinds, strict=True)]
        labels = _by_name(where, texts, class_names)
    elif "fraction" in kinds:
        fraction = values[kinds.index("fraction")]
        return Labels(None, [], f"no labels: {where} has fractions such as {fraction}, which are no classes.")
    else:
        labels = _by_number(where, [None if k == "none" else int(v) for v, k in zip(values, kinds, strict=True)],
                           class_names)  # fmt: skip
    if labels.numbers is None:
        return labels
    numbers = labels.numbers[place]
    return Labels(numbers, labels.names, joined(_unlabelled(where, numbers), labels.note))


def of_texts(where: str, texts: list[str | None]) -> Labels:
    """As `settle`, from where everything is text (`KEY.cls` of a shard): numbers and booleans where all are.

    Among these `None` and `nan` are how Python writes a missing label; among words they are words.
    """
    cells = [None if text is None or not text.strip() else text.strip() for text in texts]
    there = {cell for cell in cells if cell is not None} - {"None", "nan"}
    read: dict[str, Any] = {"None": None, "nan": None}
    if all(_WHOLE.fullmatch(cell) for cell in there):
        read |= {cell: int(cell.partition(".")[0]) for cell in there}
    elif all(cell.lower() in ("true", "false") for cell in there):
        read |= {cell: cell.lower() == "true" for cell in there}
    else:
        read = {}
    return settle(where, [None if cell is None else read.get(cell, cell) for cell in cells], len(cells))


def of_folders(path: Path, files: Sequence[Path]) -> Labels:
    """The first folder below `path` is the class of all images in it and deeper; `files` are relative to `path`.

    An image beside the class folders has none. Classes are sorted as torchvision's ImageFolder sorts them.
    """
    folders = [file.parts[0] if len(file.parts) > 1 else None for file in files]
    classes = {folder for folder in folders if folder is not None}
    if not classes:
        return Labels(None, [], f"no labels: the images of {printable(path)} lie in no class folders.")
    if all(name.lower() in _PARTS for name in classes):
        return Labels(None, [], f"no labels: {some(classes)} in {printable(path)} are parts of a data set and no "
                                "classes; name one's folder.")  # fmt: skip
    order, place = _distinct(folders)
    labels = _by_name(f"{printable(path)}", order)
    assert labels.numbers is not None
    numbers = labels.numbers[place]
    empty = {
        entry.name
        for entry in path.iterdir()
        if entry.name not in classes and not is_sidecar(entry.name) and entry.is_dir()
    }
    note = f"folders without images are no classes: {some(empty)}." if empty else ""
    stray = [file for file, number in zip(files, numbers, strict=True) if number == NONE]
    beside = f" (beside the class folders: {some(map(str, stray))})" if stray else ""
    return Labels(
        numbers, labels.names, joined(_unlabelled(printable(path), numbers, beside), labels.note, note)
    )


def renumbered(
    numbers: np.ndarray, names: list[str], known: np.ndarray, known_names: list[str]
) -> tuple[np.ndarray, list[str]]:
    """`numbers` of one set by the numbering of another, `known`, and the names of these; -1 stays.

    A folder numbers the classes that it has, so one that lacks a class has other numbers. Sets whose classes have no
    names in common are compared by number where one of them has no names: then no names are returned.
    """
    for some, called in ((numbers, names), (known, known_names)):
        if called and some.max(initial=NONE) >= len(called):
            return numbers, []
    if names == known_names:  # some sets have two classes of one name
        return numbers, names
    if not (names and known_names):
        most = max(numbers.max(initial=NONE), known.max(initial=NONE))
        if most >= 1 << 20:
            return numbers, []
        by_number = [str(number) for number in range(most + 1)]
        names, known_names = names or by_number, known_names or by_number
        used, there = (
            {called[number] for number in np.unique(some[some >= 0])}
            for some, called in ((numbers, names), (known, known_names))
        )
        if not used <= there:
            return numbers, []
    together = known_names + [name for name in names if name not in known_names]
    move = np.array([*(together.index(name) for name in names), NONE])
    return move[numbers], together


# --- values to classes --------------------------------------------------------------------------------------
def _by_number(where: str, values: list[int | None], names: list[str]) -> Labels:
    """Distinct whole numbers -> a class number for each.

    From 0 they stay as they are. -1 is no label, as everywhere, but beside 1 alone or another number below 0 it is a
    class. Numbers that an int64 does not hold, or below 0, are counted by size and named by themselves.
    """
    there = {value for value in values if value is not None}
    note = ""
    if names and not all(NONE <= value < len(names) for value in there):
        note = (f"{where} has numbers from {min(there)} to {max(there)}, which the {len(names)} names of its classes "
                "do not fit; they are not used.")  # fmt: skip
        names = []
    if names or not (min(there, default=0) < NONE or there == {-1, 1}):
        there.discard(NONE)
    if not there:
        only = "-1" if NONE in values else "nothing"
        return Labels(None, [], f"no labels: {where} has {only} for every image.")
    called: dict[int, int]
    if min(there) >= 0 and max(there) <= _LARGEST:
        called = {value: value for value in there}
    else:
        order = sorted(there)
        called, names = {value: i for i, value in enumerate(order)}, [str(value) for value in order]
        if there == {-1, 1}:
            note = joined(note, f"{where} has -1 and 1 only: two classes.")
    return Labels(
        np.array([NONE if v is None else called.get(v, NONE) for v in values], np.int64), names, note
    )


def _by_name(where: str, values: list[str | None], names: Sequence[str] = ()) -> Labels:
    """Distinct texts -> a class number for each: the place in `names`, where all are there, else in sorted order."""
    there = {value for value in values if value is not None}
    note = ""
    if names and not there <= set(names):
        note = f"{where} has texts that the names of its classes lack; they are not used."
        names = ()
    order = list(names) or sorted(there)
    alike: dict[str, list[str]] = {}
    for name in order:
        alike.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
    twins = [name for same in alike.values() if len(set(same)) > 1 for name in same]
    if twins:
        note = joined(note, f"classes that differ only in case or in how a letter is stored: {some(twins)}.")
    called = {name: number for number, name in reversed(list(enumerate(order)))}
    numbers = np.array([NONE if v is None else called[v] for v in values], np.int64)
    return Labels(numbers, [printable(name) for name in order], note)


def _kind(value: Any) -> str:
    if isinstance(value, np.datetime64 | np.timedelta64):
        return "unknown"
    if value is None or (isinstance(value, str | bytes) and not value.strip()):
        return "none"
    if isinstance(value, str | bytes):
        return "text"
    try:
        if value != value:  # NaN, NaT
            return "none"
        return "number" if int(value) == value else "fraction"
    except (OverflowError, ValueError):  # an infinity
        return "fraction"
    except TypeError:
        return "unknown"


def _text(value: Any) -> str:
    if isinstance(value, str | bytes):
        return _decoded(value).strip()
    whole = not isinstance(value, bool) and _kind(value) == "number"
    return str(int(value)) if whole else str(value)


def _decoded(name: Any) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def _distinct(cells: Any) -> tuple[list[Any], np.ndarray]:
    """The different cells as plain Python values, and for each cell its place among them."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "biufSU":
        values, place = np.unique(cells, return_inverse=True)
        return values.tolist(), place.reshape(-1)
    places: dict[Any, int] = {}
    different: list[Any] = []
    place = np.empty(len(cells), np.int64)
    for i, cell in enumerate(cells):
        # A cell may be a number of NumPy's, or a tensor.
        scalar = getattr(cell, "ndim", None) == 0 and not isinstance(cell, np.datetime64 | np.timedelta64)
        value = cell.item() if scalar else cell
        if isinstance(value, bytearray | memoryview):
            value = bytes(value)
        try:
            key = (type(value), value)  # True is not 1
            hash(key)
        except TypeError:
            key = (type(value), id(value))
        if key not in places:
            places[key] = len(different)
            different.append(value)
        place[i] = places[key]
    return different, place


def _one_each(cells: Any, indices: bool) -> Any:
    """One cell an image: of (N, 1), of lists of one or none, of one-hot rows their place; None where there are more.

    `indices`: lists hold numbers of classes, and are not one-hot.
    """
    if isinstance(cells, np.ndarray):
        if cells.ndim == 1 and cells.dtype != object:
            return cells
        if cells.ndim > 1 and cells[0].size == 1:
            return cells.reshape(-1)
        if cells.ndim > 1:
            return _hot(cells)
    nested = [hasattr(cell, "__len__") and not isinstance(cell, str | bytes | bytearray | memoryview | dict)
              and getattr(cell, "ndim", 1) > 0 for cell in cells]  # fmt: skip
    if not any(nested):
        return cells
    if all(len(cell) < 2 for cell, many in zip(cells, nested, strict=True) if many):
        return [(next(iter(cell), None) if many else cell) for cell, many in zip(cells, nested, strict=True)]
    lengths = {len(cell) for cell, many in zip(cells, nested, strict=True) if many}
    if (
        indices
        or len(lengths) > 1
        or any(not many and _kind(cell) != "none" for cell, many in zip(cells, nested, strict=True))
    ):
        return None
    nothing = [np.nan] * lengths.pop()
    rows = [[np.nan if value is None else value for value in cell] if many else nothing
            for cell, many in zip(cells, nested, strict=True)]  # fmt: skip
    return _hot(np.array(rows, object))


def _hot(rows: np.ndarray) -> list[int | None] | None:
    """The place of each row's 1, None of a row of NaN or -1 alone; None where a row is of another kind."""
    if rows.ndim != 2:
        return None
    ones = rows == 1
    nothing = ((rows == NONE) | (rows != rows)).all(1)
    hot = ((ones | (rows == 0)).all(1) & (ones.sum(1) == 1)) | nothing
    if not hot.all() or nothing.all():
        return None
    return [None if none else int(place) for none, place in zip(nothing, ones.argmax(1), strict=True)]


# --- sentences ----------------------------------------------------------------------------------------------
def _unlabelled(where: str, numbers: np.ndarray, which: str = "") -> str:
    without = np.flatnonzero(numbers == NONE)
    if not len(without):
        return ""
    which = which or f" (the first is number {without[0]})"
    return f"{len(without):,} of {len(numbers):,} images of {where} have no label{which}."


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more."""
    order = sorted(names)
    rest = f" and {len(order) - _SHOWN:,} more" if len(order) > _SHOWN else ""
    return ", ".join(map(printable, order[:_SHOWN])) + rest


def joined(*sentences: str) -> str:
    """Sentences, where there are any, as one."""
    return "; ".join(sentence.rstrip(".") for sentence in sentences if sentence) + "." * any(sentences)
