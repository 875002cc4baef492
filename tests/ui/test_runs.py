"""Runs and searches read from disk, and their charts, without a browser."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from adaptaug import AdaptAugError, Policy
from adaptaug.data import open_data
from adaptaug.ui import charts, demo, findings, runs, training_html
from tests.ui.made import make_run, make_search


# --- which runs there are -------------------------------------------------------------------------------------
def test_runs_and_searches_are_told_apart_and_the_latest_is_first(tmp_path) -> None:
    make_run(tmp_path / "old")
    os.utime(tmp_path / "old" / "metrics.jsonl", (1, 1))
    make_search(tmp_path / "new.search")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").write_text("no folder")
    assert [(run.name, run.kind) for run in runs.find_runs([tmp_path, None, tmp_path / "absent"])] == [
        ("new.search", "search"), ("old", "run"),
    ]  # fmt: skip


def test_links_out_of_the_folder_are_not_followed(tmp_path) -> None:
    outside = make_run(tmp_path / "outside")
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "linked").symlink_to(outside)
    (folder / "half").mkdir()
    (folder / "half" / "metrics.jsonl").symlink_to(outside / "metrics.jsonl")
    assert runs.find_runs([folder]) == []


@pytest.mark.parametrize("name", ["../outside", "/etc", "", "inside/../inside", "absent"])
def test_a_name_that_is_not_listed_is_refused(tmp_path, name) -> None:
    make_run(tmp_path / "runs" / "inside")
    make_run(tmp_path / "outside")
    with pytest.raises(AdaptAugError, match="no such run in the runs folder"):
        runs.pick([tmp_path / "runs"], name)


# --- metrics ------------------------------------------------------------------------------------------------
def test_metrics_are_series_over_steps(tmp_path) -> None:
    metrics = runs.read_metrics(make_run(tmp_path / "run", steps=20))
    assert metrics.series["knn"] == ([10.0, 20.0], [30.0, 40.0])
    assert metrics.series["train_loss"][0] == [float(step) for step in range(1, 21)]
    assert metrics.skipped == 0


HOSTILE = [b'{"step": 2, "train_loss": 0.', b"\xff\xfe", b"[1]", b'{"step": "x"}', b'{"step": NaN, "train_loss": 1}',
           b"[" * 100_000, b'{"step": ' + b"9" * 5000 + b"}", b'{"step": true}']  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_that_holds_no_step_is_passed_over(tmp_path, line) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "train_loss": 3.0}\n' + line)
    metrics = runs.read_metrics(tmp_path)
    assert metrics.series == {"train_loss": ([1.0], [3.0])} and metrics.skipped == 1
    assert "1 line of metrics.jsonl hold" in training_html.run_view(
        runs.Found("run", "run", tmp_path, 0), metrics
    )


def test_numbers_that_cannot_be_drawn_are_left_out(tmp_path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 1, "a": NaN, "b": Infinity, "c": 1e300, "d": "x", "train_loss": 2}\n'
    )
    assert runs.read_metrics(tmp_path).series == {"train_loss": ([1.0], [2.0])}


def test_of_a_huge_file_the_end_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(runs, "MAX_BYTES", 2000)
    metrics = runs.read_metrics(make_run(tmp_path / "run", steps=400))
    assert metrics.cut and metrics.skipped == 0
    assert metrics.series["train_loss"][0][-1] == 400 and len(metrics.series["train_loss"][0]) < 40


def test_a_long_run_is_drawn_from_few_points_with_the_same_mean() -> None:
    line = charts.thinned(charts.Line("loss", list(range(100_000)), [float(i % 7) for i in range(100_000)]))
    assert len(line.x) == charts.MOST_POINTS
    assert sum(line.y) / len(line.y) == pytest.approx(3.0, abs=0.01)


def test_the_charts_of_a_run_have_its_series_and_legends(tmp_path) -> None:
    html = training_html.run_view(
        runs.Found("run", "run", tmp_path, 0), runs.read_metrics(make_run(tmp_path / "r"))
    )
    for chart in ("loss", "knn", "certificate", "band", "similarity", "strengths", "rankme"):
        assert f'data-chart="{chart}"' in html
    assert all(
        f"</i>{name}</span>" in html
        for name in ("trained features", "raw pixels", "below", "above", "dark", "bright")
    )


def test_names_are_text(tmp_path) -> None:
    name = "<img src=x onerror=alert(1)>"
    (tmp_path / "metrics.jsonl").write_text(
        json.dumps({"step": 1, "train_loss": 1, f"band_{name}": 0.5}) + "\n"
    )
    html = training_html.run_view(runs.Found(name, "run", tmp_path, 0), runs.read_metrics(tmp_path))
    assert "<img" not in html and html.count("&lt;img") >= 2


# --- searches -----------------------------------------------------------------------------------------------
def test_a_study_is_read_as_the_search_has_written_it(tmp_path) -> None:
    study = runs.read_study(make_search(tmp_path / "s.search", arms=5))
    assert [trial.name for trial in study.trials] == ["start", "arm 01", "arm 02", "arm 03", "arm 04"]
    assert study.best.name == "arm 04" and study.best.scores == [84.0, 86.0]
    assert study.best.point["rotation"] == 12.0


def test_a_search_before_its_first_score_says_so(tmp_path) -> None:
    folder = make_search(tmp_path / "s.search")
    (folder / "study.db").unlink()
    run = runs.pick([tmp_path], "s.search")
    assert "no arm is scored yet" in training_html.search_view(run, runs.read_study(folder))
    with pytest.raises(AdaptAugError, match="no arm is scored yet; try again"):
        runs.policy_of(run)


def test_a_file_that_is_no_study_is_a_sentence(tmp_path) -> None:
    folder = make_search(tmp_path / "s.search")
    (folder / "study.db").write_bytes(b"SQLite format 3\0" + b"nonsense" * 500)
    with pytest.raises(AdaptAugError, match=r"study\.db is not one that a search has written"):
        runs.read_study(folder)


def test_a_study_that_would_count_for_ever_is_given_up(tmp_path) -> None:
    folder = make_search(tmp_path / "s.search")
    (folder / "study.db").unlink()
    base = sqlite3.connect(folder / "study.db")
    base.execute("create view trial_user_attributes as with recursive n(i) as (select 1 union all select i + 1 from n) "
                 "select i as trial_id, cast(i as text) as key, 'y' as value_json from n")  # fmt: skip
    base.execute("create table trial_params (trial_id, param_name, param_value)")
    base.commit()
    base.close()
    with pytest.raises(AdaptAugError, match="not one that a search has written"):
        runs.read_study(folder)


def test_arms_their_best_and_their_parameters_are_shown(tmp_path) -> None:
    folder = make_search(tmp_path / "s.search", arms=5)
    html = training_html.search_view(runs.pick([tmp_path], "s.search"), runs.read_study(folder))
    assert html.index("arm 04") < html.index('<td class="num">80.0')
    assert 'data-chart="dimension-rotation"' in html and "best so far" in html and "each arm" in html


def test_of_a_search_with_too_many_arms_to_draw_the_leading_are_shown(tmp_path) -> None:
    point = {"rotation": 3.0}
    trials = [runs.Trial(n, f"arm {n}", [50 + n / 100], point) for n in range(2 * training_html.MAX_DRAWN)]
    study = runs.Study("", trials, {})
    html = training_html.search_view(runs.Found("s", "search", tmp_path, 0), study)
    assert "500 arms that lead, of 1000" in html
    assert html.count("<tr class") == training_html.MAX_DRAWN
    assert 'row">arm 999 ' in html and 'row">arm 500<' in html and 'row">arm 499<' not in html


def test_the_arm_that_leads_may_be_one_of_the_last_of_a_long_search(tmp_path) -> None:
    folder = make_search(tmp_path / "s.search", arms=1)
    base = sqlite3.connect(folder / "study.db")
    for number in range(2, 2002):
        for key, value in ({"arm": f"arm {number}", "scores": [80.0, 90 + number / 1000]}).items():
            base.execute("insert into trial_user_attributes (trial_id, key, value_json) values (?, ?, ?)",
                         (number, key, json.dumps(value)))  # fmt: skip
    base.commit()
    base.close()
    assert runs.read_study(folder).best.name == "arm 2001"


# --- the policy ---------------------------------------------------------------------------------------------
def test_the_policy_of_a_run_is_the_one_it_was_trained_with(tmp_path) -> None:
    make_run(tmp_path / "run", policy="digits")
    assert runs.policy_of(runs.pick([tmp_path], "run")) == Policy.load("digits")


def test_the_policy_of_a_run_that_goes_on_is_not_there_yet(tmp_path) -> None:
    make_run(tmp_path / "run", ended=False)
    with pytest.raises(AdaptAugError, match="has not ended yet"):
        runs.policy_of(runs.pick([tmp_path], "run"))


def test_the_policy_of_a_search_is_its_file_beside_it_and_else_its_leading_arm(tmp_path) -> None:
    make_search(tmp_path / "s.search")
    leading = runs.policy_of(runs.pick([tmp_path], "s.search"))
    assert leading.guards and leading["rotate"].range == (-15.0, 15.0) and "grey" not in leading
    Policy.load("digits").save(tmp_path / "s.yaml")
    assert runs.policy_of(runs.pick([tmp_path], "s.search")) == Policy.load("digits")


def test_a_hostile_policy_is_a_sentence(tmp_path) -> None:
    make_run(tmp_path / "run")
    text = "version: 1\nname: !!python/object/apply:os.system [id]\n"
    (tmp_path / "run" / "encoder.json").write_text(json.dumps({"policy": text}))
    with pytest.raises(AdaptAugError, match="run: its policy: not valid YAML"):
        runs.policy_of(runs.pick([tmp_path], "run"))


# --- what a search has found ---------------------------------------------------------------------------------
@pytest.mark.parametrize(("told", "said"), [
    ({"outcome": "arm 5", "verified": {"start": 86.55, "arm 5": 93.17},
      "difference": {"arm 5 - start": [6.62, 5.14, 8.09]}},
     "arm 5 won: +6.6 points against the start on images that picked nothing (95 % interval +5.1 to +8.1; 93.2 %)."),
    ({"outcome": "start", "verified": {}, "difference": {"arm 2 - start": [0.4, -0.3, 1.1]}},
     "The start is returned: arm 2 was tried first, but its +0.4 points against the start on images that picked "
     "nothing (95 % interval -0.3 to +1.1) may be chance."),
    ({"outcome": "start", "difference": {}}, "The start is returned: every other arm was surely worse on the images"),
    ({"outcome": "arm 3", "interrupted": "x"}, "Not verified: the search was ended before. arm 3 led"),
    ({"outcome": "start", "interrupted": "x"}, "Not verified: the search was ended before, and no arm"),
    ({"outcome": "arm 1", "difference": {"arm 1 - start": ["<b>", 1, 2]}}, ""), ({}, ""), ({"difference": 3}, ""),
])  # fmt: skip
def test_the_verdict_of_a_search_is_told(tmp_path, told, said) -> None:
    folder = tmp_path / "a.search"
    folder.mkdir()
    assert findings.verdict(runs.Found("a.search", "search", folder, 0)) == "", "it has not ended"
    Policy.load("simclr").edit(provenance=told).save(folder / "policy.yaml")
    found = findings.verdict(runs.Found("a.search", "search", folder, 0))
    assert found.startswith(said) and bool(found) == bool(said)


def test_a_policy_comes_with_an_image_of_its_data_or_a_sentence(tmp_path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 20, 30, 3), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", x=pixels)
    folder = tmp_path / "a.search"
    folder.mkdir()
    run = runs.Found("a.search", "search", folder, 0)
    recipe = {"data": open_data(tmp_path / "mine.npz").fingerprint(), "size": 64}
    (folder / "settings.json").write_text(json.dumps({"recipe": recipe}))
    assert findings.image_of(run) is None, "searches of before do not say where"
    (folder / "data.txt").write_text(str(tmp_path / "mine.npz"))
    name, image, size = findings.image_of(run)
    assert name.startswith("mine.npz: ") and np.array_equal(image(), pixels[0]) and size == 64
    (folder / "data.txt").write_text(str(tmp_path / "gone.npz"))
    with pytest.raises(AdaptAugError, match=r"gone\.npz: the data of a\.search is not where it was"):
        findings.image_of(run)
    np.savez(tmp_path / "other.npz", x=255 - pixels)
    (folder / "data.txt").write_text(str(tmp_path / "other.npz"))
    with pytest.raises(AdaptAugError, match="is not the data that"):
        findings.image_of(run)


# --- the demo -----------------------------------------------------------------------------------------------
def test_without_the_extra_the_way_out_is_said(monkeypatch) -> None:
    found = demo.importlib.util.find_spec
    monkeypatch.setattr(
        demo.importlib.util, "find_spec", lambda name: None if name == "optuna" else found(name)
    )
    with pytest.raises(AdaptAugError, match=r"needs optuna, .* pip install 'adaptaug\[search\]'"):
        demo.Demo().start()


def demo_that_runs(code: str, monkeypatch) -> demo.Demo:
    """A demo whose process does something else."""
    pytest.importorskip("optuna")
    popen = subprocess.Popen
    monkeypatch.setattr(demo.subprocess, "Popen", lambda args, **k: popen([sys.executable, "-c", code], **k))
    return demo.Demo()


def test_a_demo_that_does_not_listen_is_killed_by_who_started_it_and_its_folder_goes(monkeypatch) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); input()"
    running = demo_that_runs(code, monkeypatch)
    folder = running.start("me")
    while "deaf" not in (folder / "log.txt").read_text():
        time.sleep(0.02)
    with pytest.raises(AdaptAugError, match="running already"):
        running.start()
    with pytest.raises(AdaptAugError, match="Another visitor started this demo"):
        running.stop("you")
    assert running.running
    running.stop("me")
    assert not running.running and running.state()["said"] == "Stopped before its first training"
    running.close()
    assert not folder.exists()


@pytest.mark.parametrize(("code", "said"), [
    ("raise SystemExit('no memory left')", "The demo ended with an error: no memory left"),
    ("import os; os.kill(os.getpid(), 9)", "The demo was killed (SIGKILL), as a system does when memory runs out"),
])  # fmt: skip
def test_a_demo_that_fails_or_is_killed_says_so(monkeypatch, code, said) -> None:
    failing = demo_that_runs(code, monkeypatch)
    failing.start()
    failing._process.wait()
    assert failing.state()["said"].startswith(said)
    failing.close()


def test_a_demo_tells_its_stage_and_the_seconds_left_and_ends_in_time(tmp_path) -> None:
    at = [1000.0]

    def told() -> str:
        return demo._under_way(demo._read(tmp_path / demo.PROGRESS), at[0] - 1000.0)

    teller = demo.Teller(tmp_path, 1000.0 + demo.SECONDS, lambda: at[0])
    teller.tell(demo.MEASURING)
    at[0] += 7
    assert told() == "Measuring this machine, 7 s so far of 60"
    teller.stages = [("warm-up", 1, 1), ("rung 1", 3, 1), ("verification", 4, 5)]
    teller.begin("warm-up", 1)
    at[0] += 1
    teller.done("")
    assert told() == "Warm-up: 1 of 8 trainings, about 23 s left"  # 1 s an epoch, 3 + 20 of which are to come
    teller.begin("rung 1", 3)
    for _ in range(3):
        at[0] += 1
        teller.done("")
    teller.begin("verification", 2)  # fewer than there might have been
    assert told() == "Verification: 4 of 8 trainings, about 10 s left"
    at[0] = 1000.0 + demo.SECONDS + 1
    with pytest.raises(demo.OutOfTime):
        teller.done("")


def test_a_slow_machine_trains_on_fewer_images() -> None:
    assert demo.fitting(240, 10.0, 50.0) == 240
    assert demo.fitting(240, 100.0, 65.0) == 120
    assert demo.fitting(240, 1000.0, 50.0) == 4 * demo.BATCH
