"""The search: it learns, ships only what is better, and survives kill -9."""

import json
import re
import signal

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

pytest.importorskip("optuna")
pytest.importorskip("lightly")

from adaptaug.backend.writing import alone
from adaptaug.cli import run
from adaptaug.cli.progress import Live
from adaptaug.data.files import find_images
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Data, Job, divide, run_job, split_data
from adaptaug.learn.intervals import over_runs, paired_interval
from adaptaug.learn.proxies import TASKS
from adaptaug.learn.schedule import RUNS, Schedule
from adaptaug.learn.search import Search
from adaptaug.learn.space import DIMENSIONS, coordinates, place
from adaptaug.policy import Policy, preset_names
from adaptaug.simclr.contrast import Contrast
from tests.learn.conftest import arguments, small
from tests.support.killed import kill_search

pytestmark = pytest.mark.usefixtures("light_network", "no_study_file")


# --- the space ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name in preset_names() if not Policy.load(name).routes])
def test_the_start_is_a_point_of_its_own_space(name):
    policy = Policy.load(name)
    same = place(policy, coordinates(policy), policy.name)
    assert same.operations == policy.operations


@pytest.mark.parametrize("name", ["simclr", "digits"])
@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda d: d.name)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_what_is_placed_is_read_back(name, dimension, share):
    value = dimension.low + share * (dimension.high - dimension.low)
    placed = place(Policy.load(name), {dimension.name: value}, "placed")
    assert dimension.read(placed) == pytest.approx(value, abs=0.01)
    assert placed.guards


def test_colour_is_searched_where_only_the_first_class_is_grey(tmp_path):
    """Folders are read class by class, and the first images alone would say that colour changes no pixel."""
    images = np.stack([astronaut()[3 * i : 3 * i + 16, i : i + 16] for i in range(150)] * 2)
    images[:100] = images[:100].mean(-1, keepdims=True)
    np.savez(tmp_path / "sorted.npz", x=images, y=np.arange(300) // 100)
    search = Search(small(tmp_path / "sorted.npz"), "simclr", tmp_path / "s", budget=6, workers=0)
    assert {"colour", "grey"} <= {d.name for d in search.how.dimensions}


@pytest.fixture
def files(digits, tmp_path):
    """Digits as 320 PNGs in class folders; those asked for (by number, in order) are cut off."""

    def write(*cut):
        data = np.load(digits)
        for i in np.argsort(data["y"][:320], kind="stable"):
            file = tmp_path / "files" / str(data["y"][i]) / f"{i:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), data["x"][i])
        for file in (sorted((tmp_path / "files").rglob("*.png"))[i] for i in cut):
            file.write_bytes(file.read_bytes()[:80])
        return tmp_path / "files"

    return write


def test_an_unreadable_image_is_left_out_of_every_run(files, tmp_path):
    search = Search(small(files(200)), "digits", tmp_path / "s", budget=6, workers=0)
    assert search.recipe.left_out == (200,)
    splits = [split_data(search.recipe, run) for run in range(RUNS + 1)]
    assert {len(split.train) + len(split.queries) for split in splits[1:]} == {319 - len(splits[0].queries)}


def test_a_search_without_an_unreadable_image_goes_on(files, tmp_path):
    """The settings in the folder are the same, though the image is found anew."""
    data = files(200)
    recipes = [Search(small(data), "digits", tmp_path / "s", budget=6, workers=0).recipe for _ in range(2)]
    assert recipes[0] == recipes[1]


def test_too_many_unreadable_images_are_refused(files, tmp_path):
    with pytest.raises(AdaptAugError, match="more than 1 %"):
        Search(small(files(*range(0, 320, 10))), "digits", tmp_path / "s", budget=6, workers=0)


def test_an_unreadable_image_is_named(files, tmp_path, capsys):
    assert run([*arguments(files(200), tmp_path / "policy.yaml"), "--dry-run"]) == 0
    assert ".png" in capsys.readouterr().err


CONDITIONAL = {
    "statistics": {"mean": (0.4, 0.1)},
    "operations": {"hflip": {"p": {"mean": 0.3}}, "brightness": {"p": {"mean": 0.5}, "strength": {"mean": 0.2}}},
}  # fmt: skip


def test_conditional_weights_leave_with_their_operation():
    placed = place(Policy.load("natural").edit(conditional=CONDITIONAL), {"flip": 0.0}, "placed")
    assert list(placed.conditional.operations) == ["brightness"]


@pytest.mark.parametrize(
    ("point", "first"),
    [pytest.param({"tone": 0.0}, "saturation", id="its first operation is gone"),
     pytest.param({"tone": 0.3}, "brightness", id="it is as it was")],
)  # fmt: skip
def test_conditional_weights_of_p_stay_with_their_group(point, first):
    """SimCLR's jitter is one group: whatever happens to tone, light still moves how often colour is changed."""
    placed = place(Policy.load("simclr").edit(conditional=CONDITIONAL), point, "placed")
    assert placed.conditional.operations[first].p == {"mean": 0.5}
    assert placed.leading["hue"] == first


def test_locked_operations_stay(digits):
    policy = Policy.load("simclr").edit({"hflip": {"lock": True}})
    search = Search(small(digits), policy, digits.parent / "locked", budget=6, workers=0)
    assert "flip" not in {d.name for d in search.how.dimensions}


# --- the decision ------------------------------------------------------------------------------------------
def test_interval_covers_the_truth():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        base = rng.random((3, 500)) < 0.8
        change = rng.normal(0, 0.02, (3, 1))  # runs differ
        better = rng.random((3, 500)) < 0.83 + change
        interval = paired_interval(better, base)
        inside += interval.low <= 3 <= interval.high
    assert 0.93 <= inside / 400 <= 1


def test_interval_over_runs_covers_the_truth():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        base = rng.random((RUNS, 200)) < 0.8
        better = rng.random((RUNS, 200)) < 0.83 + rng.normal(0, 0.02, (RUNS, 1))
        interval = over_runs(better.mean(1), base.mean(1))
        inside += interval.low <= 3 <= interval.high
    assert 0.92 <= inside / 400 <= 0.98


def test_equal_arms_have_no_difference():
    hits = np.random.default_rng(0).random((3, 100)) < 0.5
    assert paired_interval(hits, hits).low == 0
    assert over_runs(hits.mean(1), hits.mean(1)).low == 0


@pytest.mark.parametrize("count", [260, 2000, 30_000])
def test_what_judges_the_verification_picked_nothing_and_judges_once(digits, count):
    recipe = small(digits, limit=3000)
    runs = [divide(recipe, count, run) for run in range(RUNS + 1)]
    queries = np.concatenate([asked for _, asked in runs])
    assert len(np.unique(queries)) == len(queries)
    assert all(not set(train) & (set(asked) | set(runs[0][1])) for train, asked in runs)


@pytest.mark.parametrize("epochs", [5, 13, 14, 30])
@pytest.mark.parametrize("count", [260, 2000, 5000, 30_000])
def test_no_verification_sees_fewer_images_than_an_arm(digits, count, epochs):
    recipe, schedule = small(digits, limit=3000, epochs=epochs), Schedule(epochs)
    arm = (schedule.warm_up + sum(schedule.rungs)) * len(divide(recipe, count, 0)[0])
    assert all(schedule.epochs * len(divide(recipe, count, run)[0]) >= arm for run in range(1, RUNS + 1))


def _pretend(folder, climbed, verified):
    """Results as the training jobs would have written them, for every name a job can have.

    Args: climbed, verified: accuracy by arm's number on the rungs and in the verification; others have .6 and .7.
    """
    rng = np.random.default_rng(0)
    (folder / "arms").mkdir(parents=True, exist_ok=True)

    def write(name, accuracy):
        hits = rng.permutation(800) < 800 * accuracy
        judged = dict.fromkeys(("knn", "ridge", *TASKS), hits)
        np.savez(folder / "arms" / f"{name}.npz", **judged, seconds=1.0)

    write("warm-up", 0)
    for number in range(8):
        for rung in (1, 2, 3):
            write(f"arm-{number:02d}-rung-{rung}", climbed.get(number, 0.6))
        for r in range(1, RUNS + 1):
            write(f"verify-{number:02d}-run-{r}", verified.get(number, 0.7))


@pytest.mark.parametrize(
    ("winner", "gain", "ships"), [(4, 0.1, True), (4, 0.0, False), (0, 0.1, False), (1, 0.1, True)]
)
def test_ships_only_what_the_verification_proves(digits, tmp_path, winner, gain, ships):
    _pretend(tmp_path, {winner: 0.9}, {winner: 0.7 + gain})
    outcome = Search(small(digits), "simclr", tmp_path, budget=8, workers=0).run()
    assert outcome.best.number == winner
    assert outcome.shipped == ships
    assert (outcome.policy.operations == Policy.load("simclr").operations) == (not ships or winner == 1)
    assert outcome.policy.guards == ships


@pytest.mark.parametrize(
    ("first", "second", "best", "tested"),
    [
        pytest.param(0.8, 0.9, 5, [4, 5], id="the better of two that are proven ships"),
        pytest.param(0.8, 0.7, 4, [4, 5], id="the first ships where the second is not proven"),
        pytest.param(0.7, 0.9, 0, [4], id="the second is not tried where the first is not proven"),
    ],
)
def test_a_second_arm_is_tried_after_the_first_is_proven(digits, tmp_path, first, second, best, tested):
    _pretend(tmp_path, {4: 0.95, 5: 0.9}, {4: first, 5: second})
    outcome = Search(small(digits), "simclr", tmp_path, budget=8, workers=0).run()
    assert outcome.policy.provenance["outcome"] == outcome.arms[best].name
    assert list(outcome.against) == [outcome.arms[n].name for n in tested]


@pytest.mark.parametrize(("score", "said"), [(1.0, True), (0.0, True), (0.6, False)])
def test_scores_that_tell_no_arm_from_another_are_told_after_the_first_rung(
    digits, tmp_path, score, said, capsys
):
    _pretend(tmp_path, dict.fromkeys(range(8), score), {})
    Search(small(digits), "simclr", tmp_path, budget=8, workers=0, progress=Live()).run()
    err = capsys.readouterr().err
    assert ("have the same score on every image" in err) == said
    if said:
        rung_2 = err.index("rung 2")
        assert err.index("have the same score") < rung_2 and f"({100 * score:.1f} %)" in err
        assert err.count("have the same score") == 1


def test_a_folder_that_another_process_writes_is_refused(digits, tmp_path):
    search = Search(small(digits), "simclr", tmp_path, budget=8, workers=0)
    with alone(tmp_path), pytest.raises(AdaptAugError, match="another process is at work"):
        search.run()
    assert not (tmp_path / "arms").exists()


def test_an_arm_a_little_behind_is_tried_and_one_surely_worse_is_not(digits, tmp_path):
    """Few images pick badly: an arm within their chance of the start may be better."""
    _pretend(tmp_path, {0: 0.9, 4: 0.89}, {4: 0.8})
    outcome = Search(small(digits), "simclr", tmp_path, budget=8, workers=0).run()
    assert outcome.arms[0].scores[-1] > outcome.arms[4].scores[-1]
    assert outcome.shipped and outcome.best.number == 4
    assert list(outcome.verified) == ["start", "arm 04"]


@pytest.mark.parametrize(("winner", "gain", "ships"), [(4, 0.1, True), (4, 0.0, False)])
def test_without_labels_too_only_what_is_proven_ships(unlabelled, tmp_path, winner, gain, ships):
    _pretend(tmp_path, {winner: 0.9}, {winner: 0.7 + gain})
    outcome = Search(small(unlabelled), "simclr", tmp_path, budget=8, objective="auto", workers=0).run()
    assert (outcome.best.number, outcome.shipped) == (winner, ships)
    assert outcome.policy.provenance["objective"] == "images"


def test_other_presets_are_among_the_first_arms(digits, tmp_path):
    """Grey images: nothing of colour in any arm, although the presets have it."""
    _pretend(tmp_path, {}, {})
    outcome = Search(small(digits), "digits", tmp_path, budget=8, workers=0).run()
    likes = {arm.name: arm for arm in outcome.arms if arm.name.startswith("like ")}
    assert list(likes) == ["like natural", "like documents"]
    assert likes["like natural"].policy["crop"].area == Policy.load("natural")["crop"].area
    assert "hue" not in likes["like natural"].policy


def test_first_arms_stay_to_the_last_rung(digits, tmp_path):
    """However badly they do: what a short training says of them is not fair."""
    _pretend(tmp_path, dict.fromkeys(range(4), 0.1), {})
    search = Search(small(digits), "simclr", tmp_path, budget=8, workers=0)
    rungs = [len(arm.scores) for arm in search.run().arms]
    assert [arm.name for arm in search.how.first_arms()] == [
        "start",
        "start + guards",
        "like natural",
        "like digits",
    ]
    assert rungs[:4] == [3] * 4
    assert sorted(rungs[4:]) == [2, 3, 3, 3]


@pytest.mark.parametrize("epochs", [5, 7, 14, 30])
def test_no_arm_is_verified_over_less_than_it_was_picked_by(epochs):
    schedule = Schedule(epochs)
    assert min(schedule.rungs) >= 1
    assert schedule.warm_up + sum(schedule.rungs) < epochs


def test_the_start_is_returned_where_it_is_best(tmp_path):
    """The class is the colour and nothing else: whatever an arm adds, the start that keeps colour stays ahead."""
    rng = np.random.default_rng(0)
    hue = rng.integers(0, 6, 600)
    hsv = np.zeros((600, 16, 16, 3), np.uint8)
    hsv[..., 0] = (hue * 30)[:, None, None]
    hsv[..., 1], hsv[..., 2] = 160, rng.integers(60, 220, (600, 16, 16))
    np.savez(tmp_path / "hues.npz", x=np.stack([cv2.cvtColor(i, cv2.COLOR_HSV2RGB) for i in hsv]), y=hue)
    start = Policy.parse({"version": 1, "name": "keeps-colour", "guards": True, "operations": {
        "crop": {"area": [0.3, 1.0]}, "hflip": {"p": 0.5}}})  # fmt: skip
    recipe = small(tmp_path / "hues.npz", limit=64, batch=16)
    outcome = Search(recipe, start, tmp_path / "s", budget=6, workers=0).run()
    assert outcome.policy.operations == start.operations


def test_an_arm_goes_on_where_its_weights_are_not(digits, tmp_path):
    """Another machine trained what went before: it is trained again, to the same end."""
    recipe = small(digits, limit=64, batch=16)
    images = Data(recipe)

    def last_weights(folder, forget):
        job = None
        for rung, name in enumerate(("natural", "digits", "digits")):
            job = Job(f"{rung}", Policy.load(name).dumps(), job, 1, 0, True, str(folder / f"{rung}.npz"))
            if not forget:
                run_job(job, images)
        run_job(job, images)
        return torch.load(job.weights, weights_only=True)["model"]

    whole, again = last_weights(tmp_path / "whole", False), last_weights(tmp_path / "again", True)
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_more_views_are_as_many_a_step_of_fewer_images(digits, tmp_path, monkeypatch):
    seen, loss_of = [], Contrast.loss_of
    monkeypatch.setattr(
        Contrast, "loss_of", lambda self, v: (seen.append([*map(len, v)]), loss_of(self, v))[1]
    )
    job = Job("one", Policy.load("digits").dumps(), None, 1, 0, False, str(tmp_path / "one.npz"))
    run_job(job, Data(small(digits, limit=128, views=8)))
    assert seen == [[16] * 8] * 8


# --- the command -------------------------------------------------------------------------------------------
def test_policy_file_says_where_it_comes_from(searched):
    policy = Policy.load(searched)
    assert policy.provenance["seed"] == 3
    assert policy.provenance["objective"] == "labels"
    assert len(policy.provenance["arms"]) == 6
    assert policy.provenance["cost"]["pairs"] > 0
    assert {len(difference) for difference in policy.provenance["difference"].values()} <= {3}


def test_images_alone_are_enough(unlabelled, tmp_path):
    out = tmp_path / "policy.yaml"
    assert run([*arguments(unlabelled, out), "--objective", "images"]) == 0
    assert Policy.load(out).provenance["objective"] == "images"
    assert "how they were turned" in (out.with_suffix(".search") / "report.md").read_text()


def test_report_names_every_dimension(searched):
    folder = searched.with_suffix(".search")
    text = (folder / "report.md").read_text()
    assert all(f"| {d.name} |" in text for d in DIMENSIONS)
    assert all(
        (folder / name).stat().st_size > 5000 for name in ("scores.png", "ranges.png", "relevance.png")
    )
    assert (
        find_images([folder]) == find_images([folder.parent]) == []
    )  # wherever they lie, they are no images


def test_optuna_reads_the_study(searched):
    import optuna

    study = optuna.load_study(
        study_name="adaptaug", storage=f"sqlite:///{searched.with_suffix('.search')}/study.db"
    )
    assert len(study.trials) == 6


@pytest.mark.parametrize(
    "moment", [4, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 7, 10, 12, 15))]
)
def test_killed_and_run_again_gives_the_same_policy(digits, searched, tmp_path, moment):
    out = tmp_path / "policy.yaml"
    assert kill_search(arguments(digits, out), out, moment) == -signal.SIGKILL and not out.exists()
    assert run(arguments(digits, out)) == 0
    assert out.read_text() == searched.read_text()


def test_a_dry_run_tells_the_cost_and_writes_nothing(digits, searched, tmp_path, capsys):
    assert run([*arguments(digits, tmp_path / "policy.yaml"), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert "6 arms scored by labels" in told and re.search(r"about [1-9]\d* min", told)
    epochs = int(re.search(r"at most (\d+) epochs", told)[1])
    spent = Policy.load(searched).provenance["cost"]["epochs"]
    assert spent <= epochs <= 1.5 * spent


def test_interrupted_it_keeps_the_best_so_far(digits, tmp_path, monkeypatch):
    out = tmp_path / "policy.yaml"
    monkeypatch.setattr(
        "adaptaug.learn.search.Search._verify", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert run(arguments(digits, out)) == 130
    assert "interrupted" in Policy.load(out).provenance


def test_interrupted_in_the_warm_up_it_keeps_the_start_as_this_search(digits, tmp_path, monkeypatch, capsys):
    """Whatever the start's own provenance says: here that heads learned it."""
    start, out = tmp_path / "start.yaml", tmp_path / "policy.yaml"
    Policy.load("digits").edit(provenance={"conditional": "learned in 100 steps from digits"}).save(start)
    monkeypatch.setattr(
        "adaptaug.learn.runner.Runner.run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert run([*arguments(digits, out), "--start", str(start)]) == 130
    assert "holds the best so far (start)" in capsys.readouterr().err
    assert Policy.load(out).provenance["outcome"] == "start"


def test_other_settings_in_the_folder_are_refused(digits, searched, capsys):
    assert run([*arguments(digits, searched), "--budget", "7"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_data_without_labels_is_refused(tmp_path, capsys):
    np.savez(tmp_path / "x.npz", x=np.zeros((2000, 16, 16), np.uint8))
    assert run([*arguments(tmp_path / "x.npz", tmp_path / "p.yaml"), "--objective", "labels"]) == 2
    assert "expected labels" in capsys.readouterr().err


@pytest.fixture
def one_class(digits, tmp_path):
    """Labelled, as a folder with a single class folder is."""
    np.savez(tmp_path / "one.npz", x=np.load(digits)["x"][:600], y=np.zeros(600, int))
    return tmp_path / "one.npz"


def test_labels_of_one_class_are_refused(one_class, tmp_path):
    with pytest.raises(AdaptAugError, match=r"two classes or more .* only one class"):
        Search(small(one_class), "simclr", tmp_path / "s", budget=6, workers=0)


def test_one_class_counts_as_no_labels(one_class, tmp_path):
    search = Search(small(one_class), "simclr", tmp_path / "s", budget=6, objective="auto", workers=0)
    assert search.objective == "images"
    assert split_data(search.recipe).labels is None


def test_too_few_images_are_refused(digits, tmp_path):
    with pytest.raises(AdaptAugError, match="at least"):
        Search(small(digits, limit=100), "simclr", tmp_path, budget=6)


def test_settings_are_readable(searched):
    assert json.loads((searched.with_suffix(".search") / "settings.json").read_text())["budget"] == 6
