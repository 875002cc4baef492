"""How long the app keeps a person waiting: `python -m benchmarks.app`.

In Chromium, from the request to the new pixels: opening the page; a seed, an edit of the right policy and a click on a
pair, on photographs of .4 and of 12 megapixels; and how many bytes the longest reply had. Medians and quartiles, with
the machine's load beside them; the first of each is left out. Then what visitors leave behind in memory.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
from PIL import Image

TIMES = 9
PATIENCE = 60_000  # ms, of a busy machine
# Resolves when no view that the pairs borrow has changed for two frames after the first that did.
NEW_PIXELS = """(act) => new Promise((done) => {
  const began = performance.now();
  const state = () => [...document.querySelectorAll('#pairs img, #detail img')].map((image) => {
    const uri = image.getAttribute('src') || '';
    return uri.length + uri.slice(-40);
  }).join() + document.querySelector('#detail h2')?.textContent;
  const before = state();
  const look = () => {
    if (state() === before) return requestAnimationFrame(look);
    const images = [...document.querySelectorAll('#pairs img')].map((image) => image.decode().catch(() => {}));
    Promise.all(images).then(() => requestAnimationFrame(() => requestAnimationFrame(
      () => done(performance.now() - began))));
  };
  (0, eval)(act);
  requestAnimationFrame(look);
})"""


def photograph(folder: Path) -> Path:
    """A JPEG of 12 megapixels: a sample enlarged, with the grain that a camera adds."""
    from adaptaug.ui import logic

    image = np.array(dict(logic.sample_images())["coffee"].resize((4000, 3000)))
    noise = np.random.default_rng(0).normal(0, 6, image.shape)
    path = folder / "photo.jpg"
    Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(path, quality=92)
    return path


class Meter:
    """Bytes that a page has received from the server, as they came over the wire."""

    def __init__(self, page: Any):
        self.bytes = 0
        self._inside: set[str] = set()  # pictures that lie in the page: the browser counts them as received
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._ask)
        session.on("Network.dataReceived", self._hear)
        session.send("Network.enable")

    def _ask(self, event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("data:"):
            self._inside.add(event["requestId"])

    def _hear(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._inside:
            self.bytes += event["dataLength"]


def tell(what: str, target: float, took: list[float], most: int = 0) -> None:
    low, middle, high = quantiles(took, n=4)
    sent = f"; at most {most / 1000:.0f} kB" if most else ""
    print(f"{what:<45}{middle:6.0f} ms ({low:.0f} to {high:.0f}), target {target:.0f}{sent}", flush=True)


def moved(number: int) -> str:
    """JavaScript that drags a slider of the editor to a place where it was not, by which every crop changes."""
    return f"""(() => {{ const slide = document.querySelector('[data-op=crop] [data-field=area][data-end=from]');
      slide.value = {0.3 + 0.05 * number}; slide.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"""


def seeded(number: int) -> str:
    return f"""(() => {{ const box = document.querySelector('#seed input'); box.value = {number + 1};
      box.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"""


def clicked(number: int) -> str:
    return f"document.querySelectorAll('.aa-pair')[{2 + number % 8}].click()"


def timed(page: Any, meter: Meter, act: Callable[[int], str]) -> tuple[list[float], int]:
    """Milliseconds from what `act(number)` does in the page to pixels that can be seen, and the most bytes received."""
    took, most = [], 0
    for number in range(TIMES + 1):
        meter.bytes = 0
        took.append(page.evaluate(NEW_PIXELS, act(number)))
        most = max(most, meter.bytes)
    return took[1:], most


def measure(page: Any, meter: Meter, url: str, photo: Path) -> None:
    opened = []
    for _ in range(4):
        began = time.perf_counter()
        page.goto(url)
        page.wait_for_function("document.querySelectorAll('#pairs img[src]').length === 24")
        opened.append(1000 * (time.perf_counter() - began))
    tell("first pairs, the page opened again", 2500, opened[1:])
    page.locator("#source-image img").wait_for()
    for what, edit in ((".4 megapixels", 350), ("12 megapixels", 600)):
        if what.startswith("12"):
            began = time.perf_counter()
            page.locator("#source-image input[type=file]").set_input_files(photo)
            page.locator("#status-line", has_text=photo.name).wait_for()
            print(f"{what}: upload to pairs{1000 * (time.perf_counter() - began):23.0f} ms, once")
        tell(f"{what}: an edit of the right policy", edit, *timed(page, meter, moved))
        tell(f"{what}: another seed, both policies", 2 * edit, *timed(page, meter, seeded))
        tell(f"{what}: a click on a pair", 200, *timed(page, meter, clicked))


def held(process: subprocess.Popen[str]) -> float:
    """Megabytes that it has in memory (Linux)."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def remember(browser: Any, port: int, photo: Path) -> None:
    """What the app's memory is before, with, and after visitors who look at a photograph of 12 megapixels."""
    command = f"from adaptaug.ui.app import main; main(port={port})"
    server = subprocess.Popen([sys.executable, "-uc", command], stdout=subprocess.PIPE, text=True)
    try:
        while server.stdout is not None and "adaptaug is at" not in server.stdout.readline():
            pass

        def visit(reloads: int) -> float:
            page = browser.new_page()
            for _ in range(reloads):
                page.goto(f"http://127.0.0.1:{port}")
                for part in (".aa-pair", "#source-image img"):  # the first sample has come
                    page.locator(part).first.wait_for(timeout=PATIENCE)
                page.locator("#source-image input[type=file]").set_input_files(photo)
                page.locator("#status-line", has_text=photo.name).wait_for(timeout=PATIENCE)
            most = held(server)
            page.close()
            time.sleep(2)  # the server hears of it a moment later
            return most

        visit(1)  # what any first visitor loads once and for all
        before, most = held(server), visit(6)
        for _ in range(10):
            visit(1)
        print(
            f"memory: {before:.0f} MB, after six reloads with 12 megapixels {most - before:+.0f} MB, after ten"
        )
        print(f"visitors with it have left {held(server) - before:+.0f} MB (target 20)")
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    from playwright.sync_api import sync_playwright

    from adaptaug.ui.app import build_app, free_port, launch_settings
    from benchmarks.screenshots import find_chromium

    app = build_app()
    port = free_port(27860)
    app.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **launch_settings())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        photo = photograph(Path(folder))
        measure(page, Meter(page), f"http://127.0.0.1:{port}", photo)
        page.close()
        remember(browser, free_port(port + 1), photo)
        browser.close()
    app.close(verbose=False)


if __name__ == "__main__":
    main()
