"""Imported encoders, under the name by which users know them; they are read in `adaptaug.encoders`."""

from adaptaug.encoders.backbone import Backbone, Report, describe, load_backbone

__all__ = ["Backbone", "Report", "describe", "load_backbone"]
