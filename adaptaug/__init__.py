"""Adaptive augmentation for contrastive learning: it looks at each image first."""

from adaptaug.collation import collate
from adaptaug.encoded import decode
from adaptaug.errors import AdaptAugError
from adaptaug.keyed import Keyed
from adaptaug.measure import ImageStats
from adaptaug.params import Explanation, ViewParams
from adaptaug.policy import Policy
from adaptaug.sheet import show
from adaptaug.views import AdaptiveAugment, MultiCrop, Views, explain, measure, plan, render

__version__ = "0.1.0"
__all__ = [
    "AdaptAugError", "AdaptiveAugment", "Explanation", "ImageStats", "Keyed", "MultiCrop", "Policy",
    "ViewParams", "Views", "collate", "decode", "explain", "measure", "plan", "render", "show",
]  # fmt: skip
