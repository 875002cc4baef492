"""The statistics that tell glyphs, text and photographs apart: what they mean, and the same bits in the core."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data as samples
from skimage.filters import threshold_otsu

from adaptaug.core import engine, records
from adaptaug.policy import Policy
from adaptaug.policy.request import Request
from adaptaug.policy.routes import RULED
from adaptaug.stats.image import measure_pixels
from adaptaug.stats.subject import black, ink, separation, statistic, strokes, two_levels


def stats_of(image: np.ndarray):
    image = np.repeat(image[:, :, None], 3, 2) if image.ndim == 2 else image
    return measure_pixels(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None])


def glyph(side: int = 28) -> np.ndarray:
    """A ring and a bar through it."""
    y, x = np.mgrid[:side, :side] - side // 2
    away = np.hypot(x, y)
    return 255 * ((np.abs(away - side / 4) < 2) | (np.abs(x) < 2) & (away < side / 3)).astype(np.uint8)


def test_two_levels_are_otsus():
    image = samples.coins()
    histogram = np.bincount(image.ravel(), minlength=256)
    share, highest = two_levels(torch.from_numpy(histogram)[None])
    upper = image > threshold_otsu(image)
    between = upper.mean() * (1 - upper.mean()) * (image[upper].mean() - image[~upper].mean()) ** 2
    assert float(highest[0]) == threshold_otsu(image)
    assert float(share[0]) == pytest.approx(between / image.var(), rel=1e-9)


def test_one_level_is_nothing():
    flat = stats_of(np.full((40, 40), 7, np.uint8))
    assert [float(value(flat)[0]) for value in (separation, ink, strokes, black)] == [0, 0, 0, 0]
    assert float(black(stats_of(np.zeros((9, 9), np.uint8)))[0]) == 1


def test_ink_is_on_one_side_of_text_only():
    page, cat = samples.page(), samples.chelsea()
    assert float(ink(stats_of(page))[0]) > 0.4
    assert float(ink(stats_of(255 - page))[0]) == pytest.approx(-float(ink(stats_of(page))[0]), abs=0.001)
    assert abs(float(ink(stats_of(cat))[0])) < 0.1


def test_ink_in_words():
    """One dark pixel in each light cell: the mean lies 31/32 of half a range above the middle."""
    image = np.full((16, 16), 200, np.uint8)
    image[3::8, 5::8] = 100
    assert float(ink(stats_of(image))[0]) == pytest.approx(31 / 32)
    assert float(ink(stats_of(image[:7]))[0]) == 0  # no whole cell


def test_a_glyph_has_few_strokes_and_a_page_many():
    assert 1 < float(strokes(stats_of(glyph()))[0]) < 3
    assert float(strokes(stats_of(255 - glyph()))[0]) == float(strokes(stats_of(glyph()))[0])
    assert float(strokes(stats_of(samples.page()))[0]) > 6
    bars = np.zeros((20, 30), np.uint8)
    bars[4:8, 2:5] = bars[4:8, 10:13] = 255  # rows meet two pieces, columns one
    assert float(strokes(stats_of(bars))[0]) == pytest.approx((4 * 2 + 6) / (4 + 6))


@pytest.mark.skipif(not engine.usable(), reason="there is no core")
@pytest.mark.parametrize(
    "shape", [(28, 28), (150, 200), (33, 70), (2, 2), (7, 9), (257, 511), (1100, 700)], ids=str
)
@pytest.mark.parametrize("names", [RULED[::2], RULED[1::2]], ids=["even", "odd"])
def test_the_core_measures_the_same(names, shape, photo):
    """Every statistic that a rule may name, asked for by rules that never hold."""
    never = [{"subject": name, "when": {name: [1e9, None]}, "policy": "natural"} for name in names]
    policy = Policy.parse({"version": 1, "routes": [*never, {"subject": "rest", "policy": "natural"}]})
    for image in (
        photo("coffee", shape[1], shape[0]),
        np.uint8(photo("rocket", shape[1], shape[0]) > 90) * 255,
    ):
        _, reports = engine.make_views(
            engine.source_of(image),
            Request(policy, 32, range(1)),
            np.array([[1, 2, 3]]),
            engine.INTERLEAVED_RGB,
        )
        stats = stats_of(image)
        for name in names:
            value = reports["statistic"][0, 0][records.PLACES[name]]
            assert value == pytest.approx(float(statistic(stats, name)[0]), rel=1e-11, abs=1e-11), name
        for name in {"levels", "black", "ink", "strokes"} & {*names}:
            assert reports["statistic"][0, 0][records.PLACES[name]] == float(statistic(stats, name)[0]), name
