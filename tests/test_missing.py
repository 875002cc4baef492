"""No test is skipped in CI for want of a package."""

import re
from importlib.util import find_spec
from pathlib import Path

from tests.missing import missing


def test_every_package_that_a_test_asks_for_is_here():
    """`importorskip` skips in CI, too, and nobody sees it: a set-up that lost a package fails here."""
    files = Path(__file__).parent.rglob("*.py")
    asked = {n for f in files for n in re.findall(r"""importorskip\(\s*["']([a-zA-Z_]\w*)""", f.read_text())}
    assert {"gradio", "lightly", "webdataset"} <= asked
    lacking = sorted(name for name in asked if find_spec(name) is None)
    if lacking:
        missing(f"not installed: {', '.join(lacking)}; make test installs them")
