"""A policy's `routes` field: rules by which an image's statistics decide which policy its draws come from.

policies/README.md explains it; `choose` is the one statement of the rule, in torch, and core/routes.c the same in C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from adaptaug.backend.arrays import Array, constant
from adaptaug.errors import did_you_mean
from adaptaug.policy.conditional import STATISTICS

# What a rule may name: the statistics that weights may, and what tells glyphs and text (`stats/subject.py`).
RULED = (*STATISTICS, "levels", "black", "ink", "strokes")
MOST = 16  # routes of a policy


def _limits(value: Any) -> Any:
    """A rule's interval, either end of which may be open."""
    ends = list(value) if isinstance(value, (list, tuple)) else []
    numbers = [end for end in ends if end is not None]
    fine = len(ends) == 2 and numbers and all(isinstance(n, (int, float)) for n in numbers)
    if not fine or any(isinstance(n, bool) for n in numbers) or numbers != sorted(numbers):
        raise ValueError("expected [low, high], of which one may be null")
    return tuple(None if end is None else float(end) for end in ends)


Limits = Annotated[tuple[float | None, float | None], BeforeValidator(_limits)]


class Route(BaseModel):
    """A rule and the policy of the images that it holds for: all its statistics lie within their limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    subject: str = Field(min_length=1, max_length=100, description="what such an image is, for people")
    when: dict[str, Limits] = Field(
        default_factory=dict, description="statistic: [low, high], ends included; null: no limit"
    )
    policy: str | dict[str, Any] = Field(description="a preset's name, or a policy in place")


def complaint(routes: Sequence[Route]) -> str | None:
    """What is wrong with the rules of some routes, as a sentence; None where nothing is."""
    if len(routes) > MOST:
        return f"routes: expected at most {MOST}, got {len(routes)}"
    for number, route in enumerate(routes):
        path, last = f"routes.{number}.when", number == len(routes) - 1
        for name in route.when:
            if name not in RULED:
                names = ", ".join(RULED)
                return f"{path}.{name}: no such statistic{did_you_mean(name, RULED)}; known: {names}"
        if last and route.when:
            return f"{path}: expected none in the last route, which takes what no other does"
        if not last and not route.when:
            return f"{path}: expected a rule such as {{mean: [null, 0.2]}}; only the last route goes without"
    return None


def choose(routes: Sequence[Route], statistic: Callable[[str], Array]) -> Array:
    """(B,) int64 number of the first route whose rule holds, by `statistic(name)`, (B,) each."""
    value = cache(statistic)
    first = next(iter(routes[0].when)) if routes[0].when else "mean"
    route = constant(len(routes) - 1, value(first)).long()
    for number in range(len(routes) - 2, -1, -1):
        route = route.where(~holds(routes[number], value), number)
    return route


def holds(route: Route, statistic: Callable[[str], Array]) -> Array:
    """(B,) whether a route's rule holds."""
    conditions = []
    for name, (low, high) in route.when.items():
        value = statistic(name)
        conditions += [] if low is None else [value >= low]
        conditions += [] if high is None else [value <= high]
    flags = conditions[0]
    for flag in conditions[1:]:
        flags = flags & flag
    return flags


def in_words(low: float | None, high: float | None) -> str:
    """A rule's limit in words."""
    if low is None:
        return f"at most {high:g}"
    return f"{low:g} or more" if high is None else f"{low:g} to {high:g}"


def plain(routes: Sequence[Route]) -> tuple[dict[str, Any], ...]:
    """What ViewParams keep of some routes: the subjects, their rules, the policies' names."""
    return tuple(
        {
            "subject": route.subject,
            "when": {name: list(limits) for name, limits in route.when.items()},
            "policy": route.policy if isinstance(route.policy, str) else route.policy.get("name", "custom"),
        }
        for route in routes
    )
