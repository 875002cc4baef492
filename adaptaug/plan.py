"""Statistics + policy + key -> parameters. The only place where anything is random, and every number comes
from a key.

Round one (`plan_where`) decides geometry from the image's statistics; after the warp, `plan_filters` and
`plan_tone` decide how the crop looks from the crop's own. Nothing here sees a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adaptaug import guard, keys
from adaptaug.arrays import Array, clamp, constant, double, integer, larger, matrices, namespace, smaller
from adaptaug.measure import CropStats, ImageStats
from adaptaug.ops import OPS, SLOTS_PER_OP, Op, matrix_of, of_kind, slot_count
from adaptaug.params import Entry
from adaptaug.policy import OperationPolicy, Policy


class Draws:
    """The uniforms of one view of each image, handed out by operation.

    An operation's first number decides whether it is applied; operations with the same `together` in the
    policy share that of the first of them; those in `pair.share` get view 0's numbers in every view.
    """

    def __init__(self, policy: Policy, rows: Array, view: int):
        self.policy = policy
        self._own = keys.uniforms(rows, view, slot_count())
        self._first = keys.uniforms(rows, 0, slot_count()) if policy.pair.share and view else self._own
        self._leader: dict[str, str] = {}
        for name in OPS:
            if name in policy and policy[name].together:
                self._leader.setdefault(policy[name].together, name)

    def number(self, name: str, index: int) -> Array:
        """(B,) uniforms: the `index`-th number of an operation."""
        source = self._first if name in self.policy.pair.share else self._own
        return source[:, OPS[name].slot * SLOTS_PER_OP + index]

    def applied(self, name: str) -> Array:
        """(B,) whether the policy's probability lets an operation act."""
        entry: OperationPolicy = self.policy[name]
        return self.number(self._leader[entry.together] if entry.together else name, 0) < entry.p

    def fraction(self, name: str, index: int) -> Array:
        """(B,) position in the safe range, in [0, 1], by the policy's distribution."""
        return keys.kumaraswamy(self.number(name, index), *self.policy[name].shape)


@dataclass(frozen=True)
class Where:
    """Round one's outcome."""

    entries: dict[str, Entry]
    matrix: Array
    reduce: Array
    evidence: dict[str, Array]


def _between(low: Array, high: Array, fraction: Array, log: bool = False) -> Array:
    if not log:
        return low + fraction * (high - low)
    xp = namespace(fraction)
    return xp.exp(xp.log(low) + fraction * (xp.log(high) - xp.log(low)))


def _full(value: float, like: Array) -> Array:
    return constant(float(value), like)


def _codes(code: Array | int, like: Array) -> Array:
    return integer(constant(float(code), like)) if isinstance(code, int) else integer(code)


def _draw(policy: Policy, draws: Draws, op: Op, parameter: str, index: int, applied: Array) -> Entry:
    """A number from the policy's whole range."""
    spec = op.parameters[parameter]
    xp = namespace(applied)
    bounds = policy[op.name].bounds(parameter)
    like = draws.number(op.name, index)
    low, high = _full(bounds[0], like), _full(bounds[1], like)
    value = _between(low, high, draws.fraction(op.name, index), spec.log)
    value = xp.where(applied, value, spec.identity)
    reason = xp.where(applied, float(_unrestricted(policy, op)), float(guard.NOT_DRAWN))
    return Entry(value, low, high, integer(reason), applied, bounds)


def _unrestricted(policy: Policy, op: Op) -> int:
    return guard.WHOLE_RANGE if policy.guards and policy[op.name].guard else guard.UNGUARDED


def _label(op: Op, parameter: str) -> str:
    return op.name if op.single else f"{op.name}.{parameter}"


# --- round one --------------------------------------------------------------------------------------------
def plan_where(stats: ImageStats, policy: Policy, draws: Draws, size: int) -> Where:
    """Where to look: the crop, from nested boxes that hold enough; distortions, shrunk where they lose it.

    Args:
        stats: of the B sources; policy; draws: of one view; size: the view's side in pixels.
    Returns: entries, (B, 3, 3) matrices, (B,) whole reduction factors, the statistics behind the reasons.
    """
    box, entries, evidence = _plan_crop(stats, policy, draws)
    geometry = [op for op in of_kind("geometry") if op.matrix is not None and op.name in policy]
    drawn: dict[str, list[Entry]] = {}
    for op in geometry:
        applied = draws.applied(op.name)
        drawn[op.name] = [
            _draw(policy, draws, op, parameter, 1 + i, applied) for i, parameter in enumerate(op.parameters)
        ]
    floor = policy["crop"].content if "crop" in policy else 0.0
    steps = (
        guard.SHRINK_STEPS
        if policy.guards and floor > 0 and any(not op.switch for op in geometry)
        else (1.0,)
    )
    candidates = [_compose(stats, box, geometry, drawn, policy, step) for step in steps]
    matrix = candidates[-1]
    if len(steps) > 1:
        xp = namespace(matrix)
        kept = [guard.content_in_view(stats, candidate) for candidate in candidates]
        # The undistorted crop may hold less than the floor in whole cells; a distortion may not cost much more.
        wanted = smaller(kept[-1] * 0.9, floor)
        shrink = constant(steps[-1], wanted)
        for step, candidate, content in list(zip(steps, candidates, kept, strict=True))[-2::-1]:
            enough = content >= wanted
            matrix = xp.where(enough[:, None, None], candidate, matrix)
            shrink = xp.where(enough, step, shrink)
        evidence |= {"shrink": shrink, "warped_content": kept[0]}
        for op in geometry:
            if not op.switch and policy[op.name].guard:
                drawn[op.name] = [
                    _shrunk(entry, op, parameter, shrink)
                    for parameter, entry in zip(op.parameters, drawn[op.name], strict=True)
                ]
    for op in geometry:
        entries |= {_label(op, p): e for p, e in zip(op.parameters, drawn[op.name], strict=True)}
    shortest = smaller(box[:, 2] * stats.width, box[:, 3] * stats.height)
    reduce = larger(namespace(box).floor(shortest / size + 1e-9), 1.0)
    return Where(entries, matrix, integer(reduce), evidence)


def _plan_crop(
    stats: ImageStats, policy: Policy, draws: Draws
) -> tuple[Array, dict[str, Entry], dict[str, Array]]:
    evidence: dict[str, Array] = {"image_mean": stats.mean, "image_std": stats.contrast}
    xp = namespace(stats.mean)
    if "crop" not in policy:
        zero = stats.mean * 0.0
        return xp.stack([zero, zero, zero + 1.0, zero + 1.0], -1), {}, evidence
    op, entry = OPS["crop"], policy["crop"]
    applied = draws.applied("crop")
    area = _draw(policy, draws, op, "area", 1, applied)
    ratio = _draw(policy, draws, op, "ratio", 2, applied)
    aspect = stats.width / stats.height
    # A box that would stick out is cut to the frame, where torchvision draws again: one draw, always.
    width = xp.where(applied, smaller(xp.sqrt(area.value * ratio.value / aspect), 1.0), 1.0)
    height = xp.where(applied, smaller(xp.sqrt(area.value / ratio.value * aspect), 1.0), 1.0)
    x, y = draws.number("crop", 3) * (1.0 - width), draws.number("crop", 4) * (1.0 - height)
    box = xp.stack([x, y, width, height], -1)
    if policy.guards and entry.guard:
        promise = policy.promise
        floor = smaller(stats.contrast * promise.std_share, promise.std) * 1.2
        box, step, std, content = guard.choose_box(stats, box, floor, entry.content)
        enlarged = step > 0
        reason = xp.where(enlarged, float(guard.BOX_ENLARGED), double(area.reason))
        evidence |= {
            "drawn_std": std,
            "drawn_content": content,
            "box_std_floor": floor,
            "content_floor": _full(entry.content, std),
        }
        final = box[:, 2] * box[:, 3]
        area = Entry(
            final,
            xp.where(enlarged, final, area.low),
            larger(area.high, final),
            integer(reason),
            applied,
            area.policy,
        )
        shape = box[:, 2] / box[:, 3] * aspect
        ratio = Entry(
            xp.where(enlarged, shape, ratio.value), xp.where(enlarged, shape, ratio.low),
            xp.where(enlarged, shape, ratio.high), integer(reason), applied, ratio.policy,
        )  # fmt: skip
    evidence |= {"box_x": box[:, 0], "box_y": box[:, 1], "box_width": box[:, 2], "box_height": box[:, 3]}
    return box, {"crop.area": area, "crop.ratio": ratio}, evidence


def _towards_identity(entry: Entry, op: Op, parameter: str, step: Array | float) -> Array:
    """An amount moved towards its identity, in its logarithm where that is how it is drawn."""
    spec = op.parameters[parameter]
    if spec.log:
        return entry.value**step
    return spec.identity + (entry.value - spec.identity) * step


def _shrunk(entry: Entry, op: Op, parameter: str, shrink: Array) -> Entry:
    xp = namespace(shrink)
    identity = op.parameters[parameter].identity
    reduced = entry.applied & (shrink < 1.0)
    value = xp.where(reduced, _towards_identity(entry, op, parameter, shrink), entry.value)
    low = xp.where(reduced, smaller(value, identity), entry.low)
    high = xp.where(reduced, larger(value, identity), entry.high)
    reason = xp.where(reduced, float(guard.DISTORTION_REDUCED), double(entry.reason))
    return Entry(value, low, high, integer(reason), entry.applied, entry.policy)


def _compose(
    stats: ImageStats,
    box: Array,
    geometry: list[Op],
    drawn: dict[str, list[Entry]],
    policy: Policy,
    step: float,
) -> Array:
    """Box and distortions as one matrix from the view's [-1, 1] square to the source's [0, 1] frame.

    Distortions act in pixels of the source over r = half the crop's geometric mean side, so that a rotation
    is a rotation whatever the aspect of crop and source.
    """
    xp = namespace(box)
    half_width, half_height = box[:, 2] * (stats.width / 2), box[:, 3] * (stats.height / 2)
    radius = xp.sqrt(half_width * half_height)
    total = matrices(
        [[half_width / radius, 0.0, 0.0], [0.0, half_height / radius, 0.0], [0.0, 0.0, 1.0]], radius
    )
    for op in geometry:
        guarded = policy[op.name].guard and not op.switch
        amounts = [
            _towards_identity(entry, op, parameter, step) if guarded and step != 1.0 else entry.value
            for parameter, entry in zip(op.parameters, drawn[op.name], strict=True)
        ]
        total = _product(matrix_of(op, *amounts), total)
    centre_x, centre_y = box[:, 0] + box[:, 2] / 2, box[:, 1] + box[:, 3] / 2
    place = matrices(
        [[radius / stats.width, 0.0, centre_x], [0.0, radius / stats.height, centre_y], [0.0, 0.0, 1.0]],
        radius,
    )
    return _product(place, total)


def _product(a: Array, b: Array) -> Array:
    """(B, 3, 3) products, term by term: the same bits for any batch size, which a library's matmul is not."""
    return a[:, :, :1] * b[:, :1, :] + a[:, :, 1:2] * b[:, 1:2, :] + a[:, :, 2:] * b[:, 2:, :]


# --- round two: filters and tables ------------------------------------------------------------------------
def plan_filters(crop: CropStats, policy: Policy, draws: Draws, size: int) -> dict[str, Entry]:
    """Filters and lookup tables: what can destroy, decided before the second look."""
    entries: dict[str, Entry] = {}
    xp = namespace(crop.mean)
    for op in OPS.values():
        if op.name not in policy or op.kind not in ("filter", "table"):
            continue
        applied = draws.applied(op.name)
        for i, parameter in enumerate(op.parameters):
            entry = _draw(policy, draws, op, parameter, 1 + i, applied)
            if op.name == "blur" and policy.guards and policy["blur"].guard:
                limit = guard.blur_limit(crop, size)
                low, high = smaller(limit, entry.low), smaller(limit, entry.high)
                bounded = applied & (high < entry.high)
                code = guard.TOO_SMALL if size <= 32 else guard.SHARPNESS
                reason = xp.where(bounded, float(code), double(entry.reason))
                value = xp.where(applied, _between(low, high, draws.fraction("blur", 1)), 0.0)
                entry = Entry(value, low, high, integer(reason), applied & (value > 0), entry.policy)
            entries[_label(op, parameter)] = entry
    return entries


# --- round two: tone and colour ---------------------------------------------------------------------------
def plan_tone(
    crop: CropStats, policy: Policy, draws: Draws, limit: guard.Limits | None
) -> tuple[Array, dict[str, Entry], dict[str, Array]]:
    """Gain, offset and colour as one affine map of RGB.

    Args: crop: of the crop after filters; limit: the promise's numbers, None for a policy without guards.
    Returns: (B, 3, 4) maps, entries, and the statistics behind the reasons.
    """
    xp = namespace(crop.mean)
    share = guard.luma_share(crop)
    evidence = {"crop_mean": crop.mean, "crop_std": crop.std, "luma_share": share}
    entries: dict[str, Entry] = {}
    colour = matrices([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], crop.mean)
    for op in of_kind("colour"):
        if op.name not in policy:
            continue
        assert op.matrix is not None
        applied = draws.applied(op.name)
        entry = _draw(policy, draws, op, "range", 1, applied)
        if limit is not None and policy[op.name].guard and op.name in ("grey", "saturation"):
            entry = _keep_colour(entry, op, draws, share)
        entries[op.name] = entry
        colour = _product(matrix_of(op, entry.value), colour)
    samples = [crop.samples[..., i] for i in range(3)]
    coloured = [
        colour[:, i, 0, None] * samples[0]
        + colour[:, i, 1, None] * samples[1]
        + colour[:, i, 2, None] * samples[2]
        for i in range(3)
    ]
    if limit is None:
        gain, offset, tone = _manual_tone(crop, policy, draws)
    else:
        evidence |= {"clip": _full(limit.promise.clip, crop.mean), "std_floor": limit.std}
        gain, offset, tone = _guarded_tone(crop, coloured, policy, draws, limit)
    scaled = colour * gain[:, None, None]
    if limit is not None:
        strength = guard.tone_strength(crop, [gain[:, None] * c + offset[:, None] for c in coloured], limit)
        identity = matrices([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], crop.mean)
        scaled = xp.where(
            (strength == 1.0)[:, None, None], scaled, identity + (scaled - identity) * strength[:, None, None]
        )
        offset = offset * strength
        evidence["tone_strength"] = strength
        start = {"exposure.mean": crop.mean, "exposure.std": crop.std}
        tone = {k: _drawn_back(e, strength, start.get(k, 0.0)) for k, e in tone.items()}
        entries = {k: _drawn_back(e, strength, 0.0) for k, e in entries.items()}
    rows = [[scaled[:, i, j] for j in range(3)] + [offset] for i in range(3)]
    return matrices(rows, gain), tone | entries, evidence


def _keep_colour(entry: Entry, op: Op, draws: Draws, share: Array) -> Entry:
    """No grey, no desaturation, where luma carries less than 30 % of the colour variance."""
    xp = namespace(share)
    isoluminant = share < 0.3
    if op.switch:
        applied = entry.applied & ~isoluminant
        value = xp.where(applied, entry.value, 0.0)
        low, high = xp.where(isoluminant, 0.0, entry.low), xp.where(isoluminant, 0.0, entry.high)
    else:
        applied = entry.applied
        low, high = xp.where(isoluminant, larger(entry.low, 0.0), entry.low), entry.high
        high = larger(high, low)
        value = xp.where(applied, _between(low, high, draws.fraction(op.name, 1)), 0.0)
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
            f"exposure.{p}": _draw(policy, draws, OPS["exposure"], p, 1 + i, exposed)
            for i, p in enumerate(("mean", "std"))
        }
    for name in ("brightness", "contrast"):
        if name in policy:
            applied = draws.applied(name) if exposed is None else draws.applied(name) & ~exposed
            entries[name] = _draw(policy, draws, OPS[name], "range", 1, applied)
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
    crop: CropStats, coloured: list[Array], policy: Policy, draws: Draws, limit: guard.Limits
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
            draws.fraction("exposure", 1), spec.bounds("mean"), spec.bounds("mean"), exposed, room, 0.0, 1.0
        )
        entries["exposure.mean"] = entry
        mean, any_drawn = xp.where(exposed, entry.value, mean), any_drawn | exposed
    for name, index in (("brightness", 1), ("contrast", 1)):
        if name not in policy:
            continue
        applied = draws.applied(name) & ~exposed
        any_drawn = any_drawn | applied
        low, high = policy[name].bounds("range")
        if name == "brightness":
            # Half the amount of mid-grey, whatever the crop's own mean: a dark crop moves as far as any.
            entry = _mean_entry(
                draws.fraction(name, index), (crop.mean + 0.5 * low, crop.mean + 0.5 * high), (low, high), applied,
                room, crop.mean, 0.5,
            )  # fmt: skip
            mean = xp.where(applied, crop.mean + 0.5 * entry.value, mean)
            entries[name] = _exclusive(entry, exposed)
        else:
            gain_low = xp.where(applied, 1.0 + low, gain_low)
            gain_high = xp.where(applied, 1.0 + high, gain_high)
            gain_fraction = xp.where(applied, draws.fraction(name, index), gain_fraction)
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
    gain = xp.where(any_drawn, low + gain_fraction * (high - low), 1.0)
    offset = xp.where(any_drawn, mean - gain * crop.mean, 0.0)
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
    xp = namespace(exposed)
    reason = integer(xp.where(exposed, float(guard.EXCLUSIVE), double(entry.reason)))
    return Entry(entry.value, entry.low, entry.high, reason, entry.applied, entry.policy)


def _mean_entry(
    fraction: Array, wanted: tuple[Any, Any], bounds: tuple[float, float], applied: Array, room: guard.ToneRoom,
    origin: Array | float, unit: float,
) -> Entry:  # fmt: skip
    """A target for the view's mean: the wanted interval cut to the feasible one, reported as (mean - origin) / unit."""
    xp = namespace(fraction)
    want_low, want_high = wanted[0] + room.mean * 0.0, wanted[1] + room.mean * 0.0
    low, high = clamp(want_low, room.low, room.high), clamp(want_high, room.low, room.high)
    reason = xp.where(high < want_high, double(room.reason_high), float(guard.WHOLE_RANGE))
    reason = xp.where(low > want_low, double(room.reason_low), reason)
    reason = xp.where(applied, reason, float(guard.NOT_DRAWN))
    mean = low + fraction * (high - low)
    value = xp.where(applied, (mean - origin) / unit, 0.0)
    return Entry(value, (low - origin) / unit, (high - origin) / unit, integer(reason), applied, bounds)


# --- late -------------------------------------------------------------------------------------------------
def plan_late(policy: Policy, draws: Draws) -> tuple[dict[str, Entry], Array]:
    """Noise and erase, and the seed of the noise's pixels."""
    entries: dict[str, Entry] = {}
    for op in of_kind("late"):
        if op.name not in policy:
            continue
        applied = draws.applied(op.name)
        for i, parameter in enumerate(op.parameters):
            entries[_label(op, parameter)] = _draw(policy, draws, op, parameter, 1 + i, applied)
    if policy.guards and "erase" in policy:
        area = entries["erase.area"]
        most = policy.promise.erased
        high = smaller(area.high, most)
        value = smaller(area.value, most)
        entries["erase.area"] = Entry(
            value, smaller(area.low, most), high, area.reason, area.applied, area.policy
        )
    return entries, integer(draws.number("noise", 7) * 2.0**24)
