"""Values of the pages about single views: the promise, tone, manual policies, shortcuts, colour's chain, readers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks import recall, schema
from benchmarks.groups import MEASURES, read_groups
from benchmarks.pages.show import files, measured, number, one, points, share, table

BEFORE = ("presets", "random", "natural", "digits", "seed1")  # counted before the code was made faster
SOURCES = {
    "clipped_highlights": "clipped", "dark": "dark", "dark_lowcontrast": "dark, flat", "highkey": "high key",
    "lowcontrast": "flat", "night_lit": "night", "normal": "ordinary", "documents": "documents", "digits": "MNIST",
    "cifar10": "CIFAR-10",
}  # fmt: skip
GUARDED = ("natural", "digits", "documents", "lowlight")
MANUAL = ("simclr", "simclr-cifar", "mocov2")


def _acted(rows: list[dict[str, Any]]) -> str:
    """Share of views on which the certificate acted, a row a policy, a column a kind of source."""
    views: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    acted: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for source in (row["source"], "all"):
            views[row["policy"]][source] += row["views"]
            acted[row["policy"]][source] += row["certificate"]
    names = [name for name in (*GUARDED, "random policies") if name in views]
    cells = [
        [f"`{name}`" if name in GUARDED else name, f"{views[name]['all']:,}"]
        + [share(acted[name][source] / views[name][source], 2) for source in ("all", *SOURCES)]
        for name in names
    ]
    return table(["policy", "views", "all", *SOURCES.values()], cells)


def promise() -> dict[str, str]:
    core, speed = one("promise-core"), one("promise-speed2")
    before = [one(f"promise-{name}") for name in BEFORE]
    old = [entry.findings() for entry in before]
    acted = [*old[0]["rows"], *old[1]["rows"]]
    return {
        "views": f"{core.views:,}",
        "violations": f"{core.violations:,}",
        "ms": number(1e3 * core.seconds / core.views),
        "before": f"{sum(entry['views'] for entry in old):,}",
        "before_violations": f"{sum(entry['violations'] for entry in old) + speed.findings()['violations']:,}",
        "speed": f"{speed.findings()['views']:,}",
        "table": _acted(core.rows),
        "table_before": _acted(acted),
        "measured": measured("promise-core"),
        "measured_before": measured("promise-presets", "promise-random", "promise-speed2"),
    }


def tone() -> dict[str, str]:
    result = one("tone").findings()
    names = {"dark": "dark", "dark_lowcontrast": "dark, flat", "highkey": "high key", "normal": "ordinary"}
    rows = []
    worse: dict[str, list[float]] = defaultdict(list)
    for kind, title in names.items():
        for policy, row in result[kind].items():
            shares = row["of dark sources"] + row["of bright sources"]
            wrong = row["darker than their crop"] + row["brighter than their crop"]
            if shares:
                worse[policy].append(wrong / shares)
            rows.append(
                [title, f"`{policy}`", share(wrong / shares) if shares else "", number(row["mean, 10 %"], 2),
                 number(row["mean, 90 %"], 2), number(row["spread of mean shift"], 2)]
            )  # fmt: skip
    return {
        "worse": share(max(worse["simclr-cifar"]), 0),
        "ours": share(max(worse["natural"]), 0),
        "low": number(result["dark"]["natural"]["mean, 10 %"], 2),
        "high": number(result["dark"]["natural"]["mean, 90 %"], 2),
        "table": table(
            ["photographs", "policy", "dark made darker, bright brighter", "mean luma, 10 %", "90 %",
             "spread of the shift"], rows,
        ),
        "measured": measured("tone"),
    }  # fmt: skip


def manual() -> dict[str, str]:
    sets = {"exposure": "exposure", "documents": "documents", "mnist": "MNIST", "cifar10": "CIFAR-10"}
    results = {name: one(f"degeneracy-{name}").findings()["rows"] for name in sets}
    hard = results["exposure"]
    heads = {
        "std": "too little contrast", "clip": "clipped", "mean": "too dark or bright", "any": "any",
        "low contrast (scikit-image)": "low contrast (scikit-image)", "certificate acted": "certificate acted",
    }  # fmt: skip
    called = lambda name: f"`{name}`{' (manual)' if name in MANUAL else ''}"  # noqa: E731
    rows = [
        [
            called(name),
            *("-" if key.startswith("cert") and name in MANUAL else share(row[key]) for key in heads),
        ]
        for name, row in hard.items()
    ]
    others = [[called(name), *(share(results[s][name]["any"]) for s in sets)] for name in hard]
    return {
        "simclr": share(hard["simclr"]["any"], 0),
        "ours": share(max(results[s][n]["any"] for s in sets for n in GUARDED), 0),
        "least": share(min(results[s][n]["any"] for s in sets for n in MANUAL), 0),
        "most": share(max(results[s][n]["any"] for s in sets for n in MANUAL), 0),
        "acted": share(max(results[s][n]["certificate acted"] for s in sets for n in GUARDED)),
        "table": table(["policy", *heads.values()], rows),
        "sets": table(["policy", *sets.values()], others),
        "measured": measured("degeneracy-*"),
    }


def shortcuts() -> dict[str, str]:
    rows = one("shortcuts").findings()["rows"]
    at = {(row["exposure"], row["policy"]): row for row in rows}
    policies = list(dict.fromkeys(row["policy"] for row in rows))
    colour = [at[e, p]["colour"] for e in ("clean", "mixed") for p in ("simclr-cifar", "natural")]
    cells = [
        [f"`{p}`", *(number(at[e, p][by]) for by in ("luma", "colour") for e in ("mixed", "clean"))]
        for p in policies
    ]
    names = {"usual": "simclr-cifar", "ours": "natural", "guards": "guards only"}
    whole = {
        f"{name}_{e}": number(at[e, policy]["luma"], 0)
        for e in ("mixed", "clean")
        for name, policy in names.items()
    }
    return {
        **whole,
        "colour_least": number(min(colour), 0),
        "colour_most": number(max(colour), 0),
        "table": table(["policy", "luma, mixed", "luma, clean", "colour, mixed", "colour, clean"], cells),
        "measured": measured("shortcuts"),
    }


def torchvision() -> dict[str, str]:
    keys = ("median", "p90", "max", "p90 of worst tenth", "max of worst tenth")
    rows, at = [], {}
    for name, title in (("cifar10", "CIFAR-10"), ("photos", "photographs")):
        for row in one(f"torchvision-{name}").findings()["rows"]:
            at[name, row["strength"], row["hue"]] = row
            label = f"{title}, s = {number(row['strength'], 1 if row['strength'] % 1 else 0)}"
            levels = (number(row[key], 1 if row[key] % 1 else 0) for key in keys)
            rows.append([label, "yes" if row["hue"] else "no", *levels])
    without = [at[name, 1.0, False]["p90"] for name in ("cifar10", "photos")]
    with_hue = [at[name, 1.0, True]["p90"] for name in ("cifar10", "photos")]
    return {
        "without": number(max(without), 0),
        "least": number(min(with_hue)),
        "most": number(max(with_hue), 0),
        "table": table(
            ["images", "hue", "median", "90 %", "largest", "worst tenth: 90 %", "worst tenth: largest"], rows
        ),
        "measured": measured("torchvision-*"),
    }


def fuzz() -> dict[str, str]:
    result = one("fuzz").findings()
    readers, policies = result["readers"], result["policies"]
    kinds = policies["kinds"].values()
    cells = [
        ["image files", f"{readers['files']:,}", f"{readers['read']:,}", f"{readers['refused_by_name']:,}",
         f"{readers['slowest'][1]} s", str(len(readers["problems"]))],
        ["policy files", f"{policies['files']:,}", f"{sum(k.get('taken', 0) for k in kinds):,}",
         f"{sum(k.get('refused', 0) for k in kinds):,}", f"{number(policies['slowest'][1], 2)} s",
         str(len(policies["problems"]))],
    ]  # fmt: skip
    through = result["commands"]
    cells += [
        [f"through `{name}`" if name != "app" else "through the app", f"{row['files']:,}", "-",
         f"{row.get('left_out', '-')}", f"{row['seconds']} s in all", str(len(row["problems"]))]
        for name, row in through.items()
    ]  # fmt: skip
    return {
        "files": f"{readers['files']:,}",
        "policies": f"{policies['files']:,}",
        "problems": str(len(readers["problems"])),
        "slow": str(len(policies["problems"])),
        "through": str(sum(len(row["problems"]) for row in through.values())),
        "commands": f"{max((row['files'] for name, row in through.items() if name != 'app'), default=0):,}",
        "uploads": str(through.get("app", {}).get("files", 0)),
        "peak": f"{readers['peak_mb']:,} MB",
        "table": table(["what", "files", "read", "refused by name", "slowest", "problems"], cells),
        "measured": measured("fuzz"),
    }


ROUTED = ("natural", "lowlight", "documents", "digits")


def _behind(entry: recall.Known) -> list[str]:
    """Points that each preset loses to the best of them."""
    means = {preset: entry.mean(preset, "labels") for preset in ROUTED}
    return [number(max(means.values()) - mean) for mean in means.values()]


def routing() -> dict[str, str]:
    result = one("routing").findings()
    rows = [
        [name, str(row["images"]), *(str(row.get(preset, "")) for preset in ROUTED)]
        for name, row in result["confusion"].items()
    ]
    same, leak = result["same"], result["leak"]
    costs = [[entry.name, *_behind(entry)] for entry in recall.whole(schema.RESULTS)]
    (trained,) = read_groups([*files("routes-cifar10-short"), *files("views-cifar10-short-natural")])
    above = {
        f"{name}_{measure}": points(trained.against("auto", other, measure))
        for name, other in (("natural", "natural"), ("permuted", "auto, permuted"))
        for measure in MEASURES
    }
    return {
        **above,
        "rows": str(same["rows"]),
        "unlike": str(sum(same[by]["rows unlike their preset alone"] for by in ("core", "torch"))),
        "moved": str(sum(same[by]["rows that a permutation changed"] for by in ("core", "torch"))),
        "differ": str(same["routes that differ between engines"] + same["flips"]),
        "containers": str(same["images in five containers"]),
        "views": f"{result['broken']['views']:,}",
        "broken": str(result["broken"]["broken"]),
        "told": share(leak["told"], 0),
        "chance": share(leak["by chance"], 0),
        "table": table(["images", "of them", *(f"`{preset}`" for preset in ROUTED)], rows),
        "measured": measured("routing"),
        "costs": table(["trained on", *(f"`{preset}`" for preset in ROUTED)], costs),
        "measured_costs": measured("bank-[!r]*"),
        "measured_leak": measured("routes-*", "views-cifar10-short-natural"),
    }


def attack() -> dict[str, str]:
    policies = one("attack").findings()["policies"]
    guarded = {name: row for name, row in policies.items() if ", " not in name}
    rows = [
        [f"`{name.partition(', ')[0]}`" + (", guards off" if ", " in name else ""), f"{row['evaluations']:,}",
         f"{row['broken']:,}", *(number(row["worst"][test]["beyond"], 2) if test in row["worst"] else "-"
                                 for test in ("std", "clip", "mean", "like", "erased"))]
        for name, row in sorted(policies.items(), key=lambda item: (", " in item[0], item[0]))
    ]  # fmt: skip
    return {
        "pairs": f"{sum(row['evaluations'] for row in guarded.values()):,}",
        "broken": str(sum(row["broken"] for row in guarded.values())),
        "unguarded": share(
            sum(row["broken"] for name, row in policies.items() if name not in guarded)
            / sum(row["evaluations"] for name, row in policies.items() if name not in guarded), 0
        ),
        "table": table(["policy", "pairs", "broken", "contrast", "clipped", "mean", "likeness", "covered"], rows),
        "measured": measured("attack"),
    }  # fmt: skip
