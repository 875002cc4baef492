"""The examples: they run, and switching a script over takes three changed lines or fewer."""

from __future__ import annotations

import difflib
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("lightly")

from tests.hosts import loop

EXAMPLES = Path(__file__).parents[2] / "examples"
SWITCHED = ("lightly_simclr", "torchvision_simclr")


def diff(name: str) -> list[str]:
    before, after = (
        path.read_text().splitlines()
        for path in (EXAMPLES / "before" / f"{name}.py", EXAMPLES / f"{name}.py")
    )
    return [line for line in difflib.unified_diff(before, after, lineterm="", n=0)
            if line[0] in "+-" and not line.startswith(("+++", "---"))]  # fmt: skip


@pytest.mark.parametrize("name", SWITCHED)
def test_three_changed_lines_or_fewer(name):
    changed = [line for line in diff(name) if line[1:].strip()]
    assert 0 < sum(line[0] == "+" for line in changed) <= 3
    assert sum(line[0] == "-" for line in changed) <= 3


@pytest.mark.parametrize("name", SWITCHED)
def test_the_readme_shows_that_diff(name):
    shown = (EXAMPLES / "README.md").read_text()
    assert "\n".join(line for line in diff(name) if line[1:].strip()) in shown


@pytest.mark.parametrize("name", [f"before/{name}" for name in SWITCHED] + list(SWITCHED))
def test_scripts_train(name, folder, monkeypatch, capsys):
    options = ["--epochs", "1", "--batch-size", str(loop.BATCH), "--size", "32", "--workers", "0"]
    monkeypatch.setattr(sys, "argv", ["script", str(folder), *options])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert "nan" not in capsys.readouterr().out


def test_plain_pytorch(folder, monkeypatch, capsys):
    import torch

    monkeypatch.setattr(sys, "argv", ["plain_pytorch.py", str(folder), str(loop.BATCH)])
    steps = []
    step = torch.optim.AdamW.step

    def enough(self, *args, **kwargs):
        steps.append(step(self, *args, **kwargs))
        if len(steps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.AdamW, "step", enough)
    with pytest.raises(KeyboardInterrupt):
        runpy.run_path(str(EXAMPLES / "plain_pytorch.py"), run_name="__main__")
