"""What was done to a view and why, in the few short lines that fit under it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from adaptaug.explanation import Explanation
from adaptaug.params import ViewParams
from adaptaug.policy.ops import OPS
from adaptaug.promise import guards
from adaptaug.promise.reasons import Reason
from adaptaug.stats.image import ImageStats

# Reasons that restrict nothing: a reader looks for what the image changed.
_DULL = (Reason.NOT_DRAWN, Reason.WHOLE_RANGE, Reason.UNGUARDED, Reason.EXCLUSIVE)
# The numbers in these reasons' brackets stand on the line above them.
_TOLD = (Reason.DARK, Reason.BRIGHT, Reason.CLIPPING)
_TONE = ("exposure", "brightness", "contrast")


class Note(NamedTuple):
    """`what` was done, `why` so (may be empty), and whether the promise had to step in (`alert`)."""

    what: str
    why: str = ""
    alert: bool = False


def describe_image(stats: ImageStats, row: int = 0) -> list[str]:
    """An image's statistics in three short lines: mean luma, contrast, where the detail lies."""
    mean, contrast = float(stats.mean[row]), float(stats.contrast[row])
    tone = "dark" if mean < guards.DARK_SOURCE else "bright" if mean > guards.BRIGHT_SOURCE else "mid-tone"
    weak = "very low" if contrast < 0.06 else "low" if contrast < 0.12 else ""
    size = weak or ("high" if contrast > 0.25 else "medium")
    lines = [
        f"mean {short(mean)} ({tone})",
        f"contrast {short(contrast)} ({size})",
        f"detail {_where(stats, row)}",
    ]
    return [*lines, "no colour"] if bool(stats.grey[row]) else lines


def _where(stats: ImageStats, row: int) -> str:
    x, y = (float(value) for value in stats.centroid[row])
    column = "left" if x < 0.4 else "right" if x > 0.6 else ""
    line = "upper" if y < 0.4 else "lower" if y > 0.6 else ""
    place = " ".join(part for part in (line, column) if part)
    if not place:
        # Detail spread evenly over the whole frame has a spread of .41.
        return "spread over the frame" if float(stats.spread[row]) > 0.3 else "around the centre"
    return f"mostly {place}" if line and column else f"mostly {place} {'half' if line else 'side'}"


def describe_view(explanation: Explanation, mean: float, std: float) -> list[Note]:
    """The lines under one view.

    Args:
        explanation: of the view; mean, std: luma of its final pixels, in [0, 1].
    """
    params = explanation.params
    if bool(params.blank[0]):
        return [Note(explanation.certificate, alert=True)]
    rows = {row["parameter"]: row for row in explanation.rows}
    notes = [Note(explanation.subject, explanation.decided_by)] if explanation.subject else []
    notes += [
        *_where_notes(rows, params),
        *_tone_notes(rows, params, mean, std),
        *_colour_notes(rows, params),
    ]
    for name in _others(rows):
        notes += _plain_notes(rows, params, name)
    if params.guards and float(params.strength[0]) < 1.0:
        notes.append(Note("certificate", explanation.certificate, alert=True))
    return _joined(notes)


def _joined(notes: list[Note]) -> list[Note]:
    """Neighbours that need no reason share a line; mean and contrast keep theirs."""
    lines: list[Note] = []
    for note in notes:
        plain = not note.why and not note.alert and " to " not in note.what
        if plain and lines and not lines[-1].why and not lines[-1].alert and " to " not in lines[-1].what:
            lines[-1] = Note(f"{lines[-1].what}, {note.what}")
        else:
            lines.append(note)
    return lines


def _where_notes(rows: dict[str, Any], params: ViewParams) -> list[Note]:
    notes = []
    if bool(params.frame[0]):
        notes.append(Note("whole frame", "the crop was flat: the full frame took its place", alert=True))
    elif "crop.area" in rows:
        area = rows["crop.area"]["value"] if rows["crop.area"]["applied"] else 1.0
        what = "whole frame" if area > 0.995 else f"crop {area:.0%}"
        reasons = dict.fromkeys(_why(rows, params, name) for name in ("crop.area", "crop.ratio"))
        notes.append(Note(what, "; ".join(reason for reason in reasons if reason)))
    if float(params.lift[0, 0]) < 1.0:
        moved = "lightened" if float(params.lift[0, 1]) > 0 else "darkened"
        notes.append(Note(f"crop {moved}", "its mean lay outside the promised range", alert=True))
    if bool(params.frame[0]):
        return notes
    warped = [op for op in OPS.values() if op.kind == "geometry" and op.name != "crop"]
    flips = {op.name: op.caption for op in warped if op.switch and _applied(rows, op.name)}
    if flips:
        notes.append(
            Note("turned by 180°" if set(flips) == {"hflip", "vflip"} else ", ".join(flips.values()))
        )
    for op in warped:
        if not op.switch:
            notes += _plain_notes(rows, params, op.name)
    return notes


def _tone_notes(rows: dict[str, Any], params: ViewParams, mean: float, std: float) -> list[Note]:
    names = [name for name in _TONE if _applied(rows, name)]
    before = [float(params.evidence[name][0]) for name in ("crop_mean", "crop_std")]
    moved = max(abs(mean - before[0]), abs(std - before[1])) > 0.004
    if not names and not moved:
        return []
    by = f" ({', '.join(names)})" if names else ""
    reasons = [_why(rows, params, f"{name}{part}") for name in names for part in ("", ".mean", ".std")]
    first, *more = dict.fromkeys(reason for reason in reasons if reason) or [""]
    return [
        Note(f"mean {short(before[0])} to {short(mean)}{by}", first),
        Note(f"contrast {short(before[1])} to {short(std)}", "; ".join(more)),
        *_weakened(params),
    ]


def _weakened(params: ViewParams) -> list[Note]:
    strength = float(params.evidence["tone_strength"][0]) if "tone_strength" in params.evidence else 1.0
    if strength == 1.0:
        return []
    what = f"tone and colour at {strength:.0%}" if strength else "tone and colour kept"
    return [Note(what, "as drawn they would break the promise")]


def _colour_notes(rows: dict[str, Any], params: ViewParams) -> list[Note]:
    names = [op.name for op in OPS.values() if op.kind == "colour"]
    if _applied(rows, "grey"):
        return [Note("grey", _why(rows, params, "grey"))]
    amounts = {name: _amounts(rows, name) for name in names if _applied(rows, name)}
    parts = [f"{name} {amount}" for name, amount in amounts.items() if amount != "0"]
    # A refused operation is not applied, and its reason is what the reader wants to know.
    own = [label for label, row in rows.items() if row["operation"] in names]
    reasons = dict.fromkeys(reason for label in own if (reason := _why(rows, params, label)))
    if not parts and not reasons:
        return []
    return [Note(", ".join(parts) or "colour kept", "; ".join(reasons))]


def _amounts(rows: dict[str, Any], name: str) -> str:
    """An operation's numbers, signed where they may be below 0."""
    mine = {
        label.partition(".")[2] or "range": row for label, row in rows.items() if row["operation"] == name
    }
    return ", ".join(short(row["value"], OPS[name].parameters[part].low < 0) for part, row in mine.items())


def _others(rows: dict[str, Any]) -> list[str]:
    kinds = {name: OPS[name].kind for name in (row["operation"] for row in rows.values())}
    return [name for name, kind in kinds.items() if kind in ("filter", "table", "late")]


def _plain_notes(rows: dict[str, Any], params: ViewParams, name: str) -> list[Note]:
    """One operation in the words of its record: name, numbers, and what restricted them."""
    mine = [row for row in rows.values() if row["operation"] == name]
    why = next((reason for row in mine if (reason := _why(rows, params, row["parameter"]))), "")
    if not any(row["applied"] for row in mine):
        return [Note(f"no {name}", why)] if why else []
    if why and all(_at_identity(row) for row in mine):
        return [Note(f"no {name}", why)]
    signed = any(row["policy"][0] < 0 for row in mine)
    numbers = ", ".join(short(row["value"], signed) for row in mine)
    values = {row["parameter"].partition(".")[2]: row["value"] for row in mine}
    return [Note(OPS[name].caption.format(name=name, numbers=numbers, **values), why)]


def _applied(rows: dict[str, Any], name: str) -> bool:
    return any(row["applied"] for row in rows.values() if row["operation"] == name)


def _at_identity(row: dict[str, Any]) -> bool:
    name, _, part = row["parameter"].partition(".")
    return abs(float(row["value"]) - OPS[name].parameters[part or "range"].identity) < 1e-9


def _why(rows: dict[str, Any], params: ViewParams, parameter: str) -> str:
    """An operation's reason; empty where nothing was restricted."""
    if parameter not in rows:
        return ""
    code, reason = int(params.entries[parameter].reason[0]), str(rows[parameter]["reason"])
    if code in _DULL:
        return ""
    if rows[parameter]["conditioned"]:  # tells of a tendency, not of this view
        reason = reason.removesuffix(f"; {rows[parameter]['conditioned']}")
    if code in _TOLD:
        reason = re.sub(r" \([^()]*\)", "", reason)
    return re.sub(r"\b0\.(?=\d)", ".", reason)


def short(value: float, sign: bool = False) -> str:
    """Three figures at most, without the leading zero: .46, +.04, 1.08, 12."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        return "0"
    return re.sub(r"^([+-]?)0\.", r"\1.", text)
