"""Hugging Face datasets: a function of rows for `with_transform`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adaptaug.errors import AdaptAugError


class Transform:
    """`dataset.with_transform(Transform(adaptaug.Views("natural", size=96)))`.

    Rows keep their columns; the image's holds its views, a list of n tensors, which torch's default collate makes n
    batches. Hugging Face's Trainer wants `remove_unused_columns=False`. The draws are fresh, governed by
    `torch.manual_seed`; for keyed ones wrap the data set: `adaptaug.Keyed(dataset, views, field="image")`.

    Args:
        views: a Views, a MultiCrop or an AdaptiveAugment; column: of the images.
    """

    def __init__(self, views: Callable[..., Any], column: str = "image"):
        self.views, self.column = views, column

    def __call__(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if self.column not in rows:
            raise AdaptAugError(
                f"expected a column {self.column!r} of images, got {', '.join(rows)}; name it."
            )
        return {**rows, self.column: [self.views(image) for image in rows[self.column]]}
