"""The similarity band: of a few guarded pairs of an image, the one that is neither too alike nor too different.

Only for policies with a `band`. Its cost is stated: CANDIDATES times that of a pair in torch (nothing waits for the
device); the core draws again only until all are in the band. The first draw stays wherever it is in the band.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from adaptaug.backend import keys
from adaptaug.backend.arrays import pick_rows
from adaptaug.core import engine
from adaptaug.core.reports import params_of
from adaptaug.params import ViewParams
from adaptaug.pipeline.generate import Look, make_view
from adaptaug.policy.conditional import Moves
from adaptaug.policy.request import Request
from adaptaug.stats.similarity import Alike, similarity

CANDIDATES = 4


def make_views(
    pixels: torch.Tensor, rows: torch.Tensor, request: Request, look: Look, alike: Alike = similarity
) -> tuple[list[torch.Tensor], list[ViewParams]]:
    """The views that are asked for, of each image, as `generate.make_view` makes them, kept in the policy's band.

    The similarity, by `alike`, is the mean over the later views of theirs with the first; where no candidate is in the
    band, the one nearest to it is taken. `evidence` has "similarity" and "candidate", the number of the draw that was
    kept.
    """

    def drawn(candidate: int) -> tuple[list[torch.Tensor], list[ViewParams]]:
        key = keys.another(rows, candidate)
        candidates = [make_view(pixels, key, number, look) for number in request.numbers]
        return [view for view, _ in candidates], [params for _, params in candidates]

    policy = request.policy
    views, params = drawn(0)
    if policy.band is None or len(views) < 2:
        return views, params
    likeness = _likeness(alike, views)
    outside = _outside(likeness, *policy.band)
    which = torch.zeros_like(outside, dtype=torch.int64)
    every = [params]
    for candidate in range(1, CANDIDATES):
        others, more = drawn(candidate)
        now = _likeness(alike, others)
        away = _outside(now, *policy.band)
        better = away < outside
        which, outside = torch.where(better, candidate, which), torch.where(better, away, outside)
        likeness = torch.where(better, now, likeness)
        every.append(more)
        views = [pick_rows([one, other], better.long()) for one, other in zip(views, others, strict=True)]
    params = [ViewParams.choose(plans, which) for plans in zip(*every, strict=True)]
    evidence = {"similarity": likeness.double(), "candidate": which}
    return views, [replace(p, evidence={**p.evidence, **evidence}) for p in params]


def by_core(
    pixels: np.ndarray | torch.Tensor, request: Request, rows: np.ndarray, push: Any, alike: Alike
) -> tuple[list[torch.Tensor], list[ViewParams]]:
    """The same by the core: (B, 3, S, S) uint8 views; images in the band are not drawn again."""
    policy = request.policy
    assert policy.band is not None
    batch = isinstance(pixels, torch.Tensor)
    key = rows.copy()  # of the draws that are kept

    def drawn(some: np.ndarray) -> tuple[list[torch.Tensor], Any, torch.Tensor]:
        part = pixels[torch.from_numpy(some)] if batch else pixels
        source, moves = engine.source_of(part), _rows_of(push, some)
        views, reports = engine.make_views(source, request, key[some], engine.PLANAR_RGB, moves)
        return views, reports, _likeness(alike, [view.float() for view in views])

    views, reports, likeness = drawn(np.arange(len(rows)))
    outside, which = _outside(likeness, *policy.band), np.zeros(len(rows), np.int64)
    for candidate in range(1, CANDIDATES):
        again = np.flatnonzero(outside.numpy() > 0.0)
        if not len(again):
            break
        before = key[again]
        key[again] = keys.another(rows[again], candidate)
        others, more, now = drawn(again)
        away = _outside(now, *policy.band)
        better = (away < outside[again]).numpy()
        key[again[~better]] = before[~better]
        chosen = again[better]
        which[chosen] = candidate
        outside[chosen], likeness[chosen] = away[better], now[better]
        for view, other in zip(views, others, strict=True):
            view[chosen] = other[better]
        if request.params:
            reports[chosen] = more[better]
    if not request.params:
        return views, []
    evidence: dict[str, Any] = {"similarity": likeness.double(), "candidate": torch.from_numpy(which)}
    kept = evidence if batch else {name: values.numpy() for name, values in evidence.items()}
    plans = [
        params_of(reports[:, i], request, key, number, push, batch)
        for i, number in enumerate(request.numbers)
    ]
    return views, [replace(plan, evidence={**plan.evidence, **kept}) for plan in plans]


def _rows_of(push: Any, some: np.ndarray) -> Any:
    """What moves the draws of some of a batch's images."""
    if push is None:
        return None
    if not isinstance(push, Moves):
        return push[some]
    parts = (
        {name: values[some] for name, values in part.items()}
        for part in (push.p, push.strength, push.evidence)
    )
    return Moves(*parts)


def _likeness(alike: Alike, views: list[Any]) -> torch.Tensor:
    return torch.stack([alike(views[0], other) for other in views[1:]]).mean(0)


def _outside(likeness: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """How far from the band; 0 inside it."""
    return torch.relu(low - likeness) + torch.relu(likeness - high)
