"""Which corners screening trains: 16 of the 256 of eight factors, so that no two main effects and no main effect and
interaction of two are confused.

A fractional factorial 2^(8-4) of resolution IV (Box, Hunter and Hunter, Statistics for Experimenters, 2nd ed., 2005,
ch. 6): the first four factors in all combinations, each other one the product of three of them. What stays confused are
interactions with each other, four in each of seven columns (`aliases`). The generators are chosen so that the three
interactions that photographs are known for lie in three columns, and beside them none that is likely.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from adaptaug.learn.factors import FACTORS, NAMES, Levels

BASE = NAMES[:4]
GENERATORS = {
    "stretch": ("colour", "grey", "exposure"), "flip": ("crop", "grey", "exposure"),
    "rotation": ("crop", "colour", "grey"), "blur": ("crop", "colour", "exposure"),
}  # fmt: skip
INTERACTIONS = (("crop", "colour"), ("crop", "grey"), ("colour", "exposure"))


def corners() -> list[Levels]:
    """The 16 runs, the levels of FACTORS in each."""
    runs = []
    for base in itertools.product((-1, 1), repeat=len(BASE)):
        level = dict(zip(BASE, base, strict=True))
        level |= {name: level[a] * level[b] * level[c] for name, (a, b, c) in GENERATORS.items()}
        runs.append(tuple(level[name] for name in NAMES))
    return runs


def all_corners() -> list[Levels]:
    """All 256, in a fixed order."""
    return list(itertools.product((-1, 1), repeat=len(FACTORS)))


def _column(levels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return np.asarray(levels[:, [NAMES.index(name) for name in names]].prod(1))


def aliases(names: Sequence[str] = NAMES) -> list[list[tuple[str, str]]]:
    """Interactions of two of these factors by what cannot be told apart: each list is one column of the design."""
    levels = np.array(corners())
    columns: dict[bytes, list[tuple[str, str]]] = {}
    for pair in itertools.combinations(names, 2):
        columns.setdefault(_column(levels, pair).tobytes(), []).append(pair)
    return list(columns.values())


def terms(names: Sequence[str]) -> list[tuple[str, ...]]:
    """What is fitted where these factors change pixels: their main effects, and interactions of INTERACTIONS."""
    return [*((n,) for n in NAMES if n in names), *(p for p in INTERACTIONS if set(p) <= set(names))]


def matrix(levels: Sequence[Levels], of: Sequence[tuple[str, ...]]) -> np.ndarray:
    """(runs, terms): half the product of the levels, so that the weight of a factor is what switching it on does, in
    the mean over the others."""
    return np.stack([_column(np.array(levels), term) / 2.0 for term in of], 1)
