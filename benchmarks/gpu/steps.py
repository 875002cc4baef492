"""What views cost in a training step on the device, and whether they are those of the CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import torch

import adaptaug
from adaptaug.backend import keys as numbers
from adaptaug.core import library
from adaptaug.core.engine import off
from adaptaug.encoders.networks import fast_precision
from adaptaug.params import ViewParams
from adaptaug.simclr.contrast import new_contrast
from benchmarks import turns
from benchmarks.gpu import making
from benchmarks.gpu.calls import Row, sentence
from benchmarks.gpu.making import Make
from benchmarks.gpu.throughput import inputs_of, unlike
from benchmarks.turns import Contender

CLOSE = 1e-9  # numbers of a plan that are farther apart are counted


@dataclass(frozen=True)
class Sizes:
    """`steps`: network, side of a view, pairs a step; `alike`: images that are compared and their side."""

    steps: tuple[tuple[str, int, int], ...] = (("resnet50", 224, 256), ("resnet18", 32, 512))
    alike: tuple[tuple[int, int], ...] = ((512, 32), (64, 224))
    rounds: int = 7
    seconds: float = 0.3
    sets: int = 2


class Step:
    """A SimCLR step with AdamW: bf16 where the device has it, channels_last."""

    def __init__(self, arch: str, side: int, device: torch.device):
        self.model = new_contrast(arch, "natural", side, 0, precision=fast_precision(device)).to(device)
        self.model.train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=1e-4)

    def __call__(self, views: list[torch.Tensor]) -> None:
        loss = self.model.loss_of(views)[0]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def share(arch: str, side: int, pairs: int, sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """The step with views made each time, and with views that are there already; share: 1 - without / with."""
    step, inputs = Step(arch, side, device), inputs_of(pairs, side, sizes.sets, device)
    makes: dict[str, Make] = {"eager": making.eager("natural", side, "imagenet")}
    failed = {}
    try:
        makes["CUDA graph"] = making.Captured(makes["eager"], *inputs[0])
    except Exception as error:
        failed["CUDA graph"] = sentence(error)
    there = [view.clone() for view in makes["eager"](*inputs[0])]
    calls: dict[str, Callable[[Any], Any]] = {"step without its views": lambda _: step(there)}
    for name, make in makes.items():
        calls[f"step, views {name}"] = partial(_stepped, step, make)
        calls[f"views, {name}"] = partial(_stepped, lambda views: None, make)
    contenders = [Contender(name, call, cycle(inputs), 2 * pairs) for name, call in calls.items()]
    clock = turns.device_clock if device.type == "cuda" else time.perf_counter
    turns.measure(contenders, sizes.rounds, sizes.seconds, clock)
    without = np.array(contenders[0].times)
    shares = {}
    for one in contenders:
        if one.name.startswith("step, "):
            quartiles = np.quantile(1 - without / np.array(one.times), (0.5, 0.25, 0.75))
            shares[one.name] = dict(zip(("median", "low", "high"), quartiles.round(4).tolist(), strict=True))
    return {"pairs": pairs, "precision": str(step.model.precision), "views' share": shares,
            **turns.told(contenders, ()), "not run": failed}  # fmt: skip


def _stepped(step: Callable[[list[torch.Tensor]], Any], make: Make, given: Any) -> None:
    step(make(*given))


def alike(count: int, side: int, device: torch.device) -> dict[str, Any]:
    """The same keys on the device, and on the CPU by the core and by torch: random numbers, plans, pixels."""
    images, keys = inputs_of(count, side, 1, device)[0]
    views = adaptaug.Views("natural", n=2, size=side, finish="uint8", return_params=True)
    drawn = numbers.uniforms(keys, 1, 32).cpu()
    by_numpy = torch.from_numpy(numbers.uniforms(keys.cpu().numpy(), 1, 32))
    result: dict[str, Any] = {"images": count, "random numbers equal": torch.equal(drawn, by_numpy)}
    with off():
        here, plans = views(images, key=keys)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            result["changed by tf32 in convolutions"] = unlike(here, views(images, key=keys)[0])
        result["against torch on the CPU"] = _compared(here, plans, *views(images.cpu(), key=keys.cpu()))
    if library.load() is None:
        result["not run"] = {"against the core": library.why_not()}
    else:
        result["against the core"] = _compared(here, plans, *views(images.cpu(), key=keys.cpu()))
    return result


def _compared(
    here: list[torch.Tensor], plans: list[ViewParams], there: list[torch.Tensor], others: list[ViewParams]
) -> dict[str, Any]:
    """Decisions: which operations, reasons and verdicts of the certificate; numbers: all that was drawn."""
    decided, drawn = [], []
    for plan, other in zip(plans, others, strict=True):
        decided += [(plan.failed, other.failed), (plan.frame, other.frame)]
        for name, one in plan.entries.items():
            two = other.entries[name]
            decided += [(one.applied, two.applied), (one.reason, two.reason)]
            drawn.append((one.value, two.value))
    apart = [
        np.abs(np.concatenate([_numbers(one) - _numbers(two) for one, two in pairs]))
        for pairs in (decided, drawn)
    ]
    decisions, values = apart
    return {
        "decisions": decisions.size, "decisions differ": int((decisions > 0).sum()), "numbers": values.size,
        "numbers differ": int((values > CLOSE).sum()), "most apart": float(values.max()),
        "levels": unlike([v.cpu() for v in here], [v.cpu() for v in there]),
    }  # fmt: skip


def _numbers(values: Any) -> np.ndarray:
    return torch.as_tensor(values).double().cpu().numpy()


def rows(sizes: Sizes, device: torch.device) -> list[Row]:
    def step(arch: str, side: int, pairs: int) -> Row:
        run = lambda call: share(arch, side, pairs, sizes, device)  # noqa: E731
        return Row("steps", f"{arch}, {pairs} pairs of {side} px", 25, run)

    def equality(count: int, side: int) -> Row:
        run = lambda call: alike(count, side, device)  # noqa: E731
        return Row("steps", f"device against CPU, {count} x {side} px", 8, run)

    return [*(step(*one) for one in sizes.steps), *(equality(*one) for one in sizes.alike)]
