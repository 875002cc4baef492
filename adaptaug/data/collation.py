"""Samples with views and their parameters -> a batch."""

from __future__ import annotations

from collections.abc import Mapping
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

    >>> views = Views("natural", size=32, return_params=True)
    >>> (first, second), (params, _) = collate([views(image, key=(0, 0, i)) for i in range(4)])
    >>> tuple(first.shape), len(params)
    ((4, 3, 32, 32), 4)
    """
    return _collate(samples, collate_fn_map={**default_collate_fn_map, ViewParams: _stack})


def fields_of(sample: Any) -> list[Any]:
    """What names a field of a sample or batch: a mapping's keys; places, and of a named tuple its names, too."""
    return (
        [*sample] if isinstance(sample, Mapping) else [*range(len(sample)), *getattr(sample, "_fields", ())]
    )


def place_of(sample: Any, field: Any) -> Any:
    """Where a field stands, which is its place in a named tuple."""
    named = isinstance(field, str) and not isinstance(sample, Mapping)
    return sample._fields.index(field) if named else field


def replaced(sample: Any, where: Any, value: Any) -> Any:
    """A sample or batch with another value in one field: a mapping as a dict, a tuple of whatever kind it is."""
    if isinstance(sample, Mapping):
        return {**sample, where: value}
    parts = [*sample[:where], value, *sample[where:][1:]]
    if isinstance(sample, tuple):
        return type(sample)(*parts) if hasattr(sample, "_fields") else tuple(parts)
    return parts
