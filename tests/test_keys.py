"""Random numbers: known answers, equal bits in NumPy and torch, shapes of distributions, no global state."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug.backend import keys

GOLDEN = 0x9E3779B97F4A7C15
PUBLISHED = (  # the first outputs of SplitMix64 seeded with 1234567
    6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
)  # fmt: skip
EXTREMES = np.array([0, 1, -1, 2**63 - 1, -(2**63), -1234567, 1 << 40], dtype=np.int64)


def grid(seeds: int, epochs: int, indices: int) -> np.ndarray:
    """Every (seed, epoch, index) below those numbers."""
    return (
        np.stack(np.meshgrid(range(seeds), range(epochs), range(indices)), -1).reshape(-1, 3).astype(np.int64)
    )


def test_splitmix64_gives_the_published_answers():
    states = np.array([(1234567 + step * GOLDEN) % 2**64 for step in range(len(PUBLISHED))], dtype=np.uint64)
    with np.errstate(over="ignore"):
        assert keys.splitmix64(states).tolist() == list(PUBLISHED)


def test_splitmix64_is_the_same_bits_in_torch():
    with np.errstate(over="ignore"):
        expected = keys.splitmix64(EXTREMES.view(np.uint64))
    assert np.array_equal(keys.splitmix64(torch.from_numpy(EXTREMES)).numpy().view(np.uint64), expected)


def test_uniforms_are_the_same_bits_in_torch():
    rows = np.stack(np.meshgrid(EXTREMES, EXTREMES, EXTREMES), -1).reshape(-1, 3)
    for view in (0, 1, 7):
        assert np.array_equal(
            keys.uniforms(rows, view, 40), keys.uniforms(torch.from_numpy(rows), view, 40).numpy()
        )


def test_uniforms_do_not_depend_on_the_batch():
    rows = grid(2, 3, 5)
    singles = np.concatenate([keys.uniforms(row[None], 1, 16) for row in rows])
    assert np.array_equal(keys.uniforms(rows, 1, 16), singles)


def test_uniforms_are_24_bits_below_one():
    numbers = keys.uniforms(grid(3, 3, 300), 0, 32)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.array_equal(numbers * 2**24, np.round(numbers * 2**24))


def test_uniforms_are_uniform():
    numbers = keys.uniforms(grid(2, 2, 500), 0, 64).reshape(-1)
    counts = np.histogram(numbers, 64, (0, 1))[0]
    chi_square = ((counts - numbers.size / 64) ** 2).sum() / (numbers.size / 64)
    assert 25 < chi_square < 113  # 63 degrees of freedom: one in 10,000 on either side


@pytest.mark.parametrize("neighbour", ["slot", "view", "epoch", "index", "seed"])
def test_neighbouring_numbers_are_uncorrelated(neighbour: str):
    rows = grid(1, 1, 2000)
    numbers = keys.uniforms(rows, 0, 17)
    step = {"seed": [1, 0, 0], "epoch": [0, 1, 0], "index": [0, 0, 1]}.get(neighbour, [0, 0, 0])
    other = keys.uniforms(rows + np.array(step), int(neighbour == "view"), 17)
    a, b = (numbers[:, :-1], other[:, 1:]) if neighbour == "slot" else (numbers, other)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4.5 / np.sqrt(a.size)


def test_no_number_repeats_over_keys_and_views():
    """Keys that differ in one field, or have the same fields in another order, share no row of numbers."""
    rows = grid(6, 6, 6)
    seen = {tuple(row) for view in range(4) for row in keys.uniforms(rows, view, 4)}
    assert len(seen) == 4 * len(rows)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2.0, 5.0), (5.0, 1.0), (1.0, 3.0)])
def test_kumaraswamy_inverts_its_distribution(a: float, b: float):
    uniform = np.linspace(0, 1, 101)
    drawn = keys.kumaraswamy(uniform, a, b)
    assert np.allclose(1 - (1 - drawn**a) ** b, uniform, atol=1e-9)
    assert np.allclose(keys.kumaraswamy(torch.from_numpy(uniform), a, b).numpy(), drawn, atol=1e-12)


def test_kumaraswamy_one_one_is_the_uniform_itself():
    uniform = keys.uniforms(grid(1, 1, 50), 0, 8)
    assert keys.kumaraswamy(uniform, 1.0, 1.0) is uniform


def test_as_rows_takes_every_kind_of_key():
    triple = [[5, 2, 9]]
    for key in ((5, 2, 9), [5, 2, 9], [(5, 2, 9)], np.array(triple), torch.tensor(triple)):
        assert keys.as_rows(key, 1).tolist() == triple
    assert keys.as_rows(7, 3).tolist() == [[7, 0, 0], [7, 0, 1], [7, 0, 2]]
    assert keys.as_rows(2**64 - 1, 1).tolist() == [[-1, 0, 0]]
    assert keys.as_rows([], 0).shape == (0, 3)


@pytest.mark.parametrize(
    "key",
    [
        (1, 2),
        (1, 2, 3, 4),
        [(1, 2, 3)] * 3,
        [],
        "abc",
        "abcdef",
        1.5,
        [(0.5, 0, 0)] * 2,
        [(1, 2, None)] * 2,
        {1: 2},
        object(),
    ],
    ids=lambda key: "an object" if type(key) is object else repr(key),
)
def test_as_rows_refuses_other_keys_in_one_sentence(key: object):
    with pytest.raises(adaptaug.AdaptAugError, match=r"key must be .*2 images"):
        keys.as_rows(key, 2)


@pytest.mark.parametrize("engine", ["torch", "core"])
def test_a_key_leaves_every_global_generator_alone(engine: str, photo, view_of):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    view_of(engine, adaptaug.Policy.load("natural"), photo(), 32)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after


@pytest.mark.parametrize("engine", ["torch", "core"])
def test_without_a_key_manual_seed_decides(engine: str, photo, view_of):
    policy = adaptaug.Policy.load("natural")

    def two() -> list[np.ndarray]:
        torch.manual_seed(3)
        return [view_of(engine, policy, photo(), 32, key=None) for _ in range(2)]

    (first, second), again = two(), two()
    assert np.array_equal(first, again[0]) and np.array_equal(second, again[1])
    assert not np.array_equal(first, second)
