"""What the core is built from and into: names and one hash, as setup.py and the loader both need them.

setup.py reads this file by its path, before anything is installed: it imports nothing of adaptaug.
"""

from __future__ import annotations

import os
import platform
import sys
import zlib
from pathlib import Path

LEVELS = {"x86_64": ("x86_64_v2", "x86_64_v3"), "aarch64": ("aarch64",)}  # the best last
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}


def machine() -> str:
    """x86_64 or aarch64 under whatever name this system has for them, else that name."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def levels() -> tuple[str, ...]:
    """The sets of instructions that this machine's libraries are compiled for, the best last."""
    return LEVELS.get(machine(), (machine(),))


def library_name(level: str, system: str = sys.platform) -> str:
    return f"core_{level}{SUFFIX.get(system, '.so')}"


def source_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))


def source_hash(folder: Path) -> str:
    """8 hex digits of the names and bytes of all C files in `folder`: read at each start, so the cheapest there is."""
    names = sorted(name for name in os.listdir(folder) if name.endswith((".c", ".h")))  # noqa: PTH208
    crc = 0
    for name in names:
        with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
            crc = zlib.crc32(file.read(), zlib.crc32(name.encode(), crc))
    return f"{crc:08x}"
