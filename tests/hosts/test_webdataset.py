"""webdataset: a stream of tar shards, keyed by the samples' names."""

from __future__ import annotations

import copy

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


def pictures(keyed, samples):
    return [keyed(sample)["png"][0].numpy().tobytes() for sample in samples]


def keyed(**options):
    made = Keyed(adaptaug.Views("natural", n=1, size=loop.SIZE, finish="uint8"), "png", seed=1, **options)
    made.set_epoch(2)
    return made


def test_a_key_that_comes_again_is_a_new_picture(coffee):
    a, b = ({"__key__": name, "png": coffee} for name in "ab")
    once = keyed()
    made = pictures(once, [a, b, a, a])
    assert len(set(made)) == 4
    assert pictures(keyed(), [b, a, a, a])[:3] == [made[1], made[0], made[2]]  # whatever stands between
    other = copy.copy(once)
    assert pictures(other, [a]) == pictures(once, [a]) and pictures(once, [a]) != pictures(other, [b])
    once.set_epoch(2)  # the epoch anew
    assert pictures(once, [a, b, a, a]) == made


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_a_stream_that_repeats_its_samples(workers, shards):
    one = keyed()
    data = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").map(one).repeat(2)
    epochs = []
    for _ in range(2):
        one.set_epoch(2)
        made = loader(data.to_tuple("__key__", "png"), workers)
        epochs.append(sorted(view.numpy().tobytes() for _, views in made for view in views[0]))
    assert len(set(epochs[0])) == 2 * loop.COUNT and epochs[0] == epochs[1]


def test_workers_that_draw_the_same_samples(shards):
    one = keyed(resampled=True)
    data = webdataset.WebDataset(shards, shardshuffle=False, resampled=True, seed=0).decode("pil").map(one)
    made = loader(data.to_tuple("__key__", "png").with_epoch(2 * loop.COUNT), 2)
    views = [view.numpy().tobytes() for _, views in made for view in views[0]]
    assert len(set(views)) == len(views) == 4 * loop.COUNT


def test_another_sample_is_refused_in_a_sentence(coffee):
    with pytest.raises(
        adaptaug.AdaptAugError, match="expected a sample with '__key__' and an image as 'jpg'"
    ):
        Keyed(adaptaug.Views())({"__key__": "a", "png": coffee})
