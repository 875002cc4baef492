"""Views that grow while a network trains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptaug.simclr.growing import Growing, cost, sides


def test_sides_are_eighths_of_the_last():
    assert sides(16, 32) == [16, 20, 24, 28, 32]
    assert sides(128, 224) == [140, 168, 196, 224]
    assert sides(32, 32) == [32]


@given(size=st.integers(8, 512), share=st.floats(0, 1), steps=st.integers(1, 400))
def test_no_step_is_smaller_than_the_one_before_and_the_last_quarter_is_whole(size, share, steps):
    first = max(1, round(share * size))
    growing = Growing(lambda side: side, first, size, steps)
    seen = [growing.at(step) for step in range(steps)]
    assert seen == sorted(seen) and first <= seen[0]
    assert all(side == size for side in seen[int(0.75 * steps) + 1 :])


@given(size=st.integers(8, 512), share=st.floats(0, 1))
def test_cost_is_that_of_the_steps(size, share):
    first = max(1, round(share * size))
    growing = Growing(lambda side: side, first, size, 4000)
    measured = np.mean([(growing.at(step) / size) ** 2 for step in range(4000)])
    assert measured == pytest.approx(cost(first, size), abs=2e-3)


def test_nothing_grows_by_default():
    growing = Growing(lambda side: side, 0, 32, 4)
    assert [growing.at(step) for step in range(4)] == [32] * 4 and cost(32, 32) == 1
