"""The first picture of the README: pairs that a fixed policy spoils, and `natural`'s of the same image and key.

python -m benchmarks.pair_figure     # writes docs/img/pairs.png

Photographs that scikit-image ships, each at the first key at which both views of the fixed policy break a test of
adaptaug/promise/checker.py. Our pairs are what `natural` makes of that key, unchosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from PIL import Image
from skimage import data

import adaptaug
from benchmarks.judging import FRAME, see
from benchmarks.manual_figure import TESTS

SIZE = 224
PHOTOGRAPHS = ("rocket", "coffee")
FIXED, OURS = "simclr", "natural"
RED, GREEN = "#c8402a", "#0b6e4f"


class Pair(NamedTuple):
    views: list[np.ndarray]  # (SIZE, SIZE, 3) uint8 each
    broken: list[list[str]]  # which tests each view breaks


def pair(image: np.ndarray, policy: str, number: int) -> Pair:
    views = adaptaug.Views(policy, n=2, size=SIZE, finish="none", return_params=True)
    frame = adaptaug.AdaptiveAugment(FRAME, size=SIZE)(image)
    judged_views = see(image, views, frame, (0, 0, number))
    verdicts = [view.broken(views.policy, number) for number, view in enumerate(judged_views)]
    return Pair(
        [view.pixels["view"][0] for view in judged_views],
        [[title for test, title in TESTS.items() if verdict[test][0]] for verdict in verdicts],
    )


def draw(axes: Sequence[Axes], shown: Pair) -> None:
    for axis, view, broken in zip(axes, shown.views, shown.broken, strict=True):
        colour = RED if broken else GREEN
        axis.imshow(view)
        axis.set_xlabel(", ".join(broken) or "keeps the promise", fontsize=10, color=colour)
        for spine in axis.spines.values():
            spine.set(color=colour, linewidth=2.5)


def main(out: str = "docs/img/pairs.png") -> None:
    figure, axes = plt.subplots(len(PHOTOGRAPHS), 5, figsize=(12, 5.4), layout="constrained")
    for row, name in zip(axes, PHOTOGRAPHS, strict=True):
        image = getattr(data, name)()
        number = next(number for number in count() if all(pair(image, FIXED, number).broken))
        row[0].imshow(image)
        draw(row[1:3], pair(image, FIXED, number))
        draw(row[3:], pair(image, OURS, number))
        row[0].set_xlabel(f"{name}, key (0, 0, {number})", fontsize=10)
    for column, title in enumerate(
        ("image", f"{FIXED}: one recipe for all", "", f"{OURS}: ranges for each image", "")
    ):
        axes[0, column].set_title(title, fontsize=12, fontweight="bold", loc="left")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.savefig(out, dpi=90)
    Image.open(out).convert("RGB").quantize(240).save(out, optimize=True)
    print(f"{Path(out)}: {Path(out).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
