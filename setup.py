"""Compiles adaptaug/core into one library for each set of instructions, with no compiler on the machine.

The compiler is zig, which pip fetches as `ziglang` (pyproject.toml); where it has no wheel or fails, $CC or cc. An
install never fails for want of the core, as torch does its work then. ADAPTAUG_CORE=require makes that an error,
ADAPTAUG_CORE=off builds none. By hand, in place: python setup.py build_ext --inplace (`make core`).
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = Path(__file__).resolve().parent
CORE = ROOT / "adaptaug" / "core"
LOG = ROOT / "build" / "core.log"
_spec = importlib.util.spec_from_file_location("built", CORE / "built.py")
built = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(built)

WISH = os.environ.get("ADAPTAUG_CORE", "")
FLAGS = "-O3 -std=c11 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-trapping-math".split()
GLIBC, MACOS = "2.28", "11.0"  # the oldest systems that the libraries and the wheel are for


def zig_target(machine: str, system: str) -> str:
    """zig's name for what a library is compiled for, with the oldest C library or system that it shall run on."""
    if system == "linux":
        return (
            f"{machine}-linux-gnu.{GLIBC}" if platform.libc_ver()[0] == "glibc" else f"{machine}-linux-musl"
        )
    return f"{machine}-macos.{MACOS}" if system == "darwin" else f"{machine}-windows-gnu"


class Compiler(NamedTuple):
    """How a C compiler is called, and what it is told of a level: of our code alone. zig makes its C library for the
    target, too, and would make it again for each level that is named where it links."""

    command: list[str]
    level: list[str]


def zig(level: str, machine: str, system: str = sys.platform) -> Compiler | None:
    """zig's C compiler, None where it is not installed."""
    if importlib.util.find_spec("ziglang") is None:
        return None
    cpu = level if level != machine else "baseline"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", zig_target(machine, system)]
    return Compiler(command, [f"-mcpu={cpu}"])


def own_compiler(level: str) -> Compiler | None:
    """The machine's C compiler: $CC, else cc, else None."""
    command = shlex.split(os.environ.get("CC", "")) or [path for path in [shutil.which("cc")] if path]
    march = [f"-march={level.replace('_', '-')}"] if level.startswith("x86_64_v") else []
    return Compiler(command, march) if command else None


def compile_core(compiler: Compiler, out: Path, work: Path) -> None:
    """Compile all of the core into `out`; `work` takes what comes in between. CompileError has the compiler's words."""
    work = work / out.stem
    work.mkdir(parents=True, exist_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    hash_file = work / "source_hash.c"
    hash_file.write_text(
        f'#include "build.h"\nconst char *core_source_hash(void) {{ return "{built.source_hash(CORE)}"; }}\n'
    )
    sources = [path for path in built.source_files(CORE) if path.suffix == ".c"]
    # zig wants a home for its caches: kept in build/, so that only what changed is compiled again.
    environment = dict(os.environ)
    for cache in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
        environment.setdefault(cache, str(ROOT / "build" / "zig"))
    objects = {path: work / f"{path.stem}.o" for path in [*sources, hash_file]}
    compiling = [*compiler.command, *compiler.level, *FLAGS, f"-I{CORE}", "-c"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        calls = [[*compiling, str(source), "-o", str(into)] for source, into in objects.items()]
        list(pool.map(partial(_call, environment=environment), calls))
    linking = [*compiler.command, *FLAGS, "-shared", "-s", *map(str, objects.values()), "-o", str(out), "-lm"]
    _call(linking, environment)


def _call(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise CompileError(f"{command[0]} does not start: {error}") from error
    if done.returncode:
        raise CompileError(f"{shlex.join(command)} failed with {done.returncode}:\n{done.stderr}")


class BuildCore(build_ext):
    """Each extension is a library that ctypes loads, one for all Pythons: no module of one Python."""

    by_zig = True

    def get_ext_filename(self, name: str) -> str:
        *package, stem = name.split(".")
        return str(Path(*package, built.library_name(stem.removeprefix("core_"))))

    def run(self) -> None:
        if WISH != "off":
            return super().run()
        for extension in self.extensions:
            self.remove(extension)

    def remove(self, extension: Extension) -> None:
        """No library of an earlier build shall pass for this one's."""
        out = Path(self.get_ext_fullpath(extension.name))
        for path in (out, CORE / out.name):
            path.unlink(missing_ok=True)

    def build_extension(self, extension: Extension) -> None:
        level = extension.name.rpartition("core_")[2]
        out, work = Path(self.get_ext_fullpath(extension.name)), Path(self.build_temp)
        compilers = [one for one in (zig(level, built.machine()), own_compiler(level)) if one]
        failures = [] if compilers else ["neither ziglang nor a C compiler ($CC, cc) is there"]
        for compiler in compilers:
            try:
                compile_core(compiler, out, work)
                self.by_zig &= "ziglang" in compiler.command
                return
            except CompileError as error:
                failures.append(str(error))
        self.remove(extension)
        failures[0] = f"the compiled core could not be built (ADAPTAUG_CORE=off leaves it out): {failures[0]}"
        failure = "\n".join(failures)
        LOG.parent.mkdir(exist_ok=True)
        LOG.write_text(failure)  # pip -q hides what an optional extension says: .ci/setup reads it here
        raise CompileError(failure)


class CoreWheel(bdist_wheel):
    """A wheel for every Python 3 of a platform; for every platform, where it has no library."""

    def get_tag(self) -> tuple[str, str, str]:
        build = self.get_finalized_command("build_ext")
        if not any(Path(path).exists() for path in build.get_outputs()):
            return "py3", "none", "any"
        if self.plat_name_supplied or not build.by_zig:
            return "py3", "none", super().get_tag()[2]
        if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
            return "py3", "none", f"manylinux_{GLIBC.replace('.', '_')}_{built.machine()}"
        if sys.platform == "darwin":
            return "py3", "none", f"macosx_{MACOS.replace('.', '_')}_{platform.machine()}"
        return "py3", "none", super().get_tag()[2]


def extensions() -> list[Extension]:
    files = [str(path.relative_to(ROOT)) for path in built.source_files(CORE)]
    sources = [file for file in files if file.endswith(".c")]
    return [
        Extension(f"adaptaug.core.core_{level}", sources, depends=files, optional=WISH != "require")
        for level in built.levels()
    ]


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildCore, "bdist_wheel": CoreWheel})
