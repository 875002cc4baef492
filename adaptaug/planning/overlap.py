"""Round one, for every view but the first: a crop placed so that it overlaps the first view's as asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from adaptaug.backend.arrays import Array, arange, clamp, constant, larger, pick, smaller
from adaptaug.params import Entry
from adaptaug.promise.boxes import judge_boxes
from adaptaug.promise.reasons import Reason
from adaptaug.stats.image import ImageStats

STEPS = 16  # places looked at on each leg of the way, and again around the best of them
_RESIZED = 1.0 / STEPS  # a change of size must come that much nearer to be preferred to a mere move
_OUTSIDE, _POOR = 10.0, 100.0  # costs that no distance makes up for


@dataclass(frozen=True)
class Placed:
    """Boxes (B, 4); reasons (B,), indices into REASONS, -1 where the box stayed; what the reasons quote."""

    box: Array
    reason: Array
    evidence: dict[str, Array]


def intersection_over_union(boxes: Array, reference: Array) -> Array:
    """(B, K) area that (B, K, 4) boxes x0, y0, w, h share with (B, 4) ones, over the area that both cover."""
    sides = []
    for axis in (0, 1):
        start, length = reference[:, axis, None], reference[:, axis + 2, None]
        end = smaller(boxes[..., axis] + boxes[..., axis + 2], start + length)
        sides.append(larger(end - larger(boxes[..., axis], start), 0.0))
    common = sides[0] * sides[1]
    return common / (boxes[..., 2] * boxes[..., 3] + (reference[:, 2] * reference[:, 3])[:, None] - common)


@dataclass(frozen=True)
class _Wanted:
    """What a place is judged by: the interval, a target in it, and what a crop must hold (None: anything)."""

    stats: ImageStats
    box: Array  # as drawn, and enlarged by the crop's own guard
    reference: Array
    interval: tuple[float, float]
    target: Array
    floors: tuple[Array, Array] | None  # least std and share of the detail, (B,) each

    def cost(self, places: Array, resized: Array) -> tuple[Array, Array]:
        """Overlap and cost, (B, K) each, of (B, K, 4) boxes: the distance from the target, and what excludes."""
        low, high = self.interval
        overlap = intersection_over_union(places, self.reference)
        cost = torch.abs(overlap - self.target[:, None]) + _RESIZED * resized
        cost = cost + _OUTSIDE * ((overlap < low) | (overlap > high))
        if self.floors is None:
            return overlap, cost
        std, content = judge_boxes(self.stats, places)
        poor = (std < self.floors[0][:, None]) | (content < self.floors[1][:, None])
        # Where the box is already the crop's own guard has had its say: it is the best that was found.
        return overlap, cost + _POOR * (poor & (places != self.box[:, None, :]).any(-1))


def place(
    stats: ImageStats, box: Array, reference: Array, areas: tuple[Any, Any],
    interval: tuple[float, float], uniform: Array, floors: tuple[Array, Array] | None,
) -> Placed:  # fmt: skip
    """Move a box, and resize it where moving is not enough, until its overlap lies in the interval.

    A box that overlaps as asked stays. For any other a target is drawn in the interval, and a fixed number
    of places is looked at on the way from the box to where it overlaps most (or least): first it is moved,
    then resized. Of those that hold enough, the one whose overlap is nearest to the target is taken.

    Args:
        box, reference: (B, 4) x0, y0, w, h in [0, 1]; areas: the crop's range; interval: of the overlap;
        uniform: (B,) for the target; floors: least std and content of a guarded crop.
    """
    low, high = interval
    ratio = intersection_over_union(box[:, None, :], reference)[:, 0]
    stays = (ratio >= low) & (ratio <= high)
    evidence = {
        "drawn_overlap": ratio,
        "overlap_low": constant(low, ratio),
        "overlap_high": constant(high, ratio),
    }
    wanted = _Wanted(stats, box, reference, interval, low + uniform * (high - low), floors)
    placed, leg, reachable = _search(wanted, _way(box, reference, areas, ratio < low))
    placed = torch.where(stays[:, None], box, placed)
    final = intersection_over_union(placed[:, None, :], reference)[:, 0]
    missed = torch.where(reachable, Reason.CONTENT_WON, Reason.OVERLAP_OUT_OF_REACH)
    moved = torch.where(leg == 0, Reason.OVERLAP_MOVED, Reason.OVERLAP_RESIZED)
    reason = torch.where(stays, -1, torch.where((final >= low) & (final <= high), moved, missed))
    return Placed(placed, reason, evidence | {"overlap": final})


def _way(box: Array, reference: Array, areas: tuple[Any, Any], closer: Array) -> list[Array]:
    """Four (B, 4) boxes: where it is; moved as far as may help; and resized there, one way and the other.

    Closer: to the reference's centre, then to its shape and, within the range of area, its size. Away: to the
    corner where it overlaps least, then smaller or larger in that corner.
    """
    area, own = reference[:, 2] * reference[:, 3], box[:, 2] * box[:, 3]
    # A box that its guard enlarged, or that the frame cut, may lie outside the policy's range already.
    least, most = smaller(own, areas[0]), larger(own, areas[1])
    like = torch.sqrt(clamp(area, least, most) / area)
    scales = [box[:, 0] * 0.0 + 1.0, torch.sqrt(least / own), torch.sqrt(most / own)]
    nodes: list[list[tuple[Array, Array]]] = [[] for _ in range(5)]
    near, alike, far, small, large = nodes
    for axis in (0, 1):
        start, length, first = reference[:, axis], reference[:, axis + 2], box[:, axis]
        size, middle = box[:, axis + 2], reference[:, axis] + reference[:, axis + 2] / 2
        near.append((clamp(middle - size / 2, 0.0, 1.0 - size), size))
        size_alike = smaller(length * like, 1.0)
        alike.append((clamp(middle - size_alike / 2, 0.0, 1.0 - size_alike), size_alike))
        at_start = larger(size - start, 0.0)  # the length shared at either end, of those that share least
        at_end = larger(start + length - (1.0 - size), 0.0)
        at_start, at_end = smaller(at_start, length), smaller(at_end, length)
        forward = (at_end < at_start) | ((at_end == at_start) & (first + size / 2 >= middle))
        for scale, out in zip(scales, (far, small, large), strict=True):
            scaled = smaller(size * scale, 1.0)
            out.append((torch.where(forward, 1.0 - scaled, 0.0), scaled))
    boxes = [torch.stack([x for x, _ in part] + [w for _, w in part], -1) for part in nodes]
    to, shaped, corner, less, more = boxes
    pairs = [(to, corner), (shaped, less), (shaped, more)]
    return [box, *(torch.where(closer[:, None], a, b) for a, b in pairs)]


def _between(a: Array, b: Array, step: Array) -> Array:
    """(B, K, 4) boxes on the way from (B, 4) a to b: places in equal steps, sizes in equal ratios.

    Area and shape stay between the two ends', and no box leaves the frame. Step 0 is a to the bit.
    """
    places = [a[:, i, None] + step * (b[:, i] - a[:, i])[:, None] for i in (0, 1)]
    sizes = [a[:, i, None] * (b[:, i] / a[:, i])[:, None] ** step for i in (2, 3)]
    return torch.stack(places + sizes, -1)


def _search(wanted: _Wanted, nodes: list[Array]) -> tuple[Array, Array, Array]:
    """The best box on three legs, move, then resize one way or the other: box, leg (B,), whether any would do."""
    low, high = wanted.interval
    count = STEPS + 1
    number = arange(count, nodes[0])
    legs = ((nodes[0], nodes[1]), (nodes[1], nodes[2]), (nodes[1], nodes[3]))
    resized = (torch.arange(3 * count, device=nodes[0].device) >= count).double()[None, :]

    def look(steps: list[Array]) -> tuple[Array, Array, Array]:
        boxes = torch.stack([_between(*leg, step) for leg, step in zip(legs, steps, strict=True)], 1)
        boxes = boxes.reshape(-1, 3 * count, 4)
        return boxes, *wanted.cost(boxes, resized)

    _, coarse, cost = look([(number / STEPS)[None, :]] * 3)
    cost = cost.reshape(-1, 3, count)
    best = [torch.argmin(cost[:, leg], 1).double()[:, None] for leg in range(3)]
    # Again around the best of each leg, in steps eight times finer; the best itself is among them.
    offset = (number * 2.0 / STEPS - 1.0)[None, :]
    boxes, fine, cost = look([clamp((middle + offset) / STEPS, 0.0, 1.0) for middle in best])
    chosen = torch.argmin(cost, 1)
    reachable = [((overlap >= low) & (overlap <= high)).any(-1) for overlap in (coarse, fine)]
    box = torch.stack([pick(boxes[..., i], chosen) for i in range(4)], -1)
    return box, chosen // count, reachable[0] | reachable[1]


def placed_entries(placed: Placed, entries: dict[str, Entry], stats: ImageStats) -> dict[str, Entry]:
    """The crop's entries after it was placed: the numbers that the box really has, and why."""
    width, height = placed.box[:, 2], placed.box[:, 3]
    moved = placed.reason >= 0
    values = {"crop.area": width * height, "crop.ratio": width / height * (stats.width / stats.height)}
    out = {}
    for name, value in values.items():
        entry = entries[name]
        # A mere move leaves the numbers as they were, and the area its own reason if it was enlarged.
        resized = moved & (placed.reason != Reason.OVERLAP_MOVED)
        kept = ~moved | ((entry.reason == Reason.BOX_ENLARGED) & ~resized & (name == "crop.area"))
        value = torch.where(resized, value, entry.value)
        reason = torch.where(kept, entry.reason, placed.reason)
        out[name] = entry._replace(
            value=value, reason=reason,
            low=torch.where(resized, smaller(entry.low, value), entry.low),
            high=torch.where(resized, larger(entry.high, value), entry.high),
        )  # fmt: skip
    return entries | out
