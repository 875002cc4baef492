"""HTML of the table that explains one pair: every number of both views, its ranges, and why."""

from __future__ import annotations

from typing import Any

from adaptaug.policy.ops import OPS
from adaptaug.ui import logic
from adaptaug.ui.logic import NAMES, Comparison, View
from adaptaug.ui.pairs_html import verdict, view_name, word
from adaptaug.ui.pictures import borrowed, lossless, thumbnail
from adaptaug.ui.templates import escape, number

DETAIL_JS = """
const drawer = document.getElementById('detail');
watch('value', () => {
  if (!document.body.dataset.aaReveal) return;  // another tab has opened a pair
  delete document.body.dataset.aaReveal;
  drawer.dataset.open = '1';
  drawer.scrollTop = 0;
});
const close = () => {
  delete drawer.dataset.open;
  document.querySelector('#pairs [aria-pressed=true]')?.focus();
};
element.addEventListener('click', (event) => {
  if (!drawer.dataset.open || !event.target.closest('header a')) return;
  event.preventDefault();
  close();
});
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && drawer.dataset.open) close(); });
// The slider beneath a view uncovers its source, cut as the view was.
element.addEventListener('input', (event) => {
  const range = event.target.closest('.aa-wipe input');
  if (range) range.closest('.aa-wipe').style.setProperty('--cut', `${range.value}%`);
});
"""

HEADINGS = "".join(
    f'<th scope="col">{text}</th>'
    for text in ("Parameter", "Policy range", "View", "Value in its range", "Safe range", "Because")
)
NOTHING = "\N{EN DASH}"
COLOURS = {name: f"var(--aa-{name.lower()})" for name in NAMES}


def pair_detail(comparison: Comparison, chosen: tuple[int, int]) -> str:
    """The chosen (policy, pair): where each view was cut, how it looks, and the table of reasons."""
    side, index = chosen
    column = comparison.columns[side]
    pair = column.pairs[index]
    explained = logic.explain_pair(pair)
    views = "".join(
        _picture(name, view, certificate, comparison)
        for name, view, certificate in zip(NAMES, pair, explained["certificates"], strict=False)
    )
    return (
        '<section class="aa aa-detail" aria-label="The chosen pair">'
        f"<header><h2>{word(pair)} {index + 1} of {escape(column.policy.name)}</h2>"
        '<a href="#pairs">Back to the pairs</a></header>'
        f"{_subject(pair[0])}"
        f'<div class="aa-pictures">{_cuts(comparison, pair)}{views}{_beside(comparison, chosen)}</div>'
        f"{reasons(comparison, chosen)}"
        '<p class="aa-note">In each bar the thin line is the policy\'s range, the thick part what is safe '
        "for this image, the dot the value drawn. "
        f"The key of this pair is (seed {comparison.seed}, epoch 0, index {index}): training code that uses "
        "it gets the same pixels.</p></section>"
    )


def reasons(comparison: Comparison, chosen: tuple[int, int]) -> str:
    """The table of the chosen (policy, pair): every number of both views, its ranges, and why."""
    column = comparison.columns[chosen[0]]
    explained = logic.explain_pair(column.pairs[chosen[1]])
    rows = _subject_row(column.pairs[chosen[1]][0])
    rows += "".join(_rows(row, column.policy.guards) for row in explained["rows"])
    return (
        '<div class="aa-scroll" tabindex="0" role="region" aria-label="Parameters of the views">'
        f"<table><thead><tr>{HEADINGS}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cuts(comparison: Comparison, pair: tuple[View, ...]) -> str:
    """The source with the outline of each view."""
    height, width = comparison.source.pixels.shape[:2]
    shapes = ""
    for name, view in zip(NAMES, pair, strict=False):
        points = " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in logic.outline(view.params))
        for stroke, thick in (("#000", 5), (COLOURS[name], 3)):
            opacity = ' stroke-opacity=".55"' if stroke == "#000" else ""
            shapes += (
                f'<polygon points="{points}" fill="none" stroke="{stroke}"{opacity} stroke-width="{thick}" '
                'vector-effect="non-scaling-stroke"/>'
            )
    picture = borrowed("source", comparison.source.name)
    keys = ", ".join(f'<span class="aa-key {name.lower()}">view {name}</span>' for name in NAMES[: len(pair)])
    lines = (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">{shapes}</svg>'
    )
    return (
        f'<figure class="wide"><span class="aa-source">{picture}{lines}</span><figcaption>Where '
        f"{keys} were cut.</figcaption></figure>"
    )


def _picture(name: str, view: View, certificate: str, comparison: Comparison) -> str:
    """A view to the bit, and under it a slider that uncovers the source, cut and turned as the view was."""
    judged = (
        f"Certificate, the check of the finished view: {certificate}"
        if view.params.guards
        else certificate.capitalize()
    )
    tiny = " tiny" if comparison.size < 224 else ""
    source = lossless(view.crop) if tiny else thumbnail(view.crop, comparison.size, 92)
    return (
        f'<figure class="aa-wipe"><span class="aa-big{tiny}"><img src="{lossless(view.pixels)}" '
        f'alt="{escape(f"View {name}: {verdict(view)}")}"><img class="over" src="{source}" alt=""></span>'
        f'<label class="aa-cut"><span>View</span><input type="range" min="0" max="100" value="0" '
        f'aria-label="View {name}: uncover its source"><span>Source</span></label>'
        f'<figcaption><span class="aa-key {name.lower()}">View {name}</span> {escape(_outcome(view))}. '
        f'<span class="certificate">{escape(judged)}.</span></figcaption></figure>'
    )


def _outcome(view: View) -> str:
    if not view.failures:
        return "keeps the promise"
    return f"fails {'; '.join(f'({f.test}) {f.label}: {f.sentence}' for f in view.failures)}"


def _beside(comparison: Comparison, chosen: tuple[int, int]) -> str:
    """What the other policy made of the same key, and which tests that fails."""
    side, index = chosen
    column = comparison.columns[1 - side]
    pictures, said = "", ""
    for place, (name, view) in enumerate(zip(NAMES, column.pairs[index], strict=False)):
        bad = " bad" if view.failures else ""
        told = f"View {name} of {column.policy.name}: {verdict(view)}"
        pictures += f'<span class="aa-view{bad}">{borrowed(view_name(1 - side, index, place), told)}</span>'
        key = f'<span class="aa-key {name.lower()}">View {name}</span>'
        said += f'<span class="line">{key} {escape(_outcome(view))}.</span>'
    kind = "" if column.policy.guards else ", by hand,"
    return (
        f'<figure class="aa-beside"><span class="aa-views">{pictures}</span><figcaption>With the same key '
        f"<b>{escape(column.policy.name)}</b>{kind} made these:{said}</figcaption></figure>"
    )


def _subject(view: View) -> str:
    """What a policy with routes took the image for."""
    taken = logic.taken_for(view)
    if taken is None:
        return ""
    return f'<p class="aa-subject">Taken for <b>{escape(taken[0])}</b>, because {escape(taken[1])}.</p>'


def _subject_row(view: View) -> str:
    """The same at the head of the table."""
    if (taken := logic.taken_for(view)) is None:
        return ""
    subject, _, policy = taken[0].rpartition(": policy ")
    return (
        f'<tr class="first"><th scope="row">subject<small>what the image was taken for</small></th>'
        f'<td class="num">{escape(policy)}</td><td>all</td><td>{escape(subject)}</td><td>{NOTHING}</td>'
        f"<td>{escape(taken[1])}</td></tr>"
    )


def _rows(row: dict[str, Any], guards: bool) -> str:
    op = OPS[row["operation"]]
    unit = "" if op.switch else escape(row["unit"])
    name = f"{escape(row['parameter'])}<small>{unit or escape(op.about)}</small>"
    head = f'<th scope="row" rowspan="{{span}}">{name}</th>'
    views = row["views"]
    policies = [_policy(view["policy"], op.switch) for view in views]
    same = len(set(policies)) == 1
    if same and not any(view["applied"] for view in views):
        reason = escape(views[0]["reason"])
        if len({view["reason"] for view in views}) > 1:
            reason = "; ".join(
                f"{name}: {escape(view['reason'])}" for name, view in zip(NAMES, views, strict=False)
            )
        keys = "A, B" if len(views) == 2 else f"A to {NAMES[len(views) - 1]}"
        return (
            f'<tr class="first unused">{head.format(span=1)}<td class="num">{policies[0]}</td><td>{keys}</td>'
            f"<td>{NOTHING}</td><td>{NOTHING}</td><td>{reason}</td></tr>"
        )
    lines = []
    for i, (name, view) in enumerate(zip(NAMES, views, strict=False)):
        lead = head.format(span=len(views)) if i == 0 else ""
        if not same:
            lead += f'<td class="num own">{policies[i]}</td>'
        elif i == 0:
            lead += f'<td class="num" rowspan="{len(views)}">{policies[0]}</td>'
        key = f'<td><span class="aa-key {name.lower()}">{name}</span></td>'
        if not view["applied"]:
            cells = f"<td>{NOTHING}</td><td>{NOTHING}</td>"
        elif op.switch:
            cells = f"<td>yes</td><td>{NOTHING}</td>"
        else:
            safe = view["safe"] if guards else None  # a manual policy draws from its own, safe or not
            bar = _bar(view["policy"], safe, view["value"], COLOURS[name])
            value = f'<span class="aa-value"><span>{number(view["value"])}</span>{bar}</span>'
            cells = f'<td class="num">{value}</td><td class="num">{_range(safe) if safe else NOTHING}</td>'
        lines.append(
            f'<tr class="{"second" if i else "first"}">{lead}{key}{cells}<td>{escape(view["reason"])}</td></tr>'
        )
    return "".join(lines)


def _policy(bounds: list[float] | None, switch: bool) -> str:
    return NOTHING if bounds is None else "on or off" if switch else _range(bounds)


def _range(bounds: list[float]) -> str:
    return f"{number(bounds[0])} to {number(bounds[1])}"


def _bar(policy: list[float], safe: list[float] | None, value: float, colour: str) -> str:
    """The policy's range as a line, the safe range as its thick part, the value as a dot."""
    ends = [*policy, *(safe or policy), value]
    low, high = min(ends), max(ends)
    width = (high - low) or 1.0

    def x(number: float) -> str:
        return f"{5 + 100 * (number - low) / width:.1f}"

    line = 'y1="7" y2="7"'
    thick = f'<line x1="{x(safe[0])}" x2="{x(safe[1])}" {line} class="safe"/>' if safe else ""
    return (
        '<svg class="aa-range" viewBox="0 0 110 14" aria-hidden="true">'
        f'<line x1="{x(policy[0])}" x2="{x(policy[1])}" {line} stroke="var(--aa-faint)"/>{thick}'
        f'<circle cx="{x(value)}" cy="7" r="4.5" fill="{colour}"/></svg>'
    )
