"""Why a parameter has the range it has, and which test a view failed: numbers that are saved, and what they say.

Append only: the numbers stand in saved ViewParams and in the core (`core/plan.h`).
"""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """Of a parameter's safe range; its sentence, whose {numbers} are statistics of the image, is in REASONS."""

    NOT_DRAWN = 0
    WHOLE_RANGE = 1
    UNGUARDED = 2
    BOX_ENLARGED = 3
    DISTORTION_REDUCED = 4
    DARK = 5
    BRIGHT = 6
    CLIPPING = 7
    EXCLUSIVE = 8
    TOO_SMALL = 9
    SHARPNESS = 10
    ISOLUMINANT = 11
    FLAT_CROP = 12
    KEEPS_CONTRAST = 13
    TONE_REDUCED = 14
    OVERLAP_MOVED = 15
    OVERLAP_RESIZED = 16
    CONTENT_WON = 17
    OVERLAP_OUT_OF_REACH = 18
    GREY_STAYS = 19
    COLOUR_CLIPS = 20
    ABSENT = 21


class Test(IntEnum):
    """Of the certificate, in the order in which they are named: the first that a view fails; TESTS says it."""

    PASSED = 0
    CONTRAST = 1
    CLIPPED = 2
    MEAN = 3
    LIKE = 4
    FURTHER = 5


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
    "the crop is grey or nearly so (chroma {crop_chroma:.3f}) and stays so: {chroma_share:.0%} of the change",
    "drawn back to {chroma_share:.0%} of the change, so that at most {clip:.0%} of the pixels newly clip",
    "not an operation of this image's policy",
)
TESTS = (
    "passed",
    "(a) too little contrast left",
    "(b) too many pixels clipped",
    "(c) too dark or too bright",
    "(d) no longer resembles its crop",
    "further out than its own crop, from a dark or bright source",
)
