"""timm: create_loader with its prefetcher and its fast collate."""

from __future__ import annotations

import pytest
import torch
from torchvision.datasets import ImageFolder

timm_data = pytest.importorskip("timm.data")

import adaptaug
from adaptaug.hosts.timm import two_views
from tests.hosts import loop


def loader(folder, workers, **options):
    return timm_data.create_loader(
        ImageFolder(folder), input_size=(3, loop.SIZE, loop.SIZE), batch_size=loop.BATCH, is_training=True,
        num_workers=workers, device=torch.device("cpu"), persistent_workers=bool(workers), **options,
    )  # fmt: skip


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_it_trains(workers, folder, monkeypatch):
    if workers:  # create_loader has no option for it
        start = torch.multiprocessing.get_start_method()
        torch.multiprocessing.set_start_method("forkserver", force=True)
        monkeypatch.callback = lambda: torch.multiprocessing.set_start_method(start, force=True)
    try:
        simclr, seen = loop.SimCLR(), []
        batches = two_views(loader(folder, workers), "natural", loop.SIZE)
        for _ in range(2):
            for views, targets in batches:
                assert views.shape[0] == len(targets) == 2 * loop.BATCH
                assert torch.equal(targets[: loop.BATCH], targets[loop.BATCH :])
                simclr.step(*views.split(loop.BATCH))
                seen.append(views)
        loop.assert_no_draw_repeats(seen)
    finally:
        if workers:
            monkeypatch.callback()


def test_its_pixels_are_those_of_the_views(folder):
    torch.manual_seed(0)
    batches = two_views(loader(folder, 0), "natural", loop.SIZE)
    image = ImageFolder(folder)[0][0]
    torch.manual_seed(1)
    tuple_ = batches.dataset.transform(image)
    torch.manual_seed(1)
    assert all(map(torch.equal, tuple_, adaptaug.Views("natural", size=loop.SIZE, finish="uint8")(image)))


def test_a_loader_that_does_not_normalise_is_refused_in_a_sentence(folder):
    with pytest.raises(adaptaug.AdaptAugError, match="use_prefetcher=True"):
        two_views(loader(folder, 0, use_prefetcher=False))


def test_a_loader_in_use_is_refused_in_a_sentence(folder):
    used = loader(folder, 2)
    used.loader._iterator = object()  # as after the first batch with persistent workers
    with pytest.raises(adaptaug.AdaptAugError, match="not been read yet"):
        two_views(used)
