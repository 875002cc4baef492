"""Composition decides: where the content lies changes which crops are valid."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug.backend import keys
from adaptaug.pipeline import generate
from adaptaug.pipeline.inputs import read
from adaptaug.policy import Policy
from benchmarks.scenes import SCENES, SIDE, detail

KEYS = 60
SIZE = 64


def crops(image, policy, stats=None):
    """(KEYS, 4) x0, y0, x1, y1 in pixels and the first reason of each; `stats` may be another image's."""
    pixels = read(image).levels()
    policy = Policy.load(policy)
    look = generate.look(pixels, policy, SIZE)
    look = replace(look, stats=stats) if stats is not None else look
    boxes, reasons = [], []
    for number in range(KEYS):
        rows = torch.from_numpy(keys.as_rows((3, 0, number), 1))
        _, params = generate.make_view(pixels, rows, 0, look)
        x, y, w, h = (float(params.evidence[f"box_{part}"][0]) for part in ("x", "y", "width", "height"))
        boxes.append((x * SIDE, y * SIDE, (x + w) * SIDE, (y + h) * SIDE))
        reasons.append(params.explain().rows[0]["reason"])
    return np.array(boxes), reasons


def held(image, boxes):
    """Share of the image's detail in each box, from the full-resolution pixels."""
    steps = detail(image)
    total = steps.sum()
    return np.array(
        [
            steps[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))].sum() / total
            for x0, y0, x1, y1 in boxes
        ]
    )


def touches(boxes, x0, y0, x1, y1):
    return (boxes[:, 0] < x1) & (boxes[:, 2] > x0) & (boxes[:, 1] < y1) & (boxes[:, 3] > y0)


def enlarged(reasons):
    return np.mean(["enlarged" in reason for reason in reasons])


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("policy", ["natural", "digits"])
def test_no_view_loses_the_content_below_its_floor(name, policy):
    image = SCENES[name]()
    floor = Policy.load(policy)["crop"].content
    # The plan judges on a thumbnail of 64 px: its pixel is 4 of ours, hence the slack.
    assert held(image, crops(image, policy)[0]).min() >= 0.6 * floor


def test_a_subject_in_the_corner_is_in_every_crop():
    boxes, reasons = crops(SCENES["a small subject in a corner"](), "natural")
    assert touches(boxes, 186, 186, 246, 246).all()
    assert enlarged(reasons) > 0.15


def test_two_subjects_are_seen_one_at_a_time_and_together():
    boxes, _ = crops(SCENES["two subjects at opposite edges"](), "natural")
    left, right = touches(boxes, 4, 90, 76, 170), touches(boxes, 180, 90, 252, 170)
    assert (left | right).all()
    assert (left & ~right).any() and (right & ~left).any() and (left & right).any()


def test_every_crop_of_a_sky_reaches_the_horizon():
    boxes, reasons = crops(SCENES["an empty sky with a horizon"](), "natural")
    assert (boxes[:, 3] > 206).all()
    assert enlarged(reasons) > 0.15


def test_a_centred_portrait_is_cropped_freely():
    boxes, reasons = crops(SCENES["a centred portrait"](), "natural")
    assert enlarged(reasons) < 0.05
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / SIDE**2
    assert area.min() < 0.15


def test_the_reason_names_the_statistic():
    _, reasons = crops(SCENES["a small subject in a corner"](), "natural")
    reason = next(r for r in reasons if "enlarged" in r)
    assert "detail" in reason and "contrast" in reason and "%" in reason


def test_shuffled_statistics_lose_content():
    """The guard works because it saw *this* image: with another's statistics crops fall below the floor."""
    images = [make() for make in SCENES.values()]
    floor = Policy.load("natural")["crop"].content
    others = [adaptaug.measure(image) for image in images[1:] + images[:1]]
    worst = [held(i, crops(i, "natural", stats=s)[0]).min() for i, s in zip(images, others, strict=True)]
    assert min(worst) < 0.6 * floor
