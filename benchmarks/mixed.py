"""A data set of three subjects, a third each: photographs, digits and crops of text, all 32 x 32 in colour.

    python -m benchmarks.mixed --data ../shared/data --out DIR

writes DIR/mixed_train.npz (12,000 images) and DIR/mixed_test.npz (3,000) from CIFAR-10, MNIST and text drawn in the
fonts that matplotlib ships. Labels: CIFAR-10's ten, MNIST's ten, and of text which of ten words is repeated in it;
`part` says the subject. The fonts of the test are not among those of the training.

    python -m benchmarks.mixed --lines FILE --out DIR

reads lines that benchmarks.accuracy measured on it (--data DIR/mixed_train.npz --test DIR/mixed_test.npz) and prints,
part by part, every policy's accuracy and what `auto` has above it, with 95 % intervals over seeds and images.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from adaptaug.learn.intervals import paired_interval
from benchmarks.glyphs import FAMILIES, OF_THE_TEST
from benchmarks.groups import MEASURES, bits, read_groups
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


def part(data: Path, which: str, each: int, families: tuple[str, ...], seed: int) -> Part:
    """x (N, 32, 32, 3), y in 0 .. 29 and part in 0 .. 2, shuffled."""
    cifar, digits = (np.load(data / f"{name}_{which}.npz") for name in ("cifar10", "mnist"))
    padded = np.pad(digits["x"][:each], ((0, 0), (2, 2), (2, 2)))
    words, labels = texts(families, each, seed)
    images = [cifar["x"][:each], rgb(padded), rgb(words)]
    numbers = [cifar["y"][:each], digits["y"][:each] + 10, labels + 20]
    order = np.random.default_rng(seed).permutation(3 * each)
    return {
        "x": np.concatenate(images)[order], "y": np.concatenate(numbers).astype(np.int16)[order],
        "part": np.repeat(np.arange(3), each).astype(np.uint8)[order],
        "class_names": np.array([*map(str, cifar["class_names"]), *"0123456789", *WORDS]),
    }  # fmt: skip


def compare(lines: Path, parts: np.ndarray) -> None:
    """Print accuracy by part, and what `auto` has above each other policy with the seeds that both have."""
    (group,) = read_groups([lines])
    for measure, title in MEASURES.items():
        hits = {
            name: {seed: bits(row["hits"][measure])[: len(parts)] for seed, row in rows.items()}
            for name, rows in group.rows.items()
        }
        for number, subject in enumerate(PARTS):
            own = {
                name: {s: h[parts == number] for s, h in by_seed.items()} for name, by_seed in hits.items()
            }
            for name, by_seed in own.items():
                seeds = sorted(set(by_seed) & set(own.get("auto", ())))
                line = f"{title:13s} {subject:12s} {name:14s} {100 * np.mean(list(by_seed.values())):6.2f}"
                if name != "auto" and len(seeds) > 1:
                    mine, theirs = (
                        np.stack([own[policy][seed] for seed in seeds]) for policy in ("auto", name)
                    )
                    line += f"  auto {paired_interval(mine, theirs)}"
                print(line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--lines", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    if options.lines:
        return compare(options.lines, np.load(options.out / "mixed_test.npz")["part"])
    if options.data is None:
        parser.error("expected --data, the folder of CIFAR-10 and MNIST, or --lines, to read")
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
