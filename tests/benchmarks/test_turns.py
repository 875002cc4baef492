"""Measuring in turns: ratios are of one round, and results keep one line a row."""

import json
from itertools import cycle

import pytest

from benchmarks import turns
from benchmarks.throughput import ROWS, measured
from benchmarks.turns import Claim, Contender, Inside


class Hours:
    """A clock that only contenders move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


def test_a_ratio_is_of_two_times_of_one_round():
    clock, slow = Hours(), cycle([1.0, 1.0, 1.0, 8.0, 8.0, 1.0])  # a machine that is busy for a while
    times = iter([s for s in (next(slow) for _ in range(60)) for _ in range(2)])
    ours = Contender("ours", lambda x: clock.spend(x * next(times)), cycle([1.0]), 16)
    peer = Contender("peer", lambda x: clock.spend(x * next(times)), cycle([3.0]), 16)
    turns.measure([ours, peer], 12, 0.0, clock)
    assert len(ours.times) == 12
    assert {min(ours.times), max(ours.times)} == {62.5, 500}  # ms for each of 16 views
    (claim,) = turns.told([ours, peer], (Claim("peer", "ours", 2.5, 4),))["claims"]
    assert claim["median"] == 3 and claim["quartiles"] == [3, 3] and claim["met"]


def test_a_claim_below_its_bound_is_one_of_at_most():
    contenders = {
        name: Contender(name, print, cycle([0]), 1, times=[t]) for name, t in (("a", 1.2), ("b", 1.0))
    }
    assert not Claim("a", "b", 1.1, 1.0).judged(contenders)["met"]
    assert Claim("a", "b", 1.1, 1.5).judged(contenders)["met"]


def test_a_part_is_timed_inside_its_whole():
    clock, spent = Hours(), []

    def step(_: float) -> None:
        spent.append(20.0)
        clock.spend(0.1)

    def inside(_: None) -> float:
        share = sum(spent) / len(spent)
        spent.clear()
        return share

    whole, part = Contender("whole", step, cycle([0.0]), 16), Inside("part", inside, cycle([None]), 16)
    turns.measure([whole, part], 3, 0.3, clock)
    assert Claim("part", "whole", 0.3, 0.1).judged({"whole": whole, "part": part})["median"] == pytest.approx(
        0.2
    )


def test_a_row_has_one_line_the_latest(tmp_path):
    path = tmp_path / "r.jsonl"
    for row, value in (("a", 1), ("b", 2), ("a", 3)):
        turns.keep({"row": row, "value": value}, path)
    assert [json.loads(line)["value"] for line in (tmp_path / "r.jsonl").read_text().splitlines()] == [3, 2]


@pytest.mark.parametrize("name", ["photo", "operations", "step"])
def test_a_rows_line_says_all_that_a_reader_needs(name):
    pytest.importorskip("albumentations")
    pytest.importorskip("lightly")
    line = measured(name, ROWS[name], None, 1, 0.0)
    assert {"row", "command", "commit", "at", "machine", "load", "rounds", "threads"} <= set(line)
    assert [claim["ratio"] for claim in line["claims"]] == [
        f"{c.over} / {c.under}" for c in ROWS[name].claims
    ]
    assert all(one["ms"] > 0 for one in line["contenders"])
    json.dumps(line)
