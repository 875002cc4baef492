"""Lightning: views on the device in training, and validation left alone."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch.utils.data import DataLoader

pl = pytest.importorskip("pytorch_lightning")

import adaptaug
from adaptaug.hosts.lightning import ViewsOnDevice
from tests.hosts import loop


class Model(ViewsOnDevice, pl.LightningModule):
    """As users write it: their module, and the mix-in before it."""

    def __init__(self):
        super().__init__()
        self.views = adaptaug.Views("natural", size=loop.SIZE)
        self.simclr = loop.SimCLR()
        self.network, self.automatic_optimization = self.simclr.model, False
        self.seen, self.validated = [], []

    def training_step(self, batch, _):
        (first, second), labels = batch
        self.simclr.step(first, second)
        assert labels.dtype == torch.int64
        self.seen += [first, second]

    def validation_step(self, batch, _):
        self.validated.append(batch[0])

    def configure_optimizers(self):
        return self.simclr.optimizer


def fit(coffee, workers):
    image = torch.from_numpy(coffee).permute(2, 0, 1)
    model = Model()
    loader = DataLoader(loop.Same(image), loop.BATCH, **loop.workers(workers))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        pl.seed_everything(3, verbose=False)
        trainer.fit(model, loader, DataLoader(loop.Same(image), loop.BATCH))
    return model


@pytest.mark.parametrize("workers", loop.LOADERS)
def test_it_trains_and_validates_clean_images(workers, coffee):
    model = fit(coffee, workers)
    loop.assert_no_draw_repeats(model.seen)
    assert len(model.seen) == 8
    clean = torch.from_numpy(coffee).permute(2, 0, 1)
    assert all(torch.equal(batch[0], clean) for batch in model.validated)


def test_the_same_seed_is_the_same_run(coffee):
    one, other = fit(coffee, 0), fit(coffee, 0)
    assert torch.equal(torch.cat(one.seen), torch.cat(other.seen))


def test_images_it_cannot_take_are_refused_in_a_sentence(coffee):
    with pytest.raises(adaptaug.AdaptAugError, match="expected a PIL image"):
        fit(coffee.astype("float32"), 0)  # as levels, not in [0, 1]
