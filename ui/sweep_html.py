"""HTML of one operation alone: its formula, its unit, what guards it, and what its strengths make of the image."""

from __future__ import annotations

import cv2

from adaptaug import Policy
from adaptaug.policy.ops import OPS, Op, Parameter
from adaptaug.ui.logic import View
from adaptaug.ui.pictures import thumbnail
from adaptaug.ui.sweep import Strip
from adaptaug.ui.templates import escape, number

SIDE = 72  # px of a picture; shown at up to 50
SAID = {"kept": "as drawn", "back": "guards draw it back", "broken": "breaks the promise"}
# The strips lie in a part of their own, which comes and goes without the sliders; they are shown below these.
JS = """
const told = () => document.dispatchEvent(new Event('aa-sweep'));
new MutationObserver(told).observe(element, {childList: true, subtree: true, characterData: true, attributes: true});
"""


def html(name: str, strips: list[Strip], policy: Policy) -> str:
    """Of the operation `name`; `policy` says which strengths it may draw."""
    op = OPS[name]
    drawn = "".join(_strip(op, strip, policy) for strip in strips)
    looked = f"{op.guard[0]}: {op.guard[1]}" if op.guard else "nothing but the check of the finished view"
    keys = "".join(f'<span class="{kind}">{said}</span>' for kind, said in SAID.items())
    keys += '<span class="asked">what the policy draws</span>' if name in policy and not op.switch else ""
    return (
        f'<div class="aa-sweep" data-for="{name}" role="region" aria-label="{name} on this image">'
        f'<p class="aa-formula">{escape(op.formula.replace("`", ""))}</p>{drawn}<p class="aa-kinds">{keys}</p>'
        f'<p class="faint"><b>Guarded by</b> {escape(looked)}.</p>'
        '<p class="faint">The whole frame with nothing else done to it, without guards.</p></div>'
    )


def _strip(op: Op, strip: Strip, policy: Policy) -> str:
    part = op.parameters[strip.parameter]
    pictures = "".join(_picture(op, strip, i) for i in strip.shown)
    count = len(strip.shown)
    named = "" if strip.parameter == "range" else f"<b>{strip.parameter}</b> "
    scale = "" if op.switch else _scale(strip, _asked(op, strip, policy))
    return (
        f'<div class="aa-strip" data-parameter="{strip.parameter}">'
        f'<p class="faint">{named}{escape(_unit(op, part))}</p>'
        f'<div class="aa-shots" style="--n:{count}">{pictures}</div>{scale}<p>{escape(sentence(op, strip))}</p></div>'
    )


def _unit(op: Op, part: Parameter) -> str:
    if op.switch:
        return "On or off"
    rest = f"; {number(part.identity)} does nothing" if part.low <= part.identity <= part.high else ""
    even = ", drawn evenly in its logarithm" if part.log else ""
    return f"{part.unit.capitalize()}, {number(part.low)} to {number(part.high)}{even}{rest}"


def _picture(op: Op, strip: Strip, index: int) -> str:
    view, kind, value = strip.views[index], strip.kinds[index], strip.values[index]
    said = ("off", "on")[index] if op.switch else number(value)
    told = ", ".join(failure.label for failure in view.failures) or SAID[kind]
    return (
        f'<figure><img class="{kind}" src="{_small(view)}" alt="{op.name} {said}: {escape(told)}" '
        f'title="{escape(f"{said}: {told}")}"><figcaption>{said}</figcaption></figure>'
    )


def _small(view: View) -> str:
    side = min(SIDE, view.pixels.shape[0])
    return thumbnail(cv2.resize(view.pixels, (side, side), interpolation=cv2.INTER_AREA), side)


def _asked(op: Op, strip: Strip, policy: Policy) -> tuple[float, float] | None:
    """What the policy draws from, as places on the scale from 0 to 1."""
    if op.name not in policy:
        return None
    low, high = policy[op.name].bounds(strip.parameter)
    return _place(strip, low), _place(strip, high)


def _place(strip: Strip, value: float) -> float:
    """Where a value lies among the strip's, 0 to 1."""
    for i, (one, other) in enumerate(zip(strip.values, strip.values[1:], strict=False)):
        if value <= other:
            return (i + max(0.0, (value - one) / (other - one))) / (len(strip.values) - 1)
    return 1.0


def _scale(strip: Strip, asked: tuple[float, float] | None) -> str:
    """Below the pictures, from the middle of the first to that of the last: which strengths are kept, drawn back,
    broken; and, as a bracket, which the policy draws."""
    step = 100 / (len(strip.values) - 1)
    parts = ""
    for kind in SAID:
        for first, last in strip.runs(kind):
            left, right = max(0.0, (first - 0.5) * step), min(100.0, (last + 0.5) * step)
            ends = f"{number(strip.values[first])} to {number(strip.values[last])}: {SAID[kind]}"
            parts += (
                f'<rect class="{kind}" x="{left:.2f}" y="0" width="{right - left:.2f}" height="6">'
                f"<title>{escape(ends)}</title></rect>"
            )
    if asked is not None:
        left, right = 100 * asked[0], 100 * asked[1]
        parts += f'<path class="asked" d="M{left:.2f} 8V13H{max(right, left + 0.5):.2f}V8"/>'
    return (
        f'<svg class="aa-scale" viewBox="0 0 100 14" preserveAspectRatio="none" role="img" '
        f'aria-label="Which strengths are kept">{parts}</svg>'
    )


def sentence(op: Op, strip: Strip) -> str:
    """What is safe for this image, and from where on the promise breaks."""
    if op.switch:
        return "" if strip.kinds[-1] == "kept" else f"On this image it {SAID[strip.kinds[-1]]}."
    if all(kind == "kept" for kind in strip.kinds):
        return "All of it is safe for this image."
    ends = lambda run: f"{number(strip.values[run[0]])} to {number(strip.values[run[1]])}"  # noqa: E731
    safe = ", ".join(ends(run) for run in strip.runs("kept")) or "none of it"
    broken = ", ".join(ends(run) for run in strip.runs("broken"))
    return f"Safe for this image: {safe}" + (f"; breaks the promise: {broken}." if broken else ".")
