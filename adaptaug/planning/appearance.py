"""Round two: how it looks, from the statistics of the crop as rendered: filters, tone and colour, late operations."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from adaptaug.backend.arrays import Array, choose, clamp, larger, matrices, mix, product, smaller
from adaptaug.params import Entry
from adaptaug.planning.chroma import plan_chroma
from adaptaug.planning.draws import Draws, between, draw, drawn_back, full, guarded_entry, label, position
from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS, Op, matrix_of
from adaptaug.policy.terms import Terms, absent
from adaptaug.promise import guards
from adaptaug.promise.reasons import Reason
from adaptaug.stats.crop import CropStats

_IDENTITY: list[list[Any]] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


# --- round two: filters and tables ------------------------------------------------------------------------
def plan_filters(crop: CropStats, policy: Policy | Terms, draws: Draws, size: int) -> dict[str, Entry]:
    """Filters and lookup tables: what can destroy, decided before the second look."""
    entries: dict[str, Entry] = {}
    for op in policy.of_kind("filter", "table"):
        applied = draws.applied(op.name)
        for i, parameter in enumerate(op.parameters):
            entry = draw(policy, draws, op, parameter, 1 + i, applied)
            if op.name == "blur" and policy.guards and policy["blur"].guard is not False:
                entry = guarded_entry(policy, "blur", _bounded_blur(crop, entry, draws, size), entry)
            entries[label(op, parameter)] = entry
    return entries


def _bounded_blur(crop: CropStats, entry: Entry, draws: Draws, size: int) -> Entry:
    """No stronger than the crop's own detail can bear."""
    limit, applied = guards.blur_limit(crop, size), entry.applied
    low, high = smaller(limit, entry.low), smaller(limit, entry.high)
    bounded = applied & (high < entry.high)
    reason = torch.where(bounded, Reason.TOO_SMALL if size <= 32 else Reason.SHARPNESS, entry.reason)
    value = torch.where(applied, between(low, high, draws.within("blur", 1, low, high, 0.0)), 0.0)
    return Entry(value, low, high, reason, applied & (value > 0), entry.policy)


# --- round two: tone and colour ---------------------------------------------------------------------------
def plan_tone(
    crop: CropStats, policy: Policy | Terms, draws: Draws, limit: guards.Limits | None
) -> tuple[Array, dict[str, Entry], dict[str, Array]]:
    """Gain, offset and colour as one affine map of RGB.

    Args: crop: of the crop after filters; limit: the promise's numbers, None for a policy without guards.
    Returns: (B, 3, 4) maps, entries, and the statistics behind the reasons.
    """
    entries, drawn, evidence = _colour(crop, policy, draws, limit)
    if limit is None:
        gain, offset, tone = _manual_tone(crop, policy, draws)
        colour = drawn * gain[:, None, None]
    else:
        coloured = mix(drawn, crop.samples)
        gain, offset, tone = _guarded_tone(crop, coloured, policy, draws, limit)
        coloured.mul_(gain[:, None, None]).add_(offset[:, None, None])
        strength = guards.tone_strength(crop, coloured, limit)
        evidence |= {
            "clip": full(limit.clip, crop.mean),
            "std_floor": limit.std,
            "tone_strength": strength,
        }
        colour, identity = drawn * gain[:, None, None], matrices(_IDENTITY, gain)
        weaker = identity + (colour - identity) * strength[:, None, None]
        colour, offset = choose(strength == 1.0, colour, weaker), offset * strength
        start = {"exposure.mean": crop.mean, "exposure.std": crop.std}
        back = Reason.TONE_REDUCED  # all of it together
        tone = {k: drawn_back(e, strength, start.get(k, 0.0), back) for k, e in tone.items()}
        entries = {k: drawn_back(e, strength, 0.0, back) for k, e in entries.items()}
    toned = torch.cat([colour, offset[:, None, None].expand(-1, 3, 1)], 2)
    if "chroma" in policy:
        toned, targets, measurements = plan_chroma(crop, policy, draws, drawn, toned, limit)
        entries, evidence = entries | targets, evidence | measurements
    return toned, tone | entries, evidence


def _colour(
    crop: CropStats, policy: Policy | Terms, draws: Draws, limit: guards.Limits | None
) -> tuple[dict[str, Entry], Array, dict[str, Array]]:
    """Entries of the colour operations but chroma, their (B, 3, 3) product, and the statistics behind the reasons."""
    evidence = {"crop_mean": crop.mean, "crop_std": crop.std}
    if limit is not None:
        evidence["luma_share"] = share = guards.luma_share(crop)
    entries: dict[str, Entry] = {}
    colour = matrices(_IDENTITY, crop.mean)
    for op in policy.of_kind("colour"):
        if op.matrix is None:  # chroma, which comes after tone
            continue
        entry = draw(policy, draws, op, "range", 1, draws.applied(op.name))
        if limit is not None and policy[op.name].guard is not False and op.name in ("grey", "saturation"):
            entry = guarded_entry(policy, op.name, _keep_colour(entry, op, draws, share), entry)
        entries[op.name] = entry
        mixed, missing = product(matrix_of(op, entry.value), colour), absent(policy, op.name)
        # An identity's matrix may be off by a rounding, and an image without the operation has none.
        colour = mixed if missing is None else choose(missing, colour, mixed)
    return entries, colour, evidence


def _keep_colour(entry: Entry, op: Op, draws: Draws, share: Array) -> Entry:
    """No grey, no desaturation, where luma carries less than 30 % of the colour variance."""
    isoluminant = share < 0.3
    if op.switch:
        applied = entry.applied & ~isoluminant
        value = torch.where(applied, entry.value, 0.0)
        low, high = torch.where(isoluminant, 0.0, entry.low), torch.where(isoluminant, 0.0, entry.high)
    else:
        applied = entry.applied
        low, high = torch.where(isoluminant, larger(entry.low, 0.0), entry.low), entry.high
        high = larger(high, low)
        value = torch.where(applied, between(low, high, draws.within(op.name, 1, low, high, 0.0)), 0.0)
    limited = entry.applied & isoluminant
    if not op.switch:
        limited = limited & (entry.low != low)
    return Entry(
        value, low, high, torch.where(limited, Reason.ISOLUMINANT, entry.reason), applied, entry.policy
    )


def _manual_tone(
    crop: CropStats, policy: Policy | Terms, draws: Draws
) -> tuple[Array, Array, dict[str, Entry]]:
    """torchvision's brightness and contrast, fused: x (1 + b) (1 + c) - (1 + b) c mean. The order is immaterial."""
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
            applied = draws.applied(name) if exposed is None else draws.applied(name) & ~exposed
            entries[name] = draw(policy, draws, OPS[name], "range", 1, applied)
            amount = entries[name].value
            if name == "contrast":
                offset = -gain * amount * crop.mean
            gain = gain * (1.0 + amount)
    if exposed is not None:
        target = clamp(entries["exposure.std"].value / larger(crop.std, 1e-6), 0.0, policy["exposure"].gain)
        gain = torch.where(exposed, target, gain)
        offset = torch.where(exposed, entries["exposure.mean"].value - gain * crop.mean, offset)
    return gain, offset, entries


def _guarded_tone(
    crop: CropStats, coloured: Array, policy: Policy | Terms, draws: Draws, limit: guards.Limits
) -> tuple[Array, Array, dict[str, Entry]]:
    """Tone in the coordinates (mean, std) of the view: the mean from its feasible interval, then the gain."""
    room, nothing = guards.tone_room(crop, coloured, limit), crop.mean > 9.0
    exposed = draws.applied("exposure") if "exposure" in policy else nothing
    contrasted = draws.applied("contrast") & ~exposed if "contrast" in policy else nothing
    mean, moved, entries = _drawn_mean(crop, policy, draws, limit, room, exposed)
    gains = _drawn_gain(crop, policy, draws, room, mean, exposed, contrasted)
    moved = moved | contrasted
    gain = torch.where(moved, gains.low + gains.fraction * (gains.high - gains.low), 1.0)
    offset = torch.where(moved, mean - gain * crop.mean, 0.0)
    return gain, offset, entries | _gain_entries(crop, policy, gain, gains, exposed, contrasted)


def _drawn_mean(
    crop: CropStats, policy: Policy | Terms, draws: Draws, limit: guards.Limits, room: guards.ToneRoom, exposed: Array
) -> tuple[Array, Array, dict[str, Entry]]:  # fmt: skip
    """Step one: (B,) the view's mean, whether it was drawn or must move, and the entries of exposure and brightness."""
    entries: dict[str, Entry] = {}
    moved = guards.needs_repair(crop, limit)
    mean = torch.where(moved, clamp(crop.mean, room.low, room.high), crop.mean)
    if "exposure" in policy:
        bounds = policy["exposure"].bounds("mean")
        entry = _mean_entry(draws, "exposure", bounds, bounds, exposed, room, 0.0, 1.0)
        entries["exposure.mean"] = entry
        mean, moved = torch.where(exposed, entry.value, mean), moved | exposed
    if "brightness" in policy:
        applied = draws.applied("brightness") & ~exposed
        low, high = policy["brightness"].bounds("range")
        # Half the amount of mid-grey, whatever the crop's own mean: a dark crop moves as far as any.
        interval = crop.mean + 0.5 * low, crop.mean + 0.5 * high
        entry = _mean_entry(draws, "brightness", interval, (low, high), applied, room, crop.mean, 0.5)
        entries["brightness"] = _exclusive(entry, exposed)
        mean, moved = torch.where(applied, crop.mean + 0.5 * entry.value, mean), moved | applied
    return mean, moved, entries


class _Gains(NamedTuple):
    """(B,) the safe range of the gain, where in it was drawn, and what bounds it."""

    low: Array
    high: Array
    fraction: Array
    reason: Array


def _drawn_gain(
    crop: CropStats, policy: Policy | Terms, draws: Draws, room: guards.ToneRoom, mean: Array, exposed: Array,
    contrasted: Array,
) -> _Gains:  # fmt: skip
    """Step two: the gain, of contrast or to exposure's deviation, within what the mean leaves room for."""
    want_low = want_high = crop.mean * 0.0 + 1.0
    fraction = crop.mean * 0.0
    if "contrast" in policy:
        low, high = policy["contrast"].bounds("range")
        want_low = torch.where(contrasted, 1.0 + low, want_low)
        want_high = torch.where(contrasted, 1.0 + high, want_high)
        fraction = torch.where(contrasted, draws.fraction("contrast", 1), fraction)
    if "exposure" in policy:
        low, high = policy["exposure"].bounds("std")
        # A number by a tensor is that in torch; of a tensor by a tensor the last bit would differ.
        most, per = policy["exposure"].gain, larger(crop.std, 1e-6).reciprocal()
        want_low = torch.where(exposed, smaller(per * low, most), want_low)
        want_high = torch.where(exposed, smaller(per * high, most), want_high)
        fraction = torch.where(exposed, draws.fraction("exposure", 2), fraction)
    greatest = room.greatest_gain(mean)
    low, high = clamp(want_low, room.least_gain, greatest), clamp(want_high, room.least_gain, greatest)
    for name, number, mask in (("contrast", 1, contrasted), ("exposure", 2, exposed)):
        if draws.power(name) is not None and name in policy:  # a gain of 1 is where both start
            further = draws.moved(name, number, fraction, position(1.0, low, high))
            fraction = torch.where(mask, further, fraction)
    reason = torch.where(want_low < room.least_gain, Reason.KEEPS_CONTRAST, Reason.WHOLE_RANGE)
    return _Gains(low, high, fraction, torch.where(want_high > greatest, Reason.CLIPPING, reason))


def _gain_entries(
    crop: CropStats, policy: Policy | Terms, gain: Array, gains: _Gains, exposed: Array, contrasted: Array
) -> dict[str, Entry]:
    """Step three: the gain as the numbers of contrast and exposure that it stands for."""
    entries: dict[str, Entry] = {}
    low, high = gains.low, gains.high
    if "contrast" in policy:
        bounds = policy["contrast"].bounds("range")
        entry = Entry(
            torch.where(contrasted, gain - 1.0, 0.0), torch.where(exposed, bounds[0], low - 1.0),
            torch.where(exposed, bounds[1], high - 1.0), torch.where(contrasted, gains.reason, Reason.NOT_DRAWN),
            contrasted, bounds,
        )  # fmt: skip
        entries["contrast"] = _exclusive(entry, exposed)
    if "exposure" in policy:
        entries["exposure.std"] = Entry(
            torch.where(exposed, gain * crop.std, 0.0), low * crop.std, high * crop.std,
            torch.where(exposed, gains.reason, Reason.NOT_DRAWN), exposed, policy["exposure"].bounds("std"),
        )  # fmt: skip
    return entries


def _exclusive(entry: Entry, exposed: Array) -> Entry:
    return entry._replace(reason=torch.where(exposed, Reason.EXCLUSIVE, entry.reason))


def _mean_entry(
    draws: Draws, name: str, interval: tuple[Any, Any], bounds: tuple[float, float], applied: Array,
    room: guards.ToneRoom, origin: Array | float, unit: float,
) -> Entry:  # fmt: skip
    """A target for the view's mean: the wanted interval cut to the feasible one, reported as (mean - origin) / unit."""
    want_low, want_high = interval[0] + room.mean * 0.0, interval[1] + room.mean * 0.0
    low, high = clamp(want_low, room.low, room.high), clamp(want_high, room.low, room.high)
    mean = low + draws.within(name, 1, low, high, room.mean) * (high - low)
    value = torch.where(applied, (mean - origin) / unit, 0.0)
    reason = torch.where(high < want_high, room.reason_high, Reason.WHOLE_RANGE)
    reason = torch.where(low > want_low, room.reason_low, reason)
    reason = torch.where(applied, reason, Reason.NOT_DRAWN)
    return Entry(value, (low - origin) / unit, (high - origin) / unit, reason, applied, bounds)


# --- late -------------------------------------------------------------------------------------------------
def plan_late(policy: Policy | Terms, draws: Draws) -> tuple[dict[str, Entry], Array]:
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
    return entries, (draws.number("noise", 7) * 2.0**24).to(torch.int64)
