"""The similarity band: of a few guarded pairs of an image, the one that is neither too alike nor too different.

Only for policies with a `band`. Its cost is stated: CANDIDATES times that of a pair in torch (nothing waits for the
device); the core draws again only until all are in the band. The first draw stays wherever it is in the band.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from adaptaug import keys
from adaptaug.arrays import pick_rows
from adaptaug.core import engine
from adaptaug.core.records import SourceRecord
from adaptaug.generate import Look, make_view
from adaptaug.judge import Alike
from adaptaug.params import ViewParams
from adaptaug.policy import Policy
from adaptaug.similarity import similarity

CANDIDATES = 4


def make_views(
    pixels: torch.Tensor, rows: torch.Tensor, numbers: range, policy: Policy, size: int, seen: Look,
    alike: Alike = similarity,
) -> tuple[list[torch.Tensor], list[ViewParams]]:  # fmt: skip
    """The views `numbers` of each image, as `generate.make_view` makes them, kept in the policy's band.

    The similarity, by `alike`, is the mean over the later views of theirs with the first; where no candidate is in the
    band, the one nearest to it is taken. `evidence` has "similarity" and "candidate", the number of the draw that was
    kept.
    """

    def drawn(candidate: int) -> tuple[list[torch.Tensor], list[ViewParams]]:
        key = keys.another(rows, candidate)
        made = [make_view(pixels, key, number, policy, size, seen) for number in numbers]
        return [view for view, _ in made], [params for _, params in made]

    views, params = drawn(0)
    if policy.band is None or len(numbers) < 2:
        return views, params
    likeness = _likeness(alike, views)
    outside = _outside(likeness, *policy.band)
    which = torch.zeros_like(outside, dtype=torch.int64)
    kept = [params]
    for candidate in range(1, CANDIDATES):
        others, more = drawn(candidate)
        now = _likeness(alike, others)
        away = _outside(now, *policy.band)
        better = away < outside
        which, outside = torch.where(better, candidate, which), torch.where(better, away, outside)
        likeness = torch.where(better, now, likeness)
        kept.append(more)
        views = [pick_rows([one, other], better.long()) for one, other in zip(views, others, strict=True)]
    params = [ViewParams.choose(plans, which) for plans in zip(*kept, strict=True)]
    evidence = {"similarity": likeness.double(), "candidate": which}
    return views, [replace(p, evidence={**p.evidence, **evidence}) for p in params]


def by_core(
    source: SourceRecord, policy: Policy, rows: np.ndarray, numbers: range, size: int, push: Any, alike: Alike,
    told: bool,
) -> tuple[list[torch.Tensor], list[ViewParams]]:  # fmt: skip
    """The same by the core: (B, 3, S, S) uint8 views; images in the band are not drawn again."""
    assert policy.band is not None
    batch = source.image_stride > 0 or source.planar

    def drawn(candidate: int, some: np.ndarray) -> tuple[list[torch.Tensor], Any, torch.Tensor]:
        key = keys.another(rows, candidate)
        made, reports = engine.make_views(source, policy, key, numbers, size, engine.PLANAR_RGB, told, push)
        return made, reports, _likeness(alike, [view[some].float() for view in made])

    everyone = np.arange(len(rows))
    views, reports, likeness = drawn(0, everyone)
    outside, which = _outside(likeness, *policy.band), np.zeros(len(rows), np.int64)
    for candidate in range(1, CANDIDATES):
        again = np.flatnonzero(outside.numpy() > 0.0)
        if not len(again):
            break
        others, more, now = drawn(candidate, again)
        away = _outside(now, *policy.band)
        better = (away < outside[again]).numpy()
        chosen = again[better]
        which[chosen] = candidate
        outside[chosen], likeness[chosen] = away[better], now[better]
        for view, other in zip(views, others, strict=True):
            view[chosen] = other[chosen]
        if told:
            reports[chosen] = more[chosen]
    if not told:
        return views, []
    plans = []
    for i, number in enumerate(numbers):
        key = np.stack([keys.another(rows, int(n))[k] for k, n in enumerate(which)]) if len(rows) else rows
        found = engine.params_of(reports[:, i], policy, key, number, size, push, bool(batch))
        evidence = {"similarity": likeness.double(), "candidate": torch.from_numpy(which)}
        kept = evidence if batch else {k: v.numpy() for k, v in evidence.items()}
        plans.append(replace(found, evidence={**found.evidence, **kept}))
    return views, plans


def _likeness(alike: Alike, views: list[Any]) -> torch.Tensor:
    return torch.stack([alike(views[0], other) for other in views[1:]]).mean(0)


def _outside(likeness: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """How far from the band; 0 inside it."""
    return torch.relu(low - likeness) + torch.relu(likeness - high)
