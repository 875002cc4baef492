"""The numbers of a view, handed out by operation, and the entries made of them."""

from __future__ import annotations

from adaptaug import guard, keys
from adaptaug.arrays import Array, constant, integer, namespace
from adaptaug.ops import OPS, SLOTS_PER_OP, Op, slot_count
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


def between(low: Array, high: Array, fraction: Array, log: bool = False) -> Array:
    if not log:
        return low + fraction * (high - low)
    xp = namespace(fraction)
    return xp.exp(xp.log(low) + fraction * (xp.log(high) - xp.log(low)))


def full(value: float, like: Array) -> Array:
    return constant(float(value), like)


def _codes(code: Array | int, like: Array) -> Array:
    return integer(constant(float(code), like)) if isinstance(code, int) else integer(code)


def draw(policy: Policy, draws: Draws, op: Op, parameter: str, index: int, applied: Array) -> Entry:
    """A number from the policy's whole range."""
    spec = op.parameters[parameter]
    xp = namespace(applied)
    bounds = policy[op.name].bounds(parameter)
    like = draws.number(op.name, index)
    low, high = full(bounds[0], like), full(bounds[1], like)
    value = between(low, high, draws.fraction(op.name, index), spec.log)
    value = xp.where(applied, value, spec.identity)
    reason = xp.where(applied, float(_unrestricted(policy, op)), float(guard.NOT_DRAWN))
    return Entry(value, low, high, integer(reason), applied, bounds)


def _unrestricted(policy: Policy, op: Op) -> int:
    return guard.WHOLE_RANGE if policy.guards and policy[op.name].guard else guard.UNGUARDED


def label(op: Op, parameter: str) -> str:
    return op.name if op.single else f"{op.name}.{parameter}"


def product(a: Array, b: Array) -> Array:
    """(B, 3, 3) products, term by term: the same bits for any batch size, which a library's matmul is not."""
    return a[:, :, :1] * b[:, :1, :] + a[:, :, 1:2] * b[:, 1:2, :] + a[:, :, 2:] * b[:, 2:, :]
