"""One rule of labels (docs/labels.md): the same answers from every source, and a sentence where there are none."""

import io
import os
import tarfile
import unicodedata
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from adaptaug.data import labels, open_data
from adaptaug.data.files import find_images
from adaptaug.errors import AdaptAugError

SOURCES = ("npz", "tar", "hugging face", "parquet", "torchvision")
# What lies there, of which type, its numbers (-1: none; None: no labels at all) and the classes' names.
TABLE = {
    "from 0": ([2, 0, 1, 2], "int64", [2, 0, 1, 2], []),
    "with a gap": ([7, 0, 3, 7], "int16", [7, 0, 3, 7], []),
    "int8": ([1, 0, 127, 5], "int8", [1, 0, 127, 5], []),
    "uint8": ([255, 0, 254, 5], "uint8", [255, 0, 254, 5], []),
    "uint32": ([2**32 - 1, 0, 1, 2], "uint32", [2**32 - 1, 0, 1, 2], []),
    "uint64": ([2**64 - 1, 0, 2**63, 0], "uint64", [2, 0, 1, 0], ["0", str(2**63), str(2**64 - 1)]),
    "below 0": ([-7, 3, -1, 3], "int64", [0, 2, 1, 2], ["-7", "-1", "3"]),
    "least int64": ([-(2**63), 2**63 - 1, 0, 0], "int64", [0, 2, 1, 1], [str(-(2**63)), "0", str(2**63 - 1)]),
    "-1 and 1": ([-1, 1, 1, -1], "int32", [0, 1, 1, 0], ["-1", "1"]),
    "some -1": ([-1, 0, 2, -1], "int64", [-1, 0, 2, -1], []),
    "all -1": ([-1] * 4, "int64", None, []),
    "booleans": ([True, False, False, True], "bool", [1, 0, 0, 1], []),
    "booleans, some none": ([True, None, False, True], "bool", [1, -1, 0, 1], []),
    "whole floats": ([2.0, 0.0, -1.0, 2.0], "float32", [2, 0, -1, 2], []),
    "floats, some none": ([2.0, None, 0.0, 1.0], "float64", [2, -1, 0, 1], []),
    "numbers, some none": ([5, None, 0, None], "int64", [5, -1, 0, -1], []),
    "nothing": ([None] * 4, "int64", None, []),
    "names": (["dog", "ant", "cat", "dog"], "string", [2, 0, 1, 2], ["ant", "cat", "dog"]),
    "names, some none": (["dog", None, "cat", ""], "string", [1, -1, 0, -1], ["cat", "dog"]),
    "names and case": (["Cat", "cat", "dog", "CAT"], "string", [1, 2, 3, 0], ["CAT", "Cat", "cat", "dog"]),
    "bytes": ([b"dog", b"cat", b"\xff", b"\xfe"], "binary", [3, 2, 1, 0], ["\\xfe", "\\xff", "cat", "dog"]),
    "not only numbers": (["3", "cat", "-1", "3"], "string", [1, 2, 0, 1], ["-1", "3", "cat"]),
}  # fmt: skip


def picture(i):
    written = io.BytesIO()
    Image.fromarray(np.full((6, 8, 3), i, np.uint8)).save(written, "PNG")
    return written.getvalue()


class Listed(torch.utils.data.Dataset):
    """A torchvision data set with `targets`."""

    targets, classes = [], None

    def __init__(self):
        pass

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return Image.open(io.BytesIO(picture(index))), self.targets[index]


def write_tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_hub(path, values, feature, parquet=False, column="label"):
    datasets, pa = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")
    features = datasets.Features({"image": datasets.Image(), column: feature(datasets)})
    rows = {"image": [{"bytes": picture(i), "path": None} for i in range(len(values))], column: values}
    made = datasets.Dataset(datasets.table.InMemoryTable(pa.table(rows, schema=features.arrow_schema)))
    if parquet:
        path.mkdir()
        made.to_parquet(path / "train-0.parquet")
    else:
        made.save_to_disk(path)
    return path


def as_array(values, kind):
    """As NumPy keeps them in a file: no None, but NaN or an empty text."""
    if kind in ("string", "binary"):
        return np.array([("" if kind == "string" else b"") if v is None else v for v in values])
    return np.array(
        [np.nan if v is None else v for v in values], np.float64 if None in values else np.dtype(kind)
    )


def written(source, values, kind, tmp_path, monkeypatch, classes=None):
    """DATA of a source with these labels."""
    if source == "npz":
        named = {} if classes is None else {"class_names": np.array(classes)}
        np.savez(
            tmp_path / "set.npz", x=np.zeros((len(values), 4, 4), np.uint8), y=as_array(values, kind), **named
        )
        return tmp_path / "set.npz"
    if source == "tar":
        members = []
        for i, value in enumerate(values):
            members.append((f"{i:03}.png", picture(i)))
            if value is not None:  # without a label there is no file of it
                members.append((f"{i:03}.cls", value if isinstance(value, bytes) else str(value).encode()))
        return write_tar(tmp_path / "set.tar", members)
    if source == "torchvision":
        monkeypatch.setattr(torchvision.datasets, "FakeData", Listed)
        monkeypatch.setattr(Listed, "targets", values)
        monkeypatch.setattr(Listed, "classes", classes)
        return "torchvision:FakeData"
    if classes is not None:
        feature = lambda datasets: datasets.ClassLabel(names=classes)  # noqa: E731
    else:
        feature = lambda datasets: datasets.Value(kind)  # noqa: E731
    return write_hub(tmp_path / "set", values, feature, source == "parquet")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    try:
        import datasets
    except ModuleNotFoundError:
        return
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def answer(data):
    return (None if data.labels is None else data.labels.tolist()), data.class_names


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", TABLE)
def test_every_source_gives_the_same(case, source, tmp_path, monkeypatch):
    values, kind, numbers, names = TABLE[case]
    data = open_data(written(source, values, kind, tmp_path, monkeypatch))
    assert len(data) == len(values) and answer(data) == (numbers, names)
    assert data.labels is None or data.labels.dtype == np.int64
    if numbers is None:
        end = "has a KEY.cls." if (source, case) == ("tar", "nothing") else " for every image."
        assert data.about_labels.startswith("no labels: ") and data.about_labels.endswith(end)
    elif -1 in numbers:
        assert f"{numbers.count(-1)} of 4 images" in data.about_labels
        assert data.labelled().labels.tolist() == [n for n in numbers if n >= 0]
        assert len(list(data.labelled())) == len(data.labelled())
    else:
        said = {"names and case": "differ only in case", "-1 and 1": "two classes"}.get(case, "")
        assert (said in data.about_labels) and bool(said) == bool(data.about_labels)
        assert data.labelled() is data


@pytest.mark.parametrize("source", ["npz", "hugging face", "parquet", "torchvision"])
def test_names_of_numbers_stay_with_them(source, tmp_path, monkeypatch):
    """One of the classes has no image, another no image before it, and one image no class."""
    data = open_data(written(source, [3, 0, -1, 0], "int64", tmp_path, monkeypatch, ["d", "c", "b", "a"]))
    assert answer(data) == ([3, 0, -1, 0], ["d", "c", "b", "a"])
    assert "1 of 4 images" in data.about_labels


@pytest.mark.parametrize("source", ["npz", "torchvision"])
@pytest.mark.parametrize(
    ("values", "kind", "wanted"),
    [
        ([0, 1, 2, 3], "int64", ([0, 1, 2, 3], [])),
        ([0, -2, -1, 1], "int64", ([2, 0, 1, 3], ["-2", "-1", "0", "1"])),
        (["y", "x", "z", "x"], "string", ([1, 0, 2, 0], ["x", "y", "z"])),
    ],
)
def test_names_that_do_not_fit_are_not_used(values, kind, wanted, source, tmp_path, monkeypatch):
    data = open_data(written(source, values, kind, tmp_path, monkeypatch, ["x", "y"]))
    assert answer(data) == wanted and "not used" in data.about_labels


@pytest.mark.parametrize("source", ["npz", "torchvision"])
def test_texts_take_the_order_of_the_names(source, tmp_path, monkeypatch):
    data = open_data(
        written(source, ["low", "high", "low"], "string", tmp_path, monkeypatch, ["low", "high"])
    )
    assert answer(data) == ([0, 1, 0], ["low", "high"]) and not data.about_labels


COLUMNS = {
    "one-hot": ([[0, 0, 1], [1, 0, 0], [0, 1, 0]], [2, 0, 1]),
    "one-hot, a row of -1": ([[0, 0, 1], [-1, -1, -1], [0, 1, 0]], [2, -1, 1]),
    "only -1": ([[-1, -1], [-1, -1], [-1, -1]], None),
    "one each": ([[4], [0], [4]], [4, 0, 4]),
    "several": ([[1, 1, 0], [1, 0, 0], [0, 0, 0]], None),
    "shares": ([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], None),
}


@pytest.mark.parametrize("source", ["npz", "hugging face", "torchvision", "torchvision, a tensor"])
@pytest.mark.parametrize("case", COLUMNS)
def test_several_columns_are_one_label_only_where_one_hot(case, source, tmp_path, monkeypatch):
    values, numbers = COLUMNS[case]
    if source == "npz":
        np.savez(tmp_path / "set.npz", x=np.zeros((3, 4, 4), np.uint8), labels=np.array(values))
        data = open_data(tmp_path / "set.npz")
    elif source == "hugging face":
        kind = "float32" if case == "shares" else "int64"
        data = open_data(write_hub(tmp_path / "set", values, lambda d: d.Sequence(d.Value(kind))))
    else:
        targets = torch.tensor(values) if "tensor" in source else values
        data = open_data(written("torchvision", targets, "", tmp_path, monkeypatch))
    assert answer(data) == (numbers, [])
    assert (numbers is None) == ("no labels" in data.about_labels and "more than one" in data.about_labels)
    assert ("1 of 3 images" in data.about_labels) == (numbers is not None and -1 in numbers)


HOLES = {
    "None for a row": [[0, 0, 1], None, [0, 1, 0]],
    "a row of None": [[0, 0, 1], [None] * 3, [0, 1, 0]],
    "a row of NaN": [[0.0, 0.0, 1.0], [float("nan")] * 3, [0.0, 1.0, 0.0]],
}


@pytest.mark.parametrize("source", ["npz", "hugging face", "parquet", "json", "torchvision"])
@pytest.mark.parametrize("case", HOLES)
def test_one_hot_rows_where_one_image_has_no_label(case, source, tmp_path, monkeypatch):
    values = HOLES[case]
    if source == "npz":
        nan = [[float("nan")] * 3 if row is None else row for row in values]
        np.savez(tmp_path / "set.npz", x=np.zeros((3, 4, 4), np.uint8), y=np.array(nan, float))
        data = open_data(tmp_path / "set.npz")
    elif source == "json":
        data = open_data(write_json(tmp_path / "set.tar", [{"label": row} for row in values]))
    elif source == "torchvision":
        data = open_data(written("torchvision", values, "", tmp_path, monkeypatch))
    else:
        kind = lambda d: d.Sequence(d.Value("float32" if "NaN" in case else "int64"))  # noqa: E731
        data = open_data(write_hub(tmp_path / "set", values, kind, source == "parquet"))
    assert answer(data) == ([2, -1, 1], []) and "1 of 3 images" in data.about_labels


def test_labels_as_one_row(tmp_path):
    np.savez(tmp_path / "set.npz", x=np.zeros((3, 4, 4), np.uint8), y=np.array([[2, 0, 1]]))
    assert answer(open_data(tmp_path / "set.npz")) == ([2, 0, 1], [])
    assert labels.settle("y", torch.tensor([[2, 0, 1]]), 3).numbers.tolist() == [2, 0, 1]
    with pytest.raises(AdaptAugError, match=r"one label for each of 3 images, got shape \(1, 2\)"):
        labels.settle("y", np.zeros((1, 2)), 3)


@pytest.mark.parametrize("word", ["nan", "None", "NaN", "none"])
def test_a_word_is_a_word_in_every_source(word, tmp_path, monkeypatch):
    """Where numbers stand, nan and None are how Python writes a missing one, and no word."""
    for number, source in enumerate(SOURCES):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = open_data(written(source, [word, "zebra", word, "zebra"], "string", folder, monkeypatch))
        assert answer(data) == ([0, 1, 0, 1], [word, "zebra"]) and not data.about_labels
    if word in ("nan", "None"):
        for other, expected in (("7", [-1, 7, -1, 7]), ("True", [-1, 1, -1, 1])):
            data = open_data(written("tar", [word, other, word, other], "", tmp_path, monkeypatch))
            assert answer(data) == (expected, []) and "2 of 4 images" in data.about_labels


def write_json(path, sidecars):
    import json

    return write_tar(path, [member for i, sidecar in enumerate(sidecars) for member in
                            ((f"{i}.png", picture(i)), (f"{i}.json", json.dumps(sidecar).encode()))])  # fmt: skip


@pytest.mark.parametrize("case", [case for case, (_, kind, *_) in TABLE.items() if kind != "binary"])
def test_labels_in_a_shards_json_are_of_the_rule_too(case, tmp_path):
    values, _, numbers, names = TABLE[case]
    data = open_data(write_json(tmp_path / "set.tar", [{"caption": "a", "Label": value} for value in values]))
    assert answer(data) == (numbers, names)
    assert (numbers is None) == data.about_labels.startswith("no labels: ")


def test_which_of_a_shards_files_and_fields_has_the_labels(tmp_path):
    sidecars = [{"label": {"a": 1}, "class": "dog"}, {"label": {"a": 2}, "class": "cat"}, {"width": 3}]
    data = open_data(write_json(tmp_path / "set.tar", sidecars))
    assert answer(data) == ([1, 0, -1], ["cat", "dog"]) and "1 of 3 images" in data.about_labels
    members = [("0.png", picture(0)), ("0.json", b'{"label": 4}'), ("0.cls", b"7")]
    assert open_data(write_tar(tmp_path / "set.tar", members)).labels.tolist() == [7]
    for content in (b"{", b"[1]", b"{}", b'"label"', b"[" * 100_000):
        members = [("0.png", picture(0)), ("0.json", content)]
        data = open_data(write_tar(tmp_path / "set.tar", members))
        assert data.labels is None and "no sample" in data.about_labels and ".json 1" in data.left_out


@pytest.mark.parametrize("source", SOURCES)
def test_fractions_are_no_classes(source, tmp_path, monkeypatch):
    data = open_data(written(source, [0.25, 1.0, 0.0, 3.5], "float64", tmp_path, monkeypatch))
    if source == "tar":  # where all is text, a fraction is one
        assert answer(data) == ([1, 2, 0, 3], ["0.0", "0.25", "1.0", "3.5"])
        return
    assert answer(data) == (None, []) and "fractions such as 0.25" in data.about_labels


MIXED = {
    "NumPy's": ([np.str_("b"), np.str_("a"), None], [1, 0, -1], ["a", "b"]),
    "tensors": ([torch.tensor(3), torch.tensor(0), np.int8(3)], [3, 0, 3], []),
    "kinds of number": ([True, 2, 0.0], [1, 2, 0], []),
    "numbers and text": (["b", 2, None, True, 2.0], [2, 0, -1, 1, 0], ["2", "True", "b"]),
    "text and bytes": (["é", "é".encode(), bytearray(b"a")], [1, 1, 0], ["a", "é"]),
    "decimals": ([Decimal(3), Decimal("0.0"), None], [3, 0, -1], []),
    "beyond int64": ([2**200, -(2**200), 0], [2, 0, 1], [str(-(2**200)), "0", str(2**200)]),
    "white space": ([" cat", "cat\n", "  "], [0, 0, -1], ["cat"]),
    "lists of one or none": ([[1], [], [0]], [1, -1, 0], []),
}


@pytest.mark.parametrize("case", MIXED)
def test_a_list_of_anything(case):
    values, numbers, names = MIXED[case]
    found = labels.settle("y", values, len(values))
    assert found.numbers.tolist() == numbers and found.names == names
    assert found.numbers.dtype == np.int64


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([{"a": 1}, {"a": 2}], "of type dict"),
        (np.array(["2020-01-01", "2021-01-01"], "datetime64[ns]"), "of type datetime64"),
        ([1j, 2j], "of type complex"),
        ([float("inf"), 1.0], "fractions such as inf"),
        ([[1], [0, 2]], "more than one value"),
        (np.zeros((2, 3, 4)), "more than one value"),
        ([float("nan"), None], "nothing for every image"),
    ],
)
def test_what_is_no_label_is_said(values, said):
    found = labels.settle("y", values, 2)
    assert found.numbers is None and found.names == []
    assert found.note.startswith("no labels: y has") and said in found.note and "\n" not in found.note


def test_lists_of_class_labels_are_not_one_hot(tmp_path):
    feature = lambda datasets: datasets.Sequence(datasets.ClassLabel(names=["a", "b"]))  # noqa: E731
    data = open_data(write_hub(tmp_path / "several", [[0, 1], [1, 0]], feature))
    assert data.labels is None and "more than one value" in data.about_labels
    data = open_data(write_hub(tmp_path / "one", [[1], [0]], feature))
    assert answer(data) == ([1, 0], ["a", "b"])


def test_a_column_by_another_name(tmp_path):
    integer = lambda datasets: datasets.Value("int64")  # noqa: E731
    named = lambda datasets: datasets.ClassLabel(names=["a", "b"])  # noqa: E731
    assert open_data(write_hub(tmp_path / "1", [0, 1], integer, column="Label")).labels.tolist() == [0, 1]
    assert open_data(write_hub(tmp_path / "2", [1, 0], named, column="species")).class_names == ["a", "b"]
    other = open_data(write_hub(tmp_path / "3", [0, 1], integer, column="age"))
    assert other.labels is None and "no column of" in other.about_labels


def test_a_column_of_masks_is_no_label(tmp_path):
    masks = [{"bytes": picture(i), "path": None} for i in range(2)]
    data = open_data(write_hub(tmp_path / "set", masks, lambda datasets: datasets.Image()))
    assert data.labels is None and "column label" in data.about_labels and "Image" in data.about_labels


# --- folders -----------------------------------------------------------------------------------------------------
def files(folder, *names):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(i))
    return folder


@pytest.mark.parametrize("case", ["names", "names, some none", "names and case"])
def test_class_folders_are_texts(case, tmp_path):
    values, _, numbers, names = TABLE[case]
    files(tmp_path, *(f"{value}/{i}.png" if value else f"{i}.png" for i, value in enumerate(values)))
    data = open_data(tmp_path)
    found = {int(Path(name).stem): int(number) for name, number in zip(data.names, data.labels, strict=True)}
    assert [found[i] for i in range(4)] == numbers and data.class_names == names
    assert ("2 of 4 images" in data.about_labels) == ("none" in case)


def test_class_folders_are_those_of_torchvision(tmp_path):
    files(tmp_path, "10/a.png", "2/deep/er/b.png", "B/c.png", "a/d.png", "é/e.png")
    folder = torchvision.datasets.ImageFolder(tmp_path)
    data = open_data(tmp_path)
    assert data.class_names == folder.classes
    assert [(name, int(n)) for name, n in zip(data.names, data.labels, strict=True)] == [
        (os.path.relpath(path, tmp_path), n) for path, n in folder.samples
    ]
    assert not data.about_labels


def test_a_stray_image_takes_no_labels_away_and_has_none(tmp_path):
    data = open_data(files(tmp_path, "cat/a.png", "cat/b.png", "dog/c.png", "stray.png"))
    assert dict(zip(data.names, data.labels.tolist(), strict=True)) == {
        "cat/a.png": 0, "cat/b.png": 0, "dog/c.png": 1, "stray.png": -1,
    }  # fmt: skip
    assert data.class_names == ["cat", "dog"] and "stray.png" in data.about_labels
    assert data.take(3).about_labels == data.about_labels


def test_folders_that_are_no_classes(tmp_path):
    flat = open_data(files(tmp_path / "flat", "a.png", "b.png"))
    assert flat.labels is None and "no class folders" in flat.about_labels
    parts = open_data(files(tmp_path / "parts", "train/cat/a.png", "Test/dog/b.png"))
    assert parts.labels is None and parts.class_names == [] and "Test, train" in parts.about_labels
    assert open_data(tmp_path / "parts" / "train").class_names == ["cat"]
    vehicles = open_data(files(tmp_path / "vehicles", "train/a.png", "bus/b.png"))
    assert vehicles.class_names == ["bus", "train"]
    (tmp_path / "vehicles" / "car").mkdir()
    (tmp_path / "vehicles" / ".git").mkdir()
    vehicles = open_data(tmp_path / "vehicles")
    assert vehicles.class_names == ["bus", "train"]
    assert vehicles.about_labels == "folders without images are no classes: car."


def test_one_letter_stored_in_two_ways_is_said(tmp_path):
    names = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    np.savez(tmp_path / "set.npz", x=np.zeros((2, 4, 4), np.uint8), y=np.array(names))
    data = open_data(tmp_path / "set.npz")
    assert len(data.class_names) == 2 and "differ only in case" in data.about_labels


# --- what other systems leave ------------------------------------------------------------------------------------
SIDECARS = ("__MACOSX/{}", "__MACOSX/._{}", "._{}", ".AppleDouble/{}", "@eaDir/{}", "Thumbs.db", ".DS_Store",
            "desktop.ini", "$RECYCLE.BIN/{}")  # fmt: skip


def test_files_of_annotations_are_no_classes(monkeypatch):
    """As VOC and Cityscapes keep them under the name of labels: not what comes with an image."""
    monkeypatch.setattr(torchvision.datasets, "FakeData", Listed)
    monkeypatch.setattr(Listed, "targets", ["a.xml", "b.xml"])
    monkeypatch.setattr(
        Listed, "__getitem__", lambda _, i: (Image.open(io.BytesIO(picture(i))), {"annotation": i})
    )
    data = open_data("torchvision:FakeData")
    assert data.labels is None and data.class_names == [] and "keeps no list" in data.about_labels


def test_a_members_way_is_one_however_it_is_written(tmp_path):
    write_tar(
        tmp_path / "a.tar",
        [("./0.png", picture(0)), ("0.cls", b"3"), ("1.png", picture(1)), ("./1.cls", b"2")],
    )
    data = open_data(tmp_path / "a.tar")
    assert data.labels.tolist() == [3, 2] and data.names == ["a.tar/./0.png", "a.tar/1.png"]


@pytest.mark.parametrize(("beside", "labels"), [("category", [1, 0]), ("y", None)])
def test_pickled_objects_beside_images_do_not_make_them_unreadable(beside, labels, tmp_path):
    arrays = {"y": np.array([1, 0])} | {beside: np.array(["a", None], object)}
    np.savez(tmp_path / "set.npz", x=np.full((2, 4, 4), 9, np.uint8), **arrays)
    data = open_data(tmp_path / "set.npz")
    assert len(data) == 2 and (None if data.labels is None else data.labels.tolist()) == labels
    assert ("'y' holds Python's objects" in data.about_labels) == (labels is None)


def test_sidecars_in_a_tar_are_no_samples(tmp_path):
    members = [("./cat/0.png", picture(0)), ("./cat/0.cls", b"1\n"), ("1.png", picture(1)), ("1.cls", b"0\n")]
    for place in SIDECARS:
        for name in ("0.png", "0.cls", "1.cls"):
            members.insert(0, (place.format(name), b"Mac OS X"))
    data = open_data(write_tar(tmp_path / "set.tar", members))
    assert data.names == ["set.tar/./cat/0.png", "set.tar/1.png"] and data.labels.tolist() == [1, 0]
    assert not data.about_labels and len(list(data)) == 2


def test_sidecars_in_a_folder_are_no_classes(tmp_path):
    files(tmp_path, "cat/a.png", "dog/b.png")
    for place in SIDECARS:
        for name in ("a.png", "cat/a.png"):
            path = tmp_path / place.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"Mac OS X")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"")
    data = open_data(tmp_path)
    assert data.names == ["cat/a.png", "dog/b.png"] and data.class_names == ["cat", "dog"]
    assert not data.about_labels and len(find_images([tmp_path])) == 2


def test_sidecars_of_shards_and_parquet_are_none(tmp_path):
    write_tar(tmp_path / "train-000.tar", [("0.png", picture(0)), ("0.cls", b"cat")])
    (tmp_path / "._train-000.tar").write_bytes(b"Mac OS X")
    assert open_data(tmp_path).class_names == ["cat"]
    pytest.importorskip("datasets")
    write_hub(tmp_path / "set", [1, 0], lambda datasets: datasets.Value("int64"), parquet=True)
    (tmp_path / "set" / "._train-0.parquet").write_bytes(b"Mac OS X")
    assert open_data(tmp_path / "set").labels.tolist() == [1, 0]


def test_sidecars_in_an_npz_are_not_read(tmp_path):
    np.savez(tmp_path / "set.npz", x=np.zeros((2, 4, 4), np.uint8), label=np.array([1, 0]))
    with zipfile.ZipFile(tmp_path / "set.npz", "a") as archive:
        for place in SIDECARS:
            archive.writestr(place.format("label.npy"), b"Mac OS X")
    assert open_data(tmp_path / "set.npz").labels.tolist() == [1, 0]


# --- shards ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("texts", "numbers", "names"),
    [
        ((b"3\n", b" 0", b"3"), [3, 0, 3], []),
        ((b"True", b"false", b"True"), [1, 0, 1], []),
        ((b"None", b"nan", b"2"), [-1, -1, 2], []),  # as Python writes what is missing
        ((b"", b"n01440764\n", b"n01443537\n"), [-1, 0, 1], ["n01440764", "n01443537"]),
        ((b"1.0", b"0.0", b"1.0"), [1, 0, 1], []),
        ((b"1_0", b"2", b"1_0"), [0, 1, 0], ["1_0", "2"]),
        ((b"x" * 30 + b"a", b"x" * 30 + b"b", b"x"), [1, 2, 0], ["x", "x" * 30 + "a", "x" * 30 + "b"]),
    ],
)
def test_what_a_cls_says(texts, numbers, names, tmp_path):
    members = [(f"{i}.png", picture(i)) for i in range(3)]
    members += [(f"{i}.CLS", text) for i, text in enumerate(texts)]
    assert answer(open_data(write_tar(tmp_path / "set.tar", members))) == (numbers, names)


def test_shards_without_labels_say_so(tmp_path):
    data = open_data(write_tar(tmp_path / "set.tar", [("cat/0.png", picture(0)), ("cat/0.txt", b"a cat")]))
    assert data.labels is None and "no sample of" in data.about_labels
    with pytest.raises(
        AdaptAugError, match=r"expected images with labels; no labels: no sample of .*set\.tar"
    ):
        data.labelled()


def test_other_sources_without_labels_say_so(tmp_path, monkeypatch):
    np.savez(tmp_path / "set.npz", x=np.zeros((2, 4, 4), np.uint8))
    said = open_data(tmp_path / "set.npz").about_labels
    assert said == f"no labels: {tmp_path}/set.npz has no array 'y' or 'labels'."
    data = open_data("torchvision:FakeData")
    assert data.labels is None and "torchvision's FakeData keeps no list" in data.about_labels


# --- one numbering of two sets -----------------------------------------------------------------------------------
def test_two_sets_are_numbered_alike():
    folder, numbers = ["0", "1", "10", "2"], np.array([2, -1, 3])
    moved, names = labels.renumbered(numbers, folder, np.array([10, 2, 0]), [])
    assert [names[i] for i in moved if i >= 0] == ["10", "2"] and moved.tolist() == [10, -1, 2]
    moved, names = labels.renumbered(np.array([0, 1, -1]), ["b", "c"], np.array([0, 1]), ["a", "b"])
    assert moved.tolist() == [1, 2, -1] and names == ["a", "b", "c"]
    for theirs, names in (([], ["a", "b"]), (["a"], ["a", "b"])):  # no names, or too few: by number
        moved, found = labels.renumbered(np.array([0, 1]), theirs, np.array([0, 1]), names)
        assert moved.tolist() == [0, 1] and found == []
    twice = ["crane", "crane"]
    assert labels.renumbered(np.array([0, 1]), twice, np.array([0, 1]), twice)[0].tolist() == [0, 1]
