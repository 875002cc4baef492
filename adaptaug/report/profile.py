"""What a data set is like: the distribution of its statistics, the preset that suits it and why, what may be wrong.

Images are looked at one by one and forgotten. Kept are histograms of a fixed size and, to find near-duplicates,
72 bytes an image: a hash of 64 bits and a thumbnail of 8 x 8.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch

from adaptaug.backend.levels import BLANK_STD, luma_levels
from adaptaug.data import Images
from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS
from adaptaug.policy.routes import choose, in_words
from adaptaug.policy.schema import Promise
from adaptaug.promise import guards
from adaptaug.stats.image import STATISTICS as image_statistics
from adaptaug.stats.image import ImageStats, Statistic, measure_pixels
from adaptaug.stats.subject import statistic
from adaptaug.views import Views

_BINS = 200
_ONE = 0.7  # of the images, at least, suit one preset where data are not mixed
_SMALL = 64  # px: up to this a view is as large as the image
_ROUTES = Policy.load("auto").routes  # by which an image votes for a preset
_NEAR = 0.03  # MNIST has 4 duplicates in 20,000 so, near 180 at .05; half of re-saved photographs: < .01
_BITS = 6  # of 64 that may differ
_WINDOW = 8  # neighbours in the order of the hashes that an image is compared with
_CHUNK = 1 << 16  # pairs compared at a time


def _limits(name: str) -> tuple[float, ...]:
    """Where the rules that an image votes by draw a line through a statistic."""
    return tuple(sorted({end for route in _ROUTES for end in route.when.get(name, ()) if end is not None}))


def _rules(preset: str) -> str:
    """What an image is that votes for a preset."""
    return " or ".join(
        f"{route.subject} ({', '.join(f'{name} {in_words(*ends)}' for name, ends in route.when.items())})"
        for route in _ROUTES
        if route.policy == preset
    )


_OWN = (  # of whole images, which tell apart what presets are for
    Statistic("levels", "Two levels", 0, 1, "luma variance between two classes (Otsu)", "levels"),
    Statistic("ink", "Ink", -1, 1, "fine detail: above 0 dark on light, below light on dark", "ink"),
)
STATISTICS = {row.short: row for row in (*image_statistics.values(), *_OWN) if row.short}
_PROMISE = Promise()
# What is marked in a statistic: the promise's limits of views, and how they are said; presets' thresholds.
LIMITS = {"mean": (_PROMISE.dark, _PROMISE.bright), "contrast": (_PROMISE.std,)}
_SAID = {
    "mean": f" (views: {_PROMISE.dark:.2f} to {_PROMISE.bright:.2f}, or as it is)",
    "contrast": f" (views: {_PROMISE.std:.2f}, or {_PROMISE.std_share:.1f} of this)",
}
THRESHOLDS = {short: _limits(row.name) for short, row in STATISTICS.items()}
# The targets of the operation chroma, of the images that have colour: the range in which they are counted.
COLOURS = {"rg": (-1.0, 1.0), "yb": (-1.0, 1.0), "std": (0.0, 1.0)}
# preset: (what an image is that votes for it, what follows)
PRESETS = {
    "digits": (_rules("digits"), "colour means nothing and a flip makes another glyph, so shape varies instead"),
    "documents": (_rules("documents"),
                  "mirrored text is other text and colour means little, so tilt, slant and light vary"),
    "lowlight": (_rules("lowlight"), "tone gets lower targets and more gain, colour varies less"),
    "natural": ("none of the above, so taken for photographs", "crop, flip, tone and colour may all vary"),
}  # fmt: skip


@dataclass
class Profile:
    """Of the images added so far."""

    names: list[str] = field(default_factory=list)
    histograms: dict[str, np.ndarray] = field(
        default_factory=lambda: {n: np.zeros(_BINS, int) for n in STATISTICS}
    )
    colours: dict[str, np.ndarray] = field(default_factory=lambda: {n: np.zeros(_BINS, int) for n in COLOURS})
    votes: Counter[str] = field(default_factory=Counter)  # preset: images; blank ones have none
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    grey: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)  # what could not be read: (name, sentence)
    _marks: bytearray = field(default_factory=bytearray)  # 72 bytes an image

    def add(self, name: str, image: np.ndarray) -> dict[str, float]:
        """Look at one (H, W, 3) uint8 image; returns its own statistics, by the names of `STATISTICS`."""
        stats = measure_pixels(_planes(image))
        values = _values(stats)
        for measured, value in values.items():
            _count(self.histograms[measured], value, *_ends(measured))
        if guards.coloured(stats.colouring.chroma)[0] == 1.0:
            for name, counts in self.colours.items():
                _count(counts, float(getattr(stats.colouring, name)[0]), *COLOURS[name])
        self.names.append(name)
        self.sizes[image.shape[1], image.shape[0]] += 1
        self.grey += bool(stats.grey[0])
        if values["contrast"] >= BLANK_STD:
            self.votes[looks_like(stats)] += 1
        self._marks += _mark(image)
        return values

    def some(self, images: Images, count: int = 8) -> Iterator[np.ndarray]:
        """Some of the images that could be read, spread evenly, read again one at a time."""
        bad = {name for name, _ in self.bad}
        good = [i for i, name in enumerate(images.names) if name not in bad]
        yield from (images[good[i * len(good) // count]] for i in range(min(count, len(good))))

    def quantile(self, statistic: str, share: float) -> float:
        """Of a statistic over the images, to the width of a bin."""
        return _quantile(self.histograms[statistic], share, *_ends(statistic))

    def chroma(self) -> dict[str, list[float]] | None:
        """The images' own colours as ranges for the operation chroma: 5 to 95 % of those that are not grey; None where
        most are."""
        if 2 * self.colours["std"].sum() <= len(self.names):
            return None
        ends = {
            name: [round(_quantile(counts, share, *COLOURS[name]), 3) for share in (0.05, 0.95)]
            for name, counts in self.colours.items()
        }
        return ends | {"std": [max(end, OPS["chroma"].parameters["std"].low) for end in ends["std"]]}

    def share(self, preset: str) -> float:
        """Of the images that vote, those for a preset."""
        return self.votes[preset] / max(1, self.votes.total())

    def suggestion(self) -> tuple[str, str]:
        """(preset, why): the one with most votes."""
        preset = max(reversed(PRESETS), key=self.share)  # natural where nothing votes
        because = f"{self.share(preset):.0%} of the images are {PRESETS[preset][0]}: {PRESETS[preset][1]}"
        if preset == "natural" and (grey := self.grey / len(self.names)) > 0.5:
            because += (f"; {grey:.0%} are grey, where its colour operations change nothing, and it flips: "
                        "take digits if a mirrored image would mean something else")  # fmt: skip
        return preset, because

    @property
    def mixed(self) -> bool:
        """Whether no preset suits most images."""
        return bool(self.votes) and self.share(self.suggestion()[0]) < _ONE

    def advice(self) -> tuple[str, str]:
        """(policy, why): the suggested preset, and `auto`, which takes for each image its own, where data are mixed."""
        preset, because = self.suggestion()
        if not self.mixed:
            return preset, because
        second = self.runner_up()[0]
        shares = f"{self.share(preset):.0%} of the images suit {preset} and {self.share(second):.0%} {second}"
        return "auto", f"{shares}, and it takes for each image its own"

    def runner_up(self) -> tuple[str, str]:
        """(preset, what speaks for it): the one with the next most votes; natural or lowlight without."""
        first = self.suggestion()[0]
        second = max((name for name in reversed(PRESETS) if name != first), key=self.share)
        what = f"{self.votes[second]:,} of {len(self.names):,} images ({self.share(second):.0%}): {PRESETS[second][0]}"
        if second == "lowlight":
            what += f"; the median image has {self.quantile('mean', 0.5):.2f}"
        return second, what

    def duplicates(self) -> list[tuple[int, int]]:
        """Near-duplicates: (an image, an earlier one like it), each image once.

        Sorted by the hash, rotated by 0, 16, 32 and 48 bits, images with one equal quarter of their hash lie
        together: only neighbours in these four orders are compared, so the work is that of sorting.
        """
        marks = np.frombuffer(bytes(self._marks), np.uint8).reshape(-1, 72)
        hashes, thumbs = marks[:, :8].copy().view(np.uint64)[:, 0], marks[:, 8:]
        originals: dict[int, int] = {}
        for bits in (0, 16, 32, 48):
            turned = hashes << np.uint64(bits) | hashes >> np.uint64((64 - bits) % 64)
            order = np.argsort(turned, kind="stable")
            for shift in range(1, min(_WINDOW, len(order) - 1) + 1):
                for start in range(0, len(order) - shift, _CHUNK):
                    one = order[start : start + _CHUNK][: len(order) - shift - start]
                    other = order[start + shift : start + shift + _CHUNK]
                    near = np.bitwise_count(hashes[one] ^ hashes[other]) <= _BITS
                    one, other = one[near], other[near]
                    alike = _alike(thumbs[one].astype(np.float32), thumbs[other].astype(np.float32))
                    for a, b in zip(one[alike].tolist(), other[alike].tolist(), strict=True):
                        originals.setdefault(max(a, b), min(a, b))
        return sorted(originals.items())

    def warnings(self) -> list[str]:
        """Sentences about what may be wrong with the data."""
        out, total = [], len(self.names)
        first, second = self.suggestion()[0], self.runner_up()[0]
        if self.mixed:
            out.append(f"mixed data: {self.share(first):.0%} suit {first} and {self.share(second):.0%} {second}; "
                       "auto takes for each image its own.")  # fmt: skip
        if pairs := self.duplicates():
            (again, earlier), *_ = pairs
            out.append(f"{len(pairs):,} of {total:,} images are nearly another one: false negatives when both "
                       f"are in a batch (the first: {self.names[again]} and {self.names[earlier]}).")  # fmt: skip
        if len(self.sizes) > 1:
            areas = sorted((w * h, f"{w} x {h}") for w, h in self.sizes)
            out.append(f"{len(self.sizes)} sizes, {areas[0][1]} to {areas[-1][1]}: batches on the device need one; "
                       "make views in the loading workers.")  # fmt: skip
        if blank := total - self.votes.total():
            out.append(f"{blank:,} blank images, whose views are blank too.")
        if self.bad:
            out.append(f"{len(self.bad):,} of {total + len(self.bad):,} files could not be read.")
        return out

    def report(self) -> dict[str, Any]:
        """Every number, as JSON takes it."""
        (policy, why), (second, why_not) = self.advice(), self.runner_up()
        return {
            "images": len(self.names), "suggestion": policy, "because": why,
            "runner_up": second, "runner_up_is": why_not,
            "votes": {name: self.votes[name] for name in PRESETS}, "warnings": self.warnings(), "grey": self.grey,
            "sizes": [[w, h, n] for (w, h), n in self.sizes.most_common(20)],
            "unreadable": [sentence for _, sentence in self.bad],
            "near_duplicates": [[self.names[a], self.names[b]] for a, b in self.duplicates()],
            "quantiles": {name: {str(q): round(self.quantile(name, q), 4) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
                          for name in STATISTICS},
            "chroma": self.chroma(),
            "ranges": {name: [statistic.low, statistic.high] for name, statistic in STATISTICS.items()},
            "histograms": {name: counts.tolist() for name, counts in self.histograms.items()},
        }  # fmt: skip

    def text(self) -> str:
        """One line a statistic, its quantiles and where the images lie; then what they look like."""
        lines = [f"{'':<11}{'5 %':>6}{'50 %':>6}{'95 %':>6}"]
        for name, row in STATISTICS.items():
            quantiles = "".join(f"{self.quantile(name, q):6.2f}" for q in (0.05, 0.5, 0.95))
            bar = f"{row.low:>2g}|{_bar(self.histograms[name])}|{row.high:<3g}"
            lines.append(f"{name:<11}{quantiles}  {bar}  {row.unit}{_SAID.get(name, '')}")
        lines += ["", "looks like"]
        lines += [f"{name:<11}{self.share(name):>6.0%}  {title}" for name, (title, _) in PRESETS.items()]
        if (ranges := self.chroma()) is not None:
            written = ", ".join(f"{name}: [{low:g}, {high:g}]" for name, (low, high) in ranges.items())
            lines += ["", f"colours as targets, 5 to 95 % of the images: chroma: {{p: 0.2, {written}}}"]
        return "\n".join(lines)


def _ends(statistic: str) -> tuple[float, float]:
    return STATISTICS[statistic].low, STATISTICS[statistic].high


def _count(counts: np.ndarray, value: float, low: float, high: float) -> None:
    """Count a value in its bin; what lies outside in the outermost."""
    counts[min(max(int((value - low) / (high - low) * _BINS), 0), _BINS - 1)] += 1


def _quantile(counts: np.ndarray, share: float, low: float, high: float) -> float:
    total = counts.cumsum()
    return low + (int(np.searchsorted(total, share * total[-1])) + 0.5) * (high - low) / _BINS


def _planes(image: np.ndarray) -> torch.Tensor:
    """(1, 3, H, W) of an (H, W, 3) uint8 image."""
    return torch.from_numpy(np.array(image, copy=not image.flags.writeable)).permute(2, 0, 1)[None]


def _luma(image: np.ndarray) -> np.ndarray:
    """(h, w) uint8 luma levels of an (H, W, 3) uint8 image."""
    return luma_levels(_planes(image).float())[0].to(torch.uint8).numpy()


def _values(stats: ImageStats) -> dict[str, float]:
    return {short: float(statistic(stats, row.name)[0]) for short, row in STATISTICS.items()}


def looks_like(stats: ImageStats) -> str:
    """The preset that one image votes for: the policy that `auto` gives it."""
    number = int(choose(_ROUTES, lambda name: statistic(stats, name))[0])
    return str(_ROUTES[number].policy)


def _mark(image: np.ndarray) -> bytes:
    """Difference hash (64 bits: is luma lighter than to its left, on 9 x 8) and an 8 x 8 thumbnail of luma."""
    luma = _luma(image)
    rows = cv2.resize(luma, (9, 8), interpolation=cv2.INTER_AREA)
    thumb = cv2.resize(luma, (8, 8), interpolation=cv2.INTER_AREA)
    return np.packbits(rows[:, 1:] > rows[:, :-1]).tobytes() + thumb.tobytes()


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether thumbnails (N, 64) differ by less than their contrast explains: a hash alone takes all 1s for one."""
    contrast = np.minimum(one.std(1), other.std(1))
    return np.asarray(np.abs(one - other).mean(1) <= np.maximum(1.0, _NEAR * contrast))


def _bar(counts: np.ndarray, width: int = 40) -> str:
    shares = counts.reshape(width, -1).sum(1) / max(1, counts.sum())
    return "".join(" ▁▂▃▄▅▆▇█"[min(8, int(np.ceil(8 * share / shares.max())))] for share in shares)


def cost(images: Iterable[np.ndarray], preset: str, size: int) -> float:
    """Median milliseconds of a view here, one image at a time as a loading worker makes them, without decoding."""
    views = Views(preset, n=2, size=size)
    times = []
    for i, image in enumerate(images):
        for epoch in range(4):
            began = time.perf_counter()
            views(image, key=(0, epoch, i))
            times.append((time.perf_counter() - began) / 2)
    return 1000 * float(np.median(times[len(times) // 4 :]))  # the first ones warm caches


def view_size(profile: Profile) -> int:
    """224, or the images' own side where that is at most 64."""
    (width, height), _ = profile.sizes.most_common(1)[0]
    return max(8, width, height) if max(width, height) <= _SMALL else 224
