"""A million embeddings: memory and rate of training the head on a memory map of random features.

python -m benchmarks.million --out benchmarks/results/million/2-core-x86.json     (needs 4.1 GB of disk in --work)
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import torch

from adaptaug.simclr.classifier import HeadSettings, train_head
from adaptaug.simclr.embeddings import open_embeddings
from benchmarks.schema import output, today

CLASSES = 1000


def write(folder: Path, count: int, width: int) -> None:
    """A set as `embed` leaves it, filled block by block."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, (count, 1, width))
    block = random.standard_normal((8192, 1, width), np.float32).astype(np.float16)
    for start in range(0, count, len(block)):
        part = features[start : start + len(block)]
        part[:] = np.roll(block, start % width, 2)[: len(part)]
    features.flush()
    np.save(folder / "readable.npy", np.ones(count, bool))
    np.savez(folder / "known.npz", names=np.arange(count).astype(str), class_names=np.array([], str),
             labels=random.integers(0, CLASSES, count))  # fmt: skip
    (folder / "about.json").write_text("{}")
    (folder / "done-0-of-1.json").write_text(json.dumps({"done": count}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--work", default="runs/million")
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    folder = Path(options.work)
    if not folder.exists():  # in a process of its own, whose memory is not counted
        making = multiprocessing.get_context("spawn").Process(
            target=write, args=(folder, options.count, options.width)
        )
        making.start()
        making.join()
    started = time.perf_counter()
    done = train_head(open_embeddings(folder), HeadSettings(epochs=1))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{options.count:,} x {options.width}: an epoch with validation in {seconds:.0f} s, {done.rate:,.0f} rows/s "
          f"in training, peak memory {peak:.2f} GB")  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps({
            "measured": today(),
            "command": f"python -m benchmarks.million --count {options.count} --width {options.width}",
            "machine": f"CPU, {torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}",
            "seconds": seconds, "rows_per_second": done.rate, "peak_gb": peak,
        }, indent=1) + "\n")  # fmt: skip
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
