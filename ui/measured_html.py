"""HTML of what was measured of the image: bars, the histogram of luma, and where the detail lies."""

from __future__ import annotations

import numpy as np

from adaptaug.ui import logic
from adaptaug.ui.logic import Source
from adaptaug.ui.pictures import borrowed, lend, thumbnail
from adaptaug.ui.templates import escape


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
        f'<figure><span class="aa-source">{lend("source", thumbnail(source.pixels, 600))}'
        f"{borrowed('source', source.name)}"
        f'<svg viewBox="0 0 8 8" preserveAspectRatio="none" aria-hidden="true">{squares}</svg></span>'
        "<figcaption>Where the detail lies: the more orange, the more of it.</figcaption></figure>"
    )
