"""The plot of a profile: the votes, and how every statistic is distributed over the images."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from adaptaug.report.profile import LIMITS, PRESETS, STATISTICS, THRESHOLDS, Profile
from adaptaug.stats.image import Statistic

_GREEN, _BAND, _INK, _RED, _BLUE = "#0b6e4f", "#e3ece7", "#222222", "#c8402a", "#2456a6"


def draw(profile: Profile, source: str) -> Figure:
    """The votes and one histogram a statistic, with quantiles, limits of the promise and presets' thresholds."""
    lines = -(-(1 + len(STATISTICS)) // 4)
    figure = Figure(figsize=(12.5, 8 / 3 * lines), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = list(figure.subplots(lines, 4).flat)
    _plot_votes(axes[0], {name: 100 * profile.share(name) for name in PRESETS})
    for spare in axes[1 + len(STATISTICS) :]:
        spare.remove()
    for ax, (name, statistic) in zip(axes[1:], STATISTICS.items(), strict=False):
        quantiles = [profile.quantile(name, q) for q in (0.05, 0.5, 0.95)]
        _plot_histogram(ax, statistic, 100 * profile.histograms[name] / len(profile.names), quantiles)
    figure.suptitle(f"{source}: {len(profile.names):,} images; suggested policy: {profile.advice()[0]}",
                    fontsize=14, fontweight="bold", x=0.01, ha="left")  # fmt: skip
    figure.legend(handles=[
        Patch(color=_GREEN, label="% of the images"), Patch(color=_BAND, label="5 to 95 % of them"),
        Line2D([], [], color=_INK, label="median"),
        Line2D([], [], color=_RED, linestyle="--", label="limit of the promise, for views"),
        Line2D([], [], color=_BLUE, linestyle=":", linewidth=2, label="threshold of a preset"),
    ], loc="outside lower left", ncols=5, frameon=False, fontsize=9)  # fmt: skip
    return figure


def _plot_votes(ax: Any, shares: dict[str, float]) -> None:
    ax.bar_label(
        ax.barh(list(shares), list(shares.values()), color=_GREEN), fmt="%.0f %%", padding=3, fontsize=9
    )
    ax.set(xlim=(0, 118), xticks=[])
    ax.invert_yaxis()
    _plain(ax, "The images look like", "top", "right", "bottom")


def _plot_histogram(ax: Any, statistic: Statistic, shares: np.ndarray, quantiles: list[float]) -> None:
    low, median, high = quantiles
    ax.axvspan(low, high, color=_BAND, linewidth=0)
    ax.stairs(
        shares.reshape(50, -1).sum(1), np.linspace(statistic.low, statistic.high, 51), fill=True, color=_GREEN
    )
    ax.axvline(median, color=_INK, linewidth=1.2)
    promised = LIMITS.get(statistic.short, ())
    for mark in promised + THRESHOLDS.get(statistic.short, ()):
        color, style = (_RED, "--") if mark in promised else (_BLUE, ":")
        ax.axvline(mark, color=color, linestyle=style, linewidth=1.5)
        ax.text(
            mark,
            1.01,
            f"{mark:.2f}",
            transform=ax.get_xaxis_transform(),
            color=color,
            fontsize=7,
            ha="center",
        )
    ax.set_title(f"median {median:.2f}", loc="right", fontsize=8, color="#555555", pad=12)
    ax.set_xlabel(statistic.unit, fontsize=8)
    ax.set_xlim(statistic.low, statistic.high)
    ax.locator_params(axis="y", nbins=4)
    _plain(ax, statistic.title, "top", "right")


def _plain(ax: Any, title: str, *spines: str) -> None:
    ax.set_title(title, loc="left", fontsize=10, fontweight="bold", pad=12)
    ax.spines[list(spines)].set_visible(False)
    ax.tick_params(labelsize=8)
