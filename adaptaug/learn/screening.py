"""Screening: which of eight factors help on this data, by a factorial design, and the corner that follows from it.

1. Each of the design's 16 corners (`design`) is trained from new weights, all for one length and with equal random
   numbers, and scored on the same held-out images. Two corners are trained again with other random numbers: what they
   differ by is noise.
2. The factors' effects are fitted with three interactions (`effects`); what is expected before comes from data sets
   like this one (`memory`). Factors that change no pixel of this data, and those that the start locks, take no part.
3. The two corners of all 256 that are expected to be best are verified; they need not be among the 16. With a budget of
   18 or 20 two more levels of the one or two factors that matter most are tried at the best corner first, and the best
   of them is verified in place of the second corner if it is above the first.
4. A corner is the start with other levels of eight factors; what suits the data may lie elsewhere. So two policies that
   lost least on data sets like this one, by the memory, are trained once beside the design, and the better takes its
   place among those that are verified: before the corners that are expected to be below what it reached.

An effect is an average over 8 runs against 8, so that one run of a few epochs, which is a poor judge of one policy, is
a fair one of what all had in common.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptaug.backend.writing import write_atomically
from adaptaug.data import Images, open_data
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Arm, Job
from adaptaug.learn.design import all_corners, corners, terms
from adaptaug.learn.effects import Effects, Prior, Term, fit, prior_of, sentences
from adaptaug.learn.factors import (
    FACTORS,
    NAMES,
    Levels,
    corner,
    free_factors,
    inert_factors,
    levels_of,
    signs,
)
from adaptaug.learn.memory import Remembered, looked, named, numbers, policy_named, terms_of
from adaptaug.learn.outcome import HAND
from adaptaug.learn.sample import sample
from adaptaug.learn.schedule import FINALISTS
from adaptaug.learn.space import DIMENSIONS, Changes, coordinates
from adaptaug.learn.study import record
from adaptaug.policy import Policy

if TYPE_CHECKING:
    from adaptaug.learn.search import Search

PAIRS = 12_000  # that a run sees: 4 epochs of 3,000 images
IMAGES = 3000  # of them at most
AGAIN = (0, 15)  # corners of the design that are trained twice: all that is low, all that is high
KNOWN = 2  # policies of the memory that are tried beside the design
_REFINED = (1, 2)  # factors of which a larger budget tries two more levels
_TIE = 0.05  # points: corners that are nearer than this differ by nothing that was measured


def epochs_for(trained: int) -> int:
    """Epochs of a run over so many images: as many steps as 4 epochs of 3,000 have."""
    return max(4, math.ceil(PAIRS / max(1, trained)))


def epochs_of(data: Path | str, limit: int) -> int:
    """`epochs_for` the images that a run over a data set has."""
    return epochs_for(min(limit, len(open_data(data)) * 3 // 4))


class Screening:
    """How a search by this method goes.

    `names` are the factors that are screened, `off` those that change no pixel; `expected` and `effects` are there
    after `finalists`.
    """

    budget = len(corners())
    runs = 4  # of each arm in the verification: with KNOWN it takes no more than the design

    def __init__(self, search: Search, images: Images):
        if search.budget not in (self.budget, *(self.budget + 2 * more for more in _REFINED)):
            raise AdaptAugError(
                f"budget: expected the {self.budget} policies of the design, or 2 or 4 more for further levels of the "
                f"factors that matter most, got {search.budget}."
            )
        if search.recipe.epochs < 1:
            raise AdaptAugError(f"epochs: expected at least 1, got {search.recipe.epochs}.")
        self.search = search
        still = inert_factors(sample(search.recipe, images), search.recipe.size)
        free = [factor.name for factor in free_factors(search.start)]
        self.off = [name for name in free if name in still]
        self.names = [name for name in free if name not in still]
        if not self.names:
            raise AdaptAugError(
                f"policy {search.start.name!r}: expected something to screen, but it locks all that changes a pixel."
            )
        self.profile = numbers(looked(images))
        self.here = levels_of(search.start)
        self.expected: dict[Term, Prior] = {}
        self.effects: Effects | None = None
        self._scores: tuple[list[Levels], np.ndarray, list[tuple[float, float]]] | None = None

    def findings(self) -> dict[str, Any]:
        assert self.effects is not None
        intervals = {term: self.effects.interval(term) for term in self.effects.terms}
        told = {t: [round(i.mean, 2), round(i.low, 2), round(i.high, 2)] for t, i in intervals.items()}
        return {"effects": named(told)}

    def told(self) -> str:
        return f"{len(self.names)} factors"

    def trainings(self) -> list[tuple[str, int, int]]:
        epochs, more = self.search.recipe.epochs, self.search.budget - self.budget
        return [
            ("design", self.budget + len(AGAIN), epochs),
            *([("more levels", more + 1, epochs)] if more else []),
            *([("known policies", KNOWN, epochs)] if self.search.memory.sets else []),
            ("verification", (1 + FINALISTS) * self.runs, epochs),
        ]

    def levels(self, levels: Levels) -> Levels:
        """With what is not screened as it is in every arm: low where it changes nothing, the start's where locked."""
        return screened_levels(levels, self.names, self.off, self.here)

    def finalists(self) -> list[Arm]:
        """Train the design, fit the effects, and return the corners that are worth a verification, the best first."""
        search = self.search
        self._expect()
        design = [self.levels(levels) for levels in corners()]
        arms = [self._arm(number, levels) for number, levels in enumerate(design, 1)]
        search.work.arms = [Arm(0, HAND, search.start, coordinates(search.start)), *arms]
        jobs = [self._job(arm) for arm in arms] + [self._job(arms[place], 1) for place in AGAIN]
        search.progress.begin("design", len(jobs))
        search.work.train(jobs)
        for arm, job in zip(arms, jobs, strict=False):
            arm.correct.append(search.work.hits(job))
        scores = np.array([arm.scores[0] for arm in arms])
        repeated = [100 * float(search.work.hits(job).mean()) for job in jobs[len(arms) :]]
        again = [(scores[place], score) for place, score in zip(AGAIN, repeated, strict=True)]
        self._scores = design, scores, again
        self.effects = fit(*self._scores, self.names, self.expected)
        for sentence in sentences(self.effects, self.off):
            search.progress.told(sentence)
        search.work.rank(sorted(arms, key=lambda arm: -arm.scores[0]))
        record(search.folder, arms, DIMENSIONS)
        best = self._agreed(self.effects)
        search.work.arms += [
            self._arm(len(search.work.arms) + n, levels)
            for n, levels in enumerate(levels for levels in best if levels not in design)
        ]
        named_so = {arm.name: arm for arm in search.work.arms}
        finalists = [named_so[name_of(levels)] for levels in best]
        finalists = self._with_known(self._refined(finalists))[:FINALISTS]
        return [arm for arm in finalists if _made_of(arm.policy) != _made_of(search.start)]

    def _refined(self, finalists: list[Arm]) -> list[Arm]:
        """The finalists, behind the best of further levels of the factors that matter most if it is above the first."""
        first = finalists[0]
        arms = [
            self._changed(first, number, words, changes)
            for number, (words, changes) in enumerate(self._more(), len(self.search.work.arms))
        ]
        if not arms:
            return finalists
        best = self._best_tried("more levels", arms, first)  # which of the design is done already
        return [best, *finalists] if best.scores[0] > first.scores[0] else finalists

    def _with_known(self, finalists: list[Arm]) -> list[Arm]:
        """The finalists with the best of what the memory knows, before the first that is expected to be worse."""
        numbered = enumerate(self._known(), len(self.search.work.arms))
        arms = [Arm(number, policy.name, policy, coordinates(policy)) for number, policy in numbered]
        if not arms:
            return finalists
        best = self._best_tried("known policies", arms)
        better = [arm for arm in finalists if self._expects(arm) >= best.scores[0]]
        return [*better, best, *finalists[len(better) :]]

    def _best_tried(self, stage: str, arms: list[Arm], *others: Arm) -> Arm:
        """Train new arms, and others of which it is not known whether they were, as the design's; the best new one."""
        search = self.search
        jobs = [self._job(arm) for arm in [*arms, *others]]
        search.progress.begin(stage, len(jobs))
        search.work.train(jobs)
        for arm, job in zip([*arms, *others], jobs, strict=True):
            arm.correct = [search.work.hits(job)]
        search.work.arms += arms
        search.work.rank(sorted([*search.work.ranked, *arms], key=lambda arm: -arm.scores[0]))
        return max(arms, key=lambda arm: arm.scores[0])

    def _known(self) -> list[Policy]:
        """What the memory offers besides the start and the arms; nothing where the start locks something."""
        search = self.search
        if any(op.lock for op in search.start.operations.values()):
            return []
        names = self._once("known", lambda: search.memory.policies(self.profile, search.objective))
        tried = [_made_of(arm.policy) for arm in search.work.arms]
        return [policy for name in names if _made_of(policy := policy_named(name)) not in tried][:KNOWN]

    def _expects(self, finalist: Arm) -> float:
        """Of a corner what the effects say, of another arm what it reached, in percent."""
        assert self.effects is not None and self._scores is not None
        for levels in all_corners():
            if finalist.name == name_of(levels):
                return float(self._scores[1].mean() + self.effects.predicted([levels])[0])
        return finalist.scores[0]

    def _more(self) -> list[tuple[str, Changes]]:
        """Further levels of as many factors as the budget has room for, those with the largest effects first."""
        assert self.effects is not None
        effects = self.effects
        refined = [factor for factor in FACTORS if factor.name in self.names and factor.more]
        refined.sort(key=lambda factor: -abs(effects.interval((factor.name,)).mean))
        return [
            level for factor in refined[: (self.search.budget - self.budget) // 2] for level in factor.more
        ]

    def _changed(self, arm: Arm, number: int, words: str, changes: Changes) -> Arm:
        policy = arm.policy.edit(changes, name=f"{arm.name} with {words}")
        return Arm(number, policy.name, policy, coordinates(policy))

    def remembered(self) -> Remembered:
        """What was measured here, without what was expected before."""
        search = self.search
        assert self._scores is not None
        return Remembered(
            name=Path(search.recipe.data).name, fingerprint=search.fingerprint, profile=self.profile,
            effects={search.objective: named(fit(*self._scores, self.names).summary())},
        )  # fmt: skip

    def _expect(self) -> None:
        """Set `expected` to what the memory says."""
        search = self.search

        def compute() -> dict[str, Any]:
            priors = search.memory.priors(self.profile, search.objective, search.fingerprint)
            return named({term: (prior.mean, prior.spread) for term, prior in priors.items()})

        expectations = {
            terms_of(name): Prior(*prior) for name, prior in self._once("priors", compute).items()
        }
        self.expected = {term: prior_of(term, expectations) for term in terms(self.names)}

    def _once(self, what: str, compute: Callable[[], Any]) -> Any:
        """What the memory said when this search began, it may have grown since; machines that share a study agree."""
        search, file = self.search, self.search.folder / f"{what}.json"
        if not file.exists():
            value = compute() if search.shared is None else search.shared.agree(what, compute)
            write_atomically(file, lambda out: out.write(json.dumps(value, indent=1).encode()))
        return json.loads(file.read_text())

    def _agreed(self, effects: Effects) -> list[Levels]:
        """The best corners; where machines share a study, those that the first of them found."""
        shared = self.search.shared
        if shared is None:
            return self.best(effects)
        finalists = shared.agree("finalists", lambda: self.best(effects))
        return [tuple(levels) for levels in finalists]

    def best(self, effects: Effects) -> list[Levels]:
        """The corners that are verified."""
        return best_corners(effects, [self.levels(levels) for levels in all_corners()], self.here)[:FINALISTS]

    def _arm(self, number: int, levels: Levels) -> Arm:
        name = name_of(levels)
        policy = corner(self.search.start, levels, name)
        return Arm(number, name, policy, coordinates(policy))

    def _job(self, arm: Arm, again: int = 0) -> Job:
        name = f"again-{arm.number:02d}" if again else f"corner-{arm.number:02d}"
        return self.search.work.job(name, arm.policy, self.search.recipe.epochs, again=again)


def screened_levels(levels: Levels, names: Sequence[str], off: Sequence[str], here: Levels) -> Levels:
    """With what is not screened (not in `names`) as it is in every arm: low if `off`, else as `here`."""
    return tuple(
        level if name in names else -1 if name in off else start
        for name, level, start in zip(NAMES, levels, here, strict=True)
    )


def best_corners(effects: Effects, tried: Sequence[Levels], here: Levels) -> list[Levels]:
    """Those that are expected to be best first; of equal ones first that which changes least of `here`."""
    different = list(dict.fromkeys(tried))
    expected = np.round(effects.predicted(different) / _TIE)
    changed = [sum(a != b for a, b in zip(levels, here, strict=True)) for levels in different]
    order = sorted(range(len(different)), key=lambda i: (-expected[i], changed[i]))
    return [different[i] for i in order]


def _made_of(policy: Policy) -> tuple[Any, ...]:
    """What decides its views."""
    return policy.operations, policy.guards, policy.conditional


def name_of(levels: Sequence[int]) -> str:
    """An arm's name, which says its levels."""
    return f"corner {signs(levels)}"
