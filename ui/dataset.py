"""A data set as a whole: what it is like, which preset suits it, and what two policies make of its images.

Pairs are those of Tune: pair i of an image has key (seed, 0, i). Images are opened one by one and forgotten.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from adaptaug import AdaptAugError, Policy
from adaptaug.data.depth import AUTO, Range
from adaptaug.data.files import printable
from adaptaug.data.folders import search
from adaptaug.report.profile import STATISTICS, Profile
from adaptaug.ui import atlas, logic
from adaptaug.ui.atlas import Atlas, Features
from adaptaug.ui.logic import Column, Source, View
from adaptaug.ui.oddities import Odd, odd
from adaptaug.ui.pictures import thumbnail

MAX_FILES, MAX_BYTES = 64, 10_000_000
WORST = 10
BARS = 40  # of a histogram
PAIRS = 2  # an image: more images tell more than more pairs of one
TESTS = {
    "a": "too little contrast", "b": "too much clipped", "c": "too dark or too bright",
    "d": "content lost", "e": "too much erased",
}  # fmt: skip
# Photographs, textures and pages that lie in scikit-image's wheel: no download.
_PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
    "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """An image of the set: a file, or one of the samples."""

    name: str
    path: str | None = None
    digit: int | None = None
    range: Range = AUTO
    label: str = ""  # its class, where one is known

    def open(self) -> Source:
        """Raises: AdaptAugError: it cannot be read, or is not there any more."""
        if self.digit is not None:
            return logic.as_source(self.name, _digits()[0][self.digit])
        path = Path(self.path or "")
        if not path.is_file():
            raise AdaptAugError(f"{self.name}: expected the file, but it is no longer there; add it again.")
        if path.stat().st_size > MAX_BYTES:
            raise AdaptAugError(f"{self.name}: expected a file of at most {MAX_BYTES // 1_000_000} MB.")
        return logic.decode(path, self.name, self.range)


def uploaded(files: list[tuple[str, str]], range: Range = AUTO) -> tuple[list[Item], list[str]]:
    """(path, name) of files -> items, and a sentence where there are too many."""
    items = [Item(name, path, range=range) for path, name in files[:MAX_FILES]]
    left = len(files) - len(items)
    note = (
        [f"{left} of {len(files)} files are left out: this page takes {MAX_FILES} at a time."] if left else []
    )
    return items, note


def from_folder(folder: str | Path, range: Range = AUTO) -> tuple[list[Item], list[str]]:
    """Up to `MAX_FILES` images of a folder, spread evenly over it."""
    files, left = search([folder])
    sample = _spread(files, MAX_FILES)
    notes = [sentence] if (sentence := left.sentence(len(files))) else []
    if len(sample) < len(files):
        notes.append(
            f"{len(sample)} of the {len(files):,} images in the folder, spread evenly over it, are looked at."
        )
    classes = len({file.parent for file in sample}) > 1  # a folder each, as data sets have them
    label = lambda file: printable(file.parent.name) if classes else ""  # noqa: E731
    return [Item(printable(f.name), str(f), range=range, label=label(f)) for f in sample], notes


def photographs() -> list[Item]:
    """Those that scikit-image ships."""
    spec = importlib.util.find_spec("skimage")
    folder = Path(*(spec.submodule_search_locations or [])[:1], "data") if spec else Path("skimage/data")
    return [Item(name, str(folder / name)) for name in _PHOTOGRAPHS if (folder / name).is_file()]


def digits() -> list[Item]:
    """Of scikit-learn. Raises: AdaptAugError: it is not installed."""
    named = _spread(list(enumerate(_digits()[1])), MAX_FILES)
    return [Item(f"digit {i}", digit=i, label=str(label)) for i, label in named]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32, 3) uint8 and what each shows."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise AdaptAugError(
            "The digits need scikit-learn, which is not installed: pip install 'adaptaug[train]'."
        ) from None
    found = load_digits()
    levels = np.round(found.images * (255 / 16)).astype(np.uint8)
    return levels[..., None].repeat(3, 3).repeat(4, 1).repeat(4, 2), found.target


def _spread(things: list, most: int) -> list:  # type: ignore[type-arg]
    count = min(len(things), most)
    return [things[i * len(things) // count] for i in range(count)]


# --- looking ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Pair:
    """A pair of the first policy, and how much of the promise it breaks."""

    item: Item
    index: int
    views: tuple[View, ...]
    alike: float

    @property
    def failures(self) -> int:
        return sum(len(view.failures) for view in self.views)

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(f.label for view in self.views for f in view.failures))


@dataclass
class Tally:
    """Of one policy: views that break each test, views that break any, and how alike its pairs are."""

    policy: Policy
    views: int = 0
    broken: int = 0
    tests: Counter[str] = field(default_factory=Counter)
    alike: list[float] = field(default_factory=list)

    def add(self, column: Column) -> None:
        self.alike += column.alike
        for pair in column.pairs:
            for view in pair:
                self.views += 1
                self.broken += bool(view.failures)
                self.tests.update({failure.test for failure in view.failures})


@dataclass(frozen=True)
class Seen:
    """One image: its statistics by the names of the profile's, and which tests each policy's views of it break."""

    item: Item
    picture: str  # a data URI
    values: dict[str, float]
    broken: tuple[frozenset[str], ...] = ()


@dataclass
class Look:
    """All that was found, after `done` of `total` images."""

    tallies: tuple[Tally, Tally]
    seed: int
    size: int
    total: int
    done: int = 0
    blank: int = 0
    profile: Profile = field(default_factory=Profile)
    worst: list[Pair] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    odd: list[Odd] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    atlas: Atlas = field(default_factory=Atlas)


def look(
    items: list[Item], one: Policy, other: Policy, seed: int, size: int, said: list[str] | None = None,
    features: Features = atlas.pixels, by: str = "pixels",
) -> Iterator[Look]:  # fmt: skip
    """Look at every image, yielding what is known after each one; what cannot be read becomes a sentence.

    Args: one: the policy whose worst pairs are kept. features, by: where the map's dots lie, and their name.
    """
    result = Look((Tally(one), Tally(other)), seed, size, len(items), said=list(said or []), atlas=Atlas(by))
    for item in items:
        try:
            source = item.open()
        except AdaptAugError as error:
            result.said.append(str(error))
            result.profile.bad.append((item.name, str(error)))
        else:
            _add(result, item, source, features)
        result.done += 1
        if result.done == result.total:
            names = result.profile.names
            result.odd += [Odd(a, "again", f"like {names[b]}") for a, b in result.profile.duplicates()]
        yield result


def _add(result: Look, item: Item, source: Source, features: Features) -> None:
    values = result.profile.add(item.name, source.pixels)
    result.odd += odd(len(result.seen), values, source.pixels)
    result.seen.append(Seen(item, thumbnail(source.pixels, 128), values))
    if source.blank(result.size):  # it has nothing to lose, and the promise counts it apart
        result.blank += 1
        return
    broken = []
    for tally in result.tallies:
        column = logic.make_pairs(source, tally.policy, result.seed, PAIRS, result.size)
        tally.add(column)
        if tally is result.tallies[0]:
            pairs = [Pair(item, i, pair, column.alike[i]) for i, pair in enumerate(column.pairs)]
            result.worst += [pair for pair in pairs if pair.failures]
        broken.append(frozenset(f.test for pair in column.pairs for view in pair for f in view.failures))
    views = [view.pixels for pair in column.pairs for view in pair]  # of the second policy
    result.atlas.add(
        len(result.seen) - 1,
        item.name,
        item.label,
        features(np.stack([source.frame(result.size).pixels, *views])),
    )
    result.seen[-1] = replace(result.seen[-1], broken=tuple(broken))
    result.worst.sort(key=lambda pair: (-pair.failures, pair.alike))
    del result.worst[WORST:]


def chosen(look: Look, test: str, side: int) -> list[int]:
    """The images of which a view breaks that test, any where it is empty, by the policy of that side."""
    return [
        i for i, seen in enumerate(look.seen)
        if side < len(seen.broken) and (test in seen.broken[side] or (not test and seen.broken[side]))
    ]  # fmt: skip


def within(look: Look, statistic: str, share: float) -> tuple[list[int], float, float]:
    """The images in the bar of a histogram that lies at that share of its width, and the bar's ends."""
    row = STATISTICS[statistic]
    step = (row.high - row.low) / BARS
    bar = min(max(int(share * BARS), 0), BARS - 1)
    places = [min(max(int((s.values[statistic] - row.low) / step), 0), BARS - 1) for s in look.seen]
    return (
        [i for i, at in enumerate(places) if at == bar],
        row.low + bar * step,
        row.low + (bar + 1) * step,
    )


__all__ = ["Item", "Look", "Pair", "Seen", "Tally", "chosen", "digits", "from_folder", "look", "photographs",
           "uploaded", "within"]  # fmt: skip
