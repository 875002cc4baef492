"""What Tune is made of: its components, where they stand, and what each one's own script does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from adaptaug import Policy
from adaptaug.ui import (
    advice,
    detail,
    editor,
    logic,
    pairs_html,
    pictures,
    sharing,
    snippets,
    sweep_html,
    templates,
)

NO_SKIN = {"apply_default_css": False, "padding": False}
# On a phone the controls are a drawer at the foot of the window, with the pairs in sight above.
DRAWER = '<button type="button" class="aa-drawer" aria-expanded="true" aria-controls="left">Image and controls</button>'
DRAWER_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const shut = document.getElementById('left').toggleAttribute('data-shut');
  button.setAttribute('aria-expanded', !shut);
});
"""


@dataclass(frozen=True)
class Image:
    """Where an image comes from, and what was measured of it."""

    picture: gr.Image
    shelf: gr.HTML
    measured: gr.HTML


@dataclass(frozen=True)
class Choices:
    """The two policies, and the numbers by which both make their views."""

    one: gr.Dropdown
    other: gr.Dropdown
    seed: gr.Number
    dice: gr.Button
    count: gr.Slider
    each: gr.Slider
    size: gr.Slider

    @property
    def numbers(self) -> list[Any]:
        """What every event is told, in the order of `tune.Numbers`."""
        return [self.one, self.seed, self.count, self.each, self.size]


@dataclass(frozen=True)
class Tuning:
    """What changes the right policy, keeps it, and takes it elsewhere."""

    controls: gr.HTML
    swept: gr.HTML
    undo: gr.Button
    redo: gr.Button
    reset: gr.Button
    name: gr.Textbox
    keep: gr.Button
    drop: gr.Button
    export: gr.DownloadButton
    load: gr.UploadButton
    link: gr.HTML
    host: gr.Dropdown
    lines: gr.Code
    sheet: gr.Button
    report: gr.Button
    paper: gr.DownloadButton


@dataclass(frozen=True)
class Results:
    """What the page shows of an image and two policies."""

    problem: gr.HTML
    complaint: gr.HTML
    status: gr.HTML
    hint: gr.HTML
    views: list[gr.HTML]
    pairs: gr.HTML
    reasons: gr.HTML


def lay(
    policies: dict[str, Policy], first: tuple[str, str], standing: tuple[list[Any], str], samples: list[tuple[str, Any]]
) -> tuple[Image, Choices, Tuning, Results]:  # fmt: skip
    """Everything, in the open `gr.Blocks`. `standing` are the right selector's choices and value (`Desk.offer`)."""
    right = policies[first[1]]
    with gr.Row(elem_id="layout"):
        with gr.Column(elem_id="left", min_width=280):
            gr.HTML(DRAWER, elem_id="drawer", js_on_load=DRAWER_JS, **NO_SKIN)
            with gr.Row(elem_id="image-row"):
                picture = gr.Image(
                    label="Image", show_label=False, type="filepath", sources=["upload", "clipboard"],
                    height=170, elem_id="source-image", buttons=[], interactive=True,
                )  # fmt: skip
                shelf = gr.HTML(
                    pictures.samples(samples), elem_id="samples", js_on_load=pictures.SAMPLES_JS, **NO_SKIN
                )
            with gr.Column(elem_id="controls"):
                choices = _choices(list(policies), first[0], standing)
                tuning = _tuning(right)
                measured = gr.HTML("", elem_id="statistics", **NO_SKIN)
        with gr.Column(elem_id="results"):
            results = _results()
    return Image(picture, shelf, measured), choices, tuning, results


def _choices(names: list[str], left: str, standing: tuple[list[Any], str]) -> Choices:
    with gr.Column(elem_id="choices"):
        with gr.Row(elem_id="policies"):
            one = policy_choice("Left policy", names, left, "policy-a")
            other = policy_choice("Right policy", *standing, "policy-b")
        with gr.Row(elem_id="seed-row"):
            seed = gr.Number(
                0, label="Seed", precision=0, minimum=0, maximum=logic.MAX_SEED, elem_id="seed", interactive=True
            )  # fmt: skip
            dice = gr.Button("New seed", elem_id="dice")
        count = gr.Slider(
            1, logic.MAX_PAIRS, 6, step=1, label="Pairs", elem_id="pair-count", interactive=True
        )
        each = gr.Slider(
            2, len(logic.NAMES), 2, step=1, label="Views of each draw", elem_id="view-count", interactive=True
        )
        size = gr.Slider(
            logic.MIN_SIZE, logic.MAX_SIZE, 128, step=32, label="View size, px", elem_id="view-size", interactive=True
        )  # fmt: skip
    return Choices(one, other, seed, dice, count, each, size)


def _tuning(policy: Policy) -> Tuning:
    small: dict[str, Any] = {"size": "sm", "min_width": 50}
    with gr.Column(elem_id="tuning"):
        gr.HTML(templates.label("Tune the right policy"), **NO_SKIN)
        controls = gr.HTML(editor.html(policy), elem_id="editor", js_on_load=editor.JS, **NO_SKIN)
        swept = gr.HTML("", elem_id="sweep", js_on_load=sweep_html.JS, **NO_SKIN)
        with gr.Row(elem_id="files"):
            steps = [gr.Button(name, elem_id=name.lower(), **small) for name in ("Undo", "Redo", "Reset")]
        with gr.Row(elem_id="versions"):
            name = gr.Textbox(label="Keep it as a version", placeholder="Its name", elem_id="version", max_lines=1,
                              min_width=80, scale=3)  # fmt: skip
            keep = gr.Button("Keep", elem_id="keep", **small)
            drop = gr.Button("Delete", elem_id="drop", **small)
        with gr.Row(elem_id="exchange"):
            export = gr.DownloadButton("Export", elem_id="export", size="sm", min_width=60)
            load = gr.UploadButton(
                "Import", elem_id="import", size="sm", min_width=60, file_types=[".yaml", ".yml"]
            )
        link = gr.HTML(sharing.share(policy), elem_id="share", js_on_load=sharing.LINK_JS, **NO_SKIN)
        with gr.Accordion("Use it in a training loop", open=False, elem_id="use"):
            hosts = list(snippets.HOSTS)
            host = policy_choice("Training code", hosts, hosts[0], "host")
            lines = gr.Code(
                snippets.code("PyTorch", 128), language="python", interactive=False, show_label=False,
                show_line_numbers=False, wrap_lines=True, elem_id="lines",
            )  # fmt: skip
        with gr.Row(elem_id="papers"):
            sheet = gr.Button("Contact sheet", elem_id="sheet", size="sm", min_width=60)
            report = gr.Button("HTML report", elem_id="report", size="sm", min_width=60)
        paper = gr.DownloadButton("", elem_id="paper", visible="hidden")
    return Tuning(
        controls, swept, *steps, name, keep, drop, export, load, link, host, lines, sheet, report, paper
    )


def _results() -> Results:
    with gr.Row(elem_id="stage"):
        with gr.Column(elem_id="seen"):
            with gr.Column(elem_id="problems"):  # stays in sight, wherever the page is scrolled to
                problem, complaint = (
                    gr.HTML("", elem_id=name, js_on_load=templates.PROBLEM_JS, **NO_SKIN)
                    for name in ("problem", "policy-problem")
                )
            status = gr.HTML(
                "Opening the first sample.", elem_id="status-line", js_on_load=templates.STATUS_JS, **NO_SKIN
            )
            hint = gr.HTML("", elem_id="advice", js_on_load=advice.JS, **NO_SKIN)
            views = [gr.HTML("", elem_id=f"views-{side}", **NO_SKIN) for side in "ab"]
            pairs = gr.HTML(templates.EMPTY, elem_id="pairs", js_on_load=pairs_html.PAIRS_JS, **NO_SKIN)
        reasons = gr.HTML("", elem_id="detail", js_on_load=detail.DETAIL_JS, **NO_SKIN)
    return Results(problem, complaint, status, hint, views, pairs, reasons)


def policy_choice(label: str, choices: list[Any], value: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        choices, value=value, label=label, elem_id=elem_id, interactive=True, filterable=False, min_width=100
    )
