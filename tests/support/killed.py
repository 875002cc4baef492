"""A search that is killed when so many of its results are there."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

from adaptaug.cli import run


def kill_search(arguments: list[str], out: Path, moment: int) -> int | None:
    """The exit code of `adaptaug` with these arguments, killed once `out`'s search has `moment` results."""
    victim = multiprocessing.get_context("fork").Process(target=run, args=(arguments,))
    victim.start()
    results = out.with_suffix(".search") / "arms"
    deadline = time.monotonic() + 120
    while len(list(results.glob("*.npz"))) < moment and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.kill()
    victim.join()
    return victim.exitcode
