"""The tab "Dataset": its components, and which event looks at what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from adaptaug import AdaptAugError, Policy
from adaptaug.data.depth import AUTO, Range
from adaptaug.ui import dataset, dataset_html, logic, templates
from adaptaug.ui.dataset import Item, Look
from adaptaug.ui.desk import Desk
from adaptaug.ui.tune import NO_SKIN, QUIET, Door, as_picture, policy_choice

SIZE = 96  # px of a view; digits have fewer


def build(
    policies: dict[str, Policy],
    first: tuple[str, str],
    folder: str | None,
    door: Door,
    tabs: gr.Tabs,
    range: Range = AUTO,
) -> None:
    """Lay the tab out and wire it.

    Args:
        policies, first: as in Tune. folder: of the user's own images, offered beside the sample sets.
        range: by which they and uploads are read where they have more than 8 bits.
    """
    found = gr.State(None)
    with gr.Row(elem_id="set-layout", elem_classes="aa-layout"):
        with gr.Column(elem_id="set-left", elem_classes="aa-left", min_width=280):
            gr.HTML(templates.label("Images"), **NO_SKIN)
            files = gr.UploadButton(
                f"Upload up to {dataset.MAX_FILES} images",
                elem_id="set-upload",
                file_count="multiple",
                variant="primary",
            )
            gr.HTML(templates.label("Or take a set"), **NO_SKIN)
            with gr.Row(elem_id="set-samples"):
                own = gr.Button("The folder of --images", elem_id="set-folder", visible=folder is not None)
                photographs = gr.Button("Photographs", elem_id="set-photographs", min_width=60)
                digits = gr.Button("Digits", elem_id="set-digits", min_width=60)
            one = policy_choice("Manual policy", list(policies), first[0], "set-one")
            other = policy_choice("Adaptive policy", list(policies), first[1], "set-other")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=logic.MAX_SEED, elem_id="set-seed",
                             interactive=True)  # fmt: skip
            stop = gr.Button("Stop", elem_id="set-stop", visible=False)
            told = gr.HTML("", elem_id="set-progress", js_on_load=templates.STATUS_JS, **NO_SKIN)
            halted = gr.HTML("", elem_id="set-halted", js_on_load=templates.STATUS_JS, **NO_SKIN)
            complaint = gr.HTML("", elem_id="set-problem", js_on_load=templates.PROBLEM_JS, **NO_SKIN)
        with gr.Column(elem_id="set-results", elem_classes="aa-results"):
            view = gr.HTML(
                dataset_html.EMPTY, elem_id="set-view", js_on_load=dataset_html.WORST_JS, **NO_SKIN
            )
    chosen = gr.State([])  # the images and what was said of them, to look again with other policies

    def looking(
        items: list[Item], said: list[str], one: str, other: str, seed: float | None
    ) -> Iterator[Any]:
        """found, told, halted, complaint, view, stop."""
        latest: Look | None = None
        size = logic.MIN_SIZE if items and items[0].digit is not None else SIZE
        yield None, "", "", dataset_html.problems(said), gr.skip(), gr.Button(visible=True)
        for latest in dataset.look(items, policies[one], policies[other], int(seed or 0), size, said):
            yield gr.skip(), dataset_html.progress(latest), gr.skip(), gr.skip(), gr.skip(), gr.skip()
        if latest is None:
            yield (
                None,
                "",
                gr.skip(),
                dataset_html.problems([*said, "No image was chosen."]),
                gr.skip(),
                gr.Button(visible=False),
            )
            return
        done = templates.escape(f"{latest.done} of {latest.total} images")
        told = f'<div class="aa"><p class="faint">Looked at {done}.</p></div>'
        yield (
            latest,
            told,
            gr.skip(),
            dataset_html.problems(latest.said),
            dataset_html.view(latest),
            gr.Button(visible=False),
        )

    def take_files(files: list[dict[str, Any]] | None) -> tuple[list[Item], list[str]]:
        """Gradio has checked that the paths lie in its upload folder; what is in the files is checked later."""
        return dataset.uploaded([(f["path"], str(f.get("orig_name") or "image")) for f in files or []], range)

    def take_set(name: str) -> tuple[list[Item], list[str]]:
        try:
            if name == "folder":
                return dataset.from_folder(str(folder), range)
            return (dataset.photographs() if name == "photographs" else dataset.digits()), []
        except AdaptAugError as error:
            return [], [str(error)]

    def again(before: Any, one: str, other: str, seed: float | None) -> Iterator[Any]:
        if not before or not before[0]:
            said = before[1] if before else []
            yield gr.skip(), "", gr.skip(), dataset_html.problems(said), gr.skip(), gr.Button(visible=False)
            return
        yield from looking(before[0], before[1], one, other, seed)

    def open_worst(event: gr.EventData, found: Look | None, desk: Desk, *controls: Any) -> tuple[Any, ...]:
        """Into Tune, with the image, the seed and the pair; Tune's right policy becomes the adaptive policy."""
        number = int(event.worst)
        nothing = [gr.skip()] * (1 + len(door.outputs))
        if found is None or not 0 <= number < len(found.worst):
            return gr.skip(), *nothing
        pair = found.worst[number]
        try:
            desk.lay(pair.item.open)
        except AdaptAugError as error:
            return dataset_html.problems([str(error)]), *nothing
        manual, adaptive = (tally.policy for tally in found.tallies)
        names = {id(kept): name for name, kept in policies.items()}
        desk.chosen = (0, pair.index)
        if desk.policy != adaptive:
            desk.replace(adaptive)
        settings = {"one": names[id(manual)], "seed": found.seed, "count": 6, "size": found.size}
        shown = door.show(desk, *controls, picture=as_picture(desk.source), **settings)
        return "", gr.Tabs(selected="tune"), *shown

    show = [found, told, halted, complaint, view, stop]
    # Gradio's client takes a look that was cancelled for one that failed, and says "Error" wherever it shows progress,
    # hidden or not: that is where nothing is shown.
    see: dict[str, Any] = {
        "fn": again, "inputs": [chosen, one, other, seed], "outputs": show, "concurrency_id": "dataset",
        "concurrency_limit": 1, "show_progress_on": found, **QUIET,
    }  # fmt: skip
    running = []
    takes = [files.upload(take_files, files, chosen, preprocess=False, **QUIET)]
    for button, name in ((own, "folder"), (photographs, "photographs"), (digits, "digits")):
        takes.append(button.click(lambda name=name: take_set(name), None, chosen, **QUIET))
    running += [taken.then(**see) for taken in takes]
    running += [control.change(**see, trigger_mode="always_last") for control in (one, other, seed)]
    # Of its own, beside the count: what the look was about to say may still arrive.
    stop.click(
        lambda: (gr.Button(visible=False), '<div class="aa"><p class="faint">Stopped.</p></div>'), None, [stop, halted],
        cancels=running, **QUIET,
    )  # fmt: skip
    view.select(
        open_worst, [found, *door.inputs], [complaint, tabs, *door.outputs], concurrency_id="preview", **QUIET
    )
