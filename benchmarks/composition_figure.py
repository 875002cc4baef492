"""Where a manual policy looks and where `natural` looks: 40 crops each on five compositions.

python -m benchmarks.composition_figure     # writes docs/img/composition.png
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from PIL import Image

import adaptaug
from benchmarks.scenes import SCENES

CROPS = 40


def boxes(image: np.ndarray, policy: str, size: int = 96) -> list[tuple[float, float, float, float, bool]]:
    """x, y, width, height in pixels, and whether the guard enlarged the box."""
    augment = adaptaug.AdaptiveAugment(policy, size=size)
    out = []
    for number in range(CROPS):
        params = augment.plan(image, key=(0, 0, number))
        where = [float(params.evidence[f"box_{part}"][0]) for part in ("x", "y", "width", "height")]
        scale = [image.shape[1], image.shape[0]] * 2
        changed = "enlarged" in params.explain().rows[0]["reason"]
        out.append((*(a * b for a, b in zip(where, scale, strict=True)), changed))
    return out


def main(out: str = "docs/img/composition.png") -> None:
    policies = ("simclr", "natural", "digits")
    figure, axes = plt.subplots(len(policies), len(SCENES), figsize=(12.5, 8.1), layout="constrained")
    for column, (name, make) in enumerate(SCENES.items()):
        image = make()
        for row, policy in enumerate(policies):
            axis = axes[row, column]
            axis.imshow(image)
            for x, y, width, height, changed in boxes(image, policy):
                colour = "#ff9f1c" if changed else "#35c2ff"
                axis.add_patch(
                    Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=0.9, alpha=0.75)
                )
            axis.set(xticks=[], yticks=[], xlim=(0, image.shape[1]), ylim=(image.shape[0], 0))
            if row == 0:
                axis.set_title(name, fontsize=10)
            if column == 0:
                axis.set_ylabel(policy + ("\n(manual)" if policy == "simclr" else ""), fontsize=11)
    figure.suptitle(
        f"{CROPS} crops of each image. Blue: as drawn. Orange: enlarged, because the drawn box held too little.",
        fontsize=11,
    )
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90)
    Image.open(out).convert("RGB").quantize(224).save(out, optimize=True)


if __name__ == "__main__":
    main()
