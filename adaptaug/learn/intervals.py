"""Whether one arm is better than another: paired differences with their interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean difference in points (percent) with its confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def over_runs(first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> Interval:
    """`first` - `second`, each (runs,) of accuracy in [0, 1]; run i of both had the same random numbers and queries.

    Student's t over at least two runs, none of which shares a query with another: their variance has both sources of
    chance in it, the training and the queries.
    """
    difference = 100 * (np.asarray(first, float) - np.asarray(second, float))
    count, mean = len(difference), float(difference.mean())
    half = float(stats.t.ppf(0.5 + confidence / 2, count - 1) * difference.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half)


def paired_interval(first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> Interval:
    """`first` - `second`, each (runs, queries) of correctness in [0, 1]; run i of both had the same random numbers.

    Two sources of chance are added up: which queries were held out (variance over queries of the mean over
    runs) and the training runs (variance over runs). The t quantile has Satterthwaite's degrees of freedom.
    With one run the second is unknown and left out: such an interval is too narrow and only ranks arms.
    """
    difference = 100 * (np.asarray(first, float) - np.asarray(second, float))
    runs, queries = difference.shape
    mean = difference.mean()
    parts = [(difference.mean(0).var(ddof=1) / queries, queries - 1)]
    if runs > 1:
        parts.append((difference.mean(1).var(ddof=1) / runs, runs - 1))
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Interval(mean, mean, mean)
    freedom = variance**2 / sum(part**2 / df for part, df in parts)
    half = stats.t.ppf(0.5 + confidence / 2, freedom) * np.sqrt(variance)
    return Interval(float(mean), float(mean - half), float(mean + half))
