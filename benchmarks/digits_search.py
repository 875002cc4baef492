"""Does the searched policy train a better encoder than the start's and than a person's? Final trainings.

    python -m benchmarks.digits_search --data ../shared/data/mnist --searched a.yaml b.yaml c.yaml --out R.json

`--data STEM` reads STEM_train_20k.npz and, once per trained network, STEM_test_5k.npz. Every policy trains with
the same seeds: 6,000 images, resnet-tiny, 12 epochs, batch 128, AdamW, cosine. kNN-20 with a bank of 1,000 labels,
linear probe on 200. `--long NAME=EPOCHS` adds a row: a policy that gets the search's time as extra epochs.
Trained networks are kept as JSON lines beside --out, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

import cv2
import numpy as np
import torch

from adaptaug.data import open_data
from adaptaug.encoders.networks import fast_precision
from adaptaug.learn.arms import keys_of
from adaptaug.learn.intervals import over_runs
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.metrics import features, knn_correct, labelled_subset, linear_probe
from benchmarks.schema import output, today

WIDER = {  # the digits preset with every shape change wider
    "crop": {"area": (0.25, 1.0), "ratio": (0.5, 2.0)}, "rotate": {"range": (-25, 25)},
    "shear": {"x": (-25, 25), "y": (-8, 8)}, "stretch": {"range": (0.6, 1.6666)},
}  # fmt: skip


def train_and_test(name: str, policy: str, stem: str, limit: int, epochs: int, seed: int) -> dict:
    """One network: pretrained without labels, then judged on the test split."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    began = time.perf_counter()
    data = open_data(f"{stem}_train_20k.npz").labelled()
    order = np.random.default_rng((seed, 99)).permutation(len(data))[:limit]
    images, labels = data.pixels(order), np.asarray(data.labels)[order]
    size = images.shape[-1]
    model = new_contrast("resnet-tiny", Policy.loads(policy), size, seed, precision=fast_precision())
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    batch, steps, step = 128, epochs * (limit // 128), 0
    for epoch in range(epochs):
        shuffled = np.random.default_rng((seed, epoch)).permutation(limit)
        for first in range(0, limit - batch + 1, batch):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
            index = shuffled[first : first + batch]
            loss = model(images[torch.from_numpy(index)], keys_of(seed, epoch, index))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    seconds = time.perf_counter() - began
    test = open_data(f"{stem}_test_5k.npz").labelled()
    answers = np.asarray(test.labels)
    queries, bank = test.pixels(range(len(test))), labelled_subset(labels, 1000, seed)
    few = labelled_subset(labels, 200, seed)
    embed = lambda x: features(model.encoder, x, precision=model.precision)  # noqa: E731
    known, asked = embed(images), embed(queries)
    hits = knn_correct(known[bank], labels[bank], asked, answers)
    return {
        "policy": name, "seed": seed, "epochs": epochs, "loss": round(float(loss), 4), "seconds": round(seconds, 1),
        "knn": round(100 * float(hits.mean()), 2),
        "probe": round(100 * linear_probe(known[few], labels[few], asked, answers, seed), 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--reference", default="simclr", help="the policy that others are compared with")
    parser.add_argument("--hand", nargs="*", default=["simclr", "simclr-cifar", "digits"])
    parser.add_argument("--searched", nargs="*", default=[])
    parser.add_argument("--long", nargs="*", default=[], metavar="NAME=EPOCHS")
    parser.add_argument("--long-seeds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--limit", type=int, default=6000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=output, required=True)
    options = parser.parse_args()
    policies = {name: Policy.load(name) for name in options.hand}
    if "digits" in policies:
        policies["digits, wider"] = policies["digits"].edit(WIDER)
    policies |= {f"searched {i}": Policy.load(path) for i, path in enumerate(options.searched)}
    wanted = [(name, options.epochs, seed) for seed in range(options.seeds) for name in policies]
    for text in options.long:
        name, _, epochs = text.partition("=")
        wanted += [(name, int(epochs), seed) for seed in range(options.long_seeds)]
    lines = options.out.with_suffix(".jsonl")
    rows = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    done = {(row["policy"], row["epochs"], row["seed"]) for row in rows}
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        futures = [
            pool.submit(train_and_test, name, policies[name].dumps(), options.data, options.limit, epochs, seed)
            for name, epochs, seed in wanted if (name, epochs, seed) not in done
        ]  # fmt: skip
        for future in as_completed(futures):
            rows.append(future.result())
            print(rows[-1], flush=True)
            with lines.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    rows = [row for row in rows if (row["policy"], row["epochs"], row["seed"]) in wanted]
    command = " ".join(
        f"--{k.replace('_', '-')} {' '.join(map(str, v)) if isinstance(v, list) else v}"
        for k, v in vars(options).items() if v
    )  # fmt: skip
    result = {
        "measured": today(),
        "command": f"python -m benchmarks.digits_search {command}",
        "machine": f"2 CPU cores, torch {torch.__version__}",
        "summary": summary(rows, options.reference), "rows": rows,
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def summary(rows: list[dict], reference: str) -> list[dict]:
    """Per policy and number of epochs: means over seeds, and the paired difference from the reference."""
    table = []
    shortest = min(r["epochs"] for r in rows)
    base = {r["seed"]: r for r in rows if (r["policy"], r["epochs"]) == (reference, shortest)}
    for name, epochs in dict.fromkeys((r["policy"], r["epochs"]) for r in rows):
        mine = sorted(
            (r for r in rows if (r["policy"], r["epochs"]) == (name, epochs)), key=lambda r: r["seed"]
        )
        line = {"policy": name, "epochs": epochs, "seeds": len(mine)}
        for score in ("knn", "probe"):
            values = np.array([r[score] for r in mine])
            line[score] = round(float(values.mean()), 2)
            if (name, epochs) != (reference, shortest) and len(mine) > 1:
                other = np.array([base[r["seed"]][score] for r in mine])
                apart = over_runs(values / 100, other / 100)
                line[f"{score} - {reference}"] = f"{apart.mean:+.2f} +- {apart.high - apart.mean:.2f}"
        table.append(line)
        print(line)
    return table


if __name__ == "__main__":
    main()
