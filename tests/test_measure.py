"""Statistics: against NumPy's and scikit-image's own, and the same for an array and a tensor."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage.measure import shannon_entropy

import adaptaug
from adaptaug.backend.levels import box_reduce, luma_levels
from adaptaug.stats.crop import CropStats

NAMES = ("astronaut", "chelsea", "coffee", "rocket")
DERIVED = (
    "luma", "thumb", "histogram", "colour", "mean", "contrast", "dark_fraction", "bright_fraction", "entropy",
    "chroma", "colourfulness", "grey", "detail_map", "centroid", "spread", "detail_box", "sharpness",
    "border_uniformity", "foreground_fraction", "detail_total",
)  # fmt: skip


def rounded_luma(image: np.ndarray) -> np.ndarray:
    return np.rint(image @ np.array([0.299, 0.587, 0.114])) / 255


@pytest.fixture(params=NAMES)
def image(request, photo) -> np.ndarray:
    """Not over 256 px, so that statistics are of the pixels themselves."""
    return photo(request.param, 200, 150)


def test_mean_and_contrast_are_those_of_luma(image):
    stats, luma = adaptaug.measure(image), rounded_luma(image)
    assert stats.mean[0] == pytest.approx(luma.mean(), abs=2e-4)
    assert stats.contrast[0] == pytest.approx(luma.std(), abs=2e-4)


def test_a_large_image_measures_as_its_average(photo):
    large = photo("astronaut", 512, 512)
    stats = adaptaug.measure(large)
    assert stats.mean[0] == pytest.approx(rounded_luma(large).mean(), abs=2e-3)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
def test_quantiles_are_numpys(image, share):
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255
    expected = np.quantile(luma, share, method="inverted_cdf")
    assert adaptaug.measure(image).quantile(share)[0] == pytest.approx(expected, abs=1e-9)


def test_dark_and_bright_fractions(image):
    stats, luma = adaptaug.measure(image), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255
    assert stats.dark_fraction[0] == pytest.approx((luma < 0.05).mean(), abs=1e-9)
    assert stats.bright_fraction[0] == pytest.approx((luma > 0.95).mean(), abs=1e-9)


def test_entropy_is_scikit_images(image):
    assert adaptaug.measure(image).entropy[0] == pytest.approx(
        shannon_entropy(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 8), abs=1e-9
    )


def test_colourfulness_is_the_published_formula(photo):
    image = photo("astronaut", 64, 64)  # no larger than the thumbnail it is measured on
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    rg, yb = red - green, (red + green) / 2 - blue
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert adaptaug.measure(image).colourfulness[0] == pytest.approx(expected, rel=1e-9)


def test_colourfulness_on_the_thumbnail_is_near_that_of_the_pixels(image):
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    rg, yb = red - green, (red + green) / 2 - blue
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert adaptaug.measure(image).colourfulness[0] == pytest.approx(expected, rel=0.1)


def test_grey_flag(image):
    assert not adaptaug.measure(image).grey[0]
    assert adaptaug.measure(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).grey[0]


def test_detail_map_finds_the_subject(photo):
    field = np.full((128, 128, 3), 90, np.uint8)
    field[80:112, 16:48] = photo("chelsea", 32, 32)
    stats = adaptaug.measure(field)
    assert stats.detail_map.sum() == pytest.approx(1.0)
    assert stats.detail_map[0, 5:7, 1:3].sum() > 0.8
    assert np.allclose(stats.centroid[0], [0.25, 0.75], atol=0.06)
    x0, y0, x1, y1 = stats.detail_box[0]
    assert x0 < 0.25 < x1 and y0 < 0.75 < y1 and (x1 - x0) * (y1 - y0) < 0.15


@pytest.mark.parametrize("shape", [(150, 200), (375, 500), (33, 70), (600, 2), (2, 2), (257, 511)])
def test_array_and_tensor_measure_the_same(shape, photo, to_tensor):
    image = photo("coffee", shape[1], shape[0])
    ours, theirs = adaptaug.measure(image), adaptaug.measure(to_tensor(image))
    for name in DERIVED:
        assert np.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-9), name


@pytest.mark.parametrize("shape", [(150, 200), (33, 70), (2, 2)])
def test_sums_over_boxes_are_those_of_their_pixels(shape, photo, to_tensor):
    image = photo("coffee", shape[1], shape[0])
    batch = adaptaug.measure(torch.stack([to_tensor(image)] * 2))
    luma, detail = batch.thumb[0].long().numpy(), batch._detail[0].numpy()
    rows, columns = luma.shape
    boxes = [(0, 0, columns, rows), (0, 0, 1, 1), (columns - 1, rows - 1, columns, rows)]
    boxes += [(columns // 3, rows // 4, columns // 3 + 1 + columns // 2, rows)]
    inside = [(slice(y0, y1), slice(x0, x1)) for x0, y0, x1, y1 in boxes]
    expected = [[plane[part].sum() for part in inside] for plane in (luma, luma**2, detail)]
    ends = torch.tensor(boxes, dtype=torch.float64).T
    found = batch.box_sums(*(end.repeat(2, 1) for end in ends))
    for image_sums in zip(*found, strict=True):
        assert np.array_equal(np.stack(image_sums), expected)


def test_a_batch_measures_as_its_images(photo, to_tensor):
    images = [photo(name, 120, 90) for name in NAMES]
    together = adaptaug.measure(torch.stack([to_tensor(image) for image in images]))
    for index, image in enumerate(images):
        assert together.summary(index) == adaptaug.measure(image).summary()


@pytest.mark.parametrize("side", [60, 1100])  # of the larger every other pixel is measured
def test_rows_of_a_batch_measure_as_before(side, photo, to_tensor):
    together = adaptaug.measure(torch.stack([to_tensor(photo(name, side, 50)) for name in NAMES]))
    some = together.rows(torch.tensor([2, 0]))
    assert [some.summary(0), some.summary(1)] == [together.summary(2), together.summary(0)]


@pytest.mark.parametrize("name", NAMES)
def test_luma_is_the_same_integer_in_both(name, photo, to_tensor):
    image = photo(name, 200, 150)
    assert np.array_equal(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), luma_levels(to_tensor(image)[None].float())[0]
    )


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("shape", [(60, 84), (61, 83)])
def test_box_reduce_is_the_same_levels_in_both(factor, shape, photo, to_tensor):
    image = photo("coffee", shape[1], shape[0])
    by_torch = box_reduce(to_tensor(image)[None].float(), factor)[0].permute(1, 2, 0).numpy()
    assert by_torch.shape == (-(-shape[0] // factor), -(-shape[1] // factor), 3)
    if shape == (60, 84) and not any(side % factor for side in shape):
        plain = cv2.resize(image, (84 // factor, 60 // factor), interpolation=cv2.INTER_AREA)
        assert np.abs(by_torch - plain).max() <= (factor == 4)  # halved twice, rounded in between


def test_crop_statistics_are_those_of_its_luma(photo, to_tensor):
    crop = photo("astronaut", 96, 96)
    levels = to_tensor(crop)[None].float()
    ours = CropStats(levels, luma_levels(levels))
    assert float(ours.mean[0]) == pytest.approx(rounded_luma(crop).mean(), abs=2e-4)
    assert float(ours.std[0]) == pytest.approx(rounded_luma(crop).std(), abs=2e-4)
