"""The structs that cross the border to C (plan.h, views.h), and a policy as one of them."""

from __future__ import annotations

import ctypes
import math
from ctypes import c_double, c_float, c_int32, c_int64, c_void_p

from adaptaug.policy import Policy
from adaptaug.policy.conditional import STATISTICS as MEASURED
from adaptaug.policy.ops import OPS, SLOTS_PER_OP
from adaptaug.policy.routes import MOST, RULED

SLOTS, NUMBERS, STATISTICS = 32, 4, 16
# The places of statistics in C: those of images in the table's order, with room for more, then what rules name besides.
PLACES = {name: i for i, name in enumerate(MEASURED)}
PLACES |= {name: STATISTICS + i for i, name in enumerate(RULED[len(MEASURED) :])}
RULED_PLACES = STATISTICS + len(RULED) - len(MEASURED)
KINDS = ("geometry", "filter", "table", "tone", "colour", "late")
# The statistics that reasons quote, in the order of plan.h.
EVIDENCE = (
    "drawn_std", "drawn_content", "box_std_floor", "content_floor", "drawn_overlap", "overlap_low", "overlap_high",
    "overlap", "box_x", "box_y", "box_width", "box_height", "warped_content", "shrink", "image_mean", "image_std",
    "flat_std", "reach", "crop_mean", "crop_std", "luma_share", "clip", "std_floor", "tone_strength",
    "crop_chroma", "chroma_share",
)  # fmt: skip


class Operation(ctypes.Structure):
    _fields_ = (
        ("p", c_double), ("shape", c_double * 2), ("setting", c_double), ("low", c_double * NUMBERS),
        ("high", c_double * NUMBERS), ("identity", c_double * NUMBERS), ("logarithmic", c_int32 * NUMBERS),
        ("place", c_int32 * NUMBERS), ("present", c_int32), ("kind", c_int32), ("parameters", c_int32),
        ("leader", c_int32), ("guard", c_int32), ("lock", c_int32), ("shared", c_int32), ("on_or_off", c_int32),
    )  # fmt: skip


class PolicyRecord(ctypes.Structure):
    _fields_ = (
        ("std", c_double), ("std_share", c_double), ("clip", c_double), ("dark", c_double), ("bright", c_double),
        ("correlation", c_double), ("erased", c_double), ("overlap", c_double * 2),
        ("usual", c_double * STATISTICS), ("deviation", c_double * STATISTICS),
        ("weight_p", c_double * STATISTICS * SLOTS), ("weight_strength", c_double * STATISTICS * SLOTS),
        ("operation", Operation * SLOTS), ("order", c_int32 * SLOTS), ("count", c_int32), ("guards", c_int32),
        ("overlaps", c_int32), ("conditional", c_int32),
    )  # fmt: skip


class MovesRecord(ctypes.Structure):
    _fields_ = (
        ("push", c_double), ("p", c_double * SLOTS), ("strength", c_double * SLOTS), ("pushed", c_int32),
        ("moved", c_int32), ("moves_p", c_int32 * SLOTS), ("moves_strength", c_int32 * SLOTS),
    )  # fmt: skip


class RuleRecord(ctypes.Structure):
    _fields_ = (
        ("count", c_int32), ("order", c_int32 * RULED_PLACES), ("low", c_double * RULED_PLACES),
        ("high", c_double * RULED_PLACES),
    )  # fmt: skip


class RoutingRecord(ctypes.Structure):
    _fields_ = (("count", c_int32), ("unused", c_int32), ("rule", RuleRecord * MOST))


class EntryRecord(ctypes.Structure):
    _fields_ = (
        ("value", c_double), ("low", c_double), ("high", c_double), ("reason", c_int32), ("applied", c_int32),
    )  # fmt: skip


class Report(ctypes.Structure):
    _fields_ = (
        ("matrix", c_double * 9), ("span", c_double), ("lift", c_double * 2), ("colour", c_double * 12),
        ("strength", c_double), ("noise_seed", c_int64), ("entry", EntryRecord * NUMBERS * SLOTS),
        ("evidence", c_double * len(EVIDENCE)), ("probability", c_double * SLOTS), ("power", c_double * SLOTS),
        ("fraction", c_double * (NUMBERS + 1) * SLOTS), ("start", c_double * (NUMBERS + 1) * SLOTS),
        ("statistic", c_double * RULED_PLACES), ("gate", c_int32 * SLOTS), ("failed", c_int32), ("frame", c_int32),
        ("blank", c_int32), ("route", c_int32),
    )  # fmt: skip


class SourceRecord(ctypes.Structure):
    _fields_ = (
        ("pixels", c_void_p), ("image_stride", c_int64), ("row_stride", c_int64), ("count", c_int32),
        ("height", c_int32), ("width", c_int32), ("channels", c_int32), ("planar", c_int32), ("unused", c_int32),
    )  # fmt: skip


INTERLEAVED, PLANAR, FLOATS = range(3)


class Output(ctypes.Structure):
    _fields_ = (
        ("pixels", c_void_p), ("image_stride", c_int64), ("form", c_int32), ("channels", c_int32),
        ("scale", c_float * 3), ("offset", c_float * 3),
    )  # fmt: skip


# By their names in C.
STRUCTS: dict[str, type[ctypes.Structure]] = {
    "Operation": Operation, "Policy": PolicyRecord, "Moves": MovesRecord, "Entry": EntryRecord, "Report": Report,
    "Routing": RoutingRecord, "Source": SourceRecord, "Output": Output,
}  # fmt: skip


def pack(policy: Policy) -> ctypes.Array[PolicyRecord]:
    """A policy as C reads it: of the first view and of every other, one such pair a route."""
    pairs = (PolicyRecord * (2 * len(policy.choices)))()
    for i, choice in enumerate(policy.choices):
        for number in (0, 1):
            _pack(choice.for_view(number), choice, pairs[2 * i + number])
    return pairs


def pack_routes(policy: Policy) -> RoutingRecord | None:
    """A policy's rules as C reads them; None without routes."""
    if not policy.routes:
        return None
    out = RoutingRecord(count=len(policy.routes))
    for route, rule in zip(policy.routes, out.rule, strict=False):
        rule.count = len(route.when)
        for i, (name, (low, high)) in enumerate(route.when.items()):
            number = rule.order[i] = PLACES[name]
            rule.low[number] = -math.inf if low is None else low
            rule.high[number] = math.inf if high is None else high
    return out


def _pack(policy: Policy, whole: Policy, out: PolicyRecord) -> None:
    for name in ("std", "std_share", "clip", "dark", "bright", "correlation", "erased"):
        setattr(out, name, getattr(policy.promise, name))
    out.guards = policy.guards
    if whole.pair.overlap is not None:
        out.overlaps, out.overlap[:] = 1, whole.pair.overlap
    order = [op for op in OPS.values() if op.name in policy]
    out.count = len(order)
    out.order[: len(order)] = [op.slot for op in order]
    for op in order:
        entry, record = policy[op.name], out.operation[op.slot]
        record.p, record.shape, record.present, record.parameters = (
            entry.p,
            entry.shape,
            1,
            len(op.parameters),
        )
        record.kind, record.leader = KINDS.index(op.kind), OPS[policy.leading[op.name]].slot
        record.guard, record.lock, record.on_or_off = entry.guard, entry.lock, op.switch
        for setting in op.settings:
            record.setting = getattr(entry, setting)
        for i, (name, parameter) in enumerate(op.parameters.items()):
            record.low[i], record.high[i] = entry.bounds(name)
            record.identity[i] = parameter.identity
            record.logarithmic[i], record.place[i] = parameter.log, parameter.place
    for name in policy.pair.share:
        out.operation[OPS[name].slot].shared = 1
    for name, usual in policy.conditional.statistics.items():
        out.usual[PLACES[name]], out.deviation[PLACES[name]] = usual
    out.conditional = bool(policy.conditional.operations)
    for name, weights in policy.conditional.operations.items():
        for factors, rows in ((weights.p, out.weight_p), (weights.strength, out.weight_strength)):
            for statistic, weight in factors.items():
                rows[OPS[name].slot][PLACES[statistic]] = weight


assert SLOTS_PER_OP == 8  # plan.h has it, too
