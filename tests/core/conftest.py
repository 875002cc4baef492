"""The core's kernels by themselves: the product's own C files, compiled for the test."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "adaptaug" / "core"
FLAGS = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",
    "-Werror",
    "-O3",
    "-ffp-contract=off",
    "-fPIC",
    "-shared",
]


@pytest.fixture(scope="session")
def pixels_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The files that implement pixels.h."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler in PATH to compile adaptaug/core with")
    path = tmp_path_factory.mktemp("core") / "pixels.so"
    sources = [CORE / name for name in ("arena.c", "levels.c", "warp.c", "filters.c")]
    subprocess.run([compiler, *FLAGS, *map(str, sources), "-o", str(path), "-lm"], check=True)
    return ctypes.CDLL(str(path))
