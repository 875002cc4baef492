"""solo-learn: its augmentation config node, read as views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from adaptaug.errors import AdaptAugError
from adaptaug.policy import Policy
from adaptaug.types import Finish
from adaptaug.views import MultiCrop, Views

_KNOWN = ("rrc", "color_jitter", "grayscale", "gaussian_blur", "solarization", "equalization", "horizontal_flip",
          "crop_size", "num_crops", "mean", "std")  # fmt: skip
_SIGMA, _THRESHOLD = (0.1, 2.0), 128 / 255


def read(nodes: Iterable[Mapping[str, Any]], guards: bool = False, finish: Finish = "imagenet") -> MultiCrop:
    """The config's `augmentations` (a list of nodes, each with `num_crops`) -> the views they describe.

    `guards=True` keeps the same ranges and adds the promise. Blur and solarize have solo-learn's fixed ranges; `mean`
    and `std` are left to `finish`. Raises: AdaptAugError: an unknown field, or one we have no operation for.
    """
    groups = []
    for number, node in enumerate(nodes):
        where = f"augmentations[{number}]"
        unknown = [name for name in node if name not in _KNOWN]
        if unknown:
            raise AdaptAugError(f"{where}.{unknown[0]}: unknown field; known: {', '.join(_KNOWN)}.")
        policy = Policy.parse({"version": 1, "name": f"solo-learn {number}", "guards": guards,
                               "operations": _operations(node, where)}, where)  # fmt: skip
        size, count = (
            int(node.get(name, default)) for name, default in (("crop_size", 224), ("num_crops", 1))
        )
        groups.append(Views(policy, count, size, finish))
    return MultiCrop(*groups)


def _operations(node: Mapping[str, Any], where: str) -> dict[str, Any]:
    on = {
        name: part for name, part in node.items() if isinstance(part, Mapping) and part.get("enabled", True)
    }
    out: dict[str, Any] = {}
    if (part := on.get("rrc")) is not None:
        out["crop"] = {"area": [part.get("crop_min_scale", 0.08), part.get("crop_max_scale", 1.0)],
                       "ratio": [3 / 4, 4 / 3]}  # fmt: skip
    if (part := on.get("horizontal_flip")) is not None:
        out["hflip"] = {"p": part.get("prob", 0.5)}
    if (part := on.get("color_jitter")) is not None:
        for name in ("brightness", "contrast", "saturation", "hue"):
            if strength := part.get(name, 0.0):
                out[name] = {"p": part.get("prob", 0.8), "range": [-strength, strength], "together": "jitter"}
    if (part := on.get("grayscale")) is not None:
        out["grey"] = {"p": part.get("prob", 0.2)}
    if (part := on.get("gaussian_blur")) is not None:
        out["blur"] = {"p": part.get("prob", 0.5), "range": list(_SIGMA)}
    if (part := on.get("solarization")) is not None:
        out["solarize"] = {"p": part.get("prob", 0.0), "range": [_THRESHOLD, _THRESHOLD]}
    if on.get("equalization", {}).get("prob", 0.0):
        raise AdaptAugError(
            f"{where}.equalization: adaptaug has no such operation; switch it off (enabled: false)."
        )
    return out
