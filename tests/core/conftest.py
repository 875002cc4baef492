"""The core's kernels by themselves: the product's own C files, compiled for the test."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adaptaug import Policy
from adaptaug.core.records import pack
from adaptaug.policy import preset_names
from tests.support.promise import WIDEST

CORE = Path(__file__).parents[2] / "adaptaug" / "core"
DRIVER = Path(__file__).with_name("driver.c")
DRIVEN = [*(policy for policy in map(Policy.load, preset_names()) if not policy.routes), WIDEST]
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
    folder = tmp_path_factory.mktemp("core")
    own = shutil.which("gcc") or shutil.which("cc")
    compiler = [own] if own else [sys.executable, "-m", "ziglang", "cc"]
    caches = {name: str(folder / "zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    path = folder / "pixels.so"
    sources = [CORE / name for name in ("arena.c", "levels.c", "warp.c", "filters.c")]
    call = [*compiler, *FLAGS, *map(str, sources), "-o", str(path), "-lm"]
    subprocess.run(call, check=True, env={**os.environ, **caches})
    return ctypes.CDLL(str(path))


@pytest.fixture(scope="session")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is driven, as driver.c reads it."""
    path = tmp_path_factory.mktemp("policies") / "policies"
    path.write_bytes(b"".join(bytes(pack(policy)) for policy in DRIVEN))
    return path
