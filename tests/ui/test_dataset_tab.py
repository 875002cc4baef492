"""The tab "Dataset" in a real browser."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from adaptaug.ui import logic
from tests.ui.editor import alike, control, pixels_of

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
expect = sync_api.expect


def open_tab(page):
    page.get_by_role("tab", name="Dataset").click()
    return page


def picture(folder, name: str, seed: int):
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(folder / name)
    return folder / name


# The server's word that a look is over comes after its answer to who cancelled it, as on a slow machine: to Gradio's
# client that word holds no data, so the look has failed, and its status tracker says "Error" for good.
SLOW_WORD = """() => { const soon = window.setTimeout; window.setTimeout = (run, wait, ...more) =>
  soon(run, more[0]?.msg === 'process_completed' ? 400 : wait, ...more); }"""


def test_an_empty_tab_says_what_to_do(page) -> None:
    expect(open_tab(page).locator("#set-view")).to_contain_text("Add up to 64 images, or take a sample set")


def test_a_worst_pair_opens_in_tune_with_its_image_seed_and_pair(page) -> None:
    open_tab(page)
    page.locator("#set-seed input").fill("3")
    page.locator("#set-photographs").click()
    worst = page.locator("[data-worst]").nth(2)
    worst.wait_for(timeout=60_000)
    expect(page.locator("#set-view")).to_contain_text("seed 3, 96 px")
    assert int(page.locator("[data-test=any]").first.get_attribute("data-count")) > 0
    name, _, number = worst.locator(".told span").inner_text().partition(", pair ")
    pictures = worst.locator("img").evaluate_all("all => all.map(image => image.src)")
    worst.click()
    expect(page.locator("#status-line")).to_contain_text("seed 3: simclr")
    expect(page.locator("#status-line")).to_contain_text(f"({name}, views of 96 px)")
    expect(page.locator("#detail h2")).to_have_text(f"Pair {number} of simclr")
    shown = page.locator(f'.aa-pair[data-side="0"][data-pair="{int(number) - 1}"] img')
    views = shown.evaluate_all("all => all.map(image => image.src)")
    assert len(views) == len(pictures) and all(map(alike, pictures, map(pixels_of, views)))
    expect(page.locator("#source-image img")).to_be_visible()


def test_a_worst_pair_of_another_policy_keeps_what_was_tuned(page) -> None:
    link = page.locator("#share [data-code]")
    natural = link.get_attribute("data-code")
    control(page, "grey", "p").focus()
    page.keyboard.press("End")
    expect(link).not_to_have_attribute("data-code", natural)
    tuned = link.get_attribute("data-code")
    open_tab(page)
    page.locator("#set-other input").click()
    page.get_by_role("option", name="documents", exact=True).click()
    page.locator("#set-photographs").click()
    page.locator("[data-worst]").first.click(timeout=60_000)
    expect(page.locator("#status-line")).to_contain_text("simclr vs documents")
    page.locator("#undo").click()
    expect(link).to_have_attribute("data-code", tuned)


def test_numbers_bars_and_odd_images_open_what_they_stand_for(page, tmp_path) -> None:
    """And the suggested policy is used (`auto`: some are dark), and what was tuned runs beside what it was."""
    photo = dict(logic.sample_images())["cat"]
    files = {
        "cat.png": photo,
        "dark.png": photo.point(lambda v: v // 8),
        "night.png": photo.point(lambda v: v // 7),
    }
    for name, image in files.items():
        image.save(tmp_path / name)
    control(page, "grey", "p").focus()
    page.keyboard.press("End")
    expect(page.locator("#status-line")).to_contain_text("natural (edited)")
    open_tab(page)
    page.locator("#set-left input[type=file]").set_input_files([tmp_path / name for name in files])
    expect(page.locator("#set-odd")).to_contain_text("Dark: 2")
    shelf = page.locator("#set-gallery")
    page.locator("[data-test=any] button").first.click()
    expect(shelf.locator("h2")).to_contain_text("simclr: any test: ")
    page.locator("[data-chart=mean] .plot").click(position={"x": 6, "y": 40})
    expect(shelf.locator("h2")).to_contain_text("Brightness ")
    page.keyboard.press("Escape")
    expect(shelf).to_be_hidden()
    page.locator("[data-use]").click()
    expect(page.locator("#set-view [data-use]")).to_have_count(0)
    expect(page.locator("#set-other input")).to_have_value("auto")
    page.locator("#set-tuned").click()
    expect(page.locator("#set-view thead").first).to_contain_text("natural (edited)")
    assert page.locator("#set-view thead").first.inner_text().split() == [
        "Test",
        "natural",
        "natural",
        "(edited)",
    ]
    page.locator("#set-odd [data-image]").first.click()
    expect(page.locator("#status-line")).to_contain_text("natural vs natural (edited)")
    expect(page.locator("#status-line")).to_contain_text("(dark.png, views of 96 px)")
    expect(page.locator("#advice")).to_contain_text(
        "Looks like a night: dark photographs (mean at most 0.2) (here: brightness 0.06)"
    )
    page.locator("#advice button").click()
    expect(page.locator("#status-line")).to_contain_text("natural vs lowlight")
    expect(page.locator("#advice button")).to_have_count(0)


def test_uploaded_files_are_looked_at_and_bad_ones_listed(page, tmp_path) -> None:
    good = [picture(tmp_path, f"{i}.png", i) for i in range(2)]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    hostile = picture(tmp_path, "<img src=x onerror=window.hacked=1>.png", 7)
    open_tab(page)
    page.locator("#set-left input[type=file]").set_input_files([*good, tmp_path / "broken.png", hostile])
    expect(page.locator("#set-progress")).to_contain_text("Looked at 4 of 4 images.")
    expect(page.locator("#set-problem li")).to_have_text(["broken.png: expected an image file, got "
                                                          "something unknown; convert it to PNG or JPEG."])  # fmt: skip
    expect(page.locator("#set-statistics tbody tr")).to_have_count(11)
    assert page.evaluate("window.hacked") is None and page.locator('img[src="x"]').count() == 0


def test_a_visitor_stops_and_another_sees_nothing_of_it(open_page) -> None:
    one, other = open_tab(open_page()), open_tab(open_page())
    one.evaluate(SLOW_WORD)
    one.locator("#set-digits").click()
    expect(one.locator("#set-progress")).to_contain_text("of 64 images")
    one.locator("#set-stop").click()
    expect(one.locator("#set-halted")).to_have_text("Stopped.")
    one.wait_for_timeout(500)  # what was on its way has come
    told = one.locator("#set-progress").inner_text()
    one.wait_for_timeout(1000)  # a look that goes on would tell of another image
    assert one.locator("#set-progress").inner_text() == told
    expect(one.locator("#set-halted")).to_have_text("Stopped.")
    trackers = one.get_by_test_id("status-tracker").all_text_contents()
    assert trackers and not any("error" in told.lower() for told in trackers)
    expect(other.locator("#set-view")).to_contain_text("No data set yet")
