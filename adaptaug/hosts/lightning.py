"""Lightning: views made of a whole batch, on the device it has been moved to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class ViewsOnDevice:
    """A mix-in for a LightningModule or a LightningDataModule: in training `batch[0]` becomes its views.

    `class Model(ViewsOnDevice, LightningModule)` with `views = adaptaug.Views(...)` as an attribute; the loader hands
    on images of one size, uint8 or in [0, 1]. Validation, testing and the sanity check are left as they are. The
    draws are fresh, governed by `seed_everything`, and differ between processes.
    """

    views: Callable[..., Any]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        batch = super().on_after_batch_transfer(batch, dataloader_idx)  # type: ignore[misc]
        if not self.trainer.training:  # type: ignore[attr-defined]
            return batch
        images, *rest = batch if isinstance(batch, (list, tuple)) else (batch,)
        return [self.views(images), *rest]
