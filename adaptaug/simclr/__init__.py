"""Pretraining: the contrastive step, the trainer, its checkpoints, and how features are judged."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptaug.encoders.backbone import load_backbone
    from adaptaug.simclr.checkpoints import load_encoder
    from adaptaug.simclr.settings import Settings
    from adaptaug.simclr.trainer import pretrain

__all__ = ["Settings", "load_backbone", "load_encoder", "pretrain"]
_LATE = {
    "Settings": "adaptaug.simclr.settings", "load_backbone": "adaptaug.encoders.backbone",
    "load_encoder": "adaptaug.simclr.checkpoints", "pretrain": "adaptaug.simclr.trainer",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Each when it is asked for: training needs the extra `train`, reading an encoder does not."""
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
