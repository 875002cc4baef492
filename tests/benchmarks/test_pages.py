"""The benchmarks' pages: every number between markers is what its results give, and every result is on a page."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks import schema
from benchmarks.pages import filling, show, values

HERE = filling.ROOT / "benchmarks" / "pages"
RESULTS = [path for path in sorted(schema.RESULTS.rglob("*.json*")) if path.is_file()]
ANSWERED = [page for page in sorted(HERE.glob("*.md")) if page.stem != "accuracy-rows"]
NOT_MEASURED = "gpu"


def name_of(page: Path) -> str:
    return page.relative_to(filling.ROOT).as_posix()


@pytest.mark.parametrize("page", filling.pages(), ids=name_of)
def test_every_number_is_what_its_results_give(page: Path):
    """Where it fails: `python -m benchmarks.pages` fills the page in anew."""
    text = page.read_text(encoding="utf-8")
    assert filling.filled(text, values.value) == text


@pytest.mark.parametrize("page", filling.pages(), ids=name_of)
def test_a_number_changed_by_hand_is_found(page: Path):
    text = page.read_text(encoding="utf-8")
    marked = [found for found in filling.MARKED.finditer(text) if re.search(r"\d", found[2])]
    assert marked
    for found in (marked[0], marked[-1]):
        digit = found.start(2) + re.search(r"\d", found[2]).start()  # type: ignore[union-attr]
        changed = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]
        assert filling.filled(changed, values.value) == text != changed


def test_results_that_change_change_the_page(monkeypatch: pytest.MonkeyPatch):
    core = show.one("promise-core")
    monkeypatch.setattr(core, "violations", 3)
    changed = values.MADE["promise"]()
    text = (HERE / "promise.md").read_text(encoding="utf-8")
    assert "3 violations" in re.sub(
        r"<!--.*?-->", "", filling.filled(text, lambda n: changed[n.partition(".")[2]])
    )


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_every_result_is_of_its_kind(path: Path):
    assert schema.read(path)


def test_a_result_of_another_form_is_refused(tmp_path: Path):
    odd = tmp_path / "throughput.jsonl"
    odd.write_text('{"row": "photo", "command": "python -m benchmarks.throughput"}\n')
    with pytest.raises(ValidationError, match="commit"):
        schema.read(odd)
    odd = tmp_path / "tone.json"
    odd.write_text('{"command": "sh something", "measured": "2026-11-30"}')
    with pytest.raises(ValidationError, match="command"):
        schema.read(odd)


def test_every_result_is_on_a_page():
    """What no page shows, nor the log, is no longer a result."""
    asked = {"told-cells"}  # of the log
    for module in ("of_views", "of_accuracy", "of_learning", "of_speed"):
        strings = re.findall(r'"([a-z][\w\[\]!*{}-]*)"', (HERE / f"{module}.py").read_text(encoding="utf-8"))
        asked |= {re.sub(r"{\w+}", "*", string) for string in strings}
    for path in RESULTS:
        question = path.parent.name
        assert path.parent.parent == schema.RESULTS, f"{path.name}: python -m benchmarks.schema moves it"
        assert path.stem == schema.machine_of(schema.read(path))
        assert any(fnmatch(question, pattern) for pattern in asked), question
    for folder in schema.RESULTS.glob("search-*"):
        files = {path.name for path in folder.iterdir()}
        assert files - {f"{schema.MACHINE}.json"} == {"policy.yaml", "report.md"}


def test_results_are_moved_to_their_question_and_machine(tmp_path: Path):
    """An object replaces the earlier one; lines join those that are there."""
    for seconds in (3, 4):
        text = {"command": "python -m benchmarks.trainer", "measured": "2026-12-01", "seconds": seconds,
                "machine": {"cpu": "Apple M4", "cores": 8, "versions": {}}}  # fmt: skip
        (tmp_path / "trainer.json").write_text(json.dumps(text))
        assert schema.move(tmp_path / "trainer.json") == tmp_path / "trainer" / "8-core-arm.json"
    assert json.loads((tmp_path / "trainer" / "8-core-arm.json").read_text())["seconds"] == 4
    first, second = (
        json.dumps({"policy": name, "machine": "x86_64, 16 cores"}) + "\n" for name in ("none", "simclr")
    )
    for lines in (first, first + second):
        (tmp_path / "bank-digits.jsonl").write_text(lines)
        place = schema.move(tmp_path / "bank-digits.jsonl")
    assert place == tmp_path / "bank-digits" / "16-core-x86.jsonl"
    assert place.read_text() == first + second


def test_results_of_two_machines_are_two_files():
    two = [schema.Remembered(machine=name) for name in ("x86_64, 2 cores", "aarch64, 4 cores")]
    with pytest.raises(ValueError, match="2-core-x86 and 4-core-arm: divide the file"):
        schema.machine_of(two)


@pytest.mark.parametrize("page", ANSWERED, ids=lambda page: page.stem)
def test_a_page_answers_first(page: Path):
    """A question, its answer in two sentences without a typed number, a table, a command, three limits."""
    title, answer, *rest = page.read_text(encoding="utf-8").split("\n\n")
    assert title.startswith("# ")
    assert title.endswith("?")
    assert answer[0] not in "#|<-"
    if page.stem == NOT_MEASURED:
        return
    told = re.sub(r"`[^`]*`|\]\([^)]*\)", "", filling.typed(answer).replace("kNN-20", ""))
    assert not re.search(r"(?<![\w.-])\d+(?:\.\d+)? %|\d\.\d", told), told
    plain = re.sub(r"<!--.*?-->|`[^`]*`", "", answer)
    assert 1 <= len(re.findall(r"[.!?:](?= |$)", plain)) <= 5
    after = "\n\n".join(rest)
    assert "\n|---" in after
    assert "\n```\n" in after
    assert len(re.findall(r"^- ", after.partition("## Limits")[2], re.MULTILINE)) == 3


@pytest.mark.parametrize("page", filling.pages(), ids=name_of)
def test_no_paragraph_begins_with_a_marker(page: Path):
    """Markdown would take its line for HTML."""
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"^<!--=[^\n]*-->[^\n]+$", text, re.MULTILINE)


@pytest.mark.parametrize("page", sorted(HERE.glob("*.md")), ids=lambda page: page.stem)
def test_the_index_has_every_page(page: Path):
    assert f"(pages/{page.name})" in (HERE.parent / "README.md").read_text(encoding="utf-8")


def test_rows_of_the_engine_before_the_core_say_so():
    before = "with the engine of 0.1, before the compiled core"
    for name in ("accuracy", "search", "manual", "head", "trainer"):
        assert before in (HERE / f"{name}.md").read_text(encoding="utf-8")
    assert "with the compiled core" in values.value("throughput.measured")
    days = {schema.date(2026, 11, 29), schema.date(2026, 11, 30)}
    assert schema.engine(days).startswith("Measured 2026-11-29 to 2026-11-30: what is older than 2026-11-30")
