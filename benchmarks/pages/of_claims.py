"""Values of the page of claims: what was believed of single operations, beside what they did to accuracy."""

from __future__ import annotations

from adaptaug.learn.intervals import Interval
from benchmarks.groups import MEASURES, USUAL
from benchmarks.pages.of_accuracy import CELLS, DIGITS, GLYPHS, PARTS, SHORT, accuracy_groups
from benchmarks.pages.show import measured, points, table

# What is claimed, on which images; group, the policy with it, the policy without it.
CLAIMS = (
    ("Stretch helps digits", "scikit-learn's digits", DIGITS, "digits", "digits without stretch"),
    ("Shear helps digits", "scikit-learn's digits", DIGITS, "digits", "digits without shear"),
    ("A flip hurts digits", "scikit-learn's digits", DIGITS, "digits", "digits with flip"),
    (
        "Colour (of grey images: brightness, contrast) helps digits",
        "scikit-learn's digits",
        DIGITS,
        "colour only",
        "none",
    ),
    ("Crops help digits", "scikit-learn's digits", DIGITS, "crop only", "none"),
    ("Colour helps photographs", "CIFAR-10", PARTS, "natural", "natural without colour"),
    ("Crops help photographs", "CIFAR-10", PARTS, "natural", "natural without crop"),
    ("Stretch helps photographs", "CIFAR-10", PARTS, "natural with wide stretch", "natural"),
    ("Pairs too alike teach little: the image twice", "CIFAR-10", PARTS, "natural", "none"),
    ("Pairs too alike teach little: crops alone", "CIFAR-10", PARTS, "natural", "crop only"),
    ("Pairs too different teach less: the hardest of four", "CIFAR-10", PARTS, USUAL, "hard views x0.6"),
    (
        "Darkening dark images hurts: against the usual jitter",
        "CIFAR-10, exposure mixed",
        SHORT,
        "natural",
        USUAL,
    ),
    (
        "Darkening dark images hurts: targets of tone",
        "CIFAR-10, exposure mixed",
        SHORT,
        "natural",
        "guards only",
    ),
    (
        "Darkening dark images hurts: guards beside targets",
        "CIFAR-10, exposure mixed",
        SHORT,
        "natural",
        "targets without guards",
    ),
    ("Tone may be moved at will", "solar cells, where a defect is dark", CELLS, "natural", "guards only"),
    ("A preset for its subject beats the usual recipe", "characters in fonts", GLYPHS, "digits", USUAL),
)


def _said(told: list[Interval | None]) -> str:
    """What two intervals say of a claim: yes or the opposite, by both measures or by one."""
    signs = [0 if i is None else (i.low > 0) - (i.high < 0) for i in told]
    for sign, word in ((1, "yes"), (-1, "the opposite")):
        if sign in signs and -sign not in signs:
            by = [title for title, one in zip(("kNN", "the probe"), signs, strict=True) if one]
            return word if len(by) == 2 else f"{word}, by {by[0]}"
    return "not resolved"


def claims() -> dict[str, str]:
    groups, rows = accuracy_groups(), []
    for claim, images, group, with_it, without in CLAIMS:
        told = [groups[group].against(with_it, without, measure) for measure in MEASURES]
        rows.append([claim, images, f"`{with_it}`", f"`{without}`", *map(points, told), _said(told)])
    said = [row[-1] for row in rows]
    return {
        "count": str(len(rows)),
        "held": str(said.count("yes")),
        "part": str(sum(word.startswith("yes, by") for word in said)),
        "denied": str(sum(word.startswith("the opposite") for word in said)),
        "open": str(said.count("not resolved")),
        "table": table(["claim", "images", "policy", "above", "kNN-20", "linear probe", "holds"], rows),
        "measured": measured("accuracy-*"),
    }
