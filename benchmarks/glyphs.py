"""A data set of characters that needs no download, drawn in the fonts that matplotlib ships.

    python -m benchmarks.glyphs --out DIR

writes DIR/glyphs_train.npz and DIR/glyphs_test.npz: letters and digits (62 classes), 28 x 28, white on black, each in
every font at several sizes, places and slants. The fonts of the test are not among those of the training.
"""

from __future__ import annotations

import string
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.sets import Part, write

CLASSES = string.digits + string.ascii_letters
FAMILIES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Oblique",
            "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol",
            "STIXGeneralItalic", "cmb10", "cmmi10", "cmr10", "cmss10", "cmtt10")  # fmt: skip
OF_THE_TEST = ("DejaVuSansMono-Oblique", "DejaVuSerif-BoldItalic", "STIXGeneral", "cmss10")
SIDE = 28


def draw(character: str, font: Path, random: np.random.Generator) -> np.ndarray:
    """One character as (28, 28) uint8, drawn at four times the size, slanted and turned a little."""
    large = Image.new("L", (4 * SIDE, 4 * SIDE))
    type_ = ImageFont.truetype(str(font), int(random.integers(60, 92)))
    ImageDraw.Draw(large).text((2 * SIDE, 2 * SIDE), character, fill=255, font=type_, anchor="mm")
    angle, slant = np.radians(random.uniform(-12, 12)), random.uniform(-0.2, 0.2)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ [[1, slant], [0, 1]]
    shift = 2 * SIDE - turn @ [2 * SIDE, 2 * SIDE] + random.uniform(-10, 10, 2)
    turned = cv2.warpAffine(np.asarray(large), np.column_stack([turn, shift]), large.size)
    return cv2.resize(turned, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def make(families: tuple[str, ...], each: int, seed: int) -> Part:
    """x (N, 28, 28) uint8 and y: `each` images of every character in every font, shuffled."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    random = np.random.default_rng(seed)
    made = [
        (draw(character, folder / f"{family}.ttf", random), label)
        for family in families for label, character in enumerate(CLASSES) for _ in range(each)
    ]  # fmt: skip
    order = random.permutation(len(made))
    return {
        "x": np.stack([made[i][0] for i in order]), "y": np.array([made[i][1] for i in order], np.int16),
        "class_names": np.array(list(CLASSES)),
    }  # fmt: skip


def both() -> dict[str, Part]:
    train = tuple(family for family in FAMILIES if family not in OF_THE_TEST)
    return {"train": make(train, 11, 0), "test": make(OF_THE_TEST, 10, 1)}


if __name__ == "__main__":
    write(__doc__, "glyphs", both)
