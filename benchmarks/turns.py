"""Measuring in turns: contenders take a slice of time each, over and over, so that what else the machine does hits all.

What is told are medians and quartiles over the rounds, of times and of ratios within a round, the machine and its load.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptaug.backend.writing import write_atomically

Clock = Callable[[], float]
LEAST_VIEWS = (
    16  # of a slice: what is drawn for a view decides what it costs, most so where a peer's blur is costly
)
PACKAGES = (
    "adaptaug", "torch", "torchvision", "albumentations", "kornia", "lightly", "opencv-python", "numpy", "pillow",
    "simplejpeg",
)  # fmt: skip


def device_clock() -> float:
    """Seconds, once the device has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


@dataclass
class Contender:
    """Who, with what, and how many views one call makes."""

    name: str
    call: Callable[[Any], Any]
    inputs: Iterator[Any]
    views: int
    times: list[float] = field(default_factory=list)  # ms for a view, one each slice
    threads: list[float] = field(default_factory=list)  # processor seconds for each second, of each slice

    def slice(self, seconds: float, clock: Clock) -> None:
        calls, start, wall, used = 0, clock(), time.perf_counter(), time.process_time()
        while calls * self.views < LEAST_VIEWS or clock() - start < seconds:
            self.call(next(self.inputs))
            calls += 1
        self.times.append((clock() - start) * 1e3 / calls / self.views)
        self.threads.append((time.process_time() - used) / (time.perf_counter() - wall))

    def forget(self) -> None:
        self.times.clear()
        self.threads.clear()


class Inside(Contender):
    """A part of another's calls, which come before it in a round: `call` gives the ms of each since it was asked."""

    def slice(self, seconds: float, clock: Clock) -> None:
        self.times.append(self.call(None) / self.views)


def measure(contenders: list[Contender], rounds: int, seconds: float, clock: Clock) -> None:
    for _ in range(2):  # warm-up
        for contender in contenders:
            contender.slice(seconds, clock)
            contender.forget()
    for _ in range(rounds):
        for contender in contenders:
            contender.slice(seconds, clock)


@dataclass(frozen=True)
class Claim:
    """A ratio of two's times and what it is to be: at most `bound` where the aim is below that, else at least."""

    over: str
    under: str
    bound: float
    aim: float

    @property
    def at_most(self) -> bool:
        return self.aim < self.bound

    def judged(self, contenders: dict[str, Contender]) -> dict[str, Any]:
        one, other = contenders[self.over], contenders[self.under]
        ratios = np.array(one.times) / np.array(other.times)  # of the same round
        ratio, (low, high) = float(np.median(ratios)), np.quantile(ratios, (0.25, 0.75))
        return {
            "ratio": f"{self.over} / {self.under}", "median": round(ratio, 4),
            "quartiles": [round(low, 4), round(high, 4)], "at most" if self.at_most else "at least": self.bound,
            "aim": self.aim, "met": ratio <= self.bound if self.at_most else ratio >= self.bound,
        }  # fmt: skip


def told(contenders: list[Contender], claims: tuple[Claim, ...]) -> dict[str, Any]:
    """What JSON has of a row's contenders and its claims."""
    rows = []
    for one in contenders:
        low, high = np.quantile(one.times, (0.25, 0.75))
        row: dict[str, Any] = {"name": one.name, "ms": round(float(np.median(one.times)), 4),
                               "quartiles": [round(low, 4), round(high, 4)]}  # fmt: skip
        rows.append(row | ({"threads": round(float(np.median(one.threads)), 2)} if one.threads else {}))
    named = {one.name: one for one in contenders}
    return {"contenders": rows, "claims": [claim.judged(named) for claim in claims]}


# --- where and when -----------------------------------------------------------------------------------------
def machine(device: str = "cpu") -> dict[str, Any]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "-"
    info = Path("/proc/cpuinfo")
    model = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return {
        "cpu": model[0].split(":")[1].strip() if model else platform.processor(), "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "python": platform.python_version(), "versions": versions,
    }  # fmt: skip


def commit() -> str:
    """The commit of the working tree, with + where something is changed; '-' outside git."""
    root = Path(__file__).parents[1]
    lines = [
        subprocess.run(
            ["git", "-C", root, *asked], capture_output=True, text=True, check=False
        ).stdout.strip()
        for asked in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    ]
    return (lines[0] or "-") + ("+" if lines[1] else "")


class Load:
    """What the machine did from here on: cores busy on average, and how many of them with this process alone."""

    def __init__(self) -> None:
        self.start = self._now()

    @staticmethod
    def _now() -> np.ndarray:
        stat = Path("/proc/stat")
        ticks = [int(n) for n in stat.read_text().split("\n")[0].split()[1:9]] if stat.exists() else [0] * 8
        busy = (sum(ticks) - ticks[3] - ticks[4]) / (os.sysconf("SC_CLK_TCK") if stat.exists() else 1)
        times = os.times()
        return np.array([time.perf_counter(), busy, times.user + times.system])

    def told(self) -> dict[str, Any]:
        wall, busy, own = self._now() - self.start
        return {
            "seconds": round(wall, 1), "cores busy": round(busy / wall, 2), "with this process": round(own / wall, 2),
            "load average": [round(n, 2) for n in os.getloadavg()],
        }  # fmt: skip


# --- results ------------------------------------------------------------------------------------------------
def now() -> str:
    """The time in UTC, to the minute."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")


def line(module: str, row: str, **found: Any) -> dict[str, Any]:
    """A row's line of results: what was asked, when and where, then what was found."""
    command = " ".join(["python -m", f"benchmarks.{module}", *sys.argv[1:]])
    return {"row": row, "command": command, "commit": commit(), "at": now(), "machine": machine(), **found}


def keep(result: dict[str, Any], file: Path | None) -> None:
    """Put a row's line into a file of JSON lines, in the place of the row's earlier one."""
    if file is None:
        return
    lines = [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []
    place = next((i for i, old in enumerate(lines) if old["row"] == result["row"]), len(lines))
    lines[place : place + 1] = [result]
    text = "".join(json.dumps(entry) + "\n" for entry in lines).encode()
    write_atomically(file, lambda out: out.write(text))
