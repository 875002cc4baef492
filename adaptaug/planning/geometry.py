"""Round one: where to look, from the image's statistics."""

from __future__ import annotations

from typing import NamedTuple

import torch

from adaptaug.backend.arrays import Array, choose, constant, larger, matrices, may_look, product, smaller
from adaptaug.params import Entry
from adaptaug.planning.draws import Draws, draw, full, guarded, guarded_entry, label
from adaptaug.planning.overlap import Placed, place, placed_entries
from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS, Op, matrix_of
from adaptaug.policy.terms import Terms
from adaptaug.promise import boxes
from adaptaug.promise.reasons import Reason
from adaptaug.stats.image import ImageStats


class Where(NamedTuple):
    """Round one's outcome."""

    entries: dict[str, Entry]
    matrix: Array
    span: Array  # the crop's shorter side as a share of the source's
    evidence: dict[str, Array]


def plan_where(
    stats: ImageStats, policy: Policy | Terms, draws: Draws, size: int, first: Draws | None = None
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
        evidence |= {f"box_{name}": box[:, i] for i, name in enumerate(("x", "y", "width", "height"))}
    geometry = [op for op in policy.of_kind("geometry") if op.matrix is not None]
    drawn: dict[str, list[Entry]] = {}
    for op in geometry:
        applied = draws.applied(op.name)
        drawn[op.name] = [
            draw(policy, draws, op, parameter, 1 + i, applied) for i, parameter in enumerate(op.parameters)
        ]
    matrix = _compose(stats, box, geometry, drawn, policy, 1.0)
    floor = policy["crop"].content if "crop" in policy else 0.0
    if (
        policy.guards
        and (not isinstance(floor, float) or floor > 0)
        and any(not op.switch for op in geometry)
    ):
        content = boxes.content_in_view(stats, matrix)
        evidence |= {"warped_content": content, "shrink": constant(1.0, content)}
        if not may_look(content) or bool((content < floor).any()):
            matrix, shrink = _less_distorted(stats, box, geometry, drawn, policy, (matrix, content, floor))
            evidence["shrink"] = shrink
            for op in geometry:
                if not op.switch:
                    own = guarded(policy, op.name, shrink, constant(1.0, shrink))
                    drawn[op.name] = [
                        _shrunk(entry, op, parameter, own)
                        for parameter, entry in zip(op.parameters, drawn[op.name], strict=True)
                    ]
    for op in geometry:
        entries |= {label(op, p): e for p, e in zip(op.parameters, drawn[op.name], strict=True)}
    shortest = smaller(box[:, 2] * stats.width, box[:, 3] * stats.height)
    return Where(entries, matrix, shortest / min(stats.width, stats.height), evidence)


def _less_distorted(
    stats: ImageStats, box: Array, geometry: list[Op], entries: dict[str, list[Entry]],
    policy: Policy | Terms, full_step: tuple[Array, Array, Array | float],
) -> tuple[Array, Array]:  # fmt: skip
    """The matrix with the distortions at the greatest of `SHRINK_STEPS` that keeps enough detail in view, and the step.

    `full_step`: the matrix at step 1, the detail it keeps, and the floor.
    """
    candidate, content, floor = full_step
    tried = [(1.0, candidate, content)]
    for step in boxes.SHRINK_STEPS[1:]:
        candidate = _compose(stats, box, geometry, entries, policy, step)
        tried.append((step, candidate, boxes.content_in_view(stats, candidate)))
    # The undistorted crop may hold less than the floor in whole cells; a distortion may not cost much more.
    least, matrix, undistorted = tried.pop()
    goal = smaller(undistorted * 0.9, floor)
    shrink = constant(least, goal)
    for step, candidate, content in reversed(tried):
        enough = content >= goal
        matrix, shrink = choose(enough, candidate, matrix), torch.where(enough, step, shrink)
    return matrix, shrink


def _plan_crop(
    stats: ImageStats, policy: Policy | Terms, draws: Draws
) -> tuple[Array, dict[str, Entry], dict[str, Array]]:
    evidence: dict[str, Array] = {}
    if "crop" not in policy:
        zero = draws.number("crop", 0) * 0.0
        return torch.stack([zero, zero, zero + 1.0, zero + 1.0], -1), {}, evidence
    entry, aspect = policy["crop"], stats.width / stats.height
    area, ratio, width, height = _drawn_size(policy, draws, aspect)
    applied = area.applied
    x, y = draws.number("crop", 3) * (1.0 - width), draws.number("crop", 4) * (1.0 - height)
    box = torch.stack([x, y, width, height], -1)
    if policy.guards and entry.guard is not False:
        promise, whole = policy.promise, box
        floor = smaller(stats.contrast * promise.std_share, promise.std) * 1.2
        box, step, std, content = boxes.choose_box(stats, box, floor, entry.content)
        box, step = guarded(policy, "crop", box, whole), guarded(policy, "crop", step, torch.zeros_like(step))
        evidence |= {
            "drawn_std": std,
            "drawn_content": content,
            "box_std_floor": floor,
            "content_floor": full(entry.content, std),
        }
        enlarged = step > 0
        reason = torch.where(enlarged, Reason.BOX_ENLARGED, area.reason)
        final = box[:, 2] * box[:, 3]
        held = Entry(
            final, torch.where(enlarged, final, area.low), larger(area.high, final), reason, applied, area.policy
        )  # fmt: skip
        area = guarded_entry(policy, "crop", held, area)
        shape = box[:, 2] / box[:, 3] * aspect
        held = Entry(
            torch.where(enlarged, shape, ratio.value), torch.where(enlarged, shape, ratio.low),
            torch.where(enlarged, shape, ratio.high), reason, applied, ratio.policy,
        )  # fmt: skip
        ratio = guarded_entry(policy, "crop", held, ratio)
    return box, {"crop.area": area, "crop.ratio": ratio}, evidence


def _drawn_size(policy: Policy | Terms, draws: Draws, aspect: float) -> tuple[Entry, Entry, Array, Array]:
    """Area and ratio of the crop, and its width and height as shares of a frame of that aspect."""
    applied, op = draws.applied("crop"), OPS["crop"]
    area = draw(policy, draws, op, "area", 1, applied)
    ratio = draw(policy, draws, op, "ratio", 2, applied)
    # A box that would stick out is cut to the frame, where torchvision draws again: one draw, always.
    width = torch.where(applied, smaller(torch.sqrt(area.value * ratio.value / aspect), 1.0), 1.0)
    height = torch.where(applied, smaller(torch.sqrt(area.value / ratio.value * aspect), 1.0), 1.0)
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
    stats: ImageStats, policy: Policy | Terms, draws: Draws, first: Draws,
    crop: tuple[Array, dict[str, Entry], dict[str, Array]],
) -> Placed:  # fmt: skip
    """The crop moved to overlap view 0's; one that was not applied stays the whole frame."""
    box, entries, evidence = crop
    interval = first.policy.pair.overlap
    assert interval is not None
    reference, _, _ = _plan_crop(stats, first.policy, first)
    floors = None
    if "box_std_floor" in evidence:
        floors = (evidence["box_std_floor"], evidence["content_floor"])
    areas, uniform = policy["crop"].bounds("area"), draws.number("crop", 5)
    placed = place(stats, box, reference, areas, interval, uniform, floors)
    applied, met = entries["crop.area"].applied, placed.evidence
    return Placed(
        choose(applied, placed.box, box), torch.where(applied, placed.reason, -1),
        met | {"overlap": torch.where(applied, met["overlap"], met["drawn_overlap"])},
    )  # fmt: skip


def _towards_identity(entry: Entry, op: Op, parameter: str, step: Array | float) -> Array:
    """An amount moved towards its identity, in its logarithm where that is how it is drawn."""
    spec = op.parameters[parameter]
    if spec.log:
        return entry.value**step
    return spec.identity + (entry.value - spec.identity) * step


def _shrunk(entry: Entry, op: Op, parameter: str, shrink: Array) -> Entry:
    identity = op.parameters[parameter].identity
    reduced = entry.applied & (shrink < 1.0)
    value = torch.where(reduced, _towards_identity(entry, op, parameter, shrink), entry.value)
    low = torch.where(reduced, smaller(value, identity), entry.low)
    high = torch.where(reduced, larger(value, identity), entry.high)
    reason = torch.where(reduced, Reason.DISTORTION_REDUCED, entry.reason)
    return Entry(value, low, high, reason, entry.applied, entry.policy)


def _compose(
    stats: ImageStats,
    box: Array,
    geometry: list[Op],
    entries: dict[str, list[Entry]],
    policy: Policy | Terms,
    step: float,
) -> Array:
    """Box and distortions as one matrix from the view's [-1, 1] square to the source's [0, 1] frame.

    Distortions act in pixels of the source over r = half the crop's geometric mean side, so that a rotation
    is a rotation whatever the aspect of crop and source.
    """
    x, y, width, height = box.unbind(1)
    half_width, half_height = width * (stats.width / 2), height * (stats.height / 2)
    radius = torch.sqrt(half_width * half_height)
    total = matrices(
        [[half_width / radius, 0.0, 0.0], [0.0, half_height / radius, 0.0], [0.0, 0.0, 1.0]], radius
    )
    for op in geometry:
        free = op.switch or step == 1.0
        amounts = [
            entry.value
            if free
            else guarded(policy, op.name, _towards_identity(entry, op, parameter, step), entry.value)
            for parameter, entry in zip(op.parameters, entries[op.name], strict=True)
        ]
        total = product(matrix_of(op, *amounts), total)
    centre_x, centre_y = x + width / 2, y + height / 2
    place = matrices(
        [[radius / stats.width, 0.0, centre_x], [0.0, radius / stats.height, centre_y], [0.0, 0.0, 1.0]],
        radius,
    )
    return product(place, total)
