"""Pretraining: it learns, repeats itself bit for bit, and loses nothing when it is killed."""

import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

pytest.importorskip("pytorch_lightning")
pytest.importorskip("lightly")

from adaptaug.backend.writing import alone
from adaptaug.cli import run
from adaptaug.data import files
from adaptaug.errors import AdaptAugError
from adaptaug.online.band import BINS
from adaptaug.policy import Policy
from adaptaug.simclr import checkpoints, loader, metrics
from adaptaug.simclr.contrast import Contrast
from adaptaug.simclr.trainer import Pretraining, Settings, pretrain
from tests.support.network import light

pytestmark = pytest.mark.usefixtures("light_network")

STEPS = 8  # of a run below: two epochs of four


@pytest.fixture(scope="module")
def settings(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    return Settings(
        str(digits), str(out), policy="digits", arch="resnet-tiny", size=16, epochs=2, batch=64, limit=256,
        held_out=300, knn_every=1, checkpoint_every=3, precision="32", views=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "views", "epochs"),
    [
        ({}, 4, 50), ({"views": 2}, 2, 100), ({"epochs": 3}, 4, 3), ({"views": 8}, 8, 25), ({"band": "auto"}, 2, 100),
        ({"heads": "on"}, 2, 100), ({"objective": "byol"}, 2, 100), ({"small_views": 2}, 2, 100),
        ({"batch": 33}, 2, 100), ({"batch": 6, "devices": 2}, 2, 100),
    ],
)  # fmt: skip
def test_views_that_are_not_given_are_four_where_they_help(given, views, epochs):
    """And as many steps are made as with two."""
    settled = Settings("data", "out", **given).settled({})
    assert (settled.views, settled.epochs) == (views, epochs)


@pytest.fixture(scope="module")
def finished(settings):
    with light():
        return pretrain(settings)


@pytest.fixture(scope="module")
def plain(settings, tmp_path_factory):
    """Of a finished run of as many steps and half the images, without TensorBoard and looks at held-out images."""
    out = str(tmp_path_factory.mktemp("runs") / "plain")
    mine = replace(settings, batch=32, limit=128, held_out=0, tensorboard=False, out=out)
    with light():
        pretrain(mine)
    return mine


def weights(folder):
    return Path(folder, "encoder.safetensors").read_bytes()


def lines(folder):
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


# --- a whole run -------------------------------------------------------------------------------------------
def test_same_seed_same_weights(plain, tmp_path):
    pretrain(replace(plain, out=str(tmp_path)))
    assert weights(tmp_path) == weights(plain.out)


def test_another_seed_other_weights(plain, tmp_path):
    pretrain(replace(plain, out=str(tmp_path), seed=1))
    assert weights(tmp_path) != weights(plain.out)


def test_every_step_is_logged_once(settings, finished):
    steps = [line["step"] for line in lines(settings.out) if "train_loss" in line]
    assert steps == list(range(1, STEPS + 1))
    keys = {"step", "epoch", "train_loss", "learning_rate", "certificate_share", "images_per_second"}
    assert all(keys <= set(line) for line in lines(settings.out) if "train_loss" in line)


def test_held_out_scores_are_logged(settings, finished):
    scores = [line for line in lines(settings.out) if "knn" in line]
    assert [line["epoch"] for line in scores] == [-1, 0, 1]
    assert {"knn_of_raw_pixels", "rankme", "alignment", "uniformity"} <= set(scores[0])


def test_raw_pixels_are_looked_at_once_and_small(photographs, tmp_path, monkeypatch):
    """They never change, and at 224 px the bank's floats alone would take gigabytes."""
    crops = np.stack([photographs["coffee"][i : i + 96, 2 * i : 2 * i + 64] for i in range(150)])
    np.savez(tmp_path / "crops.npz", x=crops, y=np.arange(150) // 50)
    seen = []
    original = metrics.raw_features
    monkeypatch.setattr(metrics, "raw_features", lambda x: (seen.append(tuple(x.shape)), original(x))[1])
    pretrain(Settings(str(tmp_path / "crops.npz"), str(tmp_path / "run"), arch="resnet-tiny", size=16, epochs=2,
                      batch=60, knn_every=1))  # fmt: skip
    assert seen == [(120, 3, 32, 21), (30, 3, 32, 21)]


def test_encoder_file_says_how_it_was_made(settings, finished):
    about = json.loads(Path(settings.out, "encoder.json").read_text())
    assert (about["arch"], about["width"], about["steps"]) == ("resnet-tiny", 128, STEPS)
    assert "operations" in about["policy"]
    assert about["settings"]["seed"] == 0


def test_encoder_is_read_back(settings, finished):
    encoder = checkpoints.load_encoder(settings.out)
    features = metrics.features(encoder, torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    assert features.shape == (2, 128)


@pytest.mark.parametrize(
    "changes",
    [
        *({"objective": name} for name in ("mocov2", "byol", "vicreg", "barlow")),
        {"band": "0.5,", "warm_up": 0.2},
        {"heads": "on", "warm_up": 0.2},
        {"views": 4, "limit": 64},
        {"small_views": 8, "limit": 64},
        {"first_size": 8, "tell": "tone,crop"},
    ],
    ids=lambda changes: "-".join(map(str, next(iter(changes.items())))),
)
def test_whatever_is_kept_goes_on_where_it_stopped(plain, tmp_path, monkeypatch, changes):
    """Teacher, queue, band and heads are in the checkpoints: a run stopped and resumed equals one in a piece."""
    mine = replace(plain, **changes, out=str(tmp_path / "whole"))
    pretrain(mine)
    losses = [line["train_loss"] for line in lines(mine.out)]
    assert len(losses) == STEPS
    assert np.isfinite(losses).all()
    step = Pretraining.training_step

    def interrupted(self, *args):
        if self.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args)

    monkeypatch.setattr(Pretraining, "training_step", interrupted)
    halves = replace(mine, out=str(tmp_path / "halves"))
    assert pretrain(halves).step == 3
    monkeypatch.undo()
    assert pretrain(halves, resume=True).step == STEPS
    assert weights(halves.out) == weights(mine.out)
    if mine.heads == "on":
        policies = [Path(run.out, "policy.yaml").read_text() for run in (mine, halves)]
        assert policies[0] == policies[1]
        assert lines(halves.out)[-1]["heads_largest"] == lines(mine.out)[-1]["heads_largest"] > 0


def test_added_gradients_make_one_step(plain, tmp_path):
    mine = replace(plain, out=str(tmp_path), batch=16, accumulate=2, checkpoint_every=1)
    assert pretrain(mine).step == STEPS
    steps = [line["step"] for line in lines(tmp_path) if "train_loss" in line]
    assert steps == list(range(1, STEPS + 1))
    checkpoints.checkpoints(tmp_path)[0].unlink()
    before = weights(tmp_path)
    assert pretrain(mine, resume=True).step == STEPS
    assert weights(tmp_path) == before


@pytest.mark.parametrize("changes", [{}, {"views_on": "cpu"}, {"objective": "byol"}],
                         ids=lambda changes: next(iter(changes.values()), "simclr"))  # fmt: skip
def test_more_views_are_as_many_a_step_of_fewer_images(plain, tmp_path, monkeypatch, changes):
    """Eight views of four images, where there were two of sixteen: a pass is as many steps of as many views."""
    seen = []
    loss_of = Contrast.loss_of
    monkeypatch.setattr(
        Contrast, "loss_of", lambda self, v, told: (seen.append([*map(len, v)]), loss_of(self, v, told))[1]
    )
    mine = replace(plain, out=str(tmp_path), views=8, batch=16, limit=8, **changes)
    assert pretrain(mine).step == 4
    assert seen == [[4] * 8] * 4
    assert mine.learning_rate() == replace(mine, views=2).learning_rate()


def test_small_views_count_by_their_pixels(plain, tmp_path, monkeypatch):
    """Three of half the side are three quarters of a view: a batch of 16 pairs is of eleven images."""
    seen = []
    loss_of = Contrast.loss_of
    monkeypatch.setattr(
        Contrast,
        "loss_of",
        lambda self, v, told: (seen.append([x.shape for x in v]), loss_of(self, v, told))[1],
    )
    mine = replace(plain, out=str(tmp_path), small_views=3, batch=16, limit=22, epochs=1, held_out=24)
    done = pretrain(mine)
    assert done.step == 2 and {"knn", "alignment"} <= set(done.scores)
    assert seen == [[(11, 3, 16, 16)] * 2 + [(11, 3, 8, 8)] * 3] * 2


@pytest.mark.parametrize("accumulate", [1, 2])
def test_views_grow_from_step_to_step(plain, tmp_path, monkeypatch, accumulate):
    """Eight steps from 8 to 16 pixels: all sides but the last in equal parts of three quarters of them."""
    seen = []
    loss_of = Contrast.loss_of
    monkeypatch.setattr(
        Contrast, "loss_of", lambda self, v, told: (seen.append(v[0].shape[-1]), loss_of(self, v, told))[1]
    )
    mine = replace(plain, out=str(tmp_path), first_size=8, batch=32 // accumulate, accumulate=accumulate)
    assert pretrain(mine).step == STEPS
    assert seen == sorted([8, 8, 10, 12, 12, 14, 16, 16] * accumulate)


@pytest.mark.parametrize(
    "changes",
    [{"views": 4, "small_views": 1, "batch": 8, "limit": 8}, {"first_size": 8, "tell": "tone,crop"}],
    ids=["small views", "growing, told"],
)
def test_views_on_the_device_and_in_workers_are_the_same(plain, tmp_path, changes):
    mine = replace(plain, **changes, epochs=1)
    for name, changes in (("device", {}), ("workers", {"views_on": "cpu"})):
        pretrain(replace(mine, out=str(tmp_path / name), **changes))
    assert weights(tmp_path / "device") == weights(tmp_path / "workers")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"views": 1}, "views: expected 2 to 16"), ({"views": 17}, "views: expected 2 to 16"),
     ({"views": 3}, "batch: expected a multiple of 3"),
     ({"views": 4, "batch": 66, "devices": 2}, "batch: expected as many images on each of 2 processes, got 33"),
     ({"views": 4, "batch": 2}, "batch: expected 2 to 256 images"),
     ({"views": 4, "limit": 31}, "batch: expected 2 to 31 images"),
     ({"views": 4, "objective": "mocov2"}, "views: expected 2 with objective mocov2"),
     ({"views": 4, "band": "auto"}, "views: expected 2 with band auto"),
     ({"views": 4, "heads": "on"}, "views: expected 2 with heads on"),
     ({"small_views": 2, "band": "auto"}, "views: expected 2 with band auto, got 4"),
     ({"small_views": 2, "objective": "byol"}, "small_views: expected none with objective byol"),
     ({"small_views": 2, "small_size": 16}, "small_size: expected 8 to 15"),
     ({"first_size": 4}, "first_size: expected 8 to the size 16, got 4"),
     ({"first_size": 17}, "first_size: expected 8 to the size 16, got 17"),
     ({"first_size": 8, "band": "auto"}, "first_size: expected 0 with band auto, got 8"),
     ({"first_size": 8, "small_views": 2}, "first_size: expected 0 with small_views 2, got 8"),
     ({"tell": "tone", "objective": "byol"}, "tell: expected nothing with objective byol, got 'tone'"),
     ({"tell": "tone,light"}, "tell: expected one or more of tone, colour, crop, each once, got 'tone, light'")],
    ids=lambda x: "-".join(map(str, x.values())) if isinstance(x, dict) else "",
)  # fmt: skip
def test_views_that_cannot_be_trained_on_are_refused(settings, tmp_path, changes, sentence):
    assert sentence in refused(settings, tmp_path, **changes)


def test_half_precision_scales_its_gradients_and_goes_on_where_it_stopped(plain, tmp_path):
    """fp16's scale is in the checkpoints, so the resumed half equals the uninterrupted run's.

    Of four images a step: in half precision a processor is slow.
    """
    whole = replace(plain, out=str(tmp_path / "whole"), batch=4, limit=16)
    pretrain(whole)
    tmp_path = tmp_path / "half"
    mine = replace(whole, out=str(tmp_path), precision="fp16", checkpoint_every=4)
    assert pretrain(mine).step == STEPS
    assert np.isfinite([line["train_loss"] for line in lines(tmp_path) if "train_loss" in line]).all()
    state = torch.load(checkpoints.checkpoints(tmp_path)[0], weights_only=True)
    assert state["MixedPrecision"]["scale"] > 1
    checkpoints.checkpoints(tmp_path)[0].unlink()
    before = weights(tmp_path)
    pretrain(mine, resume=True)
    assert weights(tmp_path) == before != weights(whole.out)


def test_shards_train_as_the_files_in_them_do(plain, photographs, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    (tmp_path / "files").mkdir()
    with webdataset.ShardWriter(str(tmp_path / "train-%02d.tar"), maxcount=8, verbose=0) as writer:
        for i in range(24):
            image = photographs["coffee"][8 * i : 8 * i + 64, 5 * i : 5 * i + 80]
            Image.fromarray(image).save(tmp_path / "files" / f"{i:02d}.png")
            writer.write({"__key__": f"{i:02d}", "png": (tmp_path / "files" / f"{i:02d}.png").read_bytes()})
    for name, data in (("a", tmp_path / "files"), ("b", tmp_path / "train-{00..02}.tar")):
        pretrain(replace(plain, data=str(data), out=str(tmp_path / name), batch=8, epochs=1,
                         limit=None, policy="natural", workers=1 if name == "b" else 0))  # fmt: skip
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_a_band_is_held_and_logged(settings, tmp_path):
    """A floor that hardly any pair reaches: strengths fall, and the log has shares and strengths of every step."""
    pretrain(replace(settings, band="0.99,", warm_up=0.25, out=str(tmp_path)))
    steps = [line for line in lines(tmp_path) if "train_loss" in line]
    assert all(0 <= line["band_below"] <= 1 for line in steps)
    strengths = [line[f"band_strength {name}"] for line in steps for name in BINS]
    assert strengths[: 2 * len(BINS)] == [0.0] * 2 * len(BINS)  # the warm-up, a quarter of the steps
    assert max(strengths[-len(BINS) :]) < 0


def test_heads_are_learned_logged_and_written(settings, digits, tmp_path):
    """Nothing in the warm-up, weights after it, none of it in the last fifth, and a policy that others can load."""
    out = tmp_path / "run"
    asked = [
        "--policy",
        "digits",
        "--arch",
        "resnet-tiny",
        "--epochs",
        "3",
        "--batch-size",
        "64",
        "--limit",
        "256",
    ]
    assert run(["pretrain", str(digits), *asked, "--heads", "on", "--out", str(out)]) == 0
    steps = [line for line in lines(out) if "train_loss" in line]
    largest = [line["heads_largest"] for line in steps]
    assert largest[0] == 0.0 < largest[2] and largest[-1] == largest[-3]
    assert all(0 <= line["heads_inside"] <= 1 and line["heads_entropy"] > 0 for line in steps)
    assert steps[0]["heads_kl"] == 0.0 < steps[-1]["heads_kl"]
    learned = Policy.load(out / "policy.yaml")
    assert learned.operations == Policy.load("digits").operations
    assert learned.provenance["conditional"] == "learned in 12 steps from digits"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"band": "narrow"}, "expected off, auto, or FLOOR,CEILING"), ({"band": ","}, "a floor, a ceiling, or both"),
     ({"band": "auto", "views_on": "cpu"}, "views made on the device"),
     ({"band": "auto", "devices": 2}, "expected one process"),
     ({"heads": "yes"}, "heads: expected one of off, on"),
     ({"heads": "on", "views_on": "cpu"}, "views made on the device"),
     ({"heads": "on", "devices": 2}, "heads: expected one process"), ({"heads": "on", "band": "auto"}, "--band off")],
)  # fmt: skip
def test_what_cannot_be_steered_is_refused(settings, tmp_path, changes, sentence):
    assert sentence in refused(settings, tmp_path, **changes)


@pytest.mark.parametrize("value", [0, -1, 1.5])
@pytest.mark.parametrize(
    "name", ["epochs", "knn_every", "checkpoint_every", "keep", "accumulate", "devices", "nodes"]
)
def test_what_counts_is_a_whole_number_of_1_or_more(settings, tmp_path, name, value):
    """As the command line says, before anything is read."""
    said = refused(settings, tmp_path, **{name: value, "data": "nowhere"})
    assert said == f"{name}: expected a whole number of 1 or more, got {value!r}."


def test_shares_of_the_time_add_up(finished):
    assert set(finished.shares) == {"data", "views", "step"}
    assert sum(finished.shares.values()) == pytest.approx(1)


def test_tensorboard_has_the_same_numbers(settings, finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(Path(settings.out, "tensorboard")))
    board.Reload()
    shown = [event.value for event in board.Scalars("train_loss")]
    assert shown == pytest.approx(
        [line["train_loss"] for line in lines(settings.out) if "train_loss" in line]
    )


# --- killed ------------------------------------------------------------------------------------------------
def _kill():
    os.kill(os.getpid(), signal.SIGKILL)


def _on_call(owner, name, number, before=None):
    """Replace owner.name so that its `number`-th call kills the process, after `before(...)` where given."""
    original, calls = getattr(owner, name), []

    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            if before:
                before(*args, **kwargs)
            _kill()
        return original(*args, **kwargs)

    setattr(owner, name, counted)


def _half_a_file(state, file):
    file.write(b"half of a checkpoint")
    file.flush()


MOMENTS = {
    "the first step": lambda: _on_call(Contrast, "loss_of", 1),
    "a step before any checkpoint": lambda: _on_call(Contrast, "loss_of", 3),
    "a step after one": lambda: _on_call(Contrast, "loss_of", 5),
    "an epoch's first batch": lambda: _on_call(loader.Order, "keys", 5),
    "the first checkpoint's write": lambda: _on_call(torch, "save", 1, _half_a_file),
    "the second checkpoint's write": lambda: _on_call(torch, "save", 2, _half_a_file),
    "a checkpoint's rename": lambda: _on_call(files.Path, "replace", 4),
    "validation": lambda: _on_call(metrics, "rankme", 2),
    "the last validation": lambda: _on_call(metrics, "rankme", 3),
    "an optimizer's step": lambda: _on_call(torch.optim.AdamW, "step", 7),
    "the removal of an old checkpoint": lambda: _on_call(files.Path, "unlink", 6),
    "the export": lambda: _on_call(checkpoints, "export_encoder", 1),
    "between the export's files": lambda: _on_call(checkpoints, "save", 1),
}


def _run_and_die(settings, moment):
    torch.set_num_threads(1)
    MOMENTS[moment]()
    pretrain(settings)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed_it_ends_with_equal_weights(settings, finished, plain, tmp_path, moment):
    whole = settings if "validation" in moment else plain  # which has none
    mine = replace(whole, out=str(tmp_path))
    victim = multiprocessing.get_context("fork").Process(target=_run_and_die, args=(mine, moment))
    victim.start()
    victim.join(120)
    assert victim.exitcode == -signal.SIGKILL
    result = pretrain(mine, resume=True)
    assert result.step == STEPS
    assert weights(tmp_path) == weights(whole.out)
    losses = [[(line["step"], line["train_loss"]) for line in lines(folder) if "train_loss" in line]
              for folder in (tmp_path, whole.out)]  # fmt: skip
    assert losses[0] == losses[1]


def test_killed_with_four_views_and_resumed_it_ends_with_equal_weights(plain, tmp_path):
    mine = replace(plain, views=4, limit=64, out=str(tmp_path / "whole"))
    pretrain(mine)
    halves = replace(mine, out=str(tmp_path / "halves"))
    victim = multiprocessing.get_context("fork").Process(
        target=_run_and_die, args=(halves, "an optimizer's step")
    )
    victim.start()
    victim.join(120)
    assert victim.exitcode == -signal.SIGKILL
    assert pretrain(halves, resume=True).step == STEPS
    assert weights(halves.out) == weights(mine.out)


def test_asked_to_stop_it_saves_first(plain, tmp_path, monkeypatch):
    mine = replace(plain, out=str(tmp_path))
    step, calls = Pretraining.training_step, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args)

    monkeypatch.setattr(Pretraining, "training_step", interrupted)
    assert pretrain(mine).step == 2
    monkeypatch.undo()
    assert pretrain(mine, resume=True).step == STEPS
    assert weights(tmp_path) == weights(plain.out)


@pytest.mark.parametrize(
    "damage", [b"", b"PK\x03\x04 not a checkpoint", None], ids=["empty", "garbage", "truncated"]
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(plain, tmp_path, damage):
    mine = replace(plain, out=str(tmp_path / "run"))
    shutil.copytree(plain.out, mine.out)
    newest = checkpoints.checkpoints(Path(mine.out))[0]
    newest.write_bytes(newest.read_bytes()[:5000] if damage is None else damage)
    result = pretrain(mine, resume=True)
    assert len(result.notes) == 1
    assert newest.name in result.notes[0]
    assert weights(mine.out) == weights(plain.out)


# --- what is refused ---------------------------------------------------------------------------------------
def refused(settings, out, **changes):
    with pytest.raises(AdaptAugError) as error:
        pretrain(replace(settings, out=str(out), **changes))
    assert str(error.value).count(". ") == 0
    return str(error.value)


def test_a_run_goes_on_with_the_views_and_epochs_it_was_begun_with(plain):
    """Whatever this version's are: nobody need remember them."""
    goes_on = pretrain(replace(plain, views=None, epochs=None), resume=True)
    assert goes_on.step == goes_on.steps == STEPS
    with pytest.raises(AdaptAugError, match=r"differs in views \(2, not 4\)"):
        pretrain(replace(plain, views=4), resume=True)


def test_nothing_to_resume_is_said(tmp_path):
    from adaptaug.simclr.trainer import _settle

    said = f"{tmp_path / 'none'}: no checkpoint to resume; the run began anew."
    assert _settle(tmp_path / "none", {}, True) == (None, [said])


def test_only_damaged_checkpoints(settings, finished, tmp_path):
    (tmp_path / "step-00000003.ckpt").write_bytes(b"")
    with pytest.raises(AdaptAugError, match="none of 1 checkpoints can be read"):
        pretrain(replace(settings, out=str(tmp_path)), resume=True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"arch": "resnet18"}, r"arch \(resnet-tiny, not resnet18\)"),
     ({"objective": "byol"}, r"objective \(simclr, not byol\)"),
     ({"policy": "natural"}, "policy"), ({"seed": 1, "batch": 32}, r"batch \(64, not 32\), seed \(0, not 1\)"),
     ({"epochs": 4}, r"epochs \(2, not 4\)"), ({"limit": 128}, r"limit \(256, not 128\)"),
     ({"heads": "on"}, r"heads \(off, not on\)"), ({"views": 4}, r"views \(2, not 4\)")],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)  # fmt: skip
def test_a_run_begun_otherwise_does_not_go_on(settings, finished, changes, named):
    with pytest.raises(AdaptAugError, match=f"differs in {named}; give the same, or"):
        pretrain(replace(settings, **changes), resume=True)


def test_a_run_on_other_data_does_not_go_on(settings, finished, tmp_path):
    data = dict(np.load(settings.data))
    np.savez(tmp_path / "digits.npz", x=255 - data["x"], y=data["y"])
    with pytest.raises(AdaptAugError, match="differs in data;"):
        pretrain(replace(settings, data=str(tmp_path / "digits.npz")), resume=True)


def test_where_it_runs_and_what_is_kept_may_change(settings, finished, tmp_path):
    shutil.copytree(settings.out, tmp_path / "run")
    checkpoints.checkpoints(tmp_path / "run")[0].unlink()
    mine = replace(settings, out=str(tmp_path / "run"), workers=1, knn_every=2, checkpoint_every=1, keep=1,
                   tensorboard=False)  # fmt: skip
    assert pretrain(mine, resume=True).step == STEPS
    assert weights(mine.out) == weights(settings.out)


def test_a_checkpoint_of_an_older_version_goes_on(settings, finished, tmp_path):
    """It knows of its settings no more than these two."""
    file = checkpoints.checkpoints(Path(settings.out))[0]
    state = torch.load(file, weights_only=True)
    state["hyper_parameters"] = {name: state["hyper_parameters"][name] for name in ("arch", "objective")}
    torch.save(state, tmp_path / file.name)
    assert checkpoints.newest(tmp_path, settings.deciding()) == (tmp_path / file.name, [])


def test_heads_do_not_overwrite_the_policy_they_start_from(settings, tmp_path):
    Policy.load("digits").save(tmp_path / "policy.yaml")
    assert "copy it first" in refused(settings, tmp_path, heads="on", policy=str(tmp_path / "policy.yaml"))


def test_folder_with_a_run(settings, finished):
    assert "--resume" in refused(settings, settings.out)


def test_batch_larger_than_the_set(settings, tmp_path):
    assert "batch: expected 2 to 256" in refused(settings, tmp_path, batch=257)


@pytest.mark.parametrize("objective", ["vicreg", "barlow"])
def test_two_images_a_batch_are_enough(settings, tmp_path, objective):
    """Their losses have the variance of a batch, which one image has not."""
    out = str(tmp_path / "run")
    pretrain(replace(settings, objective=objective, batch=2, limit=8, held_out=0, tensorboard=False, out=out))
    assert all(np.isfinite(line["train_loss"]) for line in lines(out)) and len(lines(out)) == STEPS
    assert all(torch.isfinite(w).all() for w in load_file(Path(out, "encoder.safetensors")).values())
    assert "batch: expected 2 to" in refused(
        settings, tmp_path / "one", objective=objective, batch=2, views=4
    )


def test_a_folder_that_another_process_writes_is_refused_and_left_alone(settings, tmp_path):
    out = tmp_path / "run"
    with alone(out):
        assert "another process is at work" in refused(settings, out)
        assert [file.name for file in out.iterdir()] == [".lock"]


def test_one_image(settings, tmp_path):
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 16, 16), np.uint8))
    assert "batch" in refused(settings, tmp_path / "run", data=str(tmp_path / "one.npz"))


def test_empty_folder(settings, tmp_path):
    (tmp_path / "none").mkdir()
    assert "found none" in refused(settings, tmp_path / "run", data=str(tmp_path / "none"))


def test_output_that_cannot_be_written(settings, tmp_path):
    (tmp_path / "file").write_text("")
    assert "expected a folder to write" in refused(settings, tmp_path / "file" / "run")


@pytest.mark.parametrize(
    "name", ["optimizer", "precision", "views_on", "scaling", "objective", "arch", "stem"]
)
def test_unknown_choice(settings, tmp_path, name):
    assert f"{name}: expected one of" in refused(settings, tmp_path, **{name: "sideways"})


def test_full_disk(settings, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(torch, "save", full)
    arguments = ["pretrain", settings.data, "--arch", "resnet-tiny", "--epochs", "1", "--limit", "256", "--batch-size",
                 "64", "--checkpoint-every", "1", "--out", str(tmp_path)]  # fmt: skip
    assert run(arguments) == 1
    assert "No space left on device" in capsys.readouterr().err


# --- folders -----------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path, photographs):
    """120 photographs of several sizes in two classes; `spoil(n)` damages n files."""
    rng = np.random.default_rng(0)
    for i in range(120):
        name, image = list(photographs.items())[i % 4]
        h, w = rng.integers(40, 90, 2)
        top, left = rng.integers(0, image.shape[0] - h), rng.integers(0, image.shape[1] - w)
        (tmp_path / "photos" / name[0]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[top : top + h, left : left + w]).save(
            tmp_path / "photos" / name[0] / f"{i:03d}.png"
        )
    return tmp_path / "photos"


@pytest.mark.parametrize("workers", [0, 2])
def test_folder_of_photographs_with_a_bad_file(folder, tmp_path, workers):
    bad = sorted(folder.rglob("*.png"))
    bad[7].write_bytes(b"not an image")
    result = pretrain(Settings(str(folder), str(tmp_path / f"run{workers}"), arch="resnet-tiny", size=32, epochs=1,
                               batch=24, views=2, held_out=0, workers=workers))  # fmt: skip
    assert result.step == 5
    assert len(result.unreadable) == 1
    assert bad[7].name in result.unreadable[0]


@pytest.mark.parametrize("part", ["held", "trained"])
def test_a_look_at_the_held_out_part_leaves_a_bad_file_out(folder, tmp_path, part):
    """20 are held out and 100 trained, which are kNN's bank too."""
    chosen = np.random.default_rng((0, 7)).permutation(120)  # as `pretrain` divides by its seed
    bad = sorted(folder.rglob("*.png"))[chosen[0 if part == "held" else 20]]
    bad.write_bytes(b"not an image")
    result = pretrain(Settings(str(folder), str(tmp_path / "run"), arch="resnet-tiny", size=32, epochs=1, batch=25,
                               held_out=20))  # fmt: skip
    assert [bad.name in sentence for sentence in result.unreadable] == [True]
    assert [line["epoch"] for line in lines(tmp_path / "run") if "knn" in line] == [-1, 0]


def test_too_many_bad_files_stop_the_run(folder, tmp_path):
    for file in sorted(folder.rglob("*.png"))[::10]:
        file.write_bytes(b"not an image")
    with pytest.raises(AdaptAugError, match="more than 1 %"):
        pretrain(Settings(str(folder), str(tmp_path / "run"), arch="resnet-tiny", size=32, epochs=1, batch=24,
                          held_out=0))  # fmt: skip


# --- scores ------------------------------------------------------------------------------------------------
def test_rankme_of_isotropic_points_is_their_dimension():
    assert metrics.rankme(torch.eye(16)) == pytest.approx(16, rel=0.01)


def test_labelled_subset_is_balanced():
    labels = np.array([0] * 50 + [1] * 30 + [2] * 5)
    chosen = metrics.labelled_subset(labels, 15, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [5, 5, 5]


def test_knn_agrees_with_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    x, y = load_digits(return_X_y=True)
    points = torch.tensor(x, dtype=torch.float32)
    mine = metrics.knn_correct(points[:1000], y[:1000], points[1000:], y[1000:]).mean()
    weigh = lambda distance: np.exp((1 - distance) / 0.1)  # noqa: E731
    theirs = (
        KNeighborsClassifier(20, metric="cosine", weights=weigh)
        .fit(x[:1000], y[:1000])
        .score(x[1000:], y[1000:])
    )
    assert mine == pytest.approx(theirs, abs=0.005)
