"""Views a second on the device: eager, as a CUDA graph, compiled, beside kornia and torchvision."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import Any

import torch

from adaptaug.policy import Policy
from benchmarks import peers, turns
from benchmarks.gpu import making
from benchmarks.gpu.calls import Row, sentence
from benchmarks.gpu.making import Make
from benchmarks.peers import PHOTO, SMALL, Recipe
from benchmarks.turns import Claim, Contender
from benchmarks.workloads import small_images

Inputs = list[tuple[torch.Tensor, torch.Tensor]]  # images and their keys
AT_ONCE = 4  # calls between two looks at the clock, which waits for the device
ONE_BY_ONE = 64  # torchvision draws once for a call: image by image it is timed on so many of a batch


@dataclass(frozen=True)
class Sizes:
    """How much of everything. `batches`: images and the side of their views; `compiled`: of these, what is compiled,
    which takes minutes."""

    batches: tuple[tuple[int, int], ...] = ((512, 32), (128, 224), (1024, 224))
    compiled: tuple[tuple[int, int], ...] = ((512, 32), (128, 224))
    rounds: int = 7
    seconds: float = 0.1
    sets: int = 4  # of images, in turns: one would stay in the cache
    copied: int = 1 << 31  # bytes
    backend: str = "inductor"
    policy: str = "natural"  # what is compiled


def recipe_of(side: int) -> Recipe:
    return replace(SMALL if side <= 64 else PHOTO, size=side)


def inputs_of(count: int, side: int, sets: int, device: torch.device) -> Inputs:
    """Sets of images (count, 3, side, side) uint8 and keys (count, 3) on the device."""
    images = small_images(None, count, side).to(device)
    index = torch.arange(count, device=device)
    zero = torch.zeros_like(index)
    return [
        (images.roll(number, 0).contiguous(), torch.stack([zero, zero + number, index], 1))
        for number in range(sets)
    ]


@dataclass(frozen=True)
class Made:
    """How a contender makes views, of how many images, and whether it takes floats in [0, 1]."""

    make: Make
    count: int
    floats: bool = False

    def given(self, inputs: Inputs) -> Inputs:
        some = [(images[: self.count], keys[: self.count]) for images, keys in inputs]
        return [(images.float() / 255.0, keys) for images, keys in some] if self.floats else some


class Bench:
    """Contenders on the same inputs; one that cannot be set up is told of instead, in one sentence."""

    def __init__(self, count: int, side: int, sizes: Sizes, device: torch.device):
        self.count, self.side, self.sizes, self.device = count, side, sizes, device
        self.inputs = inputs_of(count, side, sizes.sets, device)
        self.made: dict[str, Made] = {}
        self.failed: dict[str, str] = {}

    def add(
        self, name: str, build: Callable[[], Make], count: int | None = None, floats: bool = False
    ) -> None:
        try:
            made = Made(build(), min(count or self.count, self.count), floats)
            made.make(*made.given(self.inputs[:1])[0])
        except Exception as error:
            self.failed[name] = sentence(error)
        else:
            self.made[name] = made

    def add_captured(self, name: str, make: Make) -> None:
        self.add(name, lambda: making.Captured(make, *self.inputs[0]))

    def add_peers(self) -> None:
        recipe = recipe_of(self.side)
        self.add("kornia", lambda: _alone(peers.kornia(recipe)), floats=True)
        self.add("torchvision, one draw for all", lambda: _alone(peers.torchvision(recipe)))
        one_by_one = lambda: _alone(peers.each(peers.torchvision(recipe)))  # noqa: E731
        self.add("torchvision, image by image", one_by_one, ONE_BY_ONE)

    def measured(self, claims: tuple[Claim, ...]) -> dict[str, Any]:
        """What JSON has: times, kernels, bytes, and shares of the rate of a copy."""
        rate = making.copy_rate(self.sizes.copied, self.device)
        contenders = [self._contender(name, made) for name, made in self.made.items()]
        clock = turns.device_clock if self.device.type == "cuda" else time.perf_counter
        turns.measure(contenders, self.sizes.rounds, self.sizes.seconds, clock)
        told = turns.told(contenders, tuple(c for c in claims if {c.over, c.under} <= set(self.made)))
        for row in told["contenders"]:
            row |= self._moved(row["name"], row["ms"] / 1e3, rate)
        return {"copy_gb_per_s": round(rate / 1e9, 1), **told, "not run": self.failed}

    def _contender(self, name: str, made: Made) -> Contender:
        inputs = cycle(made.given(self.inputs))

        def call(first: Any) -> None:
            made.make(*first)
            for _ in range(AT_ONCE - 1):
                made.make(*next(inputs))

        return Contender(name, call, inputs, 2 * made.count * AT_ONCE)

    def _moved(self, name: str, seconds: float, rate: float) -> dict[str, Any]:
        """Of one call, what it launches and moves; `seconds`: for a view. A graph hides what it does from the count
        of bytes: they are those of the eager calls that it repeats."""
        made = self.made[name]
        ((images, keys),) = made.given(self.inputs[:1])
        seconds *= 2 * made.count
        least = 3 * images.nbytes  # read once, two views written
        share = lambda moved: float(f"{moved / seconds / rate:.3g}")  # noqa: E731
        result: dict[str, Any] = {"images": made.count, "least_bytes": least, "least_of_copy": share(least)}
        try:
            result |= making.launches(lambda: made.make(images, keys), self.device)
            if "compiled" not in name:
                eager = self.made[name.replace("CUDA graph", "eager")].make
                result |= making.traffic(lambda: eager(images, keys), self.device)
                result["moved_of_copy"] = share(result["bytes"])
        except Exception as error:  # a machine without CUPTI, say: the times are worth having
            result["not counted"] = sentence(error)
        return result


def _alone(peer: peers.Call) -> Make:
    """A peer, which has no keys."""
    return lambda images, _: peer(images)


def unlike(one: list[torch.Tensor], other: list[torch.Tensor]) -> dict[str, float]:
    """Share of levels that differ between two sets of uint8 views, of more than one, and the most they do."""
    difference = torch.stack([(a.int() - b.int()).abs() for a, b in zip(one, other, strict=True)])
    share = lambda flags: round(float(flags.float().mean()), 7)  # noqa: E731
    return {
        "differ": share(difference > 0),
        "by more than 1": share(difference > 1),
        "most": int(difference.max()),
    }


def at_batch(count: int, side: int, sizes: Sizes, device: torch.device) -> dict[str, Any]:
    bench = Bench(count, side, sizes, device)
    for name, policy in (("ours", "natural"), ("ours, equal work", recipe_of(side).policy)):
        bench.add(f"{name}, eager", partial(making.eager, policy, side))
        bench.add_captured(f"{name}, CUDA graph", making.eager(policy, side))
    bench.add_peers()
    graph = "ours, CUDA graph" in bench.made
    best = "ours, CUDA graph" if graph else "ours, eager"
    result = bench.measured((Claim("kornia", best, 5, 15), Claim("torchvision, image by image", best, 5, 15)))
    return result | ({"graph against eager": _agreement(bench, best)} if graph else {})


def _agreement(bench: Bench, name: str) -> dict[str, float]:
    """With keys that it was not made with."""
    images, keys = bench.inputs[-1]
    return unlike(bench.made[name].make(images, keys), bench.made["ours, eager"].make(images, keys))


def by_compiler(count: int, side: int, sizes: Sizes, device: torch.device) -> dict[str, Any]:
    bench = Bench(count, side, sizes, device)
    policy = Policy.load(sizes.policy)
    bench.add("ours, eager", lambda: making.eager(policy, side))
    took: list[float] = []

    def build() -> Make:
        faster, seconds = making.compiled(making.plain(policy, side), *bench.inputs[0], sizes.backend)
        took.append(round(seconds, 1))
        return faster

    bench.add("ours, compiled", build)
    if "ours, compiled" in bench.made:
        bench.add_captured("ours, compiled, CUDA graph", bench.made["ours, compiled"].make)
    result = bench.measured((Claim("ours, eager", "ours, compiled", 1, 2),))
    agreement = {"compiled against eager": _agreement(bench, "ours, compiled")} if took else {}
    return {"policy": sizes.policy, "compile_seconds": took, **result, **agreement}


def rows(sizes: Sizes, device: torch.device) -> list[Row]:
    def row(count: int, side: int) -> Row:
        run = lambda call: at_batch(count, side, sizes, device)  # noqa: E731
        return Row("throughput", f"{count} x {side} px", 25 if side <= 64 else 10 + count / 50, run)

    return [row(*batch) for batch in sizes.batches]


def compiled_rows(sizes: Sizes, device: torch.device) -> list[Row]:
    def row(count: int, side: int) -> Row:
        run = lambda call: by_compiler(count, side, sizes, device)  # noqa: E731
        return Row("compiled", f"{count} x {side} px", 120, run)

    return [row(*batch) for batch in sizes.compiled]
