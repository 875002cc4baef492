"""The core's kernels by themselves: the product's own C files, compiled for the test."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from adaptaug import Policy
from adaptaug.core.records import pack
from adaptaug.policy import preset_names

CORE = Path(__file__).parents[2] / "adaptaug" / "core"
DRIVER = Path(__file__).with_name("driver.c")
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


@pytest.fixture(scope="session")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All presets, as driver.c reads them."""
    path = tmp_path_factory.mktemp("policies") / "policies"
    path.write_bytes(b"".join(bytes(pack(Policy.load(name))) for name in preset_names()))
    return path
