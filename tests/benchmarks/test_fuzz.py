"""What benchmarks.fuzz found, and a small run of it (make test-slow)."""

import subprocess
import sys

import pytest

from adaptaug import AdaptAugError, Policy


@pytest.mark.parametrize("control", [0, 2, 0x1A, 0x1F])
def test_control_characters_are_refused_on_one_line(control):
    with pytest.raises(AdaptAugError) as refused:
        Policy.loads(f"version: 1\nname: a{chr(control)}b\n")
    assert "control characters are not allowed" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("piece", ["1:", "9", "1_"])
def test_a_megabyte_that_might_be_a_number_is_refused_before_it_is_worked_out(piece):
    text = "version: " + piece * (990_000 // len(piece)) + "1"
    with pytest.raises(AdaptAugError, match="a number or date of 990001 characters") as refused:
        Policy.loads(text)
    assert len(str(refused.value)) < 1000


@pytest.mark.slow
def test_a_small_corpus_has_no_problem():
    # How fast a policy is refused is the benchmark's to say: a busy machine is no fault.
    asked = "--files 600 --commands 60 --uploads 30 --policies 400 --policy-seconds 5".split()
    # libtiff writes a damaged file's bytes as they are.
    command = [sys.executable, "-m", "benchmarks.fuzz", *asked]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert done.stdout.endswith(" 0 problems\n")
