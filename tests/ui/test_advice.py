"""What an image looks like, and the preset that is offered for it."""

from __future__ import annotations

import numpy as np
import pytest

from adaptaug import Policy
from adaptaug.report.profile import Profile
from adaptaug.ui import advice, logic

SAMPLES = dict(logic.sample_images())


@pytest.mark.parametrize("name", SAMPLES)
def test_an_image_is_taken_for_what_a_data_set_of_it_would_be(name) -> None:
    source = logic.as_source(name, np.array(SAMPLES[name]))
    told, whole = advice.advise(source), Profile()
    whole.add(name, source.pixels)
    assert told is not None and told.preset == whole.suggestion()[0]
    assert (
        told.because.count("here: ") == 1
        and "above" not in advice.html(told, Policy.load("simclr")).split("(")[0]
    )


def test_the_button_is_there_where_the_policy_is_another() -> None:
    told = advice.Advice("documents", "text")
    edited = Policy.load("documents").edit({"blur": None}, name="documents (edited)")
    assert 'data-preset="documents"' in advice.html(told, Policy.load("natural"))
    assert "<button" not in advice.html(told, edited) + advice.html(told, Policy.load("documents"))


def test_a_blank_image_looks_like_nothing() -> None:
    blank = logic.as_source("blank", np.full((64, 64, 3), 128, np.uint8))
    assert advice.advise(blank) is None and advice.html(None, Policy.load("natural")) == ""
