"""Values of the pages about time and size: throughput, the training loop, the head, bands, pretraining."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.pages.show import lines, measured, number, one, share, table

EPOCHS = (1, 2, 4, 8, 16, 30)


def _claim(row: str, ratio: str) -> dict[str, Any]:
    (line,) = [line for line in lines("throughput") if line["row"] == row]
    (claim,) = [claim for claim in line["claims"] if claim["ratio"] == ratio]
    return claim


def _times(claim: dict[str, Any]) -> str:
    """2.58 (2.52 .. 2.66), in three digits."""
    low, high = claim["quartiles"]
    texts = [f"{value:.3g}" if value >= 1 else number(value, 3 if value < 0.1 else 2)
            for value in (claim["median"], low, high)]  # fmt: skip
    return f"{texts[0]} ({texts[1]} .. {texts[2]})"


def throughput() -> dict[str, str]:
    rows, missed = [], 0
    ours: dict[str, float] = {}
    for line in lines("throughput"):
        times = {c["name"]: c["ms"] for c in line["contenders"]}
        ours[line["row"]] = times.get("ours", 0.0)
        for place, claim in enumerate(line["claims"]):
            limit = f"at least {claim['at least']}" if "at least" in claim else f"at most {claim['at most']}"
            missed += not claim["met"]
            own = 0.0 if place else ours[line["row"]]
            ms = number(own, 4 if own < 0.1 else 3) if own else ""
            rows.append([line["title"] if not place else "", ms, claim["ratio"], _times(claim),
                         f"{limit} {'met' if claim['met'] else '**missed**'}", f"{claim['aim']}"])  # fmt: skip
    names = {row.replace("-", "_"): _claim(row, "albumentations / ours")
             for row in ("photo", "large", "jpeg", "jpeg-large")}  # fmt: skip
    kornia = [_claim("small", "kornia / ours")["median"], _claim("batch", "kornia / ours")["median"]]
    scaling = one("scaling").findings()
    sizes = [[size, number(ms, 3)] for size, ms in scaling["image size"].items()]
    return {
        **{name: _times(claim) for name, claim in names.items()},
        **{f"{name}_times": number(claim["median"]) for name, claim in names.items()},
        "photo_ms": number(ours["photo"], 3),
        "large_ms": number(ours["large"], 3),
        "kornia_least": number(min(kornia), 0),
        "kornia_most": number(max(kornia), 0),
        "claims": str(len(rows)),
        "missed": str(missed),
        "step": share(_claim("step", "its views / step")["median"]),
        "table": table(
            ["workload, `natural`", "ours, ms a view", "ratio", "times (quartiles)", "limit", "aim"], rows
        ),
        "scaling": table(["image", "ms a view"], sizes),
        "measured": measured("throughput"),
        "measured_scaling": measured("scaling"),
    }


def trainer() -> dict[str, str]:
    results = {
        "2, torch's default here": one("trainer").findings(),
        "1": one("trainer-one-thread").findings(),
    }
    rows = []
    for threads, entry in results.items():
        rounds = entry["rounds"]
        parts = rounds[0]["shares"]
        spread = lambda key: f"{min(r[key] for r in rounds):.0f} to {max(r[key] for r in rounds):.0f}"  # noqa: E731, B023
        rows.append([threads, spread("ours"), spread("peer"), ", ".join(number(r["ratio"], 2) for r in rounds),
                     number(entry["median"], 2), ", ".join(share(part, 0) for part in parts.values())])  # fmt: skip
    two, single = results.values()
    return {
        "two": number(two["median"], 2),
        "single": number(single["median"], 2),
        "worst": number(min(r["ratio"] for r in two["rounds"]), 2),
        "table": table(["torch threads", "ours, images/s", "lightly's example", "ratio of each round", "median",
                        "data, views, forward, backward and optimizer (ours)"], rows),
        "measured": measured("trainer*"),
    }  # fmt: skip


def million() -> dict[str, str]:
    result = one("million").findings()
    cells = [
        f"{result['seconds']:.0f} s",
        f"{result['rows_per_second']:,.0f}",
        f"{number(result['peak_gb'])} GB",
    ]
    names = ("seconds", "rate", "peak")
    return {
        **dict(zip(names, cells, strict=True)),
        "table": table(["one epoch with validation", "rows a second", "peak memory"], [cells]),
        "measured": measured("million"),
    }


def pretraining() -> dict[str, str]:
    result = one("pretraining-cifar10").findings()
    held, loss = result["held_out"], result["train_loss"]
    rows = [
        [str(row["epoch"] + 1), "" if row["epoch"] < 0 else number(loss[row["epoch"]], 2), number(row["knn"]),
         number(row["rankme"]), number(row["alignment"], 2), number(row["uniformity"], 2)]
        for row in held
    ]  # fmt: skip
    return {
        "untrained": number(held[0]["knn"]),
        "trained": number(held[-1]["knn"]),
        "pixels": number(held[0]["knn_of_raw_pixels"]),
        "minutes": number(result["seconds"] / 60),
        "table": table(["after epochs", "loss", "kNN-20, %", "RankMe", "alignment", "uniformity"], rows),
        "measured": measured("pretraining-cifar10"),
    }


def head() -> dict[str, str]:
    at = {}
    cells = []
    for row in one("head").findings()["rows"]:
        curves = np.array(row["curves"])
        mean, spread = curves.mean(0), curves.std(0, ddof=1)
        at[row["features"].split()[0], row["dropout"], row["views"]] = mean
        values = (f"{mean[e - 1]:.1f} ± {number(spread[e - 1])}" for e in EPOCHS)
        dropout = number(row["dropout"]) if row["dropout"] else "none"
        cells.append([f"{row['features']} ({row['width']})", dropout, str(row["views"]), *values])
    plain, dropped = at["SimCLR", 0.0, 0], at["SimCLR", 0.5, 0]
    lost = [at["SimCLR", 0.0, v][7] - at["SimCLR", 0.5, v][7] for v in (0, 1, 4)]
    return {
        "ours": number(at["SimCLR", 0.5, 1][7]),
        "untrained": number(at["untrained", 0.5, 1][7]),
        "pixels": number(at["raw", 0.5, 1][7]),
        "best": str(1 + int(plain.argmax())),
        "late": number(dropped[15] - dropped[7]),
        "dropout_least": number(min(lost)),
        "dropout_most": number(max(lost)),
        "views": number(dropped[7] - at["SimCLR", 0.5, 4][7]),
        "table": table(["features", "dropout", "views", *map(str, EPOCHS)], cells),
        "measured": measured("head"),
    }


def band() -> dict[str, str]:
    rows = one("band").findings()["rows"]
    bands = [row for row in rows if "band" in row]
    multiple = lambda value: number(value, 2 if round(value, 1) != value else 1)  # noqa: E731
    cells = [[row["data"], " to ".join(map(multiple, row["band"])), share(row["inside before"]), share(row["inside"]),
              f"{number(row['cost'])}x"] for row in bands]  # fmt: skip
    judge = one("judge").findings()
    by_judge = [["CIFAR-10, by an encoder", " to ".join(map(multiple, row["band"])), share(row["inside before"]),
                 share(row["inside"]), ""] for row in judge["rows"]]  # fmt: skip
    batch = judge["ms a batch"]
    pixels = [row["cost"] for row in bands]
    return {
        "held_least": share(min(row["inside"] for row in bands), 0),
        "held_most": share(max(row["inside"] for row in bands), 0),
        "cost_least": number(min(pixels)),
        "cost_most": number(max(pixels)),
        "spearman": number(rows[0]["spearman with the encoder"], 2),
        "judge_times": number(batch["band, judge"] / batch["no band"]),
        "table": table(["images", "band", "pairs inside before", "held", "cost"], cells + by_judge),
        "judge": table(["a batch of 64 pairs", "ms"], [[name, f"{ms:.0f}"] for name, ms in batch.items()]),
        "measured": measured("band", "judge"),
    }


def load() -> dict[str, str]:
    views, app, leaving = (one(f"load-{what}").findings() for what in ("views", "app", "leaving"))
    grown = [mb for run in views["runs"] for mb in run["growth_mb"].values()]
    rows = [
        [f"{run['images']:,} images, {run['workers'] or 'no'} workers", f"{run['seconds']:,} s",
         ", ".join(f"{name} {mb:,}" for name, mb in run["peak_mb"].items()),
         ", ".join(number(mb) for mb in run["growth_mb"].values()), "-"]
        for run in views["runs"]
    ]  # fmt: skip
    answers = ", ".join(f"{n:,} {kind}" for kind, n in sorted(app["answers"].items()))
    rows.append(
        [f"{app['clients']} visitors of the app", f"{app['seconds']:.0f} s", f"{app['peak_mb']:,}",
         f"{app['peak_mb'] - app['start_mb']:,} in all", answers]
    )  # fmt: skip
    rows.append(
        [f"twice {leaving['clients']} visitors, 12 megapixels each, who leave", "-", f"{max(leaving['mb']['with']):,}",
         f"{leaving['growth_mb']} between rounds", f"{sum(leaving['answers'].values())} done"]
    )  # fmt: skip
    return {
        "left": f"{max(0, leaving['growth_mb'])} MB",
        "images": f"{views['runs'][0]['images']:,}",
        "grown": f"{number(max(max(grown), 0.0))} MB",
        "clients": str(app["clients"]),
        "done": f"{app['answers'].get('done', 0):,}",
        "refused": f"{app['answers'].get('refused', 0):,}",
        "odd": str(sum(n for kind, n in app["answers"].items() if kind not in ("done", "refused"))),
        "peak": f"{app['peak_mb']:,} MB",
        "problems": str(sum(len(found["problems"]) for found in (views, app, leaving))),
        "table": table(["what", "time", "peak, MB", "growth, MB", "answers"], rows),
        "measured": measured("load-*"),
    }  # fmt: skip
