"""Sources of all kinds of light and content, and how many of their views break the promise."""

from contextlib import nullcontext

import numpy as np
import torch
from skimage import data

import adaptaug
from adaptaug.core.engine import off
from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS
from benchmarks.judging import FRAME, judge
from benchmarks.scenes import SCENES

WIDEST = Policy.parse(
    {
        "version": 1,
        "name": "everything, everywhere",
        "promise": {"clip": 0.25},
        "operations": {
            name: {"p": 0.6}
            | ({} if op.switch else {p: [spec.low, spec.high] for p, spec in op.parameters.items()})
            | {setting: high for setting, (_, _, high) in op.settings.items() if setting != "content"}
            for name, op in OPS.items()
        },
    }
)


def darker(image):
    """A quarter of a fifth of the light, requantised."""
    return np.rint(255 * ((image / 255.0) ** 2.2 * 0.05) ** (1 / 2.2)).astype(np.uint8)


def brighter(image):
    return 255 - darker(255 - image)


PHOTOGRAPH = np.ascontiguousarray(data.astronaut()[:256, 100:356])
SOURCES = {
    "ordinary": PHOTOGRAPH,
    "dark": darker(PHOTOGRAPH),
    "bright": brighter(PHOTOGRAPH),
    "flat": (100 + PHOTOGRAPH // 16).astype(np.uint8),
    "clipped": np.where(PHOTOGRAPH > 110, 255, PHOTOGRAPH).astype(np.uint8),
    "glyph": SCENES["a glyph"](),
    "corner": SCENES["a small subject in a corner"](),
    "noise": np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8),
}


def count(policy, views, renderer, size, seed=0):
    """Views broken and views the certificate acted on, out of `views` of every source."""
    augment = adaptaug.AdaptiveAugment(policy, size=size)
    frame_of = adaptaug.AdaptiveAugment(FRAME, size=size)
    broken = acted = total = 0
    for number, image in enumerate(SOURCES.values()):
        if renderer != "array":
            batch = torch.from_numpy(image).permute(2, 0, 1)[None].expand(views, -1, -1, -1)
            batches, frames = [(batch, [(seed, number, i) for i in range(views)])], frame_of(batch)
        else:
            batches, frames = [(image, (seed, number, i)) for i in range(views)], frame_of(image)
        for images, key in batches:
            with off() if renderer == "torch" else nullcontext():
                tests, touched, _ = judge(images, augment, frames, key)
            broken, acted, total = broken + tests["any"].sum(), acted + touched.sum(), total + len(touched)
    return int(broken), acted / total
