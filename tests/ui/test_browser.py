"""The page in a real browser that can reach nothing but this machine."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adaptaug
from adaptaug.ui import logic, sharing, templates
from tests.ui.editor import alike, control, pixels_of

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
expect = sync_api.expect

IMAGE = Path(__file__).parents[2] / "docs" / "img" / "preview.png"  # an image that nobody has uploaded
OPENED = re.compile(
    r"^\s*6 pairs, simclr vs natural, seed 0: simclr \d+ of 12 views break the promise, natural 0 \(astronaut"
)


def status_of(page):
    return page.locator("#status-line")


def shown(page) -> list[str]:
    return page.locator("#pairs img").evaluate_all("images => images.map(image => image.src)")


def settled(page, edit: Callable[[], None] | None = None) -> list[str]:
    """The pairs once they are of the policy that the page's link has: after `edit`, one that it had not before."""
    link = page.locator("#share button")
    if edit:
        code = link.get_attribute("data-code")
        edit()
        expect(link).not_to_have_attribute("data-code", code)
    tuned = sharing.decode(link.get_attribute("data-code"))
    expect(page.locator(".aa-policy").last).to_have_attribute("data-policy", templates.digest(tuned))
    return shown(page)


def opened(page) -> list[str]:
    """Views A and B of the pair that is open, which are shown to the bit."""
    return page.locator("#detail .aa-wipe img:not(.over)").evaluate_all("all => all.map(image => image.src)")


def upload(page, path, expected: str | None = None) -> None:
    page.locator("#source-image input[type=file]").set_input_files(path)
    if expected:
        expect(status_of(page)).to_contain_text(expected)


def paste(page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(300, 200);
          const context = canvas.getContext('2d');
          for (let x = 0; x < 300; x += 3) {
            context.fillStyle = `hsl(${7 * x} 80% ${x % 90}%)`;
            context.fillRect(x, 0, 3, 200 - x / 3);
          }
          await navigator.clipboard.write([new ClipboardItem({'image/png': await canvas.convertToBlob()})]);
        }"""
    )
    page.get_by_label("Paste from clipboard").click()


def set_seed(page, seed: int) -> None:
    page.locator("#seed input").fill(str(seed))
    expect(status_of(page)).to_contain_text(f"seed {seed}:")


def picture_file(folder, name="mine.png", seed=5):
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).save(folder / name)
    return folder / name


def test_check_01_opens_with_pairs_of_both_policies(page) -> None:
    expect(status_of(page)).to_have_text(OPENED)
    expect(page.locator(".aa-pair")).to_have_count(12)
    expect(page.locator("#pairs img")).to_have_count(24)
    assert page.locator("#status-line [aria-live=polite], #status-line[aria-live=polite]").count() == 1

    check_that_pixels_are_those_of_training_code(page)
    check_that_broken_views_are_marked(page)


def check_that_pixels_are_those_of_training_code(page) -> None:
    image = dict(logic.sample_images())["astronaut"]
    uris = shown(page)  # row by row: simclr A, B, natural A, B
    for column, name in enumerate(("simclr", "natural")):
        views = adaptaug.Views(name, n=2, size=128, finish="none")
        for pair in range(6):
            for number, view in enumerate(views(np.array(image), key=(0, 0, pair))):
                assert alike(uris[4 * pair + 2 * column + number], view)
    for uri, view in zip(opened(page), views(np.array(image), key=(0, 0, 0)), strict=True):
        assert np.array_equal(pixels_of(uri), view)


def check_that_broken_views_are_marked(page) -> None:
    said = int(re.search(r"simclr (\d+) of 12", status_of(page).inner_text()).group(1))
    expect(page.locator("#pairs .aa-view.bad")).to_have_count(said)
    labels = page.locator(".aa-view.bad .aa-badge").all_text_contents()
    assert len(labels) == said
    known = ("clipped", "flat", "too dark", "too bright", "lost content")
    assert all(label.startswith(known) for label in labels)
    assert page.locator('.aa-pair[data-side="1"] .bad').count() == 0


def test_check_02_a_sample_in_one_click_and_by_keyboard(page) -> None:
    page.get_by_role("button", name="Use the sample cat", exact=True).click()
    expect(status_of(page)).to_contain_text("(cat, views of 128 px)")
    page.get_by_role("button", name="Use the sample coffee", exact=True).focus()
    page.keyboard.press("Enter")
    expect(status_of(page)).to_contain_text("(coffee, views")
    expect(page.locator(".aa-pair")).to_have_count(12)


def test_check_02_removing_the_image_says_what_to_do_and_pasting_gives_another(page) -> None:
    page.get_by_label("Remove Image").click()
    expect(page.locator("#pairs")).to_contain_text("Choose one of the photographs, or upload, drop or paste")
    expect(page.locator(".aa-pair")).to_have_count(0)
    expect(page.locator("[data-stat]")).to_have_count(0)
    paste(page)
    expect(page.locator("#statistics")).to_contain_text("300 \N{MULTIPLICATION SIGN} 200 px")
    expect(page.locator(".aa-pair")).to_have_count(12)


def test_check_03_an_uploaded_image_is_measured_and_its_name_is_text(page, tmp_path) -> None:
    file = picture_file(tmp_path)
    upload(page, file, "(mine.png, views of 128 px)")
    expect(page.locator(".aa-pair")).to_have_count(12)
    expect(page.locator("#statistics")).to_contain_text("mine.png, 320 \N{MULTIPLICATION SIGN} 240 px")
    pixels = np.array(Image.open(file))
    summary = adaptaug.measure(pixels).summary()
    values = page.locator("[data-stat]").evaluate_all(
        "all => all.map(e => [e.dataset.stat, e.dataset.value])"
    )
    assert len(values) == len(logic.STATISTICS)
    assert {key: float(value) for key, value in values} == {key: summary[key] for key, _ in values}
    view = adaptaug.Views("natural", n=2, size=128, finish="none")(pixels, key=(0, 0, 0))[0]
    assert np.array_equal(pixels_of(opened(page)[0]), view)
    # A hostile name is text.
    file = picture_file(tmp_path, "<img src=x onerror=window.hacked=1>.png")
    upload(page, file, "onerror")
    expect(page.locator("#statistics")).to_contain_text("onerror=window.hacked=1")
    assert page.evaluate("window.hacked") is None
    assert page.locator('img[src="x"]').count() == 0


def test_check_07_same_seed_same_views_other_seed_others(page) -> None:
    first = shown(page)
    set_seed(page, 1)
    other = shown(page)
    assert all(a != b for a, b in zip(first, other, strict=True))
    set_seed(page, 0)
    assert shown(page) == first
    page.locator("#dice").click()
    expect(status_of(page)).not_to_contain_text("seed 0:")


def test_policies_count_and_size_by_keyboard(page) -> None:
    slider = page.locator("#pair-count input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(status_of(page)).to_contain_text("5 pairs,")
    expect(page.locator(".aa-pair")).to_have_count(10)
    page.locator("#view-size input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    expect(status_of(page)).to_contain_text("views of 160 px")
    assert pixels_of(opened(page)[0]).shape == (160, 160, 3)
    page.locator("#policy-b input").click()
    page.get_by_role("option", name="digits").click()
    expect(status_of(page)).to_contain_text("5 pairs, simclr vs digits, seed 0")


def test_check_11_a_click_and_the_keyboard_show_the_reasons(page) -> None:
    detail = page.locator("#detail")
    expect(detail.locator("h2")).to_have_text("Pair 1 of natural")
    page.locator('.aa-pair[data-side="0"][data-pair="2"]').click()
    expect(detail.locator("h2")).to_have_text("Pair 3 of simclr")
    pair, table = (page.locator(at).bounding_box() for at in (".aa-pair[aria-pressed=true]", "#detail"))
    assert 0 <= pair["y"] and pair["x"] + pair["width"] <= table["x"], "the pair is in sight beside its table"
    expect(detail).to_contain_text("No certificate: this policy has its guards off")
    expect(detail).to_contain_text("fails (")
    expect(page.locator(".aa-pair[aria-pressed=true]")).to_have_count(1)
    expect(detail.locator("h2")).to_be_in_viewport()
    page.locator('.aa-pair[data-side="0"][data-pair="2"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(detail.locator("h2")).to_have_text("Pair 4 of natural")
    image = np.array(dict(logic.sample_images())["astronaut"])
    _, params = adaptaug.Views("natural", n=2, size=128, return_params=True)(image, key=(0, 0, 3))
    text = detail.inner_text()
    for view in params:
        assert all(row["parameter"] in text and row["reason"] in text for row in view.explain().rows)
        assert view.explain().certificate in text
    set_seed(page, 4)
    expect(detail.locator("h2")).to_have_text("Pair 4 of natural")
    page.keyboard.press("Escape")
    expect(detail).not_to_have_attribute("data-open", "1")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


# --- tuning ---------------------------------------------------------------------------------------------------
def state_of(page) -> list:
    """Of the operations that are on."""
    return page.locator("#editor [data-op]:not(.off) input").evaluate_all(
        "all => all.map(i => [i.ariaLabel || i.dataset.field, i.type == 'checkbox' ? i.checked : i.value])"
    )


def test_check_05_a_slider_moves_policy_b_alone_and_undo_takes_it_back(page) -> None:
    before, stood = shown(page), state_of(page)
    control(page, "saturation", "p").focus()
    page.keyboard.press("Home")
    expect(status_of(page)).to_contain_text("simclr vs natural (edited), seed 0")
    after = shown(page)
    pairs = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert pairs and all(i % 4 in (2, 3) for i in pairs)  # B's views stand third and fourth in a row
    control(page, "crop", "area", "from").focus()  # the edit before has been answered: another step
    page.keyboard.press("End")  # which takes the other end along
    expect(page.locator("[data-op=crop] [data-field=area][data-end=to]")).to_have_value("1")
    expect(page.locator("#detail")).to_contain_text("1 to 1")
    whole = shown(page)
    assert all(a != b for i, (a, b) in enumerate(zip(after, whole, strict=True)) if i % 4 in (2, 3))
    page.locator("#undo").click()
    expect(page.locator("#detail")).not_to_contain_text("1 to 1")
    assert shown(page) == after
    page.locator("#undo").click()
    expect(status_of(page)).to_contain_text("simclr vs natural, seed 0")
    assert shown(page) == before
    page.wait_for_timeout(100)
    assert state_of(page) == stood
    assert page.locator("#editor details[open]").count() == 2  # the groups that were opened are open still
    page.locator("#undo").click()
    expect(page.locator("#policy-problem")).to_contain_text("nothing to undo")


def test_every_edit_is_a_step_of_its_own(page) -> None:
    """Also of a slider that was used before, and after another policy was chosen."""
    sliders = (("saturation", "p"), ("grey", "p"), ("saturation", "p"))
    link, kept = page.locator("#share button"), []
    for (op, field), key in zip(sliders, ("Home", "End", "End"), strict=True):
        kept.append([control(page, op, field).input_value() for op, field in sliders[:2]])
        code = link.get_attribute("data-code")
        control(page, op, field).focus()
        page.keyboard.press(key)
        expect(link).not_to_have_attribute("data-code", code)
    tuned = link.get_attribute("data-code")
    page.locator("#policy-b input").click()
    page.get_by_role("option", name="documents", exact=True).click()
    expect(link).not_to_have_attribute("data-code", tuned)
    page.locator("#undo").click()
    expect(link).to_have_attribute("data-code", tuned)
    for values in reversed(kept):
        page.locator("#undo").click()
        for (op, field), value in zip(sliders, values, strict=False):
            expect(control(page, op, field)).to_have_value(value)


def test_the_selector_never_lies(page) -> None:
    box, said = page.locator("#policy-b input"), status_of(page)

    def choose(name: str) -> None:
        box.click()
        page.get_by_role("option", name=name, exact=True).click()
        expect(said).to_contain_text(f"simclr vs {name}, seed 0")

    choose("digits")
    page.locator("#undo").click()
    expect(box).to_have_value("natural")
    choose("digits")
    control(page, "rotate", "p").focus()
    page.keyboard.press("End")
    expect(box).to_have_value("digits (edited)")
    choose("digits")
    page.locator("#undo").click()
    expect(box).to_have_value("digits (edited)")
    page.locator("#reset").click()
    expect(box).to_have_value("digits")
    page.locator("#undo").click()
    expect(box).to_have_value("digits (edited)")  # else what was there before would pass for the redo's
    page.locator("#redo").click()
    expect(box).to_have_value("digits")
    expect(said).to_contain_text("simclr vs digits, seed 0")
    box.focus()
    page.keyboard.press("ArrowDown")  # by keyboard, too
    page.keyboard.press("Enter")
    expect(said).not_to_contain_text("simclr vs digits, seed 0")
    expect(said).to_contain_text(f"simclr vs {box.input_value()}, seed 0")


def test_a_value_is_typed_and_the_keyboard_takes_it_back(page, open_page) -> None:
    slider = control(page, "hue", "range", "to")
    page.locator("[data-op=hue] [data-typed]").last.fill("0.05")
    expect(page.locator("#detail")).to_contain_text("0.1 to 0.05")
    assert float(slider.input_value()) == 0.05
    slider.focus()
    page.keyboard.press("Control+z")
    expect(status_of(page)).to_contain_text("simclr vs natural, seed 0")
    page.keyboard.press("Control+Shift+Z")
    expect(status_of(page)).to_contain_text("simclr vs natural (edited), seed 0")
    tuned = settled(page)
    open_page.again(page)  # which finds the policy as it was
    expect(status_of(page)).to_contain_text("simclr vs natural (edited), seed 0")
    assert settled(page) == tuned


def test_an_end_that_is_moved_leaves_the_other_where_it_was(page) -> None:
    control(page, "hue", "range", "to").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#detail")).to_contain_text("0.1 to 0.11")
    assert float(control(page, "hue", "range", "from").input_value()) == -0.1


def test_check_06_a_drag_is_few_requests_and_ends_at_its_last_value(page) -> None:
    slider = control(page, "hue", "range", "to")
    joins = []
    page.on("request", lambda r: joins.append(r.url) if "queue/join" in r.url else None)
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.down()
    for step in range(25):
        page.mouse.move(box["x"] + box["width"] * (0.6 + step / 80), middle)
    page.mouse.up()
    value = float(slider.input_value())
    expect(page.locator("#detail")).to_contain_text(f"to {value:.3g}")
    assert len(joins) < 10


def test_operations_are_switched_and_guards_taken_off(page) -> None:
    control(page, "rotate", "on").check()
    expect(page.locator("#detail")).to_contain_text("rotate")
    control(page, "crop", "on").uncheck()
    expect(page.locator("#detail")).not_to_contain_text("crop.area")
    control(page, "policy", "guards").uncheck()
    expect(page.locator("#detail")).to_contain_text("No certificate: this policy has its guards off")


def test_check_10_every_pair_says_how_alike_it_is_and_a_band_is_held_or_said_not_to_be(page) -> None:
    from adaptaug.stats.similarity import similarity

    values = page.locator("[data-alike]").evaluate_all("all => all.map(e => Number(e.dataset.alike))")
    image = np.array(dict(logic.sample_images())["astronaut"])
    both = [adaptaug.Views(name, n=2, size=128, finish="none") for name in ("simclr", "natural")]
    expected = [float(similarity(*views(image, key=(0, 0, pair)))[0]) for pair in range(6) for views in both]
    assert values == pytest.approx(expected, abs=1e-3)
    control(page, "band", "on").check()
    expect(page.locator('[data-side="1"] .aa-alike')).to_have_count(6)
    expect(page.locator('[data-side="1"] .aa-alike').first).to_contain_text("the band")
    for pair in page.locator('[data-side="1"] .aa-alike').all():
        value = float(pair.get_attribute("data-alike"))
        assert ("in the band" in pair.inner_text()) == (0.0995 <= value <= 0.8005)
        left = pair.locator(".line b").evaluate("e => parseFloat(e.style.left)")
        assert left == pytest.approx(100 * min(max((value + 0.5) / 1.5, 0), 1), abs=0.1)
    assert page.locator('[data-side="0"] .aa-alike', has_text="the band").count() == 0


def test_one_operation_is_looked_at_alone_below_its_sliders(page) -> None:
    control(page, "hue", "on")  # opens its group
    hue, strips = page.locator("[data-sweep=hue]"), page.locator("[data-op=hue] .aa-slot")
    hue.click()
    expect(strips.locator("img")).to_have_count(5)
    expect(strips).to_contain_text("Guarded by the crop's pixels")
    expect(strips).to_contain_text("breaks the promise: ")
    first = strips.locator("img").first.get_attribute("src")
    page.get_by_role("button", name="Use the sample cat", exact=True).click()
    expect(strips.locator("img").first).not_to_have_attribute(
        "src", first
    )  # it is of the image that is there
    page.locator("[data-sweep=grey]").click()
    expect(page.locator("[data-op=grey] .aa-slot img")).to_have_count(2)
    expect(strips.locator("img")).to_have_count(0)
    expect(hue).to_have_attribute("aria-expanded", "false")
    page.locator("[data-sweep=grey]").click()
    expect(page.locator(".aa-slot img")).to_have_count(0)


def test_what_is_asked_of_the_controls_while_they_are_answered_is_answered_last(page) -> None:
    """Gradio sends it with the words of what was asked first."""
    control(page, "hue", "on")  # opens their group

    def ask(first: str, second: str) -> None:
        """The second as soon as the first is on its way."""
        with page.expect_request("**/queue/join*"):
            page.locator(first).click()
        page.locator(second).click()

    ask("[data-sweep=hue]", "[data-sweep=grey]")
    expect(page.locator("[data-op=grey] .aa-slot img")).to_have_count(2)
    control(page, "invert", "on")
    settled(page, lambda: ask("[data-sweep=hue]", "[data-op=invert] [data-field=on]"))
    assert "invert" in sharing.decode(page.locator("#share button").get_attribute("data-code"))
    expect(page.locator("[data-op=hue] .aa-slot img")).to_have_count(5)


@pytest.mark.parametrize("preset", ["digits", "documents", "byol"])
def test_check_08_a_preset_sets_the_controls(page, preset) -> None:
    page.locator("#policy-b input").click()
    page.get_by_role("option", name=preset, exact=True).click()
    expect(status_of(page)).to_contain_text(f"simclr vs {preset}, seed 0")
    policy = adaptaug.Policy.load(preset)
    expect(page.locator("#editor [data-op=policy] input")).to_be_checked(checked=policy.guards)
    for op in ("hflip", "crop", "grey", "invert", "blur", "rotate"):
        expect(page.locator(f"#editor [data-op={op}] input[data-field=on]")).to_be_checked(
            checked=op in policy
        )
        if op in policy:
            assert (
                float(page.locator(f"#editor [data-op={op}] input[data-field=p]").input_value())
                == policy[op].p
            )
    low, high = (float(page.locator(f'#editor [data-op=crop] [data-field=area][data-end={e}]').input_value())
                 for e in ("from", "to"))  # fmt: skip
    assert (low, high) == pytest.approx(policy["crop"].area, abs=1e-5)


def test_code_is_shown_for_each_host_and_papers_are_saved(page) -> None:
    page.locator("#use").get_by_role("button", name="Use it in a training loop").click()
    expect(page.locator("#lines")).to_contain_text("n=2, size=128")
    page.locator("#host input").click()
    page.get_by_role("option", name="timm", exact=True).click()
    expect(page.locator("#lines")).to_contain_text("adaptaug.hosts.timm.two_views")
    for button, name in (("#sheet", "contact-sheet.png"), ("#report", "report.html")):
        with page.expect_download() as download:
            page.locator(button).click()
        assert download.value.suggested_filename == name and download.value.path().stat().st_size > 50_000


def export(page):
    with page.expect_download() as download:
        page.locator("#export").click()
    return download.value


def test_check_12_the_exported_policy_makes_the_pixels_on_the_page_and_comes_back(
    page, open_page, tmp_path
) -> None:
    settled(page, control(page, "stretch", "on").uncheck)
    control(page, "hue", "p").focus()
    uris = settled(page, lambda: page.keyboard.press("End"))
    expect(status_of(page)).to_contain_text("natural (edited)")
    expect(page.locator("#detail tr", has_text="hue").first).not_to_contain_text("not drawn this time")
    download = export(page)
    assert download.suggested_filename == "policy.yaml"
    download.save_as(tmp_path / "policy.yaml")
    policy = adaptaug.Policy.load(tmp_path / "policy.yaml")
    assert policy.name == "natural (edited)" and policy["hue"].p == 1 and "stretch" not in policy
    natural = adaptaug.Policy.load("natural")
    assert all(policy[op] == natural[op] for op in natural.operations if op not in ("stretch", "hue"))
    image = np.array(dict(logic.sample_images())["astronaut"])
    for pair in range(6):
        made = adaptaug.Views(policy, size=128, finish="none")(image, key=(0, 0, pair))
        assert all(alike(uris[4 * pair + 2 + number], view) for number, view in enumerate(made))
        if pair == 0:  # the one that is open
            shown_whole = zip(opened(page), made, strict=True)
            assert all(np.array_equal(pixels_of(uri), view) for uri, view in shown_whole)
    other = open_page()
    other.locator("[data-testid=Import-upload-button]").set_input_files(tmp_path / "policy.yaml")
    expect(status_of(other)).to_contain_text("natural (edited)")
    assert settled(other) == uris
    assert state_of(other) == state_of(page)


def test_a_link_carries_the_policy_and_not_the_image(page, open_page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    control(page, "grey", "p").focus()
    page.keyboard.press("End")
    expect(status_of(page)).to_contain_text("natural (edited)")
    page.wait_for_timeout(400)
    page.locator("#share button").click()
    expect(page.locator("#share p")).to_contain_text("Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert len(link) < 2000
    other = open_page("/?p=" + link.partition("?p=")[2])
    expect(status_of(other)).to_contain_text("natural (edited)")
    assert shown(other) == shown(page)


def test_a_link_that_is_none_is_a_sentence(open_page) -> None:
    page = open_page("/?p=AAAA")
    expect(page.locator("#policy-problem")).to_contain_text(
        "the link's policy: expected one that this page has made"
    )
    expect(status_of(page)).to_have_text(OPENED)


def test_check_13_a_bad_policy_file_is_a_sentence_and_changes_nothing(page, tmp_path) -> None:
    before = shown(page)
    files = {
        "code.yaml": (b"version: 1\nname: !!python/object/apply:os.system [id]\n", "code.yaml: not valid YAML"),
        "bomb.yaml": (b"a: &a [x, x]\nb: [*a, *a]\nversion: 1\n", "bomb.yaml: expected YAML without aliases"),
        "range.yaml": (b"version: 1\noperations: {crop: {area: [3, 4]}}\n", "operations.crop.area: expected two"),
        "photo.yaml": (bytes(range(256)), "photo.yaml: expected a policy file, which is text"),
        "large.yaml": (b"#" * 1_100_000, "large.yaml: expected a policy file of at most 1 MB"),
    }  # fmt: skip
    for name, (content, said) in files.items():
        (tmp_path / name).write_bytes(content)
        page.locator("[data-testid=Import-upload-button]").set_input_files(tmp_path / name)
        expect(page.locator("#policy-problem p")).to_contain_text(said)
        assert "Traceback" not in page.content()
    assert shown(page) == before


def test_two_visitors_tune_apart(open_page) -> None:
    one, other = open_page(), open_page()
    control(one, "saturation", "p").focus()
    one.keyboard.press("Home")
    expect(status_of(one)).to_contain_text("natural (edited)")
    set_seed(other, 3)
    expect(status_of(other)).to_contain_text("simclr vs natural, seed 3")


def test_how_it_works_is_the_code_that_runs(page) -> None:
    page.get_by_role("tab", name="How it works").click()
    guide = page.locator("#guide")
    expect(guide).to_contain_text("Arrow keys on a pair")
    text = guide.inner_text()
    from adaptaug.policy.ops import OPS

    assert all(op.about in text for op in OPS.values())


def test_check_13_a_bad_file_gives_a_sentence_and_keeps_the_result(page, tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    (tmp_path / "text.png").write_bytes(b"no image at all")
    (tmp_path / "drawing.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg'><script>hacked=1</script></svg>"
    )
    Image.new("1", (8000, 6250)).save(tmp_path / "bomb.png")  # 50 megapixels
    before = shown(page)
    problem = page.locator("#problem p")
    for name in ("broken.png", "text.png", "drawing.svg", "bomb.png"):
        upload(page, tmp_path / name)
        expect(problem).to_contain_text(f"{name}: ")
        expect(problem).to_contain_text("The previous image is kept.")
        assert "Traceback" not in page.content() and "/tmp" not in problem.inner_text()
        expect(page.locator(".aa-pair")).to_have_count(12)
        assert shown(page) == before
        expect(page.locator("#source-image img")).to_be_visible()
    page.get_by_role("button", name="Use the sample cat", exact=True).click()
    expect(status_of(page)).to_contain_text("(cat,")
    expect(problem).to_have_count(0)


def test_check_15_two_visitors_do_not_see_each_other(open_page) -> None:
    one, other = open_page(), open_page()
    one.get_by_role("button", name="Use the sample cat", exact=True).click()
    expect(status_of(one)).to_contain_text("(cat,")
    set_seed(other, 2)
    expect(status_of(other)).to_contain_text("(astronaut,")


TABS = ("Tune", "Dataset", "Train & search", "How it works")


def visit(page, tab: str) -> None:
    """Open a tab with something in it."""
    page.get_by_role("tab", name=tab).click()
    if tab == "Dataset":
        page.locator("#set-photographs").click()
        page.locator("[data-worst]").first.wait_for(timeout=60_000)
    elif tab == "Train & search":
        page.locator("#run-view .aa-chart").first.wait_for()


def test_check_15_a_phone_shows_pairs_before_statistics_and_no_tab_overflows(open_page) -> None:
    page = open_page(width=390, height=844)
    pairs, statistics = (page.locator(at).bounding_box()["y"] for at in ("#pairs", "#statistics"))
    assert pairs < statistics
    for tab in TABS:
        visit(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab


def test_check_13_a_file_of_11_mb_gives_a_sentence(open_page, tmp_path) -> None:
    page = open_page()
    before = shown(page)
    (tmp_path / "heavy.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 11_000_000)
    page.locator("#source-image input[type=file]").set_input_files(tmp_path / "heavy.png")
    expect(page.get_by_text("exceed the maximum allowed size")).to_be_visible()
    assert shown(page) == before and "Traceback" not in page.content()
    assert all("413" in said for said in open_page.complaints)  # the browser logs the server's refusal
    open_page.complaints.clear()


# --- what the image decides -----------------------------------------------------------------------------------
def ranges_of(page) -> list[str]:
    return page.locator("#detail tbody tr").all_inner_texts()


def values_of(page) -> list[str]:
    return page.locator("[data-stat]").evaluate_all("all => all.map(e => e.dataset.value)")


def test_check_04_dark_flat_and_blank_images_have_other_statistics_and_ranges(page, tmp_path) -> None:
    Image.new("RGB", (200, 200), (120, 130, 140)).save(tmp_path / "blank.png")
    seen = []
    for name in ("coffee", "coffee, dark", "cat, low contrast", "blank.png"):
        if name == "blank.png":
            upload(page, tmp_path / name)
        else:
            page.get_by_role("button", name=f"Use the sample {name}", exact=True).click()
        expect(status_of(page)).to_contain_text(f"({name}, views")
        seen.append((values_of(page), ranges_of(page)))
    for i, (values, ranges) in enumerate(seen):
        assert all(values != other and ranges != more for other, more in seen[:i])


def test_what_a_browser_cannot_show_is_read_and_shown(page, tmp_path) -> None:
    file = tmp_path / "photo.jp2"
    Image.open(IMAGE).convert("RGB").crop((0, 0, 300, 200)).save(file)
    upload(page, file, "(photo.jp2, views")
    page.wait_for_function("document.querySelector('#source-image img')?.naturalWidth === 300")


def test_check_09_a_mostly_blank_image_is_blocked_only_where_nobody_guards(page, tmp_path) -> None:
    page_like = np.full((300, 400, 3), 244, np.uint8)
    page_like[130:170, 180:230] = np.random.default_rng(0).integers(0, 200, (40, 50, 1), dtype=np.uint8)
    Image.fromarray(page_like).save(tmp_path / "mostly-blank.png")
    upload(page, tmp_path / "mostly-blank.png", "(mostly-blank.png, views")
    bad = page.locator('.aa-pair[data-side="0"]', has=page.locator(".aa-view.bad"))
    assert bad.count() >= 1
    expect(page.locator('.aa-pair[data-side="1"] .aa-view.bad')).to_have_count(0)
    number = int(bad.first.get_attribute("data-pair"))
    page.locator(f'.aa-pair[data-side="1"][data-pair="{number}"]').click()
    beside = page.locator("#detail .aa-beside")
    theirs = shown(page)[4 * number : 4 * number + 2]
    expect(beside.locator("img").first).to_have_attribute("src", theirs[0])
    expect(page.locator("#detail h2")).to_have_text(f"Pair {number + 1} of natural")
    assert beside.locator("img").last.get_attribute("src") == theirs[1]
    expect(beside).to_contain_text("With the same key simclr, by hand, made these:")
    expect(beside).to_contain_text(re.compile(r"fails \([a-e]\)"))


def test_a_slider_uncovers_the_source_of_a_view(page) -> None:
    wipe = page.locator("#detail .aa-wipe").first
    wipe.locator("input").focus()
    page.keyboard.press("End")
    assert wipe.evaluate("e => getComputedStyle(e).getPropertyValue('--cut')") == "100%"
    image = np.array(dict(logic.sample_images())["astronaut"])
    _, (params, _) = adaptaug.Views("natural", n=2, size=128, return_params=True)(image, key=(0, 0, 0))
    source = adaptaug.render(image, params.safe_crop())
    assert np.array_equal(pixels_of(wipe.locator(".over").get_attribute("src")), source)


def test_the_page_says_by_what_pairs_are_compared(page) -> None:
    expect(page.locator("#measured-by")).to_contain_text(
        "measured on pixels (edges and colours), without a network"
    )


def answer(url: str, **headers: str) -> int:
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_check_15_the_server_serves_this_machine_and_the_app_only(app_url) -> None:
    assert answer(app_url) == 200
    assert answer(app_url, Host="evil.example") == 400
    assert answer(f"{app_url}/gradio_api/file=/etc/passwd") == 403
    assert answer(f"{app_url}/gradio_api/file={app_url}/config") == 403
    assert answer(f"{app_url}/docs") == 404


@pytest.mark.parametrize(
    "meta", [{"meta": {"_type": "gradio.FileData"}}, {}, {"meta": {"_type": "x"}}], ids=str
)
@pytest.mark.parametrize("path", [str(IMAGE), "/etc/passwd", "http://127.0.0.1:9/secret.png"])
def test_a_forged_upload_reads_nothing_of_this_machine(app_url, path, meta) -> None:
    """What the browser sends after an upload, sent by hand with a path of its own choice."""
    config = json.load(urllib.request.urlopen(f"{app_url}/config", timeout=10))
    box = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "source-image")
    event = next(
        d["id"] for d in config["dependencies"] if [box, "upload"] in [list(t) for t in d["targets"]]
    )
    file = {"path": path, **meta}
    body = json.dumps({"data": [file, None], "fn_index": event, "session_hash": "forger"}).encode()
    request = urllib.request.Request(
        f"{app_url}/gradio_api/queue/join", body, {"Content-Type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        assert 400 <= error.code < 500
        return
    told = urllib.request.urlopen(f"{app_url}/gradio_api/queue/data?session_hash=forger", timeout=10)
    answers = [json.loads(line[5:]) for line in told if line.startswith(b"data:")]
    done = next(a for a in answers if a["msg"] == "process_completed")
    assert done["success"] is False or "expected an upload" in json.dumps(answers)
    assert "root:" not in json.dumps(answers) and "Brightness" not in json.dumps(answers)


def test_behind_a_log_in_only_who_has_it_gets_in(chromium) -> None:
    from adaptaug.ui.app import build_app, free_port, launch_settings, log_in

    app, port = build_app(), free_port(18860)
    settings = launch_settings(log_in("ann:correct horse"))
    app.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **settings)
    try:
        url = f"http://127.0.0.1:{port}"
        assert answer(f"{url}/config") == 401
        for password, status in (("wrong horse", 400), ("correct horse", 200)):
            body = f"username=ann&password={password}".encode()
            try:
                found = urllib.request.urlopen(f"{url}/login", body, timeout=10).status
            except urllib.error.HTTPError as error:
                found = error.code
            assert found == status
    finally:
        app.close(verbose=False)


@pytest.mark.parametrize("text", ["ann", ":password", "ann:short", ""])
def test_a_poor_log_in_is_refused(text) -> None:
    from adaptaug.ui.app import log_in

    with pytest.raises(adaptaug.AdaptAugError, match="auth: expected USER:PASSWORD"):
        log_in(text)


def test_main_refuses_other_hosts_and_finds_a_free_port(app_url) -> None:
    from adaptaug.ui.app import free_port, main

    with pytest.raises(adaptaug.AdaptAugError, match=r"host: expected 127\.0\.0\.1, got '0\.0\.0\.0'"):
        main(host="0.0.0.0")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        assert free_port(busy.getsockname()[1]) > busy.getsockname()[1]
