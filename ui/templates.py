"""HTML of the page's parts, from the plain data of `ui.logic`. Every string that a user chose is escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

from adaptaug import Policy
from adaptaug.ui import logic
from adaptaug.ui.logic import Column, Comparison, Source, View

# Views lie in #views-a and #views-b, each sent only when it has changed; what has `data-of` borrows one by its name.
# An observer hears of a change before the page is painted, in whatever order its parts arrive.
# The keyboard reaches every pair by Tab; arrows move between rows and policies. A selection is marked here at
# once, and the table opens at the foot of the window, which the server's answer fills: the pairs stay in sight.
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
const pick = (pair) => {
  element.querySelectorAll('.aa-pair').forEach((other) => other.setAttribute('aria-pressed', other === pair));
  const drawer = document.getElementById('detail');
  drawer.dataset.open = '1';
  drawer.scrollTop = 0;
  pair.scrollIntoView({block: 'nearest'});  // no further than out from under the table
  trigger('select', {side: Number(pair.dataset.side), pair: Number(pair.dataset.pair)});
};
element.addEventListener('click', (event) => {
  const pair = event.target.closest('.aa-pair');
  if (pair) pick(pair);
});
element.addEventListener('keydown', (event) => {
  const pair = event.target.closest('.aa-pair');
  const move = {ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0]}[event.key];
  if (!pair || !move) return;
  const side = Number(pair.dataset.side) + move[0], row = Number(pair.dataset.pair) + move[1];
  const next = element.querySelector(`.aa-pair[data-side="${side}"][data-pair="${row}"]`);
  if (next) { event.preventDefault(); next.focus(); }
});
"""
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
SAMPLES_JS = """
element.addEventListener('click', (event) => {
  const sample = event.target.closest('button');
  if (sample) trigger('select', {index: Number(sample.dataset.index)});
});
"""
# Set on the container, which outlives its content: a live region that is replaced is not read out.
STATUS_JS = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite');"
PROBLEM_JS = "element.setAttribute('role', 'alert');"

HEADER = """<header class="aa aa-top"><h1>adaptaug</h1>
<p>Two policies, one image, the same seed: the pairs of views that contrastive learning trains on.</p>
</header>"""

EMPTY = """<div class="aa aa-empty"><h2>No image yet</h2>
<p>Choose one of the photographs, or upload, drop or paste your own. Its pairs appear here.</p></div>"""


def escape(text: Any) -> str:
    """Text for HTML, inert in gr.HTML's own template languages as well."""
    sendable = str(text).encode("utf-8", "backslashreplace").decode()  # a foreign file's names may be no text
    safe = html.escape(sendable, quote=True)
    for mark in "{}$`":
        safe = safe.replace(mark, f"&#{ord(mark)};")
    return safe


def lossless(pixels: np.ndarray) -> str:
    """Pixels as a data URI: what is shown is what training gets, to the bit. WebP takes as long as PNG, and a fifth
    fewer bytes."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "WEBP", lossless=True, quality=0, method=0)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def thumbnail(pixels: np.ndarray, longest: int) -> str:
    """A picture to look at and nothing else, as a JPEG data URI."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def number(value: float) -> str:
    """Three significant digits with a true minus sign."""
    text = f"{value:.3g}" if abs(value) >= 0.0005 else "0"
    return text.replace("-", "\N{MINUS SIGN}")


def label(text: str) -> str:
    return f'<div class="aa"><p class="aa-label">{text}</p></div>'


def samples(images: list[tuple[str, Any]]) -> str:
    """Photographs to choose from, as named buttons."""
    cells = []
    for index, (name, image) in enumerate(images):
        uri = thumbnail(np.asarray(image), 160)
        cells.append(
            f'<button type="button" data-index="{index}" aria-label="Use the sample {escape(name)}" '
            f'title="{escape(name)}"><img src="{uri}" alt=""></button>'
        )
    return f'{label("Or choose a sample")}<div class="aa aa-samples">{"".join(cells)}</div>'


def problem(sentence: str) -> str:
    return f'<div class="aa"><p class="aa-problem">{escape(sentence)}</p></div>' if sentence else ""


# --- pairs ------------------------------------------------------------------------------------------------
def views(column: Column, side: int) -> str:
    """The views of a policy, which pairs and table borrow by name (`PAIRS_JS`): sent only where they have changed."""
    return "".join(
        _lend(view_name(side, index, number), lossless(view.pixels))
        for index, pair in enumerate(column.pairs)
        for number, view in enumerate(pair)
    )


def view_name(side: int, pair: int, number: int) -> str:
    return f"{side}-{pair}-{number}"


def _lend(name: str, uri: str) -> str:
    return f'<i hidden data-is="{name}" data-src="{uri}"></i>'


def borrowed(name: str, alt: str = "", more: str = "") -> str:
    """A picture that lies elsewhere on the page."""
    return f'<img data-of="{name}" alt="{escape(alt)}"{more}>'


def pairs(comparison: Comparison, chosen: tuple[int, int]) -> str:
    """Both policies side by side: pair i of one stands next to pair i of the other."""
    heads = "".join(
        _policy_head(column, comparison.source.blank(comparison.size)) for column in comparison.columns
    )
    cells = []
    for index in range(len(comparison.columns[0].pairs)):
        for side, column in enumerate(comparison.columns):
            cells.append(_pair(column, side, index, comparison.size, (side, index) == chosen))
    return (
        '<div class="aa"><p class="aa-note" id="how-to-look">Choose a pair to see where its two views, A and B, were '
        f'cut, and why.</p><div class="aa-grid">{heads}{"".join(cells)}</div>{_measured(comparison)}</div>'
    )


def _measured(comparison: Comparison) -> str:
    """What the promise is, how "alike" was measured, how large views are shown."""
    said = (
        "The promise: no view is flat, clipped, too dark or too bright, unlike its crop, or mostly erased. Alike: "
        "measured on pixels (edges and colours), without a network; 1 is the same view, 0 about another one."
    )
    if comparison.backbone:
        said += f" Features: cosine of what {comparison.backbone} makes of the two views. The band is one of pixels."
    said += (
        f" Views of {comparison.size} px are shown smaller here, at up to 224 px below."
        if comparison.size > 108
        else ""
    )
    return f'<p class="aa-note" id="measured-by">{escape(said)}</p>'


def _policy_head(column: Column, blank: bool) -> str:
    kind = (
        "adaptive: ranges from this image, guards on"
        if column.policy.guards
        else "manual: fixed ranges, no guards"
    )
    total = 2 * len(column.pairs)
    if blank:
        verdict = "<p>the image is blank, and has nothing to lose: its views are counted apart</p>"
    elif column.broken:
        verdict = f'<p class="broken">{column.broken} of {total} views break the promise</p>'
    else:
        verdict = f'<p class="kept">all {total} views keep the promise</p>'
    named = f'data-policy="{digest(column.policy)}"'  # by which a page's pairs are known to be those of its controls
    return f'<div class="aa-policy" {named}><h2>{escape(column.policy.name)}</h2><p>{kind}</p>{verdict}</div>'


def digest(policy: Policy) -> str:
    """32 characters that another policy has not."""
    return hashlib.sha256(policy.dumps().encode()).hexdigest()[:32]


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
    spoken = "; ".join(f"view {name} {verdict(view)}" for name, view in zip("AB", views, strict=True))
    pictures = "".join(_view(view, size, view_name(side, index, number)) for number, view in enumerate(views))
    words = "".join(_words(name, view) for name, view in zip("AB", views, strict=True))
    features = column.features[index] if column.features else None
    likeness = _alike(column.alike[index], column.policy.band, features)
    return (
        f'<button type="button" class="aa-pair" data-side="{side}" data-pair="{index}" '
        f'aria-pressed="{str(pressed).lower()}" '
        f'aria-label="{escape(column.policy.name)}, pair {index + 1}: {escape(spoken)}">'
        f'<span class="aa-index">{index + 1}</span><span class="aa-views">{pictures}</span>'
        f'<span class="aa-words">{words}{likeness}</span></button>'
    )


def two_places(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _alike(value: float, band: tuple[float, float] | None, features: float | None) -> str:
    """How alike a pair is, as a number and a dot on a line from -.5 to 1 on which the band, if any, is thick."""
    place = lambda x: 100 * min(max((x + 0.5) / 1.5, 0.0), 1.0)  # noqa: E731
    zone, said = "", ", left of the line" if value < -0.5 else ""
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
        f'<span class="faint num">mean {view.mean:.2f}<br>contrast {view.contrast:.2f}</span></span>'
    )


# --- the image --------------------------------------------------------------------------------------------
def statistics(source: Source) -> str:
    """What was measured: bars, the histogram of luma, and where the detail lies."""
    height, width = source.pixels.shape[:2]
    grey = ", no colour" if bool(source.stats.grey[0]) else ""
    grey += ", its transparency put on a plain ground" if source.transparent else ""
    bars = "".join(
        f'<div class="aa-stat" title="{escape(row["meaning"])}"><span>{row["label"]}</span>'
        f'<span class="aa-track"><i style="width:{100 * row["share"]:.1f}%"></i></span>'
        f'<span class="value" data-stat="{row["key"]}" data-value="{row["value"]}">'
        f"{_short(row['value'])}</span></div>"
        for row in logic.statistics(source.stats)
    )
    return (
        f'<div class="aa aa-panel"><div><h2>Measured</h2><p class="aa-file faint">{escape(source.name)}, '
        f"{width} \N{MULTIPLICATION SIGN} {height} px{grey}</p></div>"
        f'<div class="aa-stats">{bars}</div>{histogram(source.stats.histogram[0])}{detail_map(source)}</div>'
    )


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def histogram(counts: np.ndarray) -> str:
    """256 luma counts as 64 bars. The tallest may be cut at six times the mean, so that the rest is seen."""
    bars = np.asarray(counts, dtype=float).reshape(64, 4).sum(1)
    top = min(bars.max(), 6 * bars.mean()) or 1.0
    path = "".join(
        f"M{4 * i} 72V{72 - 70 * min(1.0, bar / top):.1f}h3.4V72z" for i, bar in enumerate(bars) if bar > 0
    )
    return (
        '<figure><svg class="aa-histogram" viewBox="0 0 256 72" preserveAspectRatio="none" role="img" '
        f'aria-label="Histogram of luma"><path d="{path}" fill="var(--aa-bar)"/></svg>'
        '<div class="aa-axis"><span>black</span><span>luma</span><span>white</span></div></figure>'
    )


def detail_map(source: Source) -> str:
    """The 8 x 8 map of detail over the image: the fuller a cell, the more of the detail it holds."""
    cells = source.stats.detail_map[0]
    top = float(cells.max())
    squares = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" fill="#f97316" '
        f'fill-opacity="{0.8 * float(cells[y, x]) / top:.2f}"/>'
        for y in range(cells.shape[0])
        for x in range(cells.shape[1])
    )
    return (
        f'<figure><span class="aa-source">{_lend("source", thumbnail(source.pixels, 600))}'
        f"{borrowed('source', source.name)}"
        f'<svg viewBox="0 0 8 8" preserveAspectRatio="none" aria-hidden="true">{squares}</svg></span>'
        "<figcaption>Where the detail lies: the more orange, the more of it.</figcaption></figure>"
    )
