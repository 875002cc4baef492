"""Statistics -> safe ranges, in closed form; and the certificate on final pixels. The promise lives here.

The promise, for every image that is not blank and every policy with guards on, with v the view, c its safe
crop (same geometry, no filters, identity tone but for the smallest lift that (c) needs), f the full frame at
the view's size, luma in [0, 1], tolerance 1/255:

(a) std(v), before noise and erase, >= min(std, std_share * std(f))
(b) share of pixels with a channel at 0 or 255 in v but not in c <= clip
(c) min(dark, mean f) <= mean(v) <= max(bright, mean f)
(d) |correlation of luma of v and c|, before erase, >= correlation
(e) erased area <= erased

Guards make a bad draw rare, the certificate makes it impossible. Nothing here sees pixels or is random.
"""

from __future__ import annotations

from typing import NamedTuple

from adaptaug.arrays import (
    Array,
    arange,
    clamp,
    cofactors,
    column,
    double,
    extremes,
    first_true,
    how_many,
    integer,
    is_number,
    larger,
    logical_not,
    may_look,
    mean_variance,
    namespace,
    none_true,
    number,
    part,
    pick,
    ranked,
    smaller,
    stack,
    weighted,
)  # fmt: skip
from adaptaug.crops import CropStats
from adaptaug.levels import BOTTOM, LUMA, TOP
from adaptaug.measure import ImageStats
from adaptaug.policy import Promise

BOX_STEPS = 7  # nested boxes from the drawn one to the full frame
SHRINK_STEPS = (1.0, 0.5, 0.0)  # of a distortion that would lose the content
STRENGTHS = (1.0, 0.75, 0.5, 0.25, 0.0)  # of the view against its safe crop, tried by the certificate
DARK_SOURCE, BRIGHT_SOURCE = 0.25, 0.75  # beyond these a view never goes further out than its own crop
LEVEL = 1.0 / 255.0
FLAT = 0.05  # std of a source below which it is looked at more closely

REASONS = (
    "not drawn this time",
    "the policy's whole range is safe here",
    "guards are off: the policy's range, whatever the image",
    "the drawn box was enlarged: it held {drawn_content:.0%} of the image's detail (floor {content_floor:.0%}) "
    "at contrast {drawn_std:.3f} (floor {box_std_floor:.3f})",
    "reduced to {shrink:.0%}: the full distortion would leave {warped_content:.0%} of the detail in view "
    "(floor {content_floor:.0%})",
    "dark source (mean {image_mean:.2f}): no darker than its own crop ({crop_mean:.2f})",
    "bright source (mean {image_mean:.2f}): no brighter than its own crop ({crop_mean:.2f})",
    "limited so that at most {clip:.0%} of the pixels newly clip (crop: mean {crop_mean:.2f}, std {crop_std:.2f})",
    "exposure sets this view's tone",
    "views of 32 px and less are not blurred",
    "bounded by the crop's own detail (correlation length {reach:.1f} px)",
    "luma carries only {luma_share:.0%} of the colour variance: dropping colour would erase the content",
    "the crop was flat (contrast {flat_std:.3f}): the full frame took its place",
    "keeps contrast above the promised floor ({std_floor:.3f})",
    "all tone and colour drawn back to {tone_strength:.0%} of the change: together they would break the promise",
    "moved so that it overlaps the first view's crop by {overlap_low:g} to {overlap_high:g} "
    "(drawn: {drawn_overlap:.2f})",
    "moved and resized so that it overlaps the first view's crop by {overlap_low:g} to {overlap_high:g} "
    "(drawn: {drawn_overlap:.2f})",
    "overlaps the first view's crop by {overlap:.2f}, not {overlap_low:g} to {overlap_high:g}: every such box "
    "would hold too little, and the content floor wins",
    "overlaps the first view's crop by {overlap:.2f}, not {overlap_low:g} to {overlap_high:g}: the ranges of area "
    "and ratio allow no such box",
)
(
    NOT_DRAWN, WHOLE_RANGE, UNGUARDED, BOX_ENLARGED, DISTORTION_REDUCED, DARK, BRIGHT, CLIPPING, EXCLUSIVE,
    TOO_SMALL, SHARPNESS, ISOLUMINANT, FLAT_CROP, KEEPS_CONTRAST,
    TONE_REDUCED, OVERLAP_MOVED, OVERLAP_RESIZED, CONTENT_WON, OVERLAP_OUT_OF_REACH,
) = range(len(REASONS))  # fmt: skip

TESTS = (
    "passed",
    "(a) too little contrast left",
    "(b) too many pixels clipped",
    "(c) too dark or too bright",
    "(d) no longer resembles its crop",
    "further out than its own crop, from a dark or bright source",
)


class Limits(NamedTuple):
    """The promise for each image: (B,) floor of the std, range of the mean, and which sources are dark or bright."""

    std: Array
    low: Array
    high: Array
    dark: Array
    bright: Array
    own: Array  # the safe crop's mean, behind which views of dark and bright sources do not fall
    promise: Promise

    def rows(self, index: Array) -> Limits:
        """The limits of some of a batch's images."""
        return self._replace(**{name: getattr(self, name)[index] for name in self._fields[:-1]})


def limits(promise: Promise, frame_mean: Array, frame_std: Array, image_mean: Array) -> Limits:
    """The promise's numbers from the full frame's mean and std at the view's size."""
    return Limits(
        std=smaller(frame_std * promise.std_share, promise.std),
        low=smaller(frame_mean, promise.dark),
        high=larger(frame_mean, promise.bright),
        dark=image_mean < DARK_SOURCE,
        bright=image_mean > BRIGHT_SOURCE,
        own=image_mean,
        promise=promise,
    )


def quick_limits(stats: ImageStats, promise: Promise) -> Limits | None:
    """The promise's numbers without the full frame: of a single image neither small, flat, dark nor bright.

    There the limits of the mean are the promise's own, and the full frame's std is at most that of the image's pixels,
    so that views keep the promise or a slightly stricter one. None where the frame must be looked at.
    """
    mean = number(stats.mean)
    if not is_number(mean) or min(stats.height, stats.width) < 2 * stats.thumb.shape[-1]:
        return None
    # Averaged over as much as a thumbnail's pixel nothing may look flat: noise does, and the frame of a small view.
    if stats.coarse_contrast < FLAT or not promise.dark + FLAT < mean < promise.bright - FLAT:
        return None
    return limits(promise, 0.5, stats.fine_contrast, mean)


# --- where: crops and distortions -------------------------------------------------------------------------
def judge_boxes(stats: ImageStats, boxes: Array) -> tuple[Array, Array]:
    """Luma std in [0, 1] and share of the image's detail of (B, K, 4) boxes: two (B, K), from sums over boxes."""
    return _judge(stats, [boxes[..., i] for i in range(4)])


def _judge(stats: ImageStats, box: list[Array]) -> tuple[Array, Array]:
    """The same of boxes as x0, y0, w, h: (B, K) each, or four numbers of a single image."""
    x, y, width, height = box
    xp = namespace(x)
    rows, columns = stats.thumb.shape[1:]
    x0 = clamp(xp.floor(x * columns + 0.5), 0.0, columns - 1.0)
    y0 = clamp(xp.floor(y * rows + 0.5), 0.0, rows - 1.0)
    x1 = clamp(xp.floor((x + width) * columns + 0.5), x0 + 1.0, float(columns))
    y1 = clamp(xp.floor((y + height) * rows + 0.5), y0 + 1.0, float(rows))
    luma, squares, detail = stats.box_sums(x0, y0, x1, y1)
    count = (x1 - x0) * (y1 - y0)
    mean = luma / count
    std = xp.sqrt(larger(squares / count - mean * mean, 0.0)) / 255.0
    whole = larger(stats.detail_total, 1e-9)
    return std, detail / (number(whole) if is_number(x) else whole[:, None])


def _nested(box: Array, step: Array | float) -> list[Array]:
    """The box `step` of the way from the drawn one to the full frame: x0, y0, w, h."""
    x, y, width, height = (column(part(box, i)) for i in range(4))
    return [x * (1.0 - step), y * (1.0 - step), width * (1.0 - step) + step, height * (1.0 - step) + step]


def choose_box(
    stats: ImageStats, box: Array, std_floor: Array, content_floor: float
) -> tuple[Array, Array, Array, Array]:
    """The first of seven nested boxes, from the drawn one to the full frame, that holds enough contrast and detail.

    Returns: box (B, 4), steps taken (B,) (0: as drawn), and the drawn box's std and detail share.
    """
    if is_number(std_floor):  # one image: no box is judged after the first that will do
        drawn = _judge(stats, box)
        std, content, step = *drawn, 0
        while not (std >= std_floor and content >= content_floor) and step < BOX_STEPS - 1:
            step += 1
            std, content = _judge(stats, _nested(box, step / (BOX_STEPS - 1)))
        return _nested(box, step / (BOX_STEPS - 1)) if step else box, step, *drawn
    if not may_look(box):
        return _enlarged(stats, box, std_floor, content_floor)
    std, content = (found[:, 0] for found in _judge(stats, _nested(box, 0.0)))
    enough = (std >= std_floor) & (content >= content_floor)
    step, rows = integer(std * 0.0), logical_not(enough).nonzero()[:, 0]
    if len(rows):  # few of a batch
        box = box.clone()
        box[rows], step[rows], _, _ = _enlarged(stats.rows(rows), box[rows], std_floor[rows], content_floor)
    return box, step, std, content


def _enlarged(
    stats: ImageStats, box: Array, std_floor: Array, content_floor: float
) -> tuple[Array, Array, Array, Array]:
    """What `choose_box` gives, with all seven boxes of every image of a batch judged."""
    boxes = _nested(box, (arange(BOX_STEPS, box) / (BOX_STEPS - 1))[None, :])
    std, content = _judge(stats, boxes)
    step = first_true((std >= std_floor[:, None]) & (content >= content_floor))
    return stack([pick(side, step) for side in boxes]), step, std[:, 0], content[:, 0]


def content_in_view(stats: ImageStats, matrix: Array) -> Array:
    """(B,) share of the image's detail that a view's (B, 3, 3) matrix keeps: cells of the detail map whose
    centre, taken back to the view, lies inside it."""
    detail = stats.detail_map
    xp, cells = namespace(detail), detail.shape[-1]
    centre = (arange(cells, detail) + 0.5) / cells
    x, y = centre[None, None, :], centre[None, :, None]

    # The adjugate is the inverse up to a factor, which homogeneous coordinates do not see.
    c = cofactors(matrix)
    u, v, w = (
        column(part(c, 0, i), 2) * x + column(part(c, 1, i), 2) * y + column(part(c, 2, i), 2)
        for i in range(3)
    )
    reach = xp.abs(w)
    inside = (xp.abs(u) <= reach) & (xp.abs(v) <= reach)
    return number((detail * inside).sum((1, 2)))


# --- the safe crop ----------------------------------------------------------------------------------------
def lift(mean: Array, limit: Limits) -> tuple[Array, Array]:
    """The least affine shift of tone that brings a crop's mean into the promised range: (scale, offset).

    Towards white (1 - t) x + t, or towards black (1 - t) x, so that no pixel newly clips and the mean moves
    exactly. (1, 0) where the crop is inside already.
    """
    margin = 0.3 * LEVEL  # rounding to levels may not undo it
    up = clamp((limit.low + margin - mean) / larger(1.0 - mean, 1e-6), 0.0, 1.0)
    down = clamp(1.0 - (limit.high - margin) / larger(mean, 1e-6), 0.0, 1.0)
    xp = namespace(mean)
    up = xp.where(mean < limit.low, up, 0.0)
    down = xp.where(mean > limit.high, down, 0.0)
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
        xp = namespace(target)
        above, below = self.high_tail - self.mean, self.mean - self.low_tail
        top = xp.where(above > 1e-6, (TOP - target) / larger(above, 1e-6), 1e6)
        bottom = xp.where(below > 1e-6, (target - BOTTOM) / larger(below, 1e-6), 1e6)
        return larger(smaller(top, bottom), self.least_gain)


def tone_room(crop: CropStats, coloured: Array, limit: Limits) -> ToneRoom:
    """Feasible means and gains of a crop whose sampled channels, after its colour matrix, are `coloured` (B, 3, N).

    A pixel clips when its greatest channel passes TOP or its least passes BOTTOM; pixels already at 0 or 255
    in the crop do not count. With H and L the channel values that the allowed share of pixels exceeds, the
    gain g and mean' must satisfy mean' + g (H - mean) <= TOP and mean' - g (mean - L) >= BOTTOM.
    """
    xs, xp = namespace(coloured), namespace(crop.mean)
    greatest, least = extremes(coloured)
    count = greatest.shape[-1]
    allowed = int(0.8 * limit.promise.clip * count)  # 0.8: the samples are a part of the pixels
    high_tail = ranked(xs.where(crop.clipped, -9.0, greatest), count - 1 - allowed)
    low_tail = ranked(xs.where(crop.clipped, 9.0, least), allowed)
    least_gain = clamp(1.1 * limit.std / larger(crop.std, 1e-6), 0.0, 6.0)
    margin = LEVEL
    low = larger(BOTTOM + least_gain * larger(crop.mean - low_tail, 0.0), limit.low + margin)
    high = smaller(TOP - least_gain * larger(high_tail - crop.mean, 0.0), limit.high - margin)
    reason_low = integer(xp.where(limit.dark & (limit.own > low), float(DARK), float(CLIPPING)))
    reason_high = integer(xp.where(limit.bright & (limit.own < high), float(BRIGHT), float(CLIPPING)))
    low = xp.where(limit.dark, larger(low, limit.own), low)
    high = xp.where(limit.bright, smaller(high, limit.own), high)
    stay = clamp(crop.mean, limit.low, limit.high)
    impossible = low > high
    return ToneRoom(
        crop.mean, crop.std, xp.where(impossible, stay, low), xp.where(impossible, stay, high), least_gain,
        high_tail, low_tail, reason_low, reason_high,
    )  # fmt: skip


def luma_share(crop: CropStats) -> Array:
    """(B,) luma's variance over the mean variance of the channels: 1 for grey, 0 for isoluminant content."""
    channels = sum(part(crop.covariance, i, i) for i in range(3)) / 3.0
    return crop.sampled_luma[1] / larger(channels, 1e-9)


def tone_strength(crop: CropStats, target: Array, limit: Limits) -> Array:
    """The greatest of 1, 1/2, 0 at which the drawn tone keeps the promise on the sampled pixels.

    `target` (B, 3, N) is each sampled channel after the drawn tone, unclipped.
    """

    def at_half(crop: CropStats, target: Array, limit: Limits) -> Array:
        return 0.5 * double(_tone_keeps(crop, crop.samples + 0.5 * (target - crop.samples), limit))

    whole = _tone_keeps(crop, target, limit)
    if is_number(whole):
        return 1.0 if whole else at_half(crop, target, limit)
    if not may_look(whole):
        return namespace(whole).where(whole, 1.0, at_half(crop, target, limit))
    strength, rows = double(whole), logical_not(whole).nonzero()[:, 0]
    if len(rows):  # few of a batch
        strength[rows] = at_half(crop.rows(rows), target[rows], limit.rows(rows))
    return strength


def _tone_keeps(crop: CropStats, channels: Array, limit: Limits) -> Array:
    """(B,) whether the samples keep the promise with these (B, 3, N) channels, unclipped."""
    xp = namespace(crop.mean)
    greatest, least = extremes(channels)
    newly = ((greatest > TOP) | (least < BOTTOM)) & ~crop.clipped
    share = how_many(newly) / channels.shape[-1]
    luma_mean, variance = mean_variance(weighted(LUMA, clamp(channels, 0.0, 1.0)))
    own_mean, own_variance = crop.sampled_luma
    # The samples give the change of mean and std; where it starts is known from all of the pixels.
    mean = crop.mean + luma_mean - own_mean
    std = crop.std * xp.sqrt(variance / larger(own_variance, 1e-9))
    ok = (share <= 0.87 * limit.promise.clip) & (std >= 1.05 * limit.std + 0.5 * LEVEL * (limit.std > 0))
    ok = ok & (mean >= limit.low + 0.5 * LEVEL) & (mean <= limit.high - 0.5 * LEVEL)
    ok = ok & logical_not(limit.dark & (mean < limit.own - 0.2 * LEVEL))
    return ok & logical_not(limit.bright & (mean > limit.own + 0.2 * LEVEL))


def blur_limit(crop: CropStats, size: int) -> Array:
    """Greatest sigma (pixels of the view) that leaves a crop most of its contrast: .6 correlation lengths."""
    return clamp(0.6 * crop.reach, 0.0, 5.0) if size > 32 else crop.mean * 0.0


# --- the certificate --------------------------------------------------------------------------------------
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


def needs_repair(crop: CropStats, limit: Limits) -> Array:
    """(B,) whether a filtered crop already breaks the promise, so that its tone must move even if none was drawn."""
    outside = (crop.mean < limit.low) | (crop.mean > limit.high) | (crop.std < limit.std)
    behind = (limit.dark & (crop.mean < limit.own - 0.5 * LEVEL)) | (
        limit.bright & (crop.mean > limit.own + 0.5 * LEVEL)
    )
    return outside | behind


def certify(seen: Evidence, limit: Limits) -> tuple[Array, Array]:
    """How much of a view may stand: (strength, failed test), (B,) each.

    A view that fails is drawn back to crop + trunc(s (view - crop)), s = .75, .5, .25, 0: the first that
    passes. Mean, variance and correlation of these follow from the moments in closed form (truncation is
    towards the crop, which is valid itself, and moves no value by a level), and a truncated step never
    reaches 0 or 255 unless the crop is there already, so (b) holds for every s < 1. s = 0 is the safe crop.
    Luma is in whole levels here, so a correlation may be off by half a level over each deviation: it must pass by
    that much, and a crop of isoluminant colours, all rounding, is its own view.
    """
    xp = namespace(seen.mean)
    variance, plain = seen.whole_std**2, seen.std**2
    own = seen.crop_std**2
    strength, done = seen.mean * 0.0, seen.mean > 9.0
    failed = None
    for s in STRENGTHS:
        slack = 0.0 if s == 1.0 else 0.5 * LEVEL
        mean = seen.crop_mean + s * (seen.mean - seen.crop_mean)
        std2 = (1 - s) ** 2 * own + 2 * s * (1 - s) * seen.plain_covariance + s * s * plain
        all2 = (1 - s) ** 2 * own + 2 * s * (1 - s) * seen.covariance + s * s * variance
        common = (1 - s) * own + s * seen.covariance
        std_ok = xp.sqrt(larger(std2, 0.0)) >= limit.std + slack * (1.0 if s else 0.0)
        clip_ok = (seen.clipped <= limit.promise.clip) | (s < 1.0)
        mean_ok = (mean >= limit.low) & (mean <= limit.high)
        all2 = larger(all2, 1e-12)
        rounding = 0.5 * LEVEL * (larger(own, 1e-12) ** -0.5 + all2**-0.5)
        floor = limit.promise.correlation + rounding + (0.0 if s == 1.0 else 0.02)
        like_ok = (common * common >= floor**2 * own * all2) & (common * common > 0.0) | (s == 0.0)
        further = limit.dark & (mean < seen.crop_mean - 0.5 * LEVEL)
        further = further | (limit.bright & (mean > seen.crop_mean + 0.5 * LEVEL))
        ok = std_ok & clip_ok & mean_ok & like_ok & logical_not(further)
        strength = xp.where(done | logical_not(ok), strength, s)
        done = done | ok
        if failed is None:
            code = xp.where(further, 5.0, 0.0)
            for number, test in ((4.0, like_ok), (3.0, mean_ok), (2.0, clip_ok), (1.0, std_ok)):
                code = xp.where(test, code, number)
            failed = integer(code)
        if none_true(logical_not(done)):
            break
    return strength, failed
