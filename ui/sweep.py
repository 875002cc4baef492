"""One operation alone on one image: what its strengths look like, which the guards leave as they are, which break the
promise.

The whole frame is taken with nothing but the operation, at strengths spread evenly over what its slider covers: once as
a policy without guards draws it, which is shown and judged, and once with guards, which say what they would make of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

import cv2
import numpy as np

import adaptaug
from adaptaug import Policy
from adaptaug.planning.draws import label
from adaptaug.policy.ops import OPS, Op, Parameter
from adaptaug.policy.schema import Promise
from adaptaug.ui import likeness, logic
from adaptaug.ui.logic import Source, View

STEPS, SHOWN = 21, 5
LONGEST = 512  # px of the image that is swept: its statistics are the same to the eye
KEPT = 40  # sweeps of an image that are not made again
_BESIDE = {"erase.ratio": {"area": (0.15, 0.15)}}  # where the others at rest would leave nothing to see
KINDS = ("kept", "back", "broken")  # as asked; the guards draw it back; it breaks the promise


@dataclass(frozen=True)
class Strip:
    """The strengths of one parameter: `values[i]` gave `views[i]`, what became of it is `kinds[i]`."""

    parameter: str
    values: tuple[float, ...]
    views: tuple[View, ...]
    kinds: tuple[str, ...]

    @property
    def shown(self) -> range:
        """Of the values, those to picture."""
        return range(0, len(self.values), max(1, (len(self.values) - 1) // (SHOWN - 1)))

    def runs(self, *kinds: str) -> list[tuple[int, int]]:
        """First and last index of each stretch of such values."""
        out, start = [], 0
        for inside, group in groupby(self.kinds, key=lambda kind: kind in kinds):
            count = len(list(group))
            if inside:
                out.append((start, start + count - 1))
            start += count
        return out


def parameters(op: Op) -> dict[str, Parameter]:
    """Those that have a slider."""
    return {name: part for name, part in op.parameters.items() if part.default is None or op.switch}


def values(op: Op, name: str) -> list[float]:
    """Evenly over the slider; for a switch off and on."""
    part = op.parameters[name]
    if op.switch:
        return [part.identity, part.high]
    if part.log:
        return [math.exp(v) for v in np.linspace(math.log(part.low), math.log(part.high), STEPS)]
    return [float(v) for v in np.linspace(part.low, part.high, STEPS)]


def alone(
    op: Op, name: str, value: float, promise: Promise, guards: bool = False, aspect: float = 1.0
) -> Policy:
    """The operation with one number at a value, its others at rest or, where there is no rest, half-way; a crop has the
    shape of the image, `aspect` its width over height."""
    if op.switch:
        operations = {op.name: {"p": 1.0}} if value == op.parameters[name].high else {}
    else:
        entry: dict[str, object] = {"p": 1.0}
        for other, part in parameters(op).items():
            at = (
                min(max(aspect, part.low), part.high)
                if (op.name, other) == ("crop", "ratio")
                else part.identity
            )
            if not part.low <= at <= part.high:
                at = sum(op.start[other]) / 2
            entry[other] = (at, at)
        operations = {op.name: entry | _BESIDE.get(f"{op.name}.{name}", {}) | {name: (value, value)}}
    return Policy(name=op.name, guards=guards, promise=promise, operations=operations)


@likeness.one_thread()
def sweep(source: Source, op: Op, size: int, promise: Promise) -> list[Strip]:
    """A strip a parameter."""
    small = reduced(source)
    strips = []
    for name in parameters(op):
        found = [_look(small, op, name, value, size, promise) for value in values(op, name)]
        views, kinds = zip(*found, strict=True)
        strips.append(Strip(name, tuple(values(op, name)), views, kinds))
    return strips


def _look(source: Source, op: Op, name: str, value: float, size: int, promise: Promise) -> tuple[View, str]:
    height, width = source.pixels.shape[:2]
    manual, guarded = (alone(op, name, value, promise, guards, width / height) for guards in (False, True))
    view = logic.make_pairs(source, manual, 0, 1, size).pairs[0][0]
    if view.failures:
        return view, "broken"
    params = adaptaug.AdaptiveAugment(guarded, size).plan(source.pixels, (0, 0, 0))
    entry = params.entries.get(label(op, name))
    rest = op.parameters[name].identity
    drawn = float(entry.value[0]) if entry is not None and bool(entry.applied[0]) else rest
    close = 0.01 * (op.parameters[name].high - op.parameters[name].low)
    untouched = float(params.strength[0]) == 1 and not bool(params.frame[0])
    return view, "kept" if untouched and abs(drawn - value) <= close else "back"


def reduced(source: Source) -> Source:
    """At most `LONGEST` px of it."""
    height, width = source.pixels.shape[:2]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return source
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return logic.as_source(source.name, cv2.resize(source.pixels, size, interpolation=cv2.INTER_AREA))


class Sweeps:
    """Those of one image, made when they are asked for."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int, str], list[Strip]] = {}
        self._of: Source | None = None

    def of(self, source: Source, name: str, size: int, promise: Promise) -> list[Strip]:
        if source is not self._of:
            self._made, self._of = {}, source
        key = (name, size, promise.model_dump_json())
        if key not in self._made:
            if len(self._made) >= KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[key] = sweep(source, OPS[name], size, promise)
        return self._made[key]

    def views(self) -> list[View]:
        """All that are kept."""
        return [view for strips in self._made.values() for strip in strips for view in strip.views]

    def clear(self) -> None:
        self._made, self._of = {}, None
