"""HTML of the tab that shows runs and searches, from what `ui.runs` has read."""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptaug.learn.space import DIMENSIONS
from adaptaug.ui.charts import Line, lines
from adaptaug.ui.runs import Found, Metrics, Study, Trial
from adaptaug.ui.templates import escape, number

EMPTY = """<div class="aa aa-empty"><h2>No run yet</h2>
<p>Start the demo, or begin the app with <code>--runs FOLDER</code>, the folder into which
<code>adaptaug pretrain --out</code> and <code>adaptaug search --out</code> write.</p></div>"""
CHARTS = (
    ("loss", "Loss", (("train_loss", "loss"),), None, 1.0),
    ("knn", "kNN accuracy, %", (("knn", "trained features"), ("knn_of_raw_pixels", "raw pixels")), None, 1.0),
    ("certificate", "Views the certificate changed, %", (("certificate_share", "share"),), None, 100.0),
    ("rankme", "Dimensions the features use (RankMe)", (("rankme", "RankMe"),), None, 1.0),
)
RUNG = "rung {}"
MAX_DRAWN = 500  # arms: as many dots as a browser draws in each of a dozen charts without a wait


def run_view(run: Found, metrics: Metrics) -> str:
    """A run: its charts, and what was left out of them."""
    charts = ""
    for key, title, names, bounds, scale in CHARTS:
        charts += _chart(metrics, key, title, dict(names), bounds, scale)
    charts += _band(metrics)
    steps = max((s[-1] for s, _ in metrics.series.values()), default=0.0)
    facts = [f"{steps:,.0f} steps"]
    facts += [
        f"{title} {number(metrics.series[name][1][-1])}"
        for name, title in (("train_loss", "loss"), ("knn", "kNN")) if name in metrics.series
    ]  # fmt: skip
    notes = []
    if metrics.skipped:
        notes.append(
            f"{metrics.skipped} line{'s' * (metrics.skipped != 1)} of metrics.jsonl hold no step and are passed over."
        )
    if metrics.cut:
        notes.append("metrics.jsonl is longer than this page reads: only its end is shown.")
    if not metrics.series:
        return _page(run, "run", "nothing is written yet", "", notes)
    return _page(run, "run", ", ".join(facts), f'<div class="aa-charts">{charts}</div>', notes)


def _band(metrics: Metrics) -> str:
    """What `adaptaug.BandController` tells of each step: pairs outside, how alike, and the strengths it gives."""
    inside = {name: name[5:].replace("_", " ") for name in metrics.series if name.startswith("band_")}
    outside = {name: told for name, told in inside.items() if told in ("below", "above")}
    strengths = {name: told[9:] for name, told in inside.items() if told.startswith("strength ")}
    rest = {name: told for name, told in inside.items() if name not in outside | strengths}
    return (
        _chart(metrics, "band", "Pairs outside the band, %", outside, (0.0, 100.0), 100.0)
        + _chart(metrics, "similarity", "Similarity of pairs, by their features", rest, None, 1.0)
        + _chart(metrics, "strengths", "Strength for each kind of image", strengths, None, 1.0)
    )


def _chart(metrics: Metrics, key: str, title: str, names: dict[str, str], bounds: Any, scale: float) -> str:
    series = [
        Line(shown, metrics.series[name][0], [scale * v for v in metrics.series[name][1]])
        for name, shown in names.items()
        if name in metrics.series
    ]
    return lines(title, series, "step", bounds, key)


def search_view(run: Found, study: Study, verdict: str = "") -> str:
    """A search: its verdict where it has ended, its arms' scores, the best so far, where in the space they lie."""
    if study.best is None:
        return _page(run, "search", "no arm is scored yet: the first scores come after the first rung's first arms",
                     "", [])  # fmt: skip
    leading = study.leading[:MAX_DRAWN]
    trials = sorted(leading, key=lambda t: t.number)
    best = np.maximum.accumulate([t.scores[0] for t in study.trials]).tolist()
    charts = lines("Accuracy after the first rung, %",
                   [Line("best so far", [t.number for t in study.trials], best),
                    Line("each arm", [t.number for t in trials], [t.scores[0] for t in trials], dots=True)],
                   "arm", key="scores")  # fmt: skip
    rungs = len(study.best.scores)
    climbing = [
        Line(name, list(range(1, len(t.scores) + 1)), t.scores)
        for name, t in ((f"leading: {study.best.name}", study.best), ("start", study.trials[0]))
        if rungs > 1 and len(t.scores) > 1
    ]
    charts += lines("The leading arm and the start, rung by rung, %", climbing, "rung", key="rungs")
    small = "".join(
        lines(d.name, [Line(d.name, [t.number for t in there], [t.point[d.name] for t in there],
                                           dots=True, mark=there.index(study.best) if study.best in there else None)],
              "arm", (d.low, d.high), f"dimension-{d.name}", d.unit)
        for d in DIMENSIONS if (there := [t for t in trials if d.name in t.point])
    )  # fmt: skip
    fact = f"{len(study.trials)} arms, {study.best.name} leads with {study.best.scores[-1]:.1f} % at rung {rungs}"
    ended = (
        f'<div class="aa-card" data-verdict><h3>Verdict</h3><p>{escape(verdict)}</p></div>' if verdict else ""
    )
    body = (
        f'{ended}<div class="aa-charts">{charts}</div><h3>Arms</h3>{_arms(leading, rungs, study.best)}'
        '<h3>Where the arms lie</h3><p class="faint">One chart a parameter of the policy; '
        "the larger dot is the leading arm.</p>"
        f'<div class="aa-charts small">{small}</div>'
    )
    left_out = f"Charts and table show the {MAX_DRAWN} arms that lead, of {len(study.trials)}."
    return _page(run, "search", fact, body, [left_out] if len(study.trials) > MAX_DRAWN else [])


def _arms(leading: list[Trial], rungs: int, best: Trial) -> str:
    heads = "".join(f'<th scope="col">{RUNG.format(r + 1)}, %</th>' for r in range(rungs))
    rows = ""
    for trial in leading:
        cells = "".join(f'<td class="num">{s:.1f}</td>' for s in trial.scores)
        cells += "<td>\N{EN DASH}</td>" * (rungs - len(trial.scores))
        mark = " <span class='aa-lead'>leads</span>" if trial is best else ""
        rows += f'<tr class="first"><th scope="row">{escape(trial.name)}{mark}</th>{cells}</tr>'
    return (
        '<div class="aa-scroll tall" tabindex="0" role="region" aria-label="Arms and their scores">'
        f'<table id="arms"><thead><tr><th scope="col">Arm</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _page(run: Found, kind: str, fact: str, body: str, notes: list[str]) -> str:
    text = "".join(f'<p class="faint">{escape(note)}</p>' for note in notes)
    return (
        f'<section class="aa aa-run" data-run="{escape(run.name)}"><header><h2>{escape(run.name)}</h2>'
        f'<p class="faint">{kind}: {escape(fact)}</p></header>{text}{body}</section>'
    )


def progress(state: dict[str, Any]) -> str:
    """How far the demo is, as a bar and a sentence."""
    if not state:
        return ""
    top = max(1, state["total"])
    bar = f'<progress max="{top}" value="{state["done"]}" aria-label="Trainings of the demo that are done"></progress>'
    running = "running" if state["running"] else "over"
    return f'<div class="aa aa-progress" data-state="{running}">{bar}<p>{escape(state["said"])}</p></div>'


def problem_of(run: Found, sentence: str) -> str:
    return _page(run, run.kind, sentence, "", [])


__all__ = ["EMPTY", "problem_of", "progress", "run_view", "search_view"]
