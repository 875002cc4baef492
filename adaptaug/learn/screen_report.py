"""The report of a search by screening: what each factor does on this data, in points, and what cannot be told apart."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from adaptaug.backend.writing import write_atomically
from adaptaug.learn.design import INTERACTIONS, aliases
from adaptaug.learn.effects import Effects, Term, sentences
from adaptaug.learn.factors import FACTORS, NAMES, Factor, levels_of, signs
from adaptaug.learn.outcome import Outcome
from adaptaug.learn.report import axes_of, opening, policy_text, verification
from adaptaug.learn.screening import AGAIN, Screening
from adaptaug.learn.search import Search

_COST, _GAIN, _NEITHER = "#c8553d", "#0b6e4f", "#8a9099"


def write_screen_report(search: Search, how: Screening, outcome: Outcome) -> Path:
    """Write report.md and effects.png into the search's folder and return the report's path."""
    assert how.effects is not None
    plot = _plot(how.effects)
    write_atomically(outcome.folder / "effects.png", partial(plot.savefig, format="png", dpi=150))
    path = outcome.folder / "report.md"
    text = _text(search, how, how.effects, outcome).encode()
    write_atomically(path, lambda file: file.write(text))
    return path


def _text(search: Search, how: Screening, effects: Effects, outcome: Outcome) -> str:
    runs = [(arm.name.removeprefix("corner "), arm.scores[0]) for arm in outcome.arms if arm.correct]
    lines = [
        *opening(search, outcome, "policies"), "", "## What each factor does here", "",
        *(f"- {sentence}" for sentence in sentences(effects, how.off)), "",
        "![effects](effects.png)", "",
        f"Points of accuracy from the factor's low level to its high one, in the mean over the others, with a 95 % "
        f"interval; {how.budget} runs of {search.recipe.epochs} epochs from new weights, with equal random numbers; a "
        f"run's noise is {effects.noise:.1f} points ({len(AGAIN)} corners were trained twice; what the terms leave "
        "over counts, too). Expected: what data sets like this one said before.", "",
        "| factor | low | high | start | found | effect, points | expected |", "|---|---|---|---|---|---|---|",
        *(_row(factor, how, effects, outcome) for factor in FACTORS), "",
        *_interactions(effects), *verification(search, outcome),
        "", "## The runs",
        f"Levels of {', '.join(NAMES)}, in this order; names are of policies that the memory knows.", "",
        "| levels | accuracy |", "|---|---|",
        *(f"| `{levels}` | {score:.2f} |" for levels, score in sorted(runs, key=lambda run: -run[1])), "",
        "## What cannot be told apart",
        "No effect above is mixed with another one or with an interaction of two. Interactions in one row are mixed "
        "with each other; those in bold are fitted, and stand for the whole row.", "",
        *("- " + " = ".join(_pair(pair) for pair in column) for column in aliases(how.names)), "",
        *policy_text(outcome),
    ]  # fmt: skip
    return "\n".join(lines)


def _row(factor: Factor, how: Screening, effects: Effects, outcome: Outcome) -> str:
    place = NAMES.index(factor.name)
    start, best = (signs(levels)[place] for levels in (how.here, levels_of(outcome.policy)))
    if factor.name in how.off:
        effect, expected = "changes no pixel", ""
    elif factor.name not in how.names:
        effect, expected = "locked", ""
    else:
        prior = how.expected[factor.name,]
        effect = str(effects.interval((factor.name,)))
        expected = f"{prior.mean:+.1f} ± {prior.spread:.1f}"
    low = "large crops" if factor.name == "crop" else "off"
    return f"| {factor.name} | {low} | {factor.told} | {start} | {best} | {effect} | {expected} |"


def _interactions(effects: Effects) -> list[str]:
    rows = [
        f"- {' x '.join(pair)}: {effects.interval(pair)}" for pair in INTERACTIONS if pair in effects.terms
    ]
    return ["Interactions: how much more one does where the other is high.", "", *rows, ""] if rows else []


def _pair(pair: tuple[str, str]) -> str:
    name = " x ".join(pair)
    return f"**{name}**" if pair in INTERACTIONS else name


def _plot(effects: Effects) -> Figure:
    """Each effect with its interval, the greatest on top."""
    order = sorted(effects.terms, key=lambda term: abs(effects.interval(term).mean))
    figure, axes = axes_of(7, 1.2 + 0.36 * len(order), "What each factor does on this data")
    told: dict[Term, str] = {(factor.name,): factor.told for factor in FACTORS}
    for row, term in enumerate(order):
        interval = effects.interval(term)
        sure = interval.low > 0 or interval.high < 0
        colour = _NEITHER if not sure else _GAIN if interval.mean > 0 else _COST
        axes.plot(
            [interval.low, interval.high], [row, row], color=colour, linewidth=3, solid_capstyle="round"
        )
        axes.plot(interval.mean, row, "o", color=colour, markersize=7)
        axes.annotate(f"{interval.mean:+.1f}", (interval.mean, row), (0, 7), textcoords="offset points", ha="center",
                      color=colour, fontsize=9)  # fmt: skip
    axes.axvline(0, color="#333", linewidth=1, zorder=0)
    axes.set_yticks(range(len(order)), [told.get(term, " x ".join(term)) for term in order])
    axes.set_ylim(-0.6, len(order) - 0.2)
    axes.set_xlabel("points of accuracy, high against low, with 95 % interval")
    return figure
