"""What is copied and downloaded: code for each host, a contact sheet, a report."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adaptaug
from adaptaug import AdaptAugError, Policy
from adaptaug.ui import logic, papers, snippets
from adaptaug.ui.desk import Desk

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    pixels = np.array(dict(logic.sample_images())["cat"])
    desk = Desk(Policy.load("natural").edit(name=HOSTILE))
    desk.lay(lambda: logic.as_source(HOSTILE, pixels))
    desk.seen = logic.compare(desk.source, Policy.load("simclr"), desk.policy, 3, 2, 48)
    return desk


@pytest.mark.parametrize("host", snippets.HOSTS)
def test_the_lines_name_what_there_is(host) -> None:
    text = snippets.code(host, 96, 2)
    assert "policy.yaml" in text and "96" in text and "{size}" not in text
    if host == "Command line":
        return
    ast.parse(text)
    for module in re.findall(r"^(?:import|from) (adaptaug\.hosts\.\w+)", text, re.M):
        try:
            importlib.import_module(module)
        except ImportError as error:
            pytest.skip(f"{host} is not installed: {error}")
    for name in set(re.findall(r"adaptaug(?:\.\w+)+", text)):
        found = adaptaug
        for part in name.split(".")[1:]:
            found = getattr(found, part)


def test_the_lines_of_pytorch_make_the_pixels_of_the_page(tmp_path, monkeypatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Policy.load("natural").save("policy.yaml")
    image = np.array(dict(logic.sample_images())["cat"])
    lines = (
        snippets.code("PyTorch", 48)
        .replace("batch_size=256", "batch_size=1")
        .replace("    ...", "    seen = first")
    )
    told = {"dataset": [(image, 0)]}
    exec(compile(lines, "snippet", "exec"), told)
    views = adaptaug.Views("natural", n=2, size=48)(image, key=(0, 0, 0))
    assert torch.equal(told["seen"][0], views[0])


def test_a_report_stands_alone_and_names_are_text(desk) -> None:
    text = Path(papers.report(desk)).read_text(encoding="utf-8")
    assert "data-of=" not in text and "data-src=" not in text and "<script" not in text
    assert HOSTILE not in text and "onerror=alert(1)&gt;" in text
    assert text.count('src="data:image/webp') == 8 and "http" not in re.sub(
        r"http://www\.w3\.org\S+", "", text
    )
    assert text.count("<details>") == 2 + 4 and "whole range is safe here" in text


def test_a_contact_sheet_has_the_pairs_of_the_right_policy(desk) -> None:
    sheet = Image.open(papers.sheet(desk))
    assert sheet.width > 400 and sheet.mode == "RGB"


def test_without_an_image_there_is_a_sentence() -> None:
    for make in (papers.sheet, papers.report):
        with pytest.raises(AdaptAugError, match="choose an image first"):
            make(Desk(Policy.load("natural")))
