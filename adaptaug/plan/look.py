"""Round two: how it looks, from the statistics of the crop as rendered: filters, tone and colour, late operations."""

from __future__ import annotations

from typing import Any

from adaptaug import guard
from adaptaug.arrays import (
    Array,
    between_maps,
    choose,
    clamp,
    double,
    integer,
    larger,
    logical_not,
    matrices,
    mix,
    namespace,
    never,
    none_true,
    part,
    product,
    scaled,
    shifted,
    smaller,
)  # fmt: skip
from adaptaug.crops import CropStats
from adaptaug.ops import OPS, Op, matrix_of
from adaptaug.params import Entry
from adaptaug.plan.draws import Draws, between, draw, full, label, position
from adaptaug.policy import Policy

_IDENTITY: list[list[Any]] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


# --- round two: filters and tables ------------------------------------------------------------------------
def plan_filters(crop: CropStats, policy: Policy, draws: Draws, size: int) -> dict[str, Entry]:
    """Filters and lookup tables: what can destroy, decided before the second look."""
    entries: dict[str, Entry] = {}
    xp = namespace(crop.mean)
    for op in policy.of_kind("filter", "table"):
        applied = draws.applied(op.name)
        for i, parameter in enumerate(op.parameters):
            entry = draw(policy, draws, op, parameter, 1 + i, applied)
            if op.name == "blur" and policy.guards and policy["blur"].guard and not draws.left_out(applied):
                limit = guard.blur_limit(crop, size)
                low, high = smaller(limit, entry.low), smaller(limit, entry.high)
                bounded = applied & (high < entry.high)
                code = guard.TOO_SMALL if size <= 32 else guard.SHARPNESS
                reason = xp.where(bounded, float(code), double(entry.reason))
                value = xp.where(applied, between(low, high, draws.within("blur", 1, low, high, 0.0)), 0.0)
                entry = Entry(value, low, high, integer(reason), applied & (value > 0), entry.policy)
            entries[label(op, parameter)] = entry
    return entries


# --- round two: tone and colour ---------------------------------------------------------------------------
def plan_tone(
    crop: CropStats, policy: Policy, draws: Draws, limit: guard.Limits | None
) -> tuple[Array, dict[str, Entry], dict[str, Array]]:
    """Gain, offset and colour as one affine map of RGB.

    Args: crop: of the crop after filters; limit: the promise's numbers, None for a policy without guards.
    Returns: (B, 3, 4) maps, entries, and the statistics behind the reasons.
    """
    entries, colour, evidence = _colour(crop, policy, draws, limit)
    if limit is None:
        gain, offset, tone = _manual_tone(crop, policy, draws)
        colour = scaled(colour, gain)
    else:
        coloured = mix(colour, crop.samples)
        gain, offset, tone = _guarded_tone(crop, coloured, policy, draws, limit)
        strength = guard.tone_strength(crop, shifted(coloured, gain, offset), limit)
        evidence |= {
            "clip": full(limit.promise.clip, crop.mean),
            "std_floor": limit.std,
            "tone_strength": strength,
        }
        colour = scaled(colour, gain)
        if not none_true(strength < 1.0):
            weaker = between_maps(matrices(_IDENTITY, gain), colour, strength)
            colour, offset = choose(strength == 1.0, colour, weaker), offset * strength
            if draws.told:
                start = {"exposure.mean": crop.mean, "exposure.std": crop.std}
                tone = {k: _drawn_back(e, strength, start.get(k, 0.0)) for k, e in tone.items()}
                entries = {k: _drawn_back(e, strength, 0.0) for k, e in entries.items()}
    rows = [[part(colour, i, j) for j in range(3)] + [offset] for i in range(3)]
    return matrices(rows, gain), tone | entries, evidence


def _colour(
    crop: CropStats, policy: Policy, draws: Draws, limit: guard.Limits | None
) -> tuple[dict[str, Entry], Array, dict[str, Array]]:
    """Entries of the colour operations, their (B, 3, 3) product, and the statistics behind the reasons."""
    evidence = {"crop_mean": crop.mean, "crop_std": crop.std}
    if limit is not None:
        evidence["luma_share"] = share = guard.luma_share(crop)
    entries: dict[str, Entry] = {}
    colour = matrices(_IDENTITY, crop.mean)
    for op in policy.of_kind("colour"):
        entry = draw(policy, draws, op, "range", 1, draws.applied(op.name))
        if limit is not None and policy[op.name].guard and op.name in ("grey", "saturation"):
            entry = _keep_colour(entry, op, draws, share)
        entries[op.name] = entry
        if not never(entry.applied):
            colour = product(matrix_of(op, entry.value), colour)
    return entries, colour, evidence


def _keep_colour(entry: Entry, op: Op, draws: Draws, share: Array) -> Entry:
    """No grey, no desaturation, where luma carries less than 30 % of the colour variance."""
    isoluminant = share < 0.3
    if draws.left_out(entry.applied) or never(isoluminant):
        return entry
    xp = namespace(share)
    if op.switch:
        applied = entry.applied & logical_not(isoluminant)
        value = xp.where(applied, entry.value, 0.0)
        low, high = xp.where(isoluminant, 0.0, entry.low), xp.where(isoluminant, 0.0, entry.high)
    else:
        applied = entry.applied
        low, high = xp.where(isoluminant, larger(entry.low, 0.0), entry.low), entry.high
        high = larger(high, low)
        value = xp.where(applied, between(low, high, draws.within(op.name, 1, low, high, 0.0)), 0.0)
    reason = xp.where(
        entry.applied & isoluminant & (entry.low != low), float(guard.ISOLUMINANT), double(entry.reason)
    )
    if op.switch:
        reason = xp.where(entry.applied & isoluminant, float(guard.ISOLUMINANT), double(entry.reason))
    return Entry(value, low, high, integer(reason), applied, entry.policy)


def _drawn_back(entry: Entry, strength: Array, start: Array | float) -> Entry:
    """An entry of the tone after all of it was weakened together: the value that the view really has."""
    xp = namespace(strength)
    weaker = entry.applied & (strength < 1.0)
    value = xp.where(weaker, start + strength * (entry.value - start), entry.value)
    reason = integer(xp.where(weaker, float(guard.TONE_REDUCED), double(entry.reason)))
    return Entry(value, entry.low, entry.high, reason, entry.applied, entry.policy)


def _manual_tone(crop: CropStats, policy: Policy, draws: Draws) -> tuple[Array, Array, dict[str, Entry]]:
    """torchvision's brightness and contrast, fused: x (1 + b) (1 + c) - (1 + b) c mean. The order is immaterial."""
    xp = namespace(crop.mean)
    entries: dict[str, Entry] = {}
    gain, offset = crop.mean * 0.0 + 1.0, crop.mean * 0.0
    exposed = None
    if "exposure" in policy:
        exposed = draws.applied("exposure")
        entries |= {
            f"exposure.{p}": draw(policy, draws, OPS["exposure"], p, 1 + i, exposed, own)
            for i, (p, own) in enumerate((("mean", crop.mean), ("std", crop.std)))
        }
    for name in ("brightness", "contrast"):
        if name in policy:
            applied = draws.applied(name) if exposed is None else draws.applied(name) & logical_not(exposed)
            entries[name] = draw(policy, draws, OPS[name], "range", 1, applied)
            amount = entries[name].value
            if name == "contrast":
                offset = -gain * amount * crop.mean
            gain = gain * (1.0 + amount)
    if exposed is not None:
        target = clamp(entries["exposure.std"].value / larger(crop.std, 1e-6), 0.0, policy["exposure"].gain)
        gain = xp.where(exposed, target, gain)
        offset = xp.where(exposed, entries["exposure.mean"].value - gain * crop.mean, offset)
    return gain, offset, entries


def _guarded_tone(
    crop: CropStats, coloured: Array, policy: Policy, draws: Draws, limit: guard.Limits
) -> tuple[Array, Array, dict[str, Entry]]:
    """Tone in the coordinates (mean, std) of the view: the mean from its feasible interval, then the gain."""
    xp = namespace(crop.mean)
    room = guard.tone_room(crop, coloured, limit)
    nothing = crop.mean > 9.0
    entries: dict[str, Entry] = {}
    repair = guard.needs_repair(crop, limit)
    mean = xp.where(repair, clamp(crop.mean, room.low, room.high), crop.mean)
    any_drawn = repair
    gain_low = gain_high = crop.mean * 0.0 + 1.0
    gain_fraction = crop.mean * 0.0
    exposed = nothing
    if "exposure" in policy:
        exposed = draws.applied("exposure")
        spec = policy["exposure"]
        entry = _mean_entry(
            draws, "exposure", spec.bounds("mean"), spec.bounds("mean"), exposed, room, 0.0, 1.0
        )
        entries["exposure.mean"] = entry
        mean, any_drawn = xp.where(exposed, entry.value, mean), any_drawn | exposed
    for name in ("brightness", "contrast"):
        if name not in policy:
            continue
        applied = draws.applied(name) & logical_not(exposed)
        any_drawn = any_drawn | applied
        low, high = policy[name].bounds("range")
        if name == "brightness":
            # Half the amount of mid-grey, whatever the crop's own mean: a dark crop moves as far as any.
            entry = _mean_entry(
                draws, name, (crop.mean + 0.5 * low, crop.mean + 0.5 * high), (low, high), applied, room,
                crop.mean, 0.5,
            )  # fmt: skip
            mean = xp.where(applied, crop.mean + 0.5 * entry.value, mean)
            entries[name] = _exclusive(entry, exposed) if draws.told else entry
        else:
            gain_low = xp.where(applied, 1.0 + low, gain_low)
            gain_high = xp.where(applied, 1.0 + high, gain_high)
            gain_fraction = xp.where(applied, draws.fraction(name, 1), gain_fraction)
            entries[name] = Entry(
                crop.mean, crop.mean, crop.mean, integer(crop.mean * 0.0), applied, (low, high)
            )
    if "exposure" in policy:
        low, high = policy["exposure"].bounds("std")
        limited = policy["exposure"].gain
        gain_low = xp.where(exposed, smaller(low / larger(crop.std, 1e-6), limited), gain_low)
        gain_high = xp.where(exposed, smaller(high / larger(crop.std, 1e-6), limited), gain_high)
        gain_fraction = xp.where(exposed, draws.fraction("exposure", 2), gain_fraction)
    greatest = room.greatest_gain(mean)
    low, high = clamp(gain_low, room.least_gain, greatest), clamp(gain_high, room.least_gain, greatest)
    for name, number in (("contrast", 1), ("exposure", 2)):  # a gain of 1 is where both start
        if draws.power(name) is not None and name in policy:
            drawn = exposed if name == "exposure" else entries["contrast"].applied
            further = draws.moved(name, number, gain_fraction, position(1.0, low, high))
            gain_fraction = xp.where(drawn, further, gain_fraction)
    gain = xp.where(any_drawn, low + gain_fraction * (high - low), 1.0)
    offset = xp.where(any_drawn, mean - gain * crop.mean, 0.0)
    if not draws.told:
        return gain, offset, entries
    reason = xp.where(
        gain_high > greatest, float(guard.CLIPPING),
        xp.where(gain_low < room.least_gain, float(guard.KEEPS_CONTRAST), float(guard.WHOLE_RANGE)),
    )  # fmt: skip
    if "contrast" in entries:
        blank = entries["contrast"]
        entry = Entry(
            xp.where(blank.applied, gain - 1.0, 0.0),
            xp.where(exposed, blank.policy[0], low - 1.0), xp.where(exposed, blank.policy[1], high - 1.0),
            integer(xp.where(blank.applied, reason, float(guard.NOT_DRAWN))), blank.applied, blank.policy,
        )  # fmt: skip
        entries["contrast"] = _exclusive(entry, exposed)
    if "exposure" in policy:
        entries["exposure.std"] = Entry(
            xp.where(exposed, gain * crop.std, 0.0), low * crop.std, high * crop.std,
            integer(xp.where(exposed, reason, float(guard.NOT_DRAWN))), exposed, policy["exposure"].bounds("std"),
        )  # fmt: skip
    return gain, offset, entries


def _exclusive(entry: Entry, exposed: Array) -> Entry:
    if never(exposed):
        return entry
    xp = namespace(exposed)
    reason = integer(xp.where(exposed, float(guard.EXCLUSIVE), double(entry.reason)))
    return Entry(entry.value, entry.low, entry.high, reason, entry.applied, entry.policy)


def _mean_entry(
    draws: Draws, name: str, wanted: tuple[Any, Any], bounds: tuple[float, float], applied: Array,
    room: guard.ToneRoom, origin: Array | float, unit: float,
) -> Entry:  # fmt: skip
    """A target for the view's mean: the wanted interval cut to the feasible one, reported as (mean - origin) / unit."""
    if draws.left_out(applied):
        return Entry(0.0, bounds[0], bounds[1], guard.NOT_DRAWN, applied, bounds)
    xp = namespace(applied)
    want_low, want_high = wanted[0] + room.mean * 0.0, wanted[1] + room.mean * 0.0
    low, high = clamp(want_low, room.low, room.high), clamp(want_high, room.low, room.high)
    mean = low + draws.within(name, 1, low, high, room.mean) * (high - low)
    value = xp.where(applied, (mean - origin) / unit, 0.0)
    if not draws.told:
        return Entry(value, bounds[0], bounds[1], guard.WHOLE_RANGE, applied, bounds)
    reason = xp.where(high < want_high, double(room.reason_high), float(guard.WHOLE_RANGE))
    reason = xp.where(low > want_low, double(room.reason_low), reason)
    reason = xp.where(applied, reason, float(guard.NOT_DRAWN))
    return Entry(value, (low - origin) / unit, (high - origin) / unit, integer(reason), applied, bounds)


# --- late -------------------------------------------------------------------------------------------------
def plan_late(policy: Policy, draws: Draws) -> tuple[dict[str, Entry], Array]:
    """Noise and erase, and the seed of the noise's pixels."""
    entries: dict[str, Entry] = {}
    for op in policy.of_kind("late"):
        applied = draws.applied(op.name)
        for i, parameter in enumerate(op.parameters):
            entries[label(op, parameter)] = draw(policy, draws, op, parameter, 1 + i, applied)
    if policy.guards and "erase" in policy:
        area = entries["erase.area"]
        most = policy.promise.erased
        high = smaller(area.high, most)
        value = smaller(area.value, most)
        entries["erase.area"] = Entry(
            value, smaller(area.low, most), high, area.reason, area.applied, area.policy
        )
    return entries, integer(draws.number("noise", 7) * 2.0**24)
