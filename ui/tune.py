"""The page on which one image's pairs are looked at: which event computes what, and what it sends."""

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
from adaptaug.ui import layout, likeness, logic, papers, sharing, snippets, templates
from adaptaug.ui.desk import Desk, Desks
from adaptaug.ui.logic import Source
from adaptaug.ui.page import Numbers, Page

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
    backbone: likeness.Backbone | None = None, range: Range = AUTO, heard: Callable[[Policy], None] | None = None,
) -> Door:  # fmt: skip
    """Lay the page out in the open `gr.Blocks` and wire it.

    Args:
        policies: what the selectors offer, by name; first: the two selected at the start.
        samples: (name, PIL image) photographs; the first is chosen when the page opens.
        backbone: by whose features pairs are compared beside their pixels.
        range: by which uploads of more than 8 bits are read. heard: is told the right policy as it changes.
    """
    desk = gr.State(Desk(policies[first[1]]))
    kept = gr.BrowserState(
        {}, storage_key="adaptaug-policies"
    )  # a reload finds policy and versions as they were
    desks, page = Desks(), Page(policies, first, backbone, heard)
    image, choices, tuning, results = layout.lay(
        policies, first, Desk(policies[first[1]]).offer(policies), samples
    )
    page.parts = {
        "picture": image.picture, "problem": results.problem, "statistics": image.measured, "status": results.status,
        "views a": results.views[0], "views b": results.views[1], "pairs": results.pairs, "detail": results.reasons,
        "controls": tuning.controls, "sweep": tuning.swept, "advice": results.hint, "complaint": results.complaint,
        "export": tuning.export, "link": tuning.link, "other": choices.other, "one": choices.one,
        "seed": choices.seed, "count": choices.count, "each": choices.each, "size": choices.size, "kept": kept,
    }  # fmt: skip
    inputs, outputs = [desk, *choices.numbers], [desk, *page.parts.values()]

    def answer(
        act: Callable[..., dict[str, Any] | None], request: gr.Request, desk: Desk, *values: Any
    ) -> Any:
        """`act` changes the desk, and its result says what else to show, as `Page.show` takes it."""
        numbers, given = values[: len(Numbers._fields)], values[len(Numbers._fields) :]
        try:
            said = act(desk, *given) or {}
        except AdaptAugError as error:
            said = {"complaint": str(error)}
        try:
            return page.show(desk, *numbers, **said)
        finally:
            desks.at(request.session_hash or "", desk)

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

    def opening(request: gr.Request, desk: Desk, *values: Any) -> Any:
        """The first sample, and the policy of the link by which the page was opened, where there is one, or the one
        that this browser had."""

        def act(desk: Desk, had: Any) -> dict[str, Any]:
            said = take_sample(desk, samples, 0) or {}
            desk.recall(had, sharing.decode)
            try:
                if code := request.query_params.get("p"):
                    desk.begin(sharing.decode(code))
            except AdaptAugError as error:
                said |= {"complaint": str(error)}
            return said

        return answer(act, request, desk, *values)

    def leave(request: gr.Request) -> None:
        desks.leave(request.session_hash or "")

    def choose(desk: Desk, name: str) -> dict[str, Any] | None:
        policy = policies.get(name) or desk.versions.get(name)
        if policy is None:
            return AS_IS  # it is what stands there already, by our own doing
        desk.replace(policy)
        return None

    def touched(desk: Desk, event: gr.EventData) -> dict[str, Any] | None:
        preset = event._data.get("preset")
        if preset and event._data.get("drawing") == desk.drawing:
            return choose(desk, str(preset))
        return touch(desk, event)

    # Not `input`: when an image is removed it may still carry the old one.
    image.picture.upload(**change(partial(take_image, range), image.picture, preprocess=False))
    image.picture.clear(**change(lambda desk: desk.lay(None)))
    image.shelf.select(**change(lambda desk, event: take_sample(desk, samples, int(event.index)), hears=True))
    # Not `input`: a choice by keyboard has none, and leaving the box has one.
    choices.other.change(**change(choose, choices.other, preprocess=False))
    results.hint.select(**change(lambda desk, event: choose(desk, str(event.preset)), hears=True))
    tuning.controls.select(**change(touched, hears=True))
    for button, act in ((tuning.undo, Desk.undo), (tuning.redo, Desk.redo), (tuning.reset, Desk.reset)):
        button.click(**change(act))
    gr.on(
        [tuning.keep.click, tuning.name.submit],
        **change(lambda desk, name: desk.keep(str(name), policies), tuning.name),
    )
    tuning.drop.click(**change(Desk.drop))
    tuning.load.upload(**change(take_file, tuning.load, preprocess=False))
    gr.on([control.change for control in choices.numbers], **change(lambda desk: AS_IS))
    for chosen in (tuning.host, choices.size):  # Gradio drops what is no news
        chosen.change(lambda *told: snippets.code(*told), [tuning.host, choices.size], tuning.lines, **QUIET)
    for button, make in ((tuning.sheet, papers.sheet), (tuning.report, papers.report)):
        button.click(
            partial(written, make), desk, [tuning.paper, results.complaint], concurrency_id="paper", **QUIET
        ).then(None, tuning.paper, None, js=papers.SAVE_JS, **QUIET)
    choices.dice.click(None, None, choices.seed, js="() => Math.floor(10000 * Math.random())", **QUIET)
    results.pairs.select(**change(explain, hears=True))
    # Gradio removes what it serves after an hour; the page may stay open for longer.
    gr.Timer(1200).tick(lambda desk: sharing.write(desk.policy), desk, tuning.export, **QUIET)
    root = gr.context.Context.root_block
    root.load(**change(lambda desk: None, kept) | {"fn": opening})
    root.unload(leave)
    return Door(desk, inputs, outputs, page.show)


# --- what events do to a desk: their result says what else to show, as `Page.show` takes it ---------------------
def touch(desk: Desk, event: gr.EventData) -> dict[str, Any] | None:
    """Controls that were moved, and the operation that is looked at."""
    said = event._data
    desk.looked = str(said.get("sweep", ""))
    if not (changes := said.get("changes")):
        return AS_IS
    desk.edit(changes, said.get("drawing"))
    return None


def explain(desk: Desk, event: gr.EventData) -> dict[str, Any]:
    """A pair that was opened."""
    side, index = int(event.side), int(event.pair)
    if side in (0, 1) and 0 <= index < logic.MAX_PAIRS:
        desk.chosen = (side, index)
    return AS_IS


def take_image(range: Range, desk: Desk, file: dict[str, Any] | None) -> dict[str, Any] | None:
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


def take_sample(desk: Desk, samples: list[tuple[str, Any]], index: int) -> dict[str, Any] | None:
    if not 0 <= index < len(samples):
        return None
    name, image = samples[index]
    desk.lay(lambda: logic.as_source(name, np.array(image)))
    return {"picture": as_picture(desk.source)}


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


def as_picture(source: Source | None) -> Any:
    """What the image box shows: at most 1024 px of it, since it is only looked at."""
    if source is None:
        return None
    image = Image.fromarray(source.pixels)
    image.thumbnail((1024, 1024))
    return image
