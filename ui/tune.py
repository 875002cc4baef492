"""The page on which one image's pairs are looked at: its components, and which event computes what."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from PIL import Image

from adaptaug import AdaptAugError, Policy
from adaptaug.data.depth import AUTO, Range
from adaptaug.ui import detail, editor, likeness, logic, sharing, templates
from adaptaug.ui.logic import Comparison, Source

MOST_UNDO = 50
SLOW = 24_000_000  # levels of an image whose pairs take more than a second
Step = tuple[Policy, frozenset[tuple[str, str]]]  # a policy before an edit, and what was touched
NO_SKIN = {"apply_default_css": False, "padding": False}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Door:
    """What other tabs need to put a policy or an image into this one."""

    tuned: gr.State
    history: gr.State
    policy_outputs: list[Any]
    image_outputs: list[Any]
    restart: Callable[[Policy, list[Step]], tuple[Any, ...]]
    show: dict[str, Any]


def build(
    policies: dict[str, Policy], first: tuple[str, str], samples: list[tuple[str, Any]],
    backbone: likeness.Backbone | None = None, range: Range = AUTO,
) -> Door:  # fmt: skip
    """Lay the page out in the open `gr.Blocks` and wire it.

    Args:
        policies: what the selectors offer, by name; first: the two selected at the start.
        samples: (name, PIL image) photographs; the first is chosen when the page opens.
        backbone: by whose features pairs are compared beside their pixels.
        range: by which uploads of more than 8 bits are read.
    """
    source = gr.State(None)
    comparison = gr.State(None)
    chosen = gr.State((1, 0))
    tuned = gr.State(policies[first[1]])  # policy B as it stands after edits
    drawn = gr.State(policies[first[1]])  # the one its controls were last drawn for
    history = gr.State([])  # what it was before each edit
    with gr.Row(elem_id="layout"):
        with gr.Column(elem_id="left", min_width=280):
            with gr.Column(elem_id="controls"):
                gr.HTML(templates.label("Image"), **NO_SKIN)
                picture = gr.Image(
                    label="Image", show_label=False, type="filepath", sources=["upload", "clipboard"],
                    height=210, elem_id="source-image", buttons=[], interactive=True,
                )  # fmt: skip
                problem = gr.HTML("", elem_id="problem", js_on_load=templates.PROBLEM_JS, **NO_SKIN)
                shelf = gr.HTML(
                    templates.samples(samples), elem_id="samples", js_on_load=templates.SAMPLES_JS, **NO_SKIN
                )
                with gr.Column(elem_id="choices"):
                    with gr.Row(elem_id="policies"):
                        one = _policy_choice("Policy A", policies, first[0], "policy-a")
                        other = _policy_choice("Policy B", policies, first[1], "policy-b")
                    with gr.Row(elem_id="seed-row"):
                        seed = gr.Number(
                            0,
                            label="Seed",
                            precision=0,
                            minimum=0,
                            maximum=logic.MAX_SEED,
                            elem_id="seed",
                            interactive=True,
                        )
                        dice = gr.Button("New seed", elem_id="dice")
                    count = gr.Slider(
                        1, logic.MAX_PAIRS, 6, step=1, label="Pairs", elem_id="pair-count", interactive=True
                    )
                    size = gr.Slider(
                        logic.MIN_SIZE, logic.MAX_SIZE, 128, step=32, label="View size, px",
                        elem_id="view-size", interactive=True,
                    )  # fmt: skip
            with gr.Column(elem_id="tuning"):
                gr.HTML(templates.label("Tune policy B"), **NO_SKIN)
                complaint = gr.HTML("", elem_id="policy-problem", js_on_load=templates.PROBLEM_JS, **NO_SKIN)
                controls = gr.HTML(
                    editor.html(policies[first[1]]), elem_id="editor", js_on_load=editor.JS, **NO_SKIN
                )
                with gr.Row(elem_id="files"):
                    undo = gr.Button("Undo", elem_id="undo", size="sm", min_width=60)
                    export = gr.DownloadButton("Export", elem_id="export", size="sm", min_width=60)
                    load = gr.UploadButton(
                        "Import", elem_id="import", size="sm", min_width=60, file_types=[".yaml", ".yml"],
                    )  # fmt: skip
                link = gr.HTML(
                    sharing.share(policies[first[1]]), elem_id="share", js_on_load=sharing.LINK_JS, **NO_SKIN
                )
                with gr.Accordion("Use it in a training loop", open=False, elem_id="use"):
                    lines = gr.HTML(sharing.code(128), **NO_SKIN)
            measured = gr.HTML("", elem_id="statistics", **NO_SKIN)
        with gr.Column(elem_id="results"):
            status = gr.HTML(
                "Opening the first sample.", elem_id="status-line", js_on_load=templates.STATUS_JS, **NO_SKIN
            )
            pairs = gr.HTML(templates.EMPTY, elem_id="pairs", js_on_load=templates.PAIRS_JS, **NO_SKIN)
            reasons = gr.HTML("", elem_id="detail", js_on_load=templates.DETAIL_JS, **NO_SKIN)

    settings = [source, one, tuned, seed, count, size, chosen]
    shown = [comparison, chosen, status, pairs, reasons]

    def preview(
        source: Source | None,
        one: str,
        other: Policy,
        seed: float | None,
        count: int,
        size: int,
        chosen: tuple[int, int],
    ) -> tuple[Any, ...]:
        if source is None:
            sentence = "No image: choose a photograph, or upload, drop or paste one."
            return None, chosen, sentence, templates.EMPTY, ""
        result = logic.compare(source, policies[one], other, int(seed or 0), int(count), int(size), backbone)
        chosen = (chosen[0], min(chosen[1], int(count) - 1))
        line = templates.escape(logic.status(result))
        return result, chosen, line, templates.pairs(result, chosen), detail.pair_detail(result, chosen)

    def ingest(file: dict[str, Any] | None, before: Source | None) -> tuple[Any, ...]:
        """A file's FileData -> source, picture, sentence, statistics, status.

        The component's own preprocessing would raise on a broken file and show nothing, so it is switched off here.
        What came by hand may name any path, and says itself whether Gradio shall check it: so it is checked here.
        """
        if not file:
            return before, gr.skip(), "", gr.skip(), gr.skip()
        try:
            if not Path(file["path"]).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
                raise AdaptAugError("image: expected an upload.")
            new = logic.decode(file["path"], file.get("orig_name"), range)
        except AdaptAugError as error:
            kept = "" if before is None else " The previous image is kept."
            return before, as_picture(before), templates.problem(f"{error}{kept}"), gr.skip(), gr.skip()
        slow = new.pixels.size > SLOW
        waiting = (
            f"{templates.escape(new.name)} is large: its pairs take some seconds." if slow else gr.skip()
        )
        return new, gr.skip(), "", templates.statistics(new), waiting

    def open_sample(index: int) -> tuple[Any, ...]:
        if not 0 <= index < len(samples):
            return gr.skip(), gr.skip(), "", gr.skip()
        name, image = samples[index]
        new = logic.as_source(name, np.array(image))
        return new, as_picture(new), "", templates.statistics(new)

    def take_sample(event: gr.EventData) -> tuple[Any, ...]:
        return open_sample(int(event.index))

    def explain(event: gr.EventData, result: Comparison | None, before: tuple[int, int]) -> tuple[Any, ...]:
        side, index = int(event.side), int(event.pair)
        if result is None or side not in (0, 1) or not 0 <= index < len(result.columns[0].pairs):
            return before, gr.skip()
        return (side, index), detail.pair_detail(result, (side, index))

    def restart(policy: Policy, before: list[Step]) -> tuple[Any, ...]:
        """Another policy in B's place, and its controls: policy, drawn, history, controls, complaint, file, link."""
        controls = editor.html(policy)
        return policy, policy, before[-MOST_UNDO:], controls, "", sharing.write(policy), sharing.share(policy)

    def refuse(sentence: str) -> tuple[Any, ...]:
        return *[gr.skip()] * 4, templates.problem(sentence), gr.skip(), gr.skip()

    def edit(event: gr.EventData, policy: Policy, drawn: Policy, before: list[Step]) -> tuple[Any, ...]:
        """What the controls say, on top of the policy they were drawn for. A slider that is dragged is one step."""
        try:
            new = editor.apply(drawn, event.changes)
        except AdaptAugError as error:
            return refuse(str(error))
        touched = editor.difference(policy, new)
        if touched and (not before or before[-1][1] != touched):
            before = [*before[1 - MOST_UNDO :], (policy, touched)]
        return new, drawn, before, gr.skip(), "", sharing.write(new), sharing.share(new)

    def take_back(before: list[Step]) -> tuple[Any, ...]:
        """The policy before the last edit. The controls are drawn anew for it."""
        if not before:
            return refuse("There is nothing to undo.")
        *rest, (policy, _) = before
        # What is edited next is a step of its own, though it were the same slider.
        return restart(policy, [*rest[:-1], (rest[-1][0], frozenset())] if rest else [])

    def choose(name: str, policy: Policy, before: list[Step]) -> tuple[Any, ...]:
        if policy == policies[name]:  # whoever set the choice has set the policy and its history, too
            return (gr.skip(),) * len(editing)
        return restart(policies[name], [*before, (policy, frozenset())])

    def take_file(file: dict[str, Any] | None, policy: Policy, before: list[Step]) -> tuple[Any, ...]:
        if not file:
            return refuse("")
        try:
            new = sharing.read(file["path"], str(file.get("orig_name") or "policy.yaml"))
        except AdaptAugError as error:
            return refuse(f"{error} The policy is kept.")
        return restart(new, [*before, (policy, frozenset())])

    def opening(request: gr.Request, policy: Policy) -> tuple[Any, ...]:
        """The policy of the link by which the page was opened, where there is one."""
        code = request.query_params.get("p")
        try:
            return restart(sharing.decode(code) if code else policy, [])
        except AdaptAugError as error:
            return (
                *restart(policy, [])[:4],
                templates.problem(str(error)),
                sharing.write(policy),
                sharing.share(policy),
            )

    editing = [tuned, drawn, history, controls, complaint, export, link]
    opened = [source, picture, problem, measured]
    # One preview at a time, and once more for what was asked for meanwhile: by default Gradio drops that, and of two
    # at once the earlier may come last. Either leaves pairs on the page that are not of the policy beside them.
    show = {
        "fn": preview, "inputs": settings, "outputs": shown, "concurrency_id": "preview", "concurrency_limit": 1,
        "trigger_mode": "always_last", **QUIET,
    }  # fmt: skip
    # Not `input`: when an image is removed it may still carry the old one.
    picture.upload(ingest, [picture, source], [*opened, status], preprocess=False, **QUIET).then(**show)
    picture.clear(lambda: (None, "", ""), None, [source, problem, measured], **QUIET).then(**show)
    shelf.select(take_sample, None, opened, **QUIET).then(**show)
    # A policy that is chosen, edited, undone or imported changes `tuned`, and that is what is shown.
    # Not `input`: Gradio may send it twice, the second time after an undo.
    other.change(choose, [other, tuned, history], editing, **QUIET).then(**show)
    controls.select(edit, [tuned, drawn, history], editing, trigger_mode="always_last", **QUIET).then(**show)
    undo.click(take_back, history, editing, **QUIET).then(**show)
    load.upload(take_file, [load, tuned, history], editing, preprocess=False, **QUIET).then(**show)
    size.change(lambda side: sharing.code(int(side)), size, lines, **QUIET)
    changes = [control.change for control in (one, seed, count, size)]
    gr.on(changes, **show)
    dice.click(lambda: random.SystemRandom().randrange(10_000), None, seed, **QUIET)
    pairs.select(explain, [comparison, chosen], [chosen, reasons], **QUIET)
    # Gradio removes what it serves after an hour; the page may stay open for longer.
    gr.Timer(1200).tick(sharing.write, tuned, export, **QUIET)
    page = gr.context.Context.root_block
    page.load(opening, tuned, editing, **QUIET).then(lambda: open_sample(0), None, opened, **QUIET).then(
        **show
    )
    placed = [*opened, one, other, seed, count, size, chosen]
    return Door(tuned, history, editing, placed, restart, show)


def _policy_choice(label: str, policies: dict[str, Policy], value: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        list(policies),
        value=value,
        label=label,
        elem_id=elem_id,
        interactive=True,
        filterable=False,
        min_width=100,
    )


def as_picture(source: Source | None) -> Any:
    """What the image box shows: at most 1024 px of it, since it is only looked at."""
    if source is None:
        return None
    image = Image.fromarray(source.pixels)
    image.thumbnail((1024, 1024))
    return image
