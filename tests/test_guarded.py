"""What a record says of its guard is so: without one an operation has the policy's whole range on every image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adaptaug import AdaptiveAugment, Policy
from adaptaug.policy.ops import OPS
from adaptaug.promise.reasons import Reason
from benchmarks.scenes import SCENES

DULL = {Reason.NOT_DRAWN, Reason.WHOLE_RANGE}


@pytest.fixture(scope="module")
def images(photo) -> list[np.ndarray]:
    """Photographs as they are, dark, bright and pale; colours of one luma; scenes with their subject in a corner."""
    plain = photo("coffee", 96, 96).astype(np.float64)
    turn = np.arange(96)[:, None] // 12 % 2 * np.ones((96, 96))
    one_luma = np.stack([120 + 80 * turn, 120 - 52 * turn, 120 + 58 * turn], 2)
    made = [plain, plain * 0.15, 255 - (255 - plain) * 0.15, 110 + plain * 0.1, one_luma]
    return [np.clip(image, 0, 255).astype(np.uint8) for image in made] + [
        np.ascontiguousarray(np.broadcast_to(np.asarray(scene()), (*np.asarray(scene()).shape[:2], 3)))
        for scene in SCENES.values()
    ]


def widest(name: str) -> Policy:
    """The operation, always drawn, over its whole range; beside it what its guard goes by, where a policy says that."""
    op = OPS[name]
    node: dict[str, Any] = {"p": 1.0} if name != "crop" else {"content": 0.5}
    if not op.switch:
        node |= {
            ("range" if op.single else part): [spec.low, spec.high] for part, spec in op.parameters.items()
        }
    whole = (
        {"crop": {"area": [1.0, 1.0], "ratio": [1.0, 1.0], "content": 0.95}} if op.kind == "geometry" else {}
    )
    promise = {"erased": 0.05} if name == "erase" else {}
    return Policy.parse({"version": 1, "name": name, "promise": promise, "operations": whole | {name: node}})


@pytest.mark.parametrize("name", OPS)
def test_a_guard_is_there_where_the_record_says_so(name, images) -> None:
    augment, narrowed = AdaptiveAugment(widest(name), size=64), set()
    for image in images:
        for number in range(6):
            for label, entry in augment.plan(image, key=(0, 0, number)).entries.items():
                if label.split(".")[0] != name:
                    continue
                low, high = entry.policy
                if int(entry.reason[0]) not in DULL or (entry.low[0], entry.high[0]) != (low, high):
                    narrowed.add(Reason(int(entry.reason[0])).name)
    assert bool(narrowed) == (OPS[name].guard is not None), narrowed
