"""Embeddings judged: linear probe, kNN and the head on test images, and what needs no labels; one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from adaptaug.data.labels import renumbered
from adaptaug.errors import AdaptAugError
from adaptaug.simclr import metrics
from adaptaug.simclr.classifier import HeadSettings, train_head
from adaptaug.simclr.embeddings import Embeddings

_MOST = 20_000  # images that the probe and the label-free measures look at
_RANKED = 5_000


def judge(
    train: Embeddings,
    test: Embeddings,
    settings: HeadSettings | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Accuracy on `test` of classifiers fitted on `train`, with 95 % intervals, and label-free measures of `test`.

    Returns: {"rows": [{"measure", "value", "low", "high"}, ...], "train": images, "test": images}; accuracies in
    percent. The head's epoch and the probe's penalty are chosen within `train`. At most 20,000 images of each.
    Classes are compared by name where both sets name them, else by number.
    Raises: AdaptAugError: no labels, sets of different width or encoders, or a class that `train` lacks.
    """
    if train.width != test.width:
        raise AdaptAugError(f"expected embeddings of one width, got {train.width} and {test.width}.")
    if train.about.get("weights") != test.about.get("weights"):
        raise AdaptAugError(
            f"expected test features of the training features' encoder ({train.about.get('checkpoint')}), "
            f"got another's ({test.about.get('checkpoint')}); embed both with one checkpoint and normalisation."
        )
    if train.labels is None or test.labels is None:
        why = train.about_labels if train.labels is None else test.about_labels
        raise AdaptAugError(f"expected embeddings with labels; {why or 'some have none.'}")
    numbers, names = renumbered(test.labels, test.class_names, train.labels, train.class_names)
    test = replace(test, labels=numbers)
    bank, bank_labels = _clean(train)
    queries, labels = _clean(test)
    if not len(labels) or not len(bank_labels):
        raise AdaptAugError("expected images with labels among those that could be read, got none.")
    unknown = np.setdiff1d(labels, bank_labels)
    if len(unknown):
        first = names[unknown[0]] if names else unknown[0]
        raise AdaptAugError(
            f"expected test images of the training classes, got others, such as {first}; leave them out."
        )
    rows: list[dict[str, Any]] = []

    def add(name: str, correct: np.ndarray) -> None:
        low, high = metrics.interval(correct)
        rows.append(
            {"measure": name, "value": 100 * float(correct.mean()), "low": 100 * low, "high": 100 * high}
        )

    judges: dict[str, Callable[[], np.ndarray]] = {
        "linear probe": lambda: metrics.linear_correct(bank, bank_labels, queries, labels),
        "kNN-20": lambda: metrics.knn_correct(bank, bank_labels, queries, labels, 20),
        "kNN-200": lambda: metrics.knn_correct(bank, bank_labels, queries, labels, 200),
        "3-layer head": lambda: _head(train, queries, labels, settings or HeadSettings()),
    }
    for name, judge in judges.items():
        if say is not None:
            say(name)
        add(name, judge())
    rows.append({"measure": "RankMe", "value": metrics.rankme(_all_clean(test))})
    if test.features.shape[1] > 1:
        first, second = (torch.from_numpy(_pairs(test)[:, i]) for i in (0, 1))
        for name, value in metrics.alignment_uniformity(first, second).items():
            rows.append({"measure": name, "value": value})
    return {"rows": rows, "train": len(bank), "test": len(queries)}


def split(data: Embeddings, share: float = 0.2, seed: int = 0) -> tuple[Embeddings, Embeddings]:
    """(train, test) of one set, by images, each with its views."""
    order = np.random.default_rng((seed, 8)).permutation(len(data.features))
    test = np.zeros(len(order), bool)
    test[order[: max(1, round(share * len(order)))]] = True
    readable = np.asarray(data.readable, bool)
    return replace(data, readable=readable & ~test), replace(data, readable=readable & test)


def table(scores: dict[str, Any]) -> str:
    """As text."""
    lines = [
        f"{'':16} {'value':>8}   95 % interval   ({scores['train']:,} training, {scores['test']:,} test images)"
    ]
    for row in scores["rows"]:
        percent = "low" in row
        value = f"{row['value']:7.1f}%" if percent else f"{row['value']:8.3f}"
        interval = f"{row['low']:5.1f} to {row['high']:.1f}" if percent else ""
        lines.append(f"{row['measure']:16} {value}   {interval}".rstrip())
    return "\n".join(lines)


def _chosen(data: Embeddings, most: int, labelled: bool = False) -> np.ndarray:
    index = np.flatnonzero(data.readable)
    if labelled and data.labels is not None:
        index = index[data.labels[index] >= 0]
    if len(index) > most:
        index = np.sort(np.random.default_rng(9).permutation(index)[:most])
    return index


def _clean(data: Embeddings) -> tuple[torch.Tensor, np.ndarray]:
    assert data.labels is not None
    index = _chosen(data, _MOST, labelled=True)
    return torch.from_numpy(np.asarray(data.features[index, 0], np.float32)), np.asarray(data.labels[index])


def _all_clean(data: Embeddings) -> torch.Tensor:
    """Clean features of those that RankMe looks at, with a label or without."""
    index = _chosen(data, _MOST)[:_RANKED]
    return torch.from_numpy(np.asarray(data.features[index, 0], np.float32))


def _pairs(data: Embeddings) -> np.ndarray:
    """Two views of an image, or the image and its one view: (M, 2, W)."""
    index = _chosen(data, _RANKED)
    places = slice(1, 3) if data.features.shape[1] > 2 else slice(0, 2)
    return np.asarray(data.features[index, places], np.float32)


def _head(train: Embeddings, queries: torch.Tensor, labels: np.ndarray, settings: HeadSettings) -> np.ndarray:
    classifier = train_head(train, settings)
    values = np.unique(train.labels[np.asarray(train.readable, bool)])  # type: ignore[index]
    values = values[values >= 0]
    with torch.no_grad():
        return np.asarray(values[classifier.head(queries).argmax(1).numpy()] == labels)
