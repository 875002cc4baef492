"""Hugging Face datasets: a function of rows for `with_transform`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adaptaug.errors import AdaptAugError


class Transform:
    """`dataset.with_transform(Transform(adaptaug.Views("natural", size=96)))`; a stream's `map(Transform(...))`.

    Rows keep their columns, and so does one row, as `map` hands it on; the image's holds its views, a list of n
    tensors, which torch's default collate makes n batches. Hugging Face's Trainer wants `remove_unused_columns=False`.
    The draws are fresh, governed by `torch.manual_seed`; for keyed ones wrap the data set: `adaptaug.Keyed(dataset,
    views, field="image")`. `map` of a data set that is no stream makes its views once and keeps them.

    Args:
        views: a Views, a MultiCrop or an AdaptiveAugment; column: of the images.
    """

    def __init__(self, views: Callable[..., Any], column: str = "image"):
        self.views, self.column = views, column

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        if self.column not in rows:
            raise AdaptAugError(
                f"expected a column {self.column!r} of images, got {', '.join(rows)}; name it."
            )
        cell = rows[self.column]
        views = (
            [self.views(image) for image in cell]
            if isinstance(cell, list) or getattr(cell, "ndim", 0) == 4
            else self.views(cell)
        )
        return {**rows, self.column: views}
