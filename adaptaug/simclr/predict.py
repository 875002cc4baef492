"""Images -> classes, with the backbone and the head that were trained for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from adaptaug.data import Images
from adaptaug.encoders.backbone import Backbone
from adaptaug.errors import AdaptAugError
from adaptaug.simclr.classifier import Head
from adaptaug.simclr.embeddings import clean_view, fingerprint


def matching(
    made: dict[str, Any], checkpoint: str | None, normalise: str | None = None
) -> tuple[str, str | None]:
    """(checkpoint, normalisation) of the embeddings that a head was trained on, or those given."""
    about = made.get("embeddings", {})
    file = checkpoint or about.get("checkpoint")
    if file is None:
        raise AdaptAugError(
            "--checkpoint: expected one, as the head does not say what its features were made by."
        )
    return file, normalise or about.get("normalisation")


@torch.no_grad()
def classify(
    images: Images, backbone: Backbone, head: Head, made: dict[str, Any], batch: int = 64
) -> Iterator[tuple[str, str, float]]:
    """(name, class, probability) of each image that can be read; the others go to `images.bad`.

    `made` is the head's JSON. Raises: AdaptAugError: another backbone than the head was trained on.
    """
    about = made["embeddings"]
    if fingerprint(backbone) != about["weights"]:
        raise AdaptAugError(f"expected the backbone that the head was trained on ({about['checkpoint']}), got another; "
                            "embed and train a head with this one.")  # fmt: skip
    device = next(backbone.parameters()).device
    names: list[str] = []
    pixels: list[torch.Tensor] = []

    def flush() -> Iterator[tuple[str, str, float]]:
        features = backbone(torch.stack(pixels).to(device).float() / 255).float().cpu()
        best = head(features).softmax(1).max(1)
        for name, value, index in zip(names, best.values.tolist(), best.indices.tolist(), strict=True):
            yield name, made["classes"][index], value

    for name, image in images:
        names.append(name)
        pixels.append(torch.from_numpy(np.array(clean_view(image, about["size"]))).permute(2, 0, 1))
        if len(names) == batch:
            yield from flush()
            names, pixels = [], []
    if names:
        yield from flush()
