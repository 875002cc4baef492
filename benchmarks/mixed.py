"""A data set of three subjects, a third each: photographs, digits and crops of text, all 32 x 32 in colour.

    python -m benchmarks.mixed --data ../shared/data --out DIR

writes DIR/mixed_train.npz (12,000 images) and DIR/mixed_test.npz (3,000) from CIFAR-10, MNIST and text drawn in the
fonts that matplotlib ships. Labels: CIFAR-10's ten, MNIST's ten, and of text which of ten words is repeated in it;
`part` says the subject. The fonts of the test are not among those of the training.

    python -m benchmarks.mixed --lines FILE

reads lines that benchmarks.accuracy measured on it (--data DIR/mixed_train.npz --test DIR/mixed_test.npz) and prints,
part by part, every policy's accuracy and what `auto` has above it, with 95 % intervals over seeds and images.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from adaptaug.learn.intervals import Interval, paired_interval
from benchmarks.glyphs import FAMILIES, OF_THE_TEST
from benchmarks.groups import MEASURES, Group, bits, read_groups
from benchmarks.sets import Part

SIDE, PARTS = 32, ("photographs", "digits", "text")
WORDS = ("the", "river", "open", "glass", "winter", "button", "forty", "mark", "yellow", "quick")


def text(word: str, font: Path, random: np.random.Generator) -> np.ndarray:
    """(32, 32) uint8: a piece of a page that repeats one word, dark on light, turned a little."""
    side = 4 * SIDE
    paper, dark = int(random.integers(170, 256)), int(random.integers(0, 70))
    page = Image.new("L", (2 * side, 2 * side), paper)
    size = int(random.integers(40, 60))
    type_ = ImageFont.truetype(str(font), size)
    for line in range(-1, 2 * side // size + 1):
        start = -int(random.integers(0, 4 * size))
        ImageDraw.Draw(page).text((start, int(1.3 * size * line)), f"{word} " * 20, fill=dark, font=type_)
    turn = cv2.getRotationMatrix2D((side, side), random.uniform(-4, 4), 1.0)
    turned = cv2.warpAffine(np.asarray(page), turn, page.size, borderValue=paper)
    top, left = random.integers(side // 4, side // 4 + side // 2, 2)
    return cv2.resize(
        turned[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )


def texts(families: tuple[str, ...], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32) images and the numbers of their words."""
    folder, random = Path(matplotlib.get_data_path()) / "fonts" / "ttf", np.random.default_rng(seed)
    labels = np.arange(count) % len(WORDS)
    images = [text(WORDS[i], folder / f"{random.choice(families)}.ttf", random) for i in labels]
    return np.stack(images), labels


def rgb(images: np.ndarray) -> np.ndarray:
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, -1)


def order(each: int, seed: int) -> np.ndarray:
    """Where each image of the three parts, one behind the other, comes to lie."""
    return np.random.default_rng(seed).permutation(3 * each)


def subjects(each: int = 1000, which: str = "test") -> np.ndarray:
    """(N,) number in PARTS of every image of a split."""
    return np.repeat(np.arange(3), each).astype(np.uint8)[order(each, len(which))]


def part(data: Path, which: str, each: int, families: tuple[str, ...], seed: int) -> Part:
    """x (N, 32, 32, 3), y in 0 .. 29 and part in 0 .. 2, shuffled."""
    cifar, digits = (np.load(data / f"{name}_{which}.npz") for name in ("cifar10", "mnist"))
    padded = np.pad(digits["x"][:each], ((0, 0), (2, 2), (2, 2)))
    words, labels = texts(families, each, seed)
    images = [cifar["x"][:each], rgb(padded), rgb(words)]
    numbers = [cifar["y"][:each], digits["y"][:each] + 10, labels + 20]
    places = order(each, seed)
    return {
        "x": np.concatenate(images)[places], "y": np.concatenate(numbers).astype(np.int16)[places],
        "part": np.repeat(np.arange(3), each).astype(np.uint8)[places],
        "class_names": np.array([*map(str, cifar["class_names"]), *"0123456789", *WORDS]),
    }  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Of one policy on one part: accuracy in percent, and points that `auto` has above it with the seeds of both."""

    policy: str
    part: str
    measure: str
    accuracy: float
    seeds: int
    above: Interval | None


def compare(group: Group) -> list[Row]:
    """Every policy on every part of the test split."""
    parts, out = subjects(), []
    for measure in MEASURES:
        hits = {
            name: {seed: bits(row["hits"][measure])[: len(parts)] for seed, row in rows.items()}
            for name, rows in group.rows.items()
        }
        for number, subject in enumerate(PARTS):
            for name, by_seed in hits.items():
                seeds = sorted(set(by_seed) & set(hits["auto"]))
                ours, theirs = (
                    np.stack([hits[n][s][parts == number] for s in seeds]) for n in ("auto", name)
                )
                above = None if name == "auto" or len(seeds) < 2 else paired_interval(ours, theirs)
                out.append(Row(name, subject, measure, 100 * float(theirs.mean()), len(seeds), above))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--lines", type=Path)
    parser.add_argument("--out", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.lines:
        (group,) = read_groups([options.lines])
        for row in compare(group):
            above = "" if row.above is None else f"  auto {row.above}"
            print(f"{MEASURES[row.measure]:13s} {row.part:12s} {row.policy:14s} {row.accuracy:6.2f}{above}")
        return
    if options.data is None or options.out is None:
        parser.error("expected --data, the folder of CIFAR-10 and MNIST, and --out, or --lines, to read")
    options.out.mkdir(parents=True, exist_ok=True)
    train = tuple(family for family in FAMILIES if family not in OF_THE_TEST)
    for name, which, each, families in (
        ("train", "train_20k", 4000, train),
        ("test", "test_5k", 1000, OF_THE_TEST),
    ):
        arrays: dict[str, Any] = part(options.data, which, each, families, seed=len(name))
        np.savez_compressed(options.out / f"mixed_{name}.npz", **arrays)
        print(f"{options.out}/mixed_{name}.npz: {len(arrays['y']):,} images")


if __name__ == "__main__":
    main()
