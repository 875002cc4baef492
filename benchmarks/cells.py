"""Photographs that no preset was tuned on: solar cells by electroluminescence, which a package on PyPI carries.

    pip install elpv-dataset
    python -m benchmarks.cells --out DIR

writes DIR/cells_train.npz and DIR/cells_test.npz: 2,624 grey photographs, averaged over areas from 300 to 32 pixels, in
four classes: mono- or polycrystalline, sound or defective (a probability above a half). Every fifth block of 41
neighbours in the list is the test's, because neighbours come from one module and look alike.

Source: Deitsch et al., 2021, Segmentation of photovoltaic module cells in uncalibrated electroluminescence images;
Buerhop-Lutz et al., 2018. The images' licence is CC BY-NC-SA 4.0: they are read from the package, and not in here.
"""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.sets import Part, write

CLASSES = ("mono, sound", "mono, defective", "poly, sound", "poly, defective")
SIDE, NEIGHBOURS = 32, 41


def make() -> dict[str, Part]:
    """x (N, 32, 32) uint8 and y of "train" and "test". Raises: SystemExit: the package is not installed."""
    try:
        from elpv_dataset.utils import load_dataset
    except ImportError:
        raise SystemExit(
            "benchmarks.cells: expected the package elpv-dataset; pip install elpv-dataset."
        ) from None
    images, defective, silicon = load_dataset()
    labels = ((defective > 0.5) + 2 * (silicon == "poly")).astype(np.int16)
    small = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images])
    test = np.arange(len(labels)) // NEIGHBOURS % 5 == 4
    return {
        name: {"x": small[mask], "y": labels[mask], "class_names": np.array(CLASSES)}
        for name, mask in (("train", ~test), ("test", test))
    }


if __name__ == "__main__":
    write(__doc__, "cells", make)
