"""Search for a policy before training, around a start policy.

1. Policies are tried: a small network is trained with each and scored on held-out images, all with equal random
   numbers. Which are tried, and how long each is trained, is the method's: a factorial design over eight factors
   (`screening`), or arms that are halved as they climb (`halving`).
2. Verification: the best two and the start are trained anew from new weights, four or five runs each, at least as
   long as any policy before; each run is judged by images of its own, that picked nothing and judge no other run
   (`arms.divide`). The best is tested first; the second only if the first is proven: if the 95 % interval of its
   paired difference from the start lies above zero. Of those proven the better ships, and the start where none is.
   Tests in an order fixed beforehand, each only if the one before succeeded, need no correction: a policy worse than
   the start passes as rarely as with one test. (The interval of the better of two flatters it a little; that it is
   above the start does not.)

Source. Tests in a fixed order: Maurer, Hothorn and Lehmacher, 1995.
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
from adaptaug.data import Images, open_data
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Arm, Recipe, divide, useful_labels
from adaptaug.learn.halving import Halving
from adaptaug.learn.intervals import Interval, over_runs
from adaptaug.learn.memory import Memory
from adaptaug.learn.outcome import HAND, Outcome, found_policy, leading_policy, origin
from adaptaug.learn.runner import Progress, Runner
from adaptaug.learn.sample import readable
from adaptaug.learn.schedule import RUNS
from adaptaug.learn.screening import Screening
from adaptaug.learn.shared import Shared
from adaptaug.learn.study import quiet
from adaptaug.learn.work import Work
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import Contrast

OBJECTIVES = ("auto", "labels", "images")
METHODS: dict[str, type[Halving] | type[Screening]] = {"halving": Halving, "screen": Screening}


class Search:
    """A search that can be killed and run again.

    Args:
        recipe: data, training and seed.
        start: the policy to begin with.
        budget: policies tried, the start's among them; None: 30 that are halved, the 16 of the design.
        folder: where study and results are kept; with the same settings a second call goes on from there.
        workers: processes that train arms, each on one thread; 0 trains here. The result does not depend on it. They
            are spawned, so a script that wants any has its code under `if __name__ == "__main__":`.
        shared: the study by which other machines take part (`storage.Shared`); each has a folder of its own.
        method: halving or screen.
        memory: what is known of other data sets, by which screening expects effects.

    `unreadable` has a sentence about each image that cannot be read; they are left out, one in a hundred at most.

    Raises: AdaptAugError: no labels, too few images, too many that cannot be read, an objective, budget or number of
    epochs that cannot be, other settings in the folder or the study.
    """

    def __init__(
        self, recipe: Recipe, start: Policy | str, folder: Path | str, budget: int | None = None,
        objective: str = "labels", workers: int | None = None, progress: Progress | None = None,
        shared: Shared | None = None, method: str = "halving", memory: Memory | None = None,
    ):  # fmt: skip
        if objective not in OBJECTIVES:
            raise AdaptAugError(f"objective: expected one of {', '.join(OBJECTIVES)}, got {objective!r}.")
        if method not in METHODS:
            raise AdaptAugError(f"method: expected one of {', '.join(METHODS)}, got {method!r}.")
        self.recipe, self.objective = recipe, objective
        self.budget = METHODS[method].budget if budget is None else budget
        self.start = (start if isinstance(start, Policy) else Policy.load(start)).alone("start")
        self.folder, self.progress, self.shared = Path(folder), progress or Progress(), shared
        self.workers = min(os.cpu_count() or 1, 8) if workers is None else workers
        images = self._look_at_data()
        self.memory = memory or Memory.load()
        self._runner = Runner(self.recipe, self.workers, shared, self.progress)
        self.work = Work(self.folder, self.objective, self._runner)
        self.how: Halving | Screening = METHODS[method](self, images)
        self._settle(method)

    def _look_at_data(self) -> Images:
        """Check that the data can be searched on."""
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
        self.about_labels = images.about_labels
        self.fingerprint, self._count = images.fingerprint(), len(images)
        return images

    # --- what is kept ---------------------------------------------------------------------------------------
    def _settle(self, method: str) -> None:
        """Write the settings, or check that what lies in the folder was begun with the same."""
        settings = json.loads(json.dumps({
            "recipe": asdict(self.recipe) | {"data": self.fingerprint}, "start": self.start.dumps(),
            "budget": self.budget, "objective": self.objective, "method": method, "adaptaug": __version__,
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

    # --- running --------------------------------------------------------------------------------------------
    def run(self) -> Outcome:
        """Search, or go on with what was begun. After KeyboardInterrupt ask `best_so_far`."""
        with alone(self.folder), self._runner, quiet():
            return self._verify(self.how.finalists())

    def verified_model(self, arm: Arm) -> Contrast:
        """The network of the arm's first verification run."""
        return self._runner.model_after(_verification(arm, 1))

    def first_arms(self) -> list[Arm]:
        """The arms that halving keeps to the end; a design has none."""
        return self.how.first_arms() if isinstance(self.how, Halving) else []

    # --- deciding -------------------------------------------------------------------------------------------
    def _verify(self, finalists: Sequence[Arm]) -> Outcome:
        hand = self.work.arms[0]
        hits = self._fresh_runs([hand, *finalists[:1]], self.how.runs if finalists else 1)
        against: dict[str, Interval] = {}
        proven: list[Arm] = []
        for arm in finalists:
            if arm.name not in hits:
                hits |= self._fresh_runs([arm], self.how.runs)
            against[arm.name] = over_runs(hits[arm.name], hits[HAND])
            if against[arm.name].low <= 0:
                break
            proven.append(arm)
        verified = {name: 100 * float(h.mean()) for name, h in hits.items()}
        best = max(proven or finalists[:1] or [hand], key=lambda arm: verified[arm.name])
        return self._outcome(best, bool(proven), against, verified)

    def _fresh_runs(self, arms: Sequence[Arm], runs: int) -> dict[str, np.ndarray]:
        """Per arm's name its accuracy in each run, (runs,), on images that picked nothing."""
        jobs = {
            (arm.name, run): self.work.job(_verification(arm, run), arm.policy, self.recipe.epochs, run=run)
            for run in range(1, runs + 1) for arm in arms
        }  # fmt: skip
        self.progress.begin("verification", len(jobs))
        self.work.train(list(jobs.values()))
        return {
            arm.name: np.array([self.work.hits(jobs[arm.name, run]).mean() for run in range(1, runs + 1)])
            for arm in arms
        }

    def _outcome(
        self, best: Arm, shipped: bool, against: dict[str, Interval], verified: dict[str, float]
    ) -> Outcome:
        jobs = self._runner.asked.values()
        images = [len(divide(self.recipe, self._count, run)[0]) for run in range(RUNS + 1)]
        cost = {
            "arms": len([arm for arm in self.work.arms if arm.correct]), "epochs": sum(job.epochs for job in jobs),
            "pairs": sum(job.epochs * images[job.run] for job in jobs) * self.recipe.views // 2,
        }  # fmt: skip
        seconds = float(sum(np.load(job.out)["seconds"] for job in jobs))
        file = Path(self.recipe.data).name
        provenance = origin(self.start, self.fingerprint, self.recipe.seed, self.work.arms) | {
            "outcome": best.name if shipped else HAND, "data": file, "objective": self.objective,
            "limit": self.recipe.limit, "switched off": sorted(self.how.off), **self.how.findings(),
            "verified": {name: round(score, 2) for name, score in verified.items()},
            "difference": {f"{name} - {HAND}": [round(i.mean, 2), round(i.low, 2), round(i.high, 2)]
                           for name, i in against.items()},
            "cost": cost,
        }  # fmt: skip
        policy = found_policy(best, shipped, self.start, file.partition(".")[0], provenance)
        return Outcome(
            policy, best, self.work.arms, shipped, against, verified, cost, seconds, self.start, self.folder
        )

    def best_so_far(self) -> Policy:
        """After an interruption: the leading arm where it is surely better on the images it was picked by, else the
        start."""
        provenance = origin(self.start, self.fingerprint, self.recipe.seed, self.work.arms)
        return leading_policy(self.work.ranked, self.work.arms, self.start, provenance)


def _as_now(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as an earlier version wrote them: what its recipe could not yet say was as it is by default. Which
    version began a search is kept and decides nothing: studies of earlier versions go on."""
    defaults = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}
    now = {"recipe": defaults | settings["recipe"], "adaptaug": __version__}
    plain: dict[str, Any] = json.loads(json.dumps({"method": "halving"} | settings | now))
    return plain


def _verification(arm: Arm, run: int) -> str:
    return f"verify-{arm.number:02d}-run-{run}"
