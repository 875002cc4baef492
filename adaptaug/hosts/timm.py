"""timm: views through `create_loader`, which sets a transform of its own and collates uint8."""

from __future__ import annotations

from typing import Any

from adaptaug.errors import AdaptAugError
from adaptaug.policy import Policy
from adaptaug.views import Views


def two_views(
    loader: Any, policy: Policy | str | dict[str, Any] = "natural", size: int = 224, n: int = 2
) -> Any:
    """`loader = two_views(create_loader(...), "natural", 224)`, before the first batch is read.

    A batch is (n B, 3, S, S), view after view, normalised by timm, with the targets repeated n times: the order of
    `torch.cat(views)`. The fresh draws are governed by `torch.manual_seed`.
    """
    if not hasattr(loader, "loader"):
        raise AdaptAugError(
            "two_views: expected a loader of create_loader(..., use_prefetcher=True), which normalises its batches; "
            "for another set dataset.transform = adaptaug.Views(...)."
        )
    if loader.loader._iterator is not None:
        raise AdaptAugError(
            "two_views: expected a loader that has not been read yet; its workers have their transform."
        )
    loader.dataset.transform = _Tuple(Views(policy, n, size, finish="uint8"))
    return loader


class _Tuple:
    """timm's fast_collate takes a tuple of uint8 tensors as views, and a list as a mistake."""

    def __init__(self, views: Views[Any]):
        self.views = views

    def __call__(self, image: Any) -> tuple[Any, ...]:
        return tuple(self.views(image))
