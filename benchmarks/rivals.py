"""The augmentations under comparison: name -> what makes the views of a batch.

A name may end in changes of the recipe that it is trained by: `natural, views=4` (`CHANGES`).

A name is a preset's, a policy file's path, one of `policies()` (manual recipes, and ours with a part changed), one of
the rivals of the literature below, or `again:NAME`, which is NAME with other random numbers (what chance alone does).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torchvision.transforms import v2

from adaptaug.errors import AdaptAugError
from adaptaug.pipeline.generate import look
from adaptaug.pipeline.inputs import IMAGENET_MEAN, IMAGENET_STD
from adaptaug.policy import Policy, preset_names
from adaptaug.simclr.conditioning import describe
from adaptaug.simclr.contrast import Contrast, views_of
from adaptaug.views import AdaptiveAugment, Views

Pair = list[torch.Tensor]
# Images, keys (B, 3), the network -> the views; with them, of a head that is told, what was done to each.
Make = Callable[[torch.Tensor, np.ndarray, Contrast], Any]

_RATIO = (0.75, 1.3333333333333333)
CHANGES: dict[str, Callable[[str], Any]] = {
    "views": int,
    "small": int,
    "batch": int,
    "rate": float,
    "norm": str,
    "first_size": int,
    "tell": str,
}


def parted(name: str) -> tuple[str, dict[str, Any]]:
    """`NAME, views=4, norm=view` -> NAME, and what is changed of the recipe for it."""
    changes: dict[str, Any] = {}
    while match := re.search(rf", ({'|'.join(CHANGES)})=([^, ]+)$", name):
        name, changes = name[: match.start()], {match[1]: CHANGES[match[1]](match[2])} | changes
    return name, changes


def hand(
    strength: float, least_area: float, grey: float = 0.2, flip: float = 0.5, affine: bool = False
) -> Policy:
    """SimCLR's recipe for small images: crop floor, flip, colour jitter of a strength, grey. What is tuned by hand.
    `affine`: with the small rotations and shears that people give characters instead of a flip."""
    jitter = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
    colour = {
        name: {"p": 0.8, "range": (-strength * reach, strength * reach), "together": "jitter"}
        for name, reach in jitter.items() if strength > 0
    }  # fmt: skip
    shape = {"rotate": {"p": 0.8, "range": (-15, 15)}, "shear": {"p": 0.8, "x": (-15, 15)}} if affine else {}
    crop = {"crop": {"area": (least_area, 1.0), "ratio": _RATIO}}
    mirrored, greyed = ({name: {"p": p}} if p else {} for name, p in (("hflip", flip), ("grey", grey)))
    return Policy(guards=False, operations=crop | mirrored | shape | colour | greyed)


def _grid(
    strengths: tuple[float, ...], floors: tuple[float, ...], tail: str = "", **more: Any
) -> dict[str, Policy]:
    return {f"hand s={s:g} crop={c:g}{tail}": hand(s, c, **more) for s in strengths for c in floors}


@cache
def grids() -> dict[str, dict[str, Policy]]:
    """What is tuned by hand: twelve recipes each. Whoever tunes for characters takes the flip out first."""
    floors = (0.2, 0.35, 0.6, 1.0)
    return {
        "photographs": _grid((0.25, 0.5, 0.75, 1.0), (0.08, 0.2, 0.35)),
        "characters": _grid((0.25, 0.75), floors, " upright", flip=0)
        | _grid((0.5,), floors, " affine", flip=0, affine=True),
    }


@cache
def policies() -> dict[str, Policy]:
    """Every policy with a name of its own."""
    natural, digits = Policy.load("natural"), Policy.load("digits")
    wide = {"exposure": {"mean": (0.2, 0.8), "std": (0.08, 0.3)}}
    narrow = {"exposure": {"mean": (0.4, 0.6), "std": (0.16, 0.24)}}
    # CIFAR-10's own in mixed exposure, by the formula of `adaptaug profile`.
    colours = {"rg": (-0.2, 0.27), "yb": (-0.24, 0.47), "std": (0.035, 0.49)}
    no_colour: dict[str, None] = {"saturation": None, "hue": None, "grey": None}
    no_tone: dict[str, None] = {"exposure": None, "brightness": None, "contrast": None}
    clip = lambda share, **more: natural.edit(promise={"clip": share}, **more)  # noqa: E731
    variants = {
        "none": Policy(guards=False),
        "crop only": hand(0, 0.08, grey=0),
        "colour only": hand(0.5, 1.0),
        "guards only": natural.edit({"exposure": None}),
        "clip .05": clip(0.05), "clip .1": clip(0.1), "clip .25": clip(0.25),
        "targets without guards": natural.edit(guards=False),
        "targets wide": natural.edit(wide), "targets narrow": natural.edit(narrow),
        "targets wide, clip .25": natural.edit(wide, promise={"clip": 0.25}),
        "targets half the time": natural.edit({"exposure": {"p": 0.5}}),
        "natural without colour": natural.edit(no_colour), "natural without tone": natural.edit(no_tone),
        "natural without crop": natural.edit({"crop": {"area": (1.0, 1.0), "ratio": (1.0, 1.0), "content": 0.0}}),
        "natural, grey .4": natural.edit({"grey": {"p": 0.4}}),
        **{f"natural, chroma {p:g}": natural.edit({"chroma": {"p": p, **colours}}) for p in (0.1, 0.2, 0.4, 0.8)},
        "natural, colour s=1": natural.edit({"saturation": {"range": (-0.8, 0.8)}, "hue": {"range": (-0.2, 0.2)}}),
        "natural, crop=.2": natural.edit({"crop": {"area": (0.2, 1.0)}}),
        "natural, s=.75 crop=.35": natural.edit(
            {"crop": {"area": (0.35, 1.0)}, "saturation": {"range": (-0.6, 0.6)}, "hue": {"range": (-0.15, 0.15)}}
        ),
        "natural without stretch": natural.edit({"stretch": None}),
        "natural with wide stretch": natural.edit({"stretch": {"p": 0.8, "range": (0.6, 1.6666)}}),
        "digits without stretch": digits.edit({"stretch": None}),
        "digits without shear": digits.edit({"shear": None}),
        "digits without guards": digits.edit(guards=False),
        "digits, crop=.6": digits.edit({"crop": {"area": (0.6, 1.0)}}),
        "digits, crop=.6 mild": digits.edit(
            {"crop": {"area": (0.6, 1.0)}, "rotate": {"range": (-8, 8)}, "shear": {"x": (-9, 9), "y": (-3, 3)},
             "stretch": {"range": (0.85, 1.1765)}}
        ),
        "digits with flip": digits.edit({"hflip": {"p": 0.5}}),
    }  # fmt: skip
    return variants | grids()["photographs"] | grids()["characters"]


def policy_of(name: str) -> Policy | None:
    """The policy that a name stands for; None where it is a rival without one."""
    name = parted(name)[0].removeprefix("again:")
    if name in policies():
        return policies()[name].edit(name=name)
    return None if name in RIVALS else Policy.load(name)


def maker(name: str, size: int, views: int = 2, small: int = 0, told: Sequence[str] = ()) -> Make:
    """What makes so many views, float32 (B, 3, size, size), normalised, and so many of half the size.

    Raises: AdaptAugError: nothing has this name; more than two views of a rival, which makes pairs, or `told`.
    """
    again = name.startswith("again:")
    name = name.removeprefix("again:")
    if name in RIVALS:
        if views + small != 2 or told:
            raise AdaptAugError(
                f"{name}: expected 2 views and no tell, for it makes pairs, got {views + small}."
            )
        make = RIVALS[name](size)
    else:
        several = views_of(policy_of(name), views, size, small, size // 2, bool(told))  # type: ignore[arg-type]

        def make(images: torch.Tensor, keys: np.ndarray, _: Contrast) -> Any:
            if not told:
                return several(images, key=keys)
            views, params = several(images, key=keys)
            return views, [describe(p, told) for p in params]

    if not again:
        return make
    return lambda images, keys, model: make(images, keys + np.array([1_000_003, 0, 0]), model)


def known_names() -> list[str]:
    return [*preset_names(), *policies(), *RIVALS]


# --- rivals of the literature -------------------------------------------------------------------------------
def _normalise(levels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(v, device=levels.device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (levels.float() / 255 - mean) / std


def _torchvision(make: Callable[[], torch.nn.Module]) -> Callable[[int], Make]:
    """torchvision's own transform after our crop and flip; its generator is seeded for each image by the key."""

    def build(size: int) -> Make:
        crop, transform = AdaptiveAugment(hand(0, 0.08, grey=0), size), make()

        def views(images: torch.Tensor, keys: np.ndarray, _: Contrast) -> Pair:
            pair = []
            for view in range(2):
                cropped = crop(images, key=keys, view=view)
                out = []
                with torch.random.fork_rng(devices=[]):
                    for image, key in zip(cropped.cpu(), keys, strict=True):
                        torch.manual_seed(hash((*map(int, key), view)))
                        out.append(transform(image))
                pair.append(_normalise(torch.stack(out).to(images.device)))
            return pair

        return views

    return build


def _cut(images: torch.Tensor, boxes: np.ndarray, size: int) -> torch.Tensor:
    """Boxes x0, y0, width, height in [0, 1] of each image, bilinear, as uint8."""
    x0, y0, width, height = torch.from_numpy(boxes).float().T
    zero = torch.zeros_like(x0)
    rows = [
        torch.stack([width, zero, 2 * x0 + width - 1], 1),
        torch.stack([zero, height, 2 * y0 + height - 1], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), [len(images), 3, size, size], align_corners=False)
    cut = functional.grid_sample(
        images.float(), grid.to(images.device), padding_mode="border", align_corners=False
    )
    return cut.round().clamp(0, 255).to(torch.uint8)


def _boxes(area: np.ndarray, random: np.random.Generator, spread: float) -> np.ndarray:
    """Boxes of given areas; their places Beta(spread, spread): 1 is uniform, more is nearer the centre."""
    ratio = np.exp(random.uniform(math.log(_RATIO[0]), math.log(_RATIO[1]), len(area)))
    width, height = np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
    place = random.beta(spread, spread, (2, len(area)))
    return np.stack([place[0] * (1 - width), place[1] * (1 - height), width, height], 1)


def _own_crops(draw: Callable[[np.random.Generator, int], list[np.ndarray]]) -> Callable[[int], Make]:
    """Crops of a rival's, then the flip and colour of `simclr-cifar` through our renderer."""

    def build(size: int) -> Make:
        rest = Views(hand(0.5, 0.08).edit({"crop": None}), n=2, size=size)

        def views(images: torch.Tensor, keys: np.ndarray, _: Contrast) -> Pair:
            drawn = [draw(np.random.default_rng([7, *(int(k) & 0xFFFFFFFF for k in key)]), 1) for key in keys]
            return [
                Views(rest.policy, n=1, size=size, first=view)(
                    _cut(images, np.concatenate([boxes[view] for boxes in drawn]), size), key=keys
                )[0]
                for view in range(2)
            ]

        return views

    return build


def _centred(random: np.random.Generator, count: int) -> list[np.ndarray]:
    """The usual areas, with places drawn towards the centre."""
    return [_boxes(random.uniform(0.08, 1, count), random, spread=3.0) for _ in range(2)]


def _coupled(random: np.random.Generator, count: int) -> list[np.ndarray]:
    """The ratio of the two areas is log-uniform, so that very different sizes are as frequent as like ones (the idea
    of JointCrop); the larger area is uniform in what the ratio leaves."""
    ratio = np.exp(random.uniform(0, math.log(1 / 0.08), count))
    large = random.uniform(0.08 * ratio, 1)
    pair = [large, large / ratio]
    swapped = random.random(count) < 0.5
    areas = [np.where(swapped, pair[1 - k], pair[k]) for k in range(2)]
    return [_boxes(area, random, spread=1.0) for area in areas]


def _hard(size: int) -> Make:
    """Of four views by `simclr-cifar` the two whose embeddings are least alike (hard view pretraining's idea): four
    more forward passes a step, so at equal compute it has fewer epochs: `hard views*.6`."""
    four = Views("simclr-cifar", n=4, size=size)
    pairs = [(a, b) for a in range(4) for b in range(a)]

    def views(images: torch.Tensor, keys: np.ndarray, model: Contrast) -> Pair:
        candidates = torch.stack(four(images, key=keys))
        with torch.no_grad():
            points = [
                functional.normalize(model._embed(model.encoder, model.objective.head, v), dim=1)
                for v in candidates
            ]
        alike = torch.stack([(points[a] * points[b]).sum(1) for a, b in pairs])
        places = torch.tensor(pairs, device=alike.device)[alike.argmin(0)]
        each = torch.arange(len(images), device=alike.device)
        return [candidates[places[:, k], each] for k in range(2)]

    return views


def _blank(size: int) -> Make:
    """Featureless views: nothing can be learned from them, and a harness that does not rank them last is wrong."""
    return lambda images, keys, _: [
        torch.zeros(len(images), 3, size, size, device=images.device) for _ in range(2)
    ]


def _permuted(size: int) -> Make:
    """`auto` with the routes of a batch dealt out among its images: each as often, and by nothing that is in the image.
    Both views of an image have one route, so that what a view's making tells of it helps to find its partner as in
    `auto`; what `auto` has above this comes from the right route."""
    auto = Policy.load("auto")
    alone = [Views(Policy.load(str(route.policy)), n=2, size=size) for route in auto.routes]

    def views(images: torch.Tensor, keys: np.ndarray, _: Contrast) -> Pair:
        routes = look(images.float(), auto, size).route
        assert routes is not None
        random = np.random.default_rng([11, *(int(k) & 0xFFFFFFFF for k in keys[0])])
        dealt = random.permutation(routes.cpu().numpy())
        made = torch.empty(2, len(images), 3, size, size, device=images.device)
        for number in np.unique(dealt):
            rows = np.flatnonzero(dealt == number)
            made[:, rows] = torch.stack(alone[number](images[rows], key=keys[rows]))
        return list(made)

    return views


RIVALS: dict[str, Callable[[int], Make]] = {
    "randaugment": _torchvision(v2.RandAugment), "trivialaugment": _torchvision(v2.TrivialAugmentWide),
    "centred crops": _own_crops(_centred), "coupled crops": _own_crops(_coupled), "hard views": _hard,
    "auto, permuted": _permuted, "blank": _blank,
}  # fmt: skip


_OF_OURS = ("natural", "digits", "auto", "guards", "targets", "clip")  # ours, whole or with one part removed


def is_manual(name: str) -> bool:
    """Whether a row of this name (perhaps `NAME, views=4 x1.5`) is a rival's or a recipe of the field's, not ours."""
    name = parted(name.removeprefix("again:").partition(" x")[0])[0]
    if name.startswith(_OF_OURS):
        return False
    if name in RIVALS:
        return True
    if name not in policies() and name not in preset_names():
        return False  # a file's
    policy = policy_of(name)
    return policy is not None and not policy.guards


def label(name: str) -> str:
    """How a table calls it: a file by its stem or its folder's name."""
    policy = parted(name)[0]
    path, changes = Path(policy), name.removeprefix(policy)
    if path.suffix in (".yaml", ".yml"):
        return (path.parent.name if path.stem == "policy" else path.stem) + changes
    return name
