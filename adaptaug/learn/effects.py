"""What each factor does, from the scores of a design's runs: Bayesian linear regression in closed form.

score = mean + sum of (effect x half the product of its levels) + noise. Each effect has a normal prior (`Prior`), the
mean score none. The noise's variance is estimated from runs of one corner with other random numbers, from what the
terms leave over (interactions that are not fitted are in it, as they should be: they make a prediction as uncertain),
and from `NOISE`, which counts as one observation. Intervals are Student's with as many degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from adaptaug.learn.design import matrix, terms
from adaptaug.learn.factors import FACTORS, NAMES, Levels
from adaptaug.learn.intervals import Interval

NOISE = 1.0  # points, of one run: what runs of the bank differ by
Term = tuple[str, ...]


@dataclass(frozen=True)
class Prior:
    """An effect before anything is trained, in points: its mean and standard deviation."""

    mean: float
    spread: float


UNKNOWN = Prior(0.0, 4.0)  # effects that were measured go up to 10 points
INTERACTION = Prior(0.0, 1.5)


@dataclass(frozen=True)
class Effects:
    """The posterior: `mean` (terms,) and `covariance` in points, `noise` of one run, `freedom` that it was estimated
    with."""

    terms: list[Term]
    mean: np.ndarray
    covariance: np.ndarray
    noise: float
    freedom: float

    def interval(self, term: Term) -> Interval:
        """Of one effect, 95 %."""
        place = self.terms.index(term)
        mean, spread = float(self.mean[place]), float(np.sqrt(self.covariance[place, place]))
        half = float(stats.t.ppf(0.975, self.freedom)) * spread
        return Interval(mean, mean - half, mean + half)

    def summary(self) -> dict[Term, tuple[float, float]]:
        """Mean and standard deviation of each, to what can be resolved."""
        spread = np.sqrt(np.diag(self.covariance))
        return {
            term: (round(float(m), 2), round(float(s), 2))
            for term, m, s in zip(self.terms, self.mean, spread, strict=True)
        }

    def predicted(self, corners: Sequence[Levels]) -> np.ndarray:
        """(corners,) points above the mean of all."""
        return np.asarray(matrix(corners, self.terms) @ self.mean)


def prior_of(term: Term, priors: Mapping[Term, Prior]) -> Prior:
    return priors.get(term, UNKNOWN if len(term) == 1 else INTERACTION)


def fit(
    levels: Sequence[Levels], scores: np.ndarray, again: Sequence[tuple[float, float]] = (),
    names: Sequence[str] = NAMES, priors: Mapping[Term, Prior] | None = None,
) -> Effects:  # fmt: skip
    """The effects of the factors that change pixels.

    Args:
        levels, scores: of each run, in percent.
        again: scores of a corner with one set of random numbers, and with another.
    """
    fitted = terms(names)
    priors_of = [prior_of(term, priors or {}) for term in fitted]
    x, y = np.column_stack([np.ones(len(levels)), matrix(levels, fitted)]), np.asarray(scores, float)
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    freedom = 1 + len(again) + max(0, len(y) - np.linalg.matrix_rank(x))
    squares = NOISE**2 + sum((a - b) ** 2 / 2 for a, b in again) + float(residual @ residual)
    variance = squares / freedom
    expected = np.array([0.0, *(prior.mean for prior in priors_of)])
    precision = np.diag([0.0, *(1 / prior.spread**2 for prior in priors_of)])
    covariance = np.linalg.inv(x.T @ x / variance + precision)
    mean = covariance @ (x.T @ y / variance + precision @ expected)
    return Effects(fitted, mean[1:], covariance[1:, 1:], float(np.sqrt(variance)), float(freedom))


def sentences(effects: Effects, off: Sequence[str] = ()) -> list[str]:
    """What each factor does on this data, the greatest first, in words: "a flip costs 6.0 points (4.8 to 7.2)"."""
    titles = {factor.name: factor.told for factor in FACTORS}
    main = [(effects.interval(term), titles[term[0]]) for term in effects.terms if len(term) == 1]
    out = []
    for interval, what in sorted(main, key=lambda pair: -abs(pair[0].mean)):
        low, high = sorted((abs(interval.low), abs(interval.high)))
        verb = "costs" if interval.mean < 0 else "gains"
        if what.endswith("s"):
            verb = verb[:-1]
        if interval.low <= 0 <= interval.high:
            out.append(f"{what}: no effect that shows, {interval} points")
        else:
            out.append(f"{what} {verb} {abs(interval.mean):.1f} points ({low:.1f} to {high:.1f})")
    return out + [f"{titles[name]} changes no pixel" for name in off]
