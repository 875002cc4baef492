"""What a policy says of each image of a batch: itself, or, where it has routes, the policies that the images take.

Planning reads `Terms` as it reads a Policy. A number that is the same in all routes stays a number; one that differs is
gathered by the images' routes, all of them in one step: (B,) tensors, or arrays in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from adaptaug.backend.arrays import Array
from adaptaug.policy.model import Policy
from adaptaug.policy.ops import OPS, Op
from adaptaug.policy.schema import Promise


def terms_of(policy: Policy, view: int, route: Array | None) -> Policy | Terms:
    """What holds for a view of images that take the routes `route` (B,)."""
    if not policy.routes:
        return policy.for_view(view)
    key = view > 0, str(route.device) if isinstance(route, torch.Tensor) else "numpy"
    layouts = policy.__dict__.setdefault("_layouts", {})
    if key not in layouts:
        layouts[key] = _Layout([choice.for_view(view) for choice in policy.choices], route)
    return Terms(layouts[key], route)


def absent(terms: Policy | Terms, name: str) -> Array | None:
    """(B,) which images' policies are without an operation; None where all have it."""
    return None if isinstance(terms, Policy) else terms.operations[name].absent


@dataclass(frozen=True)
class _Column:
    """A number that differs between routes: its place among those that do."""

    index: int
    flag: bool


class _Layout:
    """The operations of any route, by number or by column, and the (routes, columns) table."""

    def __init__(self, policies: Sequence[Policy], like: Array):
        self.first = policies[0]
        self.leading = {name: leader for policy in policies for name, leader in policy.leading.items()}
        self._columns: list[list[float]] = []
        self.promise = {
            name: self._number([getattr(policy.promise, name) for policy in policies])
            for name in Promise.model_fields
        }
        self.operations = {
            op.name: self._entry(op, policies) for op in OPS.values() if any(op.name in p for p in policies)
        }
        rows = np.array(self._columns, np.float64).reshape(-1, len(policies)).T
        self.table = torch.from_numpy(rows.copy()).to(like.device) if isinstance(like, torch.Tensor) else rows

    def _number(self, values: list[Any]) -> Any:
        if all(value == values[0] for value in values):
            return values[0]
        self._columns.append([float(value) for value in values])
        return _Column(len(self._columns) - 1, isinstance(values[0], bool))

    def _entry(self, op: Op, policies: Sequence[Policy]) -> dict[str, Any]:
        """Where a policy has no such operation its p is 0, and the rest somebody else's: nothing comes of it."""
        present = [op.name in policy for policy in policies]
        other = next(policy for policy in policies if op.name in policy)[op.name]
        entries = [
            policy[op.name] if has else other.model_copy(update={"p": 0.0})
            for policy, has in zip(policies, present, strict=True)
        ]
        numbers = {
            name: self._number([getattr(entry, name) for entry in entries])
            for name in ("p", "guard", "lock", *op.settings)
        }
        pairs = {
            name: tuple(self._number([getattr(entry, name)[end] for entry in entries]) for end in (0, 1))
            for name in ("shape", *op.parameters)
        }
        missing = None if all(present) else self._number([not has for has in present])
        return {**numbers, **pairs, "absent": missing}


class _Entry(SimpleNamespace):
    """An operation's entry, as a Policy's."""

    def bounds(self, parameter: str) -> Any:
        return getattr(self, parameter)


class Terms:
    """The policies of a batch's images, read as one."""

    def __init__(self, layout: _Layout, route: Array):
        picked = layout.table[route]
        columns = picked.unbind(1) if isinstance(picked, torch.Tensor) else picked.T

        def resolved(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(resolved(end) for end in value)
            if not isinstance(value, _Column):
                return value
            return columns[value.index] != 0 if value.flag else columns[value.index]

        first = layout.first
        self.guards, self.pair, self.band, self.conditional = (
            first.guards, first.pair, first.band, first.conditional,
        )  # fmt: skip
        self.leading = layout.leading
        self.promise = SimpleNamespace(**{name: resolved(value) for name, value in layout.promise.items()})
        self.operations = {
            name: _Entry(**{field: resolved(value) for field, value in entry.items()})
            for name, entry in layout.operations.items()
        }

    def of_kind(self, *kinds: str) -> list[Op]:
        """The operations of any of the policies of some kinds, in the table's order."""
        return [OPS[name] for kind in kinds for name in self.operations if OPS[name].kind == kind]

    def __getitem__(self, operation: str) -> Any:
        return self.operations[operation]

    def __contains__(self, operation: str) -> bool:
        return operation in self.operations
