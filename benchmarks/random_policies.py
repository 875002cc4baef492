"""Policies with guards on and everything else anywhere the schema accepts, drawn by a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptaug.policy import Policy
from adaptaug.policy.conditional import STATISTICS
from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import Promise


def random_policy(seed: int) -> Policy:
    """Each operation is in with probability .6; ranges, probabilities, settings, limits, coupling and conditional
    weights are drawn. Only `band` is not: it asks for other keys' draws, which are judged as such.
    """
    rng = np.random.default_rng((seed, 12345))

    def entry(name: str) -> dict[str, Any]:
        op = OPS[name]
        fields: dict[str, Any] = {
            "p": float(rng.choice([rng.random(), 1.0])), "guard": bool(rng.random() < 0.7),
            "shape": tuple(float(x) for x in np.exp(rng.uniform(np.log(0.1), np.log(10), 2))),
        }  # fmt: skip
        for parameter, spec in op.parameters.items():
            ends = sorted(rng.uniform(spec.low, spec.high, 2).tolist())
            if rng.random() < 0.3:  # as wide as it may be
                ends = [spec.low, spec.high]
            fields[parameter] = tuple(ends)
        for setting, (low, _, high) in op.settings.items():
            fields[setting] = float(rng.uniform(low, high))
        if rng.random() < 0.3:
            fields["together"] = str(rng.choice(["a", "b"]))
        return fields

    names = [name for name in OPS if rng.random() < 0.6]
    limits = {}
    for name, field in Promise.model_fields.items():
        low, high = (
            next(getattr(m, side) for m in field.metadata if hasattr(m, side)) for side in ("ge", "le")
        )
        if rng.random() < 0.3:
            limits[name] = float(rng.uniform(low, high))
    pair: dict[str, Any] = {"share": tuple(n for n in names if rng.random() < 0.15)}
    if names and rng.random() < 0.5:
        pair["second"] = {n: entry(n) for n in names if rng.random() < 0.3}
    if "crop" in names and "crop" not in pair["share"] and rng.random() < 0.3:
        low = float(rng.uniform(0, 0.8))
        pair["overlap"] = (low, float(rng.uniform(low + 0.06, 1.0)))
    operations = {n: entry(n) for n in names}
    return Policy.parse({
        "version": 1, "name": f"random {seed}", "guards": True, "promise": limits, "pair": pair,
        "operations": operations, "conditional": _conditional(rng, operations, pair.get("second", {})),
    })  # fmt: skip


def _conditional(
    rng: np.random.Generator, operations: dict[str, Any], second: dict[str, Any]
) -> dict[str, Any]:
    """For one policy in two weights of some statistics; those of p at the first of a group, in every view."""
    if rng.random() < 0.5:
        return {}
    names = [name for name in STATISTICS if rng.random() < 0.4]
    statistics = {name: (float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.05, 0.3))) for name in names}

    def weights() -> dict[str, float]:
        return {name: float(rng.uniform(-5, 5)) for name in names if rng.random() < 0.5}

    changed = {n: fields | second.get(n, {}) for n, fields in operations.items()}
    followers: set[str] = set()
    for view in (operations, changed):
        first: set[str] = set()
        for name in (n for n in OPS if n in view and "together" in view[n]):
            followers |= {name} if view[name]["together"] in first else set()
            first.add(view[name]["together"])
    of: dict[str, Any] = {}
    for name in operations:
        of[name] = {} if name in followers else {"p": weights()}
        of[name] |= {} if OPS[name].switch else {"strength": weights()}
    return {"statistics": statistics, "operations": of}
