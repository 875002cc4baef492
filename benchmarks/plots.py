"""The pictures of benchmarks.report."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from adaptaug.learn.intervals import Interval
from benchmarks.groups import MEASURES, USUAL, Bout, Group
from benchmarks.rivals import is_manual

matplotlib.use("Agg")
from matplotlib import pyplot as plt

KAPPA = {
    "clip .05": ".05",
    "clip .1": ".1",
    "natural": ".15",
    "clip .25": ".25",
    "targets without guards": "off",
}
RANGES = {"targets narrow": "narrow", "natural": "as in natural", "targets wide": "wide"}
_OURS, _MANUAL, _SECOND = "#0b6e99", "#8a8a8a", "#e08a1e"


def plot(group: Group, out: Path) -> None:
    """Left: differences from the best manual policy with intervals. Right: the probe by tenth of brightness."""
    best = group.best(manual=True)
    assert best is not None
    intervals = {name: group.against(name, best, "probe") for name in group.rows}
    names = sorted((n for n, f in intervals.items() if f is not None), key=lambda n: intervals[n].mean)  # type: ignore[union-attr]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 0.8 + 0.32 * max(8, len(names))), layout="constrained"
    )
    for place, name in enumerate(names):
        interval = intervals[name]
        assert interval is not None
        colour = _MANUAL if is_manual(name) else _OURS
        left.plot([interval.low, interval.high], [place, place], color=colour, lw=2.5, solid_capstyle="round")
        left.plot(interval.mean, place, "o", color=colour, ms=7)
    left.axvline(0, color="black", lw=0.8)
    left.set_yticks(range(len(names)), names)
    left.set_ylim(-0.6, len(names) - 0.4)
    left.set_xlabel(f"points of the linear probe above {best}, 95 % interval")
    left.set_title(f"{group.title}: ours blue, manual grey", fontsize=10, loc="left")
    for name in [best, *_most_seeds(group, [n for n in reversed(names) if not is_manual(n)])[:2]]:
        tenths = np.mean([row["by_brightness"] for row in group.rows[name].values()], axis=0)
        right.plot(
            range(1, 11), tenths, marker="o", ms=4, label=name, color=_MANUAL if name == best else None
        )
    right.set_xticks(range(1, 11))
    right.set_xlabel("tenth of the test images, darkest first")
    right.set_title("linear probe, % right", fontsize=10, loc="left")
    right.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x" if axis is left else "y", color="#dddddd", lw=0.6)
    figure.savefig(out, dpi=110)
    plt.close(figure)


def _most_seeds(group: Group, names: list[str]) -> list[str]:
    """Those of the names with the most seeds, in their order: means over fewer are not drawn beside them."""
    most = max((len(group.rows[name]) for name in names), default=0)
    return [name for name in names if len(group.rows[name]) == most]


def _bars(
    intervals: dict[int, Interval | None], offset: float
) -> tuple[list[float], list[float], list[list[float]]]:
    """Places, means and what lies below and above them, of the intervals that there are."""
    bars = {i + offset: f for i, f in intervals.items() if f is not None}
    spread = [[f.mean - f.low for f in bars.values()], [f.high - f.mean for f in bars.values()]]
    return list(bars), [f.mean for f in bars.values()], spread


def plot_targets(group: Group, out: Path) -> None:
    """What exposure targets gain over the same policy without them: left by the share of pixels that a view may clip,
    right by the range that mean and deviation are drawn from."""
    panels = [
        {name: title for name, title in panel.items() if name in group.rows} for panel in (KAPPA, RANGES)
    ]
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 3), sharey=True, layout="constrained", width_ratios=[max(1, len(p)) for p in panels]
    )
    for axis, shown in zip(axes, panels, strict=True):
        for offset, (measure, title) in enumerate(MEASURES.items()):
            intervals = {i: group.against(name, "guards only", measure) for i, name in enumerate(shown)}
            places, means, spread = _bars(intervals, 0.14 * offset)
            colour = (_OURS, _SECOND)[offset]
            axis.errorbar(places, means, yerr=spread, fmt="o-", capsize=3, color=colour, label=title)
        axis.axhline(0, color="black", lw=0.8)
        axis.set_xticks([i + 0.07 for i in range(len(shown))], list(shown.values()))
        axis.set_xlim(-0.43, len(shown) - 0.43)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#dddddd", lw=0.6)
    axes[0].set_xlabel("share of pixels that may clip (kappa); off: no guards")
    axes[1].set_xlabel("range of the targets, at .15")
    axes[0].set_ylabel("points above no targets")
    axes[0].set_title(f"{group.title}: gain of exposure targets", fontsize=10, loc="left")
    axes[0].set_ylim(bottom=min(-1.0, axes[0].get_ylim()[0]))
    axes[1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(out, dpi=110)
    plt.close(figure)


def plot_views(group: Group, out: Path) -> None:
    """Accuracy by the number of views of each image at equal compute: left kNN, right the probe; a dot is a seed."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    policies = group.by_views()
    for axis, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        for place, (policy, rows) in enumerate(policies.items()):
            colour = _MANUAL if is_manual(policy) else (_OURS, _SECOND)[place % 2]
            counts, means = list(rows), [group.mean(name, group.exposure, measure) for name in rows.values()]
            axis.plot(counts, means, "o-", color=colour, label=policy)
            for count, name in rows.items():
                single = [row["scores"][group.exposure][measure] for row in group.rows[name].values()]
                axis.plot([count] * len(single), single, ".", color=colour, ms=4, alpha=0.5)
        counts = sorted({count for rows in policies.values() for count in rows})
        axis.set_xscale("log", base=2)
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.minorticks_off()
        axis.set_xlabel("views of each image, as many a step")
        axis.set_title(f"{group.title}: {title}, % right", fontsize=10, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#dddddd", lw=0.6)
    axes[1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(out, dpi=110)
    plt.close(figure)


def plot_bouts(shown: list[Bout], out: Path) -> None:
    """The summary as a picture: a row for each data set, an interval for each measure, pale above the usual recipe."""
    figure, axis = plt.subplots(figsize=(9, 1.1 + 0.5 * len(shown)), layout="constrained")
    series = [(measure, usual) for usual in (False, True) for measure in MEASURES]
    for offset, (measure, usual) in enumerate(series):
        intervals = {i: (b.usual if usual else b.intervals).get(measure) for i, b in enumerate(shown)}
        places, means, spread = _bars(intervals, 0.19 * offset)
        axis.errorbar(
            means, places, xerr=spread, fmt="o", lw=2.5, ms=6,
            color=(_OURS, _SECOND)[offset % 2], alpha=0.35 if usual else 1.0,
            label=f"{MEASURES[measure]}, above {USUAL if usual else 'the best manual policy'}",
        )  # fmt: skip
    axis.axvline(0, color="black", lw=0.8)
    axis.set_yticks(
        [i + 0.28 for i in range(len(shown))],
        [f"{b.title}\n{b.ours} against {b.manual}" for b in shown],
        fontsize=8,
    )
    for i in range(0, len(shown), 2):
        axis.axhspan(i - 0.22, i + 0.78, color="#f5f5f5", lw=0)
    axis.set_ylim(len(shown) - 0.22, -0.22)
    axis.set_xlabel("points, 95 % interval")
    axis.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", color="#dddddd", lw=0.6)
    figure.savefig(out, dpi=110)
    plt.close(figure)
