"""Which policies a search tries: what suits other data, points spread over the space, and where arms did well."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from scipy.stats import qmc

from adaptaug.learn.arms import Arm, one_thread
from adaptaug.learn.space import Dimension, coordinates, place
from adaptaug.learn.study import distributions, trial_of
from adaptaug.policy import Policy

NEIGHBOURS = ("natural", "digits", "documents", "simclr-cifar")  # presets whose place in the space is tried
GENERATION = 2  # arms asked for at a time

Point = dict[str, float]


@dataclass(frozen=True)
class Proposer:
    """Points around `start` in the `dimensions` that are searched; `off` are those that change no pixel, at nothing."""

    start: Policy
    dimensions: Sequence[Dimension]
    off: Point
    seed: int

    def arm(self, number: int, name: str, point: Point) -> Arm:
        return Arm(number, name, place(self.start, point, name), point)

    def neighbours(self, number: int) -> list[Arm]:
        """The other presets as arms, `number` the first: what is inert or locked stays so."""
        here = coordinates(self.start)
        free = [d.name for d in self.dimensions]
        arms: list[Arm] = []
        for name in NEIGHBOURS:
            there = coordinates(Policy.load(name))
            point = here | {n: there[n] for n in free} | self.off
            if point not in [arm.point for arm in arms] and any(point[n] != here[n] for n in free):
                arms.append(self.arm(number + len(arms), f"like {name}", point))
        return arms

    def spread(self, count: int) -> list[Point]:
        """Sobol points; a second Sobol number says whether a dimension keeps the start's value or is off."""
        here = coordinates(self.start)
        size = len(self.dimensions)
        power = max(1, int(np.ceil(np.log2(max(count, 2)))))
        sobol = qmc.Sobol(2 * size, rng=np.random.default_rng((self.seed, 1)))
        return [
            self.off | {
                d.name: here[d.name] if coin < 0.25 else d.off if coin < 0.5 else float(d.low + v * (d.high - d.low))
                for d, v, coin in zip(self.dimensions, row[:size], row[size:], strict=True)
            } for row in sobol.random_base2(power)[:count]
        ]  # fmt: skip

    def ask(self, arms: Sequence[Arm]) -> list[Point]:
        """Where to look next, by a Gaussian process over the guarded arms; its state is the arms alone."""
        guarded = [arm for arm in arms if arm.policy.guards]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.GPSampler(
                seed=self.seed + len(guarded), n_startup_trials=0, deterministic_objective=False
            )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials([trial_of(arm, self.dimensions) for arm in guarded])
        with one_thread():
            return [self.off | study.ask(distributions(self.dimensions)).params for _ in range(GENERATION)]
