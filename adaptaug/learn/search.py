"""Search for a policy before training: successive halving over arms around a start policy.

1. A dimension that changes no pixel of this data (colour on grey images) is switched off in every arm.
2. Warm-up: a small network is trained with the start policy; every arm goes on from there.
3. The first arms are the start as it is, the start with guards, and where other presets lie in the space: what is
   known to suit some kind of image is tried before what is not. Half of the others are spread over the space (Sobol;
   a number keeps the start's value a quarter of the time and is off a quarter of the time), the rest are asked of
   Optuna's Gaussian process, two at a time, where the arms before did well.
4. Rungs: all arms train two epochs, the best ten two more, the best three three more. Equal random numbers.
5. Verification: the best arm and the start are trained anew from the warm-up, several runs each, and judged on
   held-out images that picked nothing. Only if the 95 % interval of the paired difference lies above zero is the
   arm returned; otherwise the start is.

Source: method.md section 5; successive halving: Jamieson and Talwalkar, 2016.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from scipy.stats import qmc

from adaptaug import __version__
from adaptaug.data import open_data
from adaptaug.errors import AdaptAugError
from adaptaug.files import write_atomically
from adaptaug.learn.arms import (
    Job,
    Recipe,
    Split,
    one_thread,
    run_in_worker,
    run_job,
    split_data,
    start_worker,
)
from adaptaug.learn.relevance import inert
from adaptaug.learn.space import Dimension, coordinates, free_dimensions, place
from adaptaug.learn.statistics import Interval, paired_interval
from adaptaug.policy import Policy

OBJECTIVES = ("auto", "labels", "images")
NEIGHBOURS = ("natural", "digits", "documents", "simclr-cifar")  # presets whose place in the space is tried
COUNTED = {
    "labels": ("knn", "ridge"),
    "images": ("rotation", "edges"),
}  # which, and why: benchmarks/README.md
WARM_UP = 2  # epochs
RUNGS = ((2, None), (2, 10), (3, 3))  # epochs added; how many arms are in, besides the start's
GENERATION = 2  # arms asked for at a time
RUNS, RUN_EPOCHS = 3, 4  # of the verification
HAND, GUARDED = "start", "start + guards"


@dataclass
class Arm:
    """A policy under trial; `correct[rung]` is (queries,) with the mean of kNN's and ridge's hits."""

    number: int
    name: str
    policy: Policy
    point: dict[str, float]
    correct: list[np.ndarray] = field(default_factory=list)

    @property
    def scores(self) -> list[float]:
        """Accuracy per rung reached, in percent."""
        return [100 * float(hits.mean()) for hits in self.correct]


@dataclass
class Outcome:
    """What a search found.

    `policy` is what ships, `best` the arm that was verified, `verified` accuracies in percent, `against` the
    differences of `best` from the start's arms, `cost` what was trained, `seconds` how long that took in all
    workers together (not in the policy file, which is equal for equal seeds).
    """

    policy: Policy
    best: Arm
    arms: list[Arm]
    shipped: bool
    against: dict[str, Interval]
    verified: dict[str, float]
    cost: dict[str, float]
    seconds: float
    start: Policy
    folder: Path


class Progress:
    """What a search tells while it runs; the command line draws it, a library user may pass a subclass."""

    def begin(self, stage: str, jobs: int) -> None: ...
    def done(self, job: str) -> None: ...
    def ranked(self, arms: Sequence[Arm]) -> None: ...


class Search:
    """A search that can be killed and run again.

    Args:
        recipe: data, training and seed.
        start: the policy to begin with.
        budget: arms tried, the start's two among them.
        folder: where study and results are kept; with the same settings a second call goes on from there.
        workers: processes that train arms, each on one thread; 0 trains here. The result does not depend on it.

    Raises: AdaptAugError: no labels, too few images, an objective or budget that cannot be, other settings
    in the folder.
    """

    def __init__(
        self, recipe: Recipe, start: Policy | str, folder: Path, budget: int = 30, objective: str = "labels",
        workers: int | None = None, progress: Progress | None = None,
    ):  # fmt: skip
        if objective not in OBJECTIVES:
            raise AdaptAugError(f"objective: expected one of {', '.join(OBJECTIVES)}, got {objective!r}.")
        if budget < 6:
            raise AdaptAugError(
                f"budget: expected at least 6 arms, two of which are the start's, got {budget}."
            )
        self.recipe, self.budget, self.objective = recipe, budget, objective
        self.start = start if isinstance(start, Policy) else Policy.load(start)
        self.folder, self.progress = folder, progress or Progress()
        self.workers = min(os.cpu_count() or 1, 8) if workers is None else workers
        images = open_data(recipe.data)
        if objective == "auto":
            self.objective = "images" if images.labels is None else "labels"
        if self.objective == "labels" and images.labels is None:
            raise AdaptAugError(f"{recipe.data}: expected labels (a folder of class folders, or 'y' in the .npz) "
                                "to score arms by; it has none, and objective 'images' needs none.")  # fmt: skip
        if self.objective == "images":
            self.recipe = recipe = replace(recipe, tasks=True)
        if min(len(images), recipe.limit) < 4 * recipe.batch:
            raise AdaptAugError(f"{recipe.data}: expected at least {4 * recipe.batch} images to train on "
                                f"(four batches), got {min(len(images), recipe.limit)}.")  # fmt: skip
        self.dimensions = free_dimensions(self.start)
        still = inert(
            images.pixels(range(min(64, len(images))), None if images.same_size else 2 * recipe.size),
            recipe.size,
        )
        self._off = {d.name: d.off for d in self.dimensions if d.name in still}
        self.dimensions = [d for d in self.dimensions if d.name not in still]
        if not self.dimensions:
            raise AdaptAugError(
                f"policy {self.start.name!r}: expected something to search, but it locks all."
            )
        self.fingerprint, self._count = images.fingerprint(), len(images)
        self._split: Split | None = None
        self._pool: ProcessPoolExecutor | None = None
        self._all: list[Arm] = []
        self.ranked: list[Arm] = []
        self._settle()

    # --- what is kept ---------------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Write the settings, or check that what lies in the folder was begun with the same."""
        settings = {
            "recipe": asdict(self.recipe) | {"data": self.fingerprint}, "start": self.start.dumps(),
            "budget": self.budget, "objective": self.objective, "adaptaug": __version__,
        }  # fmt: skip
        file = self.folder / "settings.json"
        if file.exists():
            if json.loads(file.read_text()) != settings:
                raise AdaptAugError(f"{self.folder}: holds a search with other settings or data; "
                                    "remove the folder, or choose another --out.")  # fmt: skip
        else:
            write_atomically(file, lambda out: out.write(json.dumps(settings, indent=1).encode()))

    def _job(self, name: str, policy: Policy, epochs: int, *, start: Path | None, first: int, run: int = 0,
             queries: str = "select") -> Job:  # fmt: skip
        out = self.folder / "arms" / f"{name}.npz"
        start_state = None if start is None else str(start.with_suffix(".pt"))
        return Job(name, policy.dumps(), start_state, first, epochs, run, queries, str(out))

    # --- running --------------------------------------------------------------------------------------------
    def _run(self, jobs: Sequence[Job]) -> None:
        waiting = [job for job in jobs if not Path(job.out).exists()]
        for job in jobs:
            if job not in waiting:
                self.progress.done(job.name)
        for name in self._carry_out(waiting):
            self.progress.done(name)

    def _carry_out(self, jobs: list[Job]) -> Iterator[str]:
        if self._pool is None or len(jobs) == 0:
            for job in jobs:
                self._split = self._split or split_data(self.recipe)
                with one_thread():
                    run_job(job, self.recipe, self._split)
                yield job.name
            return
        futures = {self._pool.submit(run_in_worker, job): job.name for job in jobs}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def run(self) -> Outcome:
        """Search, or go on with what was begun. After KeyboardInterrupt ask `best_so_far`."""
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.workers:
            self._pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), start_worker, (self.recipe,)
            )
        try:
            return self._search()
        finally:
            optuna.logging.set_verbosity(verbosity)
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def _search(self) -> Outcome:
        self.progress.begin("warm-up", 1)
        warm = self._job("warm-up", self.start, WARM_UP, start=None, first=0, queries="")
        self._run([warm])
        arms = [Arm(0, HAND, self.start, coordinates(self.start))]
        if not self.start.guards:
            arms.append(Arm(1, GUARDED, place(self.start, {}, GUARDED), coordinates(self.start)))
        always = list(arms)
        self.progress.begin("rung 1", self.budget)
        self._all = arms
        arms += self._neighbours(len(arms))[: (self.budget - len(arms)) // 3]
        first = len(arms)
        while len(arms) < self.budget:
            points = (
                self._spread((self.budget - first) // 2)
                if len(arms) == first
                else self._ask(arms[len(always) - 1 :])
            )
            points = points[: self.budget - len(arms)]
            arms += [Arm(n, f"arm {n:02d}", place(self.start, p, f"arm {n:02d}"), p)
                     for n, p in enumerate(points, len(arms))]  # fmt: skip
            self._climb(arms, 0, Path(warm.out))
        first = WARM_UP
        field_ = arms
        for rung in range(1, len(RUNGS)):
            first += RUNGS[rung - 1][0]
            count = RUNGS[rung][1]
            ranked = sorted(field_, key=lambda arm: -arm.scores[-1])
            field_ = ranked[:count] + [arm for arm in always if arm not in ranked[:count]]
            self.progress.begin(f"rung {rung + 1}", len(field_))
            self._climb(field_, rung, Path(warm.out), first)
            self._forget({arm.number for arm in arms} - {arm.number for arm in field_})
        # Ties go to the earlier arm, so to the start.
        best = max(field_, key=lambda arm: arm.scores[-1])
        return self._verify(best, arms, always, Path(warm.out))

    def _climb(self, arms: Sequence[Arm], rung: int, warm: Path, first: int = WARM_UP) -> None:
        """Train the arms that have not done this rung, from the rung before."""
        jobs = {}
        for arm in arms:
            if len(arm.correct) <= rung:
                before = warm if rung == 0 else self.folder / "arms" / f"arm-{arm.number:02d}-rung-{rung}.npz"
                name = f"arm-{arm.number:02d}-rung-{rung + 1}"
                jobs[name] = (arm, self._job(name, arm.policy, RUNGS[rung][0], start=before, first=first))
        self._run([job for _, job in jobs.values()])
        for arm, job in jobs.values():
            arm.correct.append(self._hits(job.out))
        self.ranked = sorted(arms, key=lambda arm: -arm.scores[-1])
        self.progress.ranked(self.ranked)
        self._record(self._all)

    def _hits(self, result: str) -> np.ndarray:
        """(queries,) mean of the hits that the objective counts."""
        with np.load(result) as arrays:
            return np.mean([arrays[name] for name in COUNTED[self.objective]], axis=0)

    def _forget(self, numbers: set[int]) -> None:
        """Remove the weights of arms that are out; their results stay."""
        for number in numbers:
            for file in (self.folder / "arms").glob(f"arm-{number:02d}-rung-*.pt"):
                file.unlink(missing_ok=True)

    # --- proposing ------------------------------------------------------------------------------------------
    def _neighbours(self, number: int) -> list[Arm]:
        """The other presets as points of this space: what is inert or locked stays so."""
        here = coordinates(self.start)
        free = [d.name for d in self.dimensions]
        found: list[Arm] = []
        for name in NEIGHBOURS:
            there = coordinates(Policy.load(name))
            point = here | {n: there[n] for n in free} | self._off
            if point not in [arm.point for arm in found] and any(point[n] != here[n] for n in free):
                label = f"like {name}"
                found.append(Arm(number + len(found), label, place(self.start, point, label), point))
        return found

    def _spread(self, count: int) -> list[dict[str, float]]:
        """Sobol points; a second Sobol number says whether a dimension keeps the start's value or is off."""
        here = coordinates(self.start)
        size = len(self.dimensions)
        power = max(1, int(np.ceil(np.log2(max(count, 2)))))
        numbers = qmc.Sobol(2 * size, rng=np.random.default_rng((self.recipe.seed, 1))).random_base2(power)[
            :count
        ]
        return [
            self._off | {
                d.name: here[d.name] if coin < 0.25 else d.off if coin < 0.5 else float(d.low + v * (d.high - d.low))
                for d, v, coin in zip(self.dimensions, row[:size], row[size:], strict=True)
            } for row in numbers
        ]  # fmt: skip

    def _ask(self, arms: Sequence[Arm]) -> list[dict[str, float]]:
        """Where to look next, by a Gaussian process over the guarded arms; its state is the arms alone."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.GPSampler(
                seed=self.recipe.seed + len(arms), n_startup_trials=0, deterministic_objective=False
            )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials([self._trial(arm) for arm in arms])
        with one_thread():
            return [self._off | study.ask(_distributions(self.dimensions)).params for _ in range(GENERATION)]

    def _trial(self, arm: Arm) -> optuna.trial.FrozenTrial:
        point = {d.name: arm.point[d.name] for d in self.dimensions}
        return create_trial(
            state=TrialState.COMPLETE, value=arm.scores[0], params=point,
            distributions=_distributions(self.dimensions), user_attrs={"arm": arm.name, "scores": arm.scores},
            intermediate_values=dict(enumerate(arm.scores)),
        )  # fmt: skip

    def _record(self, arms: Sequence[Arm]) -> None:
        """The study as Optuna keeps it, for its own tools (`optuna-dashboard sqlite:///...`)."""
        unfinished = self.folder / "study.unfinished.db"
        unfinished.unlink(missing_ok=True)
        study = optuna.create_study(
            study_name="adaptaug", direction="maximize", storage=f"sqlite:///{unfinished}"
        )
        study.add_trials([self._trial(arm) for arm in arms])
        unfinished.replace(self.folder / "study.db")

    # --- deciding -------------------------------------------------------------------------------------------
    def _verify(self, best: Arm, arms: list[Arm], always: list[Arm], warm: Path) -> Outcome:
        judged = [always[0]] + ([best] if best is not always[0] else [])
        jobs = {
            (arm.number, run): self._job(f"verify-{arm.number:02d}-run-{run}", arm.policy, RUN_EPOCHS, start=warm,
                                         first=WARM_UP, run=run, queries="verify")
            for run in range(1, RUNS + 1) for arm in judged
        }  # fmt: skip
        self.progress.begin("verification", len(jobs))
        self._run(list(jobs.values()))
        hits = {
            arm.name: np.stack([self._hits(jobs[arm.number, run].out) for run in range(1, RUNS + 1)])
            for arm in judged
        }
        against = {
            arm.name: paired_interval(hits[best.name], hits[arm.name]) for arm in judged if arm is not best
        }
        shipped = best is not always[0] and against[HAND].low > 0
        results = [np.load(file) for file in sorted((self.folder / "arms").glob("*.npz"))]
        seconds = float(sum(r["seconds"] for r in results))
        epoch = min(self.recipe.limit, self._count * 3 // 4)
        pairs = sum(int(r["pairs"]) for r in results)
        cost = {"arms": len(arms), "pairs": pairs, "epochs": round(pairs / epoch, 1)}
        verified = {name: 100 * float(h.mean()) for name, h in hits.items()}
        policy = self._shipped(best, arms, shipped, against, verified, cost)
        return Outcome(policy, best, arms, shipped, against, verified, cost, seconds, self.start, self.folder)

    def best_so_far(self) -> Policy:
        """After an interruption: the leading arm where its interval on the images it was picked by lies above the
        start's, else the start."""
        if not self.ranked:
            return self.start
        best, start = self.ranked[0], next(arm for arm in self._all if arm.name == HAND)
        rung = min(len(best.correct), len(start.correct)) - 1
        wins = (
            best is not start and paired_interval(best.correct[rung][None], start.correct[rung][None]).low > 0
        )
        chosen = best if wins else start
        return chosen.policy.edit({}, provenance={
            "by": f"adaptaug search {__version__}", "start": self.start.name, "outcome": chosen.name,
            "interrupted": "not verified; run the same command again to go on", "fingerprint": self.fingerprint,
            "seed": self.recipe.seed, "arms": {arm.name: [round(s, 2) for s in arm.scores] for arm in self._all},
        })  # fmt: skip

    def _shipped(self, best: Arm, arms: Sequence[Arm], shipped: bool, against: dict[str, Interval],
                 verified: dict[str, float], cost: dict[str, float]) -> Policy:  # fmt: skip
        found = best.policy if shipped else self.start
        provenance = {
            "by": f"adaptaug search {__version__}", "start": self.start.name, "outcome": best.name if shipped else HAND,
            "data": Path(self.recipe.data).name, "fingerprint": self.fingerprint, "objective": self.objective,
            "seed": self.recipe.seed, "limit": self.recipe.limit,
            "arms": {arm.name: [round(s, 2) for s in arm.scores] for arm in arms},
            "switched off": sorted(self._off),
            "verified": {name: round(score, 2) for name, score in verified.items()},
            "difference": {f"{best.name} - {name}": [round(i.mean, 2), round(i.low, 2), round(i.high, 2)]
                           for name, i in against.items()},
            "cost": cost,
        }  # fmt: skip
        if not shipped:
            return self.start.edit({}, provenance=provenance)
        stem = Path(self.recipe.data).name.partition(".")[0]
        return found.edit({}, name=f"{self.start.name}-{stem}"[:100], provenance=provenance,
                          description=f"Found by a search on {stem} from {self.start.name}.")  # fmt: skip


def _distributions(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    return {d.name: FloatDistribution(d.low, d.high) for d in dimensions}
