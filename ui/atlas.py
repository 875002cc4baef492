"""A map of a data set: where its images and their views lie by an encoder's features, or by their pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from adaptaug.ui.templates import escape

Features = Callable[[np.ndarray], np.ndarray]  # (B, S, S, 3) uint8 -> (B, F)
SIDE = 16  # px of pictures whose pixels are compared
COLOURS = 8  # of classes; the ninth begins again


def pixels(images: np.ndarray) -> np.ndarray:
    """(B, S, S, 3) uint8 -> (B, 768) float: levels of 16 x 16 px."""
    small = [cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(small).reshape(len(images), -1) / 255.0


@dataclass
class Atlas:
    """Features of images, of their views (`of[j]` is the image of view j), and the images' classes where there are."""

    by: str = "pixels"
    numbers: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    views: list[np.ndarray] = field(default_factory=list)
    of: list[int] = field(default_factory=list)

    def add(self, number: int, name: str, label: str, found: np.ndarray) -> None:
        """An image, the data set's `number`: `found` has its features, then those of its views."""
        self.numbers.append(number)
        self.views += list(found[1:])
        self.of += [len(self.images)] * (len(found) - 1)
        self.images.append(found[0])
        self.names.append(name)
        self.classes.append(label)

    def near(self) -> float:
        """Share of views that lie nearest to their own image, of all images."""
        nearest = _apart(np.stack(self.views), np.stack(self.images)).argmin(1)
        return float(np.mean(nearest == np.array(self.of)))

    def kept_apart(self) -> float | None:
        """Share of images whose nearest other image is of their class; None without two classes of two images."""
        counts = {label: self.classes.count(label) for label in self.classes if label}
        mine = [i for i, label in enumerate(self.classes) if counts.get(label, 0) > 1]
        if len({self.classes[i] for i in mine}) < 2:
            return None
        apart = _apart(np.stack(self.images), np.stack(self.images))
        np.fill_diagonal(apart, np.inf)
        return float(np.mean([self.classes[apart[i].argmin()] == self.classes[i] for i in mine]))

    def places(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Images and views on their two main axes, from 0 to 1, and the share of the spread that these show."""
        from sklearn.decomposition import PCA

        every = np.concatenate([np.stack(self.images), np.stack(self.views)])
        axes = PCA(2, random_state=0).fit(every)
        at = axes.transform(every)
        at = (at - at.min(0)) / np.maximum(np.ptp(at, axis=0), 1e-9)
        return at[: len(self.images)], at[len(self.images) :], float(axes.explained_variance_ratio_.sum())


def _apart(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances, (len(some), len(others))."""
    return ((some[:, None] - others[None]) ** 2).sum(-1)


def html(atlas: Atlas, policy: str) -> str:
    """The map: a dot is an image, a small one a view, tied to its image. Nothing where there is too little to see."""
    if len(atlas.images) < 3:
        return ""
    try:
        images, views, share = atlas.places()
    except ModuleNotFoundError:
        said = "The map needs scikit-learn, which is not installed: pip install 'adaptaug[train]'."
        return f'<div><h2>Map</h2><p class="faint">{escape(said)}</p></div>'
    order = {label: number % COLOURS for number, label in enumerate(dict.fromkeys(atlas.classes))}
    ink = [f"var(--aa-{'abcdefgh'[order[label]]})" for label in atlas.classes]
    shown = "".join(
        _view(images[i], at, ink[i], atlas.names[i]) for i, at in zip(atlas.of, views, strict=True)
    )
    shown += "".join(_image(i, at, ink[i], atlas) for i, at in enumerate(images))
    return (
        f'<div id="set-map"><h2>Map of images and views</h2><p class="faint">By {escape(atlas.by)}, on the two main '
        f"axes, which show {share:.0%} of the spread. A dot is an image, which opens in Tune; the small ones tied to "
        f"it are its views by {escape(policy)}.</p>{_numbers(atlas)}{_key(order)}"
        f'<svg class="aa-map" viewBox="-3 -3 106 66" role="img" '
        f'aria-label="Map of images and views">{shown}</svg></div>'
    )


def _numbers(atlas: Atlas) -> str:
    near, apart = atlas.near(), atlas.kept_apart()
    said = f"<b data-near>{near:.0%}</b> of the views lie nearest to their own image."
    if apart is not None:
        said += f" <b data-apart>{apart:.0%}</b> of the images have one of their class next to them."
    return f"<p>{said}</p>"


def _key(order: dict[str, int]) -> str:
    if len(order) < 2:
        return ""
    keys = "".join(
        f'<span><b style="color:var(--aa-{"abcdefgh"[colour]})">\N{BLACK CIRCLE}</b> '
        f"{escape(label or 'no class')}</span>"
        for label, colour in order.items()
    )
    return f'<p class="aa-marks">{keys}</p>'


def _at(place: np.ndarray) -> tuple[str, str]:
    return f"{100 * place[0]:.1f}", f"{60 * (1 - place[1]):.1f}"


def _view(image: np.ndarray, view: np.ndarray, ink: str, name: str) -> str:
    (x, y), (a, b) = _at(image), _at(view)
    return (
        f'<g stroke="{ink}" fill="{ink}"><line x1="{x}" y1="{y}" x2="{a}" y2="{b}" stroke-width=".15" '
        f'stroke-opacity=".5"/><circle cx="{a}" cy="{b}" r=".5" stroke="none"><title>a view of {escape(name)}</title>'
        "</circle></g>"
    )


def _image(number: int, at: Any, ink: str, atlas: Atlas) -> str:
    x, y = _at(at)
    said = ", ".join(filter(None, (atlas.names[number], atlas.classes[number])))
    return (
        f'<circle data-image="{atlas.numbers[number]}" cx="{x}" cy="{y}" r="1.1" fill="{ink}" stroke="var(--aa-card)" '
        f'stroke-width=".3"><title>{escape(said)}</title></circle>'
    )
