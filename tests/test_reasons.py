"""Reasons and the certificate's tests are saved by their numbers: one that is there keeps its own, new ones follow."""

from __future__ import annotations

import re
from pathlib import Path

import adaptaug
from adaptaug.promise import reasons
from adaptaug.promise.reasons import REASONS, TESTS, Reason

PROMISED = [
    "NOT_DRAWN", "WHOLE_RANGE", "UNGUARDED", "BOX_ENLARGED", "DISTORTION_REDUCED", "DARK", "BRIGHT", "CLIPPING",
    "EXCLUSIVE", "TOO_SMALL", "SHARPNESS", "ISOLUMINANT", "FLAT_CROP", "KEEPS_CONTRAST", "TONE_REDUCED",
    "OVERLAP_MOVED", "OVERLAP_RESIZED", "CONTENT_WON", "OVERLAP_OUT_OF_REACH", "GREY_STAYS", "COLOUR_CLIPS",
    "ABSENT",
]  # fmt: skip


def test_numbers_stay() -> None:
    assert [Reason(number).name for number in range(len(PROMISED))] == PROMISED
    assert {test.name: test.value for test in reasons.Test} == {
        "PASSED": 0, "CONTRAST": 1, "CLIPPED": 2, "MEAN": 3, "LIKE": 4, "FURTHER": 5,
    }  # fmt: skip


def test_each_has_a_sentence() -> None:
    assert len(REASONS) == len(Reason)
    assert len(TESTS) == len(reasons.Test)


def test_the_core_counts_alike() -> None:
    header = (Path(adaptaug.__file__).parent / "core" / "plan.h").read_text()
    listed = re.search(r"enum \{  // promise/reasons\.py\n(.*?)\};", header, re.S)
    assert listed is not None
    assert re.findall(r"[A-Z_]+", listed[1]) == [reason.name for reason in Reason]
