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
