"""Samples that come more than once in an epoch: new pictures each time, the same ones in every run."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    DistributedSampler,
    Subset,
    WeightedRandomSampler,
)

import adaptaug
from adaptaug.data.visits import Visit
from tests.test_workers import ITEMS, SIZE, Same

UNLIKE = list(range(ITEMS))


def keyed(seed: int = 3, n: int = 1, epoch: int | None = 2) -> adaptaug.Keyed:
    dataset = adaptaug.Keyed(Same(), adaptaug.Views("natural", n=n, size=SIZE, finish="uint8"), seed=seed)
    if epoch is not None:
        dataset.set_epoch(epoch)
    return dataset


def pictures(dataset: Any, **options: Any) -> list[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [row.numpy().tobytes() for (views, *_), _ in DataLoader(dataset, **options) for row in views]


def weighted() -> WeightedRandomSampler:
    return WeightedRandomSampler([1.0] * ITEMS, 30, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("batch", [None, 1, 2, 3, 30])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("drawn", [[3, 3, 3, 3], [5, -3, 5], None], ids=["3333", "from the end", "weighted"])
def test_repeats_are_new_pictures_whatever_the_batch(
    batch: int | None, workers: int, drawn: list[int] | None
):
    dataset = keyed()
    indices = list(weighted()) if drawn is None else drawn
    expected = pictures(dataset, sampler=dataset.sampler(indices))
    assert len(set(expected)) == len(indices)
    dataset.set_epoch(2)
    if batch is None:
        loader = DataLoader(dataset, None, sampler=dataset.sampler(indices), num_workers=workers)
        assert [views[0].numpy().tobytes() for views, _ in loader] == expected
    else:
        assert (
            pictures(dataset, batch_size=batch, sampler=dataset.sampler(indices), num_workers=workers)
            == expected
        )


def test_batch_samplers_and_those_of_ones_own():
    dataset = keyed()
    expected = pictures(dataset, sampler=dataset.sampler([3, 3, 1, 3, 3]))
    for batches in (BatchSampler([3, 3, 1, 3, 3], 2, False), [[3], (3, 1), torch.tensor([3, 3])]):
        dataset.set_epoch(2)
        wrapped = dataset.sampler(batches)
        assert len(wrapped) == len(batches)
        assert pictures(dataset, batch_sampler=wrapped) == expected


def test_what_comes_once_is_the_same_with_and_without():
    dataset = keyed()
    plain = pictures(dataset, batch_size=3)
    dataset.set_epoch(2)
    assert pictures(dataset, batch_size=3, sampler=dataset.sampler(range(ITEMS)), num_workers=2) == plain


def test_repeats_within_a_batch_are_counted():
    dataset = keyed()
    unwrapped = pictures(dataset, batch_size=4, sampler=[3, 3, 3, 3])
    dataset.set_epoch(2)
    assert unwrapped == pictures(dataset, sampler=dataset.sampler([3, 3, 3, 3]))


def test_a_repeat_that_nobody_counts_warns_once():
    dataset = keyed()
    with pytest.warns(
        UserWarning, match=r"sample 3 came again in epoch 2 .*sampler=keyed.sampler\(sampler\)"
    ) as said:
        list(DataLoader(dataset, sampler=[3, 3, 3, 3, 1, 1]))
    assert len(said) == 1


def test_a_wrapped_loader_that_is_read_again_says_nothing():
    dataset = keyed()
    sampler = dataset.sampler([3, 1, 3])
    assert pictures(dataset, sampler=sampler) == pictures(dataset, sampler=sampler)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "around",
    [
        lambda whole: Subset(whole, UNLIKE[::-1]),
        lambda whole: Subset(Subset(whole, UNLIKE[::-1]), UNLIKE),
        lambda whole: Subset(ConcatDataset([whole]), UNLIKE[::-1]),
        lambda whole: ConcatDataset([Subset(whole, UNLIKE[::-1]), Subset(whole, UNLIKE)]),
    ],
    ids=["subset", "of a subset", "of a concatenation", "in a concatenation"],
)
def test_what_picks_from_a_keyed_keeps_visits(around: Any, workers: int):
    dataset = keyed()
    wrapped = dataset.sampler([0, 1, 0, 0])
    last = ITEMS - 1
    expected = pictures(dataset, sampler=dataset.sampler([last, last - 1, last, last]))
    for batch in (1, 3):
        dataset.set_epoch(2)
        assert pictures(around(dataset), batch_size=batch, sampler=wrapped, num_workers=workers) == expected


def test_a_part_of_a_keyed_has_the_ranks_draws_too():
    repeated = pytest.importorskip("timm.data.distributed_sampler").RepeatAugSampler
    made = []
    for rank in range(2):
        dataset = keyed()
        sampler = repeated(
            range(4), num_replicas=2, rank=rank, num_repeats=2, shuffle=False, selected_round=0
        )
        made += pictures(Subset(dataset, UNLIKE[4:]), batch_size=2, sampler=dataset.sampler(sampler))
    assert len(set(made)) == len(made) > 2


@pytest.mark.parametrize(
    ("around", "drawn"),
    [
        (lambda whole: Subset(whole, [3, 3]), [0, 1]),
        (lambda whole: ConcatDataset([keyed(), whole]), [ITEMS + 3, ITEMS + 3]),
    ],
    ids=["a subset with repeats", "the second of a concatenation"],
)
def test_repeats_that_nobody_counts_warn_once_wherever_they_are(around: Any, drawn: list[int]):
    dataset = keyed()
    with pytest.warns(
        UserWarning, match=r"sample 3 came again .*Keyed\(Subset\(data, indices\), views\)"
    ) as said:
        for _ in range(2):
            list(DataLoader(around(dataset), sampler=drawn))
    assert len(said) == 1
    twice = ConcatDataset([dataset, dataset])
    dataset.set_epoch(2)
    assert len(set(pictures(twice, batch_size=4))) == 2 * ITEMS  # the same, at two places


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sampler_of_batches_without_batch_size_gives_batches(workers: int):
    dataset = keyed(epoch=None)
    batches = DataLoader(
        dataset, batch_size=None, sampler=BatchSampler(UNLIKE, 3, False), num_workers=workers
    )
    other = keyed(epoch=None)
    for (views, label), (same, expected) in zip(batches, DataLoader(other, batch_size=3), strict=True):
        assert torch.equal(views[0], same[0]) and torch.equal(label, expected)
    wrapped = dataset.sampler(BatchSampler([3, 3], 2, False))
    ((views, _),) = DataLoader(dataset, batch_size=None, sampler=wrapped)
    assert not torch.equal(views[0][0], views[0][1])
    for several in ((1, -1), torch.tensor([1, ITEMS - 1]), [Visit(1), Visit(-1)]):
        assert keyed()[several][1].tolist() == [1, ITEMS - 1]


def test_a_worker_warns_once(capfd: pytest.CaptureFixture[str]):
    dataset = keyed()
    for _ in DataLoader(dataset, sampler=[3] * 8, num_workers=1, multiprocessing_context="spawn"):
        pass
    assert capfd.readouterr().err.count("came again") == 1


def test_an_epoch_that_is_set_again_is_no_repeat():
    dataset = keyed()
    first = pictures(dataset)
    dataset.set_epoch(2)
    assert pictures(dataset) == first


def test_timms_repeated_augmentation_differs_on_every_rank():
    sampler = pytest.importorskip("timm.data.distributed_sampler").RepeatAugSampler
    made, indices = [], []
    for rank in range(2):
        dataset, repeated = (
            keyed(),
            sampler(Same(), num_replicas=2, rank=rank, num_repeats=3, selected_round=0),
        )
        wrapped = dataset.sampler(repeated)
        wrapped.set_epoch(1)
        indices += [int(index) for index in wrapped]
        made += pictures(dataset, batch_size=2, sampler=wrapped)
    assert max(map(indices.count, indices)) > 1
    assert len(set(made)) == len(made)


class Wrapper(DistributedSampler[Any]):
    """As Lightning and catalyst share out another sampler's draws."""

    def __init__(self, sampler: Any, **options: Any):
        class Draws:
            def __init__(self) -> None:
                self._sampler, self.drawn = sampler, list(sampler)

            def __len__(self) -> int:
                return len(self.drawn)

        super().__init__(Draws(), **options)  # type: ignore[arg-type]

    def __iter__(self) -> Any:
        return (self.dataset.drawn[place] for place in super().__iter__())  # type: ignore[attr-defined]


def test_shared_out_repeats_differ_on_every_rank():
    made = []
    for rank in range(2):
        dataset = keyed()
        shares = Wrapper([3, 3, 3, 3], num_replicas=2, rank=rank, shuffle=False)
        made += pictures(dataset, batch_size=1, sampler=dataset.sampler(shares))
    assert len(set(made)) == 4


@pytest.mark.parametrize("batches", [False, True], ids=["sampler", "batch sampler"])
def test_shares_of_a_distributed_sampler_are_what_one_process_gives(batches: bool):
    alone = pictures(keyed())
    for rank in range(2):
        dataset = keyed()
        shares = DistributedSampler(Same(), 2, rank, seed=1)
        shares.set_epoch(2)
        expected = [alone[index] for index in shares]
        if batches:
            assert (
                pictures(dataset, batch_sampler=dataset.sampler(BatchSampler(shares, 3, False))) == expected
            )
        else:
            wrapped = dataset.sampler(shares)
            wrapped.set_epoch(2)
            assert pictures(dataset, batch_size=2, sampler=wrapped) == expected


@pytest.mark.parametrize("done", [0, 1, 11])
def test_a_run_that_is_resumed_keeps_its_visits(done: int):
    dataset, drawn = keyed(), list(weighted())
    whole = pictures(dataset, sampler=dataset.sampler(drawn))
    resumed = keyed()
    wrapped = resumed.sampler(drawn, skip=done)
    assert len(wrapped) == 30 - done
    assert pictures(resumed, batch_size=4, sampler=wrapped, num_workers=2) == whole[done:]
    resumed.set_epoch(3)
    assert len(pictures(resumed, sampler=wrapped)) == 30  # the next epoch is whole


@pytest.mark.parametrize("epoch", [None, 2])
@pytest.mark.parametrize("workers", [0, 1])
def test_data_sets_of_one_seed_put_together_differ(epoch: int | None, workers: int):
    alone = pictures(keyed(epoch=epoch))
    subset = Subset(keyed(epoch=epoch), UNLIKE)
    together = ConcatDataset([keyed(epoch=epoch), ConcatDataset([subset, keyed(epoch=epoch)])])
    made = pictures(together, batch_size=4, num_workers=workers)
    assert made[:ITEMS] == alone
    assert len(set(made)) == 3 * ITEMS
    other_seed = pictures(ConcatDataset([keyed(1, epoch=epoch), keyed(epoch=epoch)]))
    assert other_seed[ITEMS:] == alone


def test_repeats_of_data_sets_put_together():
    together = ConcatDataset([keyed(), keyed()])
    sampler = keyed().sampler([3, 3, ITEMS + 3, ITEMS + 3, -1, 3])
    assert len(set(pictures(together, sampler=sampler))) == 6


def test_without_set_epoch_repeats_are_visits():
    dataset, views = keyed(epoch=None), adaptaug.Views("natural", n=1, size=SIZE, finish="uint8")
    made = pictures(dataset, sampler=dataset.sampler([3, 3]))
    assert made == [views(Same()[3][0], key=(3, visit, 3))[0].numpy().tobytes() for visit in range(2)]


def test_an_index_keeps_what_it_knows():
    for one in (Visit(5, 2, 1), copy.copy(Visit(5, 2, 1)), pickle.loads(pickle.dumps(Visit(5, 2, 1))),
                Visit(9, 2, 1) - 4, 3 + Visit(2, 2, 1)):  # fmt: skip
        assert (one, one.visit, one.rank) == (5, 2, 1)


def test_a_sampler_can_be_copied_and_a_number_is_none():
    wrapped = pickle.loads(pickle.dumps(copy.deepcopy(keyed().sampler([1, 1]))))
    assert [(index, index.visit) for index in wrapped] == [(1, 0), (1, 1)]
    with pytest.raises(adaptaug.AdaptAugError, match="expected a sampler or a list of indices, got int"):
        keyed().sampler(3)  # type: ignore[arg-type]


class Stateful:
    """A sampler that goes on in the middle by itself, as torchdata's do."""

    def __init__(self, order: list[int]):
        self.order, self.at = order, 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Any:
        while self.at < len(self.order):
            self.at += 1
            yield self.order[self.at - 1]
        self.at = 0

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


@pytest.mark.parametrize("kind", [list, Stateful], ids=["without a state", "with its own"])
def test_a_run_resumed_by_state_dicts_keeps_its_visits(kind: Any):
    order = [0, 1, 0, 2, 0, 1, 2, 0]
    dataset = keyed()
    whole = pictures(dataset, batch_size=1, sampler=dataset.sampler(kind(order)))
    assert len(set(whole)) == len(order)
    state: Any = None
    for place in (0, 3, 5):  # interrupted twice
        dataset = keyed()
        sampler = dataset.sampler(kind(order))
        if state is not None:
            sampler.load_state_dict(pickle.loads(pickle.dumps(state)))
        given = iter(sampler)
        made = [next(given) for _ in range({0: 3, 3: 2, 5: 3}[place])]
        assert [pictures(dataset, sampler=[one])[0] for one in made] == whole[place : place + len(made)]
        state = sampler.state_dict()
    assert (
        pictures(keyed(), batch_size=1, sampler=dataset.sampler(order)) == whole
    )  # the next epoch begins anew
