"""Counting broken promises: in one sitting or several, by every way in, and what is broken is found."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from adaptaug.errors import AdaptAugError
from benchmarks import promise
from benchmarks.promise import RANDOM, SIZES, WAYS, Settings, begun, count, run, shares, units

SETTINGS = Settings(None, 4, ("natural",), 6, 3)
COUNTS = ("units", "views", "violations", "found", "rows", "ways")


def counts(total):
    return {name: total[name] for name in COUNTS}


def test_several_sittings_count_what_one_does(tmp_path):
    whole = run(SETTINGS, 500)
    assert run(SETTINGS, 200, tmp_path / "r.json")["views"] < 500
    assert counts(run(SETTINGS, 500, tmp_path / "r.json")) == counts(whole)
    kept = json.loads((tmp_path / "r.json").read_text())
    assert counts(kept) == counts(whole) and len(kept["sittings"]) == 2
    assert whole["violations"] == 0 and {row["policy"] for row in whole["rows"]} == {"natural", RANDOM}


def _count_and_save_each_unit(out):
    promise.SAVE_EVERY = 0.0
    run(SETTINGS, 1_000_000, out)


def test_killed_at_any_moment_nothing_is_half_or_counted_twice(tmp_path):
    out, views = tmp_path / "r.json", 0
    for more in (1, 300):  # twice, at another place each time
        victim = multiprocessing.get_context("fork").Process(target=_count_and_save_each_unit, args=(out,))
        victim.start()
        deadline, least = time.monotonic() + 120, views + more
        while views < least and time.monotonic() < deadline:
            time.sleep(0.01)
            views = (
                json.loads(out.read_text())["views"] if out.exists() else 0
            )  # whole whenever it is looked at
        victim.kill()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL
    left = json.loads(out.read_text())
    assert left["views"] == sum(row["views"] for row in left["rows"]) >= least
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == [out]
    whole = run(SETTINGS, left["views"] + 200)
    assert counts(run(SETTINGS, left["views"] + 200, out)) == counts(whole)


def test_a_file_goes_on_with_its_own_settings_only(tmp_path):
    run(SETTINGS, 1, tmp_path / "r.json")
    with pytest.raises(AdaptAugError, match="same settings"):
        begun(tmp_path / "r.json", Settings(None, 4, ("natural",), 6, 4))


def test_every_way_and_size_has_its_share():
    found = list(units(SETTINGS, 200_000))
    for way, share in WAYS.items():
        assert sum(unit.way == way for unit in found) / len(found) == pytest.approx(share, abs=0.05)
    for size, (share, _) in SIZES.items():
        assert sum(unit.size == size for unit in found) / len(found) == pytest.approx(share, abs=0.05)
    assert found[:9] == list(units(SETTINGS, 2000))[:9]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_broken_is_found_with_its_key_by_every_way(monkeypatch, way):
    """The views of a policy without guards, judged by a promise that was never given."""
    unit = next(u for u in units(SETTINGS, 10_000) if u.size == 32 and isinstance(u.policy, int))
    unit = unit._replace(way=way, images=12)
    assert count(SETTINGS, unit)["broken: any"] == 0
    drawn = promise.random_policy
    monkeypatch.setattr(promise, "random_policy", lambda seed: drawn(seed).edit(guards=False))
    broken = count(SETTINGS, unit)
    assert broken["views"] == 24 and broken["broken: any"] == len(broken["found"]) > 0
    assert all(found["way"] == way and found["tests"] and len(found["key"]) == 3 for found in broken["found"])


def test_shares_are_summed_by_policy_and_source():
    rows = [
        {"policy": "a", "source": s, "views": 10, "certificate": n} for s, n in (("x", 1), ("x", 2), ("y", 3))
    ]
    assert shares(rows) == {("a", "x"): (20, 3), ("a", "y"): (10, 3), ("a", ""): (30, 6)}


def test_it_stops_when_told_and_keeps_its_totals(tmp_path):
    out = tmp_path / "r.json"
    asked = ["--views", "1000000", "--workers", "2", "--out", str(out)]
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.promise", *asked],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    deadline = time.monotonic() + 300
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=300)
    assert child.returncode == 0 and "goes on from here" in said
    total = json.loads(out.read_text())
    assert 0 < total["views"] < 1_000_000 and total["views"] == sum(row["views"] for row in total["rows"])
