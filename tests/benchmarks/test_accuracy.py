"""The accuracy harness is honest: sealed labels, equal chances, nothing twice, and what teaches nothing is last."""

import base64
import json
import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import keys_of
from adaptaug.learn.intervals import paired_interval
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.objectives import Objective
from benchmarks import protocol, report, trial
from benchmarks.accuracy import Wanted, measure_all
from benchmarks.groups import bouts, read_groups, verdict
from benchmarks.plots import plot_views
from benchmarks.protocol import Recipe, Sealed, run, split
from benchmarks.report import of_views, points
from benchmarks.rivals import RIVALS, grids, is_manual, label, maker, parted, policies
from benchmarks.shifts import crop_centre, expose, grey, occlude, turn_hue

DIGITS = "sklearn:digits"
SMALL = Recipe(limit=1100, epochs=1, held_out=100)
light = pytest.mark.usefixtures("light_network")


@pytest.fixture
def photographs(rgb):
    """(8, 3, 32, 32) uint8 parts of a photograph."""
    tiles = [rgb[y : y + 32, x : x + 32] for y in (100, 160) for x in (80, 140, 200, 240)]
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture
def rgb():
    from skimage import data

    return data.astronaut()


def test_permuted_routes_are_autos_with_another_images_route(photographs):
    """Each route as often as before, every view by a preset, and some photograph by the glyphs' one."""
    glyph = torch.zeros(3, 32, 32, dtype=torch.uint8)
    glyph[:, 8:24, 14:18] = 255
    images = torch.cat([photographs, glyph.expand(2, -1, -1, -1)])
    keys = np.array([[0, 0, i] for i in range(len(images))])
    own, dealt, *alone = (
        maker(name, 32)(images, keys, None)[0]
        for name in ("auto", "auto, permuted", "digits", "natural", "lowlight")
    )
    by_own, by_dealt = (
        torch.stack([(views == preset).flatten(1).all(1) for preset in alone]) for views in (own, dealt)
    )
    assert by_own.sum(1).equal(by_dealt.sum(1)) and by_dealt.any(0).all()
    assert by_dealt[0, : len(photographs)].any()


def test_labels_of_the_test_split_are_refused_before_the_end():
    sealed = Sealed(torch.zeros(1, 3, 8, 8), np.zeros(1))
    with pytest.raises(AdaptAugError, match="before it"):
        _ = sealed.labels


def test_labels_of_the_test_split_are_refused_to_a_network_in_training():
    sealed = Sealed(torch.zeros(1, 3, 8, 8), np.zeros(1))
    with pytest.raises(AdaptAugError, match="evaluation mode"):
        sealed.unseal(new_contrast("resnet-tiny", "natural", 24, 0).train(), steps=10)


@light
def test_they_stay_sealed_through_a_training(monkeypatch):
    seen = []
    true_judge = protocol.judge

    def judge(model, data, *rest):
        seen.append((data.test._open, model.training))
        return true_judge(model, data, *rest)

    monkeypatch.setattr(protocol, "judge", judge)
    split.cache_clear()
    run("digits", DIGITS, None, "clean", SMALL, seed=0)
    assert seen == [(False, False)]


def test_train_hold_out_and_test_share_no_image():
    found = split(DIGITS, None, "clean", SMALL, 3, None)
    parts = [
        {image.numpy().tobytes() for image in part} for part in (found.train, found.held, found.test.pixels)
    ]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_every_seed_has_the_same_test_split_and_other_training_images():
    one, other = (split(DIGITS, None, "clean", SMALL, seed, None) for seed in (0, 1))
    assert torch.equal(one.test.pixels, other.test.pixels) and not torch.equal(one.train, other.train)


@light
def test_the_same_seed_gives_the_same_line():
    lines = [run("digits", DIGITS, None, "clean", SMALL, seed=0) for _ in range(2)]
    assert lines[0]["loss"] == lines[1]["loss"] and lines[0]["scores"] == lines[1]["scores"]


@pytest.mark.slow
def test_blank_views_are_last():
    """On few labels; the table of benchmarks/pages/accuracy-rows.md has the same on CIFAR-10."""
    recipe = replace(SMALL, epochs=10, labels=100)
    made = {name: run(name, DIGITS, None, "clean", recipe, 0) for name in ("blank", "digits", "documents")}
    score = {name: line["scores"]["clean"]["knn"] for name, line in made.items()}
    assert min(score, key=score.get) == "blank"


@light
def test_a_line_is_not_measured_twice(tmp_path, monkeypatch):
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr("benchmarks.accuracy.multiprocessing.get_context", lambda start: forked)
    wanted = [Wanted("digits", 1.0, 0, DIGITS, None, "clean", SMALL, None)]
    first = measure_all(wanted, tmp_path / "lines.jsonl", jobs=1)
    assert measure_all(wanted, tmp_path / "lines.jsonl", jobs=1) == first
    assert len((tmp_path / "lines.jsonl").read_text().splitlines()) == 1


def test_a_changed_policy_is_another_line(tmp_path):
    file = tmp_path / "mine.yaml"
    keys = []
    for p in (0.2, 0.3):
        policies()["crop only"].edit({"grey": {"p": p}}).save(file)
        keys.append(Wanted(str(file), 1.0, 0, DIGITS, None, "clean", SMALL, None).key()["sha"])
    assert keys[0] != keys[1]


@pytest.mark.parametrize("name", [*RIVALS, *policies()])
def test_every_name_makes_two_views(name, photographs):
    model = new_contrast("resnet-tiny", "natural", 32, 0)
    first, second = maker(name, 32)(photographs, keys_of(0, 0, np.arange(8)), model)
    assert first.shape == second.shape == (8, 3, 32, 32) and first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert name in ("none", "blank") or not torch.equal(first, second)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_depends_on_its_key_alone(name, photographs):
    model, keys = new_contrast("resnet-tiny", "natural", 32, 0), keys_of(0, 0, np.arange(8))
    first, again = (maker(name, 32)(photographs, keys, model) for _ in range(2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])


def test_again_is_the_same_policy_with_other_draws(photographs):
    model, keys = new_contrast("resnet-tiny", "natural", 32, 0), keys_of(0, 0, np.arange(8))
    first = maker("simclr-cifar", 32)(photographs, keys, model)
    again = maker("again:simclr-cifar", 32)(photographs, keys, model)
    assert not torch.equal(first[0], again[0])


def test_manual_is_what_neither_guards_nor_sets_targets():
    assert is_manual("hard views x0.6") and is_manual("simclr") and is_manual("hand s=0.5 crop=0.2")
    assert not any(
        map(is_manual, ("natural", "natural x1.2", "targets without guards", "policy-of-a-search"))
    )


def test_a_name_may_change_the_recipe():
    assert parted("natural, crop=.2, views=4, norm=view") == (
        "natural, crop=.2",
        {"views": 4, "norm": "view"},
    )
    assert parted("natural, crop=.2") == ("natural, crop=.2", {})
    assert label("runs/a/policy.yaml, views=4") == "a, views=4"
    assert is_manual("hand s=0.5 crop=0.2, views=4 x1.5") and not is_manual("natural, views=4 x1.5")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"views": 3}, "batch: expected a multiple of 3"),
        ({"views": 1}, "views: expected 2 to 16"),
        ({"norm": "none"}, "step or view"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused(changes, sentence):
    with pytest.raises(AdaptAugError, match=sentence):
        Recipe(**changes)


def test_more_views_are_as_many_steps_of_as_many_views(monkeypatch):
    sizes, forward = [], Objective.forward

    def counted(self, embed, encoder, views, told):
        sizes.append([len(views), len(views[0])])
        return forward(self, embed, encoder, views, told)

    monkeypatch.setattr(Objective, "forward", counted)
    lines = {name: run(name, DIGITS, None, "clean", SMALL, 0) for name in ("digits", "digits, views=8")}
    two, eight = lines.values()
    assert two["steps"] == eight["steps"] == 8 and two["pairs"] == eight["pairs"]
    assert sizes == [[2, 128]] * 8 + [[8, 32]] * 8
    assert (two["views"], two["epochs"]) == (2, 1) and (eight["views"], eight["epochs"]) == (8, 0.25)
    assert two["scores"] != eight["scores"]


def test_small_views_have_half_the_side_and_count_as_a_fourth(photographs):
    made = maker("natural", 32, 2, 4)(photographs, keys_of(0, 0, np.arange(8)), None)
    assert [view.shape[-1] for view in made] == [32, 32, 16, 16, 16, 16]
    assert replace(SMALL, small=8).sources == replace(SMALL, views=4).sources == 64


def test_statistics_of_each_view_apart(photographs):
    """What the control's network makes of two views is what it makes of each alone."""
    model = new_contrast("resnet-tiny", "natural", 32, 0).train()
    views = maker("natural", 32)(photographs, keys_of(0, 0, np.arange(8)), model)
    embed = protocol._each_view_apart(model, len(photographs))
    apart = embed(model.encoder, model.objective.head, torch.cat(views))
    alone = torch.cat([model._embed(model.encoder, model.objective.head, view) for view in views])
    together = model._embed(model.encoder, model.objective.head, torch.cat(views))
    assert torch.equal(apart, alone) and not torch.allclose(apart, together)


def test_a_rival_makes_pairs():
    with pytest.raises(AdaptAugError, match="expected 2 views"):
        maker("hard views", 32, views=4)


def test_rows_of_several_numbers_of_views_are_kept_apart_and_compared(tmp_path):
    """Nothing trained: kNN of `natural` rises with its views, that of the manual recipe does not."""
    rows = []
    for seed in range(2):
        for name, right in (
            ("simclr-cifar", 20),
            ("simclr-cifar, views=4", 25),
            ("natural", 22),
            ("natural, views=4", 30),
        ):
            hits = base64.b64encode(np.packbits(np.arange(800) < 8 * (right + seed)).tobytes()).decode()
            scores = {"knn": right + seed, "probe": right + seed}
            rows.append(Wanted(name, 1.0, seed, DIGITS, None, "clean", SMALL, None).key() | {
                "views": parted(name)[1].get("views", 2), "epochs": 1.0 / (1 + ("views" in name)),
                "scores": {"clean": scores, "hold-out": scores}, "hits": {"knn": hits, "probe": hits},
            })  # fmt: skip
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (group,) = read_groups([file])
    assert group.best(manual=True) == "simclr-cifar" and group.best(manual=False) == "natural, views=4"
    assert [(bout.manual, bout.ours) for bout in bouts([group])] == [
        ("simclr-cifar", "natural, views=4"), ("simclr-cifar, views=4", "natural, views=4"),
    ]  # fmt: skip
    assert bouts([group])[0].intervals["knn"].mean == pytest.approx(10)
    assert bouts([group])[1].intervals["knn"].mean == pytest.approx(5)
    assert of_views(group)[0] == "| kNN-20, linear probe | 2 views | 4 views |"
    assert of_views(group)[3].startswith("| natural | 22.5, 22.5 | 30.5 (+8.0")
    plot_views(group, tmp_path / "views.png")
    assert (tmp_path / "views.png").stat().st_size > 5000


def test_every_grid_is_manual_and_as_large_and_characters_are_not_mirrored():
    assert {len(grid) for grid in grids().values()} == {12}
    assert all(
        is_manual(name) and policies()[name] == policy for g in grids().values() for name, policy in g.items()
    )
    assert not any("hflip" in policy.dumps() for policy in grids()["characters"].values())


def test_the_interval_covers_what_it_says():
    """Two policies that are equal: 95 % of the intervals of five seeds hold 0, with seeds and images both by chance."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        level = random.normal(0.5, 0.02, (2, 5, 1))
        hits = random.random((2, 5, 500)) < level
        found = paired_interval(*hits)
        held += found.low <= 0 <= found.high
    assert held / 400 > 0.93


def test_an_exposure_is_the_same_for_an_image_wherever_it_stands(photographs):
    whole = expose(photographs, np.arange(8), "mixed")
    assert torch.equal(whole[3:5], expose(photographs[3:5], np.arange(3, 5), "mixed"))


def test_exposures_do_what_they_are_called(photographs):
    index, mean = np.arange(8), lambda x: float(x.float().mean())
    dark, over, low = (expose(photographs, index, name) for name in ("dark", "over", "low"))
    assert mean(dark) < mean(photographs) < mean(over)
    assert low.float().std((1, 2, 3)).mean() < 0.6 * photographs.float().std((1, 2, 3)).mean()
    assert torch.equal(expose(photographs, index, "clean"), photographs)


def test_what_is_relied_on_is_what_changes(photographs):
    luma = lambda x: (x.float() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)  # noqa: E731
    shades = grey(photographs)
    assert torch.equal(shades[:, 0], shades[:, 1]) and (luma(shades) - luma(photographs)).abs().max() <= 0.51
    assert (luma(turn_hue(photographs)) - luma(photographs)).abs().median() < 1
    assert ((occlude(photographs) != photographs).any(1).float().mean((1, 2)) < 0.26).all()
    assert crop_centre(photographs).shape == photographs.shape


@light
def test_the_page_has_every_policy_and_its_plot(tmp_path, monkeypatch):
    lines = tmp_path / "lines.jsonl"
    rows = []
    for seed in range(2):
        for name in ("simclr-cifar", "natural"):
            key = Wanted(name, 1.0, seed, DIGITS, None, "clean", SMALL, None).key()
            found = run(name, DIGITS, None, "clean", SMALL, seed)
            rows.append(key | found | {"search": {}, "machine": "this"})
        rows.append(rows[-2] | {"policy": "simclr-cifar x2", "epochs": 2})  # as if it had trained longer
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["report", str(lines), "--out", str(out)])
    report.main()
    text = out.read_text()
    assert (
        "natural" in text
        and "simclr-cifar *(manual)*" in text
        and next(tmp_path.glob("page-*.png")).stat().st_size > 5000
    )
    (group,) = read_groups([lines])
    assert (
        group.best(manual=True) == "simclr-cifar"
        and ", clean, equal time | simclr-cifar x2 | natural |" in text
    )
    found = group.against("natural", "simclr-cifar", "knn")
    assert found is not None and verdict(found) in ("**above**", "below", "not below", "not resolved")


def test_points_on_changed_images_are_of_policies_with_seeds_in_common():
    lines = Path(__file__).parents[2] / "benchmarks" / "results" / "accuracy-cifar10-cpu" / "2-core-x86.jsonl"
    group = read_groups([lines])[0]
    manual = group.best(manual=True)
    assert manual is not None
    shown = points(group, ["natural", "clip .05"], manual)  # clip .05 has one seed there
    assert len(shown) == 3 and shown[0].startswith(
        f"| kNN-20, linear probe | {group.exposure} | clean | grey |"
    )
    assert shown[2].startswith(f"| natural | **{group.against('natural', manual, 'knn')}**, ")
    assert f"**{group.against('natural', manual, 'knn', 'hue')}**" in shown[2]
    assert points(group, ["natural"], "a policy that is not there") == []


@pytest.mark.parametrize("given", [["--rivals", "simclr", "natrual"], ["--start", "natrual"]])
def test_a_trial_refuses_a_misspelt_name_before_it_searches(given, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["trial", "--data", DIGITS, "--out", str(out), *given])
    with pytest.raises(SystemExit, match="2"):
        trial.main()
    assert "natrual" in capsys.readouterr().err and not out.exists()
