"""The tab "Train & search": runs and searches of one folder, a demo, and the way of a policy into Tune."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import gradio as gr

from adaptaug import AdaptAugError
from adaptaug.ui import findings, logic, runs, templates, training_html
from adaptaug.ui.demo import Demo, missing
from adaptaug.ui.desk import Desk
from adaptaug.ui.layout import NO_SKIN
from adaptaug.ui.tune import QUIET, Door, as_picture

EVERY = 0.7  # seconds between two looks at what is on disk, while the tab is open


def build(folder: Path | None, door: Door, tabs: gr.Tabs, tab: gr.Tab, others: list[gr.Tab]) -> Demo:
    """Lay the tab out and wire it.

    Args:
        folder: where runs lie, None: there are the demo's alone. door: into Tune.
        tabs, tab, others: to show Tune, and to look at the disk only while this tab is open.
    """
    demo = Demo()
    me = gr.BrowserState(None, storage_key="adaptaug-visitor")  # who may stop a demo: this survives a reload
    seen = gr.State(None)  # what the page shows, so that an unchanged run is not drawn again
    timer = gr.Timer(EVERY, active=False)
    with gr.Row(elem_id="training-layout", elem_classes="aa-layout"):
        with gr.Column(elem_id="training-left", elem_classes="aa-left", min_width=280):
            choice = gr.Dropdown(
                [],
                value=None,
                label="Run or search",
                elem_id="run-choice",
                interactive=True,
                filterable=False,
            )
            use = gr.Button("Use this policy", elem_id="use-policy", interactive=False)
            complaint = gr.HTML("", elem_id="run-problem", js_on_load=templates.PROBLEM_JS, **NO_SKIN)
            gr.HTML(_about(folder), elem_id="demo-about", **NO_SKIN)
            with gr.Row(elem_id="demo-buttons"):
                start = gr.Button("Start a one-minute demo", elem_id="demo-start", variant="primary")
                stop = gr.Button("Stop", elem_id="demo-stop", interactive=False, min_width=70)
            told = gr.HTML("", elem_id="demo-progress", js_on_load=templates.STATUS_JS, **NO_SKIN)
        with gr.Column(elem_id="training-results", elem_classes="aa-results"):
            view = gr.HTML(training_html.EMPTY, elem_id="run-view", **NO_SKIN)

    def roots() -> list[Path | None]:
        return [demo.root, folder]

    def look(name: str | None, before: Any, visitor: str | None) -> tuple[Any, ...]:
        """choice, use, view, progress, start, stop, seen: what changed since `before`, else nothing."""
        state = demo.state()
        mine = bool(visitor) and visitor == demo.owner
        found = runs.find_runs(roots())
        names = [run.name for run in found]
        chosen = next((run for run in found if run.name == name), found[0] if found else None)
        now = (names, state | {"mine": mine}, chosen and runs.stamp(chosen), name)
        if now == before:
            return (*[gr.skip()] * 6, before)
        old = before or ([], {}, None, None)
        running = bool(state.get("running"))
        drawn = gr.skip() if before and now[2] == old[2] else _draw(chosen)
        current = chosen.name if chosen else None
        listed = gr.skip() if (names, current) == (old[0], name) else gr.update(choices=names, value=current)
        buttons = gr.Button(interactive=not running), gr.Button(interactive=running and mine)
        return (
            listed, gr.Button(interactive=chosen is not None), drawn, training_html.progress(state), *buttons,
            (*now[:3], current),
        )  # fmt: skip

    def begin(before: Any, visitor: str | None) -> tuple[Any, ...]:
        visitor = visitor or secrets.token_urlsafe()
        try:
            started = demo.start(visitor)
        except AdaptAugError as error:
            return templates.problem(str(error)), visitor, *[gr.skip()] * 7
        return "", visitor, *look(started.name, before, visitor)

    def halt(name: str | None, before: Any, visitor: str | None) -> tuple[Any, ...]:
        try:
            demo.stop(visitor)
        except AdaptAugError as error:
            return templates.problem(str(error)), *[gr.skip()] * 7
        return "", *look(name, before, visitor)

    def take(name: str | None, desk: Desk, *controls: Any) -> tuple[Any, ...]:
        """Into Tune, with an image of the data that the policy was found or used on."""
        said: dict[str, Any] = {}
        try:
            run = runs.pick(roots(), name or "")
            desk.replace(runs.policy_of(run))
        except AdaptAugError as error:
            return templates.problem(str(error)), gr.skip(), *[gr.skip()] * len(door.outputs)
        try:
            if (image := findings.image_of(run)) is not None:
                called, opened, side = image
                desk.lay(lambda: logic.as_source(called, opened()))
                side = min(max(round(side / 32) * 32, logic.MIN_SIZE), logic.MAX_SIZE)
                said = {"picture": as_picture(desk.source), "size": side}
        except AdaptAugError as error:
            said = {"problem": f"{error} The image is kept."}
        return "", gr.Tabs(selected="tune"), *door.show(desk, *controls, **said)

    shown = [choice, use, view, told, start, stop, seen]
    # One at a time: two looks that overlap would each draw what the other has drawn.
    watch: dict[str, Any] = {"fn": look, "inputs": [choice, seen, me], "outputs": shown, **QUIET}
    tab.select(lambda: gr.Timer(active=True), None, timer, **QUIET).then(**watch)
    for other in others:
        other.select(lambda: gr.Timer(active=False), None, timer, **QUIET)
    timer.tick(trigger_mode="once", **watch)
    choice.input(**watch)
    # In the browser: over the network it could end after a later click's complaint, and wipe it. Not `input`, which
    # Gradio sends at every blur as well: the click that is complained of is one.
    choice.change(None, None, complaint, js="() => ''", **QUIET)
    start.click(begin, [seen, me], [complaint, me, *shown], **QUIET)
    stop.click(halt, [choice, seen, me], [complaint, *shown], **QUIET)
    use.click(
        take, [choice, *door.inputs], [complaint, tabs, *door.outputs], concurrency_id="preview", **QUIET
    )
    return demo


def _draw(run: runs.Found | None) -> str:
    if run is None:
        return training_html.EMPTY
    try:
        if run.kind == "run":
            return training_html.run_view(run, runs.read_metrics(run.folder))
        return training_html.search_view(run, runs.read_study(run.folder), findings.verdict(run))
    except AdaptAugError as error:
        return training_html.problem_of(run, str(error))


def _about(folder: Path | None) -> str:
    where = (
        "The app was started without a runs folder: <code>--runs FOLDER</code> names one."
        if folder is None
        else f"Runs and searches in <code>{templates.escape(folder.name or folder)}</code> are listed above."
    )
    sentence = missing()
    way_out = f'<p class="aa-problem">{templates.escape(sentence)}</p>' if sentence else ""
    return (
        f'<div class="aa aa-about"><p class="faint">{where}</p><h2>Demo</h2><p class="faint">A search as '
        "<code>adaptaug search</code> runs it, small: 8 policies on scikit-learn&#39;s digits, from the hand-made "
        f"recipe. What it writes is removed when the app ends.</p>{way_out}</div>"
    )
