"""The tab "Train & search" in a real browser."""

from __future__ import annotations

import json
import re
import time

import pytest

from adaptaug.ui import demo

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
expect = sync_api.expect


def open_tab(page, name: str = "Train & search"):
    page.get_by_role("tab", name=name).click()
    return page


def choose(page, run: str) -> None:
    page.locator("#run-choice input").click()
    page.get_by_role("option", name=run, exact=True).click()
    expect(page.locator(".aa-run h2")).to_have_text(run)


def test_a_run_that_is_being_written_is_followed(page, runs_folder) -> None:
    open_tab(page)
    choose(page, "photos")
    expect(page.locator(".aa-run header")).to_contain_text("40 steps, loss 0.949, kNN 60")
    expect(page.locator("#run-view .aa-chart")).to_have_count(7)
    file = runs_folder / "photos" / "metrics.jsonl"
    with file.open("a") as out:
        out.write(json.dumps({"step": 41, "train_loss": 0.5}) + '\n{"step": 42, "train_l')
    expect(page.locator(".aa-run header")).to_contain_text("41 steps, loss 0.5,")
    expect(page.locator(".aa-run")).to_contain_text("1 line of metrics.jsonl hold no step")


def test_a_run_with_a_hostile_name_is_text(page) -> None:
    open_tab(page)
    choose(page, "<img src=x onerror=window.hacked=1>")
    assert page.evaluate("window.hacked") is None and page.locator('img[src="x"]').count() == 0


def test_the_policy_of_a_search_goes_into_tune_and_undo_takes_it_back(page) -> None:
    open_tab(page)
    choose(page, "letters.search")
    expect(page.locator("#arms tbody tr").first).to_contain_text("arm 05")
    page.locator("#use-policy").click()
    expect(page.locator("#status-line")).to_contain_text("simclr vs arm 05, seed 0")
    expect(page.locator("#pairs")).to_be_visible()
    page.locator("#undo").click()
    expect(page.locator("#status-line")).to_contain_text("simclr vs natural, seed 0")


def test_a_run_without_a_policy_is_a_sentence(page, runs_folder) -> None:
    encoder = runs_folder / "photos" / "encoder.json"
    kept = encoder.read_text()
    encoder.unlink()
    try:
        open_tab(page)
        choose(page, "photos")
        page.locator("#use-policy").click()
        expect(page.locator("#run-problem")).to_contain_text("photos: has not ended yet")
    finally:
        encoder.write_text(kept)


def test_check_14_the_demo_progresses_is_seen_stopped_and_its_policy_used(
    page, open_page, capsys, monkeypatch
) -> None:
    pytest.importorskip("optuna", reason="the demo is a search: pip install 'adaptaug[search]'")
    monkeypatch.setattr(demo, "SECONDS", 600.0)  # it shall not end by itself, however busy the machine
    open_tab(page)
    page.locator("#demo-start").click()
    bar = page.locator("#demo-progress progress")
    expect(page.locator(".aa-run h2")).to_have_text(re.compile(r"demo-\d+\.search"))
    expect(page.locator("#demo-progress")).to_contain_text("Loading the training code")
    expect(page.locator("#demo-progress")).to_contain_text(
        re.compile(r"trainings, about \d+ s left"), timeout=60_000
    )
    expect(bar).not_to_have_attribute("value", "0", timeout=60_000)
    first = int(bar.get_attribute("value"))
    open_page.again(page)  # the demo goes on, and the page finds it again
    open_tab(page)
    scores = page.locator('[data-chart="scores"]')
    scores.wait_for(timeout=120_000)
    assert int(bar.get_attribute("value")) > first
    expect(scores.locator("path.line")).to_have_count(1)
    expect(scores.locator("path.dot").last).to_have_attribute("d", re.compile("M.*M"))
    expect(scores.locator(".key")).to_have_text(["best so far", "each arm"])
    assert all(key.is_visible() for key in scores.locator(".key").all())
    clicked = time.perf_counter()
    page.locator("#demo-stop").click()
    expect(page.locator("#demo-progress")).to_contain_text(re.compile(r"Stopped after \d+ of \d+ trainings"))
    with capsys.disabled():
        print(f" [stopped {time.perf_counter() - clicked:.2f} s after the click, target 2 s]", end="")
    leading = re.search(r"arms, (.*) leads", page.locator(".aa-run header").inner_text()).group(1)
    page.locator("#use-policy").click()
    name = "simclr" if leading == "start" else leading
    expect(page.locator("#status-line")).to_contain_text(f"simclr vs {name}, seed 0")
    expect(page.locator("#status-line")).to_contain_text(
        "(digits.npz: "
    )  # on an image of what it was found on
    expect(page.locator("#status-line")).to_contain_text("views of 32 px")
