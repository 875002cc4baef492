"""The certificate: guards make bad draws rare, this makes them impossible, whatever an operation did.

Each view is judged on its own final pixels, by their moments, against its safe crop.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from adaptaug.backend.arrays import Array, larger, may_look
from adaptaug.promise.guards import LEVEL, Limits
from adaptaug.promise.reasons import Test

STRENGTHS = (1.0, 0.75, 0.5, 0.25, 0.0)  # of the view against its safe crop, tried by the certificate


class Evidence(NamedTuple):
    """What the certificate knows of a view and its safe crop: (B,) numbers of luma in [0, 1]."""

    crop_mean: Array
    crop_std: Array
    mean: Array  # of the final view
    std: Array  # before noise and erase
    whole_std: Array  # before erase
    covariance: Array  # with the crop, before erase
    plain_covariance: Array  # with the crop, before noise and erase
    clipped: Array  # share of pixels newly at 0 or 255


def certify(view: Evidence, limit: Limits) -> tuple[Array, Array]:
    """How much of a view may stand: (strength, failed test), (B,) each.

    A view that fails is drawn back to crop + trunc(s (view - crop)), s = .75, .5, .25, 0: the first that
    passes. Mean, variance and correlation of these follow from the moments in closed form (truncation is
    towards the crop, which is valid itself, and moves no value by a level), and a truncated step never
    reaches 0 or 255 unless the crop is there already, so (b) holds for every s < 1. s = 0 is the safe crop.
    Luma is in whole levels here, so a correlation may be off by half a level over each deviation: it must pass by
    that much, and a crop of isoluminant colours, all rounding, is its own view.
    """
    variance, plain = view.whole_std**2, view.std**2
    own = view.crop_std**2
    strength, done = view.mean * 0.0, view.mean > 9.0
    failed = None
    for s in STRENGTHS:
        slack = 0.0 if s == 1.0 else 0.5 * LEVEL
        mean = view.crop_mean + s * (view.mean - view.crop_mean)
        std2 = (1 - s) ** 2 * own + 2 * s * (1 - s) * view.plain_covariance + s * s * plain
        all2 = (1 - s) ** 2 * own + 2 * s * (1 - s) * view.covariance + s * s * variance
        common = (1 - s) * own + s * view.covariance
        std_ok = torch.sqrt(larger(std2, 0.0)) >= limit.std + slack * (1.0 if s else 0.0)
        clip_ok = (view.clipped <= limit.clip) | (s < 1.0)
        mean_ok = (mean >= limit.low) & (mean <= limit.high)
        all2 = larger(all2, 1e-12)
        rounding = 0.5 * LEVEL * (larger(own, 1e-12) ** -0.5 + all2**-0.5)
        floor = limit.correlation + rounding + (0.0 if s == 1.0 else 0.02)
        like_ok = (common * common >= floor**2 * own * all2) & (common * common > 0.0) | (s == 0.0)
        further = limit.dark & (mean < view.crop_mean - 0.5 * LEVEL)
        further = further | (limit.bright & (mean > view.crop_mean + 0.5 * LEVEL))
        ok = std_ok & clip_ok & mean_ok & like_ok & ~further
        strength = torch.where(done | ~ok, strength, s)
        done = done | ok
        if failed is None:
            failed = torch.where(further, Test.FURTHER, Test.PASSED)
            tests = (
                (Test.LIKE, like_ok),
                (Test.MEAN, mean_ok),
                (Test.CLIPPED, clip_ok),
                (Test.CONTRAST, std_ok),
            )
            for test, holds in tests:
                failed = torch.where(holds, failed, test)
        if may_look(done) and bool(done.all()):
            break
    return strength, failed
