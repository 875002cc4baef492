"""The batched path never looks at a value: one graph under torch.compile, and it runs without data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import adaptaug
from adaptaug.core.engine import off
from adaptaug.device import engine as engine
from adaptaug.policy.conditional import STATISTICS
from adaptaug.policy.ops import OPS

POLICIES = {name: adaptaug.Policy.load(name) for name in ("natural", "digits", "simclr")}
POLICIES["everything"] = adaptaug.Policy.parse(
    {
        "version": 1,
        "operations": {
            name: {k: [spec.low, spec.high] for k, spec in op.parameters.items()} for name, op in OPS.items()
        },
    }
)
SIZE = 32


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def batch(photo, to_tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Photographs large enough that some crops are reduced first and others not, and their keys."""
    images = torch.stack(
        [to_tensor(photo(name, 100, 80)) for name in ("coffee", "chelsea", "rocket", "astronaut")]
    )
    return images, torch.tensor([[7, 0, index] for index in range(4)])


@pytest.mark.parametrize("name", POLICIES)
def test_compiles_to_one_graph_with_the_same_pixels(name: str, photo, to_tensor, fresh_compiler, monkeypatch):
    policy = POLICIES[name]

    def view(images: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        return adaptaug.AdaptiveAugment(policy, SIZE)(images, key=keys)

    images, keys = batch(photo, to_tensor)
    compiled = torch.compile(view, backend="eager", fullgraph=True)
    made = [compiled(images, keys), compiled(images, keys + 1)]
    with off():
        plain = [view(images, keys), view(images, keys + 1)]
    difference = (torch.stack(made).int() - torch.stack(plain).int()).abs()
    assert difference.max() <= 1 and (difference > 0).float().mean() <= 1e-3
    # Uncompiled on the CPU, the renderer looks at the factors to go a quicker way: made to go the other, it
    # makes the same bits.
    monkeypatch.setattr(engine, "may_look", lambda tensor: False)
    with off():
        assert torch.equal(made[0], view(images, keys)) and torch.equal(made[1], view(images, keys + 1))


def test_views_compile_too(photo, to_tensor, fresh_compiler, monkeypatch):
    # The second view has a policy of its own, its crop overlaps the first's, and statistics move p and strength.
    byol = adaptaug.Policy.load("byol")
    coupled = byol.edit(
        pair={"second": byol.pair.second, "overlap": [0.3, 0.6]},
        conditional={
            "statistics": {name: [0.3, 0.2] for name in STATISTICS},
            "operations": {
                "brightness": {"p": dict.fromkeys(STATISTICS, 0.1), "strength": {"mean": 0.5}},
                "blur": {"strength": {"sharpness": -0.5}},
            },
        },
    )
    views = adaptaug.Views(coupled, size=SIZE)
    images, keys = batch(photo, to_tensor)
    compiled = torch.compile(lambda x, k: views(x, key=k), backend="eager", fullgraph=True)
    made = compiled(images, keys)
    monkeypatch.setattr(engine, "may_look", lambda tensor: False)
    with off():
        plain = views(images, key=keys)
    for ours, theirs in zip(made, plain, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16])
@pytest.mark.parametrize("name", POLICIES)
def test_runs_without_data(name: str, dtype: torch.dtype):
    """A fake tensor has no values: reading one raises, as waiting for a GPU would cost."""
    with FakeTensorMode():
        images, keys = torch.zeros(4, 3, 80, 100, dtype=dtype), torch.zeros(4, 3, dtype=torch.int64)
        out = adaptaug.AdaptiveAugment(POLICIES[name], SIZE)(images, key=keys)
    assert out.shape == (4, 3, SIZE, SIZE) and out.dtype == dtype
