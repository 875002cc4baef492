"""Views of an image file's bytes: the same as of its pixels, from no more of them than needed."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

import adaptaug
from adaptaug.backend import keys
from adaptaug.pipeline import encoded
from adaptaug.policy.request import Request

SIZE = 32


def jpeg(image: np.ndarray, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, quality=95)
    return buffer.getvalue()


def test_a_small_jpeg_gives_the_views_of_its_pixels(photo):
    data = jpeg(photo("coffee", 60, 45))
    views = adaptaug.Views("natural", size=SIZE, finish="none")
    for index in range(6):
        key = (0, 0, index)
        for ours, theirs in zip(views(data, key=key), views(adaptaug.decode(data), key=key), strict=True):
            assert np.array_equal(ours, theirs)


def averaged(image: np.ndarray, params: adaptaug.ViewParams) -> np.ndarray:
    """The crop by area resampling: eight samples a pixel each way, averaged."""
    (sx, _, cx), (_, sy, cy) = params.matrix[0][:2]
    place = (np.arange(8 * SIZE) + 0.5) / (4 * SIZE) - 1.0
    xs, ys = (cx + sx * place) * image.shape[1] - 0.5, (cy + sy * place) * image.shape[0] - 0.5
    grid = np.meshgrid(xs.astype(np.float32), ys.astype(np.float32))
    fine = cv2.remap(image, *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return cv2.resize(fine.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def test_a_large_jpeg_is_shrunk_and_no_further_from_the_average(photographs):
    """Crops alone, against area resampling of all pixels: no worse than what decoding all of them gives."""
    data = jpeg(photographs["astronaut"])
    policy = adaptaug.Policy.parse(
        {"version": 1, "guards": False, "operations": {"crop": {"area": [0.08, 1]}}}
    )
    augment, whole = adaptaug.AdaptiveAugment(policy, SIZE), adaptaug.decode(data)
    shrunk, full = [], []
    for index in range(12):
        key = (0, 0, index)
        wanted = averaged(whole, augment.plan(whole, key=key))
        view = (
            adaptaug.Views(policy, n=1, size=SIZE, finish="uint8")(data, key=key)[0].permute(1, 2, 0).numpy()
        )
        shrunk.append(np.abs(view - wanted).mean())
        full.append(np.abs(augment(whole, key=key) - wanted).mean())
    assert np.mean(shrunk) <= np.mean(full)


def test_large_jpegs_are_shrunk():
    views = adaptaug.Views("natural", size=SIZE)
    shrinks = [
        encoded.affordable(Request(views.policy, SIZE, views.numbers), keys.as_rows((0, 0, i), 1))(512, 512)
        for i in range(20)
    ]
    assert set(shrinks) == {4, 8} | set(shrinks) & {1, 2}


def test_no_crop_has_fewer_pixels_than_the_view(photo):
    """Whatever the shrink, the crop in the decoded image has the view's size at least."""
    image = photo("rocket", 640, 400)
    views = adaptaug.Views("natural", size=SIZE, return_params=True)
    for index in range(20):
        _, params = views(jpeg(image), key=(1, 0, index))
        shrink = encoded.affordable(
            Request(views.policy, SIZE, views.numbers), keys.as_rows((1, 0, index), 1)
        )(640, 400)
        for one in params:
            width, height = (float(one.evidence[f"box_{side}"][0]) for side in ("width", "height"))
            assert min(width * 640, height * 400) / shrink >= SIZE - 1e-6


def test_a_policy_that_looks_before_it_draws_gets_all_pixels():
    coupled = adaptaug.Policy.load("natural").edit(pair={"overlap": [0.3, 0.6]})
    for policy in (coupled, adaptaug.Policy.load("auto")):
        assert encoded.affordable(Request(policy, SIZE, range(2)), keys.as_rows(0, 1))(4096, 4096) == 1


def test_other_formats_and_damaged_files(photo):
    image = photo("coffee", 64, 48)
    assert np.array_equal(adaptaug.decode(jpeg(image, "PNG")), image)
    for data in (jpeg(image)[:-200], b"", b"no image"):
        with pytest.raises(adaptaug.AdaptAugError, match="the image's bytes"):
            adaptaug.decode(data)
    with pytest.raises(adaptaug.AdaptAugError, match="decode"):
        adaptaug.measure(jpeg(image))
