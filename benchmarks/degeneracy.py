"""How often each policy makes views that break the promise's tests: manual and adaptive side by side.

    python -m benchmarks.degeneracy --data ../shared/data/photos/exposure --views 2000 --out FILE.json

DATA is a folder, a folder of class folders, or an .npz. Judged by adaptaug/promise/checker.py, with scikit-image's
`is_low_contrast` as a second opinion that knows nothing of the promise.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

import cv2
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from skimage.exposure import is_low_contrast

import adaptaug
from adaptaug.data import Images, open_data
from benchmarks.judging import FRAME, judge
from benchmarks.schema import output, today

POLICIES = ("simclr", "simclr-cifar", "mocov2", "natural", "digits", "documents", "lowlight")


def measure_policy(images: Images, policy: str, views: int, size: int, seed: int = 0) -> dict[str, float]:
    """Shares of `views` views, spread over the images, that break each test, and the second opinion."""
    augment = adaptaug.AdaptiveAugment(policy, size=size)
    frame_of = adaptaug.AdaptiveAugment(FRAME, size=size)
    tally: Counter[str] = Counter()
    for number in track(range(views), description=policy, transient=True):
        image = images[number % len(images)]
        broken, acted, _ = judge(image, augment, frame_of(image), (seed, 0, number))
        tally.update({test: int(flags.sum()) for test, flags in broken.items()})
        tally["low contrast (scikit-image)"] += is_low_contrast(augment(image, key=(seed, 0, number)))
        tally["certificate acted"] += int(acted.sum())
    return {name: count / views for name, count in tally.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--policies", nargs="+", default=list(POLICIES))
    parser.add_argument("--views", type=int, default=2000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    images = open_data(options.data).take(options.views, options.seed)
    rows = {p: measure_policy(images, p, options.views, options.size, options.seed) for p in options.policies}
    columns = list(next(iter(rows.values())))
    table = Table(
        "policy",
        *columns,
        title=f"share of views, {options.data}, {options.views} views of {options.size} px",
    )
    for policy, row in rows.items():
        table.add_row(policy, *(f"{row[column]:.2%}" for column in columns))
    Console().print(table)
    if options.out:
        command = "python -m benchmarks.degeneracy " + " ".join(
            f"--{k} {' '.join(v) if isinstance(v, list) else v}"
            for k, v in vars(options).items()
            if v is not None
        )
        options.out.write_text(json.dumps({"measured": today(), "command": command, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
