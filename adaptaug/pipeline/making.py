"""Images -> finished views and what was decided for each, by the core where it can, by torch where it must."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch

from adaptaug.backend import keys
from adaptaug.backend.arrays import at_home
from adaptaug.core import engine
from adaptaug.core.reports import params_of
from adaptaug.errors import AdaptAugError
from adaptaug.params import ViewParams
from adaptaug.pipeline import band, encoded, generate
from adaptaug.pipeline.inputs import Source, core_form, from_planes, read, write, write_core
from adaptaug.policy.request import Request
from adaptaug.stats.image import ImageStats, with_statistics
from adaptaug.stats.similarity import Alike, similarity

Strength = Callable[[ImageStats], Any]  # how much stronger each image's views shall be, from its statistics


@at_home
def make(
    images: Any, request: Request, key: Any, strength: Strength | None = None, alike: Alike = similarity
) -> tuple[list[Any], list[ViewParams]]:
    """The finished views, and what was decided for each where that is asked for (else an empty list)."""
    if isinstance(images, bytes):
        key = keys.as_rows(key, 1)
        enough = encoded.affordable(request, key)
        images = encoded.decode(images, enough) if strength is None else encoded.decode(images)
    source = read(images)
    if source.plain and engine.usable(request.policy):
        return _by_core(source, request, key, strength, alike)
    rows, pixels = _rows(key, source), source.levels()
    with whole_levels(source):
        look = generate.look(pixels, request.policy, request.size)
        if strength is not None:
            look = replace(look, push=strength(look.stats))
        views, params = band.make_views(pixels, rows, request, look, alike)
    out = [write(view, source, request.finish) for view in views]
    return out, [p.row(0) if source.single else p for p in params] if request.params else []


def _by_core(
    source: Source, request: Request, key: Any, strength: Strength | None, alike: Alike
) -> tuple[list[Any], list[ViewParams]]:
    pixels, rows, numbers = source.eight_bits(), keys.as_rows(key, len(source)), request.numbers
    record = engine.source_of(pixels)
    push = None if strength is None else strength(with_statistics(source.planes(), engine.measure(record)))
    if request.policy.band is not None and len(numbers) > 1:
        rooms, plans = band.by_core(pixels, request, rows, push, alike)
        rooms = [from_planes(room, source, request.finish) for room in rooms]
    else:
        form = core_form(source, request.finish)
        rooms, reports = engine.make_views(record, request, rows, form, push)
        plans = [] if reports is None else [
            params_of(reports[:, i], request, rows, number, push, not source.single)
            for i, number in enumerate(numbers)
        ]  # fmt: skip
    return [write_core(room, source, request.finish) for room in rooms], plans


def whole_levels(source: Source) -> AbstractContextManager[Any]:
    """Switches a caller's autocast off: half precision cannot count levels, and a key gives the same view in it."""
    if not torch.is_autocast_enabled(source.device.type):
        return nullcontext()
    return torch.autocast(source.device.type, enabled=False)


def _rows(key: Any, source: Source) -> Any:
    count = len(source)
    if isinstance(key, torch.Tensor):  # keys already on the device: nothing to wait for
        if key.shape != (count, 3) or key.is_floating_point():
            raise AdaptAugError(
                f"key: expected a ({count}, 3) int64 tensor, got {key.dtype} of {tuple(key.shape)}."
            )
        return key.to(device=source.device, dtype=torch.int64)
    return torch.from_numpy(keys.as_rows(key, count)).to(source.device)
