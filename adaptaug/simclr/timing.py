"""Where the time of a step goes, on a CPU and on a GPU that works on while Python goes ahead."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import torch


class Laps:
    """Seconds between marks, the first made at the start. On a GPU they are its own, read when it is done."""

    def __init__(self, device: torch.device):
        self.cuda = device.type == "cuda"
        self.marks: list[Any] = []
        self.mark()

    def mark(self) -> None:
        """The end of a lap; does not wait for the device."""
        if self.cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)
        else:
            self.marks.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """One number a lap; waits for the device."""
        if self.cuda:
            self.marks[-1].synchronize()
            return [a.elapsed_time(b) / 1000 for a, b in pairwise(self.marks)]
        return [b - a for a, b in pairwise(self.marks)]
