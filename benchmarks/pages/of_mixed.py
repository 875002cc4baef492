"""Values of the page about `auto` on data of mixed subjects."""

from __future__ import annotations

from benchmarks.groups import MEASURES
from benchmarks.mixed import PARTS, Row, compare
from benchmarks.pages.show import groups, measured, number, points, table

RIGHT = dict(zip(PARTS, ("natural", "digits", "documents"), strict=True))  # the preset for each part


def mixed() -> dict[str, str]:
    (group,) = groups("accuracy-mixed").values()
    rows = {(row.policy, row.part, row.measure): row for row in compare(group)}

    def cells(policy: str) -> list[str]:
        return [
            number(rows[policy, part, measure].accuracy) + _above(rows[policy, part, measure])
            for part in PARTS for measure in MEASURES
        ]  # fmt: skip

    heads = [f"{part}, {'kNN' if measure == 'knn' else 'probe'}" for part in PARTS for measure in MEASURES]
    above = {
        f"{name}_{part}_{measure}": points(row.above)
        for (name, part, measure), row in rows.items()
        if row.above
    }
    right = {
        f"{part}_{measure}": above[f"{RIGHT[part]}_{part}_{measure}"]
        for part in PARTS
        for measure in MEASURES
    }
    return {
        **above,
        **right,
        "seeds": str(min(len(of_seed) for of_seed in group.rows.values())),
        "table": table(
            ["policy, seeds", *heads],
            [[f"`{name}`, {len(group.rows[name])}", *cells(name)] for name in group.rows],
        ),
        "measured": measured("accuracy-mixed"),
    }


def _above(row: Row) -> str:
    return f"; auto {points(row.above)}" if row.above else ""
