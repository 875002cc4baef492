"""Lines of benchmarks.accuracy as groups to compare within, and who is better there."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug.learn.intervals import Interval, over_runs, paired_interval
from benchmarks.rivals import is_manual, parted

MEASURES = {"knn": "kNN-20", "probe": "linear probe"}
USUAL = "simclr-cifar"  # what everyone uses on small images, tuned by nobody
Row = dict[str, Any]


@dataclass
class Group:
    """Rows of one data set, exposure and recipe: policy -> seed -> row."""

    data: str
    exposure: str
    recipe: dict[str, Any]
    rows: dict[str, dict[int, Row]]
    shared: bool = False  # whether another group has this data set and exposure, with another recipe

    @property
    def title(self) -> str:
        title = f"{Path(self.data).stem}, {self.exposure}"
        return f"{title}, {self.recipe['epochs']} epochs" if self.shared else title

    @property
    def slug(self) -> str:
        """Of its pictures' names: the same whatever other groups there are."""
        name = f"{Path(self.data).stem} {self.exposure} {self.recipe['limit']}x{self.recipe['epochs']}"
        return re.sub("[^a-z0-9]+", "-", name.lower())

    def mean(self, policy: str, variant: str, measure: str) -> float:
        return float(np.mean([row["scores"][variant][measure] for row in self.rows[policy].values()]))

    def seconds(self, policy: str) -> float | None:
        """Of one training, over the lines from the machine that most lines are from; None: none of them."""
        machines = Counter(row["machine"] for rows in self.rows.values() for row in rows.values())
        usual = machines.most_common(1)[0][0]
        times = [r["cpu_seconds"] for r in self.rows[policy].values() if r["machine"] == usual]
        return float(np.mean(times)) if times else None

    def longer(self, policy: str) -> bool:
        """Whether it trained longer than the recipe says, to spend as much time as a costlier policy."""
        row = next(iter(self.rows[policy].values()))
        passes = row["epochs"] * (row.get("views", 2) + row.get("small", 0) / 4) / 2  # with two views
        return round(passes) > self.recipe["epochs"]

    def best(self, manual: bool) -> str | None:
        """The best manual policy, as people run it, or of ours, with any number of views; on the hold-out (kNN and
        probe), of those with the most seeds; at most as many steps as the recipe says."""
        names = [
            n
            for n in self.rows
            if is_manual(n) == manual and not n.startswith("again:") and not self.longer(n)
            and parted(n)[1].keys() <= (set() if manual else {"views", "small"})
        ]  # fmt: skip
        most = max((len(self.rows[name]) for name in names), default=0)
        full = [name for name in names if len(self.rows[name]) == most]
        score = lambda name: sum(self.mean(name, "hold-out", m) for m in MEASURES)  # noqa: E731
        return max(full, key=score, default=None)

    def by_views(self) -> dict[str, dict[int, str]]:
        """Number of views -> row, of each policy that has rows with several numbers and nothing else changed."""
        counts: dict[str, dict[int, str]] = defaultdict(dict)
        for name in self.rows:
            policy, changes = parted(name)
            if changes.keys() <= {"views"}:
                counts[policy][changes.get("views", 2)] = name
        return {policy: dict(sorted(rows.items())) for policy, rows in counts.items() if len(rows) > 1}

    def against(self, policy: str, other: str, measure: str, variant: str | None = None) -> Interval | None:
        """Points of `policy` above `other` on the test split, or on a changed one; None with fewer than two common
        seeds. Lines have single hits of the test split alone, so that changed ones are compared over seeds only."""
        seeds = sorted(set(self.rows[policy]) & set(self.rows[other]))
        if len(seeds) < 2 or policy == other:
            return None
        mine, theirs = ([self.rows[name][seed] for seed in seeds] for name in (policy, other))
        if variant in (None, self.exposure):
            hits = lambda rows: np.array([bits(row["hits"][measure]) for row in rows])  # noqa: E731
            return paired_interval(hits(mine), hits(theirs))
        share = lambda rows: np.array([row["scores"][variant][measure] / 100 for row in rows])  # noqa: E731
        return over_runs(share(mine), share(theirs))


def bits(packed: str) -> np.ndarray:
    """Hits of test images as `protocol.judge` packs them: eight to a byte, the last of them filled up."""
    return np.unpackbits(np.frombuffer(base64.b64decode(packed), np.uint8)).astype(bool)


def read_groups(files: list[Path]) -> list[Group]:
    """Rows in the order in which data sets, policies and seeds first appear; epochs of longer rows do not split."""
    groups: dict[str, Group] = {}
    for file in files:
        for row in map(json.loads, file.read_text().splitlines()):
            name = json.dumps([row[k] for k in ("data", "exposure", "recipe", "size")])
            group = groups.setdefault(
                name, Group(row["data"], row["exposure"], row["recipe"], defaultdict(dict))
            )
            group.rows[row["policy"]][row["seed"]] = row
    count = Counter((group.data, group.exposure) for group in groups.values())
    for group in groups.values():
        group.shared = count[group.data, group.exposure] > 1
    return list(groups.values())


def verdict(interval: Interval) -> str:
    """What an interval of a difference says, by the rules set beforehand: above 0, above -1, or neither."""
    if interval.low > 0:
        return "**above**"
    if interval.high < 0:
        return "below"
    return "not below" if interval.low > -1 else "not resolved"


@dataclass(frozen=True)
class Bout:
    """The best of ours against the best manual policy of one group, both chosen by the hold-out; and against the
    recipe that everyone uses, untuned."""

    title: str
    manual: str
    ours: str
    intervals: dict[str, Interval]
    usual: dict[str, Interval]


def bouts(groups: list[Group]) -> list[Bout]:
    """One for each data set, and another where that manual policy trained longer, too: at equal time; or with as many
    views as ours."""
    matches = []
    for group in groups:
        manual, ours = group.best(manual=True), group.best(manual=False)
        if not manual or not ours:
            continue
        longer = [n for n in group.rows if n.startswith(f"{manual} x") and group.longer(n)]
        of_manual, count = group.by_views().get(manual, {}), parted(ours)[1].get("views", 2)
        alike = [of_manual[count]] if count > 2 and count in of_manual else []
        against = [
            (manual, ""),
            *((n, ", equal time") for n in longer),
            *((n, ", equal views") for n in alike),
        ]
        for name, how in against:
            title = group.title + how
            usual = _points(group, ours, USUAL) if name == manual != USUAL else {}
            matches.append(Bout(title, name, ours, _points(group, ours, name), usual))
    return matches


def _points(group: Group, ours: str, other: str) -> dict[str, Interval]:
    intervals = {m: group.against(ours, other, m) for m in MEASURES} if other in group.rows else {}
    return {m: interval for m, interval in intervals.items() if interval is not None}
