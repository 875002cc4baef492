"""What a search shows while it runs: a bar for the stage and the leading arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import live
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from adaptaug.learn.arms import Arm
from adaptaug.learn.outcome import HAND
from adaptaug.learn.runner import Progress

_SHOWN = 8


class Live(Progress):
    """A live table on a terminal, one line a stage elsewhere; both on stderr."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar = Bar(
            TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self.task = self.bar.add_task("starting", total=None)
        self.live = live.Live(self.bar, console=self.console, refresh_per_second=4)

    def __enter__(self) -> Live:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def begin(self, stage: str, jobs: int) -> None:
        self.bar.reset(self.task, total=jobs, description=stage)
        if not self.console.is_terminal:
            self.console.print(f"{stage}: {jobs} to train" if jobs > 1 else stage)

    def done(self, job: str) -> None:
        self.bar.advance(self.task)

    def told(self, sentence: str) -> None:
        self.console.print(f"adaptaug: {sentence}", soft_wrap=True, markup=False, highlight=False)

    def ranked(self, arms: Sequence[Arm]) -> None:
        table = Table("arm", "% held-out, per rung", box=None, title="Leading arms", title_justify="left")
        rows = list(arms[:_SHOWN]) + [arm for arm in arms[_SHOWN:] if arm.name == HAND]
        for arm in rows:
            table.add_row(arm.name, "  ".join(f"{score:.1f}" for score in arm.scores))
        self.live.update(Group(self.bar, table))
        if not self.console.is_terminal:
            best = arms[0]
            self.console.print(f"  leading: {best.name} at {best.scores[-1]:.1f} %")
