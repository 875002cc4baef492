"""The app served once for all browser tests, and a page per test that must not call out nor log an error."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.missing import missing
from tests.ui.made import make_run, make_search

PATIENCE = (
    30_000  # ms: beside other work a page of two slow cores takes seconds to do what takes tenths alone
)
HOSTILE_RUN = "<img src=x onerror=window.hacked=1>"
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one the tests are skipped, but fail where CI=true."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    missing("no Chromium found: install Debian's package 'chromium' or set CHROMIUM to its path")


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory):
    """A run, a search, and a run with a hostile name; the search was changed last."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "photos")
    make_run(folder / HOSTILE_RUN, steps=10)
    make_search(folder / "letters.search")
    for number, file in enumerate(
        ("photos/metrics.jsonl", f"{HOSTILE_RUN}/metrics.jsonl", "letters.search/study.db")
    ):
        os.utime(folder / file, (number + 1, number + 1))
    return folder


@pytest.fixture(scope="session")
def app_url(chromium, tmp_path_factory, runs_folder):
    pytest.importorskip("gradio", reason="the page needs gradio: pip install 'adaptaug[ui]'")
    os.environ["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("gradio"))
    from adaptaug.ui.app import build_app, free_port, launch_settings

    app = build_app(runs=str(runs_folder))
    port = free_port(17860)
    app.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **launch_settings())
    yield f"http://127.0.0.1:{port}"
    app.close(verbose=False)


@pytest.fixture(scope="session")
def browser(chromium):
    sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        yield started
        started.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    setattr(item, f"report_{report.when}", report)
    return report


@pytest.fixture(scope="session")
def new_visitor(browser):
    def start():
        context = browser.new_context(reduced_motion="reduce", accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        return context

    return start


@pytest.fixture(scope="session")
def regular(new_visitor):
    """A visitor who has the page's scripts already, which takes half as long; other than that it knows nothing."""
    context = new_visitor()
    yield context
    context.close()


@pytest.fixture
def open_page(regular, new_visitor, app_url, request, tmp_path):
    """Opens pages, each after the first for another visitor; at the end none may have called out or logged an error."""
    pages, complaints, visitors = [], [], []

    def start(query: str = "", width: int = 1280, height: int = 900, ready: bool = True):
        context = new_visitor() if visitors else regular
        visitors.append(context)
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on("console", lambda m: complaints.append(f"console: {m.text}") if m.type == "error" else None)
        own = (app_url, "data:", "blob:")
        page.on(
            "request", lambda r: None if r.url.startswith(own) else complaints.append(f"outside: {r.url}")
        )
        page.goto(app_url + query)
        pages.append(page)
        if ready:
            page.locator('.aa-pair[data-side="1"]').first.wait_for()
            page.locator("#source-image img").wait_for()
        return page

    def again(page):
        """Reload it. What the page that is left was asking just then is cut off, and Gradio's client logs that."""
        before = len(complaints)
        page.reload()
        page.locator('.aa-pair[data-side="1"]').first.wait_for()
        cut_off = ("AbortError", "errored out")
        complaints[before:] = [c for c in complaints[before:] if not any(said in c for said in cut_off)]

    start.complaints, start.again = complaints, again  # `complaints`: for a test that provokes one
    yield start
    told = list(complaints)  # those of pages that are closed, as of pages that are left, are not counted
    report = getattr(request.node, "report_call", None)
    for number, page in enumerate(pages):
        if report is not None and report.failed:
            shot = Path(os.environ.get("SCREENSHOTS", tmp_path)) / f"{request.node.name}-{number}.png"
            page.screenshot(path=shot, full_page=True)
            print(f"screenshot: {shot}")
        page.evaluate("localStorage.clear()")
        page.close()
    regular.clear_cookies()
    regular.clear_permissions()
    for visitor in visitors[1:]:
        visitor.close()
    assert told == []


@pytest.fixture
def page(open_page):
    return open_page()
