"""What a data set is like: the distribution of its statistics, the preset that suits it and why, what is wrong with it.

Images are looked at one by one and forgotten; kept are fixed histograms and a name and an 8 x 8 thumbnail
of each to find duplicates.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from adaptaug.measure import ImageStats, measure_pixels
from adaptaug.views import Views

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 200
_SMALL = 64  # px: up to this a view is as large as the image
_TIMED = 8  # images a view's cost is measured on
_SAME = 2.0  # levels: mean difference of two 8 x 8 thumbnails up to which candidates count as duplicates
_CANDIDATES = 32  # compared per quarter of the hash, the latest: keeps the work linear

# name: (least, most, unit, what is marked in the plot)
STATISTICS: dict[str, tuple[float, float, str, tuple[float, ...]]] = {
    "mean": (0, 1, "mean luma", (0.10, 0.90)),
    "contrast": (0, 0.5, "standard deviation of luma", (0.06,)),
    "clipped": (0, 1, "share of pixels below .05 or above .95", ()),
    "entropy": (0, 5, "entropy of luma, bits of 5", ()),
    "chroma": (0, 0.5, "mean distance from grey", ()),
    "border": (0, 1, "uniformity of the border", (0.95,)),
    "separation": (0, 1, "two-level separation of luma (Otsu)", (0.85,)),
    "ink": (-1, 1, "one-sidedness of fine detail: dark strokes 1, light -1", (0.8,)),
}


@dataclass
class Profile:
    """Of the images added so far."""

    images: int = 0
    histograms: dict[str, np.ndarray] = field(
        default_factory=lambda: {n: np.zeros(_BINS, int) for n in STATISTICS}
    )
    grey: int = 0
    blank: int = 0
    glyphs: int = 0
    documents: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    _seen: dict[tuple[int, bytes], list[tuple[str, np.ndarray]]] = field(default_factory=dict)

    def add(self, name: str, image: np.ndarray) -> None:
        """Look at one (H, W, 3) uint8 image."""
        stats = measure_pixels(image)
        self.images += 1
        height, width = image.shape[:2]
        self.sizes[width, height] += 1
        values = _values(stats, image)
        for statistic, value in values.items():
            least, most, *_ = STATISTICS[statistic]
            place = int((value - least) / (most - least) * _BINS)
            self.histograms[statistic][min(max(place, 0), _BINS - 1)] += 1
        grey = bool(stats.grey[0])
        self.grey += grey
        self.blank += float(stats.contrast[0]) < 2 / 255
        self.glyphs += grey and values["border"] >= 0.95 and values["separation"] >= 0.85
        self.documents += abs(values["ink"]) >= 0.8
        self._compare(name, image)

    def _compare(self, name: str, image: np.ndarray) -> None:
        """Note a near-duplicate: one of the four quarters of its 64-bit difference hash is another image's, and so
        is its 8 x 8 thumbnail, nearly."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        rows = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
        digest = np.packbits(rows[:, 1:] > rows[:, :-1]).tobytes()
        thumb = cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA)
        buckets = [self._seen.setdefault((q, digest[2 * q : 2 * q + 2]), []) for q in range(4)]
        for bucket in buckets:
            for other, pixels in bucket[-_CANDIDATES:]:
                if np.abs(pixels.astype(int) - thumb).mean() <= _SAME:
                    self.duplicates.append((name, other))
                    return
        for bucket in buckets:
            bucket.append((name, thumb))

    def quantile(self, statistic: str, share: float) -> float:
        """Of a statistic over the images, to the width of a bin."""
        least, most, *_ = STATISTICS[statistic]
        counts = self.histograms[statistic].cumsum()
        return least + (int(np.searchsorted(counts, share * counts[-1])) + 0.5) * (most - least) / _BINS

    def suggestion(self) -> tuple[str, str]:
        """(preset, why): glyphs, then documents, then dark photographs, else photographs."""
        grey, dark = self.grey / self.images, self.quantile("mean", 0.5)
        glyphs, documents = self.glyphs / self.images, self.documents / self.images
        if glyphs >= 0.5:
            return "digits", (f"{glyphs:.0%} of the images are grey strokes in two levels on an even border: "
                              "colour means nothing, a flip makes another glyph, shape may vary")  # fmt: skip
        if documents >= 0.5:
            return "documents", (f"in {documents:.0%} of the images fine detail lies on one side of its surroundings, "
                                 "as ink does: no flip, no colour")  # fmt: skip
        if dark < 0.2:
            return "lowlight", (f"the median image has a mean luma of {dark:.2f}, below .20: "
                                "tone needs lower targets and more gain")  # fmt: skip
        if grey >= 0.5:
            return "natural", (f"{grey:.0%} are grey but neither strokes on an even border nor text: treated as "
                               "photographs; its colour operations change nothing here")  # fmt: skip
        return "natural", (f"photographs: {1 - grey:.0%} in colour, median luma {dark:.2f}, "
                           f"no strokes ({glyphs:.0%}) and no text ({documents:.0%})")  # fmt: skip

    def warnings(self) -> list[str]:
        """Sentences about what may be wrong with the data."""
        out = []
        if self.duplicates:
            out.append(f"{len(self.duplicates)} near-duplicates, which are false negatives in contrastive learning "
                       f"(the first: {self.duplicates[0][0]} and {self.duplicates[0][1]}).")  # fmt: skip
        if len(self.sizes) > 1:
            widths = sorted(w * h for w, h in self.sizes)
            out.append(f"{len(self.sizes)} sizes, {widths[0] / 1e6:.2g} to {widths[-1] / 1e6:.2g} megapixels: "
                       "batches on the device need one size; make views in the loading workers.")  # fmt: skip
        if self.blank:
            out.append(f"{self.blank} blank images, which come back unaltered.")
        return out

    def report(self) -> dict[str, Any]:
        """Every number, as JSON takes it."""
        preset, why = self.suggestion()
        return {
            "images": self.images, "suggestion": preset, "because": why, "warnings": self.warnings(),
            "grey": self.grey, "blank": self.blank, "glyphs": self.glyphs, "documents": self.documents,
            "sizes": [[w, h, n] for (w, h), n in self.sizes.most_common(20)],
            "near_duplicates": self.duplicates[:100],
            "quantiles": {name: {str(q): round(self.quantile(name, q), 4) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
                          for name in STATISTICS},
            "histograms": {name: counts.tolist() for name, counts in self.histograms.items()},
        }  # fmt: skip

    def text(self) -> str:
        """The distribution, one line a statistic: 5, 50 and 95 % and where the images lie."""
        lines = [f"{'':<15}{'5 %':>7}{'50 %':>7}{'95 %':>7}"]
        for name, (least, most, unit, _) in STATISTICS.items():
            low, middle, high = (self.quantile(name, q) for q in (0.05, 0.5, 0.95))
            lines.append(f"{name:<15}{low:7.2f}{middle:7.2f}{high:7.2f}  |{_bar(self.histograms[name])}|  "
                         f"{least:g} to {most:g}: {unit}")  # fmt: skip
        return "\n".join(lines)

    def plot(self) -> Figure:
        """One histogram a statistic, the promise's limits and the presets' thresholds dotted."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 5.2), layout="constrained")
        for axes, (name, (least, most, unit, marks)) in zip(
            figure.subplots(2, 4).flat, STATISTICS.items(), strict=True
        ):
            counts = self.histograms[name].reshape(50, -1).sum(1)
            edges = np.linspace(least, most, 51)
            axes.stairs(100 * counts / self.images, edges, fill=True, color="#0b6e4f")
            axes.axvline(self.quantile(name, 0.5), color="#222", linewidth=1)
            for mark in marks:
                axes.axvline(mark, color="#c8553d", linewidth=1.2, linestyle=":")
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_xlabel(unit if len(unit) < 34 else unit.replace(": ", ":\n", 1), fontsize=8)
            axes.set_xlim(least, most)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(labelsize=8)
            axes.set_yticks([])
        title = f"{self.images:,} images; suggested preset: {self.suggestion()[0]}"
        note = "line: median; dotted: limits of the promise, thresholds of the presets"
        figure.suptitle(f"{title} ({note})", fontsize=11, x=0.01, ha="left")
        return figure


def _values(stats: ImageStats, image: np.ndarray) -> dict[str, float]:
    return {
        "mean": float(stats.mean[0]), "contrast": float(stats.contrast[0]),
        "clipped": float(stats.dark_fraction[0] + stats.bright_fraction[0]), "entropy": float(stats.entropy[0]),
        "chroma": float(stats.chroma[0]), "border": float(stats.border_uniformity[0]),
        "separation": separation(stats.histogram[0]), "ink": ink(image),
    }  # fmt: skip


def separation(histogram: np.ndarray) -> float:
    """Otsu's criterion at its best threshold: variance between two classes of luma over all of it, 0 to 1."""
    share = histogram / histogram.sum()
    levels = np.arange(len(share))
    below, mean = share.cumsum(), (share * levels).cumsum()
    variance = (share * levels**2).sum() - mean[-1] ** 2
    inside = (below > 0) & (below < 1)
    if variance <= 0 or not inside.any():
        return 0.0
    between = (mean[-1] * below - mean)[inside] ** 2 / (below * (1 - below))[inside]
    return float(min(between.max() / variance, 1.0))


def ink(image: np.ndarray) -> float:
    """Which side of its surroundings fine detail lies on: (darker - lighter) / (darker + lighter) pixels.

    A pixel counts when it differs from the median of the 21 x 21 around it, at about 512 px, by more than 20 levels.
    Text gives .8 and more (ink) or less than -.8 (light on dark); photographs have both. 0 where less than 3 % count,
    or where the image is smaller than 64 px.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if min(luma.shape) <= _SMALL:
        return 0.0
    factor = max(1, round(max(luma.shape) / 512))
    if factor > 1:
        luma = cv2.resize(luma, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    rest = luma.astype(np.int16) - cv2.medianBlur(luma, 21)
    darker, lighter = float((rest < -20).mean()), float((rest > 20).mean())
    return (darker - lighter) / (darker + lighter) if darker + lighter >= 0.03 else 0.0


def _bar(counts: np.ndarray, width: int = 40) -> str:
    shares = counts.reshape(width, -1).sum(1) / max(1, counts.sum())
    return "".join(" ▁▂▃▄▅▆▇█"[min(8, int(np.ceil(8 * share / shares.max())))] for share in shares)


def cost(images: Iterable[np.ndarray], preset: str, size: int) -> float:
    """Median milliseconds of a view of the first few images here, one at a time, as a loading worker makes them."""
    views = Views(preset, n=2, size=size)
    times = []
    for i, image in enumerate(images):
        views(image, key=(0, 0, i))  # the first look at an image warms caches
        began = time.perf_counter()
        views(image, key=(0, 1, i))
        times.append((time.perf_counter() - began) / 2)
        if i + 1 == _TIMED:
            break
    return 1000 * float(np.median(times))


def view_size(profile: Profile) -> int:
    """224, or the images' own side where that is at most 64."""
    (width, height), _ = profile.sizes.most_common(1)[0]
    return max(8, width, height) if max(width, height) <= _SMALL else 224
