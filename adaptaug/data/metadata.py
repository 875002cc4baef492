"""What an image file says about its pixels, of which we take one thing: which way up they are.

The orientation is EXIF's where that is a number of 1 ... 8, of any numeric type, else XMP's. Whatever else lies in the
metadata, right or damaged, changes nothing: pixels are turned, and metadata is never written back.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
# EXIF's types: short, long, signed byte, short and long, floats, rationals.
_NUMBERS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 5: "II", 10: "ii"}

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # of a PNG, its first frame where it moves
# Of a TIFF: size, bits, compression, colours, strips, tiles, sample formats and tables.
_TAGS = frozenset((254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325,
                   332, 338, 339, 347, 529, 530, 531, 532))  # fmt: skip


def orientation(image: Image.Image) -> int:
    """1 ... 8, as EXIF numbers them; 1 (upright) where nothing that can be read says otherwise."""
    if image.format == "JXL":  # whose decoder has turned it, and whose EXIF counts for nothing
        return 1
    if hasattr(image, "tag_v2"):  # a TIFF, which Pillow turns as it reads it: what is left to do
        try:
            return _number(image.getexif().get(_ORIENTATION)) or 1
        except Exception:  # Pillow's parsers raise nearly anything on damaged metadata
            return 1
    return _number(_of_exif(_exif(image.info))) or _of_xmp(image.info) or 1


def _number(value: Any) -> int:
    """1 ... 8, or 0."""
    return next((number for number in range(1, 9) if number == value), 0)


def _exif(info: dict[Any, Any]) -> bytes:
    profile = info.get("Raw profile type exif")  # in hexadecimal, as ImageMagick keeps it in a PNG
    if "exif" not in info and isinstance(profile, str):
        with contextlib.suppress(ValueError):
            return bytes.fromhex("".join(profile.split("\n")[3:]))
    exif = info.get("exif")
    return exif if isinstance(exif, bytes) else b""


def _of_xmp(info: dict[Any, Any]) -> int:
    xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    match = _IN_XMP.search(xmp if isinstance(xmp, bytes) else str(xmp).encode("utf-8", "replace"))
    return _number(int(match[1])) if match else 0


def _of_exif(data: bytes) -> float | None:
    """The orientation in a TIFF's first directory, where that is a number of any type, whatever lies around it.

    Pillow's own reading stops at the first entry that is damaged, and a camera's name comes before.
    """
    data = data.removeprefix(b"Exif\0\0")
    end = "<" if data[:1] == b"I" else ">"
    value = None
    with contextlib.suppress(struct.error, ZeroDivisionError):  # the file ends
        (place,) = struct.unpack_from(end + "I", data, 4)
        (count,) = struct.unpack_from(end + "H", data, place)
        for at in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(end + "HHI", data, at)
            if tag == _ORIENTATION and kind in _NUMBERS and number:
                form = end + _NUMBERS[kind]
                inside = struct.calcsize(form) * number <= 4
                there = at + 8 if inside else struct.unpack_from(end + "I", data, at + 8)[0]
                first, *below = struct.unpack_from(form, data, there)
                value = first / below[0] if below else first
    return value


def turn(image: Image.Image, number: int) -> Image.Image:
    """An image whose pixels have the orientation `number`, upright."""
    return image.transpose(_TURNS[number]) if number in _TURNS else image


def turn_array(pixels: np.ndarray, number: int) -> np.ndarray:
    """`turn` for (H, W, 3) uint8."""
    return np.asarray(turn(Image.fromarray(pixels), number)) if number in _TURNS else pixels


def without(data: bytes) -> tuple[bytes, int] | None:
    """A JPEG's, PNG's or TIFF's bytes without metadata, and the orientation; None where there is nothing to leave out.

    For files that Pillow refuses for their metadata alone.
    """
    blank = Image.new("L", (1, 1))  # has what was left out, as Pillow keeps it of a file that it can read
    if data.startswith((b"II*\0", b"MM\0*")):
        blank.info["exif"] = data
        return (bare, orientation(blank)) if (bare := _tiff(data)) else None
    parts = list(_jpeg(data) if data.startswith(_JPEG) else _png(data) if data.startswith(_PNG) else ())
    if all(kept for kept, _ in parts):
        return None
    for kept, part in parts:
        if not kept and (at := part.find(b"Exif\0\0")) >= 0:
            blank.info["exif"] = part[at:]
        elif not kept and part[4:8] == b"eXIf":
            blank.info["exif"] = part[8:-4]
        elif not kept and b"tiff:Orientation" in part:
            blank.info["xmp"] = part
    return b"".join(part for kept, part in parts if kept), orientation(blank)


def _jpeg(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """(is it needed for the pixels, segment) up to the first scan, which is all the rest."""
    yield True, data[:2]
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, place + 2)
        marker, end = data[place + 1], place + 2 + length
        # APP0 (JFIF) and APP14 (Adobe) say what the colours are; other APPs and comments do not.
        yield not (marker == 0xFE or (0xE1 <= marker <= 0xEF and marker != 0xEE)), data[place:end]
        place = end
    yield True, data[place:]


def _png(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """(is it needed for the pixels, chunk)."""
    yield True, data[:8]
    place = 8
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        yield data[place + 4 : place + 8] in _PIXELS, data[place:end]
        place = end


def _tiff(data: bytes) -> bytes:
    """With another directory of its first page, of the tags that pixels are decoded by; empty if it is cut off."""
    end = "<" if data[:1] == b"I" else ">"
    try:
        (place,) = struct.unpack_from(end + "I", data, 4)
        (count,) = struct.unpack_from(end + "H", data, place)
        entries = [data[at : at + 12] for at in range(place + 2, place + 2 + 12 * count, 12)]
        remaining = [entry for entry in entries if struct.unpack_from(end + "H", entry)[0] in _TAGS]
    except struct.error:
        return b""
    there = len(data) + len(data) % 2
    directory = struct.pack(end + "H", len(remaining)) + b"".join(remaining) + bytes(4)
    return data[:4] + struct.pack(end + "I", there) + data[8:].ljust(there - 8, b"\0") + directory
