"""The tab "Dataset": its components, and which event looks at what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from adaptaug import AdaptAugError, Policy
from adaptaug.data.depth import AUTO, Range
from adaptaug.report.profile import STATISTICS
from adaptaug.ui import dataset, dataset_html, likeness, logic, templates
from adaptaug.ui.dataset import Item, Look
from adaptaug.ui.desk import Desk
from adaptaug.ui.layout import NO_SKIN, policy_choice
from adaptaug.ui.templates import number
from adaptaug.ui.tune import QUIET, Door, as_picture

SIZE = 96  # px of a view; digits have fewer


def build(
    policies: dict[str, Policy],
    first: tuple[str, str],
    folder: str | None,
    door: Door,
    tabs: gr.Tabs,
    range: Range = AUTO,
    backbone: likeness.Backbone | None = None,
) -> None:
    """Lay the tab out and wire it.

    Args:
        policies, first: as in Tune. folder: of the user's own images, offered beside the sample sets.
        range: by which they and uploads are read where they have more than 8 bits. backbone: by whose features the
        map is drawn, else by pixels.
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
            tuned = gr.Button("Run what Tune has, before and after", elem_id="set-tuned")
            stop = gr.Button("Stop", elem_id="set-stop", visible=False)
            told = gr.HTML("", elem_id="set-progress", js_on_load=templates.STATUS_JS, **NO_SKIN)
            halted = gr.HTML("", elem_id="set-halted", js_on_load=templates.STATUS_JS, **NO_SKIN)
            complaint = gr.HTML("", elem_id="set-problem", js_on_load=templates.PROBLEM_JS, **NO_SKIN)
        with gr.Column(elem_id="set-results", elem_classes="aa-results"):
            view = gr.HTML(
                dataset_html.EMPTY, elem_id="set-view", js_on_load=dataset_html.WORST_JS, **NO_SKIN
            )
            shelf = gr.HTML("", elem_id="set-gallery", js_on_load=dataset_html.GALLERY_JS, **NO_SKIN)
    by: dict[str, Any] = {}
    if backbone is not None:
        by = {
            "features": lambda images: backbone.features(images).numpy(),
            "by": f"features of {backbone.name}",
        }
    chosen = gr.State([])  # the images and what was said of them, to look again with other policies

    def looking(
        items: list[Item], said: list[str], one: Policy, other: Policy, seed: float | None
    ) -> Iterator[Any]:
        """found, told, halted, complaint, view, gallery, stop."""
        latest: Look | None = None
        size = logic.MIN_SIZE if items and items[0].digit is not None else SIZE
        yield None, "", "", dataset_html.problems(said), gr.skip(), "", gr.Button(visible=True)
        for latest in dataset.look(items, one, other, int(seed or 0), size, said, **by):
            yield gr.skip(), dataset_html.progress(latest), *[gr.skip()] * 5
        if latest is None:
            complaint = dataset_html.problems([*said, "No image was chosen."])
            yield None, "", gr.skip(), complaint, gr.skip(), gr.skip(), gr.Button(visible=False)
            return
        done = templates.escape(f"{latest.done} of {latest.total} images")
        told = f'<div class="aa"><p class="faint">Looked at {done}.</p></div>'
        yield (
            latest,
            told,
            gr.skip(),
            dataset_html.problems(latest.said),
            dataset_html.view(latest),
            gr.skip(),
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
            complaint = dataset_html.problems(said)
            yield gr.skip(), "", gr.skip(), complaint, gr.skip(), gr.skip(), gr.Button(visible=False)
            return
        yield from looking(before[0], before[1], policies[one], policies[other], seed)

    def before_and_after(chosen: Any, desk: Desk, one: str, seed: float | None) -> Iterator[Any]:
        """The policy of Tune beside what it was edited from; beside the manual one where it is as it was chosen."""
        if not chosen or not chosen[0]:
            said = ["No data set yet: add images, or take a set, and its policy runs over them."]
            yield *[gr.skip()] * 3, dataset_html.problems(said), *[gr.skip()] * 3
            return
        first = policies[one] if desk.policy == desk.begun else desk.begun
        yield from looking(chosen[0], chosen[1], first, desk.policy, seed)

    def choose(event: gr.EventData, result: Look | None, desk: Desk, *controls: Any) -> tuple[Any, ...]:
        """What was clicked in the look: a number or a bar opens its images, an image or a pair opens in Tune.

        complaint, tabs, gallery, adaptive policy, and what Tune shows."""
        nothing, said = [gr.skip()] * len(door.outputs), event._data
        if said.get("preset") in policies:
            return "", gr.skip(), gr.skip(), said["preset"], *nothing
        if result is None:
            return *[gr.skip()] * 4, *nothing
        if "test" in said or "statistic" in said:
            return "", gr.skip(), _opened(result, said), gr.skip(), *nothing
        places = result.worst if "worst" in said else result.seen
        number = int(said.get("worst", said.get("image", -1)))
        if not 0 <= number < len(places):
            return *[gr.skip()] * 4, *nothing
        try:
            desk.lay(places[number].item.open)
        except AdaptAugError as error:
            return dataset_html.problems([str(error)]), *[gr.skip()] * 3, *nothing
        manual, adaptive = (tally.policy for tally in result.tallies)
        named = next((name for name, policy in policies.items() if policy == manual), None)
        pair = result.worst[number].index if "worst" in said else 0
        # Tune's left policy is one of those on offer: another is looked at on the right only.
        desk.chosen = (0 if named else 1, pair)
        if desk.policy != adaptive:
            desk.replace(adaptive)
        settings: dict[str, Any] = {"seed": result.seed, "count": 6, "each": 2, "size": result.size}
        if named:
            settings["one"] = named
        shown = door.show(desk, *controls, picture=as_picture(desk.source), **settings)
        return "", gr.Tabs(selected="tune"), gr.skip(), gr.skip(), *shown

    show = [found, told, halted, complaint, view, shelf, stop]
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
    running.append(tuned.click(**see | {"fn": before_and_after, "inputs": [chosen, door.desk, one, seed]}))
    running += [control.change(**see, trigger_mode="always_last") for control in (one, other, seed)]
    # Of its own, beside the count: what the look was about to say may still arrive.
    stop.click(
        lambda: (gr.Button(visible=False), '<div class="aa"><p class="faint">Stopped.</p></div>'), None, [stop, halted],
        cancels=running, **QUIET,
    )  # fmt: skip
    for part in (view, shelf):
        part.select(
            choose, [found, *door.inputs], [complaint, tabs, shelf, other, *door.outputs], concurrency_id="preview",
            **QUIET,
        )  # fmt: skip


def _opened(result: Look, said: dict[str, Any]) -> str:
    """The images that a number of the table or a bar stands for."""
    statistic, test, side = said.get("statistic"), said.get("test", ""), said.get("side")
    if statistic in STATISTICS:
        images, low, high = dataset.within(result, statistic, float(said.get("share", 0)))
        title = f"{STATISTICS[statistic].title} {number(low)} to {number(high)}"
        return dataset_html.gallery(
            result, title, [(i, f"{result.seen[i].values[statistic]:.2f}") for i in images]
        )
    if side not in (0, 1) or (test and test not in dataset.TESTS):
        return ""
    policy = result.tallies[side].policy.name
    title = f"{policy}: {dataset.TESTS.get(test, 'any test')}"
    told = lambda i: ", ".join(f"({t})" for t in sorted(result.seen[i].broken[side]))  # noqa: E731
    return dataset_html.gallery(result, title, [(i, told(i)) for i in dataset.chosen(result, test, side)])
