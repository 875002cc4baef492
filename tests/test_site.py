"""The site: built as `make docs` builds it, with its notebooks run; a warning, a lost page or #anchor is an error."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from adaptaug.policy.ops import OPS

ROOT = Path(__file__).parent.parent


def build(source: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    call = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        *options,
        str(source),
        str(out),
    ]
    return subprocess.run(call, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_nb")
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder / "html", "-c", "docs", "-d", str(folder / "doctrees"))
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_it_has_every_page(site: Path):
    places = ("README.md", "docs/**/*.md", "benchmarks/pages/*.md", "policies/README.md", "CHANGELOG.md")
    for page in (page for place in places for page in ROOT.glob(place)):
        assert (site / page.relative_to(ROOT)).with_suffix(".html").exists(), page


@pytest.mark.slow
def test_it_has_every_operation_and_command(site: Path):
    operations = (site / "docs" / "reference" / "operations.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in operations for name in OPS)
    assert len(re.findall("at 5 strengths", operations)) >= len(OPS)
    commands = (site / "docs" / "reference" / "cli.html").read_text(encoding="utf-8")
    for command in ("preview", "profile", "search", "pretrain", "embed", "train-head", "predict", "evaluate"):
        assert f'id="adaptaug-{command}"' in commands


@pytest.mark.slow
def test_notebooks_were_run(site: Path):
    for name, told in {
        "digits": "of the held-out digits",
        "lightly": "epoch 2: loss",
        "photographs": "mean luma",
    }.items():
        page = (site / "docs" / "examples" / f"{name}.html").read_text(encoding="utf-8")
        assert re.search(rf'class="output[^"]*".*{told}', page, re.DOTALL), name


@pytest.mark.slow
@pytest.mark.parametrize("link", ["nowhere.md", "index.md#no-such-heading"])
def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path, link: str):
    pytest.importorskip("myst_nb")
    (tmp_path / "conf.py").write_text(
        'extensions = ["myst_nb"]\nmyst_heading_anchors = 5\nroot_doc = "index"\n'
    )
    (tmp_path / "index.md").write_text(f"# Here\n\n[there]({link})\n")
    done = build(tmp_path, tmp_path / "html")
    assert done.returncode != 0
    assert "myst.xref_missing" in done.stderr
