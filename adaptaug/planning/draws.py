"""The numbers of a view, handed out by operation, and the entries made of them."""

from __future__ import annotations

import math

import torch

from adaptaug.backend import keys
from adaptaug.backend.arrays import Array, choose, clamp, constant, larger
from adaptaug.params import Entry
from adaptaug.policy import Policy
from adaptaug.policy.conditional import REACH, Moves
from adaptaug.policy.ops import OPS, SLOTS_PER_OP, Op, slot_count
from adaptaug.policy.terms import Terms
from adaptaug.promise.reasons import Reason
from adaptaug.stats.image import ImageStats

_FIRST_SLOT = {op.name: op.slot * SLOTS_PER_OP for op in OPS.values()}


class Draws:
    """The uniforms of one view of each image, handed out by operation.

    An operation's first number decides whether it is applied; operations with the same `together` in the
    policy share that of the first of them; those in `pair.share` get view 0's numbers in every view. The
    policy's `conditional` weights move probabilities and fractions by the images' statistics, and `push` (B,) moves
    those of all operations with a range, but of locked ones, by one number an image: above 0 stronger, below 0 weaker.
    A push by operation (`Moves`) is somebody's who learns from it: what it met is kept for the evidence.
    """

    def __init__(
        self, policy: Policy | Terms, rows: Array, view: int, stats: ImageStats | None,
        push: Array | Moves | None = None,
    ):  # fmt: skip
        self.policy, self._shared = policy, policy.pair.share
        self._own = keys.uniforms(rows, view, slot_count())
        self._first = keys.uniforms(rows, 0, slot_count()) if self._shared and view else self._own
        self._entries, self._leading = policy.operations, policy.leading
        self._odds: dict[str, Array] = {}  # factor on the odds p / (1 - p): exp(w . s)
        self._power: dict[str, Array] = {}  # of the fraction's way from the identity: exp(-w . s)
        self._still: dict[str, Array] = {}  # images whose policy locks an operation that others' pushes move
        if policy.conditional.operations and stats is not None:
            self._condition(stats)
        self._met: dict[str, Array] | None = None
        if isinstance(push, Moves):
            self._move(push)
        elif push is not None:
            self._push(push)

    def _condition(self, stats: ImageStats) -> None:
        """exp(w . s) of every operation with weights; those of 0 are left out: they cost nothing, change no bit."""
        unusual: dict[str, Array] = {}
        for name, weights in self.policy.conditional.operations.items():
            for factors_of, sign, out in (
                (weights.p, 1.0, self._odds),
                (weights.strength, -1.0, self._power),
            ):
                total = None
                for statistic, weight in factors_of.items():
                    if weight == 0.0:
                        continue
                    if statistic not in unusual:
                        mean, deviation = self.policy.conditional.statistics[statistic]
                        unusual[statistic] = clamp(
                            (getattr(stats, statistic) - mean) / deviation, -REACH, REACH
                        )
                    term = sign * weight * unusual[statistic]
                    total = term if total is None else total + term
                if total is not None:
                    out[name] = torch.exp(total)

    def _push(self, push: Array) -> None:
        odds, power = torch.exp(push), torch.exp(-push)
        for name, entry in self.policy.operations.items():
            if entry.lock is True or (isinstance(entry.p, float) and entry.p == 0.0):
                continue
            if entry.lock is not False:
                self._still[name] = entry.lock
            # Two views differ most where half of them are flipped: no push takes a switch's p further than that.
            most = (1.0 - entry.p) / entry.p
            most = max(most, 1.0) if isinstance(most, float) else larger(most, 1.0)
            own = clamp(odds, 0.0, most) if OPS[name].switch else odds
            for factors, factor in ((self._odds, own), (self._power, power)):
                factors[name] = factors[name] * factor if name in factors else factor

    def _move(self, moves: Moves) -> None:
        self._met = dict(moves.evidence)
        for moves_of, sign, factors in ((moves.p, 1.0, self._odds), (moves.strength, -1.0, self._power)):
            for name, added in moves_of.items():
                factor = torch.exp(sign * added)
                factors[name] = factors[name] * factor if name in factors else factor

    def number(self, name: str, index: int) -> Array:
        """(B,) uniforms: the `index`-th number of an operation."""
        source = self._first if name in self._shared else self._own
        return source[:, _FIRST_SLOT[name] + index]

    def probability(self, name: str) -> Array | float:
        """(B,) p of an operation for each image: sigmoid(logit(p) + w . s); the policy's own p without weights."""
        p, odds = self._entries[name].p, self._odds.get(self._leading[name])
        if odds is None:
            return p
        moved, still = p * odds / (1.0 - p + p * odds), self._still.get(self._leading[name])
        return moved if still is None else torch.where(still, p, moved)

    def applied(self, name: str) -> Array:
        """(B,) whether the probability lets an operation act."""
        return self.number(self._leading[name], 0) < self.probability(name)

    def fraction(self, name: str, index: int) -> Array:
        """(B,) position in the safe range, in [0, 1], by the policy's distribution alone."""
        number, (a, b) = self.number(name, index), self._entries[name].shape
        if isinstance(a, float) and isinstance(b, float):
            return keys.kumaraswamy(number, a, b)
        a, b = full(a, number), full(b, number)
        curved = (1.0 - (1.0 - number) ** (1.0 / b)) ** (1.0 / a)  # as keys.kumaraswamy
        return torch.where((a == 1.0) & (b == 1.0), number, curved)

    def power(self, name: str) -> Array | None:
        """(B,) exponent of `further` for an operation's amounts; None where no weight moves its strength."""
        return self._power.get(name)

    def evidence(self) -> dict[str, Array]:
        """What the weights did, by operation, for `explain`: the p before and after, the exponent."""
        evidence: dict[str, Array] = {}
        for name, entry in self.policy.operations.items():
            odds = self._odds.get(self._leading[name])
            if odds is not None:
                evidence[f"p.{name}"] = full(entry.p, odds)
                evidence[f"conditional_p.{name}"] = self.probability(name)
            if name in self._power:
                evidence[f"power.{name}"] = self._power[name]
            if self._met is not None:
                evidence[f"gate.{name}"] = self.applied(name)
        return evidence | (self._met or {})

    def within(
        self, name: str, index: int, low: Array, high: Array, identity: Array | float, log: bool = False
    ) -> Array:
        """(B,) position in the safe range [low, high], by the policy's distribution and the weights of strength."""
        fraction = self.fraction(name, index)
        if self.power(name) is None:
            return fraction
        return self.moved(name, index, fraction, position(identity, low, high, log))

    def moved(self, name: str, index: int, fraction: Array, start: Array) -> Array:
        """(B,) fractions, `start` being the identity's, after the weights of strength, of which there are some."""
        if self._met is not None:
            self._met |= {f"fraction.{name}.{index}": fraction, f"start.{name}.{index}": start}
        moved = further(fraction, self._power[name], start)
        return torch.where(self._still[name], fraction, moved) if name in self._still else moved


def position(value: Array | float, low: Array, high: Array, log: bool = False) -> Array:
    """(B,) where a value lies in [low, high], as a fraction; the nearer end where it lies outside."""
    if log:
        low, high = torch.log(low), torch.log(high)
        value = math.log(value) if isinstance(value, (int, float)) else torch.log(value)
    return clamp((value - low) / larger(high - low, 1e-12), 0.0, 1.0)


def further(fraction: Array, power: Array, start: Array) -> Array:
    """Fractions moved away from `start`, the identity's, for a power below 1, and towards it for one above.

    With d in [0, 1] the share of the way from `start` to the end on the fraction's own side: d -> d ** power.
    """
    way = torch.where(fraction >= start, 1.0 - start, -start)
    share = clamp((fraction - start) / torch.where(way == 0.0, 1.0, way), 0.0, 1.0)
    return start + way * share**power


def between(low: Array, high: Array, fraction: Array, log: bool = False) -> Array:
    if not log:
        return low + fraction * (high - low)
    return torch.exp(torch.log(low) + fraction * (torch.log(high) - torch.log(low)))


def full(value: Array | float, like: Array) -> Array:
    """(B,) of a number, or of what differs between images already."""
    return value if isinstance(value, torch.Tensor) else constant(value, like)


def draw(
    policy: Policy | Terms, draws: Draws, op: Op, parameter: str, index: int, applied: Array,
    origin: Array | float | None = None,
) -> Entry:  # fmt: skip
    """A number from the policy's whole range; `origin`: what leaves the image alone, if not the identity."""
    spec = op.parameters[parameter]
    bounds = policy.operations[op.name].bounds(parameter)
    low, high = full(bounds[0], applied), full(bounds[1], applied)
    if spec.place:  # neither strong nor weak
        fraction = draws.fraction(op.name, index)
    else:
        fraction = draws.within(
            op.name, index, low, high, spec.identity if origin is None else origin, spec.log
        )
    value = torch.where(applied, between(low, high, fraction, spec.log), spec.identity)
    reason = torch.where(applied, unrestricted(policy, op), Reason.NOT_DRAWN)
    return Entry(value, low, high, reason, applied, bounds)


def drawn_back(entry: Entry, strength: Array, start: Array | float, reason: Array | int) -> Entry:
    """An entry of which only a share was done, for a reason: the value that the view really has."""
    weaker = entry.applied & (strength < 1.0)
    value = torch.where(weaker, start + strength * (entry.value - start), entry.value)
    return entry._replace(value=value, reason=torch.where(weaker, reason, entry.reason))


def unrestricted(policy: Policy | Terms, op: Op) -> Array | int:
    guard = policy.operations[op.name].guard if policy.guards else False
    if isinstance(guard, torch.Tensor):
        return torch.where(guard, Reason.WHOLE_RANGE, Reason.UNGUARDED)
    return Reason.WHOLE_RANGE if guard else Reason.UNGUARDED


def guarded(policy: Policy | Terms, name: str, one: Array, other: Array) -> Array:
    """`one` where an operation of the policy is guarded, else `other`; (B, ...) each."""
    guard = policy[name].guard
    if isinstance(guard, torch.Tensor):
        return choose(guard, one, other)
    return one if guard else other


def guarded_entry(policy: Policy | Terms, name: str, one: Entry, other: Entry) -> Entry:
    """The same of entries."""
    arrays = [part for part in Entry._fields if part != "policy"]
    return one._replace(**{p: guarded(policy, name, getattr(one, p), getattr(other, p)) for p in arrays})


def label(op: Op, parameter: str) -> str:
    return op.name if op.single else f"{op.name}.{parameter}"
