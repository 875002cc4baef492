"""Named tensors of any trainer -> torchvision's names for its ResNet.

Brands are not listed. The query encoder is found by its shape: a prefix under which torchvision's names begin, after
three renames (SimCLRv2's nested blocks, SupContrast's `shortcut`, Sequential's numbers) and Google's TF1 variables,
which come in the order they were made. Nothing in a file says its normalisation: ImageNet's, unless there is evidence
of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from adaptaug.encoders.weights import Weights
from adaptaug.errors import AdaptAugError

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
    """An encoder among named tensors. `state` has torchvision's names; `head`: name -> shape of linear layers."""

    state: dict[str, torch.Tensor]
    layout: str
    prefix: str
    normalisation: str
    head: dict[str, tuple[int, ...]] = field(default_factory=dict)
    unused: int = 0
    sure: str = "certain"  # or likely, or a guess, of the normalisation, and by what


def find_encoder(tensors: dict[str, torch.Tensor], source: str) -> Found:
    """The query encoder. Raises: AdaptAugError: none, several, or more under its prefix than a ResNet has."""
    if any(_TF.fullmatch(name) for name in tensors):
        return _google(tensors, source)
    cleaned = {_unwrapped(name): tensor for name, tensor in tensors.items()}
    candidates = list(_candidates(cleaned))
    encoders = [pair for pair in candidates if not _NOT_TRAINED.search(pair[0])] or candidates
    if not encoders:
        raise AdaptAugError(f"{source}: expected a ResNet, found none of its names; it has {_some(cleaned)}.")
    if len(encoders) > 1:
        several = ", ".join(prefix or "(root)" for prefix, _ in encoders)
        raise AdaptAugError(
            f"{source}: expected one encoder, found several: {several}; save the one you want alone."
        )
    prefix, layout = encoders[0]
    state, rest = {}, {}
    for name, tensor in cleaned.items():
        inner = _RENAMES[layout](name.removeprefix(prefix)) if name.startswith(prefix) else None
        if inner is not None and not inner.startswith("fc."):
            state[inner] = tensor
        elif not _NOT_TRAINED.search(name):
            rest[name] = tensor
    head = {name: tuple(t.shape) for name, t in rest.items()
            if t.ndim == 2 and name.endswith("weight") and _HEAD.search(name)}  # fmt: skip
    notes = tensors.beside if isinstance(tensors, Weights) else {}
    name, normalisation, sure = _who(prefix, layout, cleaned, rest, state, source, notes)
    return Found(state, name, prefix, normalisation, head, len(tensors) - len(state), sure)


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
    rules: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
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
            return match.expand(into) if isinstance(into, str) else into(match)
    return name if name.startswith("net.") else None  # a name that is left over is refused by its name


def _numbered(first_layer: int) -> Callable[[str], str | None]:
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


def _who(prefix: str, layout: str, tensors: dict[str, torch.Tensor], rest: dict[str, torch.Tensor],
         state: dict[str, torch.Tensor], source: str, notes: dict[str, Any]) -> tuple[str, str, str]:  # fmt: skip
    """(name, normalisation, how sure). Only what no other common trainer writes is evidence; a prefix alone is none.

    A 3x3 stem is none either: it goes with CIFAR-100, STL and Tiny ImageNet as well. `said`: what else lies in the
    file, by name; a data set that it names decides.
    """
    width = max(len(t) for name, t in state.items() if name.startswith("layer4.") and t.ndim == 4)
    square: Callable[[str], bool] = lambda name: name in rest and tuple(rest[name].shape) == (width, width)  # noqa: E731
    heads = {name for name in rest if name.endswith((".weight", ".bias"))}
    beside: Callable[..., bool] = lambda *names: all(f"{name}.weight" in rest for name in names)  # noqa: E731
    outer = prefix[: prefix.rstrip(".").rfind(".") + 1]  # of what stands beside the encoder
    if layout == "simclrv2":
        return "SimCLRv2 converted to PyTorch", "unit", "certain, by names that only its conversion writes"
    if prefix == "state_dict." and beside("state_dict.fc") and _CONVERTED.search(source):
        return "Google's SimCLR converted by simclr-converter", "unit", "certain, by the file's name"
    if set(rest) == {"state_dict.fc.weight", "state_dict.fc.bias"} and not notes and _never_counted(state):
        return (
            "Google's SimCLR converted by simclr-converter",
            "unit",
            "likely, by norms that never counted a batch",
        )
    if (
        prefix.endswith("convnet.")
        and any(n.endswith("projection.fc1.weight") for n in heads)
        and any(n.endswith("projection.fc2.weight") for n in heads)
    ):
        return "convnet (AndrewAtanov's SimCLR)", "unit", "likely, by convnet beside projection.fc1 and fc2"
    if prefix == "encoder." and set(rest) == {"projector.0.weight", "projector.2.weight"}:
        return (
            "encoder with projector (Spijkervet's SimCLR)",
            "unit",
            "likely, by a bare projector without biases",
        )
    ours = {f"{prefix}fc.{i}.{part}" for i in (0, 2) for part in ("weight", "bias")}
    if (
        prefix == "state_dict.backbone."
        and square(f"{prefix}fc.0.weight")
        and beside(f"{prefix}fc.2")
        and (
            heads <= ours and "arch" in notes  # a Lightning classifier's head of two layers has no such entry
        )
    ):
        return (
            "backbone with its head as fc (sthalles' SimCLR)",
            "unit",
            "likely, by a head of two layers as fc alone",
        )
    datasets = {str(value).lower() for name, value in notes.items() if name.rpartition(".")[2] == "dataset"}
    if state["conv1.weight"].shape[-1] == 3 and datasets <= {"cifar10"}:
        if any(".shortcut." in name for name in tensors) and beside(f"{outer}head.0", f"{outer}head.2"):
            return (
                "SupContrast",
                "cifar10",
                "likely, by shortcut beside head.0 and head.2; CIFAR-100 has its own",
            )
        if layout == "sequential without max-pool" and beside(f"{outer}g.0") and prefix.endswith("f."):
            return f"numbered children of torchvision's ResNet ({layout})", "cifar10", "likely, by f beside g"
        momentum = any(name.startswith(f"{outer}momentum_") for name in tensors)
        classes = rest.get(f"{outer}classifier.weight")
        certain = momentum if classes is None else len(classes) == 10
        if certain and beside(f"{outer}projector.0", f"{outer}projector.2") and outer == "state_dict.":
            return (
                "solo-learn",
                "cifar10",
                "a guess, by what lies beside the projector; CIFAR-100 and STL have their own",
            )
    return _named(prefix, layout), "imagenet", "a guess, as nothing in the file tells"


def _never_counted(state: dict[str, torch.Tensor]) -> bool:
    """Whether the norms have statistics of no batch: they were not trained in PyTorch."""
    counted = [t for name, t in state.items() if name.endswith("num_batches_tracked")]
    return bool(counted) and not any(t.any() for t in counted) and bool(state["bn1.running_mean"].any())


_CONVERTED = re.compile(r"lightly-ai(--|/)simclrv1-imagenet1k-|(^|[/\\])resnet\d+-[124]x\.(pth|pt)$")


def _named(prefix: str, layout: str) -> str:
    if layout.startswith("sequential"):
        return f"numbered children of torchvision's ResNet ({layout})"
    if prefix.endswith(("encoder_q.", "base_encoder.")):
        return "MoCo, its query encoder"
    if "_feature_blocks." in prefix:
        return "VISSL"
    return "torchvision's names" + (f" under {prefix}" if prefix else "")


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
    return Found(state, "Google's TF1 variables", "base_model/", "unit", head, len(tensors) - len(state),
                 "certain, by variables that only TF1 writes")  # fmt: skip


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
