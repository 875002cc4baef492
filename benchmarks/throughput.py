"""How fast: ours and the peers in one run, one after the other in turns, and the bare kernels as the limit.

    python -m benchmarks.throughput [--out FILE.jsonl] [--only ROW...] [--quick] [--device cuda] [--data FOLDER]

Each row is a workload; one line of JSON each, which takes the place of the row's earlier line. Times are in ms for each
view, of processor time (of all threads: what other processes had is not counted), and of the wall clock where a row is
of two threads, of loading workers or of a GPU; a ratio is of two times of one round. `ours` is `natural`, which
measures, guards and certifies; `ours, equal work` a manual policy without guards that does what the peers do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import torch
from rich.console import Console
from rich.table import Table

from benchmarks import turns, workloads
from benchmarks.schema import output
from benchmarks.turns import Claim, Clock, Contender


@dataclass(frozen=True)
class Row:
    title: str
    build: Callable[[str | None], list[Contender]]
    claims: tuple[Claim, ...]
    threads: int = 1
    clock: Clock = time.process_time


KERNELS = Claim("ours, equal work", "bare kernels", 1.1, 1.0)
ROWS = {
    "photo": Row(
        "500x375 array -> two 224 uint8 views", lambda folder: workloads.image_row(folder, 500, 375),
        (Claim("albumentations", "ours", 3, 4), Claim("torchvision, tensors", "ours", 25, 40),
         Claim("torchvision, PIL", "ours", 20, 40), Claim("lightly", "ours", 15, 40), KERNELS),
    ),
    "large": Row(
        "2048x1536 array -> two 224 uint8 views", lambda folder: workloads.image_row(folder, 2048, 1536),
        (Claim("albumentations", "ours", 1.4, 1.8), KERNELS),
    ),
    "jpeg": Row(
        "500x375 JPEG -> two 224 normalised views", lambda folder: workloads.jpeg_row(folder, 500, 375),
        (Claim("albumentations", "ours", 1.8, 2.5),),
    ),
    "jpeg-large": Row(
        "2048x1536 JPEG -> two 224 normalised views", lambda folder: workloads.jpeg_row(folder, 2048, 1536),
        (Claim("albumentations", "ours", 2, 2.5),),
    ),
    "small": Row(
        "batch of 512 of 32x32 -> 2x512 views", workloads.small_row,
        (Claim("kornia", "ours", 12, 20), Claim("albumentations", "ours", 12, 20)),
    ),
    "batch": Row(
        "batch of 32 of 224x224 -> 2x32 views, two threads", lambda folder: workloads.batch_row(folder, 32),
        (Claim("kornia", "ours", 25, 40),), threads=2, clock=time.perf_counter,
    ),
    "operations": Row(
        "twelve matrix operations against three", workloads.operations_row,
        tuple(Claim(f"12, {of}", f"3, {of}", 1.15, 1.05) for of in ("photograph", "batch of 512")),
    ),
    "loader": Row(
        "DataLoader of two workers, 500x375 arrays -> two 224 uint8 views", workloads.loader_row,
        (Claim("albumentations", "ours", 1.5, 3),), clock=time.perf_counter,
    ),
    "step": Row(
        "a training step of the cpu suite at 32 px",
        lambda folder: workloads.step_row(folder, time.process_time), (Claim("its views", "step", 0.03, 0.01),),
    ),
}  # fmt: skip
DEVICE = Row(
    "batch of 1024 of 224x224 on the device", lambda folder: workloads.batch_row(folder, 1024, "cuda"),
    (Claim("kornia", "ours", 5, 15),), clock=turns.device_clock,
)  # fmt: skip


def measured(name: str, row: Row, folder: str | None, rounds: int, seconds: float) -> dict[str, Any]:
    """A row's line."""
    torch.set_num_threads(row.threads)
    cv2.setNumThreads(row.threads)
    contenders, load = row.build(folder), turns.Load()
    turns.measure(contenders, rounds, seconds, row.clock)
    clock = "processor" if row.clock is time.process_time else "wall"
    return turns.line(
        "throughput", name, title=row.title, threads=row.threads, clock=clock, rounds=rounds, load=load.told(),
        **turns.told(contenders, row.claims),
    )  # fmt: skip


def show(line: dict[str, Any]) -> None:
    load = line["load"]
    table = Table("", "ms a view", "quartiles", title=f"{line['row']}: {line['title']}", min_width=80)
    for one in line["contenders"]:
        table.add_row(one["name"], f"{one['ms']:.4f}", "{:.4f} .. {:.4f}".format(*one["quartiles"]))
    for claim in line["claims"]:
        kind = "at most" if "at most" in claim else "at least"
        table.add_row(
            claim["ratio"], f"[bold]{claim['median']:.3g}x[/]",
            "{:.3g} .. {:.3g}".format(*claim["quartiles"])
            + f"; {kind} {claim[kind]:g}, aim {claim['aim']:g}: {'met' if claim['met'] else 'MISSED'}",
        )  # fmt: skip
    Console(width=120).print(table)
    print(f"threads {line['threads']}, {line['clock']} clock, {line['rounds']} rounds in {load['seconds']} s; "
          f"{load['cores busy']} cores busy, {load['with this process']} with this process\n", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.15, help="of a turn")
    parser.add_argument("--quick", action="store_true", help="three short rounds: that it runs, not how fast")
    parser.add_argument("--data", help="a folder of photographs instead of scikit-image's")
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    rounds, seconds = (3, 0.02) if options.quick else (options.rounds, options.seconds)
    rows = {"device": DEVICE} if options.device == "cuda" else {name: ROWS[name] for name in options.only}
    for name, row in rows.items():
        line = measured(name, row, options.data, rounds, seconds)
        show(line)
        turns.keep(line, options.out)


if __name__ == "__main__":
    main()
