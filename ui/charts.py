"""Charts as inline SVG: drawn in the page's own colours, light or dark, with text that is text and nothing to load.

The lines are SVG that is stretched to whatever width there is; every word and number beside them is HTML, so that
text keeps its size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adaptaug.ui.templates import escape, number

COLOURS = ("var(--aa-a)", "var(--aa-b)", "var(--aa-c)", "var(--aa-d)")
MOST_POINTS = 300
_DOTS = 60  # up to so many points are marked one by one


@dataclass(frozen=True)
class Line:
    """A series: `dots` without a line between them, `mark` the index of a point to stand out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    mark: int | None = None


def lines(
    title: str, series: Sequence[Line], across: str, bounds: tuple[float, float] | None = None, key: str = "",
    note: str = "",
) -> str:  # fmt: skip
    """A chart of one or more series over steps, arms or rungs; empty where there is no point yet.

    Args: across: what x is; bounds: of y, else those of the values; key: `data-chart`, for tests and styles.
    """
    curves = [(i, thinned(line)) for i, line in enumerate(series) if len(line.x)]
    if not curves:
        return ""
    x0, x1 = _reach([v for _, line in curves for v in line.x], 0.0)
    y0, y1 = bounds or _reach([v for _, line in curves for v in line.y], 0.06)
    place = lambda x, y: (100 * (x - x0) / (x1 - x0), 100 * (y1 - min(max(y, y0), y1)) / (y1 - y0))  # noqa: E731
    marks = "".join(_draw(line, COLOURS[i % len(COLOURS)], place) for i, line in curves)
    spoken = "; ".join(f"{line.name}: last {number(line.y[-1])}" for _, line in curves)
    legend = _legend([line.name for line in series]) if len(series) > 1 else ""
    return _frame(title, _note(note) + legend, marks, f"{title}. {spoken}",
                  (y0, y1), (x0, x1), across, key)  # fmt: skip


def _draw(line: Line, colour: str, place) -> str:  # type: ignore[no-untyped-def]
    points = [place(x, y) for x, y in zip(line.x, line.y, strict=True)]
    out = ""
    if not line.dots:
        path = "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        out += f'<path class="line" d="M{path}" stroke="{colour}"/>'
    if line.dots or len(points) <= _DOTS:  # a line of no length with round ends is a dot at any stretch
        spots = "".join(f"M{x:.2f} {y:.2f}h0" for x, y in points)
        out += f'<path class="dot" d="{spots}" stroke="{colour}"/>'
    if line.mark is not None:
        x, y = points[line.mark]
        out += f'<path class="best" d="M{x:.2f} {y:.2f}h0" stroke="{COLOURS[1]}"/>'
    return out


def bars(
    title: str, series: Sequence[tuple[str, np.ndarray]], low: float, high: float, across: str,
    marks: Sequence[tuple[float, str]] = (), band: tuple[float, float] | None = None, key: str = "", note: str = "",
) -> str:  # fmt: skip
    """Histograms of equal bins over [low, high], the first filled, others as outlines.

    Args: series: (name, counts); marks: (value, kind) vertical lines, kind `promise` or `preset`; band: shaded.
    """
    top = max((float(counts.max()) for _, counts in series if counts.size), default=0.0) or 1.0
    place = lambda value: 100 * (value - low) / (high - low)  # noqa: E731
    drawn = ""
    if band is not None:
        left, right = (place(min(max(end, low), high)) for end in band)
        drawn += f'<rect class="band" x="{left:.2f}" y="0" width="{right - left:.2f}" height="100"/>'
    for i, (_, counts) in enumerate(series):
        step = 100 / len(counts)
        tops = [(step * n, 100 - 96 * float(c) / top) for n, c in enumerate(counts)]
        if i == 0:
            path = "".join(f"M{x:.2f} 100V{y:.2f}h{step * 0.92:.2f}V100z" for x, y in tops if y < 100)
            fill = COLOURS[0] if len(series) > 1 else "var(--aa-bar)"
            drawn += f'<path class="bars" d="{path}" fill="{fill}"/>'
        else:  # an outline, so that what lies behind is seen
            path = "".join(f"V{y:.2f}h{step:.2f}" for _, y in tops)
            drawn += f'<path class="stairs" d="M0 100{path}V100" stroke="{COLOURS[i % len(COLOURS)]}"/>'
    drawn += "".join(
        f'<path class="{kind}" d="M{place(value):.2f} 0V100"/>'
        for value, kind in marks
        if low <= value <= high
    )
    legend = _legend([name for name, _ in series]) if len(series) > 1 else ""
    return _frame(title, _note(note) + legend, drawn, f"{title}. {note}", None, (low, high), across, key)


def thinned(line: Line) -> Line:
    """At most `MOST_POINTS`: means over as many stretches of equal length."""
    count = len(line.x)
    if count <= MOST_POINTS:
        return line
    ends = np.linspace(0, count, MOST_POINTS + 1).astype(int)
    mean = lambda values: np.add.reduceat(np.asarray(values, float), ends[:-1]) / np.diff(ends)  # noqa: E731
    return Line(line.name, mean(line.x).tolist(), mean(line.y).tolist(), line.dots)


def _reach(values: Sequence[float], margin: float) -> tuple[float, float]:
    """From the least to the most, a little more; never a range of no length."""
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(1.0, abs(high)):
        return low - 0.5, high + 0.5
    room = margin * (high - low)
    return low - room, high + room


def ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """Round numbers within [low, high], about `most`; whole ones for what is counted."""
    raw = max((high - low) / most, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _note(text: str) -> str:
    return f'<span class="faint">{escape(text)}</span>' if text else ""


def _legend(names: Sequence[str]) -> str:
    return "".join(
        f'<span class="key"><i style="background:{COLOURS[i % len(COLOURS)]}"></i>{escape(name)}</span>'
        for i, name in enumerate(names)
    )


def _frame(
    title: str, legend: str, marks: str, spoken: str, up: tuple[float, float] | None, over: tuple[float, float],
    across: str, key: str,
) -> str:  # fmt: skip
    grid, left = "", ""
    if up is not None:
        for value in ticks(*up, 4):
            height = 100 * (value - up[0]) / (up[1] - up[0])
            grid += f'<path class="grid" d="M0 {100 - height:.2f}H100"/>'
            left += f'<span style="bottom:{height:.2f}%">{_tick(value, up)}</span>'
    below = "".join(
        f'<span style="left:{100 * (value - over[0]) / (over[1] - over[0]):.2f}%">{_tick(value, over)}</span>'
        for value in ticks(*over, 4, whole=up is not None)
    )
    named = f' data-chart="{escape(key)}"' if key else ""
    return (
        f'<figure class="aa-chart{"" if up is not None else " flat"}"{named}><figcaption><b>{escape(title)}</b>{legend}'
        f'</figcaption><div class="plot"><div class="ys" aria-hidden="true">{left}</div>'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{escape(spoken)}">'
        f'{grid}{marks}</svg><div class="xs" aria-hidden="true">{below}</div></div>'
        f'<p class="across" aria-hidden="true">{escape(across)}</p></figure>'
    )


def _tick(value: float, ends: tuple[float, float]) -> str:
    if max(map(abs, ends)) >= 1000:
        return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")
    return number(0.0 if abs(value) < 1e-9 * (ends[1] - ends[0]) else value)
