"""Images of a data set that are odd: CleanVision's kinds, told from the statistics that are measured anyway.

What peers find and this does not: images of an odd size in bytes, grey ones among coloured (the profile counts them),
exact duplicates apart from near ones, and wrong labels.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

DARK, LIGHT, NARROW, TONES, SOFT = 0.1, 0.9, 2.86, 1.5, 0.1
LOOKED = 512  # px of the longer side, at which blur is told
LEAST = 128  # px: of smaller images it is not
# kind: (what people call it, when)
KINDS = {
    "dark": ("Dark", f"mean luma below {DARK:g}"),
    "light": ("Light", f"mean luma above {LIGHT:g}"),
    "blurry": ("Blurry", f"Laplacian's deviation below {SOFT:g} of luma's, at {LOOKED} px"),
    "narrow": ("Odd aspect", f"longer side at least {NARROW:g} times the shorter"),
    "empty": ("Low information", f"tones of at most {TONES:g} of 5 bits"),
    "again": ("Near-duplicates", "hash and thumbnail nearly those of another"),
}


class Odd(NamedTuple):
    """An image (its place in the data set) and what is odd about it."""

    image: int
    kind: str
    said: str


def odd(place: int, values: dict[str, float], pixels: np.ndarray) -> list[Odd]:
    """Of one image, (H, W, 3) uint8, with its statistics; near-duplicates are found among all."""
    height, width = pixels.shape[:2]
    oddities = []
    if values["mean"] < DARK:
        oddities.append(Odd(place, "dark", f"mean luma {values['mean']:.2f}"))
    if values["mean"] > LIGHT:
        oddities.append(Odd(place, "light", f"mean luma {values['mean']:.2f}"))
    shape = max(width, height) / min(width, height)
    if shape >= NARROW:
        oddities.append(Odd(place, "narrow", f"{width} x {height} px"))
    if values["entropy"] <= TONES:
        oddities.append(Odd(place, "empty", f"tones {values['entropy']:.1f} bits"))
    elif min(height, width) >= LEAST and (edges := edge(pixels)) < SOFT:
        oddities.append(Odd(place, "blurry", f"edges {edges:.3f}"))
    return oddities


def edge(pixels: np.ndarray) -> float:
    """Deviation of luma's Laplacian over luma's own, at `LOOKED` px: of 80 photographs .24 and more, of the same
    blurred with a sigma of 4 px .10 and less."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = LOOKED / max(luma.shape)
    if scale < 1:
        luma = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    luma = luma.astype(np.float32)
    return float(cv2.Laplacian(luma, cv2.CV_32F).std() / max(float(luma.std()), 1.0))
