"""The pages against the code: operations and presets are all there, snippets run, links lead somewhere.

Pages are the READMEs, docs/ and what lies beside the first README. Blocks fenced as `python` are run, page by page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from adaptaug.policy import Policy, preset_names
from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import OperationPolicy, Pair, Promise
from adaptaug.stats.image import STATISTICS

ROOT = Path(__file__).parent.parent
FORMAT = (ROOT / "policies" / "README.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
UNDERSTAND = (ROOT / "docs" / "understand.md").read_text(encoding="utf-8")
PLACES = ("*.md", "*/README.md", "docs/**/*.md", "benchmarks/LOG.md", "benchmarks/pages/*.md")
PAGES = [page for place in PLACES for page in sorted(ROOT.glob(place))]
PAGES = [
    page for page in dict.fromkeys(PAGES) if page.parent.name != "reference"
]  # each once; none that is made
EXTRAS = {  # pages whose snippets train or load networks, and what they import for it
    "docs/use/search.md": ("lightly", "optuna"),
    "docs/use/pretrain.md": ("lightly", "pytorch_lightning"),
    "docs/use/encoders.md": ("lightly",),
}
MOST_WORDS = 1000  # of the README
NUMBER, OF = r"([+-]?\d*\.?\d+)", r"\*{0,2}(?: points)?(?: of (?:kNN|the probe))?"


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


def test_every_statistic_is_listed():
    (told,) = re.findall(r"^The statistics, .*$", FORMAT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", told)) == {row.name for row in STATISTICS.values() if row.policy}


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
    assert any(row[0] == f"`{name}`" and row[-1] == guards for row in rows(UNDERSTAND))


def test_the_example_policy_loads():
    (example,) = snippets(FORMAT, "yaml")
    assert Policy.loads(example).name == "mine"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def with_snippets() -> list[Any]:
    found = [page for page in PAGES if snippets(page.read_text(encoding="utf-8"), "python")]
    return [
        pytest.param(page, id=name_of(page), marks=pytest.mark.lengthy if name_of(page) in EXTRAS else ())
        for page in found
    ]


@pytest.fixture
def things(
    photo: Callable[..., np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the pages take for granted: names in their code, and files where it is run."""
    images = [Image.fromarray(photo(name, 120, 90)) for name in ("astronaut", "chelsea", "coffee", "rocket")]
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(24):
        images[number % 4].rotate(15 * number).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return {
        "dataset": [(image, label) for label, image in enumerate(images)],
        "image": images[0],
        "encoder": torch.nn.Flatten(),
        "contrastive_loss": lambda a, b: (a - b).square().mean(),
    }


def digits_and_weights(folder: Path) -> None:
    """`digits.npz` and `simclr.pth`, for pages that read them."""
    from sklearn.datasets import load_digits
    from torchvision.models import resnet18

    data = load_digits()
    np.savez(folder / "digits.npz", x=(data.images[:100] * 15.9).astype(np.uint8), y=data.target[:100])
    torch.save(resnet18().state_dict(), folder / "simclr.pth")


@pytest.mark.parametrize("page", with_snippets())
def test_every_snippet_runs(page: Path, things: dict[str, Any], tmp_path: Path, light_network: None):
    for extra in EXTRAS.get(name_of(page), ()):
        pytest.importorskip(extra)
    if name_of(page) in EXTRAS:
        digits_and_weights(tmp_path)
    for snippet in snippets(page.read_text(encoding="utf-8"), "python"):
        exec(compile(snippet, name_of(page), "exec"), things)  # the page is ours
    assert torch.isfinite(things.get("loss", torch.zeros(())))


def test_the_first_page_says_why(things: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    (code,) = snippets(README, "python")
    exec(compile(code, "README.md", "exec"), things)
    assert "certificate" in capsys.readouterr().out


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=name_of)
def test_python_has_one_fence(page: Path):
    assert not re.findall(r"^```(?:py|python3|pycon|Python)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings: lower case, spaces as hyphens, without punctuation."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    names: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        names.append(re.sub(r"[^\w\- ]", "", shown).replace(" ", "-"))
    return {name if not names[:place].count(name) else f"{name}-{names[:place].count(name)}"
            for place, name in enumerate(names)}  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path):
    text = re.sub(
        r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if target.parent == ROOT / "docs" / "reference":  # made with the site, whose build checks them
            continue
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_every_page_is_reached_from_the_first():
    linked = "".join(
        page.read_text(encoding="utf-8") for page in (ROOT / "README.md", ROOT / "docs" / "README.md")
    )
    for page in ROOT.glob("docs/**/*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        of_the_site = name.startswith("reference/") or name in ("README.md", "index.md")
        assert of_the_site or f"({name})" in linked, name


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (version,) = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert cited["version"] == version
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_the_readme_is_short():
    assert len(README.split()) <= MOST_WORDS


def intervals(text: str) -> set[tuple[float, float, float]]:
    """Every `mean (low to high)` and `mean ± half`, signs written or not."""
    halves = [tuple(map(float, found)) for found in re.findall(rf"{NUMBER} ± {NUMBER}", text)]
    found = re.findall(rf"{NUMBER}{OF} \({NUMBER} to {NUMBER}[,)]", text)
    return {(mean, mean - half, mean + half) for mean, half in halves} | {
        (float(mean), float(low), float(high)) for mean, low, high in found
    }


def test_numbers_of_accuracy_are_the_results():
    """Intervals in the README and docs/decide.md, rounded, are those of a benchmark's page or of the log."""
    told = intervals((ROOT / "docs" / "decide.md").read_text(encoding="utf-8")) | intervals(README)
    pages = [*ROOT.glob("benchmarks/pages/*.md"), ROOT / "benchmarks" / "LOG.md"]
    results = set().union(*(intervals(page.read_text("utf-8")) for page in pages))
    for numbers in told:
        near = [all(abs(a - b) < 0.0501 for a, b in zip(numbers, row, strict=True)) for row in results]
        assert any(near), numbers
