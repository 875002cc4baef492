"""DATA that is neither a folder nor an .npz: tar shards, Hugging Face data sets, torchvision's by name."""

import gzip
import io
import pickle
import socket
import struct

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from adaptaug.data import open_data
from adaptaug.errors import AdaptAugError

COUNT = 9


@pytest.fixture(scope="module")
def pictures():
    """Different 12 x 10 images."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, 10, 12, 3), dtype=np.uint8)


def png(array):
    written = io.BytesIO()
    Image.fromarray(array).save(written, "PNG")
    return written.getvalue()


@pytest.fixture
def shards(tmp_path, pictures):
    """train-{000..002}.tar as webdataset writes them, three samples each."""
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "train-%03d.tar"), maxcount=3, verbose=0) as writer:
        for i, picture in enumerate(pictures):
            writer.write({"__key__": f"{i:04d}", "png": png(picture), "cls": str(i % 4), "json": b"{}"})
    return tmp_path


def same(data, pictures):
    return all(np.array_equal(data[i], pictures[i]) for i in range(len(pictures)))


def test_shards_are_read_at_random(shards, pictures):
    data = open_data(shards / "train-{000..002}.tar")
    assert data.names[4] == "train-001.tar/0004.png"
    assert data.labels.tolist() == [i % 4 for i in range(COUNT)]
    assert same(data, pictures)


def test_one_shard_and_a_folder_of_them(shards, pictures):
    assert same(open_data(shards / "train-000.tar"), pictures[:3])
    assert same(open_data(shards), pictures)


@pytest.mark.parametrize("beside", ["original.tar", "metadata.parquet"])
def test_images_go_before_an_archive_or_a_table_beside_them(beside, tmp_path, pictures):
    for i, picture in enumerate(pictures):
        (tmp_path / f"{i}.png").write_bytes(png(picture))
    (tmp_path / beside).write_bytes(b"what it is does not matter")
    assert same(open_data(tmp_path), pictures)


def test_a_part_in_a_spawned_worker_is_the_same(shards, pictures):
    part = open_data(shards).take(5, seed=1)
    again = pickle.loads(pickle.dumps(part))
    kept = [int(name[-8:-4]) for name in part.names]
    assert same(again, pictures[kept]) and again.labels.tolist() == [i % 4 for i in kept]
    assert same(part.take(2), pictures[[int(name[-8:-4]) for name in part.take(2).names]])
    assert again.fingerprint() == part.fingerprint() != open_data(shards).fingerprint()


def test_a_sample_has_one_image_and_one_without_a_label_has_none(tmp_path, pictures):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        writer.write({"__key__": "a/0", "rgb.png": png(pictures[0]), "seg.png": png(pictures[2]), "cls": "1"})
        writer.write({"__key__": "1", "png": png(pictures[1])})
    data = open_data(tmp_path / "a.tar")
    assert data.labels.tolist() == [1, -1] and same(data, pictures[:2]) and len(data) == 2
    assert "1 of 2 images" in data.about_labels


def test_a_bad_image_in_a_shard_is_named(tmp_path, pictures):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        writer.write({"__key__": "good", "png": png(pictures[0])})
        writer.write({"__key__": "bad", "png": png(pictures[1])[:60]})
    data = open_data(tmp_path / "a.tar")
    assert [name for name, _ in data] == ["a.tar/good.png"]
    assert [name for name, sentence in data.bad if name in sentence] == ["a.tar/bad.png"]


def test_what_is_wrong_with_shards_is_said(shards, tmp_path):
    with pytest.raises(AdaptAugError, match=r"expected 5 tar shards, 2 are not there, the first .*003\.tar"):
        open_data(shards / "train-{000..004}.tar")
    (tmp_path / "broken.tar").write_bytes(b"x" * 3000)
    with pytest.raises(AdaptAugError, match=r"broken\.tar: expected an uncompressed tar"):
        open_data(tmp_path / "broken.tar")


@pytest.fixture
def hub(pictures):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "img": datasets.Image(),
            "note": datasets.Value("string"),
        }
    )
    rows = {
        "label": [i % 2 for i in range(COUNT)],
        "img": [Image.fromarray(p) for p in pictures],
        "note": ["-"] * COUNT,
    }
    return datasets.Dataset.from_dict(rows, features)


@pytest.mark.parametrize("form", ["data set", "splits", "parquet"])
def test_hugging_face_on_disk(form, hub, pictures, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    if form == "parquet":
        (tmp_path / "set").mkdir()
        hub.to_parquet(tmp_path / "set" / "train-0.parquet")
    else:
        (hub if form == "data set" else datasets.DatasetDict(test=hub.select([0]), train=hub)).save_to_disk(
            tmp_path / "set"
        )
    data = pickle.loads(pickle.dumps(open_data(tmp_path / "set").take(COUNT)))
    assert same(data, pictures)
    assert data.class_names == ["cat", "dog"] and data.labels.tolist() == [i % 2 for i in range(COUNT)]
    assert len(data.fingerprint()) == 16


def test_a_data_set_with_a_missing_image_has_a_fingerprint(pictures, tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"img": datasets.Image()})
    rows = {"img": [Image.fromarray(pictures[0]), None]}
    datasets.Dataset.from_dict(rows, features).save_to_disk(tmp_path / "set")
    assert len(open_data(tmp_path / "set").fingerprint()) == 16


def test_hugging_face_without_images_is_refused(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "set")
    with pytest.raises(AdaptAugError, match="expected a column of images, got text"):
        open_data(tmp_path / "set")


def test_torchvision_by_name_with_its_arrays(tmp_path):
    """MNIST's own files, with scikit-learn's digits in them."""
    digits = load_digits()
    images = digits.images.astype(np.uint8)[:20]
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind, head, body in (("images-idx3", struct.pack(">4i", 0x803, 20, 8, 8), images),
                                 ("labels-idx1", struct.pack(">2i", 0x801, 20), digits.target[:20])):  # fmt: skip
            content = head + body.astype(np.uint8).tobytes()
            (raw / f"{part}-{kind}-ubyte").write_bytes(content)
            with gzip.open(raw / f"{part}-{kind}-ubyte.gz", "wb") as file:
                file.write(content)
    data = open_data(f"torchvision:mnist@{tmp_path}")
    assert data.same_size and data[3].shape == (8, 8, 3)
    assert np.array_equal(data[3][..., 0], images[3]) and data.labels.tolist() == digits.target[:20].tolist()


def test_torchvision_by_name_one_by_one():
    data = open_data("torchvision:FakeData")
    assert not data.same_size and len(data) == 1000 and data[7].shape == (224, 224, 3)
    assert np.array_equal(data[7], pickle.loads(pickle.dumps(data))[7])


def test_torchvision_offline_or_unknown_is_a_sentence(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(AdaptAugError, match=r"torchvision could not open it in .*no network"):
        open_data(f"torchvision:CIFAR10@{tmp_path}")
    with pytest.raises(AdaptAugError, match="one of torchvision's data sets"):
        open_data("torchvision:nothing")
