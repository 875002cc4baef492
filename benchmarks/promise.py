"""How often the promise is broken (never, one hopes) and how often the certificate has to act.

    python -m benchmarks.promise --data ../shared/data --views 200000 --out benchmarks/results/promise.json

Half of the views go through OpenCV one by one, half through torch in batches, at 32, 96 and 224 px.
`--random N` adds N policies with guards on and everything else anywhere the schema accepts, their counts added up;
both views are judged. `--rounds N` does it with N seeds and keeps the sums in --out after each.
Judged by benchmarks/checker.py. Without --data, on the photographs that scikit-image ships.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import adaptaug
from adaptaug.files import write_atomically
from adaptaug.levels import box_reduce
from adaptaug.policy import Policy
from benchmarks.checker import violations
from benchmarks.random_policies import random_policy

SIZES = (32, 96, 224)
FRAME = Policy.parse({"version": 1, "name": "frame", "guards": False, "operations": {}})


def gather_sources(data: str | None, limit: int) -> dict[str, list[np.ndarray]]:
    """Folder name -> images. ../shared/data: the exposure categories, documents, and digits."""
    if data is None:
        from skimage import data as samples

        images = [samples.astronaut(), samples.chelsea(), samples.coffee(), samples.rocket()]
        dark = [((i / 255.0) ** 2 * 100).astype(np.uint8) for i in images]
        return {"samples": images, "samples, dark": dark}
    out: dict[str, list[np.ndarray]] = defaultdict(list)
    root = Path(data)
    for path in sorted((root / "photos" / "exposure").glob("*.jpg")):
        out[path.name.split("__")[0]].append(adaptaug.decode(path.read_bytes()))
    for path in sorted((root / "photos" / "documents").glob("*.jpg")):
        out["documents"].append(adaptaug.decode(path.read_bytes()))
    digits = np.load(root / "mnist_train_20k.npz")["x"]
    out["digits"] = [np.repeat(d[:, :, None], 3, 2) for d in digits[:400]]
    cifar = np.load(root / "cifar10_train_20k.npz")["x"]
    out["cifar10"] = list(cifar[:400])
    return {name: images[:limit] for name, images in out.items()}


def judge(images, aug, frame, key, view=0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Make a view of each image (a tensor batch or one array), judge it, and say where the certificate acted.

    `frame` is what FRAME, a policy without any operation, makes of the images: the full frame.
    """
    params = aug.plan(images, key=key, view=view)
    made = {"view": adaptaug.render(images, params), "crop": adaptaug.render(images, params.safe_crop())}
    if "noise" in params.entries or "erase.area" in params.entries:
        made["quiet"] = adaptaug.render(images, params.without("noise", "erase"))
        made["whole"] = adaptaug.render(images, params.without("erase"))
    made["frame"] = frame
    if isinstance(images, torch.Tensor):
        made = {name: v.permute(0, 2, 3, 1).numpy() for name, v in made.items()}
    else:
        made = {name: v[None] for name, v in made.items()}
    promise = aug.policy.for_view(view).promise
    broken = violations(
        **made, std=promise.std, std_share=promise.std_share, clip=promise.clip, dark=promise.dark,
        bright=promise.bright, like=promise.correlation,
    )  # fmt: skip
    acted = (np.asarray(params.strength) < 1) & ~np.asarray(params.blank)
    return broken, acted | np.asarray(params.frame), np.asarray(params.failed)


def run(sources, policies, views: int, seed: int = 0, batch: int = 64, sizes=SIZES) -> list[dict]:
    rows = []
    per_cell = max(1, views // (len(policies) * len(sources) * len(sizes) * 2))
    for policy in policies:
        for name, images in sources.items():
            tally: dict[str, int] = defaultdict(int)
            tests: dict[int, int] = defaultdict(int)
            for size in sizes:
                aug = adaptaug.AdaptiveAugment(policy, size=size)
                frame_of = adaptaug.AdaptiveAugment(FRAME, size=size)
                for renderer in ("opencv", "torch"):
                    for broken, acted, failed in _cells(
                        renderer, images, aug, frame_of, per_cell, seed, batch
                    ):
                        tally["views"] += len(acted)
                        tally["certificate"] += int(acted.sum())
                        for test, flags in broken.items():
                            tally[f"broken: {test}"] += int(flags.sum())
                        for code in failed[acted]:
                            tests[int(code)] += 1
            rows.append(
                {
                    "policy": getattr(policy, "name", policy),
                    "source": name,
                    "images": len(images),
                    **tally,
                    "failed": dict(tests),
                }
            )
            share = tally["certificate"] / tally["views"]
            print(
                f"{rows[-1]['policy']:<14}{name:<22}{tally['views']:>8} views  violations {tally['broken: any']:>6}"
                f"  certificate acted {share:7.3%}  {dict(tests)}", flush=True,
            )  # fmt: skip
    return rows


def _cells(renderer, images, aug, frame_of, count, seed, batch):
    order = [i % len(images) for i in range(count)]
    if renderer == "opencv":
        frames = [frame_of(image) for image in images[:count]]
        for number, i in enumerate(order):
            yield judge(images[i], aug, frames[i], (seed, 0, number), number % 2)
        return
    # A batch holds what loading workers make of photographs: reduced by whole boxes to at most 384 px.
    images = [box_reduce(image, -(-max(image.shape[:2]) // 384)) for image in images]
    groups = defaultdict(list)
    for number, i in enumerate(order):
        groups[images[i].shape].append((number, i))
    for members in groups.values():
        for start in range(0, len(members), batch):
            part = members[start : start + batch]
            stack = torch.from_numpy(np.stack([images[i] for _, i in part])).permute(0, 3, 1, 2)
            yield judge(
                stack, aug, frame_of(stack), [(seed, 1, number) for number, _ in part], start // batch % 2
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data")
    parser.add_argument("--views", type=int, default=200_000)
    parser.add_argument("--policies", nargs="+", default=["natural", "digits"])
    parser.add_argument("--random", type=int, default=0, metavar="N", help="random policies besides")
    parser.add_argument("--limit", type=int, default=400, help="images of each kind")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="sides of the views")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    start, rows = time.perf_counter(), list[dict]()
    sources = gather_sources(options.data, options.limit)
    policies = [*options.policies, *(random_policy(i) for i in range(options.random))]
    for seed in range(options.seed, options.seed + options.rounds):
        views = 2000 if options.quick else options.views
        rows = added(rows + run(sources, policies, views, seed, sizes=options.sizes), options.policies)
        total, broken = sum(r["views"] for r in rows), sum(r["broken: any"] for r in rows)
        print(f"{broken} violations over {total} views in {time.perf_counter() - start:.0f} s", flush=True)
        if options.out:
            result = {
                "command": "python -m benchmarks.promise " + " ".join(sys.argv[1:]), "rounds": seed - options.seed + 1,
                "machine": f"{platform.machine()}, torch {torch.__version__}, cv2 {cv2.__version__}",
                "seconds": round(time.perf_counter() - start), "views": total, "violations": broken, "rows": rows,
            }  # fmt: skip
            save(result, Path(options.out))


def save(result: dict[str, Any], path: Path) -> None:
    text = json.dumps(result, indent=1).encode()
    write_atomically(path, lambda file: file.write(text))


def added(rows: list[dict], named: list[str]) -> list[dict]:
    """One row for each policy and source, all policies that are not named in one."""
    sums: dict[tuple[str, str], dict] = {}
    for row in rows:
        policy = row["policy"] if row["policy"] in named else "random policies"
        into = sums.setdefault(
            (policy, row["source"]), {"policy": policy, "source": row["source"], "failed": {}}
        )
        into["images"] = row["images"]
        for name, count in row["failed"].items():
            into["failed"][name] = into["failed"].get(name, 0) + count
        for name, count in row.items():
            if name not in ("policy", "source", "failed", "images"):
                into[name] = into.get(name, 0) + count
    return list(sums.values())


if __name__ == "__main__":
    main()
