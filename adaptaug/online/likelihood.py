"""How the likelihood of what was drawn changes with a policy's conditional moves: the scores of a policy gradient.

With eta the sum of weights times statistics by which an image moves an operation (policies/README.md, "Conditional
weights"), the likelihood of a draw is exact, since `plan` draws from closed forms:

* applied or not: the gate's uniform u is compared with p(eta) = sigmoid(logit p + eta). What was applied says that u
  lies in [lower, upper): lower the greatest p of what was not (else 0), upper the least p of what was (else 1). One
  operation, a group applied together and one shared by the views are all of this kind. As dp / deta = p (1 - p),
  d log(upper - lower) / deta = 1 - upper - lower.
* how far: the share d of the way from the identity becomes d ** exp(-eta). With g the density of d, that of the result
  y is g(y ** c) c y ** (c - 1) with c = exp(eta), and d log of it / deta = 1 + (1 + d g'(d) / g(d)) log d.

A guard acts after the draw, and what it decides beforehand (a range, an identity's place) does not depend on the draw:
the scores of a view's draws add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from adaptaug.params import ViewParams
from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import OperationPolicy

_LEAST = 2.0**-25  # half the smallest step of a uniform


def score_of_p(
    views: Sequence[ViewParams], policy: Policy, name: str, members: Sequence[str]
) -> torch.Tensor:
    """(B,) d log likelihood / d eta of p, of an operation or of a group's first.

    Args: views: the ViewParams of all views of the images, made with `Moves`; members: the operations whose gate it is.
    """
    total = torch.zeros_like(views[0].strength)
    for several in [views] if name in policy.pair.share else [[view] for view in views]:
        lower: Any = 0.0
        upper: Any = 1.0
        for view in several:
            for member in members:
                p, passed = view.evidence[f"conditional_p.{member}"], view.evidence[f"gate.{member}"]
                upper = torch.where(passed & (p < upper), p, upper)
                lower = torch.where(~passed & (p > lower), p, lower)
        total = total + (1.0 - upper - lower)
    return total


def score_of_strength(views: Sequence[ViewParams], policy: Policy, name: str) -> torch.Tensor:
    """(B,) d log likelihood / d eta of an operation's strength; 0 where its amounts are not in the view."""
    total = torch.zeros_like(views[0].strength)
    for view in views[:1] if name in policy.pair.share else views:
        entry, acted = policy.for_view(view.view)[name], acts(view, name)
        for number in amounts(entry, name):
            if f"fraction.{name}.{number}" in view.evidence:  # not where no image of the batch asked for it
                fraction, start = (view.evidence[f"{part}.{name}.{number}"] for part in ("fraction", "start"))
                total = total + torch.where(acted, _score_of_share(fraction, start, *entry.shape), 0.0)
    return total


def acts(view: ViewParams, name: str) -> torch.Tensor:
    """(B,) whether an operation's amounts are in the view, as far as that does not hang on the amounts themselves."""
    if OPS[name].kind == "geometry":  # a crop that was flat gave way to the frame, because of its box
        gate: torch.Tensor = view.evidence[f"gate.{name}"]
        return gate
    applied: torch.Tensor = next(
        entry.applied for label, entry in view.entries.items() if label.partition(".")[0] == name
    )
    return applied


def amounts(entry: OperationPolicy, name: str) -> list[int]:
    """Which of an operation's numbers (from 1) have a strength: no places, and those that the policy lets vary."""
    return [
        number for number, (parameter, spec) in enumerate(OPS[name].parameters.items(), 1)
        if len(set(entry.bounds(parameter))) == 2 and not spec.place
    ]  # fmt: skip


def _score_of_share(fraction: torch.Tensor, start: torch.Tensor, a: float, b: float) -> torch.Tensor:
    away = fraction - start
    share = (away.abs() / torch.where(away >= 0, 1.0 - start, start)).clamp(_LEAST, 1.0)
    slope = torch.zeros_like(fraction)  # of the log density of Kumaraswamy(a, b)
    if (a, b) != (1.0, 1.0):
        x = fraction.clamp(_LEAST, 1.0 - _LEAST)
        slope = (a - 1) / x - (b - 1) * a * x ** (a - 1) / (1 - x**a)
    return 1.0 + (1.0 + away * slope) * share.log()
