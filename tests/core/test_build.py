"""How the core is compiled, installed, found and refused. Failures are planted in copies, some with build.c alone."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptaug import AdaptAugError
from adaptaug.core import built, library

ROOT = Path(__file__).parents[2]
NOWHERE = "/nonexistent"  # as PATH: no gcc, no cc
SYNTAX_ERROR = "int broken(void) { return 1 }\n"
WITHOUT_ZIG = (
    "import sys, runpy; sys.modules['ziglang'] = None; runpy.run_path('setup.py', run_name='__main__')"
)


@pytest.fixture(scope="module")
def zig_cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = str(tmp_path_factory.mktemp("zig"))
    return {"ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}


@pytest.fixture(scope="module")
def environment(zig_cache: dict[str, str]) -> dict[str, str]:
    """An environment without a compiler, a home and a wish."""
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "CC", "ADAPTAUG_CORE")}
    return {**kept, **zig_cache, "PATH": NOWHERE}


def copy_of(folder: Path, whole: bool = False) -> Path:
    """What an install reads, with all of the core or with build.c alone."""
    ignored = shutil.ignore_patterns("*.so", "*.dll", "*.dylib", "__pycache__")
    for name in ("adaptaug", "ui", "policies"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    for path in (folder / "adaptaug" / "core").glob("*.c"):
        if not whole and path.name != "build.c":
            path.unlink()
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With build.c alone: enough for what fails, and compiled at once."""
    return copy_of(tmp_path / "checkout")


@pytest.fixture(scope="module")
def once_compiled(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    checkout = copy_of(tmp_path_factory.mktemp("once") / "checkout", whole=True)
    done = build(checkout, environment, ADAPTAUG_CORE="require")
    assert done.returncode == 0, done.stderr
    return checkout


@pytest.fixture
def compiled(once_compiled: Path, tmp_path: Path) -> Path:
    """A copy of its own of a checkout whose core is compiled."""
    return shutil.copytree(once_compiled, tmp_path / "compiled")


def run(*call: str | Path, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in call], cwd=cwd, env=env, capture_output=True, text=True)


def build(checkout: Path, env: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    """As `make core` does."""
    return run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", cwd=checkout, env={**env, **more})


def libraries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("core_*") if path.suffix in (".so", ".dll", ".dylib"))


ALL = sorted(map(built.library_name, built.levels()))


@pytest.fixture
def found_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """found_in(checkout): the loader looks there, as a process that starts."""
    caches = (library._attempt, library._hash, library.say_once)

    def look(checkout: Path) -> None:
        monkeypatch.setattr(library, "FOLDER", checkout / "adaptaug" / "core")
        for cached in caches:
            cached.cache_clear()

    monkeypatch.delenv("ADAPTAUG_CORE", raising=False)
    yield look
    for cached in caches:
        cached.cache_clear()


def test_it_is_compiled_without_a_compiler(compiled, found_in):
    assert libraries(compiled / "adaptaug") == ALL
    found_in(compiled)
    core = library.load()
    assert core is not None and library.why_not() == ""
    flags = Path("/proc/cpuinfo")
    if built.machine() == "x86_64" and flags.exists():
        modern = all(
            flag in flags.read_text().split() for flag in ("avx2", "bmi2", "fma", "movbe", "f16c", "abm")
        )
        assert core.core_runs_v3() == modern
        assert core._name.endswith("v3.so" if modern else "v2.so")


@pytest.mark.slow
def test_its_own_compiler_serves_where_zig_has_no_wheel(tmp_path, environment, found_in):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler in PATH")
    checkout = copy_of(tmp_path / "checkout", whole=True)
    more = {"PATH": os.environ["PATH"], "ADAPTAUG_CORE": "require"}
    done = run(
        sys.executable,
        "-c",
        WITHOUT_ZIG,
        "-q",
        "build_ext",
        "--inplace",
        cwd=checkout,
        env={**environment, **more},
    )
    assert done.returncode == 0, done.stderr
    found_in(checkout)
    assert library.load() is not None


def test_without_any_compiler_the_install_goes_on(checkout, environment):
    call = (sys.executable, "-c", WITHOUT_ZIG, "-q", "build_ext", "--inplace")
    done = run(*call, cwd=checkout, env=environment)
    assert done.returncode == 0
    assert "neither ziglang nor a C compiler ($CC, cc) is there" in done.stderr
    done = run(*call, cwd=checkout, env={**environment, "ADAPTAUG_CORE": "require"})
    assert done.returncode != 0


def test_a_failed_build_falls_back_and_says_so(checkout, environment, found_in):
    assert build(checkout, environment).returncode == 0
    (checkout / "adaptaug" / "core" / "broken.c").write_text(SYNTAX_ERROR)
    done = build(checkout, environment)
    assert done.returncode == 0
    assert "broken.c:1:28: error: expected ';'" in done.stderr
    assert "broken.c:1:28: error: expected ';'" in (checkout / "build" / "core.log").read_text()
    assert libraries(checkout) == []  # the one from before is not taken for this one's
    found_in(checkout)
    said: list[str] = []
    library.say_once(said.append)
    library.say_once(said.append)
    assert library.load() is None
    assert len(said) == 1 and "core_" in said[0] and "is not there" in said[0] and "make core" in said[0]


def test_a_required_core_that_fails_is_an_error(checkout, environment, found_in, monkeypatch):
    (checkout / "adaptaug" / "core" / "broken.c").write_text(SYNTAX_ERROR)
    done = build(checkout, environment, ADAPTAUG_CORE="require")
    assert done.returncode != 0
    assert "broken.c:1:28: error: expected ';'" in done.stderr
    assert "ADAPTAUG_CORE=off leaves it out" in done.stderr
    found_in(checkout)
    monkeypatch.setenv("ADAPTAUG_CORE", "require")
    with pytest.raises(
        AdaptAugError, match=r"^ADAPTAUG_CORE=require, but core_.* is not there: .*make core.*\.$"
    ):
        library.load()


def test_off_builds_and_loads_none(compiled, environment, found_in, monkeypatch):
    found_in(compiled)
    monkeypatch.setenv("ADAPTAUG_CORE", "off")
    assert library.load() is None
    assert library.why_not() == "ADAPTAUG_CORE=off"
    assert build(compiled, environment, ADAPTAUG_CORE="off").returncode == 0
    assert libraries(compiled / "adaptaug") == []


def test_an_unknown_wish_is_refused(found_in, monkeypatch):
    found_in(ROOT)
    monkeypatch.setenv("ADAPTAUG_CORE", "on")
    with pytest.raises(AdaptAugError, match="ADAPTAUG_CORE is 'on': expected 'require', 'off' or nothing"):
        library.load()


def test_a_library_of_other_sources_is_refused(compiled, found_in):
    found_in(compiled)
    assert library.load() is not None
    source = compiled / "adaptaug" / "core" / "build.c"
    source.write_text(source.read_text() + "// changed\n")
    found_in(compiled)
    assert library.load() is None
    assert "was compiled from other sources" in library.why_not()


def test_a_struct_of_another_size_is_refused(compiled, found_in, monkeypatch):

    class Entry(ctypes.Structure):
        _fields_ = (("value", ctypes.c_float),)

    for name, told in (
        ("Entry", r"Entry has \d+ bytes in core_.* and 4 in Python"),
        ("Unheard", "Unheard has -1 bytes"),
    ):
        found_in(compiled)
        monkeypatch.setattr(library, "STRUCTS", {name: Entry})
        assert library.load() is None
        assert re.search(told, library.why_not())


def test_a_library_of_another_system_is_refused(compiled, found_in):
    for name in ALL:
        (compiled / "adaptaug" / "core" / name).write_bytes(b"for another system")
    found_in(compiled)
    assert library.load() is None
    assert "does not load" in library.why_not()


# --- installs -------------------------------------------------------------------------------------------------------

PROBE = """
import adaptaug, adaptaug.ui, adaptaug.policies
from adaptaug.core import library
from pathlib import Path
print(library.load()._name)
"""

OF_EXTRAS = (
    "gradio", "lightly", "pytorch_lightning", "sklearn", "tensorboard", "huggingface_hub", "optuna", "psycopg",
    "albumentations", "kornia", "timm", "datasets", "webdataset", "pillow_heif", "pillow_jxl", "pillow_avif",
    "pytest", "sphinx",
)  # fmt: skip
VIEWS = f"""
import sys
sys.modules.update(dict.fromkeys({OF_EXTRAS}))  # as where they are not installed
import numpy as np, adaptaug
image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
for policy in ("natural", "digits", "documents", "lowlight", "simclr"):
    views = adaptaug.Views(policy, n=2, size=32)
    print(policy, *(tuple(view.shape) for view in views(image, key=(0, 0, 0))))
    assert "certificate" in str(views.explain(image, key=(0, 0, 0))[0])
"""


def fresh(folder: Path) -> Path:
    """An empty environment's Python. Its packages (torch and on, and what pip would fetch to build) are this one's."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    own = run(
        python,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=folder,
        env=dict(os.environ),
    )
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (Path(own.stdout.strip()) / "shared.pth").write_text("\n".join(shared))
    return python


def install(python: Path, what: Path, env: dict[str, str], *options: str) -> None:
    done = run(
        python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed",
        *options, what, cwd=python.parent, env={**env, "ADAPTAUG_CORE": "require"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def where_it_loads(python: Path, env: dict[str, str]) -> Path:
    done = run(python, "-c", PROBE, cwd=python.parent, env={**env, "ADAPTAUG_CORE": "require"})
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def assert_makes_views(python: Path, env: dict[str, str]) -> None:
    """Without any extra, as `pip install .` leaves it."""
    done = run(python, "-c", VIEWS, cwd=python.parent, env={**env, "ADAPTAUG_CORE": "require"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(3, 32, 32) (3, 32, 32)") == 5


@pytest.mark.slow
def test_a_wheel_brings_it(tmp_path, environment):
    checkout = copy_of(tmp_path / "checkout", whole=True)
    done = run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, checkout,
        cwd=tmp_path, env={**environment, "ADAPTAUG_CORE": "require"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    if sys.platform == "linux":
        assert wheel.name.endswith(f"-py3-none-manylinux_2_28_{built.machine()}.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"adaptaug/core/{name}" for name in ALL} <= set(names)
    python = fresh(tmp_path / "venv")
    install(python, wheel, environment)
    assert where_it_loads(python, environment).is_relative_to(tmp_path / "venv")
    assert_makes_views(python, environment)


@pytest.mark.slow
def test_a_wheel_without_it_is_for_every_platform(tmp_path, environment):
    checkout = copy_of(tmp_path / "checkout")
    done = run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, checkout,
        cwd=tmp_path, env={**environment, "ADAPTAUG_CORE": "off"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name.partition("-py3")[2] for path in tmp_path.glob("*.whl")] == ["-none-any.whl"]


@pytest.mark.slow
def test_a_source_distribution_builds_it(tmp_path, environment):
    checkout = copy_of(tmp_path / "checkout", whole=True)
    done = run(
        sys.executable, "setup.py", "-q", "sdist", "--dist-dir", tmp_path, cwd=checkout, env=environment
    )
    assert done.returncode == 0, done.stderr
    [archive] = tmp_path.glob("*.tar.gz")
    inside = {Path(name).name for name in tarfile.open(archive).getnames()}
    assert {path.name for path in built.source_files(ROOT / "adaptaug" / "core")} <= inside
    python = fresh(tmp_path / "venv")
    install(python, archive, environment)
    assert where_it_loads(python, environment).is_relative_to(tmp_path / "venv")
    assert_makes_views(python, environment)


@pytest.mark.slow
def test_an_editable_install_carries_it(tmp_path, environment):
    checkout = copy_of(tmp_path / "checkout", whole=True)
    python = fresh(tmp_path / "venv")
    install(python, checkout, environment, "-e")
    assert where_it_loads(python, environment).parent == checkout / "adaptaug" / "core"


@pytest.mark.slow
def test_an_editable_install_outlives_a_failed_build(tmp_path, environment):
    checkout = copy_of(tmp_path / "checkout")
    (checkout / "adaptaug" / "core" / "broken.c").write_text(SYNTAX_ERROR)
    python = fresh(tmp_path / "venv")
    done = run(
        python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-e", checkout,
        cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run(python, "-m", "adaptaug", "ui", "--images", NOWHERE, cwd=tmp_path, env=environment)
    assert done.stderr.count("torch makes the views") == 1


# --- for other machines ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("machine", built.LEVELS)
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_zig_compiles_it_for_windows_and_macos(system, machine, tmp_path, monkeypatch, zig_cache):
    """That it compiles is all that is known: nothing of ours has run there."""
    specification = importlib.util.spec_from_file_location("setup_of_adaptaug", ROOT / "setup.py")
    setup = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(setup)
    for name, value in {**zig_cache, "PATH": NOWHERE}.items():
        monkeypatch.setenv(name, value)
    for level in built.LEVELS[machine]:
        out = tmp_path / built.library_name(level, system)
        setup.compile_core(setup.zig(level, machine, system), out, tmp_path / "work")
        content = out.read_bytes()
        assert content.startswith({"win32": b"MZ", "darwin": b"\xcf\xfa\xed\xfe"}[system])
        assert b"core_views" in content and built.source_hash(setup.CORE).encode() in content
