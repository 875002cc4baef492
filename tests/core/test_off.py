"""Without the core torch does its work: the public surface, held by its own tests, under ADAPTAUG_CORE=off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_public_surface_needs_no_core():
    environment = {**os.environ, "ADAPTAUG_CORE": "off"}
    called = (
        "import sys, pytest; from adaptaug.core import library; assert library.load() is None; "
        "sys.exit(pytest.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", called, "tests/test_api.py"],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
