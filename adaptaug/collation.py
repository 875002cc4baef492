"""Samples with views and their parameters -> a batch."""

from __future__ import annotations

from typing import Any

from torch.utils.data._utils.collate import collate as _collate
from torch.utils.data._utils.collate import default_collate_fn_map

from adaptaug.params import ViewParams


def _stack(params: list[ViewParams], *, collate_fn_map: Any = None) -> ViewParams:
    return ViewParams.stack(params)


def collate(samples: list[Any]) -> Any:
    """`DataLoader(collate_fn=adaptaug.collate)`: torch's default, which also takes ViewParams.

    Samples ((views, params), label) of `Views(return_params=True)` give ([view (B, 3, S, S), ...], [ViewParams of
    B images, ...]) and (B,) labels; views of several sizes stay a list, one tensor a view.
    """
    return _collate(samples, collate_fn_map={**default_collate_fn_map, ViewParams: _stack})
