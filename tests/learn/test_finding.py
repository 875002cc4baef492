"""A policy without anyone choosing: `find`, and `pretrain --policy auto`."""

import multiprocessing
import signal
import time

import numpy as np
import pytest

pytest.importorskip("optuna")
pytest.importorskip("lightly")

from safetensors.torch import load_file

from adaptaug.cli import run
from adaptaug.data import open_data
from adaptaug.errors import AdaptAugError
from adaptaug.learn import find, finding
from adaptaug.learn.memory import Memory, Remembered, looked, numbers, policy_named
from adaptaug.learn.runner import Progress
from adaptaug.policy import Policy
from tests.support.network import light

pytestmark = pytest.mark.usefixtures("light_network", "no_study_file")


@pytest.fixture(scope="module")
def few(digits, tmp_path_factory):
    """Of digits as many as can be screened on, and fewer."""
    folder, data = tmp_path_factory.mktemp("few"), np.load(digits)
    for count in (120, 400):
        np.savez(folder / f"{count}.npz", x=data["x"][:count], y=data["y"][:count])
    return folder


def _shorten(patch):
    """A screening of one epoch a run in this process, which any training can pay for."""
    whole = finding._search
    patch.setattr(finding, "_search", lambda *given: whole(*given[:6], 0, *given[7:]))
    patch.setattr(finding, "epochs_for", lambda trained: 1)
    patch.setattr(finding, "training_seconds", lambda settings, images: 1e9)


@pytest.fixture
def short(monkeypatch):
    _shorten(monkeypatch)


class Heard(Progress):
    def __init__(self):
        self.sentences = []

    def told(self, sentence):
        self.sentences.append(sentence)


def test_too_few_images_are_not_screened_on(few, tmp_path):
    heard = Heard()
    policy = find(few / "120.npz", tmp_path, progress=heard)
    assert any("too few to screen" in sentence for sentence in heard.sentences)
    assert policy.operations == policy_named(policy.name).operations
    assert Policy.load(tmp_path / "policy.yaml") == policy


def test_no_time_for_a_design_is_said(few, tmp_path):
    heard = Heard()
    find(few / "400.npz", tmp_path, seconds=0.01, progress=heard)
    assert any("less than a design" in sentence for sentence in heard.sentences)
    assert "less than a design" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "search" / "arms").exists()


def test_it_begins_with_what_lost_least_on_sets_like_this_one(few, tmp_path):
    plain = Memory([])
    assert find(few / "120.npz", tmp_path / "a", memory=plain).name in ("natural", "digits")
    profile = numbers(looked(open_data(few / "120.npz")))
    known = Remembered(
        name="as this", profile=profile, effects={}, behind={"labels": {"natural": 6.0, "documents": 0.2}}
    )
    assert find(few / "120.npz", tmp_path / "b", memory=Memory([known])).name == "documents"


def test_mixed_data_that_are_not_screened_take_auto(tmp_path):
    from skimage import data

    photographs = [
        data.coffee()[y : y + 64, x : x + 64] for y in range(0, 320, 64) for x in range(0, 576, 64)
    ]
    page = np.repeat(data.page()[..., None], 3, -1)
    text = [page[y : y + 64, x : x + 64] for y in range(0, 128, 32) for x in range(0, 321, 32)]
    np.savez(tmp_path / "mixed.npz", x=np.stack(photographs + text))
    policy = find(tmp_path / "mixed.npz", tmp_path / "found", seconds=0.01)
    assert policy.routes == Policy.load("auto").routes
    assert Policy.load(tmp_path / "found" / "policy.yaml") == policy
    assert "takes for each image its own" in (tmp_path / "found" / "report.md").read_text()


def test_what_was_found_is_found_again_without_training(few, tmp_path, short, monkeypatch):
    found = find(few / "400.npz", tmp_path)
    assert "a flip" in (tmp_path / "report.md").read_text() and "effects" in found.provenance
    monkeypatch.setattr("adaptaug.learn.search.Search.run", None)
    assert find(few / "400.npz", tmp_path) == found


def test_a_folder_of_another_data_set_is_refused(few, tmp_path):
    find(few / "120.npz", tmp_path)
    with pytest.raises(AdaptAugError, match="of another data set"):
        find(few / "400.npz", tmp_path)


def test_a_policy_that_was_not_found_there_is_not_taken(few, tmp_path):
    Policy.load("natural").save(tmp_path / "policy.yaml")
    with pytest.raises(AdaptAugError, match="expected none"):
        find(few / "120.npz", tmp_path)


# --- the command --------------------------------------------------------------------------------------------
def arguments(data, out, *more):
    return ["pretrain", str(data), "--policy", "auto", "--arch", "resnet-tiny", "--size", "16", "--epochs", "2",
            "--batch-size", "32", "--precision", "32", "--checkpoint-every", "2", "--no-tensorboard", "--out", str(out),
            *more]  # fmt: skip


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    out = tmp_path_factory.mktemp("auto") / "run"
    with light(), pytest.MonkeyPatch.context() as patch:
        _shorten(patch)
        assert run(arguments(few / "400.npz", out)) == 0
    return out


def test_the_run_trains_with_what_was_found(trained):
    import json

    policy = Policy.load(trained / "policy.yaml")
    assert Policy.loads(json.loads((trained / "encoder.json").read_text())["policy"]) == policy
    assert "What is trained with" in (trained / "report.md").read_text()


def _there(out):
    """How far a run is: results of the search, then files of the training."""
    return len(list((out / "search" / "arms").glob("*.npz"))) + len(list(out.glob("step-*.ckpt")))


@pytest.mark.parametrize(
    "moment", [5, 29, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 12, 17, 18, 20, 24, 28))]
)
def test_killed_at_any_moment_the_same_command_goes_on(few, trained, tmp_path, short, moment):
    out = tmp_path / "run"
    victim = multiprocessing.get_context("fork").Process(target=run, args=(arguments(few / "400.npz", out),))
    victim.start()
    deadline = time.monotonic() + 200
    while (_there(out) < moment or not (out / "decision.json").exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.kill()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL and not (out / "encoder.safetensors").exists()
    assert run(arguments(few / "400.npz", out)) == 0
    assert (out / "policy.yaml").read_text() == (trained / "policy.yaml").read_text()
    ours, whole = (load_file(folder / "encoder.safetensors") for folder in (out, trained))
    assert all(bool((ours[name] == whole[name]).all()) for name in whole)


def test_heads_need_a_policy_to_learn_from(few, tmp_path, capsys):
    assert run(arguments(few / "400.npz", tmp_path / "run", "--heads", "on")) == 2
    assert "--heads on: expected a policy by name" in capsys.readouterr().err
