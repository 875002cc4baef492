"""How far the fused colour of `simclr`, one affine map clipped once, lies from torchvision's chain of four.

    python -m benchmarks.torchvision_difference --data ../shared/data/cifar10_train_20k.npz --out R.json

Both apply the same drawn factors to the same pixels at full frame: torchvision's `adjust_*` one after the other on
uint8, in an order drawn per image. Per image the differences of all values, in levels of 255; reported are the
medians over images of an image's median, 90th percentile and largest difference. `no hue` leaves hue out, which
torchvision turns in HSV and we turn in YIQ, keeping luma: that part is not clipping but another definition.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch
from torchvision.transforms import functional

import adaptaug
from adaptaug.data import open_data
from adaptaug.policy import Policy
from benchmarks.schema import output, today

REACH = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
APPLY = {
    "brightness": lambda x, v: functional.adjust_brightness(x, 1 + v),
    "contrast": lambda x, v: functional.adjust_contrast(x, 1 + v),
    "saturation": lambda x, v: functional.adjust_saturation(x, 1 + v),
    "hue": functional.adjust_hue,
}


def differences(images: torch.Tensor, strength: float, hue: bool, seed: int) -> dict[str, float]:
    """Of uint8 images (N, 3, S, S) at one colour strength."""
    names = [name for name in REACH if hue or name != "hue"]
    policy = Policy.parse({
        "version": 1, "guards": False,
        "operations": {n: {"p": 1.0, "range": (-strength * REACH[n], strength * REACH[n])} for n in names},
    })  # fmt: skip
    augment = adaptaug.AdaptiveAugment(policy, size=images.shape[-1])
    keys = [(seed, 0, i) for i in range(len(images))]
    params = augment.plan(images, key=keys)
    ours = augment(images, key=keys).int()
    rows = []
    for i, image in enumerate(images):
        chained = image
        for n in np.random.default_rng((seed, i)).permutation(names):
            chained = APPLY[n](chained, float(params.entries[n].value[i]))
        rows.append(np.quantile((chained.int() - ours[i]).abs().numpy(), [0.5, 0.9, 1.0]))
    table = np.array(rows)
    middle, worst = np.median(table, 0), np.quantile(table, 0.9, axis=0)
    return {"median": float(middle[0]), "p90": float(middle[1]), "max": float(middle[2]),
            "p90 of worst tenth": float(worst[1]), "max of worst tenth": float(worst[2])}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = open_data(options.data).take(options.limit)
    images = data.pixels(range(len(data)), None if data.same_size else 224)
    rows = []
    for strength in (0.5, 1.0):
        for hue in (False, True):
            levels = differences(images, strength, hue, options.seed)
            rows.append({"strength": strength, "hue": hue, **levels})
            print(rows[-1])
    if options.out:
        command = " ".join(f"--{k} {v}" for k, v in vars(options).items())
        result = {
            "measured": today(),
            "command": f"python -m benchmarks.torchvision_difference {command}",
            "images": len(images),
            "rows": rows,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
