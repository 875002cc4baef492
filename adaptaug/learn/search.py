"""Search for a policy before training: successive halving over arms around a start policy.

1. A dimension that changes no pixel of this data (colour on grey images) is switched off in every arm.
2. Warm-up: a small network is trained with the start policy; every arm goes on from there.
3. The first arms are the start as it is, the start with guards, and where other presets lie in the space: what is
   known to suit some kind of image is tried before what is not. Half of the others are spread over the space (Sobol;
   a number keeps the start's value a quarter of the time and is off a quarter of the time), the rest are asked of
   Optuna's Gaussian process, two at a time, where the arms before did well.
4. Rungs, with equal random numbers: all arms train a little, the best six as much again, the best three three times
   that. The first arms stay to the end, whatever their score: after a short training, and a warm-up by another
   policy, large crops lead that small ones overtake (benchmarks/README.md).
5. Verification: the best two arms and the start are trained anew from new weights, five runs each, longer than any
   arm before; each run is judged by images of its own, that picked nothing and judge no other run (`arms.divide`). An
   arm behind the start takes part too, unless it is surely worse: few images pick badly and verify well. The best is
   tested first; the second only if the first is proven: if the 95 % interval of its paired difference from the start
   lies above zero. Of those proven the better ships, and the start where none is. Tests in an order fixed beforehand,
   each only if the one before succeeded, need no correction: a policy worse than the start passes as rarely as with one
   test. (The interval of the better of two flatters it a little; that it is above the start does not.)

Sources. Successive halving: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", 2016. Tests in a fixed order: Maurer, Hothorn and Lehmacher, 1995.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug import __version__
from adaptaug.backend.writing import alone, write_atomically
from adaptaug.data import open_data
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Arm, Job, Recipe, divide, useful_labels
from adaptaug.learn.intervals import Interval, over_runs
from adaptaug.learn.outcome import GUARDED, HAND, Outcome, difference, found_policy, leading_policy, origin
from adaptaug.learn.proposer import Proposer
from adaptaug.learn.relevance import inert
from adaptaug.learn.runner import Progress, Runner
from adaptaug.learn.sample import readable, sample
from adaptaug.learn.schedule import FINALISTS, KEPT, RUNS, Schedule
from adaptaug.learn.shared import Shared
from adaptaug.learn.space import coordinates, free_dimensions
from adaptaug.learn.study import quiet, record
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import Contrast

OBJECTIVES = ("auto", "labels", "images")
COUNTED = {
    "labels": ("knn", "ridge"),
    "images": ("rotation", "edges"),
}  # which, and why: benchmarks/README.md


class Search:
    """A search that can be killed and run again.

    Args:
        recipe: data, training and seed.
        start: the policy to begin with.
        budget: arms tried, the start's two among them.
        folder: where study and results are kept; with the same settings a second call goes on from there.
        workers: processes that train arms, each on one thread; 0 trains here. The result does not depend on it. They
            are spawned, so a script that wants any has its code under `if __name__ == "__main__":`.
        shared: the study by which other machines take part (`storage.Shared`); each has a folder of its own.

    `unreadable` has a sentence about each image that cannot be read; they are left out, one in a hundred at most.

    Raises: AdaptAugError: no labels, too few images, too many that cannot be read, an objective, budget or number of
    epochs that cannot be, other settings in the folder or the study.
    """

    def __init__(
        self, recipe: Recipe, start: Policy | str, folder: Path | str, budget: int = 30, objective: str = "labels",
        workers: int | None = None, progress: Progress | None = None, shared: Shared | None = None,
    ):  # fmt: skip
        if objective not in OBJECTIVES:
            raise AdaptAugError(f"objective: expected one of {', '.join(OBJECTIVES)}, got {objective!r}.")
        if budget < 6:
            raise AdaptAugError(
                f"budget: expected at least 6 arms, two of which are the start's, got {budget}."
            )
        self.recipe, self.budget, self.objective = recipe, budget, objective
        self.schedule = Schedule(recipe.epochs)
        self.start = (start if isinstance(start, Policy) else Policy.load(start)).alone("start")
        self.folder, self.progress, self.shared = Path(folder), progress or Progress(), shared
        self.workers = min(os.cpu_count() or 1, 8) if workers is None else workers
        self._look_at_data()
        self._runner = Runner(self.recipe, self.workers, shared, self.progress)
        self._arms: list[Arm] = []
        self._ranked: list[Arm] = []
        self._settle()

    def _look_at_data(self) -> None:
        """Check that the data can be searched on, and find the dimensions that change its pixels."""
        recipe, images = self.recipe, open_data(self.recipe.data, range=self.recipe.range)
        labels = useful_labels(images)
        if self.objective == "auto":
            self.objective = "images" if labels is None else "labels"
        if self.objective == "labels" and labels is None:
            has = "none" if images.labels is None else "only one class, or too few"
            why = f" ({images.about_labels.rstrip('.')})" if images.about_labels else ""
            raise AdaptAugError(
                f"{recipe.data}: expected labels of two classes or more (a folder of class folders, or "
                f"'y' in the .npz) to score arms by; it has {has}{why}, and objective 'images' needs none."
            )
        if self.objective == "images":
            recipe = replace(recipe, tasks=True)
        if min(len(images), recipe.limit) < 4 * recipe.sources:
            raise AdaptAugError(f"{recipe.data}: expected at least {4 * recipe.sources} images to train on "
                                f"(four batches), got {min(len(images), recipe.limit)}.")  # fmt: skip
        self.recipe, self.unreadable = readable(recipe, images)
        still, free = inert(sample(self.recipe, images), recipe.size), free_dimensions(self.start)
        self._off = {d.name: d.off for d in free if d.name in still}
        self.dimensions = [d for d in free if d.name not in still]
        if not self.dimensions:
            raise AdaptAugError(
                f"policy {self.start.name!r}: expected something to search, but it locks all."
            )
        self.about_labels = images.about_labels
        self.fingerprint, self._count = images.fingerprint(), len(images)
        self._proposer = Proposer(self.start, self.dimensions, self._off, recipe.seed)

    # --- what is kept ---------------------------------------------------------------------------------------
    def _settle(self) -> None:
        """Write the settings, or check that what lies in the folder was begun with the same."""
        settings = json.loads(json.dumps({
            "recipe": asdict(self.recipe) | {"data": self.fingerprint}, "start": self.start.dumps(),
            "budget": self.budget, "objective": self.objective, "adaptaug": __version__,
        }))  # fmt: skip
        if self.shared is not None:
            if _as_now(self.shared.agree("settings", lambda: settings)) != settings:
                raise AdaptAugError(f"--study {self.shared.name}: holds a search with other settings or data; "
                                    "give the same, or choose another name.")  # fmt: skip
            settings["study"] = self.shared.name
        file = self.folder / "settings.json"
        if file.exists():
            if _as_now(json.loads(file.read_text())) != settings:
                raise AdaptAugError(f"{self.folder}: holds a search with other settings or data; "
                                    "remove the folder, or choose another --out.")  # fmt: skip
        else:
            write_atomically(file, lambda out: out.write(json.dumps(settings, indent=1).encode()))
        # Where the data lies decides nothing: the app looks there, and may find it moved.
        place = str(Path(self.recipe.data).resolve())
        write_atomically(self.folder / "data.txt", lambda out: out.write(os.fsencode(place)))

    def _job(
        self,
        name: str,
        policy: Policy,
        epochs: int,
        before: Job | None,
        run: int = 0,
        scored: bool = True,
    ) -> Job:
        out = self.folder / "arms" / f"{name}.npz"
        return Job(name, policy.dumps(), before, epochs, run, scored, str(out))

    def _hits(self, job: Job) -> np.ndarray:
        """(queries,) mean of the hits that the objective counts."""
        with np.load(job.out) as arrays:
            return np.mean([arrays[name] for name in COUNTED[self.objective]], axis=0)

    def _forget(self, numbers: set[int]) -> None:
        """Remove the weights of arms that are out; their results stay."""
        for number in numbers:
            for file in (self.folder / "arms").glob(f"arm-{number:02d}-rung-*.pt"):
                file.unlink(missing_ok=True)

    # --- climbing -------------------------------------------------------------------------------------------
    def run(self) -> Outcome:
        """Search, or go on with what was begun. After KeyboardInterrupt ask `best_so_far`."""
        with alone(self.folder), self._runner, quiet():
            return self._search()

    def verified_model(self, arm: Arm) -> Contrast:
        """The network of the arm's first verification run."""
        return self._runner.model_after(_verification(arm, 1))

    def _search(self) -> Outcome:
        self.progress.begin("warm-up", 1)
        warm = self._job("warm-up", self.start, self.schedule.warm_up, None, scored=False)
        self._runner.run([warm])
        self.progress.begin("rung 1", self.budget)
        self._arms = self.first_arms()
        ends: dict[int, Job] = {}
        staying = list(self._arms)
        while len(self._arms) < self.budget:
            self._arms += self._propose(len(staying))
            first = not ends
            ends |= self._climb(self._arms[len(ends) :], 0, dict.fromkeys(range(self.budget), warm))
            if first:
                self._tell_if_constant()
        climbing = self._arms
        for rung in range(1, len(KEPT)):
            best = sorted(climbing, key=_behind)[: KEPT[rung]]
            climbing = best + [arm for arm in staying if arm not in best]
            self.progress.begin(f"rung {rung + 1}", len(climbing))
            ends = self._climb(climbing, rung, ends)
            self._forget({arm.number for arm in self._arms} - {arm.number for arm in climbing})
        return self._verify(sorted(climbing, key=_behind))

    def _tell_if_constant(self) -> None:
        """Say at once, and not after hours, that these images cannot tell one arm from another."""
        hits = np.stack([arm.correct[0] for arm in self._arms])
        if (hits == hits[0]).all():
            self.progress.told(
                f"all of {len(hits)} arms, the start's among them, have the same score on every image "
                f"({100 * hits.mean():.1f} %): unless longer training tells them apart, the start ships; other labels "
                "or another --objective may show more."
            )

    def first_arms(self) -> list[Arm]:
        """The arms that stay to the end: the start's and, for at most a third of the others, other presets'."""
        here = coordinates(self.start)
        arms = [Arm(0, HAND, self.start, here)]
        if not self.start.guards:
            arms.append(self._proposer.arm(1, GUARDED, here))
        return arms + self._proposer.neighbours(len(arms))[: (self.budget - len(arms)) // 3]

    def _propose(self, first: int) -> list[Arm]:
        """The arms that are tried next, at most to the budget."""
        count = len(self._arms)
        if count == first:
            points = self._proposer.spread((self.budget - first) // 2)
        elif self.shared is None:
            points = self._proposer.ask(self._arms)
        else:  # processors round differently, and a Gaussian process makes more of it
            points = self.shared.agree(f"arms from {count}", lambda: self._proposer.ask(self._arms))
        return [
            self._proposer.arm(n, f"arm {n:02d}", p)
            for n, p in enumerate(points[: self.budget - count], count)
        ]

    def _climb(self, arms: Sequence[Arm], rung: int, before: dict[int, Job]) -> dict[int, Job]:
        """Train the arms one rung further, and return the jobs at whose end they are, by number as `before`."""
        jobs = {
            arm.number: self._job(f"arm-{arm.number:02d}-rung-{rung + 1}", arm.policy, self.schedule.rungs[rung],
                                  before[arm.number]) for arm in arms
        }  # fmt: skip
        self._runner.run(list(jobs.values()))
        for arm in arms:
            arm.correct.append(self._hits(jobs[arm.number]))
        self._ranked = sorted((a for a in self._arms if len(a.correct) > rung), key=_behind)
        self.progress.ranked(self._ranked)
        record(self.folder, self._arms, self.dimensions)
        return jobs

    # --- deciding -------------------------------------------------------------------------------------------
    def _verify(self, ranked: list[Arm]) -> Outcome:
        hand = self._arms[0]
        rivals = [arm for arm in ranked if arm is not hand and difference(arm, hand, -1).high > 0]
        finalists = rivals[:FINALISTS]
        hits = self._fresh_runs([hand, *finalists[:1]], RUNS if finalists else 1)
        against: dict[str, Interval] = {}
        proven: list[Arm] = []
        for arm in finalists:
            if arm.name not in hits:
                hits |= self._fresh_runs([arm])
            against[arm.name] = over_runs(hits[arm.name], hits[HAND])
            if against[arm.name].low <= 0:
                break
            proven.append(arm)
        verified = {name: 100 * float(h.mean()) for name, h in hits.items()}
        best = max(proven or finalists[:1] or [hand], key=lambda arm: verified[arm.name])
        return self._outcome(best, bool(proven), against, verified)

    def _fresh_runs(self, arms: Sequence[Arm], runs: int = RUNS) -> dict[str, np.ndarray]:
        """Per arm's name its accuracy in each run, (runs,), on images that picked nothing."""
        jobs = {
            (arm.name, run): self._job(_verification(arm, run), arm.policy, self.schedule.epochs,
                                       None, run)
            for run in range(1, runs + 1) for arm in arms
        }  # fmt: skip
        self.progress.begin("verification", len(jobs))
        self._runner.run(list(jobs.values()))
        return {
            arm.name: np.array([self._hits(jobs[arm.name, run]).mean() for run in range(1, runs + 1)])
            for arm in arms
        }

    def _outcome(
        self, best: Arm, shipped: bool, against: dict[str, Interval], verified: dict[str, float]
    ) -> Outcome:
        jobs = self._runner.asked.values()
        images = [len(divide(self.recipe, self._count, run)[0]) for run in range(RUNS + 1)]
        cost = {
            "arms": len(self._arms), "epochs": sum(job.epochs for job in jobs),
            "pairs": sum(job.epochs * images[job.run] for job in jobs) * self.recipe.views // 2,
        }  # fmt: skip
        seconds = float(sum(np.load(job.out)["seconds"] for job in jobs))
        file = Path(self.recipe.data).name
        provenance = origin(self.start, self.fingerprint, self.recipe.seed, self._arms) | {
            "outcome": best.name if shipped else HAND, "data": file, "objective": self.objective,
            "limit": self.recipe.limit, "switched off": sorted(self._off),
            "verified": {name: round(score, 2) for name, score in verified.items()},
            "difference": {f"{name} - {HAND}": [round(i.mean, 2), round(i.low, 2), round(i.high, 2)]
                           for name, i in against.items()},
            "cost": cost,
        }  # fmt: skip
        policy = found_policy(best, shipped, self.start, file.partition(".")[0], provenance)
        return Outcome(
            policy, best, self._arms, shipped, against, verified, cost, seconds, self.start, self.folder
        )

    def best_so_far(self) -> Policy:
        """After an interruption: the leading arm where it is surely better on the images it was picked by, else the
        start."""
        provenance = origin(self.start, self.fingerprint, self.recipe.seed, self._arms)
        return leading_policy(self._ranked, self._arms, self.start, provenance)


def _as_now(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as an earlier version wrote them: what its recipe could not yet say was as it is by default. Which
    version began a search is kept and decides nothing: studies of earlier versions go on."""
    defaults = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}
    now = {"recipe": defaults | settings["recipe"], "adaptaug": __version__}
    return json.loads(json.dumps(settings | now))


def _verification(arm: Arm, run: int) -> str:
    return f"verify-{arm.number:02d}-run-{run}"


def _behind(arm: Arm) -> float:
    """Sorts the leading arm first; ties go to the earlier arm, so to the start."""
    return -arm.scores[-1]
