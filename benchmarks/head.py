"""The 3-layer head, end to end on real data: SimCLR -> embed -> head; are 8 epochs enough, and dropout, and views?

    adaptaug pretrain ../shared/data/cifar10_train_20k.npz --arch resnet-tiny --limit 10000 --epochs 40 \\
        --batch-size 128 --out RUN
    python -m benchmarks.head --data ../shared/data/cifar10_train_20k.npz \\
        --test ../shared/data/cifar10_test_5k.npz --run RUN

The same head on the features of RUN, on those of the same network untrained, and on raw pixels; after 1 to 30 epochs,
with and without dropout, with 0, 1 and 4 adaptive views of each image; every row with five seeds (of split, weights
and order). Accuracy on the clean test images, which choose nothing. Embeddings are kept in --work and not made twice,
rows in --out neither. Raw pixels have 24 times as many inputs, and so only the rows that the comparison needs.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adaptaug
from adaptaug.backend.writing import write_atomically
from adaptaug.data import Images, open_data
from adaptaug.encoders.backbone import Backbone, load_backbone
from adaptaug.encoders.networks import build_encoder
from adaptaug.simclr.classifier import Head, HeadSettings, train_head
from adaptaug.simclr.embeddings import Embeddings, embed, open_embeddings
from benchmarks.schema import output, today

EPOCHS, VIEWS, DROPOUTS, MOST = (1, 2, 4, 8, 16, 30), (0, 1, 4), (0.0, 0.5), 4
ROWS = {name: tuple(itertools.product(DROPOUTS, VIEWS)) for name in ("SimCLR", "untrained")}
ROWS["raw pixels"] = ((0.0, 0), (0.5, 0), (0.5, 1))
COLOURS = {"SimCLR": "#1f5fbf", "untrained": "#c1611f", "raw pixels": "#8a8a8a"}


def untrained(like: Backbone) -> Backbone:
    """The same network as it was before training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build_encoder(like.encoder.arch, like.encoder.stem)  # type: ignore[arg-type]
    return Backbone(encoder, "imagenet").eval()


class Pixels(torch.nn.Module):
    """Raw pixels as features, (B, 3 S S)."""

    def __init__(self, size: int):
        super().__init__()
        self.width = 3 * size * size
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def embedded(
    images: Images, backbone: Backbone, path: Path, views: int, policy: str, size: int
) -> Embeddings:
    """Made once, then read."""
    if not path.exists():
        embed(images, backbone, path, views, policy, size, batch=256)
    return open_embeddings(path)


def curve(train: Embeddings, test: Embeddings, settings: HeadSettings) -> tuple[list[float], float]:
    """Test accuracy (percent) after each epoch, and rows of features a second."""
    values = np.unique(np.asarray(train.labels))
    values = values[values >= 0]
    queries, labels = torch.from_numpy(test.rows(0, len(test.features))[:, 0]), np.asarray(test.labels)
    scores: list[float] = []

    @torch.no_grad()
    def watch(head: Head) -> None:
        scores.append(100 * float((values[head(queries).argmax(1).numpy()] == labels).mean()))

    done = train_head(train, settings, watch=watch)
    return scores, done.rate


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy by epoch: SimCLR, untrained and raw pixels with the default head; and views and dropout for SimCLR."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    epochs = np.arange(1, max(EPOCHS) + 1)

    def draw(axes: Any, row: dict[str, Any], colour: str, label: str, style: str = "-") -> None:
        curves = np.array(row["curves"])
        mean, std = curves.mean(0), curves.std(0, ddof=1)
        axes.plot(epochs, mean, color=colour, linestyle=style, label=label)
        axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.15, linewidth=0)

    for row in rows:
        if (row["dropout"], row["views"]) == (0.5, 1):
            draw(left, row, COLOURS[row["features"]], row["features"])
        if row["features"] == "SimCLR":
            colour = {0: "#b8c9e6", 1: "#6d97d6", 4: "#1f5fbf"}[row["views"]]
            dropout = row["dropout"] > 0
            draw(
                right,
                row,
                colour,
                f"{row['views']} views, {'dropout' if dropout else 'no dropout'}",
                "-" if dropout else ":",
            )
    for axes, title in (
        (left, "what the features come from (dropout, 1 view)"),
        (right, "SimCLR's features: views and dropout"),
    ):
        axes.axvline(8, color="#bbbbbb", linewidth=0.8, linestyle="--", zorder=0)
        axes.set(xlabel="epochs of the head", title=title, xlim=(1, max(EPOCHS)))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right", fontsize=9)
    left.set_ylabel("test accuracy, %")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--run", required=True, help="the folder of a pretraining run")
    parser.add_argument("--limit", type=int, default=8000, help="images the head is trained on")
    parser.add_argument("--policy", default="natural")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", default="runs/head", help="where embeddings are kept")
    parser.add_argument("--figure", default="docs/img/head.png")
    parser.add_argument("--out", type=output)
    options = parser.parse_args()
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    train_images, test_images = (open_data(data).labelled() for data in (options.data, options.test))
    train_images = train_images.take(options.limit)
    size = train_images[0].shape[0]
    backbone = load_backbone(options.run)
    makers: dict[str, Any] = {
        "SimCLR": backbone,
        "untrained": untrained(backbone),
        "raw pixels": Backbone(Pixels(size), "unit"),
    }
    rows: list[dict[str, Any]] = []
    if options.out and options.out.exists():
        rows = json.loads(options.out.read_text())["rows"]
    for name, maker in makers.items():
        stem = name.replace(" ", "-")
        train = embedded(train_images, maker, work / f"{stem}-train", MOST, options.policy, size)
        test = embedded(test_images, maker, work / f"{stem}-test", 0, options.policy, size)
        done = {(row["dropout"], row["views"]) for row in rows if row["features"] == name}
        for dropout, views in sorted(set(ROWS[name]) - done):
            curves, rates = [], []
            for seed in range(options.seeds):
                settings = HeadSettings(max(EPOCHS), dropout, seed=seed, views=views)
                scores, rate = curve(train, test, settings)
                curves.append([round(value, 3) for value in scores])
                rates.append(rate)
            at = {e: [c[e - 1] for c in curves] for e in EPOCHS}
            rows.append({"features": name, "width": train.width, "dropout": dropout, "views": views,
                         "rows_per_second": float(np.median(rates)), "curves": curves})  # fmt: skip
            after = ", ".join(f"{e}: {np.mean(v):.1f} ± {np.std(v, ddof=1):.1f}" for e, v in at.items())
            print(f"{name:10} dropout {dropout:g} views {views}: {after}", flush=True)
            if options.out:
                result = {
                    "measured": today(),
                    "command": "python -m benchmarks.head " + " ".join(
                        f"--{k} {v}" for k, v in vars(options).items() if k not in ("out", "figure", "work")),
                    "made_with": json.loads((Path(options.run) / "encoder.json").read_text())["settings"],
                    "machine": f"CPU, {torch.get_num_threads()} threads, torch {torch.__version__}",
                    "adaptaug": adaptaug.__version__, "rows": rows,
                }  # fmt: skip
                text = json.dumps(result)
                write_atomically(options.out, lambda file: file.write(text.encode() + b"\n"))  # noqa: B023
    plot(rows, Path(options.figure))


if __name__ == "__main__":
    main()
