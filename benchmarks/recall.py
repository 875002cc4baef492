"""What the bank says (`benchmarks.bank`): the package's memory, and screening replayed with each set left out of it.

Replayed is what a screening with the first seed would have tried from the memory of the other sets, and which of it a
run with the second seed, whose images, weights and draws are others, puts above the start: in place of a search's four
runs and their interval. Points are lost to the best policy of the bank, which those two seeds chose; both are judged by
seeds that chose nothing where the bank has them (`FRESH`), else by those two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug.backend.writing import write_atomically
from adaptaug.learn.design import corners
from adaptaug.learn.effects import Effects, fit, sentences
from adaptaug.learn.factors import NAMES, levels_from, levels_of, signs
from adaptaug.learn.memory import Memory, Remembered, named
from adaptaug.learn.schedule import FINALISTS
from adaptaug.learn.screening import KNOWN, best_corners, screened_levels
from adaptaug.learn.work import COUNTED
from adaptaug.policy import Policy, preset_names

FRESH = (2, 3, 4)  # seeds that choose nothing
HALVING = "halving"  # the policy that a search by halving found of the set
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
        """Those with the whole design, which choose."""
        return [
            seed
            for seed, scores in sorted(self.scores.items())
            if set(DESIGN) <= set(scores) and seed not in FRESH
        ]

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
    """What the package's memory says of them: of the portfolio, and of the presets, which have no corner's levels."""
    presets = [p for p in preset_names() if all(p in entry.policies() for entry in sets)]
    policies = dict.fromkeys([*portfolio(sets), *presets]) if sets else []
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
    memory = Memory(remembered([other for other in sets if other is not entry]))
    effects = entry.effects(objective, [entry.seeds[0]], memory)
    lost = {p: entry.behind("labels")[p] for p in entry.policies()}
    presets = [name for name in preset_names() if name in lost]
    worst = max(presets, key=lambda name: lost[name])
    best = max(entry.policies(), key=lambda p: entry.mean(p, "labels"))
    starts: dict[str, Any] = {}
    for start in dict.fromkeys(("natural", worst)):
        finalists = _finalists(entry, objective, effects, memory, start)
        shipped = max([start, *finalists], key=lambda p: entry.score(p, entry.seeds[-1], objective))
        loses, seeds = _below(entry, best, shipped)
        starts[start] = {
            "start loses": lost[start], "verified": finalists, "ships": shipped, "ships loses": loses,
            "judged by": f"seeds {', '.join(map(str, seeds))}",
        }  # fmt: skip
    halved = all(HALVING in entry.scores.get(seed, {}) for seed in FRESH)
    return {
        "set": entry.name, "objective": objective, "best": best, "from": starts, "sets remembered": len(memory.sets),
        "effects": sentences(effects), "halving loses": _below(entry, best, HALVING)[0] if halved else None,
    }  # fmt: skip


def _finalists(entry: Known, objective: str, effects: Effects, memory: Memory, start: str) -> list[str]:
    """What a search from `start` verifies (`learn.screening`): of the design's corners and of what is remembered."""
    seed, here = entry.seeds[0], levels_of(Policy.load(start))
    there = {screened_levels(levels_from(p), entry.factors, entry.off, here): p for p in DESIGN}
    corners = best_corners(effects, list(there), here)[:FINALISTS]
    mean = np.mean([entry.score(p, seed, objective) for p in DESIGN])
    expected = {there[c]: float(mean + effects.predicted([c])[0]) for c in corners}
    offered = [p for p in memory.policies(entry.profile, objective) if p != start and p not in DESIGN][:KNOWN]
    reached = {p: entry.score(p, seed, objective) for p in offered}
    known = dict([max(reached.items(), key=lambda pair: pair[1])]) if reached else {}
    together = expected | known
    return sorted(together, key=lambda p: -together[p])[:FINALISTS]


def _below(entry: Known, best: str, policy: str) -> tuple[float, list[int]]:
    """Points of labelled accuracy below the best, and by which seeds."""
    fresh = [seed for seed in FRESH if {best, policy} <= set(entry.scores.get(seed, {}))]
    seeds = fresh or entry.seeds
    apart = [entry.score(best, seed, "labels") - entry.score(policy, seed, "labels") for seed in seeds]
    return round(float(np.mean(apart)), 2), seeds


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown: points of labelled accuracy below the best policy of the bank."""
    lines = [
        "| set | objective | best | start | loses | verified | ships | loses | judged by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for start, outcome in row["from"].items():
            cells = [row["set"], row["objective"], f"`{row['best']}`", start, f"{outcome['start loses']:.1f}",
                     ", ".join(f"`{policy}`" for policy in outcome["verified"]), f"`{outcome['ships']}`",
                     f"{outcome['ships loses']:.1f}", outcome["judged by"]]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
