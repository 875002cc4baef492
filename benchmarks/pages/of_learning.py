"""Values of the pages about learning a policy: searches, proxies without labels, conditional weights, bands."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np

from adaptaug.learn.intervals import Interval, over_runs
from benchmarks import schema
from benchmarks.groups import MEASURES
from benchmarks.pages.show import half, lines, measured, number, one, points, share, signed, table

SETS = {"cifar10": "CIFAR-10", "mnist": "MNIST", "fashion": "Fashion-MNIST"}
PROXIES = {"objective images": "rotation and edges (`images`)", "edges": "edges", "rotation": "rotation",
           "retrieval": "retrieval", "lidar": "LiDAR", "rankme": "RankMe"}  # fmt: skip
_SHIPS = re.compile(r"^\*\*(.+?) ships\*\*: (.*)$", re.MULTILINE)
_POINTS = re.compile(r"([+-]\d+\.\d+) \(([+-]\d+\.\d+) to ([+-]\d+\.\d+)\)")


def _reports() -> list[list[str]]:
    """A row for each search that is kept: what ships and by how much, by its own verification."""
    rows = []
    for report in sorted(schema.RESULTS.glob("search-*/report.md")):
        text = report.read_text(encoding="utf-8")
        title, ships = re.search(r"^# Search on (.*)$", text, re.MULTILINE), _SHIPS.search(text)
        cost = re.search(r"^Cost: (\d+ arms, [\d,]+ epochs)", text, re.MULTILINE)
        assert title and ships and cost, report
        gain = _POINTS.search(ships[2])
        assert gain, report
        mean, low, high = map(float, gain.groups())
        link = f"[{report.parent.name.removeprefix('search-')}](../results/{report.parent.name}/report.md)"
        rows.append([link, ships[1].lower(), points(Interval(mean, low, high)), cost[1]])
    return rows


def _trained(name: str, reference: str) -> str:
    """What was found, trained anew with several seeds: the table of a run of benchmarks.digits_search."""
    rows = []
    for row in one(name).findings()["summary"]:
        cells = [f"`{row['policy']}`", str(row["epochs"]), str(row["seeds"])]
        for measure in MEASURES:
            gain = row.get(f"{measure} - {reference}")
            cells += [number(row[measure]), "" if gain is None else points(half(gain))]
        rows.append(cells)
    heads = [
        "policy",
        "epochs",
        "seeds",
        "kNN-20",
        f"above `{reference}`",
        "linear probe",
        f"above `{reference}`",
    ]
    return table(heads, rows)


def search() -> dict[str, str]:
    summary = one("digits-search").findings()["summary"]
    gains = [half(row["knn - simclr"]) for row in summary if row["policy"].startswith("searched")]
    (longer,) = [row for row in summary if row["epochs"] > 12]
    by_hand = half(next(row for row in summary if row["policy"] == "digits")["knn - simclr"])
    reports = _reports()
    return {
        "least": points(min(gains, key=lambda f: f.mean)),
        "most": points(max(gains, key=lambda f: f.mean)),
        "hand": points(by_hand),
        "longer": points(half(longer["knn - simclr"])),
        "longer_epochs": str(longer["epochs"]),
        "longer_seeds": str(longer["seeds"]),
        "searches": str(len(reports)),
        "kept": str(sum(row[1] == "the start" for row in reports)),
        "table": _trained("digits-search", "simclr"),
        "reports": table(["search", "ships", "above its start", "cost"], reports),
        "photographs": _trained("search-cifar10-from-digits", "simclr-cifar"),
        "photographs_again": _trained("search-cifar10-from-digits-2", "simclr-cifar"),
        "measured": measured("digits-search", "search-*"),
    }


def proxies() -> dict[str, str]:
    results = {name: one(f"proxies-{name}").findings() for name in SETS}
    rows = []
    for proxy, title in PROXIES.items():
        cells = [title]
        for entry in results.values():
            row = entry["correlation"][proxy]
            middle, low, high = (number(value, 2) for value in row["with kNN and ridge"])
            cells += [f"{middle} ({low} to {high})", number(row["points below the best"])]
        rows.append(cells)
    heads = [f"{title} ({results[name]['cost']['arms']} arms)" for name, title in SETS.items()]
    images = [
        number(entry["correlation"]["objective images"]["with kNN and ridge"][0], 2)
        for entry in results.values()
    ]
    return {
        **dict(zip(SETS, images, strict=True)),
        "table": table(["proxy", *(cell for head in heads for cell in (head, "lost"))], rows),
        "measured": measured("proxies-*"),
    }


def _by_seed(rows: list[dict[str, Any]], arm: str, value: Any) -> np.ndarray:
    return np.array([value(row) for row in sorted(rows, key=lambda row: row["seed"]) if row["arm"] == arm])


def heads() -> dict[str, str]:
    rows = lines("learning-heads")
    plain = "policy as it is"
    cells, values = [], {}
    for arm in (plain, "heads", "heads, permuted"):
        mine = [row for row in rows if row["arm"] == arm]
        row_cells = [arm]
        for name, value in (
            ("knn", lambda row: row["scores"]["mixed"]["knn"] / 100),
            ("probe", lambda row: row["scores"]["mixed"]["probe"] / 100),
            ("leak", lambda row: row["leak"] / 100),
        ):
            own, theirs = _by_seed(rows, arm, value), _by_seed(rows, plain, value)
            above = None if arm == plain else over_runs(own, theirs)
            row_cells.append(number(100 * own.mean()) + (f", {points(above)}" if above else ""))
            if arm == "heads":
                values[name] = points(above)
        early = [row["own_ms_a_step"] for row in mine if row["seed"] < 3]
        for key, digits in (("heads_inside", 2), ("heads_kl", 2)):
            have = [row["told"][key] for row in mine if row["told"]]
            row_cells.append(number(float(np.mean(have)), digits) if have else "")
        cells.append([*row_cells, number(float(np.mean(early)))])
    titles = ["arm", "kNN-20", "linear probe", "leak, %", "in the band", "KL, nats a view", "ms a step"]
    return {**values, "table": table(titles, cells), "measured": measured("learning-heads")}


_ASKED = ("floor, 50 % below", "floor, 25 % below", "policy left alone", "ceiling, 25 % above", "ceiling, 50 % above",
          "own band")  # fmt: skip
_OFF = 0.02  # a side is held within this of a tenth


def _held(row: dict[str, Any]) -> bool:
    sides = [
        row[side] for side, edge in zip(("below", "above"), row["edges"], strict=True) if edge is not None
    ]
    return all(side <= 0.1 + _OFF for side in sides)


def _spread(values: list[float], digits: int = 1) -> str:
    low, high = number(min(values), digits), number(max(values), digits)
    return low if low == high else f"{low} to {high}"


def controller() -> dict[str, str]:
    by: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in lines("band-controller"):
        by[row["data"], row["asked"]].append(row)
    cells, held, alone = [], 0, "policy left alone"
    for data in ("cifar10", "mnist"):
        for asked in _ASKED:
            rows = sorted(by[data, asked], key=lambda row: row["seed"])
            knn = np.array([row["knn"] / 100 for row in rows])
            base = np.array(
                [row["knn"] / 100 for row in sorted(by[data, alone], key=lambda row: row["seed"])]
            )
            strengths = [s for row in rows for s in row["strengths"].values()]
            sides = ["" if edge is None else f"{_spread([100 * row[side] for row in rows])} %"
                     for side, edge in zip(("below", "above"), rows[0]["edges"], strict=True)]  # fmt: skip
            count = sum(map(_held, rows))
            held += count == len(rows) and asked != alone
            cells.append([
                SETS[data], f"`{rows[0]['policy']}`", asked, *sides,
                "" if asked == alone else f"{count} of {len(rows)}", _spread(strengths, 2),
                f"{number(100 * knn.mean())} ± {number(100 * knn.std(ddof=1))}",
                "" if asked == alone else points(over_runs(knn, base)),
                share(float(np.mean([row["share of the time"] for row in rows]))),
            ])  # fmt: skip
    costs = [row["share of the time"] for rows in by.values() for row in rows]
    titles = ["data", "policy", "asked", "below", "above", "held", "strengths at the end", "kNN-20", "above alone",
              "of the time"]  # fmt: skip
    gains = [cell[8] for cell in cells if cell[8]]
    return {
        "held": str(held),
        "asked": str(len(gains)),
        "cost": share(max(costs)),
        "best": signed(max(float(re.sub(r"\*|\s.*", "", gain)) for gain in gains)),
        "table": table(titles, cells),
        "measured": measured("band-controller"),
    }


def bank() -> dict[str, str]:
    replays = one("bank-replay").findings()["rows"]
    rows = [
        [row["set"], row["objective"], f"`{row['best']}`", f"`{start}`", number(to["start loses"]),
         f"`{to['ships']}`", number(to["ships loses"]),
         "" if row["halving loses"] is None else number(row["halving loses"]), to["judged by"]]
        for row in replays for start, to in row["from"].items()
    ]  # fmt: skip
    lost = {
        objective: [
            to["ships loses"]
            for row in replays
            if row["objective"] == objective
            for to in row["from"].values()
        ]
        for objective in ("labels", "images")
    }
    return {
        "sets": str(len({row["set"] for row in replays})),
        "lost": number(float(np.mean(lost["labels"]))),
        "lost_images": number(float(np.mean(lost["images"]))),
        "most": number(max(lost["labels"])),
        "most_of": max(
            (max(to["ships loses"] for to in row["from"].values()), row["set"])
            for row in replays
            if row["objective"] == "labels"
        )[1],
        "within": str(
            sum(
                max(to["ships loses"] for to in row["from"].values()) <= 1
                for row in replays
                if row["objective"] == "labels"
            )
        ),
        "halving": signed(
            -float(
                np.mean(
                    [
                        row["halving loses"]
                        for row in replays
                        if row["objective"] == "labels" and row["halving loses"] is not None
                    ]
                )
            )
        ),
        "start": number(
            float(np.mean([to["start loses"] for row in replays for to in row["from"].values()]))
        ),
        "flip": next(
            effect
            for row in replays
            for effect in row["effects"]
            if row["set"] == "mnist" and "flip" in effect
        ),
        "table": table(
            [
                "data",
                "scored by",
                "best known",
                "start",
                "loses",
                "what ships",
                "loses",
                "halving's loses",
                "judged by",
            ],
            rows,
        ),
        "measured": measured("bank-[!r]*"),
    }
