"""Take the pictures of the app for the documentation: `python -m benchmarks.screenshots [FOLDER [RUNS]]`.

Every tab in light and dark at 1280 px, and on a phone (390 px wide, twice the density). RUNS is a folder
with a search, as `--runs`; without it those pictures are left as they are. Needs Chromium, as the browser tests do.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from adaptaug import AdaptAugError
from adaptaug.ui.app import build_app, free_port, launch_settings

MAX_BYTES = 300_000
PATIENCE = 120_000  # ms, of a busy machine
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "img"
_WIDE: dict[str, Any] = {"theme": "light", "width": 1280, "height": 800, "density": 1}
_PHONE: dict[str, Any] = {"theme": "light", "width": 390, "height": 844, "density": 2}
_DARK, _GUIDE = {"theme": "dark"}, {"tab": "How it works", "wait": "#guide h2"}
_SET = {"tab": "Dataset", "click": "#set-digits", "wait": "#set-map"}
_MAP = {"tab": "Dataset", "at": "#set-map"}
_SEARCH = {"tab": "Train & search", "wait": "#arms"}
_SWEEP = {"sweep": "hue"}
_PAIR = {"pair": '.aa-pair[data-side="0"][data-pair="1"]'}
# By name; those of one theme and size are one page, in this order: what one opens, the next ones have open.
SHOTS: dict[str, dict[str, Any]] = {
    "app-light": _WIDE | _SWEEP,
    "pair-light": _WIDE | _PAIR,
    "dataset-light": _WIDE | _SET,
    "map-light": _WIDE | _MAP,
    "guide-light": _WIDE | _GUIDE,
    "app-dark": _WIDE | _DARK | _SWEEP,
    "pair-dark": _WIDE | _DARK | _PAIR,
    "dataset-dark": _WIDE | _DARK | _SET,
    "map-dark": _WIDE | _DARK | _MAP,
    "guide-dark": _WIDE | _DARK | _GUIDE,
    "app-phone": _PHONE,
    "tuning-phone": _PHONE | _SWEEP,
    "pair-phone": _PHONE | _PAIR,
    "dataset-phone": _PHONE | _SET,
    "map-phone": _PHONE | _MAP,
    "guide-phone": _PHONE | _GUIDE,
    "app-phone-dark": _PHONE | _DARK,
    "dataset-phone-dark": _PHONE | _DARK | _SET,
    "guide-phone-dark": _PHONE | _DARK | _GUIDE,
    "search-light": _WIDE | _SEARCH,
    "search-dark": _WIDE | _DARK | _SEARCH,
    "search-phone": _PHONE | _SEARCH | {"at": ".aa-run"},
    "search-phone-dark": _PHONE | _DARK | _SEARCH | {"at": ".aa-run"},
}


def find_chromium() -> str:
    """Path of a Chromium. Raises: AdaptAugError: there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not browser:
        raise AdaptAugError(
            "Chromium: none found; install Debian's package 'chromium' or set CHROMIUM to its path."
        )
    return browser


def shrink(png: bytes) -> bytes:
    """Fewer colours, dithered so that photographs show no bands, until the file is below `MAX_BYTES`."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (0, 256, 128, 64):
        picture = image
        if colours:
            picture = with_palette(image, colours)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()


def with_palette(image: Image.Image, colours: int) -> Image.Image:
    """The image in few colours, dithered, but its most frequent ones exact: a page's white stays white."""
    pixels = np.asarray(image)
    shades, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    flat = shades[np.argsort(counts)[::-1][:16]].tolist()
    rest = (image.quantize(colours - len(flat)).getpalette() or [])[: 3 * (colours - len(flat))]
    levels = [level for colour in flat for level in colour] + rest
    palette = Image.new("P", (1, 1))
    palette.putpalette(levels)
    # Pillow looks up the nearest colour in a coarse grid, so that even an exact one may be missed.
    index = np.array(image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG))
    for number, colour in enumerate(flat):
        index[(pixels == colour).all(-1)] = number
    picture = Image.fromarray(index)
    picture.putpalette(levels)
    return picture


def opened(browser: Any, url: str, shot: dict[str, Any]) -> Any:
    """A page of this theme and size, with a sample chosen."""
    page = browser.new_page(
        viewport={"width": shot["width"], "height": shot["height"]},
        device_scale_factor=shot["density"],
        reduced_motion="reduce",
    )
    page.set_default_timeout(PATIENCE)
    page.goto(f"{url}/?__theme={shot['theme']}")
    page.locator('.aa-pair[data-side="1"]').first.wait_for()
    page.locator("#source-image img").wait_for()
    page.get_by_role("button", name="Use the sample coffee", exact=True).click()
    page.get_by_text("(coffee, views of 128 px)").wait_for()
    return page


def pictured(page: Any, shot: dict[str, Any]) -> bytes:
    """A PNG of the page once it shows what the shot is of."""
    page.get_by_role("tab", name=shot.get("tab", "Tune"), exact=True).click()
    if "sweep" in shot:
        look = page.locator(f"[data-sweep={shot['sweep']}]")
        page.locator("#editor details").filter(has=look).locator("summary").click()
        look.click()
        page.locator(".aa-slot img").first.wait_for()
        look.evaluate("element => element.closest('[data-op]').scrollIntoView({block: 'start'})")
    if "pair" in shot:
        page.locator(shot["pair"]).click()
        page.locator("#detail h2", has_text="Pair 2 of simclr").wait_for()
    if "click" in shot:
        page.locator(shot["click"]).click()
    if "wait" in shot:
        page.locator(shot["wait"]).first.wait_for()
    if "pair" not in shot:  # a click has scrolled to where the pair can be seen
        page.evaluate("scrollTo(0, 0)")
    if "at" in shot:
        page.locator(shot["at"]).evaluate("element => scrollBy(0, element.getBoundingClientRect().top - 12)")
    page.mouse.move(0, 0)
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return bytes(page.screenshot(animations="disabled"))


def take(folder: Path, runs: str | None = None) -> list[Path]:
    """Serve the app, open it in each way of `SHOTS`, and write the pictures; those of searches need `runs`."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    folder.mkdir(parents=True, exist_ok=True)
    app = build_app(runs=runs)
    port = free_port(27860)
    app.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **launch_settings())
    written: list[Path] = []
    pages: dict[tuple[Any, ...], Any] = {}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            )
            for name, shot in SHOTS.items():
                if runs is None and name.startswith("search"):
                    continue
                like = tuple(shot[part] for part in ("theme", "width", "height", "density"))
                if like not in pages:
                    pages[like] = opened(browser, f"http://127.0.0.1:{port}", shot)
                path = folder / f"{name}.png"
                path.write_bytes(shrink(pictured(pages[like], shot)))
                written.append(path)
            browser.close()
    finally:
        app.close(verbose=False)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("runs", nargs="?")
    options = parser.parse_args()
    try:
        for picture in take(options.folder, *([options.runs] if options.runs else [])):
            print(f"{picture} {picture.stat().st_size / 1000:.0f} kB")
    except AdaptAugError as problem:
        sys.exit(f"{problem}")
