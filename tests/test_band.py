"""The similarity band: of four guarded draws the first inside it, else the nearest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug.backend import keys
from adaptaug.core import engine
from adaptaug.pipeline.band import CANDIDATES
from adaptaug.stats.similarity import similarity

NATURAL = adaptaug.Policy.load("natural")
SIZE = 48
KINDS = ("array", "batch")


def held(policy, images, key):
    return adaptaug.Views(policy, size=SIZE, finish="uint8", return_params=True)(images, key=key)


def alike(first, second):
    one, other = (v if v.ndim == 4 else v[None] for v in (first, second))
    return similarity(one.float(), other.float())


# --- the measure ------------------------------------------------------------------------------------------------
def test_the_same_view_is_1_and_others_are_less(photo, to_tensor):
    views = torch.stack(
        [to_tensor(photo(n, 48, 48)) for n in ("coffee", "astronaut", "chelsea", "rocket")]
    ).float()
    assert torch.allclose(similarity(views, views), torch.ones(4), atol=1e-5)
    apart = torch.stack([similarity(views, views.roll(shift, 0)) for shift in (1, 2, 3)])
    assert apart.max() < 0.7 and abs(float(apart.mean())) < 0.35
    assert torch.equal(similarity(views, views.roll(1, 0)), similarity(views.roll(1, 0), views))


def test_it_falls_with_every_step_away(photo, to_tensor):
    image = to_tensor(photo("astronaut", 96, 96)).float()[None]
    for changed in (
        lambda t: image * (1 - t),
        lambda t: image.roll(round(48 * t), 3),
        lambda t: image * (1 - t) + 255 * t,
    ):
        steps = [float(similarity(image, changed(t))) for t in (0.05, 0.3, 0.8)]
        assert 1 > steps[0] > steps[1] > steps[2]


def test_an_array_and_a_tensor_are_the_same(photo, to_tensor):
    a, b = photo("coffee", 60, 60), photo("rocket", 60, 60)
    assert torch.allclose(
        similarity(a, b), similarity(to_tensor(a).float()[None], to_tensor(b).float()[None]), atol=1e-6
    )


# --- the band ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("band", [(0.3, 0.8), (-1.0, 0.2), (0.7, 1.0), (0.98, 1.0)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_draw_inside_is_taken_else_the_nearest(kind, band, photo, to_tensor):
    image = photo("coffee", 96, 72)
    given = image if kind == "array" else to_tensor(image)[None]
    policy, numbers = NATURAL.edit(band=band), set()
    for index in range(12):
        rows = np.array([(3, 0, index)])
        tried = [keys.another(rows, number) for number in range(CANDIDATES)]
        draws = [held(NATURAL, given, row.tolist() if kind == "batch" else tuple(row[0])) for row in tried]
        scores = [float(alike(*views)) for views, _ in draws]
        away = [max(band[0] - s, s - band[1], 0.0) for s in scores]
        best = away.index(min(away))
        views, params = held(policy, given, (3, 0, index) if kind == "array" else [(3, 0, index)])
        assert all(map(torch.equal, views, draws[best][0]))
        assert int(params[0].evidence["candidate"][0]) == best
        assert float(params[1].evidence["similarity"][0]) == pytest.approx(scores[best], abs=1e-5)
        numbers.add(best)
    assert len(numbers) > 1 or band == (-1.0, 0.2)


def test_more_pairs_are_in_it_than_without(photographs, to_tensor):
    images = torch.stack([to_tensor(i[:256, :256]) for i in photographs.values()]).repeat(10, 1, 1, 1)
    for low, high in ((0.2, 0.8), (-0.2, 0.5)):
        plain, kept = (
            alike(*held(policy, images, 5)[0]) for policy in (NATURAL, NATURAL.edit(band=(low, high)))
        )
        before, after = ((low <= s) & (s <= high) for s in (plain, kept))
        assert (after | ~before).all()  # what was inside is as it was
        assert after.float().mean() > before.float().mean() + 0.15


def test_a_batch_is_its_images_one_by_one(photo, to_tensor):
    images = torch.stack([to_tensor(photo(name, 64, 64)) for name in ("coffee", "astronaut", "chelsea")])
    policy = NATURAL.edit(band=(0.4, 0.7))
    rows = [(1, 2, i) for i in range(3)]
    views, params = held(policy, images, rows)
    for i in range(3):
        one, _ = held(policy, images[i : i + 1], rows[i : i + 1])
        assert all(torch.equal(a[0], b[i]) for a, b in zip(one, views, strict=True))
    for view, p in zip(views, params, strict=True):
        assert torch.equal(adaptaug.render(images, p), view)  # what is returned is what was decided


@pytest.mark.parametrize("kind", KINDS)
def test_who_does_not_ask_for_parameters_gets_the_same_views(kind, photo, to_tensor):
    image = photo("coffee", 64, 64)
    given = image if kind == "array" else to_tensor(image).repeat(3, 1, 1, 1)
    policy = NATURAL.edit(band=(0.4, 0.7))
    views, _ = held(policy, given, 5)
    assert all(map(torch.equal, adaptaug.Views(policy, size=SIZE, finish="uint8")(given, key=5), views))


def test_one_view_has_no_pair(photo):
    image, policy = photo("coffee", 64, 64), NATURAL.edit(band=(0.98, 1.0))
    plain = adaptaug.AdaptiveAugment(NATURAL, SIZE)(image, key=(1, 0, 0))
    assert np.array_equal(plain, adaptaug.AdaptiveAugment(policy, SIZE)(image, key=(1, 0, 0)))
    assert torch.equal(*(adaptaug.Views(p, 1, SIZE)(image, key=(1, 0, 0))[0] for p in (NATURAL, policy)))


def test_the_promise_holds_in_it(photographs):
    from adaptaug.promise.checker import violations

    policy = NATURAL.edit(band=(0.6, 0.9))
    for image in photographs.values():
        dark = (image // 6).astype(np.uint8)
        for index in range(4):
            views, params = held(policy, dark, (1, 0, index))
            frame = adaptaug.AdaptiveAugment({"version": 1, "guards": False, "operations": {}}, SIZE)(dark)
            for view, p in zip(views, params, strict=True):
                crop = adaptaug.render(dark, p.safe_crop())
                broken = violations(
                    view=view.permute(1, 2, 0).numpy()[None], crop=crop[None], frame=frame[None]
                )
                assert not any(np.any(test) for test in broken.values())


def test_three_views_are_compared_with_the_first(photo):
    image = photo("coffee", 96, 72)
    make = adaptaug.Views(NATURAL.edit(band=(0.5, 1.0)), 3, SIZE, "uint8", return_params=True)
    views, params = make(image, key=(0, 0, 0))
    mean = (alike(views[0], views[1]) + alike(views[0], views[2])) / 2
    assert float(params[2].evidence["similarity"][0]) == pytest.approx(float(mean), abs=1e-5)


def test_in_a_batch_only_what_is_outside_is_drawn_again_and_each_image_gets_its_own(
    photo, to_tensor, monkeypatch
):
    images = [photo(name, 60, 50) for name in ("coffee", "chelsea", "rocket", "astronaut")]
    batch, keys = torch.stack([to_tensor(image) for image in images]), [(4, 0, i) for i in range(4)]
    natural = adaptaug.Policy.load("natural")
    first = similarity(*(v.float() for v in adaptaug.Views(natural, 2, 32, "uint8")(batch, key=keys)))
    low = float(first.median()) - 1e-4  # what is below it is drawn again
    views = adaptaug.Views(natural.edit(band=(low, 1.0)), 2, 32, "uint8", return_params=True)
    drawn: list[int] = []
    real = engine.make_views
    monkeypatch.setattr(
        engine, "make_views", lambda source, *a: drawn.append(source.count) or real(source, *a)
    )
    made, params = views(batch, key=keys)
    assert drawn[:2] == [4, int((first < low).sum())] and 0 < drawn[1] < 4
    for index, image in enumerate(images):
        alone, told = views(image, key=keys[index])
        assert all(torch.equal(one[index], other) for one, other in zip(made, alone, strict=True))
        assert np.array_equal(told[1].keys[0], params[1].keys[index].numpy())
