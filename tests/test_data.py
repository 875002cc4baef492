"""Data sets as users have them: folders, class folders, .npz."""

import numpy as np
import pytest
from PIL import Image

from adaptaug.data import open_data
from adaptaug.errors import AdaptAugError


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), value, np.uint8)).save(path)


def test_class_folders_give_labels(tmp_path):
    for value, name in enumerate(["cat/a.png", "cat/b.png", "dog/c.png"]):
        save(tmp_path / name, value)
    data = open_data(tmp_path)
    assert data.class_names == ["cat", "dog"] and data.labels.tolist() == [0, 0, 1]
    assert [int(image[0, 0, 0]) for _, image in data] == [0, 1, 2]


def test_a_bad_file_is_listed_and_skipped(tmp_path):
    save(tmp_path / "good.png", 7)
    (tmp_path / "bad.png").write_bytes(b"not an image")
    data = open_data(tmp_path)
    assert data.labels is None
    assert [name for name, _ in data] == ["good.png"]
    assert [name for name, _ in data.bad] == ["bad.png"]


@pytest.mark.parametrize("images, labels", [("x", "y"), ("images", "labels")])
def test_npz_grey_images_become_rgb(tmp_path, images, labels):
    np.savez(
        tmp_path / "set.npz",
        **{images: np.arange(32, dtype=np.uint8).reshape(2, 4, 4), labels: np.array([1, 0])},
    )
    data = open_data(tmp_path / "set.npz")
    assert data[1].shape == (4, 4, 3) and data.labels.tolist() == [1, 0]
    assert len(data.take(1)) == 1


@pytest.mark.parametrize(
    "arrays", [{"z": np.zeros(3)}, {"x": np.zeros((2, 4, 4), np.int64)}, {"x": np.zeros((2, 4), np.uint8)}]
)
def test_another_npz_is_refused_in_a_sentence(tmp_path, arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(AdaptAugError, match=r"expected an \.npz"):
        open_data(tmp_path / "set.npz")


def labelled(path, y, count=6):
    np.savez(path / "set.npz", x=np.zeros((count, 4, 4), np.uint8), y=np.array(y))
    return path / "set.npz"


@pytest.mark.parametrize(
    ("y", "labels", "classes"),
    [
        ([[3], [1], [0], [3], [1], [0]], [3, 1, 0, 3, 1, 0], []),  # as Keras has them
        ([-1] * 6, None, []),
        (["dog", "cat", "dog", "ant", "ant", "cat"], [2, 1, 2, 0, 0, 1], ["ant", "cat", "dog"]),
        ([b"b", b"a"] * 3, [1, 0] * 3, ["a", "b"]),
        ([True, False] * 3, [1, 0] * 3, []),
    ],
)
def test_the_labels_of_an_npz_become_numbers(tmp_path, y, labels, classes):
    data = open_data(labelled(tmp_path, y))
    assert (None if data.labels is None else data.labels.tolist()) == labels
    assert data.class_names == classes


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (3, r"one label for each of 6 images, got shape \(\)"),
        ([0, 1], r"one label for each of 6 images, got shape \(2,\)"),
    ],
)
def test_other_labels_of_an_npz_are_refused(tmp_path, y, said):
    with pytest.raises(AdaptAugError, match=f"set.npz: 'y': expected {said}"):
        open_data(labelled(tmp_path, y))


@pytest.mark.parametrize("shape", [(0, 4, 4), (3, 0, 4), (3, 4, 1, 3)])
def test_an_npz_without_pixels_is_refused(tmp_path, shape):
    np.savez(tmp_path / "set.npz", x=np.zeros(shape, np.uint8))
    with pytest.raises(
        AdaptAugError, match=r"set\.npz: expected one image or more, of at least 2 x 2 pixels"
    ):
        open_data(tmp_path / "set.npz")


@pytest.mark.parametrize("damage", ["cut", "overwritten", "a single array", "a text"])
def test_a_damaged_npz_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8))
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "overwritten":
        path.write_bytes(content[:60] + b"\xff" * 40 + content[100:])
    elif damage == "a text":
        path.write_text("x, y\n1, 2\n")
    else:
        with path.open("wb") as file:
            np.save(file, np.zeros((9, 8, 8), np.uint8))
    with pytest.raises(
        AdaptAugError, match=r"set\.npz: expected an \.npz with .* it cannot be read (?!.*allow_pickle)"
    ):
        open_data(path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(AdaptAugError, match="found none"):
        open_data(tmp_path)


@pytest.mark.parametrize("name", ["set.npy", "SET.NPY", "SET.NPZ", "one.png", "ONE.PNG"])
def test_one_file_is_known_by_its_suffix(name, tmp_path):
    path, levels = tmp_path / name, np.full((3, 6, 8, 3), 7, np.uint8)
    with path.open("wb") as file:
        if name.lower().endswith("png"):
            Image.fromarray(levels[0]).save(file, "PNG")
        else:
            np.savez(file, x=levels) if "Z" in name else np.save(file, levels)
    data = open_data(path)
    assert len(data) == (1 if "one" in name.lower() else 3) and (data[0] == levels[0]).all()
    assert data.labels is None and data.about_labels.startswith("no labels: ") and not data.left_out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.zip", "a packed archive: unpack it (unzip a.zip) and give the folder"),
        ("a.tar.gz", "unpack it (tar xzf a.tar.gz)"),
        ("a.TGZ", "unpack it (tar xzf a.TGZ)"),
        ("a.csv", "this is a file of another kind (.csv)"),
        ("a", "this is a file of another kind (without a suffix)"),
        ("none", "there is no such folder or file"),
        ("none.zip", "there is no such folder or file"),
        ("a.npy", "it cannot be read"),
    ],
)
def test_what_else_lies_there_is_said_with_the_way_out(name, said, tmp_path):
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"something")
    with pytest.raises(AdaptAugError) as caught:
        open_data(tmp_path / name)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["{bytes, path}", "bytes", "paths"])
def test_a_parquet_file_that_no_hugging_face_wrote(kind, tmp_path, monkeypatch):
    datasets, pa = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    save(tmp_path / "a.png", 9)
    content, path = (tmp_path / "a.png").read_bytes(), str(tmp_path / "a.png")
    cell = {
        "{bytes, path}": {"bytes": content, "path": None},
        "bytes": content,
        "paths": {"bytes": None, "path": path},
    }
    table = {"note": [b"no image"] * 3, "picture": [cell[kind], None, cell[kind]], "label": [2, 0, 1]}
    if kind == "paths":
        table["picture"] = [cell[kind], {"bytes": content, "path": None}, cell[kind]]
    __import__("pyarrow.parquet").parquet.write_table(pa.table(table), tmp_path / "set.parquet")
    data = open_data(tmp_path / "set.parquet")
    assert data.labels.tolist() == [2, 0, 1] and (data[2] == 9).all()
    if kind != "paths":
        with pytest.raises(AdaptAugError, match=r"set.parquet\[1\]: expected an image, got none"):
            data[1]
    __import__("pyarrow.parquet").parquet.write_table(pa.table({"note": [b"x"]}), tmp_path / "not.parquet")
    with pytest.raises(AdaptAugError, match="expected a column of images, got note"):
        open_data(tmp_path / "not.parquet")


def test_a_plot_beside_shards_is_no_data_set(tmp_path):
    import tarfile

    save(tmp_path / "set" / "plot.png", 1)
    with tarfile.open(tmp_path / "set" / "a.tar", "w") as archive:
        for i in range(3):
            archive.add(tmp_path / "set" / "plot.png", f"{i}.png")
    data = open_data(tmp_path / "set")
    assert len(data) == 3 and data.left_out == "left out 1 beside the shards: plot.png."
    for i in range(3):  # unpacked there
        save(tmp_path / "set" / f"{i}.png", 1)
    assert len(open_data(tmp_path / "set")) == 4
    save(tmp_path / "classes" / "cat" / "0.png", 1)
    (tmp_path / "classes" / "a.tar").write_bytes((tmp_path / "set" / "a.tar").read_bytes())
    assert open_data(tmp_path / "classes").class_names == ["cat"]
