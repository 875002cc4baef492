"""Round one: where to look, from the image's statistics."""

from __future__ import annotations

from typing import NamedTuple

from adaptaug import boxes, guard
from adaptaug.arrays import (
    Array,
    choose,
    constant,
    double,
    integer,
    larger,
    matrices,
    namespace,
    never,
    none_true,
    number,
    part,
    product,
    row,
    smaller,
    stack,
)  # fmt: skip
from adaptaug.measure import ImageStats
from adaptaug.ops import OPS, Op, matrix_of
from adaptaug.params import Entry
from adaptaug.plan.draws import Draws, draw, full, label
from adaptaug.plan.overlap import Placed, place, placed_entries
from adaptaug.policy import Policy


class Where(NamedTuple):
    """Round one's outcome."""

    entries: dict[str, Entry]
    matrix: Array
    span: Array  # the crop's shorter side as a share of the source's
    evidence: dict[str, Array]


def plan_where(
    stats: ImageStats, policy: Policy, draws: Draws, size: int, first: Draws | None = None
) -> Where:
    """Where to look: the crop, from nested boxes that hold enough; distortions, shrunk where they lose it.

    Args:
        stats: of the B sources; policy; draws: of one view; size: the view's side in pixels; first: view 0's
            draws, where this view's crop must overlap that of view 0 (`pair.overlap`).
    Returns: entries, (B, 3, 3) matrices, (B,) spans, the statistics behind the reasons.
    """
    box, entries, evidence = _plan_crop(stats, policy, draws)
    if first is not None:
        placed = _place_crop(stats, policy, draws, first, (box, entries, evidence))
        box, entries, evidence = (
            placed.box,
            placed_entries(placed, entries, stats),
            evidence | placed.evidence,
        )
    if "crop" in policy:
        evidence |= {f"box_{name}": part(box, i) for i, name in enumerate(("x", "y", "width", "height"))}
    geometry = [op for op in policy.of_kind("geometry") if op.matrix is not None]
    drawn: dict[str, list[Entry]] = {}
    for op in geometry:
        applied = draws.applied(op.name)
        drawn[op.name] = [
            draw(policy, draws, op, parameter, 1 + i, applied) for i, parameter in enumerate(op.parameters)
        ]
    matrix = _compose(stats, box, geometry, drawn, policy, 1.0)
    floor = policy["crop"].content if "crop" in policy else 0.0
    distorts = [
        entry for op in geometry if not op.switch for entry in drawn[op.name] if not never(entry.applied)
    ]
    if policy.guards and floor > 0 and distorts:
        content = boxes.content_in_view(stats, matrix)
        evidence["warped_content"] = content
        if not none_true(content < floor):
            matrix, shrink = _less_distorted(stats, box, geometry, drawn, policy, (matrix, content, floor))
            evidence["shrink"] = shrink
            for op in geometry:
                if not op.switch and policy[op.name].guard:
                    drawn[op.name] = [
                        _shrunk(entry, op, parameter, shrink)
                        for parameter, entry in zip(op.parameters, drawn[op.name], strict=True)
                    ]
    for op in geometry:
        entries |= {label(op, p): e for p, e in zip(op.parameters, drawn[op.name], strict=True)}
    shortest = smaller(part(box, 2) * stats.width, part(box, 3) * stats.height)
    return Where(entries, matrix, shortest / min(stats.width, stats.height), evidence)


def _less_distorted(
    stats: ImageStats, box: Array, geometry: list[Op], drawn: dict[str, list[Entry]], policy: Policy,
    full_step: tuple[Array, Array, float],
) -> tuple[Array, Array]:  # fmt: skip
    """The matrix with the distortions at the greatest of `SHRINK_STEPS` that keeps enough detail in view, and the step.

    `full_step`: the matrix at step 1, the detail it keeps, and the floor.
    """
    candidate, content, floor = full_step
    tried = [(1.0, candidate, content)]
    for step in boxes.SHRINK_STEPS[1:]:
        candidate = _compose(stats, box, geometry, drawn, policy, step)
        tried.append((step, candidate, boxes.content_in_view(stats, candidate)))
    # The undistorted crop may hold less than the floor in whole cells; a distortion may not cost much more.
    shrink, matrix, undistorted = tried.pop()
    wanted = smaller(undistorted * 0.9, floor)
    xp = namespace(wanted)
    shrink = constant(shrink, wanted)
    for step, candidate, content in reversed(tried):
        enough = content >= wanted
        matrix, shrink = choose(enough, candidate, matrix), xp.where(enough, step, shrink)
    return matrix, shrink


def _plan_crop(
    stats: ImageStats, policy: Policy, draws: Draws
) -> tuple[Array, dict[str, Entry], dict[str, Array]]:
    evidence: dict[str, Array] = {}
    if "crop" not in policy:
        zero = draws.number("crop", 0) * 0.0
        return stack([zero, zero, zero + 1.0, zero + 1.0]), {}, evidence
    entry, aspect = policy["crop"], stats.width / stats.height
    area, ratio, width, height = _drawn_size(policy, draws, aspect)
    applied = area.applied
    xp = namespace(applied)
    x, y = draws.number("crop", 3) * (1.0 - width), draws.number("crop", 4) * (1.0 - height)
    box = stack([x, y, width, height])
    if policy.guards and entry.guard:
        promise = policy.promise
        floor = smaller(number(stats.contrast) * promise.std_share, promise.std) * 1.2
        box, step, std, content = boxes.choose_box(stats, box, floor, entry.content)
        evidence |= {
            "drawn_std": std,
            "drawn_content": content,
            "box_std_floor": floor,
            "content_floor": full(entry.content, std),
        }
        if not draws.told:
            return box, {"crop.area": area, "crop.ratio": ratio}, evidence
        enlarged = step > 0
        reason = xp.where(enlarged, float(guard.BOX_ENLARGED), double(area.reason))
        final = part(box, 2) * part(box, 3)
        area = Entry(
            final,
            xp.where(enlarged, final, area.low),
            larger(area.high, final),
            integer(reason),
            applied,
            area.policy,
        )
        shape = part(box, 2) / part(box, 3) * aspect
        ratio = Entry(
            xp.where(enlarged, shape, ratio.value), xp.where(enlarged, shape, ratio.low),
            xp.where(enlarged, shape, ratio.high), integer(reason), applied, ratio.policy,
        )  # fmt: skip
    return box, {"crop.area": area, "crop.ratio": ratio}, evidence


def _drawn_size(policy: Policy, draws: Draws, aspect: float) -> tuple[Entry, Entry, Array, Array]:
    """Area and ratio of the crop, and its width and height as shares of a frame of that aspect."""
    applied, op = draws.applied("crop"), OPS["crop"]
    xp = namespace(applied)
    area = draw(policy, draws, op, "area", 1, applied)
    ratio = draw(policy, draws, op, "ratio", 2, applied)
    # A box that would stick out is cut to the frame, where torchvision draws again: one draw, always.
    width = xp.where(applied, smaller(xp.sqrt(area.value * ratio.value / aspect), 1.0), 1.0)
    height = xp.where(applied, smaller(xp.sqrt(area.value / ratio.value * aspect), 1.0), 1.0)
    return area, ratio, width, height


def shortest_side(policy: Policy, rows: Array, view: int, width: int, height: int) -> float:
    """The shorter side, in pixels, of the crop that a key draws from one image of that size, before any guard.

    Only for policies without conditional weights, whose draws need no statistics.
    """
    if "crop" not in policy:
        return float(min(width, height))
    _, _, across, down = _drawn_size(policy, Draws(policy, rows, view, None), width / height)
    return min(float(across) * width, float(down) * height)


def _place_crop(
    stats: ImageStats, policy: Policy, draws: Draws, first: Draws,
    drawn: tuple[Array, dict[str, Entry], dict[str, Array]],
) -> Placed:  # fmt: skip
    """The crop moved to overlap view 0's; one that was not applied stays the whole frame."""
    box, entries, evidence = drawn
    interval = first.policy.pair.overlap
    assert interval is not None
    reference, _, _ = _plan_crop(stats, first.policy, first)
    floors = None
    if "box_std_floor" in evidence:
        floors = (row(evidence["box_std_floor"]), row(evidence["content_floor"]))
    areas, uniform = policy["crop"].bounds("area"), row(draws.number("crop", 5))
    placed = place(stats, row(box), row(reference), areas, interval, uniform, floors)
    applied = entries["crop.area"].applied
    xp, found = namespace(applied), {name: number(value) for name, value in placed.evidence.items()}
    return Placed(
        choose(applied, number(placed.box), box), xp.where(applied, number(placed.reason), -1.0),
        found | {"overlap": xp.where(applied, found["overlap"], found["drawn_overlap"])},
    )  # fmt: skip


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
    x, y, width, height = (part(box, i) for i in range(4))
    xp = namespace(x)
    half_width, half_height = width * (stats.width / 2), height * (stats.height / 2)
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
        if not all(never(entry.applied) for entry in drawn[op.name]):
            total = product(matrix_of(op, *amounts), total)
    centre_x, centre_y = x + width / 2, y + height / 2
    place = matrices(
        [[radius / stats.width, 0.0, centre_x], [0.0, radius / stats.height, centre_y], [0.0, 0.0, 1.0]],
        radius,
    )
    return product(place, total)
