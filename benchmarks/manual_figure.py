"""What manual policies make of dark, bright, flat and glyph images, and what the guarded ones make of the same.

python -m benchmarks.manual_figure --data ../shared/data     # writes docs/img/manual-policies.png

For each image the same 200 keys under each policy; shown is the view that breaks the promise's tests worst (least
standard deviation among those that break one), or, where none does, the one of least standard deviation. Judged by
adaptaug/promise/checker.py. Nothing is chosen by eye but the source images, one of each kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import adaptaug
from benchmarks.judging import FRAME, gather_sources, judge

KEYS = 200
SIZE = 96
COLUMNS = (
    ("dark", "natural"),
    ("bright", "natural"),
    ("flat", "natural"),
    ("document", "documents"),
    ("digit", "digits"),
)
MANUAL = ("simclr", "simclr-cifar", "mocov2")
TESTS = {"std": "flat", "clip": "clipped", "mean": "dark/bright", "like": "unlike"}


def worst(image: np.ndarray, policy: str, size: int) -> tuple[np.ndarray, list[str], float]:
    """The worst of the views, which tests it breaks, and the share of views that break one."""
    augment = adaptaug.AdaptiveAugment(policy, size=size)
    frame = adaptaug.AdaptiveAugment(FRAME, size=size)(image)
    judged_views = []
    for number in range(KEYS):
        broken, _, _ = judge(image, augment, frame, (0, 0, number))
        view = augment(image, key=(0, 0, number))
        judged_views.append((not bool(broken["any"][0]), float(view.std()), number, view, broken))
    best = min(judged_views, key=lambda row: row[:3])
    tests = [name for name in TESTS if bool(best[4][name][0])]
    return best[3], tests, sum(not row[0] for row in judged_views) / KEYS


def pick(sources: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """One image of each kind: the median of its kind by mean luma."""
    names = {"document": "documents", "digit": "digits"}
    names |= {kind: next((n for n in sources if n.startswith(start)), "") for kind, start in
              (("dark", "dark"), ("bright", "high"), ("flat", "lowcontrast"))}  # fmt: skip
    out = {}
    for kind, name in names.items():
        images = sorted(sources[name], key=lambda image: float(image.mean()))
        out[kind] = images[len(images) // 2]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", default="docs/img/manual-policies.png")
    options = parser.parse_args()
    images = pick(gather_sources(options.data, 400))
    rows = (*MANUAL, "ours")
    figure, axes = plt.subplots(len(rows) + 1, len(COLUMNS), figsize=(11, 12.6), layout="constrained")
    for column, (kind, guarded) in enumerate(COLUMNS):
        image = images[kind]
        size = SIZE if min(image.shape[:2]) >= SIZE else 32
        axes[0, column].imshow(image)
        axes[0, column].set_title(f"{kind}", fontsize=12, fontweight="bold")
        for row, policy in enumerate((*MANUAL, guarded), 1):
            view, tests, share = worst(image, policy, size)
            axis = axes[row, column]
            axis.imshow(view)
            verdict = ", ".join(TESTS[test] for test in tests) or "keeps the promise"
            name = f"{policy}: " if row == len(rows) else ""
            axis.set_title(f"{name}{share:.0%} broken", fontsize=9.5, color="#c8402a" if tests else "#0b6e4f")
            axis.set_xlabel(verdict, fontsize=8.5, color="#c8402a" if tests else "#0b6e4f")
            for spine in axis.spines.values():
                spine.set(color="#c8402a" if tests else "#0b6e4f", linewidth=2)
    for row, label in enumerate(
        ("image", *(f"{name}\n(manual)" for name in MANUAL), "adaptaug,\nits preset")
    ):
        axes[row, 0].set_ylabel(label, fontsize=11)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.suptitle(f"The worst of {KEYS} views of each image, the same {KEYS} keys for every policy", fontsize=13,
                    fontweight="bold")  # fmt: skip
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=90)
    Image.open(options.out).convert("RGB").quantize(240).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
