"""Embeddings of images and their views, the head on them, predictions and the table."""

import json
import multiprocessing
import os
import signal
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

pytest.importorskip("lightly")

from adaptaug import Views
from adaptaug.cli import run
from adaptaug.data import open_data
from adaptaug.data.files import find_images
from adaptaug.encoders.backbone import load_backbone
from adaptaug.encoders.networks import build_encoder
from adaptaug.errors import AdaptAugError
from adaptaug.simclr import classifier, embeddings, evaluation
from adaptaug.simclr.checkpoints import export_encoder
from adaptaug.simclr.classifier import Head, HeadSettings, load_head, train_head
from adaptaug.simclr.embeddings import embed, open_embeddings

COUNT, VIEWS = 240, 3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The folder of a run: a small network of a fixed seed."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    export_encoder(build_encoder("resnet-tiny", size=16).eval(), folder, {})
    return folder


@pytest.fixture(scope="module")
def backbone(checkpoint):
    return load_backbone(checkpoint)


@pytest.fixture(scope="module")
def digits(digits, tmp_path_factory):
    """Some of the digits."""
    data, path = np.load(digits), tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x=data["x"][:COUNT], y=data["y"][:COUNT])
    return path


@pytest.fixture(scope="module")
def made(digits, backbone, tmp_path_factory):
    """The digits' embeddings, as one file."""
    path = tmp_path_factory.mktemp("emb") / "emb.npz"
    return embed(open_data(digits), backbone, path, VIEWS, "digits", 16, batch=50)


# --- embed ------------------------------------------------------------------------------------------------------
def test_rows_are_the_image_and_its_views(made, digits, backbone):
    data, images = open_embeddings(made), open_data(digits)
    assert data.features.shape == (COUNT, 1 + VIEWS, 128) and data.width == 128
    assert data.names == images.names and data.labels.tolist() == images.labels.tolist()
    clean = torch.from_numpy(images[7]).permute(2, 0, 1)
    pixels = [clean, *Views("digits", VIEWS, 16, "uint8")(clean, key=(0, 0, 7))]
    with torch.no_grad():
        expected = backbone(torch.stack(pixels).float() / 255)
    assert torch.allclose(torch.from_numpy(data.features[7]), expected, atol=1e-5)


def test_a_folder_is_a_memory_map_with_the_same_rows(made, digits, backbone, tmp_path):
    data = open_embeddings(
        embed(open_data(digits), backbone, tmp_path / "emb", VIEWS, "digits", 16, batch=50, workers=1)
    )
    assert isinstance(data.features, np.memmap)
    assert np.array_equal(data.rows(3, 60), open_embeddings(made).rows(3, 60))


def test_half_precision_takes_half_the_room(digits, backbone, made, tmp_path):
    data = open_embeddings(
        embed(open_data(digits), backbone, tmp_path / "emb", VIEWS, "digits", 16, batch=50, half=True)
    )
    assert data.features.dtype == np.float16
    assert np.allclose(data.rows(0, COUNT), open_embeddings(made).features, rtol=2e-3, atol=1e-3)


def embed_and_die(moment, data, backbone, out):
    def then_die(function, calls):
        def wrapped(*args, **kwargs):
            wrapped.calls += 1
            result = function(*args, **kwargs) if moment != "before" else None
            if wrapped.calls == calls:
                os.kill(os.getpid(), signal.SIGKILL)
            return result if moment != "before" else function(*args, **kwargs)

        wrapped.calls = 0
        return wrapped

    if moment == "made":
        embeddings._make = then_die(embeddings._make, 1)
    elif moment == "packed":
        embeddings._pack = then_die(embeddings._pack, 1)
    else:
        embeddings.write_atomically = then_die(embeddings.write_atomically, 5)
    embed(open_data(data), backbone, out, VIEWS, "digits", 16, batch=50)


@pytest.mark.parametrize("moment", ["made", "before", "after", "packed"])
def test_killed_and_resumed_nothing_is_lost(moment, made, digits, backbone, tmp_path):
    out = tmp_path / "emb.npz"
    victim = multiprocessing.get_context("fork").Process(
        target=embed_and_die, args=(moment, digits, backbone, out)
    )
    victim.start()
    victim.join(120)
    assert victim.exitcode == -signal.SIGKILL
    if moment == "packed":
        assert np.array_equal(open_embeddings(out).features, open_embeddings(made).features)
        return
    with pytest.raises(AdaptAugError):
        open_embeddings(out)
    done = []
    embed(
        open_data(digits),
        backbone,
        out,
        VIEWS,
        "digits",
        16,
        batch=50,
        progress=lambda n, total: done.append(n),
    )
    assert np.array_equal(open_embeddings(out).features, open_embeddings(made).features)
    assert done[0] == {"made": 50, "before": 150, "after": 200}[moment]  # only the rest was made again


def test_several_processes_write_one_folder(made, digits, backbone, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        if rank == "1":
            with pytest.raises(AdaptAugError, match="120 of 240 images are not embedded yet"):
                open_embeddings(tmp_path / "emb")
        embed(open_data(digits), backbone, tmp_path / "emb", VIEWS, "digits", 16, batch=50)
    assert np.allclose(open_embeddings(tmp_path / "emb").features, open_embeddings(made).features, atol=1e-5)
    with pytest.raises(AdaptAugError, match="give --out a name without"):
        embed(open_data(digits), backbone, tmp_path / "emb.npz", VIEWS, "digits", 16)


def test_a_process_that_is_left_without_an_image_is_content(backbone, tmp_path, monkeypatch):
    np.savez(tmp_path / "one.npz", x=np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), np.uint8))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        embed(open_data(tmp_path / "one.npz"), backbone, tmp_path / "emb", VIEWS, "natural", 16)
    assert len(open_embeddings(tmp_path / "emb").features) == 1


def test_stopped_and_resumed_by_another_number_of_processes(made, digits, backbone, tmp_path, monkeypatch):
    """Each makes what is left of its part; finished is only what has every image."""
    out, done = tmp_path / "emb", []

    def part(rank, ranks, most=COUNT):
        def stop(count, total):
            done.append(count)
            if count >= most:
                raise KeyboardInterrupt

        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(ranks))
        with suppress(KeyboardInterrupt):
            embed(open_data(digits), backbone, out, VIEWS, "digits", 16, batch=40, progress=stop)

    def left():
        with pytest.raises(AdaptAugError, match="images are not embedded yet") as refused:
            open_embeddings(out)
        return int(str(refused.value).split(": ")[1].split()[0])

    part(0, 1, 120)
    part(0, 2)
    assert left() == 120  # the notes count 120 of 240 twice, of the same images
    part(2, 3, 40)
    assert left() == 80
    part(0, 1)
    assert np.allclose(open_embeddings(out).features, open_embeddings(made).features, atol=1e-5)
    assert done == [40, 80, 120, 40, 200, 240]  # nothing was made twice


def test_other_embeddings_are_not_mixed(digits, backbone, made, tmp_path):
    embed(open_data(digits), backbone, tmp_path / "emb", 1, "digits", 16, batch=200)
    with pytest.raises(AdaptAugError, match="another views, policy;"):
        embed(open_data(digits), backbone, tmp_path / "emb", 0, "digits", 16)
    with pytest.raises(AdaptAugError, match="exists already"):
        embed(open_data(digits), backbone, made, VIEWS, "digits", 16)


def test_what_is_no_embedding_is_refused(digits, tmp_path):
    for path in (digits, tmp_path, tmp_path / "missing.npz"):
        with pytest.raises(AdaptAugError, match=r"expected embeddings that `adaptaug embed` wrote"):
            open_embeddings(path)


def test_damaged_embeddings_are_refused(made, tmp_path):
    content = made.read_bytes()
    single, cut, other = (tmp_path / name for name in ("single.npz", "cut.npz", "other.npz"))
    with single.open("wb") as file:
        np.save(file, np.zeros(3))
    cut.write_bytes(content[: len(content) // 2])
    other.write_bytes(content[:5000] + b"\xff" * 40 + content[5040:])
    for path in (single, cut, other):
        with pytest.raises(AdaptAugError, match=rf"{path.name}: expected embeddings that"):
            open_embeddings(path)


def test_labels_that_an_earlier_version_wrote_as_a_column(made, tmp_path):
    with np.load(made) as file:
        known = {name: file[name] for name in file.files}
    np.savez(tmp_path / "emb.npz", **known | {"labels": known["labels"][:, None]})
    assert np.array_equal(open_embeddings(tmp_path / "emb.npz").labels, known["labels"])


# --- head -------------------------------------------------------------------------------------------------------
def test_dropout_comes_first_and_there_are_three_layers():
    kinds = [type(layer) for layer in Head(128, 10).layers]
    assert kinds == [nn.Dropout, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert HeadSettings().epochs == 8


def test_it_learns_and_keeps_the_best_epoch(made):
    data = open_embeddings(made)
    done = train_head(data, HeadSettings(epochs=20))
    assert len(done.history) == 20 and done.accuracy == max(line["accuracy"] for line in done.history) > 0.6
    assert done.confusion.sum() == COUNT // 5
    assert np.trace(done.confusion) / done.confusion.sum() == done.accuracy
    again = train_head(data, HeadSettings(epochs=20))
    assert all(
        torch.equal(a, b)
        for a, b in zip(done.head.state_dict().values(), again.head.state_dict().values(), strict=True)
    )


def numbered(images=50, variants=3, width=4, classes=2):
    """Embeddings in which every value of an image is its number."""
    features = np.tile(np.arange(images, dtype=np.float32)[:, None, None], (1, variants, width))
    labels = np.arange(images) % classes
    return embeddings.Embeddings(
        features, [str(i) for i in range(images)], labels, [], np.ones(images, bool), {}
    )


@pytest.mark.parametrize("block", [4, 4096])
def test_each_row_is_seen_once_an_epoch_and_images_are_never_split(block, monkeypatch):
    monkeypatch.setattr(classifier, "_BLOCK", block)
    monkeypatch.setattr(classifier, "_BUFFER", 3 * block * 3 * 4 * 4)  # three blocks
    data, trained, asked = numbered(), [], []
    batches, confusion = classifier._batches, classifier._confusion

    def spy(*args):
        for features, targets in batches(*args):
            trained.append((features[:, 0], targets))
            yield features, targets

    monkeypatch.setattr(classifier, "_batches", spy)
    monkeypatch.setattr(classifier, "_confusion", lambda *args: asked.append(args[3]) or confusion(*args))
    train_head(data, HeadSettings(epochs=2, batch=7))
    seen = torch.cat([x for x, _ in trained]).int().tolist()
    held = np.flatnonzero(asked[0]).tolist()
    assert sorted(seen) == sorted(2 * 3 * [i for i in range(50) if i not in held])
    assert all((x.int() % 2 == y).all() for x, y in trained)  # each with its own label
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert first != second and first != sorted(first)


def in_class_order(images=1000, classes=20, width=16):
    """Embeddings of one row, around a centre for each class, that lie class by class."""
    random = np.random.default_rng(0)
    labels = np.arange(images) * classes // images
    features = 1.2 * random.normal(size=(classes, width))[labels] + random.normal(size=(images, width))
    names = [str(i) for i in range(images)]
    return embeddings.Embeddings(
        features[:, None].astype(np.float32), names, labels, [], np.ones(images, bool), {}
    )


def test_of_a_set_in_class_order_every_buffer_has_all_classes(monkeypatch):
    monkeypatch.setattr(classifier, "_BLOCK", 100)
    monkeypatch.setattr(classifier, "_BUFFER", 100 * 16 * 4)  # a tenth of the set
    data = in_class_order()
    whole = HeadSettings(batch=1000)  # so that a buffer is a batch
    buffers = list(classifier._batches(data, data.labels, np.ones(1000, bool), 1, whole, 0))
    assert [len(targets) for _, targets in buffers] == [100] * 10
    assert all((np.bincount(targets, minlength=20) == 5).all() for _, targets in buffers)


def test_mean_and_deviation_are_those_of_the_whole_set(monkeypatch):
    monkeypatch.setattr(classifier, "_BLOCK", 100)
    monkeypatch.setattr(classifier, "_SAMPLE", 200)  # a quarter of the training images
    data = in_class_order()
    found, features = train_head(data, HeadSettings(epochs=1)).head, data.features[:, 0]
    assert np.allclose(found.mean, features.mean(0), atol=0.2)
    assert np.allclose(found.std, features.std(0), rtol=0.15)


def test_some_views_or_none(made):
    data = open_embeddings(made)
    assert (
        train_head(data, HeadSettings(epochs=1, views=0)).history
        != train_head(data, HeadSettings(epochs=1)).history
    )
    with pytest.raises(AdaptAugError, match="views: expected 0 to 3"):
        train_head(data, HeadSettings(views=4))


def test_rare_classes_weigh_more_when_balanced():
    random = np.random.default_rng(0)
    data = numbered(400, 1, 8)
    data.labels = (np.arange(400) % 20 == 0).astype(int)
    data.features = random.normal(size=(400, 1, 8)).astype(np.float32) + 0.6 * data.labels[:, None, None]
    found = [
        train_head(data, HeadSettings(balance=balance, dropout=0.0)).confusion[1] for balance in (False, True)
    ]
    assert found[1][1] > found[0][1]


def test_a_memory_map_gives_the_same_head(made, digits, backbone, tmp_path):
    folder = embed(open_data(digits), backbone, tmp_path / "emb", VIEWS, "digits", 16, batch=50)
    heads = [
        train_head(open_embeddings(path), HeadSettings(epochs=2)).head.state_dict() for path in (made, folder)
    ]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])


def test_saved_and_read_back(made, tmp_path):
    done = train_head(open_embeddings(made), HeadSettings(epochs=2))
    done.save(tmp_path / "head.safetensors")
    loaded, about = load_head(tmp_path / "head.safetensors")
    x = torch.rand(3, 128)
    assert torch.equal(loaded(x), done.head(x)) and not loaded.training
    assert about["classes"] == [str(i) for i in range(10)] and about["embeddings"]["views"] == VIEWS
    with pytest.raises(AdaptAugError, match="expected a head"):
        load_head(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "expected embeddings with labels"),
        ({"labels": np.zeros(50, int)}, "at least two classes, got 1"),
    ],
)
def test_what_cannot_be_learned_is_refused(change, said):
    with pytest.raises(AdaptAugError, match=said):
        train_head(replace(numbered(), **change))


# --- the table --------------------------------------------------------------------------------------------------
def test_the_table(made):
    found = evaluation.judge(*evaluation.split(open_embeddings(made)))
    rows = {row["measure"]: row for row in found["rows"]}
    assert list(rows) == [
        "linear probe",
        "kNN-20",
        "kNN-200",
        "3-layer head",
        "RankMe",
        "alignment",
        "uniformity",
    ]
    assert all(row["low"] < row["value"] < row["high"] for row in rows.values() if "low" in row)
    assert rows["linear probe"]["value"] > 70 and found["train"] + found["test"] == COUNT
    assert "95 % interval" in evaluation.table(found)


def test_the_tests_labels_do_not_train(made):
    """Other labels of the test images change the score and nothing of what is fitted."""
    train, test = evaluation.split(open_embeddings(made))
    wrong = replace(test, labels=(test.labels + 1) % 10)
    scores = [evaluation.judge(train, other)["rows"][0]["value"] for other in (test, wrong)]
    assert scores[0] > 70 and scores[1] < 20


def test_a_class_that_was_not_trained_is_refused(made):
    data = open_embeddings(made)
    with pytest.raises(AdaptAugError, match="others, such as 77"):
        evaluation.judge(data, replace(data, labels=data.labels + 77))


def test_classes_are_compared_by_name(made):
    """A test folder that lacks the first class numbers its others from 0."""
    train, test = evaluation.split(replace(open_embeddings(made), class_names=list("abcdefghij")))
    few = replace(test, readable=test.readable & (test.labels > 0))
    shifted = replace(few, labels=few.labels - 1, class_names=list("bcdefghij"))
    shifted.labels[~few.readable] = 0
    assert evaluation.judge(train, shifted) == evaluation.judge(train, few)
    with pytest.raises(AdaptAugError, match="others, such as other;"):
        evaluation.judge(train, replace(shifted, class_names=["other", *"cdefghij"]))


def test_features_of_another_encoder_are_refused(made):
    train, test = evaluation.split(open_embeddings(made))
    other = replace(test, about=test.about | {"weights": "f" * 16, "checkpoint": "other.pth"})
    with pytest.raises(AdaptAugError, match=r"got another's \(other.pth\); embed both with one checkpoint"):
        evaluation.judge(train, other)


# --- the commands -----------------------------------------------------------------------------------------------
def adaptaug(capsys, *arguments):
    code = run([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_from_images_to_classes(capsys, checkpoint, tmp_path):
    """Class folders with a bad file -> embed -> train-head -> predict, evaluate."""
    data = load_digits()
    for i in range(160):
        path = tmp_path / "photos" / f"digit-{data.target[i]}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(data.images[i], np.ones((2, 2))).astype(np.uint8) * 15).save(path)
    (tmp_path / "photos" / "digit-0" / "bad.png").write_bytes(b"not an image")
    emb, weights = tmp_path / "emb.npz", tmp_path / "head.safetensors"
    code, out, err = adaptaug(capsys, "embed", tmp_path / "photos", "--checkpoint", checkpoint, "--views", 2,
                              "--policy", "digits", "--size", 16, "--out", emb)  # fmt: skip
    assert code == 0 and "160 images, 3 x 128 features each" in out
    assert "bad.png" in err and "a run of adaptaug" in err
    code, out, _ = adaptaug(capsys, "train-head", emb, "--epochs", 12, "--out", weights)
    assert code == 0 and "digit-7" in out and "validation images" in out
    assert (tmp_path / "head.png").stat().st_size > 1000
    assert tmp_path / "head.png" not in find_images([tmp_path])
    assert json.loads((tmp_path / "head.json").read_text())["best_epoch"] >= 1
    code, out, err = adaptaug(capsys, "predict", tmp_path / "photos", "--head", weights)
    lines = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and len(lines) == 160 and "bad.png" in err
    assert np.mean([name.startswith(best + "/") for name, best, _ in lines]) > 0.6
    code, out, _ = adaptaug(capsys, "predict", tmp_path / "photos" / "digit-3" / "3.png", "--head", weights)
    assert code == 0 and out.count("\n") == 1
    one = ("predict", tmp_path / "photos" / "digit-3" / "3.png", "--head", weights)
    assert adaptaug(capsys, *one, "--normalise", "imagenet", "--range", "0,9")[:2] == (0, out)
    code, _, err = adaptaug(capsys, *one, "--normalise", "unit")
    assert code == 2 and "expected the backbone that the head was trained on" in err
    code, out, _ = adaptaug(capsys, "evaluate", emb, "--out", tmp_path / "table.json")
    assert code == 0 and "linear probe" in out
    assert len(json.loads((tmp_path / "table.json").read_text())["rows"]) == 7


def test_names_that_are_no_text_or_would_break_a_line(capsys, checkpoint, tmp_path):
    """A class and files with a tab, a line's end, bytes that are no UTF-8: a line of predict each, of three fields."""
    folder = tmp_path / "set"
    for i in range(40):
        name = os.fsencode(folder) + (b"/a\tb" if i % 2 else b"/c\xff") + f"/{i}\t\n".encode() + b"\xfe.png"
        os.makedirs(os.path.dirname(name), exist_ok=True)  # noqa: PTH103, PTH120 - of bytes
        with open(name, "wb") as file:  # noqa: PTH123
            Image.fromarray(np.full((16, 16, 3), 6 * i, np.uint8)).save(file, "PNG")
    emb, weights = tmp_path / "emb.npz", tmp_path / "head.safetensors"
    assert (
        adaptaug(
            capsys, "embed", folder, "--checkpoint", checkpoint, "--views", 0, "--size", 16, "--out", emb
        )[0]
        == 0
    )
    assert adaptaug(capsys, "train-head", emb, "--epochs", 1, "--out", weights)[0] == 0
    classifier = json.loads(weights.with_suffix(".json").read_text())
    classifier["classes"] = ["a\tb", "c\n"]  # as an older version kept them
    weights.with_suffix(".json").write_text(json.dumps(classifier))
    code, out, _ = adaptaug(capsys, "predict", folder, "--head", weights)
    assert code == 0 and len(out.splitlines()) == 40
    assert all(len(line.split("\t")) == 3 for line in out.splitlines())


def test_another_backbone_than_the_heads_is_refused(capsys, made, digits, tmp_path):
    train_head(open_embeddings(made), HeadSettings(epochs=1)).save(tmp_path / "head.safetensors")
    export_encoder(build_encoder("resnet-tiny", size=16).eval(), tmp_path / "other", {})
    code, _, err = adaptaug(
        capsys, "predict", digits, "--head", tmp_path / "head.safetensors", "--checkpoint", tmp_path / "other"
    )
    assert code == 2 and "expected the backbone that the head was trained on" in err
    assert os.linesep not in err.strip()
