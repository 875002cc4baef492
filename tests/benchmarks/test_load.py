"""Long use in small: what grows is seen, what does not grow is not, and the app answers many at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import load


def test_what_is_made_once_is_no_growth_and_what_comes_again_is():
    assert load.growth([10.0, 90.0] + [100.0] * 78) == 0
    assert load.growth([float(i) for i in range(100)]) == pytest.approx(50, abs=1)
    assert load.resident(2**22 + 1) == 0


# In a process of its own: one that ran other tests has memory to give without growing.
HELD = """
import numpy
from benchmarks import load
kept, held = [numpy.ones(5_000_000, numpy.uint8) for _ in range(8)], [load.resident()]
kept += [numpy.ones(20_000_000, numpy.uint8) for _ in range(4)]
print(load.resident() - held[0])
"""


def test_what_a_process_holds_is_counted():
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert 60 < float(done.stdout) < 120


@pytest.mark.slow
def test_views_of_many_images_do_not_grow(tmp_path):
    out = tmp_path / "load.json"
    asked = ["views", "--images", "40000", "--out", str(out)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.load", *asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    one, two = json.loads(out.read_text())["runs"]
    assert one["images"] == two["images"] == 40_000
    assert set(one["growth_mb"]) == {"this process"}
    assert set(two["growth_mb"]) == {"this process", "worker 0", "worker 1"}


@pytest.mark.slow
def test_the_app_answers_or_refuses_many_visitors(tmp_path):
    pytest.importorskip("gradio", reason="the page needs gradio: pip install 'adaptaug[ui]'")
    out = tmp_path / "load.json"
    asked = ["app", "--clients", "12", "--seconds", "10", "--out", str(out)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.load", *asked], capture_output=True, text=True,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert found["alive"] and found["answers_after"] == "done" and sum(found["answers"].values()) >= 12
