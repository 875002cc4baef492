"""ViewParams: everything that was decided for a view, as plain data.

Returned by `plan`, read by `render`, printed by `explain`; save it, diff it, apply it to another size.
Arrays have one row an image: NumPy for a single image, torch for a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from adaptaug.backend.arrays import Array, pick_rows
from adaptaug.errors import AdaptAugError, did_you_mean
from adaptaug.explanation import Explanation
from adaptaug.policy.ops import OPS
from adaptaug.promise.reasons import Reason

FORMAT = 2


class Entry(NamedTuple):
    """One number drawn for each view: what came out, the safe range it came from, and why that range."""

    value: Array
    low: Array
    high: Array
    reason: Array  # index into REASONS
    applied: Array
    policy: tuple[Any, ...]  # low, high: numbers, or (B,) where a policy's routes differ


def left_out(entry: Entry, absent: Array, identity: float, where: Callable[..., Array]) -> Entry:
    """An entry whose operation is not in the policies of some images, flagged in `absent` (B,): nothing was drawn."""
    value, low, high = (where(absent, identity, end) for end in (entry.value, entry.low, entry.high))
    first, last = (where(absent, identity, end + entry.low * 0.0) for end in entry.policy)
    reason = where(absent, int(Reason.ABSENT), entry.reason)
    return Entry(value, low, high, reason, entry.applied & ~absent, (first, last))


@dataclass(frozen=True)
class ViewParams:
    """The resolved parameters of one view of each image.

    `entries` maps "crop.area", "blur", ... to what was drawn. What rendering needs: `matrix` (B, 3, 3) from
    the view's [-1, 1] square to the source's [0, 1] frame; `span` (B,) the crop's shorter side as a share of the
    source's, which says by how much a larger source is averaged first; `lift` (B, 2) scale and offset of the safe
    crop; `colour` (B, 3, 4) the affine map of RGB in [0, 1]; the filters', tables' and late operations' numbers are
    in `entries`; `strength` (B,) what the certificate left of the view; `failed` (B,) which test it failed
    (reasons.TESTS); `frame` and `blank` (B,) flags. `evidence` holds the statistics that the reasons quote. The
    noise's seed is `noise_seed`. Of a policy with routes, `route` (B,) is the number of the one that each image took,
    and `routes` says of each its subject, its rule and its policy's name.

    >>> params = plan(image, "natural", key=(0, 0, 0), size=32)
    >>> render(image, params).shape
    (32, 32, 3)
    >>> ViewParams.from_dict(params.to_dict()).size
    32
    """

    size: int
    view: int
    keys: Array
    entries: dict[str, Entry]
    matrix: Array
    span: Array
    lift: Array
    colour: Array
    noise_seed: Array
    strength: Array
    failed: Array
    frame: Array
    blank: Array
    evidence: dict[str, Array] = field(default_factory=dict)
    guards: bool = True
    route: Array | None = None
    routes: tuple[dict[str, Any], ...] = ()

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def value(self, name: str) -> Array:
        """The drawn value of an entry, its identity where it was not applied."""
        return self.entries[name].value

    def safe_crop(self) -> ViewParams:
        """The same geometry with no filters and identity tone (but for the lift): the promise's reference."""
        return self.without(*[name for name, op in OPS.items() if op.kind != "geometry"])

    def without(self, *operations: str) -> ViewParams:
        """The same parameters with some operations at their identity.

        Tone and colour are one fused map: naming any of its operations removes all of them.
        """
        entries = dict(self.entries)
        fused = False
        for name, entry in self.entries.items():
            op = OPS[name.split(".")[0]]
            if op.name not in operations:
                continue
            if op.kind == "geometry":
                raise AdaptAugError(
                    f"without({op.name!r}): expected an operation after the warp; plan the crop anew."
                )
            fused |= op.kind in ("tone", "colour")
            identity = op.parameters[name.partition(".")[2] or "range"].identity
            entries[name] = entry._replace(
                value=entry.value * 0.0 + identity, applied=entry.applied & ~entry.applied
            )
        colour = self.colour
        if fused:
            colour = self.colour * 0.0
            for i in range(3):
                colour[:, i, i] = 1.0
        return replace(self, entries=entries, colour=colour)

    def move_boxes(self, boxes: Any, width: float, height: float, index: int = 0) -> np.ndarray:
        """Where boxes of one image lie in its view.

        Args:
            boxes: (N, 4) left, top, right, bottom in pixels of the image, which is width x height.
            index: the image's row.
        Returns: (N, 4) the same in pixels of the view: around the moved corners, cut to the view. A box outside it
        comes back empty, with right = left or bottom = top. What a view shows of beyond the image is mirrored, in
        masks as well; boxes do not see it.
        """
        left, top, right, bottom = np.asarray(boxes, np.float64).reshape(-1, 4).T
        place = np.stack([
            self.move_points(np.stack([x, y], 1), width, height, index)
            for x in (left, right) for y in (top, bottom)
        ])  # fmt: skip
        return np.concatenate([place.min(0), place.max(0)], 1).clip(0, self.size)

    def move_points(self, points: Any, width: float, height: float, index: int = 0) -> np.ndarray:
        """Where points of one image, (N, 2) in pixels of it, lie in its view; not within 0 ... size: cut off."""
        matrix = self.matrix[index]
        there = np.linalg.inv(
            np.asarray(matrix.cpu() if isinstance(matrix, torch.Tensor) else matrix, np.float64)
        )
        x, y = np.asarray(points, np.float64).reshape(-1, 2).T
        # The matrix takes a view's [-1, 1] to a source's [0, 1].
        points_of_view = there @ np.stack([x / width, y / height, x * 0 + 1])
        return ((points_of_view[:2] / points_of_view[2:] + 1) / 2 * self.size).T

    def row(self, index: int) -> ViewParams:
        """The parameters of one image, as NumPy (what `render` takes for a single image)."""

        def one(values: list[Array]) -> Array:
            row = values[0][index : index + 1]
            return np.asarray(row.cpu() if isinstance(row, torch.Tensor) else row)

        return _joined([self], one)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings (JSON); `from_dict` restores it to the bit."""

        def plain(value: Any) -> Any:
            if isinstance(value, Entry):
                return {"policy": plain(value.policy)} | {k: plain(getattr(value, k)) for k in _ENTRY_ARRAYS}
            if isinstance(value, dict):
                return {k: plain(v) for k, v in value.items()}
            if isinstance(value, (tuple, list)):
                return [plain(v) for v in value]
            return value.tolist() if isinstance(value, (np.ndarray, torch.Tensor)) else value

        return {"format": FORMAT} | {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ViewParams:
        """Restore what `to_dict` wrote, as NumPy arrays."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise AdaptAugError(f"ViewParams: expected a mapping with 'format: {FORMAT}', got {data!r:.60}.")
        data = {k: v for k, v in data.items() if k != "format"}
        for name in data["entries"]:  # what an engine does not know it would leave out without a word
            if name not in _LABELS:
                near = did_you_mean(name, _LABELS)
                raise AdaptAugError(
                    f"ViewParams: expected parameters of operations, got {name!r:.60}{near}; the version that planned "
                    "them renders them."
                )
        entries = {
            name: Entry(
                policy=tuple(np.asarray(end) if isinstance(end, list) else end for end in e["policy"]),
                **{k: np.asarray(e[k]) for k in _ENTRY_ARRAYS},
            )
            for name, e in data.pop("entries").items()
        }
        evidence = {k: np.asarray(v) for k, v in data.pop("evidence").items()}
        routes = tuple(data.pop("routes", ()))
        rest: dict[str, Any] = {k: v if k in _PLAIN or v is None else np.asarray(v) for k, v in data.items()}
        return cls(entries=entries, evidence=evidence, routes=routes, **rest)

    def explain(self, index: int = 0) -> Explanation:
        """Why one image's view looks as it does."""
        return Explanation(self.row(index))

    @classmethod
    def stack(cls, params: Sequence[ViewParams]) -> ViewParams:
        """Parameters of single images as those of their batch, in torch. All of one policy, size and view's number."""

        if len({(p.size, p.view, tuple(p.entries), repr(p.routes)) for p in params}) != 1:
            raise AdaptAugError(
                "stack: expected parameters of one policy, size and view; got different ones."
            )
        return _joined(params, lambda values: torch.cat([torch.as_tensor(v) for v in values]))

    @classmethod
    def choose(cls, made: Sequence[ViewParams], which: torch.Tensor) -> ViewParams:
        """Row i of `made[which[i]]`: one of several plans for each image of a batch, in torch."""
        return _joined(made, lambda values: pick_rows(values, which))

    def to(self, device: Any) -> ViewParams:
        """The same parameters as torch tensors on a device."""
        return _joined([self], lambda values: torch.as_tensor(values[0], device=device))


def _joined(parts: Sequence[ViewParams], join: Callable[[list[Array]], Array]) -> ViewParams:
    """Several ViewParams of one kind as one: `join` makes of each array's versions the one that stays."""
    arrays = {name: _joined_field([getattr(p, name) for p in parts], join) for name in _ARRAYS}
    return replace(parts[0], **arrays)


def _joined_field(parts: Sequence[Any], join: Callable[[list[Array]], Array]) -> Any:
    first = parts[0]
    if isinstance(first, Entry):
        arrays = {name: join([getattr(p, name) for p in parts]) for name in _ENTRY_ARRAYS}
        ends = zip(*(part.policy for part in parts), strict=True)
        policy = tuple(end[0] if isinstance(end[0], (int, float)) else join(list(end)) for end in ends)
        return first._replace(**arrays, policy=policy)
    if isinstance(first, dict):  # evidence may be there for some only
        return {k: _joined_field([p[k] for p in parts], join) for k in first if all(k in p for p in parts)}
    return None if first is None else join(list(parts))


_LABELS = {label for op in OPS.values() for label in op.labels}
_PLAIN = ("size", "view", "guards", "routes")
_ARRAYS = tuple(f.name for f in fields(ViewParams) if f.name not in _PLAIN)
_ENTRY_ARRAYS = ("value", "low", "high", "reason", "applied")
