"""Hugging Face datasets: with_transform, and keys for a data set of mappings."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

datasets = pytest.importorskip("datasets")

import adaptaug
from adaptaug.hosts.huggingface import Transform
from tests.hosts import loop


@pytest.fixture(scope="module")
def rows(coffee):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    pictures = [Image.fromarray(coffee)] * loop.COUNT
    return datasets.Dataset.from_dict({"image": pictures, "label": list(range(loop.COUNT))}, features)


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_it_trains(workers, rows):
    data = rows.with_transform(Transform(adaptaug.Views("natural", size=loop.SIZE)))
    loader = DataLoader(data, loop.BATCH, **loop.workers(workers))
    simclr, seen = loop.SimCLR(), []
    for _ in range(2):
        for batch in loader:
            first, second = batch["image"]
            simclr.step(first, second)
            assert batch["label"].dtype == torch.int64
            seen += [first, second]
    loop.assert_no_draw_repeats(seen)


def test_keyed_rows_are_the_same_with_workers(rows):
    made = []
    for workers in loop.LOADERS:
        data = adaptaug.Keyed(rows, adaptaug.Views("natural", size=loop.SIZE), seed=2, field="image")
        batches = list(DataLoader(data, 4, **loop.workers(workers)))
        assert batches[1]["label"].tolist() == [4, 5, 6, 7]
        made.append(torch.cat([torch.cat(batch["image"]) for batch in batches]))
    assert torch.equal(*made)


def test_one_row_and_another_column(rows):
    data = rows.rename_column("image", "picture").with_transform(
        Transform(adaptaug.AdaptiveAugment("natural", loop.SIZE, finish="unit"), "picture")
    )
    assert data[0]["picture"].shape == (3, loop.SIZE, loop.SIZE)
    with pytest.raises(
        adaptaug.AdaptAugError, match="expected a column 'image' of images, got picture, label"
    ):
        data.with_transform(Transform(adaptaug.Views()))[0]


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
def test_map_takes_rows_and_one_row(streaming, batched, rows, tmp_path):
    data = rows.to_iterable_dataset() if streaming else rows
    made = data.map(Transform(adaptaug.Views("natural", size=loop.SIZE)), batched=batched,
                    **({} if streaming else {"cache_file_name": str(tmp_path / "rows.arrow")}))  # fmt: skip
    views = [torch.stack([torch.as_tensor(view) for view in row["image"]]) for row in made]
    assert views[0].shape == (2, 3, loop.SIZE, loop.SIZE)
    assert len({view.numpy().tobytes() for pair in views for view in pair}) == 2 * loop.COUNT


def test_rows_as_tensors(rows):
    made = Transform(adaptaug.Views("natural", size=loop.SIZE))(rows.with_format("torch")[:3])
    assert [len(views) for views in made["image"]] == [2, 2, 2]
