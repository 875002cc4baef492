"""The benchmarks of what is learned: a search never sees the test, and a band is judged by what was asked."""

import subprocess
import sys

import numpy as np
import pytest

from adaptaug.data import open_data
from benchmarks import cells, sets
from benchmarks.controller import ALONE, edges_of, held
from benchmarks.protocol import Recipe, split
from benchmarks.protocol import test_of as held_apart
from benchmarks.trial import images_to_search

DIGITS = "sklearn:digits"


def test_the_images_of_a_search_are_none_of_the_test(tmp_path):
    images_to_search(DIGITS, None, "clean", 600, None, tmp_path / "searched.npz")
    searched = {image.tobytes() for image in np.load(tmp_path / "searched.npz")["x"]}
    test = split(DIGITS, None, "clean", Recipe(limit=600), 0, None).test.pixels
    assert not searched & {image.tobytes() for image in test.permute(0, 2, 3, 1).contiguous().numpy()}


def test_a_search_sees_images_in_the_exposure_of_the_training(tmp_path):
    for exposure in ("clean", "dark"):
        images_to_search(DIGITS, None, exposure, 600, None, tmp_path / f"{exposure}.npz")
    clean, dark = (np.load(tmp_path / f"{name}.npz")["x"].mean() for name in ("clean", "dark"))
    assert dark < 0.6 * clean


def test_a_floor_lies_where_so_many_pairs_of_the_policy_left_alone_are_below():
    assert edges_of("floor, 25 % below", [0.1, 0.4, 0.7]) == (0.1, None)


def test_a_ceiling_lies_where_so_many_are_above():
    assert edges_of("ceiling, 50 % above", [0.1, 0.4, 0.7]) == (None, 0.4)


def test_a_policy_left_alone_is_asked_for_nothing():
    assert edges_of(ALONE, []) is None


def test_a_band_counts_as_held_within_two_points_on_the_asked_side_alone():
    assert held({"edges": [0.2, None], "below": 0.115, "above": 0.6})
    assert not held({"edges": [0.2, None], "below": 0.125, "above": 0.1})


def test_an_unknown_benchmark_is_refused_with_those_there_are():
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.learning", "naps"], capture_output=True, text=True
    )
    assert told.returncode == 1 and "expected one of trial, heads, band, proxies, got naps" in told.stderr


def test_solar_cells_ask_for_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "elpv_dataset.utils", None)
    with pytest.raises(SystemExit, match="expected the package elpv-dataset; pip install"):
        cells.make()


def test_a_made_data_set_opens_with_its_test_beside_it(tmp_path, monkeypatch, capsys):
    part = {"x": np.zeros((3, 8, 8), np.uint8), "y": np.arange(3), "class_names": np.array(list("abc"))}
    monkeypatch.setattr(sys, "argv", ["made", "--out", str(tmp_path)])
    sets.write("", "made", lambda: {"train": part, "test": part})
    assert "made_train.npz: 3 images" in capsys.readouterr().out
    assert len(open_data(str(tmp_path / "made_train.npz"))) == 3
    assert held_apart(str(tmp_path / "made_train.npz")) == str(tmp_path / "made_test.npz")
