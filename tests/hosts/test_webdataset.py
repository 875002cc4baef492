"""webdataset: a stream of tar shards, keyed by the samples' names."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

webdataset = pytest.importorskip("webdataset")

import adaptaug
from adaptaug.hosts.webdataset import Keyed
from tests.hosts import loop


def itself(x):
    return x


@pytest.fixture(scope="module")
def shards(coffee, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    with webdataset.ShardWriter(str(folder / "train-%02d.tar"), maxcount=4, verbose=0) as writer:
        for i in range(loop.COUNT):
            writer.write({"__key__": f"s{i}", "png": Image.fromarray(coffee), "cls": i})
    return str(folder / "train-{00..01}.tar")


def loader(data, workers):
    return webdataset.WebLoader(data, batch_size=loop.BATCH, **loop.workers(workers))


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_map_tuple_trains(workers, shards):
    views = adaptaug.Views("natural", size=loop.SIZE)
    data = (
        webdataset.WebDataset(shards, shardshuffle=False)
        .decode("pil")
        .to_tuple("png", "cls")
        .map_tuple(views, itself)
    )
    batches = loader(data, workers)
    simclr, seen = loop.SimCLR(), []
    for _ in range(2):
        for (first, second), _ in batches:
            simclr.step(first, second)
            seen += [first, second]
    assert len(seen) == 8
    loop.assert_no_draw_repeats(seen)


def test_keys_are_the_samples_names(shards):
    made = []
    for workers in loop.LOADERS:
        keyed = Keyed(adaptaug.Views("natural", size=loop.SIZE), "png", seed=1)
        data = (
            webdataset.WebDataset(shards, shardshuffle=False)
            .decode("pil")
            .map(keyed)
            .to_tuple("__key__", "png")
        )
        batches = loader(data, workers)
        epochs = []
        for epoch in range(2):
            keyed.set_epoch(epoch)
            epochs.append({name: torch.stack([view[i] for view in views])
                           for names, views in batches for i, name in enumerate(names)})  # fmt: skip
        made.append(epochs)
    for one, other in zip(*made, strict=True):
        assert sorted(one) == sorted(other) == [f"s{i}" for i in range(loop.COUNT)]
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(made[0][0]["s0"], made[0][1]["s0"])


def test_without_set_epoch_no_draw_repeats(coffee):
    keyed = Keyed(adaptaug.AdaptiveAugment("natural", loop.SIZE, finish="uint8"))
    sample = {"__key__": "a", "jpg": coffee}
    loop.assert_no_draw_repeats([torch.stack([keyed(sample)["jpg"] for _ in range(4)])])


def test_another_sample_is_refused_in_a_sentence(coffee):
    with pytest.raises(
        adaptaug.AdaptAugError, match="expected a sample with '__key__' and an image as 'jpg'"
    ):
        Keyed(adaptaug.Views())({"__key__": "a", "png": coffee})
