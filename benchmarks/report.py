"""Tables and plots of what benchmarks.accuracy measured, as one Markdown page.

    python -m benchmarks.report benchmarks/results/accuracy-*.jsonl --out benchmarks/results/accuracy.md

One section for each data set, exposure and recipe. Every policy is compared with the best manual one, which is chosen
by the hold-out, on the test split, seed by seed: mean difference and 95 % interval, Student's t over seeds and test
images (`paired_interval`). For two equal policies and five seeds it holds 0 in 98 of 100 simulated tables; a percentile
bootstrap over the seeds would in 85, one over seeds and images in 99.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from adaptaug.learn.statistics import Interval, paired_interval
from benchmarks.rivals import is_manual

matplotlib.use("Agg")
from matplotlib import pyplot as plt

MEASURES = {"knn": "kNN-20", "probe": "linear probe"}
RELIED_ON = ("clean", "grey", "hue", "occluded", "centre")
SHIFTS = ("clean", "dark", "over", "low")
KAPPA = {
    "clip .05": ".05",
    "clip .1": ".1",
    "natural": ".15",
    "clip .25": ".25",
    "targets without guards": "off",
}
RANGES = {"targets narrow": "narrow", "natural": "as in natural", "targets wide": "wide"}
USUAL = "simclr-cifar"  # what everyone uses on small images, tuned by nobody
_OURS, _MANUAL = "#0b6e99", "#8a8a8a"
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

    def mean(self, policy: str, variant: str, measure: str) -> float:
        return float(np.mean([row["scores"][variant][measure] for row in self.rows[policy].values()]))

    def seconds(self, policy: str) -> float | None:
        """Of one training, over the lines from the machine that most lines are from; None: none of them."""
        machines = Counter(row["machine"] for rows in self.rows.values() for row in rows.values())
        usual = machines.most_common(1)[0][0]
        found = [r["cpu_seconds"] for r in self.rows[policy].values() if r["machine"] == usual]
        return float(np.mean(found)) if found else None

    def longer(self, policy: str) -> bool:
        """Whether it trained longer than the recipe says, to spend as much time as a dearer policy."""
        return next(iter(self.rows[policy].values()))["epochs"] > self.recipe["epochs"]

    def best(self, manual: bool) -> str | None:
        """The best manual policy, or of ours, on the hold-out (kNN and probe), of those with the most seeds; at most
        as many steps as the recipe says."""
        names = [
            n
            for n in self.rows
            if is_manual(n) == manual and not n.startswith("again:") and not self.longer(n)
        ]
        most = max((len(self.rows[name]) for name in names), default=0)
        full = [name for name in names if len(self.rows[name]) == most]
        score = lambda name: sum(self.mean(name, "hold-out", m) for m in MEASURES)  # noqa: E731
        return max(full, key=score, default=None)

    def against(self, policy: str, other: str, measure: str) -> Interval | None:
        """Points of `policy` above `other` on the test split; None with fewer than two common seeds."""
        seeds = sorted(set(self.rows[policy]) & set(self.rows[other]))
        if len(seeds) < 2 or policy == other:
            return None
        mine, theirs = (
            [_bits(self.rows[name][s]["hits"][measure]) for s in seeds] for name in (policy, other)
        )
        return paired_interval(np.array(mine), np.array(theirs))


def _bits(packed: str) -> np.ndarray:
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


def verdict(found: Interval) -> str:
    """What an interval of a difference says, by the rules set beforehand: above 0, above -1, or neither."""
    if found.low > 0:
        return "**above**"
    if found.high < 0:
        return "below"
    return "not below" if found.low > -1 else "not resolved"


# --- the page -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Bout:
    """The best of ours against the best manual policy of one group, both chosen by the hold-out; and against the
    recipe that everyone uses, untuned."""

    title: str
    manual: str
    ours: str
    found: dict[str, Interval]
    usual: dict[str, Interval]


def bouts(groups: list[Group]) -> list[Bout]:
    """One for each data set, and another where that manual policy trained longer, too: at equal time."""
    found = []
    for group in groups:
        manual, ours = group.best(manual=True), group.best(manual=False)
        if not manual or not ours:
            continue
        longer = [n for n in group.rows if n.startswith(f"{manual} x") and group.longer(n)]
        for name in (manual, *longer):
            title = f"{group.title}, equal time" if name in longer else group.title
            usual = {} if name in longer or name == USUAL else _points(group, ours, USUAL)
            found.append(Bout(title, name, ours, _points(group, ours, name), usual))
    return found


def _points(group: Group, ours: str, other: str) -> dict[str, Interval]:
    found = {m: group.against(ours, other, m) for m in MEASURES} if other in group.rows else {}
    return {m: interval for m, interval in found.items() if interval is not None}


def summary(found: list[Bout]) -> list[str]:
    lines = [
        f"| trained and tested on | best manual | best of ours | kNN-20 | linear probe | above {USUAL}: kNN | probe |",
        "|" + "---|" * 7,
    ]
    for bout in found:
        points = [of.get(m) for of in (bout.found, bout.usual) for m in MEASURES]
        cells = ["" if f is None else f"{f}, {verdict(f)}" for f in points]
        lines.append(f"| {bout.title} | {bout.manual} | {bout.ours} | {' | '.join(cells)} |")
    return lines


def table(group: Group) -> list[str]:
    """Every policy, ours and the manual ones, the best kNN first."""
    best = group.best(manual=True)
    heads = [f"{title} | above {best or '-'}" for title in MEASURES.values()]
    lines = [f"| policy | seeds | {' | '.join(heads)} | verdict | CPU s | search |", "|" + "---|" * 9]
    for name in sorted(group.rows, key=lambda n: -group.mean(n, group.exposure, "knn")):
        rows = group.rows[name]
        cells, verdicts = [], []
        for measure in MEASURES:
            found = group.against(name, best, measure) if best else None
            cells += [f"{group.mean(name, group.exposure, measure):.1f}", "" if found is None else str(found)]
            verdicts += [] if found is None else [verdict(found)]
        searched, seconds = next(iter(rows.values()))["search"].get("epochs", 0), group.seconds(name)
        title = f"{name} *(manual)*" if is_manual(name) else name
        said = " / ".join(dict.fromkeys(verdicts)) if verdicts else "best manual" if name == best else ""
        lines.append(f"| {title} | {len(rows)} | {' | '.join(cells)} | {said} | "
                     f"{'other machine' if seconds is None else f'{seconds:.0f}'} | "
                     f"{f'{searched:g} epochs' if searched else ''} |")  # fmt: skip
    return lines


def variants(group: Group, names: tuple[str, ...]) -> list[str]:
    """The linear probe on changed test images; empty where they were not measured."""
    first = next(iter(next(iter(group.rows.values())).values()))
    there = [name for name in names if name in first["scores"]]
    if len(there) < 2:
        return []
    lines = ["| policy (seeds) | " + " | ".join(there) + " |", "|" + "---|" * (len(there) + 1)]
    for name in group.rows:
        cells = [f"{group.mean(name, v, 'probe'):.1f}" for v in there]
        lines.append(f"| {name} ({len(group.rows[name])}) | {' | '.join(cells)} |")
    return lines


def page(groups: list[Group], out: Path) -> str:
    """The page; its plots are written beside it."""
    assert __doc__ is not None
    shown = [bout for bout in bouts(groups) if bout.found]
    lines = ["# Accuracy", "", __doc__.split("\n\n")[2].strip(), "", *summary(shown), ""]
    if shown:
        plot_bouts(shown, out.with_suffix(".png"))
        lines += [f"![The best of ours against the best manual policy, and against the usual one]({out.stem}.png)", ""]
    for number, group in enumerate(groups):
        recipe = group.recipe
        lines += [
            f"## {group.title}", "",
            f"Up to {recipe['limit']:,} images, {recipe['epochs']} epochs, {recipe['arch']}, batch {recipe['batch']}, "
            f"{recipe['labels'] or 'all'} labels. CPU s: of one training; search: in epochs of its own.", "",
            *table(group), "",
        ]  # fmt: skip
        if group.best(manual=True) and len(group.rows) > 1:
            name = f"{out.stem}-{number}.png"
            plot(group, out.with_name(name))
            lines += [f"![Differences from the best manual policy, and accuracy by brightness]({name})", ""]
        if "guards only" in group.rows and len(set(KAPPA) & set(group.rows)) > 2:
            name = f"{out.stem}-{number}-targets.png"
            plot_targets(group, out.with_name(name))
            lines += [
                f"![What exposure targets gain, by the share of pixels that may clip and by range]({name})",
                "",
            ]
        for title, names in (("Light of the test images (linear probe)", SHIFTS),
                             ("What features rely on (linear probe)", RELIED_ON)):  # fmt: skip
            found = variants(group, names)
            lines += [f"### {title}", "", *found, ""] if found else []
    return "\n".join(lines)


def plot(group: Group, out: Path) -> None:
    """Left: differences from the best manual policy with intervals. Right: the probe by tenth of brightness."""
    best = group.best(manual=True)
    assert best is not None
    found = {name: group.against(name, best, "probe") for name in group.rows}
    shown = sorted((n for n, f in found.items() if f is not None), key=lambda n: found[n].mean)  # type: ignore[union-attr]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 0.8 + 0.32 * max(8, len(shown))), layout="constrained"
    )
    for place, name in enumerate(shown):
        interval = found[name]
        assert interval is not None
        colour = _MANUAL if is_manual(name) else _OURS
        left.plot([interval.low, interval.high], [place, place], color=colour, lw=2.5, solid_capstyle="round")
        left.plot(interval.mean, place, "o", color=colour, ms=7)
    left.axvline(0, color="black", lw=0.8)
    left.set_yticks(range(len(shown)), shown)
    left.set_xlabel(f"points of the linear probe above {best}, 95 % interval")
    left.set_title(f"{group.title}: ours blue, manual grey", fontsize=10, loc="left")
    for name in [best, *_most_seeds(group, [n for n in reversed(shown) if not is_manual(n)])[:2]]:
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
            found = {i: group.against(name, "guards only", measure) for i, name in enumerate(shown)}
            known = {i + 0.14 * offset: f for i, f in found.items() if f is not None}
            spread = [[f.mean - f.low for f in known.values()], [f.high - f.mean for f in known.values()]]
            axis.errorbar(
                list(known), [f.mean for f in known.values()], spread, fmt="o-", capsize=3,
                color=(_OURS, "#e08a1e")[offset], label=title,
            )  # fmt: skip
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


def plot_bouts(shown: list[Bout], out: Path) -> None:
    """The summary as a picture: a row for each data set, an interval for each measure, pale above the usual recipe."""
    figure, axis = plt.subplots(figsize=(9, 1.1 + 0.5 * len(shown)), layout="constrained")
    series = [(measure, usual) for usual in (False, True) for measure in MEASURES]
    for offset, (measure, usual) in enumerate(series):
        of = [(b.usual if usual else b.found).get(measure) for b in shown]
        rows = {i + 0.19 * offset: f for i, f in enumerate(of) if f is not None}
        spread = [[f.mean - f.low for f in rows.values()], [f.high - f.mean for f in rows.values()]]
        axis.errorbar(
            [f.mean for f in rows.values()], list(rows), xerr=spread, fmt="o", lw=2.5, ms=6,
            color=(_OURS, "#e08a1e")[offset % 2], alpha=0.35 if usual else 1.0,
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.write_text(page(read_groups(options.files), options.out) + "\n")
    print(options.out)


if __name__ == "__main__":
    main()
