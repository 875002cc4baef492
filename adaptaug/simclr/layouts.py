"""Named tensors of any trainer -> torchvision's names for its ResNet.

Brands are not listed. The query encoder is found by its shape: a prefix under which torchvision's names begin, after
three renames (SimCLRv2's nested blocks, SupContrast's `shortcut`, Sequential's numbers) and Google's TF1 variables,
which come in the order they were made. Only normalisation goes by who wrote the file, as nothing in it says: what is
not ImageNet's needs evidence that no other common trainer's file has, and `Found.evidence` tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from adaptaug.errors import AdaptAugError
from adaptaug.simclr.weights import Weights

_NOT_TRAINED = re.compile(
    r"momentum|encoder_k|target|(^|[._])ema([._]|$)|teacher|slow|optimizer|exp_avg", re.I
)
_TF = re.compile(r"(?:.*/)?base_model/(conv2d|batch_normalization)(?:_(\d+))?/"
                 r"(kernel|gamma|beta|moving_mean|moving_variance)(?::0)?")  # fmt: skip
_TF_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_HEAD = re.compile(r"head|proj|neck|predictor|classifier|(^|\.)fc\.|(^|\.)g\.|layers\.\d|linear", re.I)


@dataclass
class Found:
    """An encoder among named tensors. `state` has torchvision's names; `head`: name -> shape of linear layers;
    `evidence`: what speaks for the normalisation, None where nothing does and it is the usual one."""

    state: dict[str, torch.Tensor]
    layout: str
    prefix: str
    normalisation: str
    evidence: str | None = None
    head: dict[str, tuple[int, ...]] = field(default_factory=dict)
    unused: int = 0


def find_encoder(tensors: dict[str, torch.Tensor], source: str) -> Found:
    """The query encoder. Raises: AdaptAugError: none, several, or more under its prefix than a ResNet has."""
    if any(_TF.fullmatch(name) for name in tensors):
        return _google(tensors, source)
    cleaned = {_unwrapped(name): tensor for name, tensor in tensors.items()}
    found = list(_candidates(cleaned))
    trained = [pair for pair in found if not _NOT_TRAINED.search(pair[0])] or found
    if not trained:
        raise AdaptAugError(f"{source}: expected a ResNet, found none of its names; it has {_some(cleaned)}.")
    if len(trained) > 1:
        several = ", ".join(prefix or "(root)" for prefix, _ in trained)
        raise AdaptAugError(
            f"{source}: expected one encoder, found several: {several}; save the one you want alone."
        )
    prefix, layout = trained[0]
    state, rest = {}, {}
    for name, tensor in cleaned.items():
        inner = _RENAMES[layout](name.removeprefix(prefix)) if name.startswith(prefix) else None
        if inner is not None and not inner.startswith("fc."):
            state[inner] = tensor
        elif not _NOT_TRAINED.search(name):
            rest[name] = tensor
    head = {name: tuple(t.shape) for name, t in rest.items()
            if t.ndim == 2 and name.endswith("weight") and _HEAD.search(name)}  # fmt: skip
    layout_name = _named(prefix, layout, cleaned, rest)
    beside = tensors.beside if isinstance(tensors, Weights) else {}
    normalisation, evidence = _normalisation(prefix, layout, cleaned, rest, state, beside)
    return Found(state, layout_name, prefix, normalisation, evidence, head, len(tensors) - len(state))


def _unwrapped(name: str) -> str:
    """Without what DataParallel and torch.compile put anywhere into names."""
    parts = [part for part in name.split(".") if part not in ("module", "_orig_mod")]
    return ".".join(parts)


def _candidates(tensors: dict[str, torch.Tensor]) -> Iterator[tuple[str, str]]:
    """(prefix, layout) of everything that looks like the beginning of a ResNet."""
    for name, tensor in tensors.items():
        if tensor.ndim != 4:
            continue
        for layout, (first, more) in _BEGINS.items():
            if not name.endswith(first):
                continue
            prefix = name[: len(name) - len(first)]
            if prefix and not prefix.endswith((".", "/")):
                continue
            if all(any(f"{prefix}{other}" in tensors for other in others) for others in more):
                yield prefix, layout


_BEGINS = {
    "torchvision": ("conv1.weight", (("layer1.0.conv1.weight",), ("layer4.1.conv2.weight",))),
    "simclrv2": ("net.0.0.weight", (("net.1.blocks.0.net.0.weight",), ("net.4.blocks.1.net.0.weight",))),
    "sequential": ("0.weight", (("4.0.conv1.weight",), ("7.1.conv2.weight",))),
    "sequential without max-pool": ("0.weight", (("3.0.conv1.weight",), ("6.1.conv2.weight",))),
}


def _same(name: str) -> str | None:
    return name.replace(".shortcut.", ".downsample.")


def _simclrv2(name: str) -> str | None:
    rules = (
        (r"net\.0\.0\.(.*)", r"conv1.\1"),
        (r"net\.0\.1\.0\.(.*)", r"bn1.\1"),
        (
            r"net\.(\d)\.blocks\.(\d+)\.net\.(\d)\.0\.(.*)",
            lambda m: f"layer{m[1]}.{m[2]}.bn{(int(m[3]) + 1) // 2}.{m[4]}",
        ),
        (
            r"net\.(\d)\.blocks\.(\d+)\.net\.(\d)\.(weight)",
            lambda m: f"layer{m[1]}.{m[2]}.conv{int(m[3]) // 2 + 1}.{m[4]}",
        ),
        (r"net\.(\d)\.blocks\.(\d+)\.projection\.shortcut\.(.*)", r"layer\1.\2.downsample.0.\3"),
        (r"net\.(\d)\.blocks\.(\d+)\.projection\.bn\.0\.(.*)", r"layer\1.\2.downsample.1.\3"),
    )
    for pattern, into in rules:
        if match := re.fullmatch(pattern, name):
            return into(match) if callable(into) else match.expand(into)
    return name if name.startswith("net.") else None  # a name that is left over is refused by its name


def _numbered(first_layer: int):  # type: ignore[no-untyped-def]
    def rename(name: str) -> str | None:
        number, _, rest = name.partition(".")
        if not number.isdigit():
            return None
        if number in ("0", "1"):
            return f"{('conv1', 'bn1')[int(number)]}.{rest}"
        layer = int(number) - first_layer + 1
        return f"layer{layer}.{rest}" if 1 <= layer <= 4 else None

    return rename


_RENAMES = {"torchvision": _same, "simclrv2": _simclrv2, "sequential": _numbered(4),
            "sequential without max-pool": _numbered(3)}  # fmt: skip


def _named(prefix: str, layout: str, tensors: dict[str, torch.Tensor], rest: dict[str, torch.Tensor]) -> str:
    """What the layout is called in the report. Nothing else goes by it."""
    if layout == "simclrv2":
        return "SimCLRv2 converted to PyTorch"
    if layout.startswith("sequential"):
        return f"numbered children of torchvision's ResNet ({layout})"
    if any(".shortcut." in name for name in tensors):
        return "shortcut for downsample, as SupContrast"
    if prefix.endswith(("encoder_q.", "base_encoder.")):
        return "MoCo, its query encoder"
    if "_feature_blocks." in prefix:
        return "VISSL"
    return "torchvision's names" + (f" under {prefix}" if prefix else "")


_USUAL = "imagenet"


def _normalisation(
    prefix: str, layout: str, tensors: dict[str, torch.Tensor], rest: dict[str, torch.Tensor],
    state: dict[str, torch.Tensor], beside: dict[str, Any],
) -> tuple[str, str | None]:  # fmt: skip
    """(normalisation, what speaks for it): a prefix alone never does, as everybody writes `encoder.` and `backbone.`.

    Args: rest: tensors that are not the encoder's; beside: what else lies in the file, by name.
    """
    model = {name for name in rest if not name.endswith("num_batches_tracked")}
    width = int(max(t.shape[0] for name, t in state.items() if name.startswith("layer4.") and t.ndim == 4))
    if layout == "simclrv2":
        return "unit", "only the converter of Google's SimCLRv2 nests its blocks so"
    if prefix.endswith("convnet."):
        root = prefix.removesuffix("convnet.")
        if {f"{root}projection.fc1.weight", f"{root}projection.fc2.weight"} <= model:
            return "unit", "convnet with projection.fc1 and fc2 is AndrewAtanov's SimCLR"
    if prefix == "encoder." and model == {"projector.0.weight", "projector.2.weight"}:
        if tuple(rest["projector.0.weight"].shape) == (
            width,
            width,
        ):  # others' projectors have biases or norms
            return "unit", "encoder and a projector without biases are Spijkervet's SimCLR"
    if prefix == "state_dict.backbone." and "arch" in beside:
        first, last = (f"{prefix}fc.{i}" for i in (0, 2))
        head = {f"{layer}.{part}" for layer in (first, last) for part in ("weight", "bias")}
        square = f"{first}.weight" in rest and tuple(rest[f"{first}.weight"].shape) == (width, width)
        of_model = {name for name in model if name.startswith("state_dict.")}
        if square and f"{last}.weight" in of_model <= head:
            return (
                "unit",
                "backbone with a square head of two layers as its fc, and arch beside, are sthalles' SimCLR",
            )
    if (
        prefix == "state_dict."
        and model == {"state_dict.fc.weight", "state_dict.fc.bias"}
        and _converted(state)
    ):
        if len(rest["state_dict.fc.weight"]) == 1000 and set(beside) == set():
            return "unit", "a trained network whose norms have counted no batch is simclr-converter's"
    if state["conv1.weight"].shape[-1] == 3 and (who := _of_cifar(prefix, layout, model, tensors, rest)):
        said = {str(value).lower() for name, value in beside.items() if name.split(".")[-1] == "dataset"}
        if not said or said == {"cifar10"}:
            return "cifar10", f"{who} trains 3x3 stems on CIFAR" + "-10, as the file says" * bool(said)
    return _USUAL, None


def _converted(state: dict[str, torch.Tensor]) -> bool:
    """Whether the norms have statistics but never counted a batch: they were not trained in PyTorch."""
    counted = [t for name, t in state.items() if name.endswith("num_batches_tracked")]
    return bool(counted) and not any(t.any() for t in counted) and bool(state["bn1.running_mean"].any())


def _of_cifar(
    prefix: str, layout: str, model: set[str], tensors: dict[str, torch.Tensor], rest: dict[str, torch.Tensor]
) -> str | None:
    """Which trainer, of those that normalise by CIFAR's own numbers, wrote a 3x3 stem so."""
    root = prefix.rpartition("encoder.")[0] if prefix.endswith("encoder.") else ""
    if layout == "sequential without max-pool" and prefix == "f." and "g.0.weight" in model:
        return "leftthomas' SimCLR"
    if any(".shortcut." in name for name in tensors) and prefix.endswith("encoder."):
        if {f"{root}head.0.weight", f"{root}head.2.weight"} <= model:
            return "SupContrast"
    kind = prefix.removeprefix("state_dict.")
    if prefix.startswith("state_dict.") and kind in ("encoder.", "backbone."):
        classes = rest.get("state_dict.classifier.weight")
        ours = any(name.startswith("state_dict.projector.") for name in model)
        paired = f"state_dict.momentum_{kind}conv1.weight" in tensors
        if ours and (paired if classes is None else len(classes) == 10):
            return "solo-learn"
    return None


# --- Google's variables -------------------------------------------------------------------------------------
def _google(tensors: dict[str, torch.Tensor], source: str) -> Found:
    """TF1 variables in the order they were made: stem, then blocks with the projection shortcut before conv1."""
    kinds: dict[str, dict[int, dict[str, torch.Tensor]]] = {"conv2d": {}, "batch_normalization": {}}
    for name, tensor in tensors.items():
        if match := _TF.fullmatch(name):
            kinds[match[1]].setdefault(int(match[2] or 0), {})[match[3]] = tensor
    convolutions, norms = ([part[i] for i in sorted(part)] for part in kinds.values())
    names = _google_names(len(convolutions))
    if names is None or len(norms) != len(convolutions):
        raise AdaptAugError(f"{source}: expected Google's variables of a ResNet18, 34 or 50 (20, 36 or 53 convolutions "
                            f"with a norm each), got {len(convolutions)} and {len(norms)}.")  # fmt: skip
    state: dict[str, torch.Tensor] = {}
    for (conv, norm), kernel, values in zip(names, convolutions, norms, strict=True):
        if "kernel" not in kernel or set(values) != set(_TF_NAMES):
            raise AdaptAugError(f"{source}: variables of {conv} are missing; export all of them.")
        state[f"{conv}.weight"] = kernel["kernel"].permute(3, 2, 0, 1).contiguous()
        state |= {f"{norm}.{_TF_NAMES[name]}": value for name, value in values.items()}
    head = {
        name: tuple(t.shape)
        for name, t in tensors.items()
        if "head" in name and name.split(":")[0].endswith("dense/kernel")
    }
    return Found(state, "Google's TF1 variables", "base_model/", "unit", "only Google's SimCLR names its variables so",
                 head, len(tensors) - len(state))  # fmt: skip


def _google_names(count: int) -> list[tuple[str, str]] | None:
    for blocks, inner in (((2, 2, 2, 2), 2), ((3, 4, 6, 3), 2), ((3, 4, 6, 3), 3)):
        names = [("conv1", "bn1")]
        for stage, number in enumerate(blocks, 1):
            for block in range(number):
                here = f"layer{stage}.{block}"
                if block == 0 and (stage > 1 or inner == 3):
                    names.append((f"{here}.downsample.0", f"{here}.downsample.1"))
                names += [(f"{here}.conv{i}", f"{here}.bn{i}") for i in range(1, inner + 1)]
        if len(names) == count:
            return names
    return None


def _some(tensors: dict[str, torch.Tensor]) -> str:
    names = list(tensors)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
