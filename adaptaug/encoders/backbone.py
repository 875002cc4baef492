"""Imported encoders: any SimCLR ResNet's file -> a module that takes images in [0, 1] and gives features.

backbone = load_backbone("checkpoint.pth")
features = backbone(images)  # (B, 3, H, W) float in [0, 1] -> (B, 2048)
print(backbone.report)
"""

from __future__ import annotations

import functools
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from adaptaug.data.files import sample_images
from adaptaug.encoders.layouts import Found, find_encoder
from adaptaug.encoders.networks import ARCHS, build_encoder
from adaptaug.encoders.weights import HUB, fetch, read_weights
from adaptaug.errors import AdaptAugError
from adaptaug.pipeline.inputs import IMAGENET_MEAN, IMAGENET_STD

NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}
NAMED = {"simclrv1-resnet50-1x": f"{HUB}lightly-ai/simclrv1-imagenet1k-resnet50-1x"}
_OVERRULE = "normalise=, or --normalise of `adaptaug embed` and `adaptaug ui`, overrules it"
_LEAST_SPREAD = 1e-6  # of features over photographs, relative to their size


@dataclass(frozen=True)
class Report:
    """What was found in a file of weights and what was made of it."""

    source: str
    layout: str
    arch: str
    stem: str
    width: int
    normalisation: str
    normalisation_by: str
    prefix: str
    mapped: int
    unused: int
    head: dict[str, tuple[int, ...]]

    def __str__(self) -> str:
        head = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in self.head.items())
        return (f"{self.source}: {self.layout}; {self.arch}, {self.stem} stem, {self.width} features; "
                f"{self.mapped} tensors mapped, {self.unused} not used; "
                f"input: {self.normalisation} ({self.normalisation_by}); "
                f"head, not loaded: {head or 'none'}")  # fmt: skip


class Backbone(nn.Module):
    """An encoder with its normalisation: (B, 3, H, W) float in [0, 1] -> (B, `width`) features."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, encoder: nn.Module, normalisation: str, report: Report | None = None):
        super().__init__()
        if normalisation not in NORMALISATIONS:
            raise AdaptAugError(
                f"normalise: expected one of {', '.join(NORMALISATIONS)}, got {normalisation!r}."
            )
        self.encoder, self.report = encoder, report
        self.width = int(encoder.width)  # type: ignore[arg-type]
        mean, std = NORMALISATIONS[normalisation]
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if (
            not isinstance(images, torch.Tensor)
            or images.ndim != 4
            or images.shape[1] != 3
            or not images.is_floating_point()
        ):
            got = (
                f"{images.dtype} of {tuple(images.shape)}"
                if isinstance(images, torch.Tensor)
                else type(images).__name__
            )
            raise AdaptAugError(f"expected (B, 3, H, W) floats in [0, 1], got {got}.")
        features: torch.Tensor = self.encoder((images - self.mean) / self.std)
        return features


def load_backbone(
    source: str | Path, normalise: str | None = None, padding: int | None = None, trust_pickle: bool = False
) -> Backbone:
    """Import a ResNet18/34/50/101 that SimCLR or a relative of it has trained, in evaluation mode.

    Args:
        source: a file, the folder of one of our runs, `hf:OWNER/REPO[/FILE]`, or one of NAMED.
        normalise: `unit`, `imagenet` or `cifar10`; None: ImageNet's, unless what else lies in the file is
            evidence of another. The wrong one is silent, features are only worse: `report` says how sure it is.
        padding: of a 3x3 stem; 2 for old CIFAR files of solo-learn, which do not say so.
        trust_pickle: as in `read_weights`.
    Raises: AdaptAugError: a file that cannot be read or mapped, other shapes, or features that do not vary.
    """
    path = Path(source)
    if str(source) in NAMED:
        path = fetch(NAMED[str(source)])
    elif str(source).startswith(HUB):
        path = fetch(str(source))
    if path.is_dir():
        path = path / "encoder.safetensors"
    about = _own(path)
    tensors = read_weights(path, trust_pickle)
    if about is not None:
        state = {name: t for name, t in tensors.items() if not name.startswith("fc.")}
        match = Found(state, "a run of adaptaug", "", "imagenet", unused=len(tensors) - len(state))
        arch, stem = about["arch"], about["stem"]
    else:
        match = find_encoder(tensors, str(path))
        arch, stem = _arch(match, str(path))
    with torch.device("meta"):  # no weight is drawn: all come from the file
        encoder = build_encoder(arch, stem)
    _load(encoder.to_empty(device="cpu"), match, str(path), arch)
    if padding is not None:
        encoder.conv1.padding = (padding, padding)  # type: ignore[union-attr]
    normalisation = normalise or (about or {}).get("normalisation", match.normalisation)
    by = "as asked" if normalise else "by the run" if about else f"by the layout, {match.sure}; {_OVERRULE}"
    report = Report(str(source), match.layout, arch, stem, int(encoder.width), normalisation, by, match.prefix,  # type: ignore[arg-type]
                    len(match.state), match.unused, match.head)  # fmt: skip
    backbone = Backbone(encoder, normalisation, report).eval()
    _check_features(backbone, str(path))
    return backbone


def _own(path: Path) -> dict[str, Any] | None:
    """What encoder.json beside one of our runs' files says."""
    beside = path.with_suffix(".json")
    if path.name != "encoder.safetensors" or not beside.is_file():
        return None
    try:
        about: dict[str, Any] = json.loads(beside.read_text())
        if about["arch"] in ARCHS and about["stem"] in ("imagenet", "cifar"):
            return about
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise AdaptAugError(f"{beside}: expected what a run of adaptaug writes, got something else.")


def _arch(match: Found, source: str) -> tuple[str, str]:
    state = match.state
    kernel = state["conv1.weight"]
    stem = {7: "imagenet", 3: "cifar"}.get(kernel.shape[-1])
    if stem is None or kernel.shape[1] != 3:
        raise AdaptAugError(
            f"{source}: expected a stem of 7x7 or 3x3 on 3 channels, got {tuple(kernel.shape)}."
        )
    if kernel.shape[0] != 64:
        raise AdaptAugError(f"{source}: expected a ResNet of width 1 (64 channels in the stem), got {kernel.shape[0]}; "
                            f"{kernel.shape[0] // 64}x wide networks are not supported.")  # fmt: skip
    numbers = [
        [int(n.split(".")[1]) for n in state if n.startswith(f"layer{stage}.")] for stage in range(1, 5)
    ]
    blocks = ",".join(str(1 + max(stage, default=-1)) for stage in numbers)
    deep = any(name.endswith(".conv3.weight") for name in state)
    choices = (
        {"2,2,2,2": "resnet18", "3,4,6,3": "resnet34"}
        if not deep
        else {"3,4,6,3": "resnet50", "3,4,23,3": "resnet101"}
    )
    if blocks not in choices:
        raise AdaptAugError(f"{source}: expected the blocks of a ResNet18, 34, 50 or 101, got {blocks}.")
    return choices[blocks], stem


def _load(encoder: nn.Module, match: Found, source: str, arch: str) -> None:
    own_state = encoder.state_dict()
    unexpected = [name for name in match.state if name not in own_state]
    missing = [
        name for name in own_state if name not in match.state and not name.endswith("num_batches_tracked")
    ]
    shapes = [f"{name} {tuple(t.shape)} for {tuple(own_state[name].shape)}" for name, t in match.state.items()
              if name in own_state and t.shape != own_state[name].shape]  # fmt: skip
    for what, names in (("has what it lacks", unexpected), ("lacks", missing), ("has other shapes", shapes)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise AdaptAugError(
                f"{source}: expected a {arch}; the file {what}: {', '.join(names[:3])}{more}."
            )
    counted = {name: torch.zeros_like(t) for name, t in own_state.items() if name not in match.state}
    encoder.load_state_dict(counted | {name: t.to(own_state[name].dtype) for name, t in match.state.items()})


@functools.cache
def _photographs(side: int) -> torch.Tensor:
    """(6, side, side, 3) uint8: photographs, or noise where scikit-image is without its data."""
    try:
        photographs = [np.asarray(image) for _, image in sample_images()[:6]]
    except AdaptAugError:
        photographs = list(np.random.default_rng(0).integers(0, 256, (6, side, side, 3), dtype=np.uint8))
    shape = (side, side)
    return torch.from_numpy(
        np.stack([cv2.resize(image, shape, interpolation=cv2.INTER_AREA) for image in photographs])
    )


def _check_features(backbone: Backbone, source: str) -> None:
    """Some conversions found in the wild give nothing but zeros: look at what photographs become."""
    photographs = _photographs(32 if getattr(backbone.encoder, "stem", "") == "cifar" else 96)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = backbone(photographs.permute(0, 3, 1, 2).float() / 255)
    if not torch.isfinite(features).all():
        raise AdaptAugError(
            f"{source}: expected finite features of photographs, got NaN or infinity; it is damaged."
        )
    if features.std(0).mean() <= _LEAST_SPREAD * features.abs().mean().clamp(min=1.0):
        raise AdaptAugError(f"{source}: expected features that differ between photographs, got the same for all; "
                            "the conversion of this file has failed.")  # fmt: skip


def describe(report: Report) -> dict[str, Any]:
    """The report as plain data."""
    return asdict(report)
