"""Copies of what shares memory with workers: each goes on by itself, and its own workers see what it is told."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

import adaptaug
from adaptaug.data.shared import SharedText
from adaptaug.hosts import webdataset
from tests.test_workers import ITEMS, SIZE, Same, keyed

cloudpickle, joblib = pytest.importorskip("cloudpickle"), pytest.importorskip("joblib")

STILL = adaptaug.Policy.parse({"version": 1, "name": "still", "guards": False, "operations": {}})


def saved(thing: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)


def dumped(thing: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(thing, buffer)
    return joblib.load(io.BytesIO(buffer.getvalue()))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "protocol 2": lambda thing: pickle.loads(pickle.dumps(thing, 2)),
    "torch.save": saved,
    "cloudpickle": lambda thing: cloudpickle.loads(cloudpickle.dumps(thing)),
    "joblib": dumped,
}
each_copy = pytest.mark.parametrize("made", COPIES.values(), ids=COPIES)
each_worker = pytest.mark.parametrize(
    ("start", "persistent"),
    [("fork", False), ("fork", True), ("spawn", True), ("forkserver", True)],
    ids=["fork", "fork-persistent", "spawn-persistent", "forkserver-persistent"],
)


def epoch(loader: DataLoader[Any]) -> torch.Tensor:
    return torch.cat([first for (first, _), _ in loader])


def loader(dataset: Any, start: str = "fork", persistent: bool = False) -> DataLoader[Any]:
    return DataLoader(
        dataset, ITEMS // 2, num_workers=1, multiprocessing_context=start, persistent_workers=persistent
    )


def uninterrupted(epochs: int) -> list[torch.Tensor]:
    plain = DataLoader(keyed(), ITEMS)
    return [epoch(plain) for _ in range(epochs)]


@each_copy
def test_a_copy_goes_on_and_its_workers_count(made: Callable[[Any], Any]):
    """Without persistent workers each epoch's are new, and only shared memory remembers the visits."""
    expected, original = uninterrupted(3), keyed()
    assert torch.equal(epoch(loader(original)), expected[0])
    other = made(original)
    for dataset in (other, original):  # neither counts the other's visits
        batches = loader(dataset)
        assert all(torch.equal(epoch(batches), expected[number]) for number in (1, 2))


@each_copy
def test_persistent_workers_of_a_copy_are_told(made: Callable[[Any], Any]):
    original = keyed()
    original.set_epoch(7)
    other = made(original)
    batches, whole = loader(other, persistent=True), torch.from_numpy(Same()[0][0]).permute(2, 0, 1)
    views = adaptaug.Views("natural", size=SIZE, finish="uint8")
    assert torch.equal(epoch(batches)[5], views(Same()[5][0], key=(3, 7, 5))[0])
    other.set_epoch(8)
    assert torch.equal(epoch(batches)[5], views(Same()[5][0], key=(3, 8, 5))[0])
    other.set_policy(STILL)
    assert all(torch.equal(view, whole) for view in epoch(batches))
    assert torch.equal(original[5][0][0], views(Same()[5][0], key=(3, 7, 5))[0])  # the original was not


@each_worker
def test_workers_share_the_memory_of_whoever_starts_them(start: str, persistent: bool):
    dataset = copy.deepcopy(keyed())
    batches, expected = loader(dataset, start, persistent), uninterrupted(2)
    assert all(torch.equal(epoch(batches), views) for views in expected)
    assert int(dataset._visits[0]) == 2
    dataset.set_epoch(4)
    assert torch.equal(epoch(batches)[3], dataset.views(Same()[3][0], key=(3, 4, 3))[0])


def visited(dataset: adaptaug.Keyed) -> int:
    dataset[0]
    return int(dataset._visits[0])


def test_jobs_of_joblib_have_copies():
    dataset = keyed()
    dataset[0]
    assert joblib.Parallel(2)(joblib.delayed(visited)(dataset) for _ in range(2)) == [2, 2]
    assert int(dataset._visits[0]) == 1


def test_multiprocessing_hands_the_memory_on():
    dataset = keyed()
    handed = pickle.loads(bytes(ForkingPickler.dumps(dataset)))
    dataset.set_epoch(5)
    assert int(handed._epoch[0]) == 5


@each_copy
def test_a_texts_copy_is_written_alone(made: Callable[[Any], Any]):
    text = SharedText()
    text.write("one")
    other = made(text)
    text.write("two")
    assert (other.changed(), text.changed(), other.changed()) == ("one", "two", None)
    assert other.bytes.values.is_shared() and other.state.values.is_shared()


@each_copy
def test_a_streams_copy_is_told_alone(made: Callable[[Any], Any]):
    keys = webdataset.Keyed(adaptaug.Views("natural", size=SIZE, finish="uint8"), seed=2)
    keys.set_epoch(1)
    other = made(keys)
    keys.set_epoch(2)
    assert (int(keys._epoch[0]), int(other._epoch[0])) == (2, 1)
    assert other._epoch.values.is_shared()


def test_two_data_sets_of_one_views_change_its_policy_alone():
    views = adaptaug.Views("natural", size=SIZE, finish="uint8")
    one, other = (adaptaug.Keyed(Same(), views, seed=3) for _ in range(2))
    one.set_policy(STILL)
    one[0]
    assert (one.views.policy.name, other.views.policy.name, views.policy.name) == (
        "still",
        "natural",
        "natural",
    )


def test_the_rank_is_that_of_the_process_which_asks(monkeypatch: pytest.MonkeyPatch):
    """A launcher's pickle is read by every rank; only a process group's member can tell its workers a rank."""
    launched = pickle.dumps(keyed())
    monkeypatch.setenv("RANK", "1")
    alone = keyed()[0][0][0]
    assert torch.equal(pickle.loads(launched)[0][0][0], alone)
    monkeypatch.setenv("RANK", "0")
    assert not torch.equal(keyed()[0][0][0], alone)


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_made_while_a_policy_is_written_takes_the_next(name: str):
    dataset = keyed()
    dataset._policy.state[0] += 1  # as another process finds it half way
    copied = COPIES[name](dataset)
    copied.set_policy(STILL)
    copied[0]
    assert copied.views.policy.name == "still" and dataset.views.policy.name == "natural"
