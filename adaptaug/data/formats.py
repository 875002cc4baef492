"""Which image formats are read: the raster formats of the installed Pillow and those that its plugins add.

HEIC, JPEG XL, and AVIF where Pillow was built without it, come from plugins: `pip install 'adaptaug[formats]'`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

from PIL import Image, features

# What pictures come in. No EPS or other format whose decoder runs programs, none that Pillow reads in part only (FITS
# without its scale). TGA has no mark to be known by, so it is tried last.
_READ = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "HEIF", "JXL", "QOI",
         "SGI", "SUN", "PCX", "TGA")  # fmt: skip
_OF_PLUGINS = frozenset((".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".jxl"))
_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif", b"avis")  # of HEIF and AVIF
WAY_OUT = "pip install 'adaptaug[formats]'"


@cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats that can be read here, as `Image.open` takes them."""
    Image.init()  # else Pillow knows only a few formats, and a name it does not know is a KeyError
    _plug("pillow_heif", lambda plugin: plugin.register_heif_opener())
    _plug("pillow_jxl")
    if not features.check("avif"):
        _plug("pillow_avif")
    return tuple(name for name in _READ if name in Image.OPEN)


def _plug(name: str, register: Callable[[Any], Any] = lambda plugin: None) -> None:
    """A plugin where it is installed; one that is broken must not keep other formats from being read."""
    try:
        register(importlib.import_module(name))
    except Exception:  # its library may be missing or of another version
        return


@cache
def suffixes() -> frozenset[str]:
    """Endings of the files that are taken for images, in lower case, each with its dot."""
    names = {*formats(), "MPO"}  # which is opened as a JPEG
    return frozenset(suffix for suffix, name in Image.EXTENSION.items() if name in names)


def is_missing(suffix: str) -> bool:
    """Whether a plugin that is not installed would read files of this ending."""
    return suffix.lower() in _OF_PLUGINS - suffixes()


def wants_plugin(head: bytes) -> bool:
    """Whether a file that begins so is in a format that only a plugin reads, whatever it is called."""
    return (head[4:8] == b"ftyp" and head[8:12] in _BRANDS) or head.startswith(
        (b"\xff\x0a", b"\0\0\0\x0cJXL ")
    )
