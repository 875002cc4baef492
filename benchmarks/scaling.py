"""What the cost depends on: the image's size, the batch's, the number of operations, workers; its parts and its memory.

    python -m benchmarks.scaling [--out FILE.json] [--plot FILE.png]

`natural` unless said otherwise, one thread, processor time; medians. The operations' rows are of a policy with the
first n of twelve matrix operations, all always applied, so that only their number changes.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import adaptaug
from adaptaug import generate
from adaptaug.pixels import read
from benchmarks.throughput import machine, photographs, small_images

MATRIX = {
    "hflip": {}, "brightness": {"range": [-0.2, 0.2]}, "saturation": {"range": [-0.3, 0.3]},
    "contrast": {"range": [-0.2, 0.2]}, "hue": {"range": [-0.1, 0.1]}, "grey": {},
    "temperature": {"range": [-0.3, 0.3]}, "vflip": {}, "rotate": {"range": [-10, 10]}, "shear": {"x": [-5, 5]},
    "stretch": {"range": [0.9, 1.1]}, "perspective": {"x": [-0.1, 0.1]},
}  # fmt: skip


def cost(call: Callable[[int], Any], views: int, calls: int = 40) -> float:
    """Median ms a view of `call(number)`."""
    times = []
    for number in range(calls + 3):
        start = time.process_time()
        call(number)
        times.append((time.process_time() - start) * 1e3 / views)
    return round(float(np.median(times[3:])), 4)


def by_image_size() -> dict[str, float]:
    out = {}
    for width, height in ((64, 48), (128, 96), (250, 188), (500, 375), (1024, 768), (2048, 1536), (4096, 3072)):
        image = photographs(None, width, height)[0]
        views = adaptaug.Views("natural", size=224, finish="none")
        out[f"{width}x{height}"] = cost(lambda i, v=views, x=image: v(x, key=(0, i, 0)), 2)
    return out


def by_batch() -> dict[str, float]:
    views, out = adaptaug.Views("natural", size=32, finish="none"), {}
    for count in (1, 8, 32, 128, 512, 2048):
        batch = small_images(None, count, 32)
        out[str(count)] = cost(lambda i, x=batch: views(x, key=i), 2 * len(batch), 10)
    return out


def by_operations() -> dict[str, Any]:
    image, batch, out = photographs(None, 500, 375)[0], small_images(None, 512, 32), {}
    for count in (1, 3, 6, 9, 12):
        operations = {"crop": {"area": [0.08, 1.0]}, **dict(list(MATRIX.items())[:count])}
        policy = adaptaug.Policy.parse({"version": 1, "guards": False, "operations": operations})
        one = adaptaug.Views(policy, size=224, finish="none")
        many = adaptaug.Views(policy, size=32, finish="none")
        out[str(count)] = {
            "photograph": cost(lambda i, v=one: v(image, key=(0, i, 0)), 2),
            "batch of 512": cost(lambda i, v=many: v(batch, key=i), 2 * len(batch), 8),
        }
    return out


def by_workers() -> dict[str, float]:
    """Wall clock: images a second of a DataLoader with 0, 1 and 2 workers."""
    images = photographs(None, 500, 375) * 75
    out = {}
    for workers in (0, 1, 2):
        keyed = adaptaug.Keyed([(image, 0) for image in images], adaptaug.Views("natural", size=224))
        loader = torch.utils.data.DataLoader(keyed, batch_size=20, num_workers=workers, persistent_workers=workers > 0)
        for timed in (False, True):  # the first round starts the workers
            start = time.perf_counter()
            seen = sum(len(label) for _, label in loader)
            if timed:
                out[str(workers)] = round(seen / (time.perf_counter() - start))
    return out


def shares() -> dict[str, float]:
    """ms a view of each part of a view of a 500x375 photograph, in turn on the same draws."""
    image, policy, size, keys = photographs(None, 500, 375)[0], adaptaug.Policy.load("natural"), 224, 60
    engine, made = read(image).engine, []
    rows = [np.array([[0, i, 0]]) for i in range(keys)]
    seen = generate.look(engine, image, policy, size)
    draws = [generate.plan.Draws(policy, row, 0, seen.stats) for row in rows]
    where = [generate.plan.plan_where(seen.stats, policy, draw, size) for draw in draws]
    crops = [engine.warp(image, w.matrix, w.reduce, size) for w in where]
    stats = [engine.crop_stats(crop, engine.luma(crop)) for crop in crops]
    for crop, draw in zip(stats, draws, strict=True):
        colour, _, _ = generate.plan.plan_tone(crop, policy, draw, seen.limit)
        made.append(engine.affine(crop.pixels, colour))
    fresh = lambda i: engine.crop_stats(crops[i], stats[i].luma)  # noqa: E731  nothing worked out before

    def certify(i: int) -> None:
        plane = engine.luma(made[i])
        engine.moments(plane), engine.covariance(plane, stats[i].luma)
        engine.newly_clipped(made[i], crops[i], policy.promise.clip)

    parts: dict[str, Callable[[int], Any]] = {
        "measure the image (half of it: two views)": lambda i: generate.look(engine, image, policy, size),
        "plan where": lambda i: generate.plan.plan_where(seen.stats, policy, draws[i], size),
        "render the crop": lambda i: engine.warp(image, where[i].matrix, where[i].reduce, size),
        "measure the crop": lambda i: engine.moments(engine.luma(crops[i])),
        "plan tone": lambda i: generate.plan.plan_tone(fresh(i), policy, draws[i], seen.limit),
        "render the colour": lambda i: engine.affine(crops[i], made_colour(i)),
        "certify": certify,
    }

    def made_colour(i: int) -> Any:
        return generate.plan.plan_tone(stats[i], policy, draws[i], seen.limit)[0]

    out = {name: cost(lambda i, c=call: c(i % keys), 1, keys) for name, call in parts.items()}
    out["render the colour"] = round(out["render the colour"] - cost(lambda i: made_colour(i % keys), 1, keys), 4)
    out["measure the image (half of it: two views)"] /= 2
    views = adaptaug.Views(policy, size=size, finish="none")
    out["a view, all of it"] = cost(lambda i: views(image, key=(0, i, 0)), 2, 200)
    return out


def million(count: int = 1_000_000) -> dict[str, float]:
    """`measure` of 64x48 thumbnails, one at a time: rate, and what memory grew by after the first thousand."""
    images = [cv2.resize(image, (64, 48)) for image in photographs(None, 500, 375)]
    before, start = 0, time.process_time()
    for number in range(count):
        stats = adaptaug.measure(images[number % len(images)])
        float(stats.mean[0]), float(stats.contrast[0]), stats.integrals
        if number == 1000:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"images": count, "a second": round(count / (time.process_time() - start)), "grown MB": round(grown / 1024, 1)}


def plot(result: dict[str, Any], path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure((11, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    pixels = [int(np.prod([int(side) for side in name.split("x")])) for name in result["image size"]]
    panels[0].loglog(pixels, list(result["image size"].values()), "o-")
    panels[0].set(title="one image -> 224", xlabel="pixels of the image", ylabel="ms a view")
    panels[1].loglog([int(n) for n in result["batch"]], list(result["batch"].values()), "o-")
    panels[1].set(title="batch of 32x32 -> 32", xlabel="images in the batch")
    for kind in ("photograph", "batch of 512"):
        costs = [row[kind] for row in result["operations"].values()]
        panels[2].plot([int(n) for n in result["operations"]], np.array(costs) / costs[1], "o-", label=kind)
    panels[2].set(title="matrix operations", xlabel="how many", ylabel="cost over that of three", ylim=(0, None))
    panels[2].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thumbnails", type=int, default=1_000_000)
    parser.add_argument("--out")
    parser.add_argument("--plot")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    result: dict[str, Any] = {"machine": machine("cpu")}
    for name, measure in (
        ("image size", by_image_size), ("batch", by_batch), ("operations", by_operations), ("workers", by_workers),
        ("shares", shares), ("measure", lambda: million(options.thumbnails)),
    ):  # fmt: skip
        result[name] = measure()
        print(name, json.dumps(result[name]), flush=True)
    result["peak memory, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=1) + "\n")
    if options.plot:
        plot(result, options.plot)


if __name__ == "__main__":
    main()
