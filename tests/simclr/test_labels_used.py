"""Where labels are used: images without one are left out, classes have one order, and what was saved before opens."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

pytest.importorskip("lightly")
pytest.importorskip("pytorch_lightning")
pytest.importorskip("optuna")

from adaptaug.cli import run
from adaptaug.data import open_data
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Data, score, split_data, useful_labels
from adaptaug.learn.search import Search
from adaptaug.simclr import evaluation, metrics
from adaptaug.simclr.callbacks import Held
from adaptaug.simclr.classifier import HeadSettings, load_head, train_head
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.embeddings import Embeddings, open_embeddings
from adaptaug.simclr.trainer import Settings
from benchmarks import protocol
from tests.learn.conftest import small

pytestmark = pytest.mark.usefixtures("light_network")

DATA = load_digits()
PIXELS = np.kron(DATA.images, np.ones((2, 2))).astype(np.uint8) * 15
UNLABELLED = np.arange(len(PIXELS)) % 3 == 1


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    """scikit-learn's digits at 16 px, a third of them without a label."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x=PIXELS, y=np.where(UNLABELLED, -1, DATA.target))
    return path


def embeddings(labels, names=(), count=300, **known):
    """Pixels as features."""
    features = (PIXELS[:count, None].reshape(count, 1, -1) / 255).astype(np.float32)
    return Embeddings(features, [str(i) for i in range(count)], labels, list(names), np.ones(count, bool),
                      {"weights": "w"}, **known)  # fmt: skip


def test_a_head_learns_and_judges_only_what_has_a_label():
    labels = np.where(UNLABELLED, -1, DATA.target)[:300]
    done = train_head(embeddings(labels), HeadSettings(epochs=2))
    assert done.classes == [str(d) for d in range(10)] and len(done.confusion) == 10
    assert done.confusion.sum() == round(0.2 * (labels >= 0).sum())
    both = [replace(part, labels=labels) for part in evaluation.split(embeddings(labels))]
    found = evaluation.judge(*both, HeadSettings(epochs=2))
    assert found["train"] + found["test"] == (labels >= 0).sum()
    assert all(0 <= row["value"] <= 100 for row in found["rows"] if "low" in row)
    everything = evaluation.judge(*evaluation.split(embeddings(DATA.target[:300])), HeadSettings(epochs=1))
    rank = [
        next(r["value"] for r in made["rows"] if r["measure"] == "RankMe") for made in (found, everything)
    ]
    assert rank[0] == rank[1]  # which needs no labels


def test_why_there_are_no_labels_is_in_what_was_embedded(tmp_path, capsys):
    data = embeddings(None, about_labels="no labels: a reason.")
    for work in (train_head, lambda data: evaluation.judge(data, data)):
        with pytest.raises(AdaptAugError, match="no labels: a reason"):
            work(data)


def test_embeddings_and_heads_of_before_open(tmp_path):
    """Labels of other widths, in a column, with -1 of a Hugging Face set; no sentence."""
    before = tmp_path / "emb.npz"
    data = embeddings(None)
    labels = np.where(UNLABELLED, -1, DATA.target)[:300].astype(np.int16)[:, None]
    np.savez(before, features=data.features, names=np.array(data.names), labels=labels, readable=data.readable,
             class_names=np.array([], str), about=json.dumps(data.about))  # fmt: skip
    opened = open_embeddings(before)
    assert opened.labels.dtype == np.int64 and opened.labels.tolist() == labels[:, 0].tolist()
    assert opened.about_labels == ""
    train_head(opened, HeadSettings(epochs=1)).save(tmp_path / "head.safetensors")
    assert load_head(tmp_path / "head.safetensors")[1]["classes"] == [str(d) for d in range(10)]


def test_from_class_folders_with_a_stray_image_to_classes(tmp_path, capsys):
    from adaptaug.encoders.networks import build_encoder
    from adaptaug.simclr.checkpoints import export_encoder

    torch.manual_seed(0)
    export_encoder(build_encoder("resnet-tiny", size=16).eval(), tmp_path / "run", {})
    for i in range(60):
        file = tmp_path / "set" / "abc"[DATA.target[i] % 3] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[i]).convert("RGB").save(file)
    Image.fromarray(PIXELS[0]).convert("RGB").save(tmp_path / "set" / "stray.png")
    out = tmp_path / "emb.npz"
    arguments = ["--views", "1", "--size", "16", "--out", str(out)]
    assert run(["embed", str(tmp_path / "set"), "--checkpoint", str(tmp_path / "run"), *arguments]) == 0
    assert "1 of 61 images" in capsys.readouterr().err
    opened = open_embeddings(out)
    assert opened.class_names == ["a", "b", "c"] and (opened.labels == -1).sum() == 1
    assert "stray.png" in opened.about_labels
    assert run(["train-head", str(out), "--epochs", "1", "--out", str(tmp_path / "head.safetensors")]) == 0
    assert load_head(tmp_path / "head.safetensors")[1]["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize("shift", [0, 10**15])
def test_neighbours_of_classes_of_any_number(shift):
    points = torch.from_numpy(PIXELS[:400].reshape(400, -1) / 255.0).float()
    found = [metrics.knn_correct(points[:300], labels[:300], points[300:], labels[300:])
             for labels in (DATA.target[:400], DATA.target[:400] + shift)]  # fmt: skip
    assert found[0].mean() > 0.8 and np.array_equal(*found)


def test_no_bank_has_an_image_without_a_label():
    chosen = metrics.labelled_subset(np.where(UNLABELLED, -1, DATA.target), 500, 0)
    assert len(chosen) == 500 and not UNLABELLED[chosen].any()
    few = np.array([-1, 3, -1, 3])
    assert metrics.labelled_subset(few, 4, 0).tolist() == [1, 3]


def test_a_run_asks_only_images_with_a_label(partly, tmp_path):
    images = open_data(partly)
    settings = Settings(str(partly), str(tmp_path), policy="digits", arch="resnet-tiny", size=16)
    held, trained = np.arange(100), np.arange(100, 500)
    measured = Held(images, held, trained, settings, None)
    scores = measured.measure(new_contrast("resnet-tiny", "digits", 16, 0, return_params=True))
    assert not UNLABELLED[measured.bank].any() and scores["knn_of_raw_pixels"] > 70
    nothing = Held(images, held[UNLABELLED[held]], trained, settings, None)
    assert "knn" not in nothing.measure(new_contrast("resnet-tiny", "digits", 16, 0, return_params=True))


def test_a_search_scores_only_images_with_a_label(partly, tmp_path):
    search = Search(small(partly), "digits", tmp_path / "s", budget=6, objective="auto", workers=0)
    assert search.objective == "labels" and "599 of 1,797 images" in search.about_labels
    split = split_data(search.recipe)
    assert (split.bank_labels >= 0).all() and len(split.bank_labels) == len(split.bank)
    hits = score(new_contrast("resnet-tiny", "digits", 16, 0), Data(search.recipe).of(0))
    assert len(hits["knn"]) == len(hits["ridge"]) == (split.labels >= 0).sum() < len(split.queries)


def test_few_labels_score_no_search(tmp_path):
    np.savez(tmp_path / "few.npz", x=PIXELS, y=np.where(np.arange(len(PIXELS)) < 800, DATA.target, -1))
    assert useful_labels(open_data(tmp_path / "few.npz")) is None
    with pytest.raises(AdaptAugError, match=r"too few .*997 of 1,797 images"):
        Search(small(tmp_path / "few.npz"), "digits", tmp_path / "s", budget=6, workers=0)


def test_benchmarks_compare_classes_by_name(partly, tmp_path):
    """A test set that lacks class 0 numbers its others from 0, and images without a label are in neither."""
    names = np.array([f"d{i}" for i in range(10)])
    train, test = tmp_path / "train.npz", tmp_path / "test.npz"
    np.savez(train, x=PIXELS, y=np.where(UNLABELLED, -1, DATA.target), class_names=names)
    asked = DATA.target[:200] > 0
    np.savez(test, x=PIXELS[:200][asked], y=DATA.target[:200][asked] - 1, class_names=names[1:])
    found = protocol.split(str(train), str(test), "clean", protocol.Recipe(limit=500, batch=64), 0, None)
    assert (found.train_labels >= 0).all() and (found.held_labels >= 0).all()
    assert found.test._labels.tolist() == DATA.target[:200][asked].tolist()
