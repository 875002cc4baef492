"""What the bank says (`benchmarks.bank`): the package's memory, and screening replayed with each set left out of it.

Replayed is what a screening with the first seed would have found from the memory of the other sets, judged by the
second seed, whose images, weights and draws are others. The verification that follows in a search is not replayed: it
would keep the start where the corner found is not surely better. Points are lost to the best policy of the bank, chosen
after the fact on both seeds, which flatters it and not us.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug.backend.writing import write_atomically
from adaptaug.learn.design import corners
from adaptaug.learn.effects import Effects, fit
from adaptaug.learn.factors import NAMES, levels_from, levels_of, signs
from adaptaug.learn.memory import Memory, Remembered, named
from adaptaug.learn.screening import best_corners, screened_levels, sentences
from adaptaug.learn.work import COUNTED
from adaptaug.policy import Policy, preset_names

PORTFOLIO = 6  # policies that a memory keeps
DESIGN = [signs(levels) for levels in corners()]


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a set; one that was cut off when its writer was killed is none, and is removed."""
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_atomically(file, lambda out: out.write(whole.encode()))
    return [json.loads(line) for line in whole.splitlines()]


@dataclass(frozen=True)
class Known:
    """A set of the bank; `scores[seed][policy][measure]` in percent."""

    name: str
    profile: dict[str, float]
    off: list[str]
    scores: dict[int, dict[str, dict[str, float]]]

    @property
    def factors(self) -> list[str]:
        return [name for name in NAMES if name not in self.off]

    @property
    def seeds(self) -> list[int]:
        """Those with the whole design."""
        return [seed for seed, scores in sorted(self.scores.items()) if set(DESIGN) <= set(scores)]

    def score(self, policy: str, seed: int, objective: str) -> float:
        return float(np.mean([self.scores[seed][policy][measure] for measure in COUNTED[objective]]))

    def policies(self) -> list[str]:
        """What every whole seed has."""
        return [p for p in self.scores[self.seeds[0]] if all(p in self.scores[seed] for seed in self.seeds)]

    def mean(self, policy: str, objective: str) -> float:
        return float(np.mean([self.score(policy, seed, objective) for seed in self.seeds]))

    def behind(self, objective: str) -> dict[str, float]:
        """Points that each policy is below the best, over all seeds."""
        means = {policy: self.mean(policy, objective) for policy in self.policies()}
        return {policy: round(max(means.values()) - mean, 2) for policy, mean in means.items()}

    def effects(self, objective: str, seeds: list[int], memory: Memory | None = None) -> Effects:
        """Of the design's runs; each seed about its own mean."""
        scores = np.array([[self.score(policy, seed, objective) for policy in DESIGN] for seed in seeds])
        centred = scores - scores.mean(1, keepdims=True)
        priors = memory.priors(self.profile, objective) if memory else {}
        return fit([*corners()] * len(seeds), centred.ravel(), (), self.factors, priors)


def whole(folder: Path) -> list[Known]:
    """The sets of which the bank has at least one whole design."""
    sets = []
    for file in sorted(folder.glob("bank-*/*.jsonl")):
        head, *rows = read(file)
        scores: dict[int, dict[str, dict[str, float]]] = {}
        for row in rows:
            scores.setdefault(row["seed"], {})[row["policy"]] = row["scores"]
        known = Known(head["set"], head["profile"], head["inert"], scores)
        if known.seeds:
            sets.append(known)
    return sets


def portfolio(sets: list[Known]) -> list[str]:
    """Policies of least regret: one after the other that which lowers most what is lost, in the mean over sets and both
    objectives, by whoever takes the best of them."""
    lost = [known.behind(objective) for known in sets for objective in COUNTED]
    offered = sorted(set.intersection(*(set(one) for one in lost)))
    chosen: list[str] = []
    while len(chosen) < min(PORTFOLIO, len(offered)):
        cost = {p: float(np.mean([min(one[q] for q in (*chosen, p)) for one in lost])) for p in offered}
        chosen.append(min((p for p in offered if p not in chosen), key=lambda p: cost[p]))
    return chosen


def remembered(sets: list[Known]) -> list[Remembered]:
    """What the package's memory says of them."""
    kept = portfolio(sets) if sets else []
    return [
        Remembered(
            name=known.name, profile=known.profile,
            effects={o: named(known.effects(o, known.seeds).summary()) for o in COUNTED},
            behind={o: {p: known.behind(o)[p] for p in kept} for o in COUNTED},
        )
        for known in sets
    ]  # fmt: skip


def replayed(sets: list[Known]) -> list[dict[str, Any]]:
    """A row for each set and objective."""
    return [_replay(known, objective, sets) for known in sets for objective in COUNTED]


def _replay(known: Known, objective: str, sets: list[Known]) -> dict[str, Any]:
    others = [other for other in sets if other is not known]
    memory = Memory(remembered(others))
    picked, judged = known.seeds[0], known.seeds[-1]
    effects = known.effects(objective, [picked], memory)
    lost = {p: known.behind("labels")[p] for p in known.policies()}
    presets = [name for name in preset_names() if name in lost]
    worst = max(presets, key=lambda name: lost[name])
    best = max(known.policies(), key=lambda p: known.mean(p, "labels"))
    starts: dict[str, Any] = {}
    for start in dict.fromkeys(("natural", worst)):
        here = levels_of(Policy.load(start))
        there = {screened_levels(levels_from(p), known.factors, known.off, here): p for p in DESIGN}
        choice = there[best_corners(effects, list(there), here)[0]]
        starts[start] = {
            "start loses": lost[start],
            "corner": choice,
            "corner loses": _below(known, best, choice, judged),
        }
    suggested = memory.suggestion(known.profile, objective)
    return {
        "set": known.name, "objective": objective, "best": best, "from": starts, "sets remembered": len(others),
        "judged by": f"seed {judged}" if judged != picked else "the seed that picked", "effects": sentences(effects),
        "memory alone": None if suggested is None else [suggested[0], lost.get(suggested[0])],
    }  # fmt: skip


def _below(known: Known, best: str, policy: str, seed: int) -> float:
    return round(known.score(best, seed, "labels") - known.score(policy, seed, "labels"), 2)


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown: points of labelled accuracy below the best policy of the bank."""
    lines = [
        "| set | objective | best | start | start loses | corner | loses |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for start, told in row["from"].items():
            cells = [row["set"], row["objective"], f"`{row['best']}`", start, f"{told['start loses']:.1f}",
                     f"`{told['corner']}`", f"{told['corner loses']:.1f}"]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
