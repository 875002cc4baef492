"""Checkpoints that survive being killed at any moment, and the encoder as others load it."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from safetensors.torch import load_file, save
from torch import nn

from adaptaug.backend.writing import write_atomically
from adaptaug.encoders.networks import TORCHVISION_ARCHS, build_encoder
from adaptaug.errors import AdaptAugError

_NAME = re.compile(r"step-(\d+)\.ckpt")


class AtomicIO(TorchCheckpointIO):
    """Lightning's checkpoints, written whole or not at all and read without running pickled code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_atomically(path, lambda file: torch.save(checkpoint, file))

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return checkpoint


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    files = [
        (int(match[1]), file) for file in folder.glob("step-*.ckpt") if (match := _NAME.fullmatch(file.name))
    ]
    return [file for _, file in sorted(files, reverse=True)]


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}.ckpt"


def begun(folder: Path) -> dict[str, Any]:
    """What decided the run in this folder, by its newest checkpoint that can be read; empty without one."""
    for file in checkpoints(folder):
        with suppress(Exception):  # whatever a damaged pickle or zip raises: `newest` says so
            return _decided(torch.load(file, map_location="cpu", weights_only=True))
    return {}


def _decided(state: dict[str, Any]) -> dict[str, Any]:
    """Before there were more, views were two, and nobody wrote it down."""
    return {"views": 2} | dict(state["hyper_parameters"])


def newest(folder: Path, decided: dict[str, Any]) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be read, and a sentence about each that could not.

    Args: decided: what decides the weights, as `Pretraining` was given it; what an older version did not write into
        its checkpoints is not compared.
    Raises: AdaptAugError: there are checkpoints and none can be read, or one that was begun with other settings.
    """
    damaged = []
    files = checkpoints(folder)
    for file in files:
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            was = _decided(state)
        except Exception as error:  # whatever a damaged pickle or zip raises
            damaged.append(f"{file}: cannot be read ({type(error).__name__}), taking the one before.")
            continue
        others = [_other(name, was[name], now) for name, now in decided.items() if was.get(name, now) != now]
        if others:
            raise AdaptAugError(f"{file}: expected a run begun with the same settings, policy and data, got one that "
                                f"differs in {', '.join(others)}; give the same, or choose another --out.")  # fmt: skip
        return file, damaged
    if files:
        raise AdaptAugError(
            f"{folder}: none of {len(files)} checkpoints can be read; remove the folder to start anew."
        )
    return None, damaged


def _other(name: str, was: Any, now: Any) -> str:
    """A setting that differs; a policy's text and a data set's fingerprint would say nothing."""
    return name if name in ("policy", "data") else f"{name} ({was}, not {now})"


def export_encoder(encoder: nn.Module, folder: Path, made: dict[str, Any]) -> None:
    """Write encoder.safetensors and encoder.json beside it, which says how the weights were made.

    A torchvision architecture with its own stem gets an all-zero `fc`, so that torchvision's `load_state_dict`
    takes the file as it is.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    if encoder.arch in TORCHVISION_ARCHS and encoder.stem == "imagenet":
        width: Any = encoder.width
        weights |= {"fc.weight": torch.zeros(1000, width), "fc.bias": torch.zeros(1000)}
    about = {
        "arch": encoder.arch,
        "stem": encoder.stem,
        "width": encoder.width,
        "normalisation": "imagenet",
        **made,
    }
    write_atomically(folder / "encoder.safetensors", lambda file: file.write(save(weights, {"format": "pt"})))
    write_atomically(
        folder / "encoder.json", lambda file: file.write((json.dumps(about, indent=1) + "\n").encode())
    )


def load_encoder(folder: Path) -> nn.Module:
    """The encoder a run wrote, in eval mode.

    Raises: AdaptAugError: no such files, or weights of another architecture.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "encoder.json").read_text())
        weights = load_file(folder / "encoder.safetensors")
        encoder = build_encoder(about["arch"], about["stem"])
    except (OSError, ValueError, KeyError) as error:
        raise AdaptAugError(
            f"{folder}: expected encoder.safetensors and encoder.json of a run ({error})."
        ) from None
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}
    try:
        encoder.load_state_dict(weights)
    except RuntimeError:
        raise AdaptAugError(
            f"{folder}: the weights do not fit {about['arch']} with the {about['stem']} stem."
        ) from None
    return encoder.eval()
