"""The command line of benchmarks that make a labelled data set: `--out DIR`, an .npz for training and one for test."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

Part = dict[str, np.ndarray]


def write(description: str | None, name: str, make: Callable[[], dict[str, Part]]) -> None:
    """Ask for DIR and write what `make` returns, by part, to DIR/NAME_PART.npz."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for part, arrays in make().items():
        np.savez_compressed(out / f"{name}_{part}.npz", **arrays)  # type: ignore[arg-type]  # NumPy's allow_pickle
        print(f"{out}/{name}_{part}.npz: {len(arrays['y']):,} images")
