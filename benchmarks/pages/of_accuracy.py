"""Values of the pages about accuracy: policies against recipes tuned by hand, numbers of views, colour targets."""

from __future__ import annotations

from functools import cache, partial
from itertools import chain

from adaptaug.learn.intervals import Interval
from benchmarks import report
from benchmarks.groups import MEASURES, USUAL, Group, bouts, verdict
from benchmarks.pages.show import days, groups, half, measured, number, one, points, share, signed, table
from benchmarks.rivals import parted

COLOUR = "accuracy-*-colour"
MIXED, CLEAN = "cifar10-train-20k-mixed-8000x25", "cifar10-train-20k-clean-8000x25"
SHORT, SHORT_CLEAN = "cifar10-train-20k-mixed-5000x12", "cifar10-train-20k-clean-5000x12"
PARTS, FASHION = "cifar10-train-20k-clean-3000x10", "fashion-train-20k-clean-3000x10"
GLYPHS, MNIST, CELLS = (
    "glyphs-train-clean-2000x12",
    "mnist-train-20k-clean-5000x12",
    "cells-train-clean-2000x12",
)
DIGITS, DIGITS_LONG = "sklearn-digits-clean-5000x12", "sklearn-digits-clean-5000x60"
SIX = ("mixed_time", "clean_time", "mnist", "fashion", "glyphs", "cells")  # of the first page

# Name -> group, ours, the other; what they are called on docs/decide.md.
ROWS: dict[str, tuple[str, str, str, tuple[str, str, str]]] = {
    "mixed": (MIXED, "natural", "hand s=0.75 crop=0.2", (
        "CIFAR-10, a quarter each dark, over-exposed, flat and as it is; 8,000 images, 25 epochs", "`natural`",
        "colour s = .75, crop floor .2: the best tuned on a hold-out")),
    "mixed_second": (MIXED, "natural", "hand s=0.75 crop=0.35", (
        "the same", "`natural`", "s = .75, crop floor .35: the hold-out's second, the best of shorter trainings")),
    "mixed_time": (MIXED, "natural", "hand s=0.75 crop=0.35 x1.08", (
        "the same", "`natural`", "s = .75, crop floor .35, the second best, trained longer: equal time")),
    "short_usual": (SHORT, "natural", USUAL, ("the same, 5,000 images, 12 epochs", "`natural`", "`simclr-cifar`")),
    "short": (SHORT, "natural", "hand s=0.75 crop=0.35", (
        "the same", "`natural`", "s = .75, crop floor .35, the best tuned here")),
    "short_time": (SHORT, "natural", "hand s=0.75 crop=0.35 x1.14", (
        "the same", "`natural`", "that recipe, trained a sixth longer: equal time")),
    "short_search": (SHORT, "searched from digits", "hand s=0.75 crop=0.35", (
        "the same", "found by `search` from the wrong preset, `digits`", "that recipe, not longer")),
    "clean": (CLEAN, "natural", "hand s=0.5 crop=0.2", (
        "CIFAR-10 as it is, 8,000 images, 25 epochs", "`natural`",
        "colour s = .5, crop floor .2: the best tuned here")),
    "clean_time": (CLEAN, "natural", "hand s=0.5 crop=0.2 x1.08", (
        "the same", "`natural`", "that recipe, trained longer: equal time")),
    "clean_short": (SHORT_CLEAN, "natural", "hand s=0.5 crop=0.2", (
        "the same, 5,000 images, 12 epochs", "`natural`", "the best tuned here, the same recipe")),
    "clean_search": (SHORT_CLEAN, "searched from digits", "hand s=0.5 crop=0.2", (
        "the same", "found by `search` from the wrong preset, `digits`", "that recipe")),
    "fashion_usual": (FASHION, "searched from natural", USUAL, (
        "Fashion-MNIST, 3,000 images", "found by `search` from `natural`", "`simclr-cifar`")),
    "fashion": (FASHION, "searched from natural", "hand s=0.75 crop=1 upright", (
        "the same", "the same", "no crop, no flip, s = .75: the best of 24")),
    "fashion_natural": (FASHION, "natural", "hand s=0.75 crop=1 upright", ("the same", "`natural`", "that recipe")),
    "mnist_usual": (MNIST, "searched from natural", USUAL, (
        "MNIST, 5,000 images, 12 epochs", "found by `search` from `natural`", "`simclr-cifar`")),
    "mnist": (MNIST, "searched from natural", "hand s=0.5 crop=0.35 affine", (
        "the same", "the same", "tuned by hand for characters: no flip, small rotations and shears")),
    "mnist_digits": (MNIST, "digits", "hand s=0.5 crop=0.35 affine", ("the same", "`digits`", "that recipe")),
    "glyphs_usual": (GLYPHS, "searched from natural", USUAL, (
        "letters and digits in fonts, tested in other fonts", "found by `search` from `natural`", "`simclr-cifar`")),
    "glyphs": (GLYPHS, "searched from natural", "hand s=0.75 crop=0.6 upright", (
        "the same", "the same", "the best of twelve recipes for characters")),
    "glyphs_digits": (GLYPHS, "digits", "hand s=0.75 crop=0.6 upright", ("the same", "`digits`", "that recipe")),
    "digits_long": (DIGITS_LONG, "digits", "hand s=0.5 crop=0.6 affine", (
        "scikit-learn's digits, 1,150 images, 60 epochs", "`digits`", "the best of twelve here")),
    "digits": (DIGITS, "digits", "hand s=0.25 crop=1 upright", (
        "the same, 12 epochs: 96 steps", "`digits`", "the best of twelve here")),
    "cells_usual": (CELLS, "searched from simclr", USUAL, (
        "photographs of solar cells, 2,132 images", "found by `search` from `simclr`", "`simclr-cifar`")),
    "cells": (CELLS, "searched from simclr", "hand s=0.75 crop=0.35", (
        "the same", "the same", "s = .75, crop floor .35: the best of twelve")),
    "cells_natural": (CELLS, "natural", "hand s=0.75 crop=0.35", ("the same", "`natural`", "that recipe")),
    "cells_guards": (CELLS, "guards only", "natural", (
        "the same", "`natural` without exposure targets", "`natural` itself")),
}  # fmt: skip
_OF_THE_SIX = {
    "mixed_time": ("CIFAR-10 of mixed exposure", "`natural`", "none: equal time (the second-best recipe)"),
    "clean_time": ("CIFAR-10 as it is", "`natural`", "none: equal time"),
    "mnist": ("MNIST", "found by `search`", "the search, beside equal epochs"),
    "fashion": ("Fashion-MNIST", "found by `search`", "the search: 6 minutes"),
    "glyphs": ("characters in fonts", "found by `search`", "the search, beside equal epochs"),
    "cells_natural": ("photographs of solar cells", "`natural`", "a defect is dark; targets hide that"),
}


@cache
def accuracy_groups() -> dict[str, Group]:
    return groups("accuracy-*", COLOUR)


@cache
def intervals_of(name: str) -> dict[str, Interval]:
    """Measure -> points of a row."""
    group, ours, other, _ = ROWS[name]
    intervals = {measure: accuracy_groups()[group].against(ours, other, measure) for measure in MEASURES}
    return {measure: interval for measure, interval in intervals.items() if interval is not None}


def _cells(name: str) -> list[str]:
    return [points(intervals_of(name)[measure]) for measure in MEASURES]


def _dearer(group: str, other: str) -> str:
    """By how much more processor time a training with `natural` takes."""
    ours, theirs = (accuracy_groups()[group].seconds(name) for name in ("natural", other))
    assert ours and theirs
    return share(ours / theirs - 1, 0)


def _said(name: str) -> str:
    """What both intervals of a row say, in words no stronger than they are."""
    verdicts = [verdict(intervals_of(name)[measure]).strip("*") for measure in MEASURES]
    return " and ".join(f"{v} ({title})" for v, title in zip(verdicts, ("kNN", "probe"), strict=True))


def accuracy() -> dict[str, str]:
    searched = one("digits-search").findings()["summary"]
    mnist = min((row for row in searched if row["policy"].startswith("searched")), key=lambda row: row["knn"])
    old = ["MNIST, 6,000 images", "found by `search` from `simclr`, the worst of three searches", "`simclr`",
           *(points(half(mnist[f"{m} - simclr"])) for m in MEASURES)]  # fmt: skip
    rows = [[*ROWS[name][3], *_cells(name)] for name in ROWS]
    place = list(ROWS).index("mnist_usual")
    heads = ["images", "policy", "above", "kNN-20", "linear probe"]
    every = [[group.title, str(len(group.rows)), str(sum(len(r) for r in group.rows.values())), days(group)]
             for group in accuracy_groups().values()]  # fmt: skip
    values = chain.from_iterable(
        ((f"{name}_knn", points(intervals_of(name)["knn"])), (f"{name}_probe", points(intervals_of(name)["probe"])),
         (f"{name}_said", _said(name))) for name in ROWS
    )  # fmt: skip
    return {
        **dict(values),
        "rows": str(len(rows) + 1),
        "lost": str(sum(any(i.high < 0 for i in intervals_of(name).values()) for name in ROWS)),
        "dearer_mixed": _dearer(MIXED, "hand s=0.75 crop=0.35"),
        "dearer_clean": _dearer(CLEAN, "hand s=0.5 crop=0.2"),
        "table": table(heads, [*rows[:place], old, *rows[place:]]),
        "six": table(["data", "ours", "kNN-20", "linear probe", "cost"],
                     [[*_OF_THE_SIX[n][:2], *_cells(n), _OF_THE_SIX[n][2]] for n in _OF_THE_SIX]),
        "groups": table(["trained on", "policies", "trainings", "engine"], every),
        "parts": _parts(accuracy_groups()[PARTS]),
        "measured": measured("accuracy-cifar10-[!s]*", "accuracy-[!c]*"),
    }  # fmt: skip


def _parts(group: Group) -> str:
    """`natural` with one part changed, on the test split and on changed images."""
    variants = {None: "test split", "grey": "grey", "hue": "hue turned", "occluded": "a quarter occluded",
                "centre": "centre alone"}  # fmt: skip
    names = [name for name in report.PARTS if name in group.rows]
    whole = [
        ", ".join(number(group.mean("natural", v or group.exposure, m)) for m in MEASURES) for v in variants
    ]
    rows = [["`natural` itself, %", *whole]]
    for name in names:
        cells = []
        for variant in variants:
            intervals = [group.against(name, "natural", m, variant) for m in MEASURES]
            cells.append(", ".join(points(t).split(" (")[0] for t in intervals))
        rows.append([name.removeprefix("natural "), *cells])
    return table(["kNN-20, linear probe", *variants.values()], rows)


def rows() -> dict[str, str]:
    """All rows of all data sets, as benchmarks.report writes them."""
    every = list(accuracy_groups().values())
    return {
        "summary": "\n".join(report.summary([bout for bout in bouts(every) if bout.intervals])),
        "page": "\n".join(line for group in every for line in report.section(group)).strip(),
    }


def tuning() -> dict[str, str]:
    rows = []
    for group in groups("tune-*").values():
        names = [name for name in group.rows if name.startswith("hand")]
        score = {n: sum(group.mean(n, "hold-out", m) for m in MEASURES) / 2 for n in names}
        best = max(score, key=lambda n: score[n])
        second = sorted(score.values())[-2]
        rows.append([group.title, str(group.recipe["limit"]), str(group.recipe["epochs"]), str(len(names)),
                     f"`{best}`", number(score[best]), number(score[best] - second),
                     number(min(score.values()))])  # fmt: skip
    heads = ["trained on", "at most images", "epochs", "recipes", "the hold-out's best", "its hold-out",
             "above the second", "the worst"]  # fmt: skip
    return {
        "grids": str(len(rows)),
        "trainings": str(sum(int(row[3]) for row in rows)),
        "table": table(heads, rows),
        "measured": measured("tune-*"),
    }


def views() -> dict[str, str]:
    tables, values = [], {}
    for group in groups("views-*").values():
        recipe = group.recipe
        if not group.by_views():
            continue
        tables.append(f"**{group.title}**, {recipe['limit']:,} images, {recipe['epochs']} epochs:")
        cells = []
        for policy, of in group.by_views().items():
            fewest = next(iter(of.values()))
            for count, name in of.items():
                above = [points(group.against(name, fewest, m)) for m in MEASURES]
                means = [number(group.mean(name, group.exposure, m)) for m in MEASURES]
                seconds = group.seconds(name)
                cells.append([f"`{policy}`", str(count), str(len(group.rows[name])), means[0], above[0], means[1],
                              above[1], "" if seconds is None else f"{seconds:.0f}"])  # fmt: skip
        heads = [
            "policy",
            "views",
            "seeds",
            "kNN-20",
            "above the fewest",
            "linear probe",
            "above the fewest",
            "CPU s",
        ]
        tables.append(table(heads, cells))
    compared: tuple[tuple[str, str, str], ...] = (
        ("mixed", SHORT, "hand s=0.75 crop=0.35"), ("clean", SHORT_CLEAN, "hand s=0.5 crop=0.2")
    )  # fmt: skip
    for exposure, slug, manual in compared:
        group = groups("views-*")[slug]
        others = {"four": "natural", "recipe_four": f"{manual}, views=4", "recipe_two": manual}
        for name, other in others.items():
            for measure in MEASURES if other in group.rows else {}:
                gain = group.against("natural, views=4", other, measure)
                values[f"{exposure}_{name}_{measure}"] = points(gain)
    longer = groups("views-*")[MIXED]
    for measure in MEASURES:
        gain = longer.against("natural, views=4", "hand s=0.75 crop=0.35", measure)
        values[f"longer_{measure}"] = points(gain)
    values["longer_seeds"] = str(len(longer.rows["natural, views=4"]))
    group = groups("views-*")[SHORT]
    controls = [
        [f"`{name}`", str(len(group.rows[name])), *(number(group.mean(name, group.exposure, m)) for m in MEASURES)]
        for name in group.rows if {"batch", "norm"} & parted(name)[1].keys()
    ]  # fmt: skip
    return {
        **values,
        "table": "\n\n".join(tables),
        "controls": table(["on the mixed one", "seeds", "kNN-20", "linear probe"], controls),
        "measured": measured("views-*"),
    }


def _above(group: Group, name: str, measure: str, variant: str | None) -> str:
    """Points above `natural`, with an interval from three common seeds on."""
    seeds = set(group.rows[name]) & set(group.rows["natural"])
    interval = group.against(name, "natural", measure, variant)
    if interval is not None:
        return points(interval) if len(seeds) > 2 else signed(interval.mean)
    of = [next(iter(seeds))]
    scores = [group.rows[n][of[0]]["scores"][variant or group.exposure][measure] for n in (name, "natural")]
    return signed(scores[0] - scores[1])


def colour() -> dict[str, str]:
    variants = {"hold-out": "hold-out", None: "test split", "hue": "hue turned", "grey": "grey",
                "occluded": "a quarter occluded"}  # fmt: skip
    tables: list[str] = []
    values: dict[str, str] = {}
    for slug, group in groups(COLOUR).items():
        recipe, cells = group.recipe, []
        whole = [
            ", ".join(number(group.mean("natural", v or group.exposure, m)) for m in MEASURES)
            for v in variants
        ]
        cells.append(["`natural` itself, %", str(len(group.rows["natural"])), *whole])
        for name in (n for n in group.rows if n != "natural"):
            above = partial(_above, group, name)
            cells_of_row = [", ".join(above(m, v) for m in MEASURES) for v in variants]
            cells.append(
                [f"`{name}`", str(len(set(group.rows[name]) & set(group.rows["natural"]))), *cells_of_row]
            )
            if slug == SHORT:
                short = name.split()[-1].replace(".", "")
                values |= {f"{key}_{short}": cells_of_row[list(variants).index(v)]
                           for key, v in (("hue", "hue"), ("split", None), ("held", "hold-out"))}  # fmt: skip
        tables.append(f"**{group.title}**, {recipe['limit']:,} images, {recipe['epochs']} epochs:")
        tables.append(table(["kNN-20, linear probe", "seeds", *variants.values()], cells))
    return {**values, "table": "\n\n".join(tables), "measured": measured(COLOUR)}
