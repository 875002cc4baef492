"""HTML of the tab that shows a data set, from what `ui.dataset` has found."""

from __future__ import annotations

import numpy as np

from adaptaug.report.profile import LIMITS, PRESETS, STATISTICS, THRESHOLDS
from adaptaug.ui import atlas
from adaptaug.ui.charts import bars
from adaptaug.ui.dataset import BARS, PAIRS, TESTS, Look, Pair, Tally
from adaptaug.ui.editor import BAND
from adaptaug.ui.oddities import KINDS
from adaptaug.ui.pictures import lossless
from adaptaug.ui.templates import escape, two_places

EMPTY = """<div class="aa aa-empty"><h2>No data set yet</h2>
<p>Add up to 64 images, or take a sample set. What they are like, the preset that suits them and what a
manual policy breaks on them appear here.</p></div>"""
WORST_JS = """
element.addEventListener('click', (event) => {
  const at = (name) => event.target.closest(`[data-${name}]`);
  const image = at('image'), pair = at('worst'), test = at('test')?.querySelector('button'), preset = at('use');
  const plot = at('chart')?.closest('#set-bars') ? at('chart').querySelector('.plot') : null;
  if (pair) {
    document.body.dataset.aaReveal = '1';
    trigger('select', {worst: Number(pair.dataset.worst)});
  } else if (image) trigger('select', {image: Number(image.dataset.image)});
  else if (preset) trigger('select', {preset: preset.dataset.use});
  else if (test) trigger('select', {test: test.dataset.of, side: Number(test.dataset.side)});
  else if (plot) {
    const box = plot.getBoundingClientRect();
    trigger('select', {statistic: at('chart').dataset.chart, share: (event.clientX - box.left) / box.width});
  }
});
"""
# Opens the image in Tune.
GALLERY_JS = """
element.addEventListener('click', (event) => {
  const image = event.target.closest('[data-image]');
  if (image) trigger('select', {image: Number(image.dataset.image)});
  if (event.target.closest('[data-close]')) delete element.dataset.open;
});
watch('value', () => { element.dataset.open = 1; });
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') delete element.dataset.open; });
"""


def progress(look: Look) -> str:
    text = f"{look.done} of {look.total} images"
    bar = (
        f'<progress max="{max(1, look.total)}" value="{look.done}" aria-label="Images looked at"></progress>'
    )
    return f'<div class="aa aa-progress">{bar}<p>{text}</p></div>'


def problems(sentences: list[str]) -> str:
    """What was left out or could not be read, one sentence each."""
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="aa"><ul class="aa-problems">{items}</ul></div>'


def view(look: Look) -> str:
    """The finished look."""
    if not look.profile.names:
        return EMPTY
    return (
        f'<section class="aa aa-set">{_suggestion(look)}{_promise(look)}{_likeness(look)}{_worst(look)}{_odd(look)}'
        f"{atlas.html(look.atlas, look.tallies[1].policy.name)}{_statistics(look)}{_histograms(look)}</section>"
    )


def _suggestion(look: Look) -> str:
    preset, because = look.profile.advice()
    warned = "".join(f"<li>{escape(w)}</li>" for w in look.profile.warnings())
    votes = "".join(
        f'<div><b>{name}</b><span class="aa-track"><i style="width:{100 * look.profile.share(name):.1f}%"></i></span>'
        f'<span class="num">{look.profile.share(name):.0%}</span><span class="faint">{escape(meaning)}</span></div>'
        for name, (meaning, _) in PRESETS.items()
    )
    use = ""
    if preset != look.tallies[1].policy.name:
        use = f'<button type="button" data-use="{preset}">Use {preset}</button>'
    return (
        f'<div class="aa-card"><h2>Suggested policy: <span data-preset>{escape(preset)}</span></h2>'
        f'<div class="aa-votes">{votes}</div><p>{escape(because)}.</p>'
        + (f'<ul class="faint">{warned}</ul>' if warned else "")
        + f"{use}</div>"
    )


def _promise(look: Look) -> str:
    heads = "".join(f'<th scope="col">{escape(tally.policy.name)}</th>' for tally in look.tallies)
    rows = "".join(
        f'<tr class="first"><th scope="row">({test}) {title}</th>{_shares(look, test)}</tr>'
        for test, title in TESTS.items()
    )
    views = look.tallies[0].views
    blank = f"; {look.blank} blank image{'s' * (look.blank != 1)} counted apart" if look.blank else ""
    return (
        "<div><h2>Views that break the promise</h2>"
        f'<p class="faint">Of {views} views a policy, {PAIRS} pairs an image, '
        f"seed {look.seed}, {look.size} px{blank}. A view may break more than one test. Choose a number to see "
        "the images.</p></div>"
        '<div class="aa-scroll" tabindex="0" role="region" aria-label="Views that break the promise">'
        f'<table class="narrow"><thead><tr><th scope="col">Test</th>{heads}</tr></thead><tbody>{rows}'
        f'<tr class="first sum"><th scope="row">any test</th>{_shares(look, "")}</tr></tbody></table></div>'
    )


def _shares(look: Look, test: str) -> str:
    return "".join(_share(tally, test, side) for side, tally in enumerate(look.tallies))


def _share(tally: Tally, test: str, side: int) -> str:
    count = tally.tests[test] if test else tally.broken
    share = count / max(1, tally.views)
    kind = "bad" if count else "faint"
    bar = f'<span class="aa-track"><i style="width:{100 * share:.1f}%"></i></span>'
    number = f"<b>{share:.1%}</b>"
    if count:
        label = escape(f"{share:.1%}, {tally.policy.name}, {TESTS.get(test, 'any test')}: show the images")
        number = f'<button type="button" data-of="{test}" data-side="{side}" aria-label="{label}">{number}</button>'
    return (
        f'<td class="num" data-test="{test or "any"}" data-count="{count}"><span class="aa-share-cell {kind}">'
        f"{number}{bar}</span></td>"
    )


def _likeness(look: Look) -> str:
    edges = np.linspace(-0.5, 1.0, 31)
    series = [
        (tally.policy.name, np.histogram(np.clip(tally.alike, -0.5, 1.0), edges)[0]) for tally in look.tallies
    ]
    band = look.tallies[1].policy.band
    low, high = band or BAND
    whose = f"the band of {look.tallies[1].policy.name}" if band else "the band that Tune offers"
    inside = ", ".join(
        f"{tally.policy.name} {np.mean([(low <= a <= high) for a in tally.alike] or [0]):.0%}"
        for tally in look.tallies
    )
    chart = bars("How alike the two views of a pair are", series, -0.5, 1.0,
                 "similarity measured on pixels, without a network: 1 is the same view", band=(low, high), key="alike",
                 note=f"shaded: {whose}, {two_places(low)} to {two_places(high)}")  # fmt: skip
    return f'<div><h2>Similarity of pairs</h2><p class="faint">Inside the band: {escape(inside)}.</p></div>{chart}'


def _worst(look: Look) -> str:
    name = escape(look.tallies[0].policy.name)
    if not look.worst:
        return f'<div><h2>Worst pairs of {name}</h2><p class="faint">No view of it breaks the promise here.</p></div>'
    cells = "".join(_pair(pair, number) for number, pair in enumerate(look.worst))
    return (
        f'<div><h2>Worst pairs of {name}</h2><p class="faint">Those that break most tests. '
        f'Choose one to open it in Tune.</p></div><div class="aa-worst">{cells}</div>'
    )


def _pair(pair: Pair, number: int) -> str:
    pictures = "".join(
        f'<span class="aa-view{" bad" if view.failures else ""}"><img src="{lossless(view.pixels)}" alt=""></span>'
        for view in pair.views
    )
    labels = ", ".join(pair.labels)
    return (
        f'<button type="button" data-worst="{number}" aria-label="Open {escape(pair.item.name)}, pair {pair.index + 1} '
        f'in Tune: {escape(labels)}"><span class="aa-views">{pictures}</span><span class="told">'
        f"<b>{escape(labels)}</b><span>{escape(pair.item.name)}, pair {pair.index + 1}</span></span></button>"
    )


def _odd(look: Look) -> str:
    """What is odd, by kind; every image opens in Tune."""
    parts = ""
    for kind, (title, when) in KINDS.items():
        found = [(odd.image, odd.said) for odd in look.odd if odd.kind == kind]
        if found:
            parts += f'<h3>{title}: {len(found)}</h3><p class="faint">{escape(when)}</p>{images(look, found)}'
    nothing = (
        ""
        if parts
        else '<p class="faint">Nothing is: neither dark, light, blurry, narrow, empty nor twice.</p>'
    )
    return f'<div id="set-odd"><h2>Odd images</h2>{nothing}{parts}</div>'


def images(look: Look, found: list[tuple[int, str]]) -> str:
    """Pictures of some of the images, with what is said of each."""
    cells = "".join(
        f'<button type="button" data-image="{place}" aria-label="Open {escape(look.seen[place].item.name)} in Tune">'
        f'<img src="{look.seen[place].picture}" alt=""><span class="told"><span>{escape(look.seen[place].item.name)}'
        f"</span>{escape(said)}</span></button>"
        for place, said in found
    )
    return f'<div class="aa-gallery">{cells}</div>'


def gallery(look: Look, title: str, pairs: list[tuple[int, str]]) -> str:
    """What a bar or a number stands for."""
    many = f"{len(pairs)} image{'s' * (len(pairs) != 1)}"
    return (
        f'<section class="aa aa-set aa-card" aria-label="{escape(title)}"><header>'
        f'<h2>{escape(title)}: {many}</h2><button type="button" data-close>Close</button></header>'
        f"{images(look, pairs)}</section>"
    )


def _statistics(look: Look) -> str:
    profile = look.profile
    rows = "".join(
        f'<tr class="first"><th scope="row">{escape(statistic.title)}<small>{escape(statistic.unit)}</small></th>'
        + "".join(f'<td class="num">{two_places(profile.quantile(name, q))}</td>' for q in (0.05, 0.5, 0.95))
        + "</tr>"
        for name, statistic in STATISTICS.items()
    )
    heads = "".join(f'<th scope="col">{q}</th>' for q in ("5 %", "median", "95 %"))
    return (
        '<h2>Statistics</h2><div class="aa-scroll" tabindex="0" role="region" aria-label="Statistics of the images">'
        f'<table class="narrow" id="set-statistics"><thead><tr><th scope="col">Statistic</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _histograms(look: Look) -> str:
    def chart(name: str) -> str:
        statistic, counts = STATISTICS[name], look.profile.histograms[name].reshape(BARS, -1).sum(1)
        marks = [(v, "promise") for v in LIMITS.get(name, ())] + [
            (v, "preset") for v in THRESHOLDS.get(name, ())
        ]
        return bars(
            statistic.title,
            [(statistic.title, counts)],
            statistic.low,
            statistic.high,
            statistic.unit,
            marks,
            key=name,
        )

    return (
        '<div><h2>Histograms</h2><p class="faint">Choose a bar to see its images.</p>'
        '<p class="aa-marks faint"><span><i class="promise"></i>limit of the promise, for views'
        '</span><span><i class="preset"></i>threshold of a preset</span></p></div>'
        f'<div class="aa-charts small" id="set-bars">{"".join(map(chart, STATISTICS))}</div>'
    )
