"""What the cost depends on: the image's size, the batch's, the number of operations, workers; its parts and its memory.

    python -m benchmarks.scaling [--out FILE.json] [--plot FILE.png] [--only PART...] [--quick]

`natural` unless said otherwise, one thread, processor time; medians, of operations and parts in turns. The operations'
rows are of the first n of twelve matrix operations, all always applied, so that only their number changes.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import cv2
import numpy as np
import torch

import adaptaug
from adaptaug.policy import Policy
from benchmarks import peers, turns
from benchmarks.schema import output, today
from benchmarks.workloads import operations_row, photographs, small_images


def cost(call: Callable[[int], Any], views: int, calls: int = 40) -> float:
    """Median ms a view of `call(number)`."""
    times = []
    for number in range(calls + 3):
        start = time.process_time()
        call(number)
        times.append((time.process_time() - start) * 1e3 / views)
    return round(float(np.median(times[3:])), 4)


def one_call(views: adaptaug.Views, images: Any, number: int) -> Any:
    return views(images, key=number if isinstance(images, torch.Tensor) else (0, number, 0))


def by_image_size() -> dict[str, float]:
    out = {}
    for width, height in (
        (64, 48),
        (128, 96),
        (250, 188),
        (500, 375),
        (1024, 768),
        (2048, 1536),
        (4096, 3072),
    ):
        image = photographs(None, width, height)[0]
        views = adaptaug.Views("natural", size=224, finish="none")
        out[f"{width}x{height}"] = cost(partial(one_call, views, image), 2)
    return out


def by_batch() -> dict[str, float]:
    views, out = adaptaug.Views("natural", size=32, finish="none"), {}
    for count in (1, 8, 32, 128, 512, 2048):
        batch = small_images(None, count, 32)
        out[str(count)] = cost(partial(one_call, views, batch), 2 * len(batch), 10)
    return out


def by_operations(rounds: int = 15) -> dict[str, Any]:
    counts = (1, 3, 6, 9, 12)
    times = medians(operations_row(None, counts), rounds)
    return {str(n): {kind: times[f"{n}, {kind}"] for kind in ("photograph", "batch of 512")} for n in counts}


def medians(contenders: list[turns.Contender], rounds: int) -> dict[str, float]:
    turns.measure(contenders, rounds, 0.1, time.process_time)
    return {one.name: round(float(np.median(one.times)), 4) for one in contenders}


def by_workers() -> dict[str, int]:
    """Wall clock: images a second of a DataLoader with 0, 1 and 2 workers."""
    images = photographs(None, 500, 375) * 75
    out = {}
    for workers in (0, 1, 2):
        keyed = adaptaug.Keyed([(image, 0) for image in images], adaptaug.Views("natural", size=224))
        loader = torch.utils.data.DataLoader(
            keyed, batch_size=20, num_workers=workers, persistent_workers=workers > 0
        )
        for timed in (False, True):  # the first round starts the workers
            start = time.perf_counter()
            count = sum(len(label) for _, label in loader)
            if timed:
                out[str(workers)] = round(count / (time.perf_counter() - start))
    return out


def by_part(rounds: int = 15) -> dict[str, float]:
    """ms a view of a 500x375 photograph with ever more of what `natural` does, and in what form it is given back."""
    images, natural = photographs(None, 500, 375), Policy.load("natural")
    crop = {name: None for name in natural.operations if name != "crop"}
    views = adaptaug.Views(natural, size=224, finish="none", return_params=True)
    calls: dict[str, Callable[[Any], Any]] = {
        "crop alone, no guards": peers.ours(natural.edit(crop, guards=False), 224),
        "all operations, no guards": peers.ours(natural.edit(guards=False), 224),
        "natural": peers.ours(natural, 224),
        "natural, levels as tensors": peers.ours(natural, 224, "uint8"),
        "natural, normalised": peers.ours(natural, 224, "imagenet"),
        "natural, with its parameters": views,
    }
    return medians([turns.Contender(name, call, cycle(images), 2) for name, call in calls.items()], rounds)


def million(count: int = 1_000_000) -> dict[str, float]:
    """`measure` of 64x48 thumbnails, one at a time: rate, and what memory grew by after the first thousand."""
    images = [cv2.resize(image, (64, 48)) for image in photographs(None, 500, 375)]
    before, start = 0, time.process_time()
    for number in range(count):
        stats = adaptaug.measure(images[number % len(images)])
        float(stats.mean[0]), float(stats.contrast[0]), stats.detail_total
        if number == 1000:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "images": count,
        "a second": round(count / (time.process_time() - start)),
        "grown MB": round(grown / 1024, 1),
    }


def plot(result: dict[str, Any], path: str) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure((11, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    pixels = [int(np.prod([int(side) for side in name.split("x")])) for name in result["image size"]]
    panels[0].loglog(pixels, list(result["image size"].values()), "o-")
    panels[0].set(title="one image -> 224", xlabel="pixels of the image", ylabel="ms a view")
    panels[1].semilogx([int(n) for n in result["batch"]], list(result["batch"].values()), "o-")
    panels[1].set(title="batch of 32x32 -> 32", xlabel="images in the batch", ylim=(0, None))
    for kind in ("photograph", "batch of 512"):
        costs = [row[kind] for row in result["operations"].values()]
        panels[2].plot([int(n) for n in result["operations"]], np.array(costs) / costs[1], "o-", label=kind)
    panels[2].set(
        title="matrix operations", xlabel="how many", ylabel="cost over that of three", ylim=(0, None)
    )
    for axis in panels:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#e6e8eb", lw=0.6)
        for line in axis.lines:
            line.set_color("#0b6e99" if line is axis.lines[0] else "#c8553d")
    panels[2].legend(frameon=False)
    for axis in panels[:2]:
        axis.minorticks_off()
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].set_xticks([10**n for n in (4, 5, 6, 7)], ["10k", "100k", "1M", "10M"])
    panels[1].set_xticks([1, 8, 32, 128, 512, 2048], ["1", "8", "32", "128", "512", "2048"])
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts: dict[str, Callable[..., Any]] = {
        "image size": by_image_size, "batch": by_batch, "operations": by_operations, "workers": by_workers,
        "parts": by_part, "measure": million,
    }  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts), metavar="PART")
    parser.add_argument("--thumbnails", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="few rounds: that it runs, not how fast")
    parser.add_argument("--out", type=output)
    parser.add_argument("--plot", help="of image size, batch and operations")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parts["measure"] = partial(million, 2000 if options.quick else options.thumbnails)
    if options.quick:
        parts |= {name: partial(parts[name], 2) for name in ("operations", "parts")}
    result, load = turns.line("scaling", "scaling") | {"measured": today()}, turns.Load()
    for name in options.only:
        result[name] = parts[name]()
        print(name, json.dumps(result[name]), flush=True)
    result["load"] = load.told()
    result["peak memory, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    if options.plot:
        plot(result, options.plot)


if __name__ == "__main__":
    main()
