"""What the page computes, in plain functions without gradio: decode, make pairs, describe, explain.

Pixels are those that training code gets: the decoded original (never a thumbnail of it) goes through the
same path as `adaptaug.Views(policy, n=2, size=size, finish="none")` with key (seed, 0, pair).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import adaptaug
from adaptaug import AdaptAugError, ImageStats, Policy, ViewParams
from adaptaug.backend.cached import cached_property
from adaptaug.data.depth import AUTO, Range
from adaptaug.data.files import find_images, open_image, printable, sample_images
from adaptaug.data.formats import formats
from adaptaug.policy.ops import OPS, Op, of_kind
from adaptaug.promise.checker import Frame, luma
from adaptaug.stats.image import STATISTICS as image_statistics
from adaptaug.ui import likeness
from adaptaug.ui.failures import Failure, failures

MAX_PIXELS = 40_000_000
MAX_PAIRS, MIN_SIZE, MAX_SIZE = 12, 32, 224
NAMES = "ABCDEFGH"  # of the views of one key, of which a page shows two to eight
MAX_SEED = 2**31 - 1
_WHOLE = Policy(name="the whole frame", guards=False)
ABSENT = "not in the policy of this view"
STATISTICS = [row for row in image_statistics.values() if row.page]


@dataclass(frozen=True)
class Source:
    """A decoded image, and what was measured of it once."""

    name: str
    pixels: np.ndarray  # (H, W, 3) uint8
    stats: ImageStats
    transparent: bool = False  # it was, and lies on a plain ground now
    frames: dict[int, Frame] = field(default_factory=dict, compare=False, repr=False)

    def frame(self, size: int) -> Frame:
        """What views of this size are held to."""
        if size not in self.frames:
            self.frames[size] = Frame(adaptaug.AdaptiveAugment(_WHOLE, size)(self.pixels))
        return self.frames[size]

    def blank(self, size: int) -> bool:
        """Whether views of this size have nothing to lose: their promise counts them apart."""
        return bool(self.frame(size).blank[0])


@dataclass(frozen=True)
class View:
    """One view, how it was made, and which tests of the promise it fails."""

    pixels: np.ndarray
    params: ViewParams
    failures: list[Failure]
    crop: np.ndarray  # the source cut, turned and flipped as the view was, and nothing else done to it

    @cached_property  # a page is drawn again at every event
    def mean(self) -> float:
        return float(luma(self.pixels[None]).mean())

    @cached_property
    def contrast(self) -> float:
        return float(luma(self.pixels[None]).std())


Pairs = list[tuple[View, ...]]  # two views or more of each key


def as_pixels(pairs: Pairs) -> likeness.Pixels:
    return [tuple(view.pixels for view in pair) for pair in pairs]


@dataclass(frozen=True)
class Column:
    """All pairs of one policy: `pairs[i]` is (view A, view B, ...) of key (seed, 0, i), `alike[i]` the similarity of A
    and B, of more the mean of A's with each: what a band holds.

    `features[i]` is the same by a backbone, where there is one.
    """

    policy: Policy
    pairs: Pairs
    alike: list[float]
    features: list[float] | None = None

    @property
    def total(self) -> int:
        """How many views these are."""
        return sum(map(len, self.pairs))

    @property
    def broken(self) -> int:
        return sum(bool(view.failures) for pair in self.pairs for view in pair)


@dataclass(frozen=True)
class Comparison:
    """Two policies on one image with the same seed: what the page shows; `backbone` is the name of the one used."""

    source: Source
    columns: tuple[Column, Column]
    seed: int
    size: int
    backbone: str = ""


def decode(path: str | Path, name: str | None = None, range: Range = AUTO) -> Source:
    """Read an image file: upright, RGB, transparency on a ground, first frame; more than 8 bits by `range`.

    Raises: AdaptAugError: not an image that can be read, or more than 40 megapixels (told from its header,
        before any pixel is decoded). The sentence has the name the user knows, not the path on this machine.
    """
    name = printable(name or Path(path).name)
    if not Path(path).is_file():  # a pipe would never end
        raise AdaptAugError(f"{name}: not an image that can be read; try a PNG, JPEG or WebP file.")
    width, height, transparent = 0, 0, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: the check below is stricter
            with Image.open(path, formats=formats()) as header:
                (width, height), transparent = header.size, header.has_transparency_data
    except Image.DecompressionBombError:  # Pillow's own limit, above ours
        raise AdaptAugError(
            f"{name}: many more pixels than the {MAX_PIXELS / 1e6:.0f} megapixels this page takes."
        ) from None
    except Exception:  # Pillow's parsers raise nearly anything; open_image reads it, or says what it is
        pass
    if width * height > MAX_PIXELS:
        most = f"{MAX_PIXELS / 1e6:.0f} megapixels"
        raise AdaptAugError(f"{name}: {width} x {height} pixels are more than the {most} this page takes.")
    try:
        image = open_image(path, MAX_PIXELS, range)
    except AdaptAugError as error:
        raise AdaptAugError(str(error).replace(printable(path), name)) from error
    return replace(as_source(name, np.array(image)), transparent=transparent)


def as_source(name: str, pixels: np.ndarray) -> Source:
    """Pixels -> Source, measured. Raises: AdaptAugError: too small to crop."""
    if min(pixels.shape[:2]) < 8:
        raise AdaptAugError(
            f"{name}: {pixels.shape[1]} x {pixels.shape[0]} pixels are too few; 8 x 8 is the least."
        )
    return Source(name, pixels, adaptaug.measure(pixels))


def samples_from(path: str | Path, range: Range = AUTO) -> list[tuple[str, Image.Image]]:
    """The user's own images in the samples' place: a file, or up to 12 files of a folder."""
    path = Path(path)
    files = find_images([path])
    found: list[tuple[str, Image.Image]] = []
    problem = None
    for file in files:
        try:
            found.append((printable(file.name), Image.fromarray(decode(file, range=range).pixels)))
        except AdaptAugError as error:
            problem = error
        if len(found) == 12:
            break
    if not found:
        raise problem or AdaptAugError(f"images: {printable(path)} holds no image file.")
    return found


@likeness.one_thread()
def make_pairs(source: Source, policy: Policy, seed: int, count: int, size: int, each: int = 2) -> Column:
    """`count` pairs of a policy, or as many times `each` views, with the keys (seed, 0, 0), (seed, 0, 1), ..."""
    views = adaptaug.Views(policy, each, size, "none", return_params=True)
    frame = source.frame(size)
    pairs: Pairs = []
    for index in range(count):
        made = views(source.pixels, key=(seed, 0, index))
        pairs.append(
            tuple(_judged(source, p, params, frame, policy) for p, params in zip(*made, strict=True))
        )
    return Column(policy, pairs, likeness.alike(as_pixels(pairs)))


def _judged(source: Source, view: np.ndarray, params: ViewParams, frame: Frame, policy: Policy) -> View:
    """A view with the tests of the policy's promise that it fails, from its pixels and replays of its parameters."""

    def replay(without: list[Op]) -> np.ndarray:
        return np.asarray(adaptaug.render(source.pixels, params.without(*(op.name for op in without))))

    crop = np.asarray(adaptaug.render(source.pixels, params.safe_crop()))
    drawn = {name.partition(".")[0] for name, entry in params.entries.items() if bool(entry.applied[0])}
    late = [op for op in of_kind("late") if op.name in drawn]
    covers = [op for op in late if op.covers]
    before_erase = replay(covers) if covers else view
    before_late = replay(late) if late != covers else before_erase
    erased = sum(float(params.value(f"{op.name}.area")[0]) for op in covers)
    route = None if params.route is None else int(params.route[0])
    broken = failures(view, crop, frame, before_late, before_erase, erased, policy.by_route(route).promise)
    return View(view, params, broken, crop)


def compare(
    source: Source,
    one: Policy,
    other: Policy,
    seed: int,
    count: int,
    size: int,
    backbone: likeness.Backbone | None = None,
    before: Comparison | None = None,
    each: int = 2,
) -> Comparison:
    """Both policies on one image with the same keys; a column that `before` has already is kept as it is."""

    def column(policy: Policy) -> Column:
        made = make_pairs(source, policy, seed, count, size, each)
        return replace(made, features=backbone.of(as_pixels(made.pairs))) if backbone is not None else made

    same = before is not None and before.source is source and (before.seed, before.size) == (seed, size)
    kept = (
        [c for c in before.columns if same and (len(c.pairs), c.total) == (count, count * each)]
        if before
        else []
    )
    columns = [
        next((c for c in kept if c.policy == policy), None) or column(policy) for policy in (one, other)
    ]
    return Comparison(source, (columns[0], columns[1]), seed, size, backbone.name if backbone else "")


def status(comparison: Comparison) -> str:
    """The settings and the outcome in one line, for the status line (and for tests to wait on)."""
    one, other = comparison.columns
    count = len(one.pairs)
    each = one.total // count
    pairs = (f"{count} pair" if each == 2 else f"{count} group") + "s" * (count != 1)
    pairs += f" of {each} views" * (each > 2)
    views = f"{one.broken} of {one.total} views break the promise"
    outcome = f"{one.policy.name} {views}, {other.policy.name} {other.broken}"
    blank = "; the image is blank: counted apart" if comparison.source.blank(comparison.size) else ""
    return (
        f"{pairs}, {one.policy.name} vs {other.policy.name}, seed {comparison.seed}: {outcome}{blank} "
        f"({comparison.source.name}, views of {comparison.size} px)"
    )


def statistics(stats: ImageStats) -> list[dict[str, Any]]:
    """One dict a measured value: key, label, value, share (length of its bar, 0 to 1) and meaning."""
    summary = stats.summary()
    return [
        {
            "key": row.name,
            "label": row.title,
            "value": summary[row.name],
            "share": min(1.0, summary[row.name] / row.high),
            "meaning": row.unit,
        }
        for row in STATISTICS
    ]


def outline(params: ViewParams) -> list[tuple[float, float]]:
    """The view's corners in the source's [0, 1] frame: where it was cut."""
    corners = np.array([(-1.0, -1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, 1.0), (-1.0, 1.0, 1.0)])
    x, y, w = params.matrix[0] @ corners.T
    return [(float(a), float(b)) for a, b in zip(x / w, y / w, strict=True)]


def taken_for(view: View) -> tuple[str, str] | None:
    """The subject that a policy with routes took the image for and the preset it got, and by which statistics."""
    if view.params.route is None:
        return None
    told = view.params.explain()
    return told.subject, told.decided_by


def explain_pair(pair: tuple[View, ...]) -> dict[str, Any]:
    """The views' parameters side by side.

    Returns: `rows`, one a parameter: its name, operation, unit and, per view, applied, value, policy and safe
    range, and reason (the views of an asymmetric policy need not have the same parameters or ranges);
    `certificates`, one sentence a view.
    """
    explained = [view.params.explain() for view in pair]
    by_name = [{row["parameter"]: row for row in explanation.rows} for explanation in explained]
    rows = []
    order = list(OPS)  # a parameter's neighbours are those of its operation
    together: dict[str, Any] = {}
    for found in by_name:
        together = found | together
    for name, row in sorted(together.items(), key=lambda item: order.index(item[1]["operation"])):
        absent = {"applied": False, "value": None, "policy": None, "safe": None, "reason": ABSENT}
        views = [{k: found[name][k] for k in absent} if name in found else absent for found in by_name]
        rows.append({k: row[k] for k in ("parameter", "operation", "unit")} | {"views": views})
    return {"rows": rows, "certificates": [explanation.certificate for explanation in explained]}


__all__ = [
    "Column", "Comparison", "Source", "View", "as_pixels", "as_source", "compare", "decode", "explain_pair",
    "make_pairs", "outline", "sample_images", "samples_from", "statistics", "status", "taken_for",
]  # fmt: skip
