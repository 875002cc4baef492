"""One core from every processor: the driver's views from x86-64 v2 and v3 and, under Debian's qemu, from ARM64."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adaptaug.core import built
from adaptaug.core.records import FLOATS, Report
from tests.core.conftest import CORE, DRIVER
from tests.missing import missing

FLAGS = "-std=gnu11 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math".split()
SOURCES = [DRIVER, *(path for path in sorted(CORE.glob("*.c")) if path.name != "arena.c")]
REPORT = np.dtype(Report)
DECISIONS = ("gate", "failed", "frame", "blank")  # and of each entry: applied, reason
NUMBERS = ("matrix", "span", "lift", "colour", "strength", "noise_seed")
ROUNDS = 1500

pytestmark = pytest.mark.slow

Call = tuple[np.ndarray, np.ndarray]  # the reports of one call, its pixels


@pytest.fixture(scope="module")
def views_from(policies, tmp_path_factory):
    """views_from(level, machine, by) -> what the driver compiled for that level gave, run by `by`."""
    folder = tmp_path_factory.mktemp("levels")
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}
    done: dict[str, list[Call]] = {}

    def make(level: str, machine: str, by: tuple[str, ...] = ()) -> list[Call]:
        if level not in done:
            driver, results = folder / level, folder / f"{level}.results"
            cpu = level if level != machine else "baseline"
            zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-musl", *FLAGS]
            objects = {path: folder / f"{level}-{path.stem}.o" for path in SOURCES}
            for (
                path,
                out,
            ) in objects.items():  # the level is our code's alone: the C library is the same for both
                call = [*zig, f"-mcpu={cpu}", f"-I{CORE}", "-c", path, "-o", out]
                subprocess.run(call, env=environment, check=True)
            subprocess.run([*zig, "-static", *objects.values(), "-o", driver], env=environment, check=True)
            subprocess.run([*by, driver, policies, str(ROUNDS), results], check=True)
            done[level] = read(results)
        return done[level]

    return make


def read(path: Path) -> list[Call]:
    content, at, calls = path.read_bytes(), 0, []
    while at < len(content):
        count, views, size, channels, form = np.frombuffer(content, np.int32, 5, at)
        reports = np.frombuffer(content, REPORT, count * views, at + 20)
        at += 20 + reports.nbytes
        kind = np.float32 if form == FLOATS else np.uint8
        pixels = np.frombuffer(content, kind, count * views * size * size * channels, at)
        at += pixels.nbytes
        calls.append((reports, pixels))
    return calls


def test_the_reader_reads_what_the_driver_wrote(views_from):
    if built.machine() != "x86_64":
        pytest.skip("it compares libraries for x86-64, which this processor does not run")
    calls = views_from("x86_64_v2", "x86_64")
    reports = np.concatenate([reports for reports, _ in calls])
    assert len(calls) > ROUNDS / 4 and len(reports) > ROUNDS / 2
    assert np.isfinite(reports["matrix"]).all() and (reports["span"] > 0).all()
    assert reports["entry"]["applied"].any() and (reports["entry"]["applied"] <= 1).all()
    assert np.concatenate([pixels.astype(np.float64) for _, pixels in calls]).max() == 255


@pytest.mark.parametrize("other", ["x86_64_v3", "aarch64"])
def test_levels_decide_alike_and_give_the_same_pixels(other, views_from):
    if built.machine() != "x86_64":
        pytest.skip("it compares libraries for x86-64, which this processor does not run")
    if other == "aarch64":
        if shutil.which("qemu-aarch64") is None:
            missing("no qemu-aarch64: apt-get install qemu-user")
        theirs = views_from("aarch64", "aarch64", ("qemu-aarch64",))
    else:
        theirs = views_from(other, "x86_64")
    ours = views_from("x86_64_v2", "x86_64")
    assert len(ours) == len(theirs)
    differing = pixels = 0
    for (ours_told, ours_seen), (theirs_told, theirs_seen) in zip(ours, theirs, strict=True):
        for name in DECISIONS:
            np.testing.assert_array_equal(ours_told[name], theirs_told[name])
        for name in ("applied", "reason"):
            np.testing.assert_array_equal(ours_told["entry"][name], theirs_told["entry"][name])
        for name in NUMBERS:
            np.testing.assert_allclose(ours_told[name], theirs_told[name], rtol=1e-9, atol=1e-9)
        for name in ("value", "low", "high"):
            np.testing.assert_allclose(
                ours_told["entry"][name], theirs_told["entry"][name], rtol=1e-9, atol=1e-9
            )
        gap = np.abs(ours_seen.astype(np.float64) - theirs_seen)
        assert gap.max() <= 1
        differing += int((gap > 0).sum())
        pixels += gap.size
    print(f"{other}: {differing} of {pixels} values differ by one level")
    assert differing <= pixels / 1000
