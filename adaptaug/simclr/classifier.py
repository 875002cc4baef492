"""The classifier on frozen features: dropout, then three fully connected layers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import nn
from torch.nn import functional

from adaptaug import __version__
from adaptaug.backend.writing import write_atomically
from adaptaug.errors import AdaptAugError
from adaptaug.simclr.embeddings import Embeddings

_BLOCK, _BUFFER = 4096, 1 << 29  # images read at once; bytes in which they are shuffled
_PLACES = 4096  # in a set that does not fit in the buffer: from so many a buffer is filled
_SAMPLE = 100_000  # rows, at least, from which mean and deviation are taken


class Head(nn.Module):
    """Dropout -> Linear -> ReLU -> Linear -> ReLU -> Linear on standardised features: (B, W) -> (B, classes).

    Dropout comes before the first layer, so that no single feature is relied on. The features are first brought to
    mean 0 and deviation 1 of the training images, which is part of the head.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, width: int, classes: int, hidden: Sequence[int] = (512, 128), dropout: float = 0.5):
        super().__init__()
        first, second = hidden
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(),
            nn.Linear(second, classes),
        )  # fmt: skip

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers((features - self.mean) / self.std)
        return logits


@dataclass(frozen=True)
class HeadSettings:
    """Everything that decides a head. `views`: how many of each image's views are trained on, None for all of them.

    In an epoch every image and each of its views is seen once. `balance` weights classes by their rarity.
    `validation`: the share of images, with their views, that choose the best epoch.
    """

    epochs: int = 8
    dropout: float = 0.5
    hidden: tuple[int, int] = (512, 128)
    rate: float = 1e-3
    weight_decay: float = 1e-4
    batch: int = 256
    seed: int = 0
    validation: float = 0.2
    views: int | None = None
    balance: bool = False


@dataclass
class TrainedHead:
    """A head with how it did: accuracy of each epoch on validation images (clean, in [0, 1]), and their confusion.

    `confusion[i, j]`: validation images of class i taken for j. `rate`: rows of features a second while training.
    """

    head: Head
    classes: list[str]
    history: list[dict[str, float]]
    best: int
    confusion: np.ndarray
    rate: float
    settings: HeadSettings
    about: dict[str, Any]

    @property
    def accuracy(self) -> float:
        """Of the best epoch, on the images that chose it."""
        return self.history[self.best]["accuracy"]

    def text(self) -> str:
        """Accuracy per class and the confusion matrix."""
        total = self.confusion.sum(1)
        width = max(5, *(len(c) for c in self.classes), len(str(self.confusion.max())))
        lines = [f"{'':{width}}  " + " ".join(f"{c[:width]:>{width}}" for c in self.classes) + "   right"]
        for i, name in enumerate(self.classes):
            cells = " ".join(f"{n:>{width}}" for n in self.confusion[i])
            lines.append(f"{name:{width}}  {cells}  {self.confusion[i, i] / max(total[i], 1):6.1%}")
        return "\n".join(lines)

    def plot(self) -> Any:
        """Accuracy by epoch beside the confusion matrix, as a matplotlib Figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 4.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
        epochs = np.arange(1, len(self.history) + 1)
        for name, colour in (("train_accuracy", "#8a8a8a"), ("accuracy", "#1f5fbf")):
            values = [100 * line[name] for line in self.history]
            left.plot(epochs, values, marker="o", markersize=4, color=colour)
            label = "validation" if name == "accuracy" else "training (with dropout)"
            left.annotate(
                label,
                (epochs[-1], values[-1]),
                textcoords="offset points",
                xytext=(0, 7),
                ha="right",
                color=colour,
            )
        left.set(
            xlabel="epoch", ylabel="accuracy, %", title=f"best: epoch {self.best + 1}, {self.accuracy:.1%}"
        )
        left.spines[["top", "right"]].set_visible(False)
        share = self.confusion / np.maximum(self.confusion.sum(1, keepdims=True), 1)
        right.imshow(share, cmap="Blues", vmin=0, vmax=1)
        ticks = range(len(self.classes))
        right.set(
            xticks=ticks,
            yticks=ticks,
            xlabel="taken for",
            ylabel="class",
            title="validation images, % of a class",
        )
        right.set_xticklabels(self.classes, rotation=60, ha="right")
        right.set_yticklabels(self.classes)
        if len(self.classes) <= 12:
            for i in ticks:
                for j in ticks:
                    right.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=8,
                               color="white" if share[i, j] > 0.55 else "#333333")  # fmt: skip
        return figure

    def save(self, path: str | Path) -> None:
        """NAME.safetensors with NAME.json beside it, which says how the head was made."""
        path = Path(path)
        weights = {name: tensor.contiguous() for name, tensor in self.head.state_dict().items()}
        about = {
            "adaptaug": __version__, "classes": self.classes, "width": len(self.head.mean),
            "settings": asdict(self.settings), "best_epoch": self.best + 1, "accuracy": self.accuracy,
            "history": self.history, "confusion": self.confusion.tolist(), "embeddings": self.about,
        }  # fmt: skip
        write_atomically(path, lambda file: file.write(save(weights, {"format": "pt"})))
        write_atomically(
            path.with_suffix(".json"), lambda file: file.write(json.dumps(about, indent=1).encode() + b"\n")
        )


def load_head(path: str | Path) -> tuple[Head, dict[str, Any]]:
    """A saved head in evaluation mode, and its JSON. Raises: AdaptAugError: not there, or something else."""
    path = Path(path)
    try:
        about = json.loads(path.with_suffix(".json").read_text())
        head = Head(
            about["width"], len(about["classes"]), about["settings"]["hidden"], about["settings"]["dropout"]
        )
        head.load_state_dict(load_file(path))
    except Exception as error:  # safetensors has errors of its own
        reason = " ".join(str(error).split())[:90]
        raise AdaptAugError(f"{path}: expected a head that `adaptaug train-head` wrote ({reason}).") from None
    return head.eval(), about


def train_head(
    data: Embeddings,
    settings: HeadSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
    watch: Callable[[Head], None] | None = None,
) -> TrainedHead:
    """Train a head; the epoch that is best on held-out images is kept. Equal settings and data, equal head.

    Features are shuffled in a buffer of half a GB, so memory does not grow with the set: all of them where they fit in,
    else pieces from everywhere in the set, which may lie in the order of its classes. `progress` gets epochs done and
    all, `watch` the head after each, in evaluation mode.
    Raises: AdaptAugError: no labels, one class, or too few images to hold some out.
    """
    settings = settings or HeadSettings()
    labels, classes, used = _classes(data)
    variants = data.features.shape[1] - 1
    views = variants if settings.views is None else settings.views
    if not 0 <= views <= variants:
        raise AdaptAugError(f"views: expected 0 to {variants}, the views there are of an image, got {views}.")
    order = np.random.default_rng((settings.seed, 5)).permutation(np.flatnonzero(used))
    held = max(1, round(len(order) * settings.validation))
    if not 0 < settings.validation < 1 or len(order) - held < 2:
        raise AdaptAugError(
            f"expected a validation share between 0 and 1 of more images, got {settings.validation} of {len(order)}."
        )
    trained, asked = np.zeros(len(used), bool), np.zeros(len(used), bool)
    trained[order[held:]], asked[order[:held]] = True, True
    weights = None
    if settings.balance:
        counts = np.bincount(labels[trained], minlength=len(classes))
        weights = torch.tensor(trained.sum() / np.maximum(counts, 1) / len(classes), dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):  # weights and dropout
        torch.manual_seed(settings.seed)
        head = Head(data.width, len(classes), settings.hidden, settings.dropout)
        head.mean, head.std = _moments(data, trained)
        optimizer = torch.optim.AdamW(head.parameters(), settings.rate, weight_decay=settings.weight_decay)
        history: list[dict[str, float]] = []
        best, kept, confusion, rows, seconds = -1, {}, np.zeros(0), 0, 0.0
        for epoch in range(settings.epochs):
            head.train()
            right = count = 0
            total, started = 0.0, time.perf_counter()
            for features, targets in _batches(data, labels, trained, 1 + views, settings, epoch):
                out = head(features)
                loss = functional.cross_entropy(out, targets, weights)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                right += int((out.argmax(1) == targets).sum())
                total += float(loss.detach()) * len(targets)
                count += len(targets)
            rows, seconds = rows + count, seconds + time.perf_counter() - started
            table = _confusion(head, data, labels, asked, len(classes))
            accuracy = float(np.trace(table) / table.sum())
            history.append({"loss": total / count, "train_accuracy": right / count, "accuracy": accuracy})
            if best < 0 or accuracy > history[best]["accuracy"]:
                best, confusion = epoch, table
                kept = {name: tensor.clone() for name, tensor in head.state_dict().items()}
            if watch is not None:
                watch(head)
            if progress is not None:
                progress(epoch + 1, settings.epochs)
    head.load_state_dict(kept)
    return TrainedHead(head.eval(), classes, history, best, confusion, rows / seconds, settings, data.about)


def _classes(data: Embeddings) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Labels as 0 ... C-1 (of rows that are used), the classes' names, and which rows are used."""
    if data.labels is None:
        raise AdaptAugError(
            "expected embeddings with labels (of class folders, or 'y' in the .npz); "
            f"{data.about_labels or 'these have none.'}"
        )
    used = np.asarray(data.readable, bool) & (data.labels >= 0)
    values, inverse = np.unique(data.labels[used], return_inverse=True)
    if len(values) < 2:
        raise AdaptAugError(f"expected at least two classes, got {len(values)}.")
    labels = np.full(len(used), -1)
    labels[used] = inverse
    named = len(data.class_names) > max(values)
    return labels, [data.class_names[v] if named else str(v) for v in values], used


def _moments(data: Embeddings, trained: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of the clean training rows; of a large set, of pieces spread evenly over it."""
    every = max(1, int(trained.sum()) // _SAMPLE)
    block = _BLOCK if every == 1 else _piece(data)
    total, square, count = 0.0, 0.0, 0
    for start in range(0, len(trained), block * every):
        here = trained[start : start + block]
        clean = data.rows(start, start + len(here))[here, 0].astype(np.float64)
        total, square, count = total + clean.sum(0), square + (clean**2).sum(0), count + len(clean)
    mean = np.asarray(total) / count
    std = np.sqrt(np.maximum(np.asarray(square) / count - mean**2, 0))
    std = np.where(std > 1e-6 * max(float(std.max()), 1e-12), std, 1.0)  # a feature that never varies
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)


def _image_bytes(data: Embeddings) -> int:
    return int(data.features.shape[1]) * data.width * 4


def _piece(data: Embeddings) -> int:
    """Images that lie at one place: read at once from a set that does not fit in the buffer."""
    return max(1, _BUFFER // _PLACES // _image_bytes(data))


def _batches(
    data: Embeddings,
    labels: np.ndarray,
    trained: np.ndarray,
    variants: int,
    settings: HeadSettings,
    epoch: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An epoch: the set in as many parts as it has buffers, each a sample of all of it, shuffled in the buffer.

    Images often lie in the order of their classes. So a part takes one piece, by chance, of every stretch of the set
    that has as many pieces as there are parts, and has the classes in their shares.
    """
    random = np.random.default_rng((settings.seed, 6, epoch))
    parts = -(-len(trained) * _image_bytes(data) // _BUFFER)
    block = _BLOCK if parts == 1 else _piece(data)
    starts = np.arange(0, len(trained), block)
    starts = starts[np.lexsort((random.permutation(len(starts)), np.arange(len(starts)) // parts))]
    for part in range(parts):
        rows, targets = [], []
        for start in starts[part::parts]:
            here = trained[start : start + block]
            rows.append(data.rows(start, start + len(here))[here, :variants].reshape(-1, data.width))
            targets.append(np.repeat(labels[start : start + block][here], variants))
        pool, targets_of_pool = np.concatenate(rows), np.concatenate(targets)
        order = random.permutation(len(pool))
        for i in range(0, len(order), settings.batch):
            batch_rows = order[i : i + settings.batch]
            yield torch.from_numpy(pool[batch_rows]), torch.from_numpy(targets_of_pool[batch_rows])


@torch.no_grad()
def _confusion(
    head: Head, data: Embeddings, labels: np.ndarray, asked: np.ndarray, classes: int
) -> np.ndarray:
    head.eval()
    table = np.zeros((classes, classes), np.int64)
    for start, rows in data.blocks(_BLOCK):
        here = asked[start : start + len(rows)]
        if here.any():
            predicted = head(torch.from_numpy(rows[here, 0])).argmax(1).numpy()
            np.add.at(table, (labels[start : start + len(rows)][here], predicted), 1)
    return table
