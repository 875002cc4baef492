"""Statistics -> safe ranges, in closed form: the promise, its limits and reasons, and the guards of tone.

The promise, for every image that is not blank and every policy with guards on, with v the view, c its safe
crop (same geometry, no filters, identity tone but for the smallest lift that (c) needs), f the full frame at
the view's size, luma in [0, 1], tolerance 1/255:

(a) std(v), before noise and erase, >= min(std, std_share * std(f))
(b) share of pixels with a channel at 0 or 255 in v but not in c <= clip
(c) min(dark, mean f) <= mean(v) <= max(bright, mean f)
(d) |correlation of luma of v and c|, before erase, >= correlation
(e) erased area <= erased

Guards (here; `boxes.py` for crops and distortions) make a bad draw rare, the certificate (`certificate.py`) makes it
impossible. None of them sees pixels or is random.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from adaptaug.backend.arrays import (  # fmt: skip
    Array,
    clamp,
    extremes,
    larger,
    may_look,
    mean_variance,
    ranked,
    smaller,
    weighted,
)
from adaptaug.backend.levels import BOTTOM, LUMA, TOP
from adaptaug.policy.schema import Promise
from adaptaug.promise.reasons import Reason
from adaptaug.stats.crop import CropStats

DARK_SOURCE, BRIGHT_SOURCE = 0.25, 0.75  # beyond these a view never goes further out than its own crop
LEVEL = 1.0 / 255.0


class Limits(NamedTuple):
    """The promise for each image: (B,) floor of the std, range of the mean, and which sources are dark or bright."""

    std: Array
    low: Array
    high: Array
    dark: Array
    bright: Array
    own: Array  # the safe crop's mean, behind which views of dark and bright sources do not fall
    clip: Array | float  # most pixels newly clipped; one number, or (B,) where a policy's routes differ
    correlation: Array | float

    def rows(self, index: Array) -> Limits:
        """The limits of some of a batch's images."""
        return Limits(*(value if isinstance(value, float) else value[index] for value in self))


def limits(promise: Promise | Any, frame_mean: Array, frame_std: Array, image_mean: Array) -> Limits:
    """The promise's numbers, one or one an image, and the full frame's mean and std at the view's size."""
    return Limits(
        std=smaller(frame_std * promise.std_share, promise.std),
        low=smaller(frame_mean, promise.dark),
        high=larger(frame_mean, promise.bright),
        dark=image_mean < DARK_SOURCE,
        bright=image_mean > BRIGHT_SOURCE,
        own=image_mean,
        clip=promise.clip,
        correlation=promise.correlation,
    )


# --- the safe crop ----------------------------------------------------------------------------------------
def lift(mean: Array, limit: Limits) -> tuple[Array, Array]:
    """The least affine shift of tone that brings a crop's mean into the promised range: (scale, offset).

    Towards white (1 - t) x + t, or towards black (1 - t) x, so that no pixel newly clips and the mean moves
    exactly. (1, 0) where the crop is inside already.
    """
    margin = 0.3 * LEVEL  # rounding to levels may not undo it
    up = clamp((limit.low + margin - mean) / larger(1.0 - mean, 1e-6), 0.0, 1.0)
    down = clamp(1.0 - (limit.high - margin) / larger(mean, 1e-6), 0.0, 1.0)
    up = torch.where(mean < limit.low, up, 0.0)
    down = torch.where(mean > limit.high, down, 0.0)
    return (1.0 - up) * (1.0 - down), up


# --- how it looks -----------------------------------------------------------------------------------------
class ToneRoom(NamedTuple):
    """What gain and offset may do to a crop. Means are of luma in [0, 1]; all (B,)."""

    mean: Array
    std: Array
    low: Array
    high: Array
    least_gain: Array
    high_tail: Array
    low_tail: Array
    reason_low: Array
    reason_high: Array

    def greatest_gain(self, target: Array) -> Array:
        """Greatest gain at which no more pixels clip than allowed, if the mean goes to `target`."""
        above, below = self.high_tail - self.mean, self.mean - self.low_tail
        top = torch.where(above > 1e-6, (TOP - target) / larger(above, 1e-6), 1e6)
        bottom = torch.where(below > 1e-6, (target - BOTTOM) / larger(below, 1e-6), 1e6)
        return larger(smaller(top, bottom), self.least_gain)


def tone_room(crop: CropStats, coloured: Array, limit: Limits) -> ToneRoom:
    """Feasible means and gains of a crop whose sampled channels, after its colour matrix, are `coloured` (B, 3, N).

    A pixel clips when its greatest channel passes TOP or its least passes BOTTOM; pixels already at 0 or 255
    in the crop do not count. With H and L the channel values that the allowed share of pixels exceeds, the
    gain g and mean' must satisfy mean' + g (H - mean) <= TOP and mean' - g (mean - L) >= BOTTOM.
    """
    greatest, least = extremes(coloured)
    count = greatest.shape[-1]
    allowed = _allowed(limit, count)
    high_tail = ranked(torch.where(crop.clipped, -9.0, greatest), count - 1 - allowed)
    low_tail = ranked(torch.where(crop.clipped, 9.0, least), allowed)
    least_gain = clamp(1.1 * limit.std / larger(crop.std, 1e-6), 0.0, 6.0)
    margin = LEVEL
    low = larger(BOTTOM + least_gain * larger(crop.mean - low_tail, 0.0), limit.low + margin)
    high = smaller(TOP - least_gain * larger(high_tail - crop.mean, 0.0), limit.high - margin)
    reason_low = torch.where(limit.dark & (limit.own > low), Reason.DARK, Reason.CLIPPING)
    reason_high = torch.where(limit.bright & (limit.own < high), Reason.BRIGHT, Reason.CLIPPING)
    low = torch.where(limit.dark, larger(low, limit.own), low)
    high = torch.where(limit.bright, smaller(high, limit.own), high)
    stay = clamp(crop.mean, limit.low, limit.high)
    impossible = low > high
    return ToneRoom(
        crop.mean, crop.std, torch.where(impossible, stay, low), torch.where(impossible, stay, high), least_gain,
        high_tail, low_tail, reason_low, reason_high,
    )  # fmt: skip


def luma_share(crop: CropStats) -> Array:
    """(B,) luma's variance over the mean variance of the channels: 1 for grey, 0 for isoluminant content."""
    channels: Array = sum(crop.covariance[:, i, i] for i in range(3)) / 3.0
    return crop.sampled_luma[1] / larger(channels, 1e-9)


def tone_strength(crop: CropStats, target: Array, limit: Limits) -> Array:
    """The greatest of 1, 1/2, 0 at which the drawn tone keeps the promise on the sampled pixels.

    `target` (B, 3, N) is each sampled channel after the drawn tone, unclipped.
    """

    def at_half(crop: CropStats, target: Array, limit: Limits) -> Array:
        return 0.5 * _tone_keeps(crop, crop.samples + 0.5 * (target - crop.samples), limit).double()

    whole = _tone_keeps(crop, target, limit)
    if not may_look(whole):
        return torch.where(whole, 1.0, at_half(crop, target, limit))
    strength, rows = whole.double(), (~whole).nonzero()[:, 0]
    if len(rows):  # few of a batch
        strength[rows] = at_half(crop.rows(rows), target[rows], limit.rows(rows))
    return strength


def _tone_keeps(crop: CropStats, channels: Array, limit: Limits) -> Array:
    """(B,) whether the samples keep the promise with these (B, 3, N) channels, unclipped."""
    greatest, least = extremes(channels)
    newly = ((greatest > TOP) | (least < BOTTOM)) & ~crop.clipped
    share = newly.count_nonzero(-1) / channels.shape[-1]
    luma_mean, variance = mean_variance(weighted(LUMA, clamp(channels, 0.0, 1.0)))
    own_mean, own_variance = crop.sampled_luma
    # The samples give the change of mean and std; where it starts is known from all of the pixels.
    mean = crop.mean + luma_mean - own_mean
    std = crop.std * torch.sqrt(variance / larger(own_variance, 1e-9))
    ok = (share <= 0.87 * limit.clip) & (std >= 1.05 * limit.std + 0.5 * LEVEL * (limit.std > 0))
    ok = ok & (mean >= limit.low + 0.5 * LEVEL) & (mean <= limit.high - 0.5 * LEVEL)
    ok = ok & ~(limit.dark & (mean < limit.own - 0.2 * LEVEL))
    return ok & ~(limit.bright & (mean > limit.own + 0.2 * LEVEL))


GREY_CHROMA = 3 * LEVEL  # up to here a crop is grey and stays so; from twice it on it is coloured


def coloured(chroma: Array) -> Array:
    """(B,) how much of a change of its chroma a crop may have that is so far from grey: 0, a share, or 1."""
    return clamp(chroma / GREY_CHROMA - 1.0, 0.0, 1.0)


def chroma_room(crop: CropStats, before: Array, after: Array, limit: Limits) -> Array:
    """(B,) greatest share of the way at which no more pixels clip than allowed, of samples that go from `before` to
    `after`, (B, 3, N) each. A sample leaves the range at a share of its own, so it is one of these."""
    outside = (before > TOP) | (before < BOTTOM)
    up = torch.where(after > TOP, (TOP - before) / larger(after - before, 1e-9), 1.0)
    down = torch.where(after < BOTTOM, (before - BOTTOM) / larger(before - after, 1e-9), 1.0)
    leaves = torch.where(outside, 0.0, smaller(smaller(up, down), 1.0)).amin(1)
    return ranked(torch.where(crop.clipped, 1.0, leaves), _allowed(limit, leaves.shape[-1]))


def _allowed(limit: Limits, count: int) -> Array | int:
    """How many of so many samples may clip: fewer than of all pixels, of which they are a part."""
    most = 0.8 * limit.clip * count
    return int(most) if isinstance(most, float) else most.long()


def blur_limit(crop: CropStats, size: int) -> Array:
    """Greatest sigma (pixels of the view) that leaves a crop most of its contrast: .6 correlation lengths."""
    return clamp(0.6 * crop.reach, 0.0, 5.0) if size > 32 else crop.mean * 0.0


def needs_repair(crop: CropStats, limit: Limits) -> Array:
    """(B,) whether a filtered crop already breaks the promise, so that its tone must move even if none was drawn."""
    outside = (crop.mean < limit.low) | (crop.mean > limit.high) | (crop.std < limit.std)
    behind = (limit.dark & (crop.mean < limit.own - 0.5 * LEVEL)) | (
        limit.bright & (crop.mean > limit.own + 0.5 * LEVEL)
    )
    return outside | behind
