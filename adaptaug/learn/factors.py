"""What screening switches on and off: eight factors, each a group of operations at one of two levels.

The high level (+1) is an operation as the presets that like it have it, the low one (-1) is without; of the crop, whose
floor matters and which is never off, it is small crops (from .08 of the image) and large ones (from .35).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from adaptaug.learn.space import Changes, kept_weights
from adaptaug.policy import Policy
from adaptaug.views import AdaptiveAugment

Levels = tuple[int, ...]  # of FACTORS, each -1 or +1


def _entry(p: float = 1.0, **ranges: Any) -> dict[str, Any]:
    """An operation's whole entry: nothing of what a start policy says of it stays."""
    return {"p": p, "guard": True, "together": None, "shape": (1.0, 1.0), **ranges}


def _crop(floor: float) -> Changes:
    return {"crop": _entry(area=(floor, 1.0), ratio=(0.75, 4 / 3), content=0.03)}


@dataclass(frozen=True)
class Factor:
    """One of the eight.

    `told` is the factor at its high level in a sentence about it; `level` reads from a policy which level is nearer;
    `more` are two levels that the design does not have, and what they are called.
    """

    name: str
    told: str
    high: Changes
    low: Changes
    level: Callable[[Policy], int]
    more: tuple[tuple[str, Changes], ...] = ()

    @property
    def operations(self) -> tuple[str, ...]:
        return tuple(self.high)

    def at(self, level: int) -> Changes:
        return self.high if level > 0 else self.low


def _switched(
    name: str, told: str, high: Changes, more: tuple[tuple[str, Changes], ...] = (),
    reads: Callable[[Policy], bool] | None = None,
) -> Factor:  # fmt: skip
    """A factor that is off at its low level."""
    present = reads or (lambda policy: any(op in policy and policy[op].p > 0 for op in high))
    return Factor(name, told, high, dict.fromkeys(high), lambda policy: 1 if present(policy) else -1, more)


def _reaches(operation: str, end: float) -> Callable[[Policy], bool]:
    """Whether a policy's range of an operation goes to `end` or beyond."""
    return lambda policy: (
        operation in policy and policy[operation].p > 0 and policy[operation].range[1] >= end
    )


def _colour(share: float) -> Changes:
    return {"saturation": _entry(0.8, range=(-0.4 * share, 0.4 * share)),
            "hue": _entry(0.8, range=(-0.1 * share, 0.1 * share))}  # fmt: skip


def _exposure(mean: tuple[float, float], std: tuple[float, float]) -> Changes:
    return {"exposure": _entry(0.8, mean=mean, std=std, gain=6.0)}


def _stretch(least: float) -> Changes:
    return {"stretch": _entry(0.8, range=(least, 1 / least))}


def _rotation(degrees: float, across: float, down: float) -> Changes:
    return {"rotate": _entry(0.8, range=(-degrees, degrees)),
            "shear": _entry(0.8, x=(-across, across), y=(-down, down))}  # fmt: skip


FACTORS: tuple[Factor, ...] = (
    Factor("crop", "small crops", _crop(0.08), _crop(0.35),
           lambda policy: 1 if "crop" in policy and policy["crop"].area[0] < 0.17 else -1,
           (("crops from .2", _crop(0.2)), ("crops from .6", _crop(0.6)))),
    _switched("colour", "colour", _colour(1), (("half the colour", _colour(0.5)), ("twice the colour", _colour(2)))),
    _switched("grey", "grey", {"grey": _entry(0.2)},
              (("a tenth grey", {"grey": _entry(0.1)}), ("two fifths grey", {"grey": _entry(0.4)}))),
    _switched("exposure", "exposure", _exposure((0.3, 0.7), (0.12, 0.28)),
              (("narrow exposure", _exposure((0.4, 0.6), (0.16, 0.24))),
               ("wide exposure", _exposure((0.2, 0.8), (0.08, 0.3))))),
    _switched("stretch", "stretch", _stretch(0.7),
              (("half the stretch", _stretch(0.85)), ("twice the stretch", _stretch(0.5))), _reaches("stretch", 1.2)),
    _switched("flip", "a flip", {"hflip": _entry(0.5)}),
    _switched("rotation", "rotation with shear", _rotation(15.0, 18.0, 6.0),
              (("half the rotation", _rotation(7.5, 9.0, 3.0)), ("more rotation", _rotation(30.0, 30.0, 12.0)))),
    _switched("blur", "blur", {"blur": _entry(0.3, range=(0.1, 2.0))},
              (("a tenth blurred", {"blur": _entry(0.1, range=(0.1, 2.0))}),
               ("three fifths blurred", {"blur": _entry(0.6, range=(0.1, 2.0))}))),
)  # fmt: skip
NAMES = tuple(factor.name for factor in FACTORS)


def free_factors(start: Policy) -> list[Factor]:
    """Those none of whose operations the start locks."""
    return [f for f in FACTORS if not any(op in start and start[op].lock for op in f.operations)]


def levels_of(policy: Policy) -> Levels:
    """The corner that a policy is nearest to."""
    return tuple(factor.level(policy) for factor in FACTORS)


def signs(levels: Sequence[int]) -> str:
    """Levels as text, such as "+-++--+-"."""
    return "".join("+" if level > 0 else "-" for level in levels)


def levels_from(text: str) -> Levels:
    """What `signs` wrote."""
    return tuple(1 if sign == "+" else -1 for sign in text)


def corner(start: Policy, levels: Sequence[int], name: str, off: Sequence[str] = ()) -> Policy:
    """`start` with guards and every free factor at its level; factors named in `off` at their low one."""
    changes: Changes = {}
    for factor, level in zip(FACTORS, levels, strict=True):
        if factor in free_factors(start):
            changes |= factor.at(-1 if factor.name in off else level)
    changes = {k: v for k, v in changes.items() if v is not None or k in start}
    placed = start.edit(changes, conditional={}, guards=True, name=name, description="", provenance={})
    return placed.edit(conditional=kept_weights(start, placed))


def inert_factors(images: torch.Tensor, size: int, seed: int = 0) -> list[str]:
    """Names of the factors that change no pixel of these uint8 images (N, 3, H, W), guarded: colour on grey images, and
    blur where views are small."""
    keys = [(seed, 0, i) for i in range(len(images))]

    def seen(changes: Changes) -> np.ndarray:
        operations = {op: {**entry, "p": 1.0} for op, entry in changes.items() if entry is not None}
        alone = Policy.parse({"version": 1, "name": "alone", "operations": operations})
        views: torch.Tensor = AdaptiveAugment(alone, size=size)(images, key=keys)
        return views.float().numpy()

    return [
        factor.name for factor in FACTORS
        if np.abs(seen(factor.high) - seen(factor.low)).mean() < 0.5  # rounding, in levels of 255
    ]  # fmt: skip
