"""The site: `make docs` builds it into build/site, from the pages as they lie in the repository.

The source folder is the repository's root, so that a link between two pages is the same here and on the host of the
repository. docs/reference/ is written by docs/reference.py at each build.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import adaptaug

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

project, release = "adaptaug", adaptaug.__version__
version = release
author = "the adaptaug maintainers"
copyright = f"2026, {author}"
root_doc = "docs/index"
extensions = [
    "myst_nb",
    "sphinx.ext.napoleon",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
include_patterns = [
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**.md", "policies/README.md",
    "examples/README.md",
    "benchmarks/README.md", "benchmarks/LOG.md", "benchmarks/pages/*.md", "benchmarks/results/*/report.md",
]  # fmt: skip
exclude_patterns = [  # folders that are not looked into
    path.name for path in ROOT.iterdir()
    if path.is_dir() and path.name not in ("docs", "policies", "examples", "benchmarks")
]  # fmt: skip

html_theme = "furo"
html_title = f"adaptaug {release}"
html_extra_path = ["_extra"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False

myst_heading_anchors = 5
myst_links_external_new_tab = False
suppress_warnings: list[str] = []
default_role = "literal"  # docstrings mark code as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them, in its own words
autodoc_default_options = {"members": True, "inherited-members": False}
copybutton_exclude = ".linenos, .gp, .go"

nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "build" / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 600


def setup(app: Any) -> None:
    """Write what is generated before pages are read; links to folders stay as words."""
    import reference

    reference.write(HERE / "reference")
    app.connect("source-read", without_folders)


def without_folders(app: Any, name: str, source: list[str]) -> None:
    """`[tests/hosts](../../tests/hosts)` -> `tests/hosts`: a folder that is there is no page of the site."""
    page = ROOT / name

    def plain(found: re.Match[str]) -> str:
        return found[1] if (page.parent / found[2]).resolve().is_dir() else found[0]

    source[0] = re.sub(r"(?<!!)\[([^]]*)\]\(([^)#:\s]+)\)", plain, source[0])
