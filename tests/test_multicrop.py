"""Views of several sizes, parameters beside the batch, and a policy that changes while workers live."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import adaptaug
from adaptaug.data.keyed import SharedText
from tests.support.workers import ITEMS, Same

LARGE = adaptaug.Policy.load("natural").edit({"crop": {"area": [0.25, 1.0]}})
SMALL = adaptaug.Policy.load("natural").edit({"crop": {"area": [0.05, 0.25]}})


def dino(**options):
    return adaptaug.MultiCrop(
        adaptaug.Views(LARGE, 2, 32, **options), adaptaug.Views(SMALL, 4, 16, **options)
    )


@pytest.mark.parametrize("kind", ["array", "batch"])
def test_two_large_and_four_small(kind, photo, to_tensor):
    image = photo("coffee", 60, 48)
    given, key = (image, (0, 0, 0)) if kind == "array" else (to_tensor(image)[None], [(0, 0, 0)])
    views = dino()(given, key=key)
    assert [view.shape[-1] for view in views] == [32, 32, 16, 16, 16, 16]
    assert len({view.numpy().tobytes() for view in views}) == 6
    large = adaptaug.Views(LARGE, 2, 32)(given, key=key)
    assert all(map(torch.equal, views[:2], large))


def test_small_crops_are_small(photo):
    _, params = dino(return_params=True)(photo("coffee", 120, 96), key=(0, 0, 3))
    areas = [float(p.value("crop.area")[0]) for p in params]
    assert [p.view for p in params] == list(range(6))
    assert min(areas[:2]) >= 0.24 and max(areas[2:]) < 0.3


def test_without_a_key_all_groups_share_a_fresh_one(photo):
    image = photo("coffee", 60, 48)
    groups = adaptaug.MultiCrop(adaptaug.Views(n=1, size=32), adaptaug.Views(n=1, size=32))
    torch.manual_seed(0)
    first = groups(image)
    torch.manual_seed(0)
    assert all(map(torch.equal, first, groups(image)))
    assert not torch.equal(*first)


@pytest.mark.parametrize("groups", [(), ("natural",)])
def test_other_groups_are_refused(groups):
    with pytest.raises(adaptaug.AdaptAugError, match="MultiCrop: expected one Views or more"):
        adaptaug.MultiCrop(*groups)


# --- parameters beside the batch ----------------------------------------------------------------------------
@pytest.mark.parametrize("workers", [0, 2])
def test_parameters_come_beside_the_batch_and_replay_it(workers):
    views = adaptaug.Views("natural", size=24, finish="uint8", return_params=True)
    loader = DataLoader(adaptaug.Keyed(Same(), views), 4, collate_fn=adaptaug.collate, num_workers=workers)
    (made, params), labels = next(iter(loader))
    assert [view.shape for view in made] == [(4, 3, 24, 24)] * 2 and labels.tolist() == [0, 1, 2, 3]
    assert [len(p) for p in params] == [4, 4]
    image = Same()[0][0]
    for view, p in zip(made, params, strict=True):
        for row in range(4):
            assert np.array_equal(adaptaug.render(image, p.row(row)), view[row].permute(1, 2, 0))
    assert "brightness" in str(params[0].explain(2))


def test_sizes_stay_apart():
    loader = DataLoader(adaptaug.Keyed(Same(), dino()), 4, collate_fn=adaptaug.collate)
    views, _ = next(iter(loader))
    assert [tuple(view.shape) for view in views] == [(4, 3, 32, 32)] * 2 + [(4, 3, 16, 16)] * 4


def test_parameters_of_different_policies_are_not_stacked(photo):
    image = photo("coffee", 60, 48)
    with pytest.raises(adaptaug.AdaptAugError, match="one policy, size and view"):
        adaptaug.ViewParams.stack(
            [adaptaug.plan(image, name, key=(0, 0, 0)) for name in ("natural", "digits")]
        )


# --- a policy that changes ----------------------------------------------------------------------------------
@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_a_changed_policy_reaches_persistent_workers(start):
    still = adaptaug.Policy.parse({"version": 1, "name": "still", "guards": False, "operations": {}})
    keyed = adaptaug.Keyed(Same(), adaptaug.Views("natural", size=32, finish="uint8"))
    loader = DataLoader(keyed, 4, num_workers=2, persistent_workers=True, multiprocessing_context=start)
    whole = torch.from_numpy(Same()[0][0]).permute(2, 0, 1)
    changed = []
    for epoch in range(2):
        if epoch == 1:
            keyed.set_policy(still)
        changed.append([torch.equal(view, whole) for (first, _), _ in loader for view in first])
    assert changed == [[False] * ITEMS, [True] * ITEMS]


def test_a_batch_is_of_one_policy_however_often_it_changes():
    class Changing(Same):
        def __getitem__(self, index):
            if index == 1:
                keyed.set_policy(adaptaug.Policy.load("digits"))
            return super().__getitem__(index)

    views = adaptaug.Views("natural", size=32, return_params=True)
    keyed = adaptaug.Keyed(Changing(), views)
    batches = [params for (_, params), _ in DataLoader(keyed, ITEMS // 2, collate_fn=adaptaug.collate)]
    assert ["hue" in params[0].entries for params in batches] == [True, False]


def test_a_text_half_written_is_not_read():
    text = SharedText()
    assert text.changed() is None
    text.write("one")
    assert (text.changed(), text.changed()) == ("one", None)
    text.state[0] += 1  # a writer has begun
    assert text.changed() is None
    text.state[0] += 1
    assert text.changed() == "one"


def test_what_has_no_policy_cannot_change_it():
    keyed = adaptaug.Keyed(Same(), lambda image, key: image)
    with pytest.raises(adaptaug.AdaptAugError, match="set_policy: expected Views or AdaptiveAugment"):
        keyed.set_policy(LARGE)
    with pytest.raises(adaptaug.AdaptAugError, match="set_policy: expected a Policy, got 'digits'"):
        keyed.set_policy("digits")
