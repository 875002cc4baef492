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
        entry = Known(head["set"], head["profile"], head["inert"], scores)
        if entry.seeds:
            sets.append(entry)
    return sets


def portfolio(sets: list[Known]) -> list[str]:
    """Policies of least regret: one after the other that which lowers most what is lost, in the mean over sets and both
    objectives, by whoever takes the best of them."""
    lost = [entry.behind(objective) for entry in sets for objective in COUNTED]
    offered = sorted(set.intersection(*(set(one) for one in lost)))
    choice: list[str] = []
    while len(choice) < min(PORTFOLIO, len(offered)):
        cost = {p: float(np.mean([min(one[q] for q in (*choice, p)) for one in lost])) for p in offered}
        choice.append(min((p for p in offered if p not in choice), key=lambda p: cost[p]))
    return choice


def remembered(sets: list[Known]) -> list[Remembered]:
    """What the package's memory says of them."""
    policies = portfolio(sets) if sets else []
    return [
        Remembered(
            name=entry.name, profile=entry.profile,
            effects={o: named(entry.effects(o, entry.seeds).summary()) for o in COUNTED},
            behind={o: {p: entry.behind(o)[p] for p in policies} for o in COUNTED},
        )
        for entry in sets
    ]  # fmt: skip


def replayed(sets: list[Known]) -> list[dict[str, Any]]:
    """A row for each set and objective."""
    return [_replay(entry, objective, sets) for entry in sets for objective in COUNTED]


def _replay(entry: Known, objective: str, sets: list[Known]) -> dict[str, Any]:
    others = [other for other in sets if other is not entry]
    memory = Memory(remembered(others))
    picked, judged = entry.seeds[0], entry.seeds[-1]
    effects = entry.effects(objective, [picked], memory)
    lost = {p: entry.behind("labels")[p] for p in entry.policies()}
    presets = [name for name in preset_names() if name in lost]
    worst = max(presets, key=lambda name: lost[name])
    best = max(entry.policies(), key=lambda p: entry.mean(p, "labels"))
    starts: dict[str, Any] = {}
    for start in dict.fromkeys(("natural", worst)):
        here = levels_of(Policy.load(start))
        there = {screened_levels(levels_from(p), entry.factors, entry.off, here): p for p in DESIGN}
        choice = there[best_corners(effects, list(there), here)[0]]
        starts[start] = {
            "start loses": lost[start],
            "corner": choice,
            "corner loses": _below(entry, best, choice, judged),
        }
    suggested = memory.suggestion(entry.profile, objective)
    return {
        "set": entry.name, "objective": objective, "best": best, "from": starts, "sets remembered": len(others),
        "judged by": f"seed {judged}" if judged != picked else "the seed that picked", "effects": sentences(effects),
        "memory alone": None if suggested is None else [suggested[0], lost.get(suggested[0])],
    }  # fmt: skip


def _below(entry: Known, best: str, policy: str, seed: int) -> float:
    return round(entry.score(best, seed, "labels") - entry.score(policy, seed, "labels"), 2)


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown: points of labelled accuracy below the best policy of the bank."""
    lines = [
        "| set | objective | best | start | start loses | corner | loses |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for start, outcome in row["from"].items():
            cells = [row["set"], row["objective"], f"`{row['best']}`", start, f"{outcome['start loses']:.1f}",
                     f"`{outcome['corner']}`", f"{outcome['corner loses']:.1f}"]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
