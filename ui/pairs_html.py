"""HTML of the pairs: both policies side by side, each view with its verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adaptaug.ui import logic
from adaptaug.ui.logic import NAMES, Column, Comparison, View
from adaptaug.ui.pictures import borrowed, glance, lend
from adaptaug.ui.templates import digest, escape, two_places

# Views lie in #views-a and #views-b, each sent only when it has changed; what has `data-of` borrows one by its name.
# An observer hears of a change before the page is painted, in whatever order its parts arrive.
# The keyboard reaches every pair by Tab; arrows move between rows and policies; Alt and a letter goes to another pair
# or seed from anywhere (letters alone are what people type, and what speech control hears). A selection is marked here
# at once, and the table opens beside the pairs, which the server's answer fills: the pairs stay in sight.
PAIRS_JS = """
const layout = document.getElementById('layout');
const borrow = () => {
  const lent = new Map();
  layout.querySelectorAll('[data-is]').forEach((view) => lent.set(view.dataset.is, view.dataset.src));
  layout.querySelectorAll('img[data-of]').forEach((image) => {
    const uri = lent.get(image.dataset.of);
    if (uri && image.getAttribute('src') !== uri) image.setAttribute('src', uri);
  });
};
new MutationObserver(borrow).observe(layout, {
  childList: true, subtree: true, attributes: true, attributeFilter: ['src', 'data-of', 'data-is', 'data-src'],
});
borrow();
// What is asked for while another is answered Gradio sends later, but with the words of the first ("always_last"): so
// all are one object, which says the last.
const wanted = {};
const pick = (pair) => {
  element.querySelectorAll('.aa-pair').forEach((other) => other.setAttribute('aria-pressed', other === pair));
  const drawer = document.getElementById('detail');
  drawer.dataset.open = '1';
  drawer.scrollTop = 0;
  pair.scrollIntoView({block: 'nearest'});  // no further than out from under the table
  trigger('select', Object.assign(wanted, {side: Number(pair.dataset.side), pair: Number(pair.dataset.pair)}));
};
element.addEventListener('click', (event) => {
  const pair = event.target.closest('.aa-pair');
  if (pair) pick(pair);
});
document.addEventListener('keydown', (event) => {
  const [what, step] = {KeyN: ['seed', 1], KeyB: ['seed', -1], KeyJ: ['pair', 1], KeyK: ['pair', -1]}[event.code] || [];
  if (!what || !event.altKey || event.ctrlKey || event.metaKey || !element.offsetParent) return;
  event.preventDefault();
  if (what === 'seed') {
    const box = document.querySelector('#seed input');
    box.value = Math.max(0, Number(box.value) + step);
    box.dispatchEvent(new Event('input', {bubbles: true}));
    return;
  }
  const open = element.querySelector('.aa-pair[aria-pressed=true]'), side = open?.dataset.side ?? 1;
  const row = document.getElementById('detail').dataset.open ? Number(open?.dataset.pair ?? -1) + step : 0;
  const next = element.querySelector(`.aa-pair[data-side="${side}"][data-pair="${row}"]`);
  if (next) { next.focus({preventScroll: true}); pick(next); }
});
element.addEventListener('keydown', (event) => {
  const pair = event.target.closest('.aa-pair');
  const move = {ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0]}[event.key];
  if (!pair || !move || event.altKey) return;
  const side = Number(pair.dataset.side) + move[0], row = Number(pair.dataset.pair) + move[1];
  const next = element.querySelector(`.aa-pair[data-side="${side}"][data-pair="${row}"]`);
  if (next) { event.preventDefault(); next.focus(); }
});
"""


ALL_PASS = '<span class="ok"><b>\N{CHECK MARK} all pass</b></span>'


def views(column: Column, side: int, picture: Callable[[np.ndarray, int], str] = glance) -> str:
    """The views of a policy, which pairs and table borrow by name (`PAIRS_JS`): sent only where they have changed.
    `picture` gets the pixels, and of how many views this is one."""
    return "".join(
        lend(view_name(side, index, number), picture(view.pixels, column.total))
        for index, pair in enumerate(column.pairs)
        for number, view in enumerate(pair)
    )


def view_name(side: int, pair: int, number: int) -> str:
    return f"{side}-{pair}-{number}"


def pairs(comparison: Comparison, chosen: tuple[int, int]) -> str:
    """Both policies side by side: pair i of one stands next to pair i of the other."""
    heads = "".join(
        _policy_head(column, comparison.source.blank(comparison.size)) for column in comparison.columns
    )
    each = len(comparison.columns[0].pairs[0])
    how = "Choose a pair to see where its two views, A and B, were cut, and why."
    if each > 2:
        how = f"Choose a group to see where its {each} views were cut, and why. Alike: A with the others, on average."
    cells = []
    for index in range(len(comparison.columns[0].pairs)):
        for side, column in enumerate(comparison.columns):
            cells.append(_pair(column, side, index, comparison.size, (side, index) == chosen))
    return (
        f'<div class="aa"><p class="aa-note" id="how-to-look">{how}</p>'
        f'<div class="aa-grid">{heads}{"".join(cells)}</div>{_measured(comparison)}</div>'
    )


def _measured(comparison: Comparison) -> str:
    """What the promise is, how "alike" was measured, how large views are shown."""
    said = (
        "The promise: no view is flat, clipped, too dark or too bright, unlike its crop, or mostly erased. Alike: "
        "measured on pixels (edges and colours), without a network; 1 is the same view, 0 about another one."
    )
    if comparison.backbone:
        said += f" Features: cosine of what {comparison.backbone} makes of the two views. The band is one of pixels."
    said += " Views are packed and may be smaller here; those of the pair you choose are shown to the bit."
    return f'<p class="aa-note" id="measured-by">{escape(said)}</p>'


def _policy_head(column: Column, blank: bool) -> str:
    kind = (
        "adaptive: ranges from this image, guards on"
        if column.policy.guards
        else "manual: fixed ranges, no guards"
    )
    if taken := logic.taken_for(column.pairs[0][0]):
        kind = f"took this image for <b>{escape(taken[0])}</b>; {escape(taken[1])}"
    total = column.total
    if blank:
        verdict = "<p>the image is blank, and has nothing to lose: its views are counted apart</p>"
    elif column.broken:
        verdict = f'<p class="broken">{column.broken} of {total} views break the promise</p>'
    else:
        verdict = f'<p class="kept">all {total} views keep the promise</p>'
    named = f'data-policy="{digest(column.policy)}"'  # by which a page's pairs are known to be those of its controls
    name = escape(column.policy.name)
    return f'<div class="aa-policy" {named}><h2>{name}</h2><p class="kind">{kind}</p>{verdict}</div>'


def word(pair: tuple[View, ...]) -> str:
    return "Pair" if len(pair) == 2 else "Group"


def repair(view: View) -> str:
    """What the certificate had to do to a view, in two words; empty if nothing."""
    params = view.params
    if not params.guards:
        return ""
    if bool(params.blank[0]):
        return "blank image"
    if bool(params.frame[0]):
        return "full frame"
    strength = float(params.strength[0])
    return f"pulled back to {strength:.0%}" if strength < 1 else ""


def verdict(view: View) -> str:
    """A view's outcome in a few words."""
    return ", ".join(f.label for f in view.failures) or repair(view) or "passes"


def _pair(column: Column, side: int, index: int, size: int, pressed: bool) -> str:
    views = column.pairs[index]
    spoken = "; ".join(f"view {name} {verdict(view)}" for name, view in zip(NAMES, views, strict=False))
    pictures = "".join(_view(view, size, view_name(side, index, number)) for number, view in enumerate(views))
    told = [
        (name, view) for name, view in zip(NAMES, views, strict=False) if len(views) == 2 or view.failures
    ]
    words = "".join(_words(name, view) for name, view in told) or ALL_PASS
    features = column.features[index] if column.features else None
    likeness = _alike(column.alike[index], column.policy.band, features)
    return (
        f'<button type="button" class="aa-pair" data-side="{side}" data-pair="{index}" '
        f'aria-pressed="{str(pressed).lower()}" '
        f'aria-label="{escape(column.policy.name)}, {word(views).lower()} {index + 1}: {escape(spoken)}">'
        f'<span class="aa-index">{index + 1}</span>'
        f'<span class="aa-views" style="--each:{min(len(views), 4)}">{pictures}</span>'
        f'<span class="aa-words">{words}{likeness}</span></button>'
    )


def _alike(value: float, band: tuple[float, float] | None, features: float | None) -> str:
    """How alike a pair is, as a number and a dot on a line from -.5 to 1 on which the band, if any, is thick."""
    place = lambda x: 100 * min(max((x + 0.5) / 1.5, 0.0), 1.0)  # noqa: E731
    zone, said = "", ", off the scale" if value < -0.5 else ""
    if band is not None:
        low, high = (place(x) for x in band)
        zone = f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        inside = band[0] - 5e-4 <= value <= band[1] + 5e-4
        said += ", in the band" if inside else ", out of the band"
    seen = ""
    if features is not None:
        seen = f'<span class="num" data-features="{features:.4f}">features {two_places(features)}</span>'
    return (
        f'<span class="aa-alike" data-alike="{value:.4f}"><span class="num">alike {two_places(value)}{said}</span>'
        f'<span class="line">{zone}<b style="left:{place(value):.1f}%"></b></span>{seen}</span>'
    )


def _view(view: View, size: int, name: str) -> str:
    classes = "aa-view" + (" bad" if view.failures else "") + (" tiny" if size < 108 else "")
    label = view.failures[0].label if view.failures else repair(view)
    more = f" +{len(view.failures) - 1}" if len(view.failures) > 1 else ""
    mild = "" if view.failures else " mild"
    badge = (
        f'<span class="aa-badge{mild}">{escape(label.replace("pulled back to", "back to"))}{more}</span>'
        if label
        else ""
    )
    return f'<span class="{classes}">{borrowed(name)}{badge}</span>'


def _words(name: str, view: View) -> str:
    kind, mark = ("no", "\N{MULTIPLICATION SIGN}") if view.failures else ("ok", "\N{CHECK MARK}")
    return (
        f'<span class="{kind}"><b>{name} {mark} {escape(verdict(view))}</b>'
        f'<span class="faint num">mean {view.mean:.2f}, contrast {view.contrast:.2f}</span></span>'
    )
