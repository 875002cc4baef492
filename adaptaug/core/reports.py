"""The core's reports as ViewParams, and back: what C decided for a view, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from adaptaug.core.records import EVIDENCE, KINDS, NUMBERS, PLACES, SLOTS, Report
from adaptaug.errors import AdaptAugError
from adaptaug.params import Entry, ViewParams, left_out
from adaptaug.policy import Policy
from adaptaug.policy.conditional import Moves
from adaptaug.policy.ops import OPS
from adaptaug.policy.request import Request
from adaptaug.policy.routes import Route, plain
from adaptaug.policy.terms import Terms, absent, terms_of

REPORT = np.dtype(Report)


def params_of(
    reports: np.ndarray, request: Request, rows: np.ndarray, view: int, push: Any, batch: bool
) -> ViewParams:
    """The (B,) reports of one view as ViewParams: NumPy rows of a single image, torch tensors of a batch."""
    policy = request.policy

    def array(values: Any) -> Any:
        values = np.ascontiguousarray(values)
        return torch.from_numpy(values) if batch else values

    route = reports["route"].astype(np.int64)
    terms = terms_of(policy, view, route)
    entries = {}
    for op in terms.of_kind(*KINDS):
        missing = absent(terms, op.name)
        for i, (name, parameter) in enumerate(op.parameters.items()):
            met = reports["entry"][:, op.slot, i]
            low, high = terms[op.name].bounds(name)
            entry = Entry(
                met["value"], met["low"], met["high"], met["reason"].astype(np.int64), met["applied"] != 0,
                (low, high),
            )  # fmt: skip
            if missing is not None:
                entry = left_out(entry, missing, parameter.identity, np.where)
            arrays = {part: array(getattr(entry, part)) for part in Entry._fields if part != "policy"}
            ends = tuple(array(end) if isinstance(end, np.ndarray) else end for end in entry.policy)
            entries[op.name if op.single else f"{op.name}.{name}"] = entry._replace(**arrays, policy=ends)
    return ViewParams(
        size=request.size, view=view, keys=array(rows), entries=entries,
        matrix=array(reports["matrix"].reshape(-1, 3, 3)), span=array(reports["span"]), lift=array(reports["lift"]),
        colour=array(reports["colour"].reshape(-1, 3, 4)), noise_seed=array(reports["noise_seed"]),
        strength=array(reports["strength"]), failed=array(reports["failed"].astype(np.int64)),
        frame=array(reports["frame"] != 0), blank=array(reports["blank"] != 0), guards=policy.guards,
        evidence=_evidence(reports, terms, policy.routes, push, array),
        route=array(route) if policy.routes else None, routes=plain(policy.routes),
    )  # fmt: skip


def _evidence(
    reports: np.ndarray,
    terms: Policy | Terms,
    routes: Sequence[Route],
    push: Any,
    array: Callable[[Any], Any],
) -> dict[str, Any]:
    """The statistics that the reasons quote, and what moved the draws: those that there are for any image."""
    evidence = {}

    def keep(name: str, values: np.ndarray) -> None:
        if not len(values) or not np.isnan(values).all():
            evidence[name] = array(values)

    for i, name in enumerate(EVIDENCE):
        keep(name, reports["evidence"][:, i])
    for name in dict.fromkeys(name for route in routes for name in route.when):
        evidence[f"subject.{name}"] = array(reports["statistic"][:, PLACES[name]])
    if push is not None and not isinstance(push, Moves):
        evidence |= {
            "push": array(np.asarray(push, np.float64)),
            "image_contrast": evidence["image_std"],
        }
    for name, entry in terms.operations.items():
        slot = OPS[name].slot
        odds = reports["probability"][:, slot]
        if not np.isnan(odds).all():
            evidence[f"p.{name}"] = array(np.broadcast_to(entry.p, odds.shape))
            evidence[f"conditional_p.{name}"] = array(odds)
        keep(f"power.{name}", reports["power"][:, slot])
        if isinstance(push, Moves):
            evidence[f"gate.{name}"] = array(reports["gate"][:, slot] != 0)
            for index in range(1, NUMBERS + 1):
                keep(f"fraction.{name}.{index}", reports["fraction"][:, slot, index])
                keep(f"start.{name}.{index}", reports["start"][:, slot, index])
    if isinstance(push, Moves):
        evidence |= push.evidence
    return evidence


# Replays name every operation, whatever policy planned them.
EVERYTHING = Policy.model_validate(
    {"operations": {name: {"p": 0.0} for name in OPS}, "guards": False, "name": "everything"}
)


def reports_of(params: ViewParams) -> np.ndarray:
    """ViewParams as the reports that C replays. Raises: AdaptAugError: numbers that no plan has."""
    reports = np.zeros(len(params), REPORT)

    def rows(values: Any, *shape: int) -> np.ndarray:
        return np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values).reshape(
            len(params), *shape
        )

    reports["matrix"], reports["colour"] = rows(params.matrix, 9), rows(params.colour, 12)
    reports["lift"] = rows(params.lift, 2)
    for name in ("span", "strength", "noise_seed"):
        reports[name] = rows(getattr(params, name))
    for name, entry in params.entries.items():
        op_name, _, part = name.partition(".")
        op = OPS[op_name]
        place = reports["entry"][:, op.slot, list(op.parameters).index(part or "range")]
        place["value"], place["applied"] = rows(entry.value), rows(entry.applied)
    numbers = [reports[name] for name in ("matrix", "span", "lift", "colour", "strength")]
    if not all(np.isfinite(values).all() for values in (*numbers, reports["entry"]["value"])):
        raise AdaptAugError("params: expected finite numbers, got NaN or infinity; plan them anew.")
    return reports


assert (
    max(op.slot for op in OPS.values()) < SLOTS and max(len(op.parameters) for op in OPS.values()) <= NUMBERS
)
