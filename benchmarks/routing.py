"""What `auto` takes images for, and whether that changes anything but the policy: confusion, agreement, leak, cost.

    python -m benchmarks.routing --data ../shared/data --out benchmarks/results/routing/2-core-x86.json

`confusion`: for every set of images at hand the share that each preset gets (`--each` images of a set). `same`: rows of
mixed batches that differ from their preset alone, or after a permutation, by engine; routes that differ between engines
and containers (`flips`), with the nearest distance of a statistic to a limit. `broken`: views that break the promise of
their own policy, by the independent checker. `leak`: how often a classifier tells the route of an image of one set (so
that subject and route do not go together) from the parameters of its view; `by chance` is the share of the commonest.
`cost`: milliseconds of processor time, in turns, medians; run it alone on a machine.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from skimage import data as samples
from sklearn.datasets import load_digits, load_sample_images
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_predict

import adaptaug
from adaptaug import Policy, ViewParams, Views
from adaptaug.core import engine
from benchmarks import glyphs, mixed
from benchmarks.judging import FRAME, see
from benchmarks.schema import output, today

AUTO = Policy.load("auto")
SIDE, SIZE, LONGEST = 32, 32, 640
PHOTOGRAPHS = (
    "astronaut",
    "chelsea",
    "coffee",
    "camera",
    "rocket",
    "coins",
    "brick",
    "grass",
    "gravel",
    "moon",
    "cell",
)
Sets = dict[str, list[np.ndarray]]


def rgb(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else image[:, :, :3])


def crops(images: list[np.ndarray], side: int, each: int) -> list[np.ndarray]:
    """Squares of some images, `each` in all."""
    random, out = np.random.default_rng(side), []
    large = [image for image in images if min(image.shape[:2]) >= side]
    for i in range(each):
        image = large[i % len(large)]
        top, left = (int(random.integers(0, length - side + 1)) for length in image.shape[:2])
        out.append(np.ascontiguousarray(image[top : top + side, left : left + side]))
    return out


def shared(data: Path, each: int) -> Sets:
    """The sets of ../shared/data: three of small images, photographs by what was found wrong with them, pages."""
    sets = {
        name: [rgb(image) for image in np.load(data / f"{name}_test_5k.npz")["x"][:each]]
        for name in ("cifar10", "mnist", "fashion")
    }
    with (data / "photos" / "index.csv").open() as file:
        for row in csv.DictReader(file):
            image = Image.open(data / "photos" / row["file"]).convert("RGB")
            image.thumbnail((LONGEST, LONGEST))
            sets.setdefault(f"photos, {row['category']}", []).append(np.asarray(image))
    for side in (32, 64, 128):
        sets[f"pages photographed, {side} px"] = crops(sets["photos, document"], side, each // 4)
    return sets


def packaged(each: int) -> Sets:
    """What scikit-image, scikit-learn and matplotlib carry."""
    whole = [rgb(getattr(samples, name)()) for name in PHOTOGRAPHS] + list(load_sample_images().images)
    pages = [rgb(samples.page()), rgb(samples.text())]
    letters = glyphs.make(glyphs.OF_THE_TEST, 4, 1)["x"][:each]
    sets = {
        "samples": whole, "scans": pages, "scans, light on dark": [255 - page for page in pages],
        "samples, darkened": [np.uint8(image * 0.15) for image in crops(whole, 128, each // 4)],
        "stars, 256 px": crops([rgb(samples.hubble_deep_field())], 256, each // 8),
        "glyphs": [rgb(image) for image in letters], "glyphs, dark on light": [255 - rgb(image) for image in letters],
        "digits, 8 px": [rgb((digit * 15.9).astype(np.uint8)) for digit in load_digits().images[:each]],
        "text drawn, 32 px": [rgb(image) for image in mixed.texts(glyphs.OF_THE_TEST, each, 3)[0]],
    }  # fmt: skip
    for side in (32, 64, 128):
        sets[f"samples, {side} px"] = crops(whole, side, each // 2)
        sets[f"scans, {side} px"] = crops(pages, side, each // 4)
    return sets


def route_of(image: Any) -> int:
    route = adaptaug.plan(image, AUTO, key=(0, 0, 0), size=SIZE).route
    assert route is not None  # of a policy that routes
    return int(route[0])


def confusion(sets: Sets) -> dict[str, dict[str, Any]]:
    out = {}
    for name, images in sets.items():
        votes = Counter(AUTO.by_route(route_of(image)).name for image in images)
        out[name] = {"images": len(images), **{policy: votes[policy] for policy in sorted(votes)}}
        print(f"{name:32s}", out[name], flush=True)
    return out


def of_one_size(sets: Sets, each: int) -> torch.Tensor:
    """(B, 3, 32, 32) images of all subjects."""
    names = ("cifar10", "mnist", "fashion", "text drawn, 32 px", "scans, 32 px", "glyphs", "samples, 32 px")
    images = [
        np.asarray(Image.fromarray(i).resize((SIDE, SIDE)))
        for name in names
        for i in sets.get(name, [])[:each]
    ]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def same(batch: torch.Tensor, containers: list[np.ndarray]) -> dict[str, Any]:
    keys = [(1, 0, i) for i in range(len(batch))]
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(batch)))
    out: dict[str, Any] = {"rows": len(batch), "views": 2}
    routes = {}
    for name, use in (("core", nullcontext), ("torch", engine.off)):
        with use():
            views, params = Views(AUTO, 2, SIZE, "uint8", return_params=True)(batch, key=keys)
            routes[name] = np.asarray(params[0].route)
            moved = Views(AUTO, 2, SIZE, "uint8")(batch[order], key=[keys[i] for i in order])
            alone = 0
            for number in np.unique(routes[name]):
                rows = np.flatnonzero(routes[name] == number)
                own = Views(AUTO.choices[number], 2, SIZE, "uint8")
                for row in rows:
                    made = own(batch[row : row + 1], key=[keys[row]])
                    alone += not all(torch.equal(a[row], b[0]) for a, b in zip(views, made, strict=True))
        permuted = [(a[order] != b).flatten(1).any(1) for a, b in zip(views, moved, strict=True)]
        out[name] = {
            "rows unlike their preset alone": alone,
            "rows that a permutation changed": int(sum(p.sum() for p in permuted)),
        }
    out["routes that differ between engines"] = int((routes["core"] != routes["torch"]).sum())
    out["routes by subject"] = {
        AUTO.routes[k].subject: int(n) for k, n in Counter(routes["core"].tolist()).items()
    }
    flips = 0
    for image in containers:
        lossless, jpeg = io.BytesIO(), io.BytesIO()
        Image.fromarray(image).save(lossless, "png")
        Image.fromarray(image).save(jpeg, "jpeg", quality=95)
        given = [Image.fromarray(image), torch.from_numpy(image).permute(2, 0, 1), lossless.getvalue()]
        flips += sum(route_of(one) != route_of(image) for one in given)
        flips += route_of(jpeg.getvalue()) != route_of(adaptaug.decode(jpeg.getvalue()))
        with engine.off():
            other = route_of(image)
        flips += other != route_of(image)
    return out | {"images in five containers": len(containers), "flips": flips}


def broken(batch: torch.Tensor, epochs: int) -> dict[str, int]:
    """Views that break their own policy's promise."""
    views, count = Views(AUTO, 2, SIZE, "none", return_params=True), 0
    frame = adaptaug.AdaptiveAugment(FRAME, size=SIZE)(batch)
    for epoch in range(epochs):
        for number, pair in enumerate(see(batch, views, frame, [(2, epoch, i) for i in range(len(batch))])):
            count += int(pair.broken(AUTO, number)["any"].sum())
    return {"views": 2 * epochs * len(batch), "broken": count}


def features(params: ViewParams) -> np.ndarray:
    """(B, F) what an encoder might see of a view's making: how it was cut, its map of colour, what was filtered."""
    parts = [
        params.matrix.reshape(len(params), -1),
        params.colour.reshape(len(params), -1),
        params.strength[:, None],
    ]
    for name in ("blur", "noise"):
        parts.append(params.value(name)[:, None])
    return np.concatenate([np.asarray(part, np.float64) for part in parts], 1)


def leak(batch: torch.Tensor) -> dict[str, float]:
    """How well the parameters of a view tell its preset, of images of all sets."""
    keys = [(3, 0, i) for i in range(len(batch))]
    (params,) = Views(AUTO, 1, SIZE).plan(batch, key=keys)
    assert params.route is not None  # of a policy that routes
    presets = np.array([AUTO.by_route(route).name for route in params.route])
    predictions = cross_val_predict(
        HistGradientBoostingClassifier(max_iter=60), features(params), presets, cv=3
    )
    recall = [float((predictions[presets == name] == name).mean()) for name in np.unique(presets)]
    common = max(Counter(presets.tolist()).values()) / len(presets)
    right = float((predictions == presets).mean())
    return {"images": len(batch), "told": round(right, 3), "by chance": round(common, 3),
            "balanced": round(float(np.mean(recall)), 3), "balanced by chance": round(1 / len(recall), 3)}  # fmt: skip


def cost(batch: torch.Tensor, rounds: int) -> dict[str, float]:
    """Milliseconds of processor time of a pair of views, `auto` and `natural` in turns on the same photographs."""
    photograph = samples.coffee()
    large = np.asarray(Image.fromarray(photograph).resize((1200, 800)))
    work: dict[str, tuple[Any, int]] = {"photograph 600 x 400": (photograph, 224),
                                        "photograph 1200 x 800": (large, 224),
                                        "batch of 256, 32 x 32": (batch[:256].contiguous(), 32)}  # fmt: skip
    out: dict[str, float] = {}
    for name, (images, size) in work.items():
        for by, use in (("core", nullcontext), ("torch", engine.off)):
            with use():
                out |= {f"{name}, {by}, {p}": ms for p, ms in _turns(images, size, rounds).items()}
    return out


def _turns(images: Any, size: int, rounds: int) -> dict[str, float]:
    policies = {name: Views(name, 2, size) for name in ("natural", "auto")}
    times: dict[str, list[float]] = {name: [] for name in policies}
    for turn in range(rounds + 2):
        key = turn if not isinstance(images, torch.Tensor) else [(0, turn, i) for i in range(len(images))]
        for name, views in policies.items():
            began = time.process_time()
            views(images, key=key)
            times[name].append(1000 * (time.process_time() - began))
    return {name: round(float(np.median(spent[2:])), 3) for name, spent in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--each", type=int, default=400, help="images of a set, at most")
    parser.add_argument("--rounds", type=int, default=15, help="of the timings; 0: none")
    parser.add_argument("--only", nargs="+", help="parts: confusion, same, broken, leak, cost")
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = packaged(options.each) | (shared(options.data, options.each) if options.data else {})
    batch = of_one_size(sets, options.each // 4)
    photographs = (
        torch.from_numpy(np.stack(sets.get("cifar10", sets["samples, 32 px"])))
        .permute(0, 3, 1, 2)
        .contiguous()
    )
    parts: dict[str, Callable[[], Any]] = {
        "confusion": lambda: confusion(sets),
        "same": lambda: same(batch, [image for images in sets.values() for image in images[:4]]),
        "broken": lambda: broken(batch, 4), "leak": lambda: leak(batch),
        "cost": lambda: cost(photographs, options.rounds),
    }  # fmt: skip
    result = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    for name, part in parts.items():
        if name in (options.only or parts):
            result[name] = part()
            print(name, json.dumps(result[name]), flush=True)
    result |= {"command": "python -m benchmarks.routing --data ../shared/data", "measured": today()}
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
