"""The core as Python calls it: the same bits for any batch, thread, worker and memory layout."""

from __future__ import annotations

import gc
import multiprocessing
import threading
from typing import Any

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug import AdaptAugError, Policy
from adaptaug.core import engine
from adaptaug.policy import preset_names
from benchmarks.random_policies import random_policy

pytestmark = pytest.mark.skipif(not engine.usable(), reason="there is no core")
KEYS = [(3, 1, index) for index in range(12)]


@pytest.fixture(scope="module")
def images(photo, to_tensor) -> torch.Tensor:
    """(12, 3, 70, 90) photographs, dark, flat and clipped ones among them."""
    names = ("coffee", "chelsea", "rocket", "astronaut")
    some = [photo(name, 90, 70) for name in names]
    some += [(image // 12).astype(np.uint8) for image in some[:4]]
    some += [(100 + some[0] // 24).astype(np.uint8), np.where(some[1] > 90, 255, some[1]).astype(np.uint8)]
    some += [np.full((70, 90, 3), 90, np.uint8), some[2][::-1].copy()]
    return torch.stack([to_tensor(image) for image in some])


@pytest.fixture
def threads() -> Any:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def pair(policy: Policy | str, images: Any, key: Any, size: int = 48) -> list[Any]:
    return adaptaug.Views(policy, 2, size, "uint8")(images, key=key)


@pytest.mark.parametrize("policy", [*preset_names(), *range(0, 40, 5)])
def test_a_batch_of_any_size_on_any_threads_gives_the_bits_of_each_image(policy, images, threads):
    policy = random_policy(policy) if isinstance(policy, int) else policy
    threads(1)
    whole = pair(policy, images, KEYS)
    threads(3)
    again, part = pair(policy, images, KEYS), pair(policy, images[4:9], KEYS[4:9])
    for view in (0, 1):
        assert torch.equal(whole[view], again[view]) and torch.equal(whole[view][4:9], part[view])
        for index in (0, 5, 10):
            array = np.ascontiguousarray(images[index].permute(1, 2, 0).numpy())
            assert torch.equal(pair(policy, array, KEYS[index])[view], whole[view][index])


def test_threads_of_the_caller_do_not_disturb_each_other(images):
    expected, wrong = pair("natural", images, KEYS), []

    def call() -> None:
        for _ in range(20):
            wrong.extend(
                not torch.equal(a, b) for a, b in zip(pair("natural", images, KEYS), expected, strict=True)
            )

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(wrong) == 160 and not any(wrong)


class Items(torch.utils.data.Dataset):
    """One photograph under every index."""

    def __init__(self, image: np.ndarray):
        self.image = image

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> np.ndarray:
        return self.image


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_workers_after_the_parent_used_its_pool(start, images, threads):
    threads(2)
    pair("natural", images, KEYS)  # the pool is there, and its threads are not in a forked child
    data = adaptaug.Keyed(
        Items(np.ascontiguousarray(images[0].permute(1, 2, 0))), adaptaug.Views("natural", 2, 48, "uint8")
    )
    data.set_epoch(0)
    expected = [data[index] for index in range(8)]
    loader = torch.utils.data.DataLoader(
        data, batch_size=4, num_workers=2, persistent_workers=True,
        multiprocessing_context=multiprocessing.get_context(start),
    )  # fmt: skip
    for _ in range(2):
        seen = [torch.cat(views) for views in zip(*loader, strict=True)]
        for view in (0, 1):
            assert torch.equal(seen[view], torch.stack([e[view] for e in expected]))


def test_a_forked_child_makes_a_pool_of_its_own(images, threads):
    threads(2)
    expected = pair("natural", images, KEYS)
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        made = pool.apply(_in_child, (images, KEYS))
    assert all(torch.equal(torch.from_numpy(a), b) for a, b in zip(made, expected, strict=True))


def _in_child(images: torch.Tensor, keys: Any) -> list[np.ndarray]:
    torch.set_num_threads(2)
    return [view.numpy() for view in pair("natural", images, keys)]


@pytest.mark.parametrize(
    "layout", ["padded rows", "upside down", "every other", "mirrored", "read-only", "fortran"]
)
def test_any_memory_layout_gives_the_same_views(layout, photo):
    image = photo("coffee", 90, 70)
    given = {
        "padded rows": np.zeros((70, 120, 3), np.uint8)[:, :90], "upside down": image[::-1].copy()[::-1],
        "every other": image.repeat(2, 0).repeat(2, 1)[::2, ::2], "mirrored": image[:, ::-1].copy()[:, ::-1],
        "read-only": image.copy(), "fortran": np.asfortranarray(image),
    }[layout]  # fmt: skip
    if layout == "padded rows":
        given[:] = image
    given.flags.writeable = layout != "read-only"
    assert torch.equal(pair("natural", given, KEYS[0])[0], pair("natural", image, KEYS[0])[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_floats_give_the_views_of_their_levels(dtype, images):
    floats = (images.double() / 255).to(dtype)
    for ours, theirs in zip(pair("natural", floats, KEYS), pair("natural", images, KEYS), strict=True):
        assert torch.equal(ours, theirs)


def test_what_explain_says_replays(images):
    for policy in (*preset_names(), *map(random_policy, range(0, 60, 4))):
        views, params = adaptaug.Views(policy, 2, 48, "none", return_params=True)(images, key=KEYS)
        for view, param in zip(views, params, strict=True):
            assert torch.equal(adaptaug.render(images, param), view)
            assert torch.equal(adaptaug.render(images, adaptaug.ViewParams.from_dict(param.to_dict())), view)


@pytest.mark.parametrize("guards", [True, False])
@pytest.mark.parametrize("policy", ["natural", "documents", "simclr", "byol"])
def test_to_be_told_changes_no_view(policy, guards, images):
    """Of a policy that asks for no statistics an image is only measured where what was decided shall be told."""
    policy = Policy.load(policy).edit(guards=guards)
    told, _ = adaptaug.Views(policy, 2, 48, "none", return_params=True)(images, key=KEYS)
    views = adaptaug.Views(policy, 2, 48, "none")(images, key=KEYS)
    assert all(torch.equal(a, b) for a, b in zip(views, told, strict=True))


def test_off_leaves_it_to_torch(images):
    natural = adaptaug.AdaptiveAugment("natural", 48)
    with engine.off():
        by_torch = natural(images, key=KEYS)
        assert not engine.usable()
    difference = (by_torch.int() - natural(images, key=KEYS).int()).abs().float()
    assert engine.usable() and difference.mean() <= 1.5


def test_gradients_and_operations_that_c_does_not_know_go_to_torch(images, monkeypatch):
    asked: list[int] = []
    real = engine.make_views
    monkeypatch.setattr(engine, "make_views", lambda *a, **k: asked.append(1) or real(*a, **k))
    pair("natural", (images / 255).requires_grad_(), KEYS)
    assert not asked
    unknown = engine.library.load().core_operations() & ~(1 << 18)  # hue's
    monkeypatch.setattr(engine, "known_operations", lambda: unknown)
    pair("natural", images, KEYS)
    assert not asked
    pair("digits", images, KEYS)
    assert asked


def test_a_replay_of_an_operation_that_c_does_not_know_goes_to_torch(images, monkeypatch):
    """The core would have left it out without a word."""
    params = adaptaug.AdaptiveAugment("natural", 48).plan(images, key=KEYS)
    masks = (images[:, :1] > 99).to(torch.uint8)
    with engine.off():
        by_torch = adaptaug.render(images, params)
    moved = adaptaug.render(masks, params, "nearest", tone=False)
    asked: list[int] = []
    real = engine.replay
    monkeypatch.setattr(engine, "replay", lambda *a, **k: asked.append(1) or real(*a, **k))
    unknown = engine.library.load().core_operations() & ~(1 << 18)  # hue's
    monkeypatch.setattr(engine, "known_operations", lambda: unknown)
    assert torch.equal(adaptaug.render(images, params), by_torch)
    assert not asked
    assert torch.equal(adaptaug.render(masks, params, "nearest", tone=False), moved)
    adaptaug.render(images, adaptaug.AdaptiveAugment("digits", 48).plan(images, key=KEYS))
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["dehaze", "crop.are", "hue.range", "blur.radius"])
def test_parameters_of_another_version_are_refused(name, images):
    plain = adaptaug.AdaptiveAugment("natural", 48).plan(images, key=KEYS).to_dict()
    plain["entries"][name] = plain["entries"]["hue"]
    with pytest.raises(AdaptAugError, match=f"expected parameters of operations, got '{name}'"):
        adaptaug.ViewParams.from_dict(plain)


def test_numbers_that_no_plan_has_are_refused(images):
    params = adaptaug.AdaptiveAugment("natural", 48).plan(images, key=KEYS)
    params.matrix[3, 0, 0] = float("nan")
    with pytest.raises(AdaptAugError, match="finite"):
        adaptaug.render(images, params)


def test_memory_does_not_grow(images):
    import resource

    policy = Policy.load("natural")  # once: to read it takes ten times as long as the views

    def grown() -> int:
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(50):
        pair(policy, images, KEYS)
    before = grown()
    for _ in range(400):
        pair(policy, images, KEYS)
    assert grown() - before < 20_000  # kilobytes; 9,600 views of 7 kB are 66,000


def test_a_changed_copy_of_a_policy_is_read_anew(images):
    natural = Policy.load("natural")
    pair(natural, images, KEYS)
    bare = natural.edit(guards=False)
    for deep in (False, True):
        copied = natural.model_copy(update={"guards": False}, deep=deep)
        for ours, theirs in zip(pair(copied, images, KEYS), pair(bare, images, KEYS), strict=True):
            assert torch.equal(ours, theirs)


def test_an_empty_batch_may_be_pushed(images):
    views = adaptaug.Views("natural", 2, 48, return_params=True)
    made, params = views(images[:0], key=[], strength=lambda stats: torch.zeros(0, dtype=torch.float64))
    assert len(made[0]) == len(params[0].evidence["push"]) == 0
