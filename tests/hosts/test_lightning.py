"""Lightning: views on the device in training, and validation left alone."""

from __future__ import annotations

import warnings
from collections import namedtuple

import pytest
import torch
from torch.utils.data import DataLoader, default_collate

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


def fit(coffee, workers, model=Model, collate=None, **options):
    image = torch.from_numpy(coffee).permute(2, 0, 1)
    model = model()
    loader = DataLoader(loop.Same(image), loop.BATCH, collate_fn=collate, **loop.workers(workers))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, **options,
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


class Named(Model):
    """A batch is a mapping, or a tuple with names."""

    images_in = None

    def training_step(self, batch, _):
        kept = batch if isinstance(batch, dict) else batch._asdict()
        first, second = kept["image"]
        assert kept["label"].dtype == torch.int64
        self.simclr.step(first, second)
        self.seen += [first, second]

    def validation_step(self, batch, _):
        pass


class Elsewhere(Named):
    images_in = "image"


Pair = namedtuple("Pair", ("label", "image"))
COLLATED = {
    "mapping": (
        Named,
        lambda batch: {"label": default_collate(batch)[1], "image": default_collate(batch)[0]},
    ),
    "named tuple": (Elsewhere, lambda batch: Pair(*reversed(default_collate(batch)))),
}


@pytest.mark.parametrize("kind", COLLATED)
def test_batches_with_names_keep_them(kind, coffee):
    model, collate = COLLATED[kind]
    assert len(fit(coffee, 0, model, collate).seen) == 8
    with pytest.raises(adaptaug.AdaptAugError, match=r"images_in: expected one of a batch's .*, got 'image'"):
        fit(coffee, 0, Elsewhere, lambda batch: {"x": default_collate(batch)[0]})


@pytest.mark.parametrize(("precision", "dtype"), [("bf16-true", torch.bfloat16), ("64-true", torch.float64)])
@pytest.mark.parametrize("levels", [True, False])
def test_views_have_the_networks_precision(precision, dtype, levels, coffee):
    class Floats(Model):
        def training_step(self, batch, _):
            self.seen += batch[0]
            assert self.network(batch[0][0]).dtype == dtype

    floats = lambda batch: [default_collate(batch)[0] / 255, default_collate(batch)[1]]  # noqa: E731
    model = fit(coffee, 0, Floats, None if levels else floats, precision=precision)
    plain = fit(coffee, 0, Model)
    assert all(view.dtype == dtype for view in model.seen)
    if levels:
        assert all(torch.equal(a, b.to(dtype)) for a, b in zip(model.seen[:2], plain.seen[:2], strict=True))


def test_the_same_seed_is_the_same_run(coffee):
    one, other = fit(coffee, 0), fit(coffee, 0)
    assert torch.equal(torch.cat(one.seen), torch.cat(other.seen))


def test_images_it_cannot_take_are_refused_in_a_sentence(coffee):
    with pytest.raises(adaptaug.AdaptAugError, match="expected a PIL image"):
        fit(coffee.astype("int64"), 0)
