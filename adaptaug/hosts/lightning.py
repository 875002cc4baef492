"""Lightning: views made of a whole batch, on the device it has been moved to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from adaptaug.data.collation import fields_of, place_of, replaced
from adaptaug.errors import AdaptAugError


class ViewsOnDevice:
    """A mix-in for a LightningModule or a LightningDataModule: in training `batch[0]` becomes its views.

    `class Model(ViewsOnDevice, LightningModule)` with `views = adaptaug.Views(...)` as an attribute; the loader hands
    on images of one size, uint8 or in [0, 1]. Where they are elsewhere, `images_in` names the field of a mapping or
    named tuple, or the place; in a mapping the default is `image`. Views that are floats have the model's precision
    (`Trainer(precision="bf16-true")`). Validation, testing and the sanity check are left as they are. The draws are
    fresh, governed by `seed_everything`, and differ between processes.
    """

    views: Callable[..., Any]
    images_in: int | str | None = None

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        batch = super().on_after_batch_transfer(batch, dataloader_idx)  # type: ignore[misc]
        if not self.trainer.training:  # type: ignore[attr-defined]
            return batch
        if not isinstance(batch, (list, tuple, Mapping)):
            return [self._made(batch)]
        where: Any = self.images_in
        if where is None:
            where = "image" if isinstance(batch, Mapping) else 0
        if where not in (fields := fields_of(batch)):
            raise AdaptAugError(
                f"images_in: expected one of a batch's fields ({', '.join(map(repr, fields))}), got {where!r}."
            )
        where = place_of(batch, where)
        return replaced(batch, where, self._made(batch[where]))

    def _made(self, images: Any) -> Any:
        return _cast(self.views(images), self.trainer.lightning_module.dtype)  # type: ignore[attr-defined]


def _cast(views: Any, dtype: torch.dtype) -> Any:
    """Views, with their parameters or without, as floats of that precision where they are floats."""
    if isinstance(views, (list, tuple)):
        return type(views)(_cast(part, dtype) for part in views)
    return views.to(dtype) if isinstance(views, torch.Tensor) and views.is_floating_point() else views
