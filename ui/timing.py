"""How long the page's answers take here: `python -m adaptaug.ui.timing`.

Medians over repeated calls of what an event computes, from the decoded image to the HTML that is sent, and where that
time goes. The browser adds what it takes to send and draw it, about .1 s.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import cv2
import numpy as np
from PIL import Image

from adaptaug import Policy
from adaptaug.ui import detail, logic, templates

PAIRS, SIZE = 6, 112


def seconds(call: Callable[[], object], times: int) -> list[float]:
    out = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        out.append(time.perf_counter() - began)
    return out


def tell(what: str, took: list[float]) -> None:
    low, _, high = quantiles(took, n=4)
    print(f"{what:<58}{1000 * median(took):7.0f} ms  ({1000 * low:.0f} to {1000 * high:.0f})")


def photograph(folder: Path) -> Path:
    """A JPEG of 12 megapixels: a sample enlarged, with the grain that a camera adds."""
    image = np.array(dict(logic.sample_images())["coffee"].resize((4000, 3000)))
    noise = np.random.default_rng(0).normal(0, 6, image.shape)
    path = folder / "photo.jpg"
    Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(path, quality=92)
    return path


def main(times: int = 15) -> None:
    simclr, natural = Policy.load("simclr"), Policy.load("natural")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; median (and quartiles)")
    source = logic.as_source("astronaut", np.array(dict(logic.sample_images())["astronaut"]))
    compare = lambda at=source: logic.compare(at, simclr, natural, 0, PAIRS, SIZE)  # noqa: E731
    send = lambda found: (templates.pairs(found, (1, 0)), detail.pair_detail(found, (1, 0)))  # noqa: E731
    found = compare()
    tell(
        f"preview of {PAIRS} + {PAIRS} pairs at {SIZE} px, target 300 ms",
        seconds(lambda: send(compare()), times),
    )
    for policy in (simclr, natural):
        make = lambda policy=policy: logic.make_pairs(source, policy, 0, PAIRS, SIZE)  # noqa: E731
        tell(f"  of it: pairs of {policy.name}, made and judged", seconds(make, times))
    tell("  of it: HTML of the pairs", seconds(lambda: templates.pairs(found, (1, 0)), times))
    tell("  of it: HTML of the table of reasons", seconds(lambda: detail.pair_detail(found, (1, 0)), times))
    with tempfile.TemporaryDirectory() as folder:
        path = photograph(Path(folder))
        large = logic.decode(path)
        answer = lambda: send(compare(logic.decode(path)))  # noqa: E731
        tell(
            f"photograph of 12 megapixels ({path.stat().st_size / 1e6:.0f} MB), all, target 1 s",
            seconds(answer, 5),
        )
        tell("  of it: decoded and measured", seconds(lambda: logic.decode(path), 5))
        tell("  of it: decoded (OpenCV, for comparison)", seconds(lambda: cv2.imread(str(path)), 5))
        tell("  of it: pairs", seconds(lambda: compare(large), 5))


if __name__ == "__main__":
    main()
