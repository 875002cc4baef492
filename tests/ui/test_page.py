"""The page as a place to work: what is in sight together, on a screen and on a phone, by hand and by keyboard, and for
who hears it read out."""

from __future__ import annotations

import re

import pytest

from tests.ui.test_browser import TABS, expect, settled, status_of, visit

pytestmark = pytest.mark.browser
IN_SIGHT = """(at) => [...document.querySelectorAll(at)].filter((e) => {
  const box = e.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + Math.min(box.height / 2, 20);
  return box.height > 0 && y > 0 && y < innerHeight && e.contains(document.elementFromPoint(x, y));
}).length"""
SERIOUS = """(rules) => axe.run({resultTypes: ['violations'], ...(rules ? {runOnly: rules} : {})}).then((found) =>
  found.violations.filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 160))]))"""


def in_sight(page, at: str) -> int:
    """How many of these can be seen without scrolling: inside the window, and nothing before them."""
    return page.evaluate(IN_SIGHT, at)


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
def test_image_pairs_and_controls_are_in_sight_together_and_stay_so_beside_an_open_pair(
    open_page, width, height
) -> None:
    page = open_page(width=width, height=height)
    assert all(in_sight(page, at) for at in ("#source-image img", "#policy-b input", "#seed input"))
    assert in_sight(page, ".aa-pair") >= 2
    page.locator("#reset").scroll_into_view_if_needed()  # the controls scroll, and nothing else does
    assert in_sight(page, "#reset") and in_sight(page, ".aa-pair") >= 2
    pair = page.locator('.aa-pair[data-side="1"][data-pair="1"]')
    pair.click()
    expect(page.locator("#detail h2")).to_have_text("Pair 2 of natural")
    assert in_sight(page, "#detail h2") and in_sight(page, ".aa-pair[aria-pressed=true]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.press("Escape")
    assert in_sight(page, ".aa-pair[aria-pressed=true]") and in_sight(page, "#reset")


def test_the_drawer_of_a_phone_gives_way(open_page) -> None:
    page = open_page(width=390, height=844)
    handle, before = page.locator(".aa-drawer"), in_sight(page, ".aa-pair")
    handle.click()
    expect(handle).to_have_attribute("aria-expanded", "false")
    assert in_sight(page, ".aa-pair") > before and not in_sight(page, "#seed input")
    handle.click()
    assert in_sight(page, "#seed input")


def test_the_keyboard_goes_to_pairs_and_seeds_from_anywhere(page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the pairs")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator('.aa-pair[data-side="1"][data-pair="0"]')).to_be_focused()
    heading = page.locator("#detail h2")
    for keys, said in (("j", 1), ("j", 2), ("j", 3), ("k", 2)):
        page.keyboard.press(f"Alt+{keys}")
        expect(heading).to_have_text(f"Pair {said} of natural")
    for _ in range(4):  # the first is answered when all have been asked for
        page.keyboard.press("Alt+j")
    expect(heading).to_have_text("Pair 6 of natural")
    for keys, seed in (("n", 1), ("n", 2), ("b", 1)):
        page.keyboard.press(f"Alt+{keys}")
        expect(status_of(page)).to_contain_text(f"seed {seed}:")
    page.get_by_role("tab", name="How it works").click()
    for keys in ("Alt+J, Alt+K", "Alt+N, Alt+B", "Ctrl+Z, Ctrl+Shift+Z"):
        expect(page.locator("#guide")).to_contain_text(keys)
    page.get_by_text("Skip to the pairs").focus()
    page.keyboard.press("Enter")
    expect(page.locator('.aa-pair[aria-pressed="true"]')).to_be_focused()


def test_versions_are_kept_side_by_side_and_a_reload_finds_them(page, open_page) -> None:
    left, right = page.locator("#policy-a input"), page.locator("#policy-b input")

    def choose(box, name: str) -> None:
        box.click()
        page.get_by_role("option", name=name, exact=True).click()

    page.locator("[data-op=grey] [data-field=p]").evaluate(
        "e => { e.value = 1; e.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    expect(right).to_have_value("natural (edited)")
    page.locator("#version input, #version textarea").fill("all grey")
    page.locator("#keep").click()
    expect(right).to_have_value("all grey")
    grey = settled(page)
    choose(right, "natural")
    expect(status_of(page)).to_contain_text("simclr vs natural, seed 0")
    choose(left, "all grey")
    expect(status_of(page)).to_contain_text("all grey vs natural, seed 0")
    theirs = page.locator('.aa-pair[data-side="0"] img').evaluate_all("all => all.map(i => i.src)")
    assert theirs == [uri for i, uri in enumerate(grey) if i % 4 in (2, 3)]
    page.locator("#version input, #version textarea").fill("digits")
    page.locator("#keep").click()
    expect(page.locator("#policy-problem")).to_contain_text("digits is a policy of its own")
    open_page.again(page)
    choose(right, "all grey")
    expect(status_of(page)).to_contain_text("simclr vs all grey, seed 0")
    page.locator("#drop").click()
    right.click()
    expect(page.get_by_role("option", name="natural", exact=True)).to_be_visible()
    expect(page.get_by_role("option", name=re.compile("^all grey$"))).to_have_count(1)  # what stands, no more


def test_more_views_of_a_draw_and_what_auto_took_the_image_for(page) -> None:
    page.locator("#view-count input[type=range]").evaluate(
        "e => { e.value = 4; e.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    expect(status_of(page)).to_contain_text("6 groups of 4 views, simclr vs natural, seed 0")
    expect(page.locator("#pairs img")).to_have_count(48)
    page.locator('.aa-pair[data-side="1"][data-pair="2"]').click()
    expect(page.locator("#detail h2")).to_have_text("Group 3 of natural")
    expect(page.locator("#detail .aa-wipe")).to_have_count(4)
    page.locator("#policy-b input").click()
    page.get_by_role("option", name="auto", exact=True).click()
    expect(page.locator(".aa-policy").last).to_contain_text("took this image for")
    expect(page.locator("#detail .aa-subject")).to_contain_text("policy natural")
    expect(page.locator("#detail tr").nth(1)).to_contain_text("what the image was taken for")
    page.get_by_role("button", name="Tune documents").first.click()
    expect(status_of(page)).to_contain_text("simclr vs documents, seed 0")


def test_check_15_no_serious_accessibility_problem_on_any_tab_or_beside_an_open_pair(open_page) -> None:
    axe = pytest.importorskip("axe_playwright_python.base")
    page = open_page("/?__theme=light")
    page.add_style_tag(
        content="* { transition: none !important }"
    )  # else a button is on its way between two colours
    page.evaluate(axe.AXE_FILE_PATH.read_text())  # once: every width, tab and theme is the same page
    page.locator("#editor summary").evaluate_all("all => all.forEach((group) => group.click())")
    for tab in (*TABS, "an open pair"):
        if tab in TABS:
            visit(page, tab)
        else:
            page.get_by_role("tab", name="Tune").click()
            page.locator(".aa-pair").nth(3).click()
        for width in (1280, 768, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert (tab, width, page.evaluate(SERIOUS)) == (tab, width, [])
        page.evaluate("document.body.classList.add('dark')")  # what a theme changes is colours
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert (tab, width, page.evaluate(SERIOUS, ["color-contrast"])) == (tab, width, [])
        page.evaluate("document.body.classList.remove('dark')")
