"""What a pretraining run did, from its metrics.jsonl: loss per epoch, kNN, certificate, throughput.

adaptaug pretrain DATA ... --out RUN
python -m benchmarks.pretraining RUN --command "adaptaug pretrain DATA ... --out RUN" --out R.json
"""

from __future__ import annotations

import argparse
import json
import platform
from collections import defaultdict
from pathlib import Path
from statistics import mean, median

import torch

from benchmarks.schema import output, today


def summary(folder: Path) -> dict[str, object]:
    """Mean loss of each epoch, every measurement on the held-out part, medians of the rest."""
    steps = defaultdict(list)
    held = []
    for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
        if "train_loss" in line:
            steps[line["epoch"]].append(line)
        else:
            held.append(line)
    every = [line for lines in steps.values() for line in lines]
    total = sum(line["step_seconds"] for line in every)
    shares = {part: sum(line[f"{part}_seconds"] for line in every) / total for part in ("data", "views")}
    return {
        "train_loss": [round(mean(line["train_loss"] for line in lines), 4) for lines in steps.values()],
        "held_out": held,
        "certificate_share": round(mean(line["certificate_share"] for line in every), 5),
        "images_per_second": round(median(line["images_per_second"] for line in every)),
        "seconds": round(total),
        "shares": {part: round(share, 4) for part, share in shares.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--command", required=True, help="what made the run")
    parser.add_argument("--out", type=output, required=True)
    options = parser.parse_args()
    machine = f"{torch.get_num_threads()} CPU threads, {platform.machine()}, torch {torch.__version__}"
    result = {"measured": today(), "command": options.command, "machine": machine, **summary(options.run)}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
