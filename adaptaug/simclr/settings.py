"""What decides a pretraining run."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from adaptaug.errors import AdaptAugError

OPTIMIZERS = ("adamw", "lars")
PRECISIONS = ("auto", "32", "bf16", "fp16")
VIEWS_ON = ("auto", "device", "cpu")
MOST_VIEWS = 16  # of an image
# What may change when a run is resumed: where it runs and what is kept of it. But for rounding, and for BatchNorm over
# each of several processes on CPUs, the weights do not depend on it.
_FREE = (
    "out",
    "workers",
    "knn_every",
    "checkpoint_every",
    "keep",
    "compile",
    "tensorboard",
    "devices",
    "nodes",
)


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run; equal settings give equal weights, bit for bit, on one CPU and version.

    `batch` counts pairs of views: a step has 2 * batch of them, `views` of each of 2 * batch / views images, so that
    equal batches and steps are equal compute whatever `views` is. It counts those of all processes: each of devices *
    nodes has an equal part of the images, and the negatives are all others. `epochs` counts passes over the images.
    What is not given of the two is decided as a run begins (`settled`).
    `small_views` more of each image have `small_size` pixels a side (0: half of `size`) and count by their share of
    pixels; a batch is then of as many images as cost no more. `first_size`: the side of the first views, which grow up
    to `size` while the network trains (`growing`); 0: all are of `size`. `tell`: what SimCLR's head is told of each
    view, some of tone, colour and crop with commas between (`conditioning`).
    `accumulate` adds the gradients of so many batches before a step; each batch has its own negatives only.
    `rate` None: LARS .3 * batch / 256, AdamW .001 * batch / 256 (`scaling="linear"`), or with the square root of
    batch / 256 (`"sqrt"`), a batch being what a step adds up. `views_on` auto: on the device where all images have
    one size, else in the workers. `band`: off, auto, or FLOOR,CEILING (either may be left out) of the similarity
    that `BandController` keeps pairs within, on views made on the device; its warm-up is that of the rate. `heads` on:
    `ConditionalHeads` learns conditional weights, likewise, which go into policy.yaml of the run.
    `range`: by which images deeper than 8 bits are read, as `data.open_data` takes it.
    `held_out`: images kept from training as kNN's queries; its bank are up to 5,000 of the trained ones.
    """

    data: str
    out: str
    policy: str = "natural"
    arch: str = "resnet50"
    stem: str = "auto"
    size: int = 224
    epochs: int = None  # type: ignore[assignment]  # until it is settled
    batch: int = 256
    limit: int | None = None
    seed: int = 0
    optimizer: str = "adamw"
    rate: float | None = None
    scaling: str = "linear"
    weight_decay: float = 1e-4
    warm_up: float = 0.1
    objective: str = "simclr"
    temperature: float = 0.5
    layers: int = 2
    precision: str = "auto"
    views_on: str = "auto"
    workers: int = 0
    held_out: int = 2000
    knn_every: int = 5
    checkpoint_every: int = 200
    keep: int = 2
    band: str = "off"
    heads: str = "off"
    views: int = None  # type: ignore[assignment]  # likewise
    small_views: int = 0
    small_size: int = 0
    accumulate: int = 1
    compile: bool = False
    tensorboard: bool = True
    devices: int = 1
    nodes: int = 1
    range: str = "auto"
    first_size: int = 0
    tell: str = ""

    def settled(self, begun: Mapping[str, Any]) -> Settings:
        """With the views and epochs that were not given: those with which a run was `begun`, where one was, else four
        views where they help (`_usual_views`) and as many steps as 100 epochs have with two."""
        views = begun.get("views", self._usual_views()) if self.views is None else self.views
        epochs = begun.get("epochs", max(1, 200 // max(1, views))) if self.epochs is None else self.epochs
        return replace(self, views=views, epochs=epochs)

    def _usual_views(self) -> int:
        """Four of each image, by which as many steps learn more where anything shows (benchmarks/pages/views.md); two
        where pairs are steered, small views are made, the objective is another than SimCLR's, or a batch of four views
        an image cannot be divided among the processes."""
        steered = self.objective != "simclr" or self.small_views or {self.band, self.heads} != {"off"}
        images, rest = divmod(self.batch, 2)
        divides = (
            not rest and self.processes > 0 and images % self.processes == 0 and images >= 2 * self.processes
        )
        return 4 if divides and not steered else 2

    @property
    def processes(self) -> int:
        """Processes that train together, one a device."""
        return self.devices * self.nodes

    @property
    def sources(self) -> int:
        """Images a batch. Raises: AdaptAugError: as `sources_of`."""
        return sources_of(self.batch, self.views, self.small_views * (self.small_side / self.size) ** 2)

    @property
    def small_side(self) -> int:
        """Of a small view, in pixels."""
        return self.small_size or self.size // 2

    @property
    def told(self) -> tuple[str, ...]:
        """What the head is told of each view."""
        return tuple(name.strip() for name in self.tell.split(",") if name.strip())

    def check_views(self) -> None:
        """Whether views may grow and be told of. Raises: AdaptAugError: what is not so."""
        if self.first_size and not 8 <= self.first_size <= self.size:
            raise AdaptAugError(f"first_size: expected 8 to the size {self.size}, got {self.first_size}.")
        for other, off in {"band": "off", "heads": "off", "small_views": 0}.items():
            if self.first_size and getattr(self, other) != off:
                raise AdaptAugError(
                    f"first_size: expected 0 with {other} {getattr(self, other)}, got {self.first_size}."
                )
        if self.tell and self.objective != "simclr":
            raise AdaptAugError(f"tell: expected nothing with objective {self.objective}, got {self.tell!r}.")

    def check_batch(self, trained: int, held: int) -> None:
        """Whether so many views can be, and of `trained` images a step has as many on each process, at least two.

        Raises: AdaptAugError: what is not so; `held`: images kept from training, for the sentence.
        """
        sources, views, processes = self.sources, self.views, self.processes
        if self.small_views and not 8 <= self.small_side < self.size:
            raise AdaptAugError(
                f"small_size: expected 8 to {self.size - 1}, less than the size, got {self.small_side}."
            )
        if not 2 * processes <= sources <= trained // self.accumulate:
            adding = f" in {self.accumulate} batches" if self.accumulate > 1 else ""
            raise AdaptAugError(
                f"batch: expected {2 * processes} to {trained // self.accumulate} images a batch of the {trained} to "
                f"train on{adding} ({held} are held out), got {sources} (batch {self.batch})."
            )
        if sources % processes:
            raise AdaptAugError(
                f"batch: expected as many images on each of {processes} processes, got {sources} "
                f"(batch {self.batch})."
            )
        several = views + self.small_views
        needs_two = {"objective": self.objective == "mocov2", "band": self.band != "off",
                     "heads": self.heads != "off"}  # fmt: skip
        for name, needs in needs_two.items():
            if needs and several > 2:
                raise AdaptAugError(f"views: expected 2 with {name} {getattr(self, name)}, got {several}.")
        if self.small_views and self.objective != "simclr":
            raise AdaptAugError(
                f"small_views: expected none with objective {self.objective}, got {self.small_views}."
            )

    def deciding(self) -> dict[str, Any]:
        """The settings that a resumed run must share with its checkpoint; `data` and `policy` by name."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}

    def band_ends(self) -> tuple[float | None, float | None] | None:
        """Floor and ceiling, either None; None for auto. Raises: AdaptAugError: neither a band nor auto."""
        if self.band == "auto":
            return None
        try:
            low, high = (float(end) if end.strip() else None for end in self.band.split(","))
        except ValueError:
            raise AdaptAugError(
                f"band: expected off, auto, or FLOOR,CEILING such as '0.2,0.9' or ',0.9', got {self.band!r}."
            ) from None
        return low, high

    def learning_rate(self) -> float:
        """The peak rate."""
        if self.rate is not None:
            return self.rate
        share = self.batch * self.accumulate / 256
        return (0.3 if self.optimizer == "lars" else 1e-3) * (
            share if self.scaling == "linear" else math.sqrt(share)
        )


def sources_of(batch: int, views: int, besides: float = 0.0) -> int:
    """Images of a step that has 2 * `batch` views, `views` of each image; `besides`: what small views of one cost, in
    views.

    Raises: AdaptAugError: too few or too many views, or not of whole images.
    """
    if views not in range(2, MOST_VIEWS + 1):
        raise AdaptAugError(f"views: expected 2 to {MOST_VIEWS} of each image, got {views}.")
    if besides:
        return int(2 * batch / (views + besides))
    if 2 * batch % views:
        raise AdaptAugError(
            f"batch: expected a multiple of {views // math.gcd(views, 2)}, so that a step has {views} views of whole "
            f"images, got {batch}."
        )
    return 2 * batch // views


def launched() -> dict[str, int]:
    """`devices` and `nodes` as torchrun has started this process, or nothing."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return {}
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return {"devices": local, "nodes": int(os.environ["WORLD_SIZE"]) // local}
