"""Policies: the file format, its presets, and the table of operations they are made of."""

from adaptaug.policy.model import MAX_FILE_BYTES, Policy, preset_names

__all__ = ["MAX_FILE_BYTES", "Policy", "preset_names"]
