"""Crops of bounded overlap: every later view's crop overlaps the first view's as `pair.overlap` asks."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug.pipeline import generate
from adaptaug.planning.overlap import intersection_over_union
from adaptaug.policy import Policy, preset_names
from adaptaug.promise.boxes import judge_boxes
from adaptaug.promise.reasons import Reason
from adaptaug.stats.image import ImageStats
from benchmarks.scenes import SCENES
from tests.conftest import PHOTOGRAPHS
from tests.support.promise import count

DRAWS = 200
SIZE = 32
INTERVALS = [(0.3, 0.6), (0.2, 0.4), (0.5, 0.9), (0.7, 1.0), (0.45, 0.5)]
NAMES = [name.partition(".")[0] for name in PHOTOGRAPHS]
plan = generate.planning


def overlapping(policy: str | Policy, *interval: float, **crop: Any) -> Policy:
    policy = Policy.load(policy) if isinstance(policy, str) else policy
    return policy.edit({"crop": crop} if crop else {}, pair={"overlap": interval})


def where(stats: ImageStats, policy: Policy, view: int, count: int = DRAWS) -> plan.Where:
    """Round one of a view of one image under many keys, as a torch batch; nothing is rendered."""
    stats = stats.rows(torch.zeros(count, dtype=torch.int64))
    keys = torch.tensor([[5, 0, index] for index in range(count)])
    first = plan.Draws(policy, keys, 0, stats) if view and policy.pair.overlap else None
    own = policy.for_view(view)
    return plan.plan_where(stats, own, plan.Draws(own, keys, view, stats), SIZE, first)


def box(placed: plan.Where | adaptaug.ViewParams) -> Any:
    parts = [placed.evidence[f"box_{part}"] for part in ("x", "y", "width", "height")]
    return torch.stack(parts, -1) if isinstance(parts[0], torch.Tensor) else np.stack(parts, -1)


def overlaps(stats: ImageStats, policy: Policy, view: int = 1) -> torch.Tensor:
    """The overlap of the final boxes, worked out here and not read from the plan."""
    a, b = box(where(stats, policy, 0)), box(where(stats, policy, view))
    assert (b[:, :2] >= 0).all() and (b[:, 2:] > 0).all() and (b[:, :2] + b[:, 2:] <= 1 + 1e-12).all()
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    return common / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - common)


def inside(found: torch.Tensor, interval: tuple[float, ...]) -> float:
    return float(((found >= interval[0] - 1e-9) & (found <= interval[1] + 1e-9)).double().mean())


@pytest.fixture(scope="module")
def measured(photo: Callable[..., np.ndarray]) -> dict[str, ImageStats]:
    """The photographs' statistics, landscape and portrait."""
    shapes = dict(zip(NAMES, ((96, 96), (90, 120), (128, 80), (120, 90)), strict=True))
    return {name: measure(photo(name, *shape)) for name, shape in shapes.items()}


def measure(image: np.ndarray) -> ImageStats:
    return adaptaug.measure(torch.from_numpy(image).permute(2, 0, 1)[None])


def test_the_formula():
    boxes = [[0.0, 0.0, 0.5, 0.5], [0.25, 0.0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]]
    expected = [1.0, 1 / 3, 0.0, 0.25]
    found = intersection_over_union(torch.tensor([boxes]), torch.tensor([boxes[0]]))
    assert np.allclose(found, [expected])


@pytest.mark.parametrize("interval", INTERVALS, ids=str)
def test_guarded_crops_overlap_as_asked(interval, measured):
    policy = overlapping("natural", *interval)
    found = [overlaps(stats, policy) for stats in measured.values()]
    assert inside(torch.cat(found), interval) >= 0.99
    # They fill the interval: no heap at either end.
    assert torch.cat(found).std() > 0.2 * (interval[1] - interval[0])


@pytest.mark.parametrize("interval", [*INTERVALS, (0.0, 0.2)], ids=str)
@pytest.mark.parametrize("unguarded", ["simclr", "the crop's guard off"])
def test_unguarded_crops_always_overlap_as_asked(unguarded, interval, measured):
    policy = overlapping("simclr", *interval)
    if unguarded != "simclr":
        policy = overlapping("natural", *interval, guard=False)
    for stats in measured.values():
        assert inside(overlaps(stats, policy), interval) == 1.0


def test_all_later_views_overlap_the_first(measured):
    policy = overlapping("natural", 0.3, 0.6)
    found = [overlaps(measured["coffee"], policy, view) for view in (1, 2, 5)]
    assert all(inside(values, (0.3, 0.6)) == 1.0 for values in found)
    assert not torch.equal(found[0], found[1])


def test_the_first_view_and_good_draws_stay(measured):
    plain, policy = Policy.load("natural"), overlapping("natural", 0.3, 0.6)
    stats = measured["coffee"]
    assert torch.equal(where(stats, plain, 0).matrix, where(stats, policy, 0).matrix)
    before, after = where(stats, plain, 1), where(stats, policy, 1)
    drawn = after.evidence["drawn_overlap"]
    good = (drawn >= 0.3) & (drawn <= 0.6)
    assert 0.1 < good.double().mean() < 0.6
    assert torch.equal(before.matrix[good], after.matrix[good])
    assert not torch.isclose(before.matrix[~good], after.matrix[~good]).all((1, 2)).any()
    # Where moving is enough the size stays, and it is enough more often than not.
    moved = after.entries["crop.ratio"].reason == Reason.OVERLAP_MOVED
    assert moved.double().sum() > 0.4 * (~good).double().sum()
    assert torch.allclose(box(before)[moved, 2:], box(after)[moved, 2:])


def test_the_second_crop_keeps_its_own_range_of_area(measured):
    policy = Policy.load("simclr").edit(
        pair={"overlap": [0.1, 0.3], "second": {"crop": {"area": [0.05, 0.25]}}}
    )
    for stats in measured.values():
        placed = where(stats, policy, 1)
        area = placed.entries["crop.area"].value
        assert (area <= 0.25 + 1e-9).all() and (area >= 0.05 - 1e-9).all()
        # A full first crop and a later one of .05 to .25 overlap by no more than that: the nearest is taken.
        out = placed.entries["crop.area"].reason == Reason.OVERLAP_OUT_OF_REACH
        found = overlaps(stats, policy)
        assert inside(found[~out], (0.1, 0.3)) == 1.0
        assert (found[out] < 0.1).logical_or(found[out] > 0.3).all() and out.double().mean() < 0.05


@pytest.mark.parametrize(("interval", "most"), [((0.3, 0.6), 0.005), ((0.0, 0.2), 0.04)], ids=str)
def test_the_content_floor_seldom_has_to_win(interval, most, measured):
    policy = overlapping("natural", *interval)
    codes = torch.cat([where(stats, policy, 1).entries["crop.area"].reason for stats in measured.values()])
    share = (codes == Reason.CONTENT_WON).double().mean()
    print(f"{interval}: the content floor won in {share:.2%} of {len(codes)} draws")  # pytest -s shows it
    assert share <= most


def test_the_content_floor_wins():
    stats = measure(SCENES["a small subject in a corner"]())
    policy = overlapping("natural", 0.0, 0.05)
    placed = where(stats, policy, 1)
    _, content = judge_boxes(stats.rows(torch.zeros(DRAWS, dtype=torch.int64)), box(placed)[:, None])
    assert content.min() >= policy["crop"].content
    lost = placed.entries["crop.area"].reason == Reason.CONTENT_WON
    assert lost.any() and inside(overlaps(stats, policy)[lost], (0.0, 0.05)) == 0.0
    reason = _explained(SCENES["a small subject in a corner"](), policy, Reason.CONTENT_WON)
    assert "the content floor wins" in reason and "not 0 to 0.05" in reason


def _explained(image: np.ndarray, policy: Policy, code: int) -> str:
    """The first explanation of the second view's crop that gives a reason."""
    augment = adaptaug.AdaptiveAugment(policy, SIZE)
    for index in range(60):
        params = augment.plan(image, key=(5, 0, index), view=1)
        if int(params.entries["crop.area"].reason[0]) == code:
            return next(r["reason"] for r in params.explain().rows if r["parameter"] == "crop.area")
    raise AssertionError("no such view")


def test_explain_names_it(photo):
    policy = overlapping("natural", 0.3, 0.6)
    said = _explained(photo("coffee", 80, 60), policy, Reason.OVERLAP_MOVED)
    assert said.startswith("moved so that it overlaps the first view's crop by 0.3 to 0.6 (drawn: 0.")
    assert "moved and resized" in _explained(photo("coffee", 80, 60), policy, Reason.OVERLAP_RESIZED)
    for index in range(20):
        explanation = adaptaug.explain(photo(), policy, key=(5, 0, index), size=SIZE, view=1)
        for row in explanation.rows:
            low, high = row["safe"]
            assert "nan" not in row["reason"]
            assert not row["applied"] or low - 1e-9 <= row["value"] <= high + 1e-9


def test_views_both_renderers_and_explain_agree(photo, to_tensor):
    image = photo("chelsea", 80, 60)
    views = adaptaug.Views(overlapping("natural", 0.3, 0.6), n=3, size=SIZE, return_params=True)
    batch = to_tensor(image)[None].expand(12, -1, -1, -1)
    _, batched = views(batch, key=[(5, 0, index) for index in range(12)])
    for index in range(12):
        _, single = views(image, key=(5, 0, index))
        for one, many in zip(single, batched, strict=True):
            assert np.allclose(one.matrix, many.matrix[index : index + 1], atol=1e-9)
        for later in single[1:]:
            boxes = (torch.from_numpy(box(view)) for view in (later, single[0]))
            found = intersection_over_union(next(boxes)[:, None], next(boxes))[:, 0]
            assert np.allclose(found, later.evidence["overlap"]) and 0.3 <= found[0] <= 0.6
            assert adaptaug.ViewParams.from_dict(later.to_dict()).to_dict() == later.to_dict()
    assert "overlap" not in single[0].evidence


def test_a_crop_that_is_not_applied_stays_the_whole_frame(measured):
    policy = overlapping("simclr", 0.3, 0.5, p=0.5)
    placed = where(measured["coffee"], policy, 1)
    whole = ~placed.entries["crop.area"].applied
    assert 0.3 < whole.double().mean() < 0.7
    assert (box(placed)[whole] == torch.tensor([0.0, 0.0, 1.0, 1.0])).all()


def test_the_promise_holds():
    policy = Policy.load("natural").edit(
        pair={"overlap": [0.1, 0.3]},
        conditional={
            "statistics": {"mean": [0.45, 0.2], "contrast": [0.2, 0.1]},
            "operations": {
                "exposure": {"p": {"mean": 2.0}, "strength": {"contrast": -3.0}},
                "contrast": {"strength": {"mean": 3.0}},
                "saturation": {"strength": {"mean": 3.0}},
            },
        },
    )
    assert count(policy, 12, "torch", SIZE)[0] == 0


@pytest.mark.parametrize("name", preset_names())
def test_saving_and_pickling_lose_nothing(name, tmp_path):
    policy = overlapping(name, 0.25, 0.75)
    policy.save(tmp_path / "policy.yaml")
    for back in (Policy.load(tmp_path / "policy.yaml"), pickle.loads(pickle.dumps(policy))):
        assert back == policy and back.pair.overlap == (0.25, 0.75) and back.dumps() == policy.dumps()
    assert Policy.load(name).pair.overlap is None


@pytest.mark.parametrize(
    "value", [[0.6, 0.3], [0.3, 0.32], [-0.1, 0.5], [0.5, 1.1], [0.5], 0.5, "much", [True, 1]], ids=str
)
def test_other_intervals_are_refused(value):
    with pytest.raises(adaptaug.AdaptAugError, match=r"pair\.overlap: expected .*\[0, 1\].*0\.05.*, got"):
        Policy.load("natural").edit(pair={"overlap": value})


def test_what_contradicts_it_is_refused():
    with pytest.raises(adaptaug.AdaptAugError, match=r"pair\.overlap: .*share: \[crop\]"):
        Policy.load("natural").edit(pair={"overlap": [0.3, 0.6], "share": ["crop"]})
    with pytest.raises(adaptaug.AdaptAugError, match=r"pair\.overlap: .*'crop'"):
        Policy.load("natural").edit({"crop": None}, pair={"overlap": [0.3, 0.6]})
