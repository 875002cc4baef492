"""Images/s of `pretrain` against lightly's own SimCLR example: same model, batch, precision and machine, interleaved.

    python -m benchmarks.trainer --data ../shared/data/cifar10_train_20k.npz \
        --out benchmarks/results/trainer/2-core-x86.json

The peer is the PyTorch Lightning loop of lightly's SimCLR example: its SimCLRTransform on PIL images in the workers,
torch's default collate, NTXentLoss and SimCLRProjectionHead, a DataLoader with drop_last. Ours is
`adaptaug.simclr.trainer.pretrain`. Both train the same encoder on the same images with AdamW; a round is one run of
each, one after the other, in an order that alternates. Steps of the first epoch (workers starting, caches) are left
out; a run's throughput is that of its other epochs as a whole, waiting for data between them included.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from lightly.transforms.simclr_transform import SimCLRTransform
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from adaptaug.data import open_data
from adaptaug.encoders.networks import build_encoder
from adaptaug.simclr.trainer import Settings, pretrain
from benchmarks.schema import output, today


class Example(pl.LightningModule):
    """lightly's SimCLR example with our encoder."""

    def __init__(self, arch: str, size: int):
        super().__init__()
        self.backbone = build_encoder(arch, "auto", size)
        width: Any = self.backbone.width
        self.projection_head = SimCLRProjectionHead(width, width, 128)
        self.criterion = NTXentLoss(0.5)

    def training_step(self, batch, index):
        (first, second), _ = batch
        return self.criterion(*(self.projection_head(self.backbone(view)) for view in (first, second)))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class Clock(pl.Callback):
    """When the first epoch's last step ended, and the run's."""

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if index == trainer.num_training_batches - 1:
            if trainer.accelerator.__class__.__name__.startswith("CUDA"):
                torch.cuda.synchronize()
            if trainer.current_epoch == 0:
                self.start = time.perf_counter()
            self.end = time.perf_counter()


class Pictures(Dataset):
    """What an ImageFolder gives lightly, without the decoding: a transformed PIL image and a label."""

    def __init__(self, images: np.ndarray, size: int, strength: float):
        self.images = images
        self.transform = SimCLRTransform(
            input_size=size, cj_strength=strength, gaussian_blur=0.0 if size <= 64 else 0.5
        )

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), 0


def peer(options: argparse.Namespace, images: np.ndarray, seed: int) -> float:
    """Images/s of lightly's example."""
    pl.seed_everything(seed, verbose=False)
    clock = Clock()
    loader = DataLoader(Pictures(images, options.size, 0.5), options.batch_size, shuffle=True, drop_last=True,
                        num_workers=options.workers)  # fmt: skip
    trainer = pl.Trainer(
        max_epochs=options.epochs, accelerator="auto", devices=1, precision=options.lightning_precision, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[clock],
    )  # fmt: skip
    trainer.fit(Example(options.arch, options.size), loader)
    return (options.epochs - 1) * len(loader) * options.batch_size / (clock.end - clock.start)


def ours(options: argparse.Namespace, seed: int) -> tuple[float, dict[str, float]]:
    """Images/s of `pretrain`, and the share of each part of its time."""
    with tempfile.TemporaryDirectory() as folder:
        pretrain(Settings(
            str(options.data), f"{folder}/run", options.policy, options.arch, size=options.size,
            epochs=options.epochs, batch=options.batch_size, limit=options.limit, seed=seed,
            precision=options.precision, views_on=options.views_on, workers=options.workers,
            held_out=0, tensorboard=False, views=2,  # as lightly's example has them
        ))  # fmt: skip
        lines = [json.loads(line) for line in Path(folder, "run", "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["epoch"] > 0]
    total = sum(line["step_seconds"] for line in lines)
    shares = {
        part: sum(line[f"{part}_seconds"] for line in lines) / total for part in ("data", "views", "forward")
    }
    shares["backward and optimizer"] = 1 - sum(shares.values())
    return len(lines) * options.batch_size / total, shares


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--policy", default="natural")
    parser.add_argument("--arch", default="resnet-tiny")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--limit", type=int, default=5120, help="images")
    parser.add_argument("--epochs", type=int, default=3, help="the first is not counted")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--views-on", default="auto")
    parser.add_argument("--precision", default="32", choices=("32", "bf16"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    options.lightning_precision = {"32": "32-true", "bf16": "bf16-mixed"}[options.precision]
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    source = open_data(options.data).take(options.limit)
    images = np.stack([source[i] for i in range(len(source))])
    rounds = []
    for number in range(options.rounds):
        row: dict[str, Any] = {}
        for who in ("ours", "peer") if number % 2 else ("peer", "ours"):
            if who == "ours":
                row["ours"], row["shares"] = ours(options, number)
            else:
                row["peer"] = peer(options, images, number)
        row["ratio"] = row["ours"] / row["peer"]
        rounds.append(row)
        parts = ", ".join(f"{name} {share:.0%}" for name, share in row["shares"].items())
        print(
            f"ours {row['ours']:.0f}, lightly {row['peer']:.0f} images/s: {row['ratio']:.2f}x  ({parts})",
            flush=True,
        )
    ratios = [row["ratio"] for row in rounds]
    print(
        f"median {np.median(ratios):.2f}x, {min(ratios):.2f} to {max(ratios):.2f} over {len(rounds)} rounds"
    )
    if options.out:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        settings = {k: v for k, v in vars(options).items() if k not in ("out", "lightning_precision")}
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in settings.items())
        result = {
            "measured": today(),
            "command": f"python -m benchmarks.trainer {flags}",
            "machine": f"{device}, {torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}",
            "median": float(np.median(ratios)), "spread": [min(ratios), max(ratios)], "rounds": rounds,
        }  # fmt: skip
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
