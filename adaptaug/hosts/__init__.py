"""Faces for training loops whose contract is not "a callable that takes an image": one small file each.

Nothing here is imported by `adaptaug` itself, and each file imports its host alone.
"""
