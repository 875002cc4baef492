"""Who may import whom. Contracts within the package are import-linter's (pyproject.toml); the rest is here."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import adaptaug
from tests.support import rooms

ROOT = Path(__file__).parent.parent
VERBS = {name for name in adaptaug.__all__ if name.islower()}
# What stands outside the package's own folder, where import-linter does not look -> what it must not import.
FORBIDDEN = {
    "adaptaug": ("benchmarks", "tests", "examples"),
    "ui": ("benchmarks", "tests", "examples", "adaptaug.cli"),
    "benchmarks": ("tests", "examples"),
    "examples": ("benchmarks", "tests"),
}


def imported(file: Path) -> set[str]:
    """Full names of what a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_imports_run_downwards_only(capfd, monkeypatch) -> None:
    cli = pytest.importorskip("importlinter.cli", reason="needs import-linter: pip install 'adaptaug[dev]'")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    failed = cli.lint_imports(no_cache=True)
    assert not failed, capfd.readouterr().out


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_folders_beside_the_package_keep_apart(folder) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    wrong = {
        str(file.relative_to(ROOT)): name
        for file in files
        for name in imported(file)
        if any(within(name, package) for package in FORBIDDEN[folder])
    }
    assert wrong == {}


def test_only_the_command_line_and_tune_open_the_app() -> None:
    users = {
        file.relative_to(ROOT / "adaptaug").as_posix()
        for file in (ROOT / "adaptaug").rglob("*.py")
        if any(within(name, "adaptaug.ui") for name in imported(file))
    }
    assert users == {"cli/inspect.py", "report/tuning.py"}


def test_no_module_has_the_name_of_a_public_verb() -> None:
    """`import adaptaug.plan.draws as d` failed where `adaptaug.plan` is a function."""
    modules = {name for _, name, _ in pkgutil.iter_modules(adaptaug.__path__)}
    assert modules
    assert not modules & VERBS


def test_every_package_is_installed() -> None:
    """setuptools lists packages by hand, since two of them lie outside: one left out would miss in a wheel alone."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        ".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "adaptaug").rglob("__init__.py")
    }
    assert set(settings["packages"]) == folders | {"adaptaug.ui", "adaptaug.policies"}
    for package, folder in settings["package-dir"].items():
        assert (ROOT / folder).is_dir(), package


def test_planning_knows_no_engine() -> None:
    names = {name for file in (ROOT / "adaptaug/planning").glob("*.py") for name in imported(file)}
    assert not {name for name in names if name.split(".")[0] == "cv2" or within(name, "adaptaug.device")}


def test_the_page_lists_the_rooms_as_they_are() -> None:
    pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")
    page = rooms.PAGE.read_text()
    assert rooms.written(page) == page, "run: python -m tests.support.rooms"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout: nobody can say what is committed")
def test_what_is_committed_is_code_pages_and_small_results():
    """No data set, wheel or library slips in with `git add -A`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]
    assert len(files) > 300
    assert [
        file.name for file in files if file.stat().st_size > 2**20 or file.suffix in (".whl", ".so")
    ] == []
