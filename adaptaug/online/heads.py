"""Learn a policy's conditional weights while a network learns, by the embeddings that its step computes anyway.

    heads = ConditionalHeads("natural", steps=1000)  # of the whole training
    views, params = make(images, key=key, strength=heads.strength)  # make = Views("natural", return_params=True)
    first, second = (model(view) for view in views)
    loss(first, second).backward()
    told = heads.observe(first, second, params)  # numbers for the log
    heads.policy.save("learned.yaml")  # at the end: what `plan` applies everywhere

A policy gradient. An image's views were worth r = [pair inside the band] * (1 + hardness * h), h in [0, 1] the way from
the band's ceiling to its floor. Weights move along (r - baseline) * d log likelihood / dw less `prior` times the
gradient of the KL divergence from the policy as it came, over their Fisher information; the baseline is linear in the
statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from adaptaug.errors import AdaptAugError
from adaptaug.online.band import BandWatch
from adaptaug.online.likelihood import acts, amounts, score_of_p, score_of_strength
from adaptaug.params import ViewParams
from adaptaug.policy import Policy
from adaptaug.policy.conditional import REACH, STATISTICS, Moves, leaders
from adaptaug.stats.image import ImageStats
from adaptaug.views import as_policy

USED = ("mean", "contrast", "dark_fraction", "bright_fraction", "chroma", "sharpness")
_BASELINE_RATE = 0.05
_FLAT = 1e-4  # a statistic that varies by less is constant


class ConditionalHeads(BandWatch):
    """A weight for each operation and statistic, on its p and on its strength; all of them in `state_dict`.

    Args:
        policy: what to start from and be held to, without conditional weights and without a band of its own; locked
            operations are left alone.
        steps: how often `observe` will be called in the whole training. The first `warm_up` of them (None: a tenth)
            only watch, and find the statistics' means and deviations; the last fifth is frozen.
        band, outside: as BandController's.
        statistics: which of `conditional.STATISTICS` to use.
        hardness: what the hardest pair inside the band is worth beyond the easiest. prior: of the KL divergence.
        floor: a p whose entropy, over the images, falls below this share of the policy's own is pushed back.
        rate, step, limit: of a weight: its rate, the most it moves in a step, its largest size.
        least: weights smaller than this are not written.

    Nothing waits for the device but `policy`.
    Raises: AdaptAugError: a policy that cannot be learned on, a statistic that is none.
    """

    free: torch.Tensor
    weights: torch.Tensor
    sums: torch.Tensor
    baseline: torch.Tensor

    def __init__(
        self, policy: Policy | str | dict[str, Any], steps: int, band: tuple[float | None, float | None] | None = None,
        outside: float = 0.1, warm_up: int | None = None, statistics: Sequence[str] = USED, hardness: float = 0.5,
        prior: float = 0.1, floor: float = 0.5, rate: float = 0.05, step: float = 0.02, limit: float = 1.0,
        least: float = 0.1,
    ):  # fmt: skip
        super().__init__(band, outside, max(1, steps // 10 if warm_up is None else warm_up))
        self.start = as_policy(policy)
        _check(self.start, statistics)
        self.statistics, self.frozen = tuple(statistics), steps - steps // 5
        self.hardness, self.prior, self.floor = hardness, prior, floor
        self.rate, self.step, self.limit, self.least = rate, step, limit, least
        self.gates, self.amounts = _open(self.start)
        self.names = [name for name in self.start.operations if name in self.gates or name in self.amounts]
        free = [[name in group for name in self.names] for group in (self.gates, self.amounts)]
        self.register_buffer("free", torch.tensor(free, dtype=torch.float64)[..., None], persistent=False)
        zeros = partial(torch.zeros, dtype=torch.float64)
        self.register_buffer("weights", zeros(2, len(self.names), len(statistics)))  # of p, of strength
        self.register_buffer("sums", zeros(3, len(statistics)))  # of the warm-up: 1, x, x^2
        self.register_buffer("baseline", zeros(1 + len(statistics)))

    def strength(self, stats: ImageStats) -> Moves:
        """What moves each image's draws: what `Views` asks."""
        raw = [torch.as_tensor(getattr(stats, name)) for name in self.statistics]
        moved = self.weights @ self._unusual(torch.stack(raw, 1)).T  # (2, operations, B)
        by_name = [{n: moved[kind, self.names.index(n)] for n in group}
                   for kind, group in enumerate((self.gates, self.amounts))]  # fmt: skip
        evidence = {f"statistic.{name}": x for name, x in zip(self.statistics, raw, strict=True)}
        return Moves(by_name[0], by_name[1], evidence)

    @torch.no_grad()
    def observe(
        self, first: torch.Tensor, second: torch.Tensor, params: Sequence[ViewParams]
    ) -> dict[str, torch.Tensor]:
        """Look at a step's embeddings (B, D) and move the weights.

        Args: params: of all views, made with `strength`.
        Returns: single numbers: "heads_reward" and "heads_inside", the means of r and of the share inside the band;
            "heads_kl", the divergence of a view's draws from the policy's, and "heads_entropy", that of its p, in nats
            and summed over operations; "heads_largest", the largest weight.
        Raises: AdaptAugError: params of views that were made without `strength`.
        """
        evidence = params[0].evidence
        if f"statistic.{self.statistics[0]}" not in evidence:
            raise AdaptAugError(
                "params: expected those of views made with strength=heads.strength, got others."
            )
        raw = torch.stack([evidence[f"statistic.{name}"] for name in self.statistics], 1)
        similar, weight = self._compare(first, second)
        self.sums += (weight > 0) * torch.stack([torch.ones_like(raw), raw, raw**2]).sum(1)
        unusual = self._unusual(raw)
        low, high = self.edges
        inside = (similar >= low) & (similar <= high)
        way = (high - similar) / (high - low)  # no way to an end that is open
        reward = inside * (1 + self.hardness * torch.where(torch.isfinite(way), way, 0.0).double())
        regressors = torch.cat([torch.ones_like(raw[:, :1]), unusual], 1)
        ahead = reward - regressors @ self.baseline
        self.baseline += _BASELINE_RATE * (ahead[:, None] * regressors).mean(0)
        numbers = self._learn(params, unusual, ahead)
        return numbers | {
            "heads_reward": reward.mean(), "heads_inside": inside.double().mean(),
            "heads_largest": self.weights.abs().max(),
        }  # fmt: skip

    @property
    def policy(self) -> Policy:
        """The start with the weights learned so far; those smaller than `least` are left out."""
        center, spread = (x.tolist() for x in self._moments())
        weights = self.weights.tolist()
        operations: dict[str, Any] = {}
        for kind, field in enumerate(("p", "strength")):
            for name, row in zip(self.names, weights[kind], strict=True):
                large = {
                    s: round(w, 3)
                    for s, w in zip(self.statistics, row, strict=True)
                    if w and abs(w) >= self.least
                }
                if large:
                    operations.setdefault(name, {})[field] = large
        used = {s for fields in operations.values() for large in fields.values() for s in large}
        statistics = {s: (float(f"{c:.6g}"), float(f"{d:.6g}"))
                      for s, c, d in zip(self.statistics, center, spread, strict=True) if s in used}  # fmt: skip
        origin = {"conditional": f"learned in {int(self.steps)} steps from {self.start.name}"}
        return self.start.edit(
            conditional={"statistics": statistics, "operations": operations},
            provenance=self.start.provenance | origin,
        )

    def _moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of the statistics over the warm-up's images."""
        count = self.sums[0].clamp(min=1)
        mean = self.sums[1] / count
        return mean, (self.sums[2] / count - mean**2).clamp(min=0).sqrt()

    def _unusual(self, raw: torch.Tensor) -> torch.Tensor:
        """(B, statistics) in deviations from the mean, as `plan.draws` counts them; 0 where there is no deviation."""
        mean, deviation = self._moments()
        varies = deviation > _FLAT
        unusual = (raw - mean) / torch.where(varies, deviation, 1.0)
        return torch.where(varies, unusual, 0.0).clamp(-REACH, REACH)

    def _learn(
        self, params: Sequence[ViewParams], unusual: torch.Tensor, ahead: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Move the weights by one step's draws; `ahead` (B,): how far the rewards are above the baseline."""
        moved_p, moved_strength = self.weights @ unusual.T  # (operations, B); below with the views in front
        p, own, present = self._in_force(params)
        fisher = torch.stack([(p * (1 - p)).sum(0), present.sum(0)])  # of eta: a share's score has variance 1
        # Of KL: two Bernoullis' (a group's by its first); y = d ** exp(-eta), d uniform, has eta - 1 + exp(-eta).
        held = self.prior * fisher * torch.stack([moved_p, 1 - torch.exp(-moved_strength)])
        entropy = _entropy(p)
        short = entropy.mean(-1, keepdim=True) < self.floor * _entropy(own).mean(-1, keepdim=True)
        held[0] += (short * p * (1 - p) * torch.logit(p, 1e-6)).sum(0)
        move = (ahead * self._scores(params) - held) @ unusual / (fisher @ unusual**2 + 1e-6)
        now = (self.steps > self.warm_up) & (self.steps <= self.frozen)
        self.weights += now * self.free * (self.rate * move).clamp(-self.step, self.step)
        self.weights.clamp_(-self.limit, self.limit)
        divergence = _divergence(p, own) + present * (moved_strength - 1 + torch.exp(-moved_strength))
        return {"heads_kl": divergence.mean((0, 2)).sum(), "heads_entropy": entropy.mean((0, 2)).sum()}

    def _in_force(self, params: Sequence[ViewParams]) -> torch.Tensor:
        """(3, views, operations, B): p for each image, the policy's own, how many amounts with a strength are in the
        view; 0 for what has no such weights, and where another view's numbers are shared."""
        nothing, masks = torch.zeros_like(params[0].strength), []
        for view in params:
            policy = self.start.for_view(view.view)
            for name in self.names:
                counts = not (view.view and name in policy.pair.share)
                odds, varies = counts and name in self.gates, counts and name in self.amounts
                masks += [
                    view.evidence[f"conditional_p.{name}"] if odds else nothing,
                    view.evidence[f"p.{name}"] if odds else nothing,
                    len(amounts(policy[name], name)) * acts(view, name).double() if varies else nothing,
                ]
        return torch.stack(masks).reshape(len(params), len(self.names), 3, -1).movedim(2, 0)

    def _scores(self, params: Sequence[ViewParams]) -> torch.Tensor:
        """(2, operations, B) d log likelihood / d eta, of p and of strength."""
        nothing = torch.zeros_like(params[0].strength)
        of_p = [
            score_of_p(params, self.start, n, self.gates[n]) if n in self.gates else nothing
            for n in self.names
        ]
        of_strength = [
            score_of_strength(params, self.start, n) if n in self.amounts else nothing for n in self.names
        ]
        return torch.stack([torch.stack(of_p), torch.stack(of_strength)])


def _check(policy: Policy, statistics: Sequence[str]) -> None:
    policy.alone("conditional weights")
    if policy.conditional.operations:
        raise AdaptAugError(
            f"policy {policy.name!r}: expected one without conditional weights to learn them on, got some for "
            f"{', '.join(policy.conditional.operations)}; remove the field conditional."
        )
    if policy.band is not None:
        raise AdaptAugError(
            f"policy {policy.name!r}: expected one without a band, whose views are chosen among several draws; remove "
            "the field band."
        )
    unknown = [name for name in statistics if name not in STATISTICS]
    if unknown or not statistics:
        raise AdaptAugError(
            f"statistics: expected some of {', '.join(STATISTICS)}, got {', '.join(unknown) or 'none'}."
        )
    if not any(_open(policy)):
        raise AdaptAugError(
            f"policy {policy.name!r}: expected an operation that is not locked and has a p between 0 and 1 or a range; "
            "it has none."
        )


def _open(policy: Policy) -> tuple[dict[str, list[str]], list[str]]:
    """What may have weights of p, each with the operations applied by it, and what may have weights of strength."""
    each = [policy.for_view(number).operations for number in (0, 1)]
    first = leaders(policy.operations)
    gates: dict[str, list[str]] = {}
    for name, entry in policy.operations.items():
        gates.setdefault(first.get(entry.together, name), []).append(name)
    return (
        {
            name: members for name, members in gates.items()
            if not any(policy[m].lock for m in members) and any(0 < view[m].p < 1 for view in each for m in members)
        },
        [
            name for name, entry in policy.operations.items()
            if not entry.lock and any(amounts(view[name], name) for view in each)
        ],
    )  # fmt: skip


def _entropy(p: torch.Tensor) -> torch.Tensor:
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p))


def _divergence(p: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """KL of Bernoulli(p) from Bernoulli(own); 0 where both are 0 or 1."""
    inside = (own > 0) & (own < 1)
    own = torch.where(inside, own, 0.5)
    kl = torch.xlogy(p, p / own) + torch.xlogy(1 - p, (1 - p) / (1 - own))
    return torch.where(inside, kl, 0.0)
