"""The space a search moves in: twelve numbers, each a plain reading of a policy and an edit of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from adaptaug.policy import Policy
from adaptaug.policy.conditional import Conditional
from adaptaug.policy.ops import OPS

Changes = dict[str, dict[str, Any] | None]
# SimCLR's colour jitter at strength s = 1.
_TONE = {"brightness": 0.8, "contrast": 0.8}
_COLOUR = {"saturation": 0.8, "hue": 0.2}
_SMALLEST = 0.02  # of a dimension's reach: less is none, and the operation leaves the policy


@dataclass(frozen=True)
class Dimension:
    """One number of the space.

    `read` takes it from a policy, `change` puts it into one; `none` is where the operation does nothing.
    """

    name: str
    low: float
    high: float
    none: float
    unit: str
    operations: tuple[str, ...]
    read: Callable[[Policy], float]
    change: Callable[[float], Changes]
    alone: bool = True  # whether it shows without another dimension's operation
    chance: bool = False  # a probability: at half of it, the operation is as strong where it is applied

    @property
    def far(self) -> float:
        """The end at which the operation is strongest."""
        return self.low if self.none >= self.high else self.high

    @property
    def off(self) -> float:
        """The value within the range that is nearest to doing nothing."""
        return min(max(self.none, self.low), self.high)


def _short(value: float) -> float:
    """Three significant digits: what a person can read, and all that a search can resolve."""
    return float(f"{value:.3g}")


def _entry(policy: Policy, name: str, field: str, otherwise: float, index: int = 1) -> float:
    if name not in policy or policy[name].p == 0:
        return otherwise
    return float(getattr(policy[name], field)[index])


def _chance(policy: Policy, name: str) -> float:
    return float(policy[name].p) if name in policy else 0.0


def _strength(reaches: dict[str, float]) -> Callable[[Policy], float]:
    def read(policy: Policy) -> float:
        shares = [
            max(map(abs, policy[name].range)) / reach
            for name, reach in reaches.items()
            if name in policy and policy[name].p > 0
        ]
        return float(sum(shares) / len(reaches))

    return read


def _jitter(reaches: dict[str, float]) -> Callable[[float], Changes]:
    def change(strength: float) -> Changes:
        if strength < _SMALLEST:
            return dict.fromkeys(reaches)
        return {
            name: {
                "p": 0.8,
                "range": (-_short(strength * reach), _short(strength * reach)),
                "together": "jitter",
            }
            for name, reach in reaches.items()
        }

    return change


def _around(name: str, field: str, p: float, reach: float) -> Callable[[float], Changes]:
    def change(amount: float) -> Changes:
        return {name: None if amount < _SMALLEST * reach else {"p": p, field: (-amount, amount)}}

    return change


def _factor(name: str, field: str, fields: dict[str, float], drop: bool) -> Callable[[float], Changes]:
    def change(most: float) -> Changes:
        if drop and most < 1 + _SMALLEST:
            return {name: None}
        return {name: {**fields, field: (_short(1 / most), most)}}

    return change


def _probability(name: str, operation: str, high: float) -> Dimension:
    """How often an operation is applied, with the numbers that its record starts with."""
    numbers = {part: tuple(ends) for part, ends in OPS[operation].start.items() if part != "p"}

    def change(p: float) -> Changes:
        return {operation: None if p < _SMALLEST else {**numbers, "p": p}}

    read = partial(_chance, name=operation)
    return Dimension(name, 0.0, high, 0.0, "probability", (operation,), read, change, chance=True)


def _shear(degrees: float) -> Changes:
    if degrees < 0.5:
        return {"shear": None}
    return {"shear": {"p": 0.8, "x": (-degrees, degrees), "y": (_short(-degrees / 3), _short(degrees / 3))}}


DIMENSIONS: tuple[Dimension, ...] = (
    Dimension("crop floor", 0.08, 0.9, 1.0, "least area", ("crop",),
              lambda p: _entry(p, "crop", "area", 1.0, 0), lambda v: {"crop": {"area": (v, 1.0)}}),
    Dimension("crop content", 0.0, 0.6, 0.0, "least share of detail", ("crop",),
              lambda p: float(p["crop"].content) if "crop" in p else 0.0, lambda v: {"crop": {"content": v}},
              alone=False),
    Dimension("aspect", 1.0, 2.0, 1.0, "most, x", ("crop",),
              lambda p: _entry(p, "crop", "ratio", 1.0), _factor("crop", "ratio", {}, drop=False)),
    Dimension("stretch", 1.0, 1.6, 1.0, "most, x", ("stretch",),
              lambda p: _entry(p, "stretch", "range", 1.0), _factor("stretch", "range", {"p": 0.8}, drop=True)),
    Dimension("shear", 0.0, 25.0, 0.0, "degrees", ("shear",), lambda p: _entry(p, "shear", "x", 0.0), _shear),
    Dimension("rotation", 0.0, 30.0, 0.0, "degrees", ("rotate",),
              lambda p: _entry(p, "rotate", "range", 0.0), _around("rotate", "range", 0.8, 30.0)),
    _probability("flip", "hflip", 0.5),
    Dimension("tone", 0.0, 1.0, 0.0, "strength s", tuple(_TONE), _strength(_TONE), _jitter(_TONE)),
    Dimension("colour", 0.0, 1.0, 0.0, "strength s", tuple(_COLOUR), _strength(_COLOUR), _jitter(_COLOUR)),
    _probability("grey", "grey", 0.4),
    _probability("exposure", "exposure", 0.8),
    _probability("blur", "blur", 0.7),
)  # fmt: skip


def free_dimensions(policy: Policy) -> list[Dimension]:
    """The dimensions a search may move: none of whose operations the policy locks."""
    return [d for d in DIMENSIONS if not any(name in policy and policy[name].lock for name in d.operations)]


def coordinates(policy: Policy) -> dict[str, float]:
    """Where a policy lies, cut to the space."""
    return {d.name: min(max(d.read(policy), d.low), d.high) for d in DIMENSIONS}


def place(start: Policy, point: dict[str, float], name: str) -> Policy:
    """`start` with guards and with the dimensions of `point` changed; equal coordinates change nothing."""
    here = coordinates(start)
    changes: Changes = {}
    for dimension in DIMENSIONS:
        value = point.get(dimension.name, here[dimension.name])
        if math.isclose(value, here[dimension.name], rel_tol=1e-9, abs_tol=1e-12):
            continue
        for operation, change in dimension.change(_short(value)).items():
            both = changes.get(operation)
            changes[operation] = {**both, **change} if both and change else change
    changes = {k: v for k, v in changes.items() if v is not None or k in start}
    placed = start.edit(changes, conditional={}, guards=True, name=name, description="", provenance={})
    return placed.edit(conditional=kept_weights(start, placed))


def kept_weights(start: Policy, placed: Policy) -> Conditional:
    """The start's conditional weights of the operations that `placed` has; those of p go with their group, which may
    begin with another operation now."""
    weights_by_operation: dict[str, dict[str, dict[str, float]]] = {}
    theirs = start.conditional.operations
    for name in OPS:
        if name not in start or name not in placed:
            continue
        for kind, source, target in (
            ("p", start.leading[name], placed.leading[name]),
            ("strength", name, name),
        ):
            weights = getattr(theirs[source], kind) if source in theirs else {}
            if weights and not placed[target].lock:
                weights_by_operation.setdefault(target, {}).setdefault(kind, weights)
    return Conditional.model_validate({**start.conditional.model_dump(), "operations": weights_by_operation})
