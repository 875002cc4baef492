"""Views made as a user makes them and what adaptaug/promise/checker.py says of them; the images that are judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

import adaptaug
from adaptaug.params import ViewParams
from adaptaug.policy import Policy
from adaptaug.policy.ops import of_kind
from adaptaug.policy.schema import Promise
from adaptaug.promise.checker import violations

FRAME = Policy.parse({"version": 1, "name": "frame", "guards": False, "operations": {}})


class Seen(NamedTuple):
    """One view of each image, what it is judged by, and what the certificate did."""

    pixels: dict[str, np.ndarray]  # the checker's (B, S, S, 3)
    pulled: np.ndarray  # (B,) whether drawn back towards its crop
    framed: np.ndarray  # (B,) whether the full frame took the crop's place
    failed: np.ndarray  # (B,) which test it failed: reasons.TESTS
    route: np.ndarray  # (B,) whose limits hold: by number the policy's route; 0 without any

    @property
    def acted(self) -> np.ndarray:
        return self.pulled | self.framed

    def broken(self, policy: Policy, view: int = 0) -> dict[str, np.ndarray]:
        """By test which images' views break the promise of their policies."""
        promise = promised(policy, view, self.route)
        whole = self.pixels.get("whole")
        erased = None if whole is None else (whole != self.pixels["view"]).any(-1).mean((1, 2))
        return violations(**self.pixels, erased=erased, promise=promise)


def see(images: Any, views: adaptaug.Views, frame: Any, key: Any) -> list[Seen]:
    """Make `views` of each image (a batch or one array), which come with their parameters; one Seen a view.

    `frame` is what FRAME, a policy without any operation, makes of the images: the full frame.
    """
    pixels, params = views(images, key=key)
    return [_seen(images, view, plan, frame) for view, plan in zip(pixels, params, strict=True)]


def _seen(images: Any, view: Any, params: ViewParams, frame: Any) -> Seen:
    pixels = {"view": view, "frame": frame, "crop": adaptaug.render(images, params.safe_crop())}
    late = [op for op in of_kind("late") if op.labels[0] in params.entries]
    if late:
        pixels["quiet"] = adaptaug.render(images, params.without(*(op.name for op in late)))
        pixels["whole"] = adaptaug.render(images, params.without(*(op.name for op in late if op.covers)))
    pulled = (np.asarray(params.strength) < 1) & ~np.asarray(params.blank)
    route = np.zeros(len(params), np.int64) if params.route is None else np.asarray(params.route)
    levels = {name: _levels(p) for name, p in pixels.items()}
    return Seen(levels, pulled, np.asarray(params.frame), np.asarray(params.failed), route)


def promised(policy: Policy, view: int, route: np.ndarray) -> Any:
    """The `Promise` of each image's policy: numbers, or (B,) of them where the policy has routes."""
    each = [choice.for_view(view).promise for choice in policy.choices]
    if not policy.routes:
        return each[0]
    return SimpleNamespace(**{
        name: np.array([getattr(promise, name) for promise in each])[route] for name in Promise.model_fields
    })  # fmt: skip


def _levels(pixels: Any) -> np.ndarray:
    """What a call gave back as (B, S, S, 3) uint8."""
    if isinstance(pixels, np.ndarray):
        return pixels[None]
    pixels = pixels.detach()
    pixels = (pixels * 255.0).round().to(torch.uint8) if pixels.is_floating_point() else pixels
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


def together(parts: Sequence[Seen]) -> Seen:
    """Single images' as a batch's."""
    pixels = {name: np.concatenate([p.pixels[name] for p in parts]) for name in parts[0].pixels}
    return Seen(pixels, *(np.concatenate(flags) for flags in zip(*(p[1:] for p in parts), strict=True)))


def judge(images, aug, frame, key, view=0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Make one view of each image, judge it, and say where the certificate acted and which test failed."""
    views = adaptaug.Views(aug.policy, 1, aug.size, "none", return_params=True, first=view)
    (seen,) = see(images, views, frame, key)
    return seen.broken(aug.policy, view), seen.acted, seen.failed


@cache
def gather_sources(data: str | None, limit: int) -> dict[str, list[np.ndarray]]:
    """Folder name -> images. ../shared/data: the exposure categories, documents, and digits."""
    if data is None:
        from skimage import data as samples

        images = [samples.astronaut(), samples.chelsea(), samples.coffee(), samples.rocket()]
        dark = [((i / 255.0) ** 2 * 100).astype(np.uint8) for i in images]
        return {"samples": images, "samples, dark": dark}
    out: dict[str, list[np.ndarray]] = defaultdict(list)
    root = Path(data)
    for path in sorted((root / "photos" / "exposure").glob("*.jpg")):
        out[path.name.split("__")[0]].append(adaptaug.decode(path.read_bytes()))
    for path in sorted((root / "photos" / "documents").glob("*.jpg")):
        out["documents"].append(adaptaug.decode(path.read_bytes()))
    digits = np.load(root / "mnist_train_20k.npz")["x"]
    out["digits"] = [np.repeat(d[:, :, None], 3, 2) for d in digits[:400]]
    cifar = np.load(root / "cifar10_train_20k.npz")["x"]
    out["cifar10"] = list(cifar[:400])
    return {name: images[:limit] for name, images in out.items()}
