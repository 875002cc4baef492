"""A search's report: Markdown with three plots."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from adaptaug.backend.writing import write_atomically
from adaptaug.encoders.networks import fast_precision
from adaptaug.learn.arms import Arm, split_data
from adaptaug.learn.halving import Halving
from adaptaug.learn.outcome import HAND, Outcome
from adaptaug.learn.relevance import Relevance, relevance
from adaptaug.learn.screening import Screening
from adaptaug.learn.search import Search
from adaptaug.learn.space import DIMENSIONS, Dimension, coordinates

JUDGED = {
    "labels": "mean of kNN-20 and ridge",
    "images": "mean of what images ask of themselves (how they were turned, which cluster of edges they are in)",
}
_FOUND, _START, _GREY = "#0b6e4f", "#c8553d", "#b8bcc2"


def write_report(search: Search, outcome: Outcome, images: int = 1000) -> Path:
    """Write report.md and its plots into the search's folder and return its path."""
    if isinstance(search.how, Screening):
        from adaptaug.learn.screen_report import write_screen_report

        return write_screen_report(search, search.how, outcome)
    folder, how = outcome.folder, search.how
    relevances = _relevance(search, outcome, images)
    effects = arm_effects(
        [arm for arm in outcome.arms if arm.policy.guards], [d.name for d in how.dimensions]
    )
    plots = {"scores": _plot_rungs(outcome, how.schedule.rungs), "ranges": _plot_ranges(outcome),
             "relevance": _plot_relevance(relevances)}  # fmt: skip
    for name, plot in plots.items():
        write_atomically(folder / f"{name}.png", partial(plot.savefig, format="png", dpi=150))
    path = folder / "report.md"
    text = _text(search, how, outcome, relevances, effects).encode()
    write_atomically(path, lambda file: file.write(text))
    return path


def arm_effects(arms: list[Arm], names: list[str]) -> dict[str, tuple[float, float]]:
    """Points of first-rung accuracy per reach of each dimension, with a standard error: one ridge fit over all arms.

    Ridge with a small penalty, the standard error from the residuals; a rough guide with 30 arms in 10 dimensions.
    """
    reach = {d.name: d.high - d.low for d in DIMENSIONS}
    x = np.array([[arm.point[n] / reach[n] for n in names] for arm in arms])
    y = np.array([arm.scores[0] for arm in arms])
    x, y = x - x.mean(0), y - y.mean()
    inverse = np.linalg.inv(x.T @ x + 0.3 * np.eye(len(names)))
    weights = inverse @ x.T @ y
    spread = ((y - x @ weights) ** 2).sum() / max(1, len(y) - len(names) - 1)
    errors = np.sqrt(spread * np.diag(inverse @ x.T @ x @ inverse))
    return {n: (float(w), float(e)) for n, w, e in zip(names, weights, errors, strict=True)}


def _relevance(search: Search, outcome: Outcome, images: int) -> list[Relevance]:
    recipe = search.recipe
    split, encoder = split_data(recipe), search.verified_model(outcome.best).encoder.cpu()
    labels, queries = split.labels, split.queries
    if labels is not None:
        labels, queries = labels[labels >= 0], queries[torch.from_numpy(labels >= 0)]
    elif split.tasks is not None:
        labels = split.tasks.query_clusters
    assert labels is not None
    few = queries[:images]
    return relevance(encoder, few, labels[: len(few)], recipe.size, recipe.seed, fast_precision("cpu"))


# --- text --------------------------------------------------------------------------------------------------
def opening(search: Search, outcome: Outcome, tried: str) -> list[str]:
    """What was searched, what came of it, and at what cost."""
    recipe, best, gain, cost = search.recipe, outcome.best, outcome.gain, outcome.cost
    if outcome.shipped:
        verdict = (
            f"**{best.name} ships**: {gain} points above the start (95 % interval), "
            "on images that picked nothing."
        )
    elif gain is None:
        verdict = "**The start ships**: every other arm was surely worse on the images that pick."
    else:
        verdict = (f"**The start ships**: {best.name} was tried first, but its difference of {gain} points (95 % "
                   "interval) does not lie above zero.")  # fmt: skip
    return [
        f"# Search on {Path(recipe.data).name} from `{outcome.start.name}`, seed {recipe.seed}", "", verdict, "",
        f"Cost: {cost['arms']} {tried}, {cost['epochs']:.0f} epochs' worth of {recipe.arch} at {recipe.size} px "
        f"({cost['pairs']:,} pairs, {outcome.seconds:.0f} s of one core's training). "
        "The start could have trained that much longer instead: benchmarks/README.md has that row.",
    ]  # fmt: skip


def verification(search: Search, outcome: Outcome) -> list[str]:
    """How what was found was judged against the start."""
    recipe = search.recipe
    return [
        "## Verification",
        f"{search.how.runs} runs of {recipe.epochs} epochs from new weights, equal random numbers, "
        f"{JUDGED[search.objective]} on images that picked nothing, others in each run; the interval is "
        "Student's over runs. A second arm is tried where the first is proven; where no arm is tried, the start runs "
        "once.", "",
        "| arm | accuracy | above the start |", "|---|---|---|",
        *(f"| {name} | {score:.2f} | {outcome.against.get(name, '')} |" for name, score in outcome.verified.items()),
    ]  # fmt: skip


def policy_text(outcome: Outcome) -> list[str]:
    """The policy that ships, as its file has it."""
    return [
        "## The policy",
        "",
        "```yaml",
        outcome.policy.edit({}, provenance={}).dumps().rstrip(),
        "```",
        "",
    ]


def _text(
    search: Search, how: Halving, outcome: Outcome, relevances: list[Relevance],
    effects: dict[str, tuple[float, float]],
) -> str:  # fmt: skip
    here, there = coordinates(outcome.start), outcome.best.point
    by_name = {m.name: m for m in relevances}
    lines = [
        *opening(search, outcome, "arms"), "", *verification(search, outcome), "", "## What changed",
        "Effect: change of accuracy after the first rung from one end of the dimension to the other, a linear fit over "
        "all arms. Moved and crossed: the operation alone at half its reach (probabilities: always); mean cosine "
        "distance of the features, and how many more nearest neighbours have another label.", "",
        "| dimension | unit | start | found | | effect, points | moved | crossed |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(d, here[d.name], there[d.name], effects.get(d.name), d.name in how.off, by_name.get(d.name))
          for d in DIMENSIONS), "",
        "![ranges](ranges.png)", "", "## Scores per rung",
        f"Warm-up {how.schedule.warm_up} epochs, then {', '.join(map(str, how.schedule.rungs))} more. "
        "The first arms stay to the end.", "",
        "![scores](scores.png)", "", "## Relevance", "", "![relevance](relevance.png)", "", *policy_text(outcome),
    ]  # fmt: skip
    return "\n".join(lines)


def _row(
    dimension: Dimension, here: float, there: float, effect: tuple[float, float] | None, off: bool,
    relevance: Relevance | None,
) -> str:  # fmt: skip
    arrow = "=" if abs(there - here) < 0.005 else "up" if there > here else "down"
    points = (
        "changes no pixel: off"
        if off
        else "locked"
        if effect is None
        else f"{effect[0]:+.1f} +- {effect[1]:.1f}"
    )
    crossing = f"{relevance.moved:.3f} | {100 * relevance.crossed:+.1f} %" if relevance else "|"
    return f"| {dimension.name} | {dimension.unit} | {here:.2f} | {there:.2f} | {arrow} | {points} | {crossing} |"


# --- plots -------------------------------------------------------------------------------------------------
def axes_of(width: float, height: float, title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    return figure, axes


def _plot_rungs(outcome: Outcome, rungs: Sequence[int]) -> Figure:
    figure, axes = axes_of(7, 4, "Every arm on held-out images as it climbs")
    epochs = np.cumsum(rungs)
    for arm in outcome.arms:
        best, start = arm is outcome.best, arm.name == HAND
        colour = _FOUND if best else _START if start else _GREY
        axes.plot(epochs[: len(arm.scores)], arm.scores, "o-", color=colour, markersize=4,
                  linewidth=2 if best or start else 1, zorder=3 if best or start else 1)  # fmt: skip
    ends = sorted(
        {outcome.best.name: outcome.best, HAND: outcome.arms[0]}.values(), key=lambda a: a.scores[-1]
    )
    for arm in ends:
        axes.annotate(f" {arm.name} {arm.scores[-1]:.1f}", (epochs[len(arm.scores) - 1], arm.scores[-1]),
                      color=_FOUND if arm is outcome.best else _START, va="center", fontsize=9)  # fmt: skip
    axes.set(xlabel="epochs after the warm-up", ylabel="hits, %", xticks=epochs)
    axes.set_xlim(epochs[0] - 0.2, epochs[-1] * 1.25)  # room for the names
    return figure


def _plot_ranges(outcome: Outcome) -> Figure:
    figure, axes = axes_of(7, 4.2, "Where the search went in each dimension")
    here, there = coordinates(outcome.start), outcome.best.point
    for row, d in enumerate(reversed(DIMENSIONS)):
        start, best = ((value - d.low) / (d.high - d.low) for value in (here[d.name], there[d.name]))
        axes.plot([0, 1], [row, row], color="#e6e8eb", linewidth=6, solid_capstyle="round", zorder=0)
        axes.annotate("", (best, row), (start, row), arrowprops={"arrowstyle": "->", "color": "#555"})
        axes.plot(start, row, "o", color=_START, markersize=7, zorder=2)
        axes.plot(best, row, "D", color=_FOUND, markersize=6, zorder=3)
        axes.text(1.04, row, f"{here[d.name]:.2f} → {there[d.name]:.2f} {d.unit}", va="center", fontsize=8.5)
    axes.set_yticks(range(len(DIMENSIONS)), [d.name for d in reversed(DIMENSIONS)])
    axes.set(xticks=[], xlim=(-0.03, 1.5))
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.plot([], [], "o", color=_START, label="start")
    axes.plot([], [], "D", color=_FOUND, label=outcome.best.name)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    return figure


def _plot_relevance(relevances: list[Relevance]) -> Figure:
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = [m.name for m in relevances][::-1]
    left.barh(names, [m.moved for m in relevances][::-1], color=_FOUND)
    right.barh(names, [100 * m.crossed for m in relevances][::-1], color=_START)
    left.set_title("How far features move", loc="left", fontsize=10)
    left.set_xlabel("cosine distance at half strength")
    right.set_title("How many nearest neighbours change label", loc="left", fontsize=10)
    right.set_xlabel("% more than untouched images")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    return figure
