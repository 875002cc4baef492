"""A policy's `conditional` field: weights by which an image's statistics move p and strength.

policies/README.md states the formulas; `plan.draws` applies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from adaptaug.backend.arrays import Array
from adaptaug.errors import did_you_mean
from adaptaug.policy.ops import OPS
from adaptaug.stats import image

STATISTICS = tuple(row.name for row in image.STATISTICS.values() if row.policy)
REACH = 3.0  # standard deviations beyond which an image counts as no more unusual

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
Weight = Annotated[float, Field(ge=-5, le=5)]


class Weights(BaseModel):
    """One operation's weights: statistic -> change for each standard deviation of it."""

    model_config = _STRICT
    p: dict[str, Weight] = Field(default_factory=dict, description="added to the log-odds of p")
    strength: dict[str, Weight] = Field(
        default_factory=dict, description="how much further from the identity amounts are drawn"
    )


class Conditional(BaseModel):
    """Statistics with their mean and standard deviation over the data set, and the operations' weights."""

    model_config = _STRICT
    statistics: dict[str, tuple[float, float]] = Field(default_factory=dict)
    operations: dict[str, Weights] = Field(default_factory=dict)


@dataclass(frozen=True)
class Moves:
    """What moves a batch's draws beside the policy's own weights, by operation, (B,) each: `p` is added to log-odds,
    `strength` is as a sum of weights times statistics. `evidence` goes into the ViewParams, and so does what was drawn.
    """

    p: dict[str, Array]
    strength: dict[str, Array]
    evidence: dict[str, Array]


def leaders(operations: Mapping[str, Any]) -> dict[str, str]:
    """Group -> the first of its operations in the order of the table, whose number and weights all share."""
    leader: dict[str, str] = {}
    for name in OPS:
        if name in operations and operations[name].together:
            leader.setdefault(operations[name].together, name)
    return leader


def complaint(conditional: Conditional, operations: Mapping[str, Any]) -> str | None:
    """What is wrong with weights on these operations (entries by name), as a sentence; None where nothing is."""
    for name, (_, deviation) in conditional.statistics.items():
        path = f"conditional.statistics.{name}"
        if name not in STATISTICS:
            names = ", ".join(STATISTICS)
            return f"{path}: no such statistic{did_you_mean(name, STATISTICS)}; known: {names}"
        if deviation <= 0:
            return f"{path}: expected [mean, standard deviation], the second above 0, got {deviation:g}"
    first = leaders(operations)
    for name, weights in conditional.operations.items():
        path = f"conditional.operations.{name}"
        if name not in operations:
            listed = ", ".join(operations) or "none"
            return f"{path}: expected an operation of this policy{did_you_mean(name, operations)}, which has: {listed}"
        if operations[name].lock:
            return f"{path}: expected an operation that may vary, got one with lock: true"
        if weights.strength and OPS[name].switch:
            return f"{path}.strength: expected an operation with a range, got {name!r}, which is on or off"
        group = operations[name].together
        if weights.p and group and first[group] != name:
            return (
                f"{path}.p: expected the weights at {first[group]!r}, the first of the group {group!r}, "
                f"because the group is applied together; got them at {name!r}"
            )
        for kind in ("p", "strength"):
            for statistic in getattr(weights, kind):
                if statistic not in conditional.statistics:
                    listed = ", ".join(conditional.statistics) or "none"
                    return (
                        f"{path}.{kind}.{statistic}: expected a name listed in conditional.statistics"
                        f"{did_you_mean(statistic, conditional.statistics)}, which has: {listed}"
                    )
    return None
