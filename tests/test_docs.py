"""The READMEs against the code: the table of operations is whole and true, and the snippets run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptaug.policy import Policy, preset_names
from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import OperationPolicy, Pair, Promise

ROOT = Path(__file__).parent.parent
FORMAT = (ROOT / "policies" / "README.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def snippets(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_every_operation_is_in_the_table(op):
    found = {row[2]: row for row in rows(FORMAT) if len(row) == 7 and row[0] == f"`{op.name}`"}
    if op.switch:
        assert [(row[1], row[4], row[5]) for row in found.values()] == [(op.kind, "-", "off")]
        return
    assert set(found) == {f"`{name}`" for name in op.parameters}
    for name, parameter in op.parameters.items():
        row = found[f"`{name}`"]
        assert row[1] == op.kind
        assert row[4] == f"{parameter.low:g} .. {parameter.high:g}"
        assert row[5] == f"{parameter.identity:g}"
        assert ("*log*" in row[3]) == parameter.log


def test_the_table_has_no_operation_that_is_not_there():
    listed = {row[0].strip("`") for row in rows(FORMAT) if len(row) == 7} - {"operation", "---"}
    assert listed == set(OPS)


def test_every_setting_is_listed():
    found = {(row[0], row[1]): row for row in rows(FORMAT) if len(row) == 5}
    for op in OPS.values():
        for name, (low, default, high) in op.settings.items():
            row = found[f"`{op.name}`", f"`{name}`"]
            assert row[2:4] == [f"{default:g}", f"{low:g} .. {high:g}"]


def test_every_limit_of_the_promise_is_listed():
    found = {row[0]: row for row in rows(FORMAT) if len(row) == 4}
    for name, spec in Promise.model_fields.items():
        low = next(m.ge for m in spec.metadata if hasattr(m, "ge"))
        high = next(m.le for m in spec.metadata if hasattr(m, "le"))
        assert found[f"`{name}`"][1:3] == [f"{spec.default:g}", f"{low:g} .. {high:g}"]


@pytest.mark.parametrize("model", [Policy, OperationPolicy, Pair])
def test_every_field_is_explained(model):
    prefix = "pair." if model is Pair else ""
    for name in model.model_fields:
        assert f"`{prefix}{name}" in FORMAT


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_explained(name):
    assert f"**`{name}`**" in FORMAT
    guards = "on" if Policy.load(name).guards else "off"
    assert any(row[0] == f"`{name}`" and row[-1] == guards for row in rows(README))


def test_the_example_policy_loads():
    (example,) = snippets(FORMAT, "yaml")
    assert Policy.loads(example).name == "mine"


def test_the_readmes_python_runs(photo: Callable[..., np.ndarray], capsys: pytest.CaptureFixture[str]):
    names = ("astronaut", "chelsea", "coffee", "rocket")
    images = [Image.fromarray(photo(name, 120, 90)) for name in names]
    space: dict[str, Any] = {
        "dataset": [(image, label) for label, image in enumerate(images)],
        "image": images[0],
        "encoder": torch.nn.Flatten(),
        "contrastive_loss": lambda a, b: (a - b).square().mean(),
    }
    code = snippets(README, "python")
    assert code
    for snippet in code:
        exec(compile(snippet, "README.md", "exec"), space)  # the document is ours
    assert torch.isfinite(space["loss"])
    assert "certificate" in capsys.readouterr().out


def test_the_readmes_files_exist():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
