"""A view's parameters in words: what came out, between which limits, and why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptaug.policy.ops import OPS
from adaptaug.policy.routes import in_words
from adaptaug.promise.reasons import REASONS, TESTS, Reason

if TYPE_CHECKING:
    from adaptaug.params import ViewParams


class Explanation:
    """One view's parameters with the policy's range, the safe range, the value and the reason of each.

    `rows` is a list of dicts for tables and JSON; printing it gives text.

    >>> explanation = explain(image, "natural", key=(0, 0, 0))
    >>> explanation.rows[0]["parameter"]
    'crop.area'
    """

    def __init__(self, params: ViewParams):
        self.params = params
        numbers = self._numbers = {k: float(v[0]) for k, v in params.evidence.items()}
        self.rows: list[dict[str, Any]] = []
        for name, entry in params.entries.items():
            if int(entry.reason[0]) == Reason.ABSENT:
                continue
            op_name, _, part = name.partition(".")
            op = OPS[op_name]
            reason = REASONS[int(entry.reason[0])].format_map(_Quoted(numbers))
            conditioned = _conditioned(op_name, numbers)
            self.rows.append(
                {
                    "parameter": name,
                    "operation": op_name,
                    "applied": bool(entry.applied[0]),
                    "value": float(entry.value[0]),
                    "policy": [float(np.ravel(end)[0]) for end in entry.policy],
                    "safe": [float(entry.low[0]), float(entry.high[0])],
                    "unit": op.parameters[part or "range"].unit,
                    "reason": "; ".join(part for part in (reason, conditioned) if part),
                    "conditioned": conditioned,
                }
            )

    @property
    def certificate(self) -> str:
        """What the certificate did, in words."""
        params = self.params
        if not params.guards:
            return "no certificate: this policy has its guards off"
        if bool(params.blank[0]):
            return "blank image: returned as it is"
        if bool(params.frame[0]):
            return "the crop was flat: the full frame took its place"
        if float(params.strength[0]) < 1.0:
            test = TESTS[int(params.failed[0])]
            return f"pulled back to {float(params.strength[0]):.0%} of the change: {test}"
        return "passed"

    @property
    def subject(self) -> str:
        """What the image was taken for, and whose policy it got; empty without routes."""
        if self.params.route is None:
            return ""
        route = self.params.routes[int(self.params.route[0])]
        return f"{route['subject']}: policy {route['policy']}"

    @property
    def decided_by(self) -> str:
        """The statistics by which it was taken for that: within the rule's limits, or outside those of all others."""
        if self.params.route is None:
            return ""
        number = int(self.params.route[0])
        if rule := self.params.routes[number]["when"]:
            return ", ".join(self._ruled(*limit) for limit in rule.items())
        missed = dict(filter(None, (self._missed(route) for route in self.params.routes[:number])))
        return ", ".join(missed.values())

    def _ruled(self, name: str, limits: list[float | None]) -> str:
        return f"{name} {self._numbers.get(f'subject.{name}', math.nan):.3g} ({in_words(*limits)})"

    def _missed(self, route: dict[str, Any]) -> tuple[str, str] | None:
        """The first limit of a rule that an image missed, with the subject that it would be."""
        for name, (low, high) in route["when"].items():
            value = self._numbers.get(f"subject.{name}", math.nan)
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                return name, f"{name} {value:.3g} ({route['subject']}: {in_words(low, high)})"
        return None

    @property
    def steering(self) -> str:
        """What the training loop asked of this image's views beyond the policy, in words; empty if nothing."""
        if "push" not in self.params.evidence:
            return ""
        push = float(self.params.evidence["push"][0])
        direction = "stronger" if push > 0 else "weaker" if push < 0 else "as in the policy"
        return f"{direction} by the training loop ({push:+.2f})"

    def to_dict(self) -> dict[str, Any]:
        evidence = {k: round(v, 4) for k, v in self._numbers.items() if not math.isnan(v)}
        steering = {"steering": self.steering} if self.steering else {}
        steering |= {"subject": self.subject, "decided_by": self.decided_by} if self.subject else {}
        return {"parameters": self.rows, "certificate": self.certificate, "statistics": evidence} | steering

    def __str__(self) -> str:
        lines = [f"subject: {self.subject}", f"decided by: {self.decided_by}"] if self.subject else []
        lines += [f"strength: {self.steering}"] if self.steering else []
        for row in self.rows:
            value = f"{row['value']:.3g}" if row["applied"] else "-"
            policy = "{:.3g} .. {:.3g}".format(*row["policy"])
            safe = "{:.3g} .. {:.3g}".format(*row["safe"])
            lines.append(
                f"{row['parameter']:<15}{value:>9}  policy {policy:<17} safe {safe:<17} {row['reason']}"
            )
        lines.append(f"certificate: {self.certificate}")
        return "\n".join(lines)

    __repr__ = __str__


def _conditioned(operation: str, numbers: dict[str, float]) -> str:
    """What the policy's conditional weights did to an operation for this image; empty without any."""
    parts = []
    if f"p.{operation}" in numbers:
        parts.append(f"p {numbers[f'p.{operation}']:.2f} -> {numbers[f'conditional_p.{operation}']:.2f}")
    if f"power.{operation}" in numbers:
        power = numbers[f"power.{operation}"]
        parts.append(f"{'stronger' if power < 1 else 'weaker'} draws (power {power:.2f})")
    return f"{', '.join(parts)} for this image" if parts else ""


class _Quoted(dict[str, float]):
    """Numbers for a reason's template; a statistic that was not measured reads as nan."""

    def __missing__(self, key: str) -> float:
        return float("nan")
