"""Tables and plots of what benchmarks.accuracy measured, as one Markdown page.

    python -m benchmarks.report runs/accuracy.jsonl --out runs/accuracy.md

One section for each data set, exposure and recipe. Every policy is compared with the best manual one, which is chosen
by the hold-out, on the test split, seed by seed: mean difference and 95 % interval, Student's t over seeds and test
images (`paired_interval`). For two equal policies and five seeds it holds 0 in 98 of 100 simulated tables; a percentile
bootstrap over the seeds would in 85, one over seeds and images in 99.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.groups import MEASURES, USUAL, Bout, Group, bouts, read_groups, verdict
from benchmarks.plots import KAPPA, plot, plot_bouts, plot_targets, plot_views
from benchmarks.rivals import is_manual
from benchmarks.schema import output

RELIED_ON = ("clean", "grey", "hue", "occluded", "centre")
WHOLE = "natural"
PARTS = ("guards only", "targets narrow", "targets wide", "natural without colour", "natural without crop",
         "natural with wide stretch", "natural, grey .4")  # fmt: skip
SHIFTS = ("clean", "dark", "over", "low")


def summary(pairs: list[Bout]) -> list[str]:
    lines = [
        f"| trained and tested on | best manual | best of ours | kNN-20 | linear probe | above {USUAL}: kNN | probe |",
        "|" + "---|" * 7,
    ]
    for bout in pairs:
        points = [of.get(m) for of in (bout.intervals, bout.usual) for m in MEASURES]
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
            interval = group.against(name, best, measure) if best else None
            cells += [
                f"{group.mean(name, group.exposure, measure):.1f}",
                "" if interval is None else str(interval),
            ]
            verdicts += [] if interval is None else [verdict(interval)]
        searched, seconds = next(iter(rows.values()))["search"].get("epochs", 0), group.seconds(name)
        title = f"{name} *(manual)*" if is_manual(name) else name
        text = " / ".join(dict.fromkeys(verdicts)) if verdicts else "best manual" if name == best else ""
        lines.append(f"| {title} | {len(rows)} | {' | '.join(cells)} | {text} | "
                     f"{'other machine' if seconds is None else f'{seconds:.0f}'} | "
                     f"{f'{searched:g} epochs' if searched else ''} |")  # fmt: skip
    return lines


def _measured(group: Group, names: tuple[str, ...]) -> list[str]:
    """Those of the changed test splits that this data set has: grey images cannot be made grey."""
    first = next(iter(next(iter(group.rows.values())).values()))
    return [name for name in names if name in first["scores"]]


def of_views(group: Group) -> list[str]:
    """Accuracy by number of views, and points above the same policy with its fewest; empty where none was varied."""
    policies = group.by_views()
    counts = sorted({count for rows in policies.values() for count in rows})
    if not counts:
        return []
    lines = [
        "| kNN-20, linear probe | " + " | ".join(f"{n} views" for n in counts) + " |",
        "|" + "---|" * (len(counts) + 1),
    ]
    for policy, rows in policies.items():
        fewest, cells = next(iter(rows.values())), []
        for name in (rows.get(n) for n in counts):
            if name is None:
                cells.append("")
                continue
            above = [group.against(name, fewest, m) for m in MEASURES]
            shown = [f"{group.mean(name, group.exposure, m):.1f}" + (f" ({a})" if a else "")
                     for m, a in zip(MEASURES, above, strict=True)]  # fmt: skip
            cells.append(", ".join(shown))
        lines.append(f"| {policy} | {' | '.join(cells)} |")
    return lines


def variants(group: Group, names: tuple[str, ...]) -> list[str]:
    """The linear probe on changed test images; empty where they were not measured."""
    there = _measured(group, names)
    if len(there) < 2:
        return []
    lines = ["| policy (seeds) | " + " | ".join(there) + " |", "|" + "---|" * (len(there) + 1)]
    for name in group.rows:
        cells = [f"{group.mean(name, v, 'probe'):.1f}" for v in there]
        lines.append(f"| {name} ({len(group.rows[name])}) | {' | '.join(cells)} |")
    return lines


def points(group: Group, names: list[str], other: str) -> list[str]:
    """Policies against another, on the test split and on changed images; those with two seeds in common with it."""
    names = [n for n in names if other in group.rows and group.against(n, other, "knn")]
    if not names:
        return []
    there = _measured(group, tuple(dict.fromkeys((group.exposure, *RELIED_ON, *SHIFTS))))
    lines = [f"| kNN-20, linear probe | {' | '.join(there)} |", "|" + "---|" * (len(there) + 1)]
    for name in names:
        cells = []
        for variant in there:
            intervals = [group.against(name, other, m, variant) for m in MEASURES]
            sure = [f is not None and (f.low > 0 or f.high < 0) for f in intervals]
            cells.append(", ".join(f"**{f}**" if s else f"{f}" for f, s in zip(intervals, sure, strict=True)))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def section(group: Group, pictures: list[str] | None = None) -> list[str]:
    """All that is known of one data set and recipe; below its table the lines of its pictures."""
    recipe = group.recipe
    lines = [
        f"## {group.title}", "",
        f"Up to {recipe['limit']:,} images, {recipe['epochs']} epochs, {recipe['arch']}, batch {recipe['batch']}, "
        f"{recipe['labels'] or 'all'} labels. CPU s: of one training; search: in epochs of its own.", "",
        *table(group), "", *(pictures or []),
    ]  # fmt: skip
    for title, lines_of in (
        ("Views of each image, in as many views a step and steps (points above the fewest)", of_views(group)),
        ("Light of the test images (linear probe)", variants(group, SHIFTS)),
        ("What features rely on (linear probe)", variants(group, RELIED_ON)),
    ):
        lines += [f"### {title}", "", *lines_of, ""] if lines_of else []
    best, ours = group.best(manual=True), [n for n in group.rows if not is_manual(n)]
    others = [n for n in group.rows if n in PARTS or (is_manual(n) and n != best)]
    for title, chosen, other in (
        (f"ours, above {best}, the best manual policy", ours, best or ""),
        (f"other manual policies, and {WHOLE} with a part changed, above {WHOLE}", others, WHOLE),
    ):
        changed = points(group, chosen, other)
        if changed:
            lines += [f"### Points of {title}; bold: 0 is outside the interval", "", *changed, ""]
    return lines


def pictures(group: Group, out: Path) -> list[str]:
    """Draws what is to be drawn of a group beside `out`; the lines that show it."""
    images = [
        ("", plot, group.best(manual=True) and len(group.rows) > 1,
         "Differences from the best manual policy, and accuracy by brightness"),
        ("-targets", plot_targets, "guards only" in group.rows and len(set(KAPPA) & set(group.rows)) > 2,
         "What exposure targets gain, by the share of pixels that may clip and by range"),
        ("-views", plot_views, group.by_views(), "Accuracy by the number of views"),
    ]  # fmt: skip
    lines = []
    for suffix, draw, wanted, title in images:
        if wanted:
            name = f"{out.stem}-{group.slug}{suffix}.png"
            draw(group, out.with_name(name))
            lines += [f"![{title}]({name})", ""]
    return lines


def page(groups: list[Group], out: Path) -> str:
    """The page; its plots are written beside it."""
    assert __doc__ is not None
    pairs = [bout for bout in bouts(groups) if bout.intervals]
    lines = ["# Accuracy", "", __doc__.split("\n\n")[2].strip(), "", *summary(pairs), ""]
    if pairs:
        plot_bouts(pairs, out.with_suffix(".png"))
        title = "The best of ours against the best manual policy, and against the usual one"
        lines += [f"![{title}]({out.stem}.png)", ""]
    return "\n".join([*lines, *(line for group in groups for line in section(group, pictures(group, out)))])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=output, required=True)
    options = parser.parse_args()
    options.out.write_text(page(read_groups(options.files), options.out) + "\n")
    print(options.out)


if __name__ == "__main__":
    main()
