"""One operation alone on one image."""

from __future__ import annotations

import numpy as np
import pytest

import adaptaug
from adaptaug import Policy
from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import Promise
from adaptaug.ui import logic, sweep, sweep_html

CAT = logic.as_source("cat", np.array(dict(logic.sample_images())["cat"]))


@pytest.mark.parametrize("name", OPS)
def test_every_operation_has_strips_that_keep_what_changes_nothing(name) -> None:
    op = OPS[name]
    strips = sweep.sweep(CAT, op, 48, Promise())
    assert [strip.parameter for strip in strips] == list(sweep.parameters(op))
    for strip in strips:
        part = op.parameters[strip.parameter]
        assert (strip.values[0], strip.values[-1]) == pytest.approx(
            (part.identity, part.high) if op.switch else (part.low, part.high)
        )
        for view, kind in zip(strip.views, strip.kinds, strict=True):
            assert (kind == "broken") == bool(view.failures)
        if part.low <= part.identity <= part.high or op.switch:
            rest = min(range(len(strip.values)), key=lambda i: abs(strip.values[i] - part.identity))
            assert strip.kinds[rest] == "kept"
    drawn = sweep_html.html(name, strips, Policy.load("natural"))
    assert op.formula and drawn.count("<figure>") == sum(2 if op.switch else 5 for _ in strips)
    assert drawn.count("<svg") == (0 if op.switch else len(strips))


def test_what_is_pictured_is_the_operation_alone_without_guards() -> None:
    (strip,) = sweep.sweep(CAT, OPS["posterize"], 48, Promise())
    assert strip.kinds[0] == "broken" and strip.kinds[-1] == "kept"
    policy = Policy(name="one", guards=False, operations={"posterize": {"range": [1, 1]}})
    size = sweep.reduced(CAT)
    assert np.array_equal(
        strip.views[0].pixels, adaptaug.AdaptiveAugment(policy, 48)(size.pixels, key=(0, 0, 0))
    )
    safe = sweep_html.sentence(OPS["posterize"], strip)
    assert safe.startswith("Safe for this image: ") and "breaks the promise: 1 to " in safe


def test_guards_that_draw_back_are_told_from_a_promise_that_breaks() -> None:
    """Colour that alone carries the content: greying it is what the guards refuse."""
    tiles = np.indices((96, 96)).sum(0) // 12 % 2
    red, green = np.array([200, 60, 60]), np.array([20, 137, 60])  # of equal luma
    source = logic.as_source("tiles", np.where(tiles[..., None], red, green).astype(np.uint8))
    (strip,) = sweep.sweep(source, OPS["saturation"], 48, Promise())
    assert strip.kinds[0] == "back" and strip.kinds[7] == "kept"  # -1 and .05
    assert strip.runs("back")[0][0] == 0


def test_a_sweep_is_made_once_for_an_image_and_a_promise() -> None:
    made = sweep.Sweeps()
    first = made.of(CAT, "hue", 32, Promise())
    assert made.of(CAT, "hue", 32, Promise()) is first
    assert made.of(CAT, "hue", 32, Promise(clip=0.05)) is not first
    assert made.of(logic.as_source("cat", CAT.pixels), "hue", 32, Promise()) is not first
