"""What Tune's page shows of a desk: every part of it, sent only where it is news."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from adaptaug import AdaptAugError, Policy
from adaptaug.policy.ops import OPS
from adaptaug.ui import (
    advice,
    detail,
    editor,
    likeness,
    logic,
    measured_html,
    pairs_html,
    sharing,
    sweep_html,
    templates,
)
from adaptaug.ui.desk import Desk
from adaptaug.ui.logic import Source


class Numbers(NamedTuple):
    """What the controls say beside the right policy; what came by hand may be anything."""

    one: str
    seed: float | None
    count: float
    each: float
    size: float

    def within(self, **settings: Any) -> Numbers:
        """With some set, and each where its control could be."""
        said = self._replace(**{name: value for name, value in settings.items() if name in self._fields})
        return Numbers(
            said.one,
            _within(said.seed or 0, 0, logic.MAX_SEED),
            _within(said.count, 1, logic.MAX_PAIRS),
            _within(said.each, 2, len(logic.NAMES)),
            _within(said.size, logic.MIN_SIZE, logic.MAX_SIZE),
        )


class Page:
    """What a desk's page shows, part by part; `parts` names the components in the order of an event's outputs,
    `heard` is told the right policy whenever it is shown."""

    def __init__(
        self, policies: dict[str, Policy], first: tuple[str, str], backbone: likeness.Backbone | None,
        heard: Callable[[Policy], None] | None = None,
    ):  # fmt: skip
        self.policies, self.first, self.backbone, self.heard = policies, first, backbone, heard
        self.parts: dict[str, Any] = {}

    def show(
        self, desk: Desk, *numbers: Any, problem: str | None = "", complaint: str | None = "", picture: Any = None,
        **settings: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Everything that the page does not show yet, in the order of the outputs.

        Args: numbers: the controls' values, as `Numbers`; settings: values that they get.
            problem, complaint: a sentence about the image, about the policy; None: the one that stands.
            picture: what the image box gets.
        """
        if self.heard is not None:
            self.heard(desk.policy)
        said = Numbers(*numbers).within(**settings)
        names = {**self.policies, **desk.versions}
        left = said.one if said.one in names else self.first[0]
        try:
            told = self._compared(desk, names[left], said)
        except AdaptAugError as error:  # of a page that has come back: its image is not there any more
            desk.lay(None)
            told, problem = self._compared(desk, names[left], said), str(error)
        sentences = {"problem": problem, "complaint": complaint}
        told |= {part: templates.problem(text) for part, text in sentences.items() if text is not None}
        told |= {"export": templates.digest(desk.policy), "link": sharing.share(desk.policy)}
        told |= {"other": desk.offer(names), "one": (tuple(names), left)}
        told |= {"controls": editor.html(desk.drawn, desk.drawing), "kept": desk.remembered(sharing.link)}
        new = {part: content for part, content in told.items() if desk.news(part, content)}
        sent = {part: self._made(desk, part, content) for part, content in new.items()}
        sent |= {part: value for part, value in settings.items() if part != "one"}
        sent |= {} if picture is None else {"picture": picture}
        return desk, *(sent.get(part, gr.skip()) for part in self.parts)

    def _made(self, desk: Desk, part: str, content: Any) -> Any:
        """What a component gets, of what is news."""
        if part == "export":
            return sharing.write(desk.policy)
        if part in ("one", "other"):
            return gr.update(choices=list(content[0]), value=content[1])
        if part == "statistics":
            return content and measured_html.statistics(content)
        if part in ("views a", "views b"):
            return content and pairs_html.views(content, "ab".index(part[-1]))
        return content

    def _compared(self, desk: Desk, manual: Policy, said: Numbers) -> dict[str, Any]:
        """What depends on the image. Raises: AdaptAugError: it is not there any more."""
        source = desk.source
        if source is None:
            sentence = "No image: choose a photograph, or upload, drop or paste one."
            nothing: dict[str, Any] = dict.fromkeys(
                ("statistics", "views a", "views b", "detail", "sweep", "advice"), ""
            )
            return nothing | {"status": sentence, "pairs": templates.EMPTY}
        _, seed, count, each, size = said
        seen = logic.compare(
            source, manual, desk.policy, seed, count, size, self.backbone, desk.seen, each
        )  # fmt: skip
        desk.seen, desk.chosen = seen, (desk.chosen[0], min(desk.chosen[1], int(count) - 1))
        return {
            "statistics": source, "views a": seen.columns[0], "views b": seen.columns[1],
            "status": templates.escape(logic.status(seen)), "pairs": pairs_html.pairs(seen, desk.chosen),
            "detail": detail.pair_detail(seen, desk.chosen), "sweep": self._alone(desk, source, int(size)),
            "advice": advice.html(desk.advised(source), desk.policy),
        }  # fmt: skip

    def _alone(self, desk: Desk, source: Source, size: int) -> str:
        """What the operation that is looked at does to the image."""
        if desk.looked not in OPS:
            return ""
        strips = desk.sweeps.of(source, desk.looked, size, desk.policy.promise)
        return sweep_html.html(desk.looked, strips, desk.policy)


def _within(value: float, low: int, high: int) -> int:
    return int(min(max(value, low), high))
