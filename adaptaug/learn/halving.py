"""Successive halving over arms around a start policy.

1. Warm-up: a small network is trained with the start policy; every arm goes on from there.
2. The first arms are the start as it is, the start with guards, and where other presets lie in the space: what is
   known to suit some kind of image is tried before what is not. Half of the others are spread over the space (Sobol;
   a number keeps the start's value a quarter of the time and is off a quarter of the time), the rest are asked of
   Optuna's Gaussian process, two at a time, where the arms before did well.
3. Rungs, with equal random numbers: all arms train a little, the best six as much again, the best three three times
   that. The first arms stay to the end, whatever their score: after a short training, and a warm-up by another
   policy, large crops lead that small ones overtake (benchmarks/README.md).

Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptaug.data import Images
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Arm, Job
from adaptaug.learn.outcome import GUARDED, HAND, difference
from adaptaug.learn.proposer import Proposer
from adaptaug.learn.relevance import inert
from adaptaug.learn.sample import sample
from adaptaug.learn.schedule import FINALISTS, KEPT, RUNS, Schedule
from adaptaug.learn.space import coordinates, free_dimensions
from adaptaug.learn.study import record

if TYPE_CHECKING:
    from adaptaug.learn.search import Search


class Halving:
    """How a search by this method goes.

    `off`: dimensions that change no pixel of this data (colour on grey images), switched off in every arm.
    """

    budget = 30
    runs = RUNS

    def __init__(self, search: Search, images: Images):
        if search.budget < 6:
            raise AdaptAugError(
                f"budget: expected at least 6 arms, two of which are the start's, got {search.budget}."
            )
        self.search, self.schedule = search, Schedule(search.recipe.epochs)
        still = inert(sample(search.recipe, images), search.recipe.size)
        free = free_dimensions(search.start)
        self.off = {d.name: d.off for d in free if d.name in still}
        self.dimensions = [d for d in free if d.name not in still]
        if not self.dimensions:
            raise AdaptAugError(
                f"policy {search.start.name!r}: expected something to search, but it locks all."
            )
        self._proposer = Proposer(search.start, self.dimensions, self.off, search.recipe.seed)

    def findings(self) -> dict[str, Any]:
        """What the policy file says besides."""
        return {}

    def told(self) -> str:
        """What is searched, in two words."""
        return f"{len(self.dimensions)} dimensions"

    def trainings(self) -> list[tuple[str, int, int]]:
        """(stage, most trainings, epochs of one)."""
        return self.schedule.trainings(self.search.budget, len(self.first_arms()))

    def finalists(self) -> list[Arm]:
        """Train, and return the arms that are worth a verification, the best first: an arm behind the start takes part
        unless it is surely worse."""
        search = self.search
        search.progress.begin("warm-up", 1)
        warm = search.work.job("warm-up", search.start, self.schedule.warm_up, scored=False)
        search.work.train([warm])
        search.progress.begin("rung 1", search.budget)
        arms = search.work.arms = self.first_arms()
        ends: dict[int, Job] = {}
        staying = list(arms)
        while len(arms) < search.budget:
            arms += self._propose(arms, len(staying))
            first = not ends
            ends |= self._climb(arms[len(ends) :], 0, dict.fromkeys(range(search.budget), warm))
            if first:
                self._tell_if_constant()
        climbing = arms
        for rung in range(1, len(KEPT)):
            best = sorted(climbing, key=_behind)[: KEPT[rung]]
            climbing = best + [arm for arm in staying if arm not in best]
            search.progress.begin(f"rung {rung + 1}", len(climbing))
            ends = self._climb(climbing, rung, ends)
            search.work.forget({arm.number for arm in arms} - {arm.number for arm in climbing})
        hand, ranked = arms[0], sorted(climbing, key=_behind)
        rivals = [arm for arm in ranked if arm is not hand and difference(arm, hand, -1).high > 0]
        return rivals[:FINALISTS]

    def _tell_if_constant(self) -> None:
        """Say at once, and not after hours, that these images cannot tell one arm from another."""
        hits = np.stack([arm.correct[0] for arm in self.search.work.arms])
        if (hits == hits[0]).all():
            self.search.progress.told(
                f"all of {len(hits)} arms, the start's among them, have the same score on every image "
                f"({100 * hits.mean():.1f} %): unless longer training tells them apart, the start ships; other labels "
                "or another --objective may show more."
            )

    def first_arms(self) -> list[Arm]:
        """The arms that stay to the end: the start's and, for at most a third of the others, other presets'."""
        start, budget = self.search.start, self.search.budget
        here = coordinates(start)
        arms = [Arm(0, HAND, start, here)]
        if not start.guards:
            arms.append(self._proposer.arm(1, GUARDED, here))
        return arms + self._proposer.neighbours(len(arms))[: (budget - len(arms)) // 3]

    def _propose(self, arms: Sequence[Arm], first: int) -> list[Arm]:
        """The arms that are tried next, at most to the budget."""
        count, search = len(arms), self.search
        if count == first:
            points = self._proposer.spread((search.budget - first) // 2)
        elif search.shared is None:
            points = self._proposer.ask(arms)
        else:  # processors round differently, and a Gaussian process makes more of it
            points = search.shared.agree(f"arms from {count}", lambda: self._proposer.ask(arms))
        return [
            self._proposer.arm(n, f"arm {n:02d}", p)
            for n, p in enumerate(points[: search.budget - count], count)
        ]

    def _climb(self, arms: Sequence[Arm], rung: int, before: dict[int, Job]) -> dict[int, Job]:
        """Train the arms one rung further, and return the jobs at whose end they are, by number as `before`."""
        search = self.search
        jobs = {
            arm.number: search.work.job(f"arm-{arm.number:02d}-rung-{rung + 1}", arm.policy, self.schedule.rungs[rung],
                                   before[arm.number]) for arm in arms
        }  # fmt: skip
        search.work.train(list(jobs.values()))
        for arm in arms:
            arm.correct.append(search.work.hits(jobs[arm.number]))
        search.work.rank(sorted((a for a in search.work.arms if len(a.correct) > rung), key=_behind))
        record(search.folder, search.work.arms, self.dimensions)
        return jobs


def _behind(arm: Arm) -> float:
    """Sorts the leading arm first; ties go to the earlier arm, so to the start."""
    return -arm.scores[-1]
