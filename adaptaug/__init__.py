"""Adaptive augmentation for contrastive learning: it looks at each image first."""

from adaptaug.data.collation import collate
from adaptaug.data.keyed import Keyed
from adaptaug.errors import AdaptAugError
from adaptaug.explanation import Explanation
from adaptaug.params import ViewParams
from adaptaug.pipeline.encoded import decode
from adaptaug.policy import Policy
from adaptaug.report.sheet import show
from adaptaug.report.tuning import tune
from adaptaug.stats.image import ImageStats
from adaptaug.views import AdaptiveAugment, MultiCrop, Views, explain, measure, plan, render

__version__ = "0.2.0"
__all__ = [
    "AdaptAugError", "AdaptiveAugment", "Explanation", "ImageStats", "Keyed", "MultiCrop", "Policy",
    "ViewParams", "Views", "collate", "decode", "explain", "measure", "plan", "render", "show", "tune",
]  # fmt: skip
