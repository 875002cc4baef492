"""DataLoader workers: no draw repeats, and with keys the pixels do not depend on who makes them."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import adaptaug
from tests.support.workers import ITEMS, SIZE, Same, keyed

WORKERS = [  # workers, how they start, whether they live on
    (0, None, False),
    (1, "fork", False),
    (2, "fork", False),
    (2, "fork", True),
    (2, "forkserver", False),
    (2, "spawn", True),
]  # fmt: skip
IDS = [f"{count}-{start}{'-persistent' * lives}" for count, start, lives in WORKERS]


class Both(Dataset[Any]):
    """With keys, and as a transform without: one data set for both, as starting workers takes long."""

    def __init__(self) -> None:
        self.views = adaptaug.Views("natural", size=SIZE, finish="uint8")
        self.keyed = adaptaug.Keyed(Same(), self.views, seed=3)

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, index: int) -> tuple[list[torch.Tensor], list[torch.Tensor], int]:
        with_key, label = self.keyed[index]
        return with_key, self.views(Same()[index][0]), label


Epochs = list[dict[int, torch.Tensor]]  # per epoch: index -> (2, 3, S, S) views


@cache
def two_epochs(workers: int, start: str | None, persistent: bool, run: int = 0) -> tuple[Epochs, Epochs]:
    """The views made with keys, and those made without. `run` tells repeats of the same settings apart."""
    torch.manual_seed(0)
    loader = DataLoader(
        Both(),
        batch_size=2,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=start,
        persistent_workers=persistent,
    )
    with_keys: Epochs = [{}, {}]
    without: Epochs = [{}, {}]
    for epoch in range(2):
        for *kinds, labels in loader:
            for made, views in zip((with_keys[epoch], without[epoch]), kinds, strict=True):
                for row, label in enumerate(labels.tolist()):
                    made[label] = torch.stack([view[row] for view in views])
    return with_keys, without


def assert_none_repeats(epochs: Epochs) -> None:
    pixels = [view.numpy().tobytes() for made in epochs for views in made.values() for view in views]
    assert len(pixels) == 2 * ITEMS * 2
    assert len(set(pixels)) == len(pixels)


def same(one: Epochs, other: Epochs) -> bool:
    return all(
        torch.equal(a[index], b[index]) for a, b in zip(one, other, strict=True) for index in range(ITEMS)
    )


@pytest.mark.parametrize(("workers", "start", "persistent"), WORKERS, ids=IDS)
def test_keyed_pixels_are_the_same_whoever_makes_them(workers: int, start: str | None, persistent: bool):
    with_keys, _ = two_epochs(workers, start, persistent)
    assert_none_repeats(with_keys)
    assert same(with_keys, two_epochs(0, None, False)[0])


@pytest.mark.parametrize(("workers", "start", "persistent"), WORKERS, ids=IDS)
def test_without_keys_no_draw_repeats(workers: int, start: str | None, persistent: bool):
    _, without = two_epochs(workers, start, persistent)
    assert_none_repeats(without)


def test_without_keys_manual_seed_decides_in_workers():
    assert same(two_epochs(2, "fork", False)[1], two_epochs(2, "fork", False, run=1)[1])


def test_set_epoch_reaches_persistent_workers():
    dataset = keyed()
    loader = DataLoader(
        dataset, batch_size=ITEMS, num_workers=1, multiprocessing_context="fork", persistent_workers=True
    )
    made = []
    for epoch in (4, 4, 5):
        dataset.set_epoch(epoch)
        made.append(next(iter(loader))[0][0].clone())
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert torch.equal(made[0][3], dataset.views(Same()[3][0], key=(3, 4, 3))[0])


def test_keyed_counts_visits_of_each_item():
    dataset = keyed(seed=9)
    views = adaptaug.Views("natural", size=SIZE, finish="uint8")
    for visit in range(3):
        assert torch.equal(dataset[5][0][1], views(Same()[5][0], key=(9, visit, 5))[1])
    assert torch.equal(dataset[-3][0][0], views(Same()[5][0], key=(9, 3, 5))[0])  # the same item from the end


def test_keyed_seeds_differ():
    assert not torch.equal(keyed(1)[0][0][0], keyed(2)[0][0][0])


@pytest.mark.parametrize(
    ("dataset", "views", "said"),
    [
        (iter([1]), adaptaug.Views(size=SIZE), "map-style"),
        (Same(), None, "Views or AdaptiveAugment"),
    ],
    ids=["stream", "no views"],
)
def test_keyed_refuses_what_it_cannot_key(dataset: Any, views: Any, said: str):
    with pytest.raises(adaptaug.AdaptAugError, match=said):
        adaptaug.Keyed(dataset, views)


Pair = namedtuple("Pair", ("label", "image"))


@pytest.mark.parametrize("field", [1, "image"])
def test_samples_with_names_keep_them(field: int | str):
    sample = Pair(3, Same()[0][0])
    (made,) = [adaptaug.Keyed([sample], adaptaug.Views(size=SIZE), field=field)[0]]
    assert type(made) is Pair and made.label == 3 and made.image[0].shape == (3, SIZE, SIZE)


@pytest.mark.parametrize(
    ("sample", "field", "said"),
    [({"image": 1, "label": 2}, 0, "'image', 'label'.*got 0"), ((1, 2), "image", "0, 1.*got 'image'")],
    ids=["mapping", "tuple"],
)
def test_keyed_names_the_fields_that_samples_have(sample: Any, field: Any, said: str):
    with pytest.raises(adaptaug.AdaptAugError, match=f"field= to be one of a sample's .{said}"):
        adaptaug.Keyed([sample], adaptaug.Views(size=SIZE), field=field)[0]
