"""The page on which one image's pairs are looked at: its components, and which event computes what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from PIL import Image

from adaptaug import AdaptAugError, Policy
from adaptaug.data.depth import AUTO, Range
from adaptaug.policy.ops import OPS
from adaptaug.ui import (
    advice,
    detail,
    editor,
    likeness,
    logic,
    measured_html,
    pairs_html,
    papers,
    pictures,
    sharing,
    snippets,
    sweep_html,
    templates,
)
from adaptaug.ui.desk import Desk, Desks
from adaptaug.ui.logic import Source

NO_SKIN = {"apply_default_css": False, "padding": False}
_SHOWN = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".avif"}  # endings of what every browser shows
AS_IS = {"problem": None, "complaint": None}  # said by what is no answer to what was complained of
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Door:
    """What other tabs need to put a policy or an image into this one: an event of theirs takes `inputs` and gives
    `outputs`, which `show` makes of the desk once it is changed."""

    desk: gr.State
    inputs: list[Any]
    outputs: list[Any]
    show: Callable[..., tuple[Any, ...]]


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
    desk = gr.State(Desk(policies[first[1]]))
    kept = gr.BrowserState("", storage_key="adaptaug-policy")  # a reload finds the policy as it was
    desks = Desks()
    choices, standing = Desk(policies[first[1]]).offer(policies)
    with gr.Row(elem_id="layout"):
        with gr.Column(elem_id="left", min_width=280):
            with gr.Column(elem_id="controls"):
                gr.HTML(templates.label("Image"), **NO_SKIN)
                picture = gr.Image(
                    label="Image", show_label=False, type="filepath", sources=["upload", "clipboard"],
                    height=210, elem_id="source-image", buttons=[], interactive=True,
                )  # fmt: skip
                shelf = gr.HTML(
                    pictures.samples(samples), elem_id="samples", js_on_load=pictures.SAMPLES_JS, **NO_SKIN
                )
                with gr.Column(elem_id="choices"):
                    with gr.Row(elem_id="policies"):
                        one = policy_choice("Left policy", list(policies), first[0], "policy-a")
                        other = policy_choice("Right policy", choices, standing, "policy-b")
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
                gr.HTML(templates.label("Tune the right policy"), **NO_SKIN)
                controls = gr.HTML(
                    editor.html(policies[first[1]]), elem_id="editor", js_on_load=editor.JS, **NO_SKIN
                )
                swept = gr.HTML("", elem_id="sweep", js_on_load=sweep_html.JS, **NO_SKIN)
                with gr.Row(elem_id="files"):
                    undo = gr.Button("Undo", elem_id="undo", size="sm", min_width=50)
                    redo = gr.Button("Redo", elem_id="redo", size="sm", min_width=50)
                    reset = gr.Button("Reset", elem_id="reset", size="sm", min_width=50)
                with gr.Row(elem_id="exchange"):
                    export = gr.DownloadButton("Export", elem_id="export", size="sm", min_width=60)
                    load = gr.UploadButton(
                        "Import", elem_id="import", size="sm", min_width=60, file_types=[".yaml", ".yml"],
                    )  # fmt: skip
                link = gr.HTML(
                    sharing.share(policies[first[1]]), elem_id="share", js_on_load=sharing.LINK_JS, **NO_SKIN
                )
                with gr.Accordion("Use it in a training loop", open=False, elem_id="use"):
                    host = policy_choice(
                        "Training code", list(snippets.HOSTS), next(iter(snippets.HOSTS)), "host"
                    )
                    lines = gr.Code(
                        snippets.code("PyTorch", 128), language="python", interactive=False, show_label=False,
                        show_line_numbers=False, wrap_lines=True, elem_id="lines",
                    )  # fmt: skip
                with gr.Row(elem_id="papers"):
                    sheet = gr.Button("Contact sheet", elem_id="sheet", size="sm", min_width=60)
                    report = gr.Button("HTML report", elem_id="report", size="sm", min_width=60)
                paper = gr.DownloadButton("", elem_id="paper", visible="hidden")
            measured = gr.HTML("", elem_id="statistics", **NO_SKIN)
        with gr.Column(elem_id="results"):
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

    parts: dict[str, Any] = {
        "picture": picture, "problem": problem, "statistics": measured, "status": status, "views a": views[0],
        "views b": views[1], "pairs": pairs, "detail": reasons, "controls": controls, "sweep": swept, "advice": hint,
        "complaint": complaint, "export": export, "link": link, "other": other, "one": one,
        "seed": seed, "count": count, "size": size, "kept": kept,
    }  # fmt: skip

    def show(
        desk: Desk, name: str, key: float | None, number: float, side: float, *, problem: str | None = "",
        complaint: str | None = "", picture: Any = None, **settings: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Everything that the page does not show yet, in the order of `outputs`.

        Args: name, key, number, side: the controls' values; settings: values that they get.
            problem, complaint: a sentence about the image, about the policy; None: the one that stands.
            picture: what the image box gets.
        """
        name, key = settings.get("one", name), _within(settings.get("seed", key) or 0, 0, logic.MAX_SEED)
        number = _within(settings.get("count", number), 1, logic.MAX_PAIRS)
        side = _within(settings.get("size", side), logic.MIN_SIZE, logic.MAX_SIZE)
        try:
            told = compared(desk, policies.get(name) or policies[first[0]], key, number, side)
        except AdaptAugError as error:  # of a page that has come back: its image is not there any more
            desk.lay(None)
            told, problem = compared(desk, policies[first[0]], key, number, side), str(error)
        sentences = {"problem": problem, "complaint": complaint}
        told |= {part: templates.problem(said) for part, said in sentences.items() if said is not None}
        told |= {"export": templates.digest(desk.policy), "link": sharing.share(desk.policy)}
        told |= {"other": desk.offer(policies), "controls": editor.html(desk.drawn, desk.drawing)}
        told |= {"kept": sharing.link(desk.policy)}
        make: dict[str, Callable[[Any], Any]] = {
            "export": lambda _: sharing.write(desk.policy),
            "other": lambda offered: gr.update(choices=offered[0], value=offered[1]),
            "statistics": lambda source: source and measured_html.statistics(source),
            "views a": lambda column: column and pairs_html.views(column, 0),
            "views b": lambda column: column and pairs_html.views(column, 1),
        }
        new = {part: content for part, content in told.items() if desk.news(part, content)}
        sent = {part: make[part](content) if part in make else content for part, content in new.items()}
        sent |= settings | ({} if picture is None else {"picture": picture})
        return desk, *(sent.get(part, gr.skip()) for part in parts)

    def compared(desk: Desk, manual: Policy, key: int, number: int, side: int) -> dict[str, Any]:
        """What depends on the image. Raises: AdaptAugError: it is not there any more."""
        source = desk.source
        if source is None:
            sentence = "No image: choose a photograph, or upload, drop or paste one."
            nothing: dict[str, Any] = dict.fromkeys(
                ("statistics", "views a", "views b", "detail", "sweep"), ""
            )
            return nothing | {"status": sentence, "pairs": templates.EMPTY}
        seen = logic.compare(source, manual, desk.policy, key, number, side, backbone, desk.seen)
        desk.seen, desk.chosen = seen, (desk.chosen[0], min(desk.chosen[1], number - 1))
        return {
            "statistics": source, "views a": seen.columns[0], "views b": seen.columns[1],
            "status": templates.escape(logic.status(seen)), "pairs": pairs_html.pairs(seen, desk.chosen),
            "detail": detail.pair_detail(seen, desk.chosen), "sweep": alone(desk, source, side),
            "advice": advice.html(desk.advised(source), desk.policy),
        }  # fmt: skip

    def alone(desk: Desk, source: Source, side: int) -> str:
        """What the operation that is looked at does to the image."""
        if desk.looked not in OPS:
            return ""
        strips = desk.sweeps.of(source, desk.looked, side, desk.policy.promise)
        return sweep_html.html(desk.looked, strips, desk.policy)

    def touch(desk: Desk, event: gr.EventData) -> dict[str, Any] | None:
        """A control that was moved, or an operation that is looked at."""
        said = event._data
        if "sweep" in said:
            desk.looked = str(said["sweep"])
            return AS_IS
        desk.edit(said.get("changes"), said.get("drawing"))
        return None

    def answer(
        act: Callable[..., dict[str, Any] | None], request: gr.Request, desk: Desk, *values: Any
    ) -> Any:
        """`act` changes the desk, and its result says what else to show, as `show` takes it."""
        desks.at(request.session_hash or "", desk)
        controls, given = values[:4], values[4:]
        try:
            said = act(desk, *given) or {}
        except AdaptAugError as error:
            said = {"complaint": str(error)}
        return show(desk, *controls, **said)

    def change(
        act: Callable[..., dict[str, Any] | None], *more: Any, hears: bool = False, **how: Any
    ) -> dict[str, Any]:
        """An event with all of the page before it and behind it; `act` gets `more` and, if it `hears`, what happened.

        One event at a time, and once more for what was asked for meanwhile: by default Gradio drops that, and of two
        at once the earlier may come last."""

        # Gradio reads from the annotations what to hand over.
        def quiet(request: gr.Request, desk: Desk, *values: Any) -> Any:
            return answer(act, request, desk, *values)

        def hearing(request: gr.Request, event: gr.EventData, desk: Desk, *values: Any) -> Any:
            return answer(act, request, desk, *values, event)

        return {
            "fn": hearing if hears else quiet, "inputs": [*inputs, *more], "outputs": outputs,
            "concurrency_id": "preview", "concurrency_limit": 1, "trigger_mode": "always_last", **QUIET, **how,
        }  # fmt: skip

    def ingest(desk: Desk, file: dict[str, Any] | None) -> dict[str, Any] | None:
        """A file's FileData onto the desk.

        The component's own preprocessing would raise on a broken file and show nothing, so it is switched off here.
        What came by hand may name any path, and says itself whether Gradio shall check it: so it is checked here.
        """
        if not file:
            return None
        path, name = Path(file["path"]), file.get("orig_name")
        try:
            if not path.resolve().is_relative_to(Path(get_upload_folder()).resolve()):
                raise AdaptAugError("image: expected an upload.")
            desk.lay(lambda: logic.decode(path, name, range))
        except AdaptAugError as error:
            before = desk.source
            kept = "" if before is None else " The previous image is kept."
            return {"problem": f"{error}{kept}", "picture": as_picture(before)}
        return None if path.suffix.lower() in _SHOWN else {"picture": as_picture(desk.source)}

    def sample(desk: Desk, index: int) -> dict[str, Any] | None:
        if not 0 <= index < len(samples):
            return None
        name, image = samples[index]
        desk.lay(lambda: logic.as_source(name, np.array(image)))
        return {"picture": as_picture(desk.source)}

    def choose(desk: Desk, name: str) -> dict[str, Any] | None:
        if name not in policies:
            return AS_IS  # it is what stands there already, by our own doing
        desk.replace(policies[name])
        return None

    def take_file(desk: Desk, file: dict[str, Any] | None) -> None:
        if file:
            try:
                desk.replace(sharing.read(file["path"], str(file.get("orig_name") or "policy.yaml")))
            except AdaptAugError as error:
                raise AdaptAugError(f"{error} The policy is kept.") from None

    def written(make: Callable[[Desk], str], desk: Desk) -> tuple[str | None, str]:
        """A file to save, or what keeps it from being made."""
        try:
            return make(desk), ""
        except AdaptAugError as error:
            return None, templates.problem(str(error))

    def explain(desk: Desk, event: gr.EventData) -> dict[str, Any]:
        side, index = int(event.side), int(event.pair)
        if side in (0, 1) and 0 <= index < logic.MAX_PAIRS:
            desk.chosen = (side, index)
        return AS_IS

    def opening(request: gr.Request, desk: Desk, *values: Any) -> Any:
        """The first sample, and the policy of the link by which the page was opened, where there is one, or the one
        that this browser had."""

        def act(desk: Desk, had: str) -> dict[str, Any]:
            said, sent = sample(desk, 0) or {}, request.query_params.get("p")
            try:
                if code := sent or (had if isinstance(had, str) else ""):
                    desk.begin(sharing.decode(code))
            except AdaptAugError as error:
                said |= {"complaint": str(error)} if sent else {}
            return said

        return answer(act, request, desk, *values)

    def leave(request: gr.Request) -> None:
        desks.leave(request.session_hash or "")

    inputs, outputs = [desk, one, seed, count, size], [desk, *parts.values()]
    # Not `input`: when an image is removed it may still carry the old one.
    picture.upload(**change(ingest, picture, preprocess=False))
    picture.clear(**change(lambda desk: desk.lay(None)))
    shelf.select(**change(lambda desk, event: sample(desk, int(event.index)), hears=True))
    # Not `input`: a choice by keyboard has none, and leaving the box has one.
    other.change(**change(choose, other, preprocess=False))
    hint.select(**change(lambda desk, event: choose(desk, str(event.preset)), hears=True))
    controls.select(**change(touch, hears=True))
    for button, act in ((undo, Desk.undo), (redo, Desk.redo), (reset, Desk.reset)):
        button.click(**change(act))
    load.upload(**change(take_file, load, preprocess=False))
    gr.on([control.change for control in (one, seed, count, size)], **change(lambda desk: AS_IS))
    for chosen in (host, size):  # Gradio drops what is no news
        chosen.change(lambda *told: snippets.code(*told), [host, size], lines, **QUIET)
    for button, make in ((sheet, papers.sheet), (report, papers.report)):
        button.click(partial(written, make), desk, [paper, complaint], concurrency_id="paper", **QUIET).then(
            None, paper, None, js=papers.SAVE_JS, **QUIET
        )
    dice.click(None, None, seed, js="() => Math.floor(10000 * Math.random())", **QUIET)
    pairs.select(**change(explain, hears=True))
    # Gradio removes what it serves after an hour; the page may stay open for longer.
    gr.Timer(1200).tick(lambda desk: sharing.write(desk.policy), desk, export, **QUIET)
    page = gr.context.Context.root_block
    page.load(**change(lambda desk: None, kept) | {"fn": opening})
    page.unload(leave)
    return Door(desk, inputs, outputs, show)


def policy_choice(label: str, choices: list[Any], value: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        choices,
        value=value,
        label=label,
        elem_id=elem_id,
        interactive=True,
        filterable=False,
        min_width=100,
    )


def _within(value: float, low: int, high: int) -> int:
    """What came by hand may be anything."""
    return int(min(max(value, low), high))


def as_picture(source: Source | None) -> Any:
    """What the image box shows: at most 1024 px of it, since it is only looked at."""
    if source is None:
        return None
    image = Image.fromarray(source.pixels)
    image.thumbnail((1024, 1024))
    return image
