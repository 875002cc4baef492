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
    "arrays", [{"z": np.zeros(3)}, {"x": np.zeros((2, 4, 4))}, {"x": np.zeros((2, 4), np.uint8)}]
)
def test_another_npz_is_refused_in_a_sentence(tmp_path, arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(AdaptAugError, match=r"expected an \.npz"):
        open_data(tmp_path / "set.npz")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(AdaptAugError, match="found none"):
        open_data(tmp_path)
