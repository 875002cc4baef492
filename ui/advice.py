"""What one image looks like, and the preset that suits it: the vote it would have in a data set, and why."""

from __future__ import annotations

from typing import NamedTuple

from adaptaug import Policy
from adaptaug.report.profile import PRESETS, STATISTICS, Profile
from adaptaug.ui.logic import Source
from adaptaug.ui.sweep import reduced
from adaptaug.ui.templates import escape, two_places

LIKE = {"digits": "a glyph", "documents": "a document", "lowlight": "a night", "natural": "a photograph"}
DECIDES = {
    "digits": ("border", "levels"),
    "documents": ("ink",),
    "lowlight": ("mean",),
    "natural": ("ink", "mean"),
}
JS = """
const wanted = {};  // one object for all: see PAIRS_JS
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-preset]');
  if (button) trigger('select', Object.assign(wanted, {preset: button.dataset.preset}));
});
"""


class Advice(NamedTuple):
    """The preset, what it looks at, and what that is here."""

    preset: str
    because: str


def advise(source: Source) -> Advice | None:
    """None of a blank image, which looks like nothing."""
    profile = Profile()
    profile.add(source.name, reduced(source).pixels)
    if not profile.votes:
        return None
    preset = next(iter(profile.votes))
    here = ", ".join(
        f"{STATISTICS[name].title.lower()} {two_places(profile.quantile(name, 0.5))}"
        for name in DECIDES[preset]
    )
    reason = "neither a glyph nor text nor dark" if preset == "natural" else PRESETS[preset][0]
    return Advice(preset, f"{reason} (here: {here})")


def html(advice: Advice | None, policy: Policy) -> str:
    """A line and a button; only the line where the policy is that preset, or was made from it."""
    if advice is None:
        return ""
    like = f"Looks like <b>{LIKE[advice.preset]}</b>: {escape(advice.because)}."
    mine = policy.name.removesuffix(" (edited)") == advice.preset
    use = f'<button type="button" data-preset="{advice.preset}">Use {advice.preset}</button>'
    return f'<div class="aa aa-advice"><p>{like}</p>{"" if mine else use}</div>'
