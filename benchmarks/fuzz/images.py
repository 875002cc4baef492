"""Image files as they come from cameras, converters, broken disks and attackers, made by a seed."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
SUFFIXES = (
    ".png",
    ".jpg",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".ppm",
    ".jp2",
    ".avif",
    ".qoi",
    ".sgi",
    ".tga",
    ".pcx",
)
COMPRESSIONS = ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4")
NAMES = (
    "a\nb",
    "tab\there",
    "\x1b[31mred",
    "quote\"'",
    "-rf",
    "~",
    "naïve ☃",
    "\u202egnp",
    "#{0}%s",
    "x" * 200,
)
Bytes = tuple[str, str, bytes]  # kind, suffix, content


def whole(random: np.random.Generator) -> Iterator[Bytes]:
    """One file of each kind: every mode in every format that can hold it, and what else formats can say."""
    levels = random.integers(0, 256, (24, 36, 3), dtype=np.uint8)
    picture = Image.fromarray(levels).resize((48, 36), Image.Resampling.BICUBIC)
    for mode in MODES:
        image = (
            Image.fromarray(levels[..., 0].astype(np.uint16) << 7) if mode == "I;16" else _in(picture, mode)
        )
        for suffix in SUFFIXES:
            if (content := _saved(image, suffix)) is not None:
                yield f"mode {mode}", suffix, content
    for compression in COMPRESSIONS:
        image = picture.convert("1") if compression == "group4" else picture
        if (content := _saved(image, ".tif", compression=compression)) is not None:
            yield f"TIFF {compression}", ".tif", content
    for value in (0.5, np.nan, np.inf, -1e38, 1e-42):
        floats = levels[..., 0].astype(np.float32) / 255
        floats[::3] = value
        yield "float TIFF", ".tif", _must(Image.fromarray(floats), ".tif")
        yield "float TIFF, all the same", ".tif", _must(Image.fromarray(np.full_like(floats, value)), ".tif")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (profile, profile[:99], bytes(random.integers(0, 256, 5000, dtype=np.uint8))):
        for suffix in (".png", ".jpg", ".webp", ".tif"):
            yield "ICC", suffix, _must(picture, suffix, icc_profile=icc)
    for orientation in (*range(1, 9), 0, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for suffix in (".png", ".jpg", ".webp", ".tif"):
            yield f"EXIF {orientation}", suffix, _must(picture, suffix, exif=exif)
    yield "EXIF of noise", ".jpg", _must(picture, ".jpg", exif=b"Exif\0\0" + random.bytes(400))
    for suffix in (".gif", ".webp", ".png", ".tif", ".avif"):
        rest = [picture.rotate(40 * i) for i in range(1, 5)]
        if (content := _saved(picture, suffix, save_all=True, append_images=rest)) is not None:
            yield "animation", suffix, content


def hostile() -> Iterator[Bytes]:
    """What is small and claims or unpacks to much, and what is no image."""
    for side in (9_000, 12_000, 30_000):  # below and above our limit, and above Pillow's
        row = zlib.compressobj(9)
        packed = b"".join(row.compress(bytes(1 + side // 8)) for _ in range(side)) + row.flush()
        yield "bomb of pixels", ".png", _png(side, side, packed)
    small = zlib.compress(bytes(4 * 9))
    yield "bomb of a header", ".png", _png(2**31 - 1, 2**31 - 1, small)
    yield (
        "bomb of a header",
        ".gif",
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"," + bytes(9),
    )
    yield "bomb of a header", ".bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 60000, 60000, 1, 24, 0,
                                                         0, 0, 0, 0, 0)  # fmt: skip
    yield "bomb of a header", ".ppm", b"P6 99999 99999 255\n" + bytes(99)
    text = zlib.compress(bytes(100 << 20), 9)
    yield "bomb of a text", ".png", _png(8, 8, zlib.compress(bytes(8 * 2)), (b"zTXt", b"a\0\0" + text))
    yield "bomb of a profile", ".png", _png(8, 8, zlib.compress(bytes(8 * 2)), (b"iCCP", b"a\0\0" + text))
    for what, content in {
        "empty": b"", "text": b"this is no image", "HTML": b"<!doctype html><html>404", "zeros": bytes(4096),
        "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "ZIP": b"PK\3\4" + bytes(60),
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>0</script></svg>",
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", "PDF": b"%PDF-1.4\n",
        "HEIC": b"\0\0\0\x18ftypheic" + bytes(64), "JXL": b"\xff\x0a" + bytes(64),
    }.items():  # fmt: skip
        for suffix in (".png", ".jpg", ".tif", ".tga", ".webp"):
            yield f"no image: {what}", suffix, content


def spoiled(files: list[Bytes], random: np.random.Generator) -> Iterator[Bytes]:
    """Without end: all files, each cut off at every hundredth; then bits flipped, ends mixed, and wrong names."""
    for kind, suffix, content in files:
        for share in range(1, 100):
            yield f"cut off: {kind}", suffix, content[: len(content) * share // 100]
    while True:
        kind, suffix, content = files[random.integers(len(files))]
        made = bytearray(content)
        what = random.integers(4)
        if what == 0:
            suffix, kind = SUFFIXES[random.integers(len(SUFFIXES))], "wrong name"
        elif what == 1:
            at = int(random.integers(len(made)))
            other = files[random.integers(len(files))][2]
            made[at:], kind = other[at:], "spliced"
        else:  # where the headers are, or anywhere
            most = min(len(made), 200) if what == 2 else len(made)
            for _ in range(int(random.integers(1, 9))):
                made[random.integers(most)] ^= 1 << int(random.integers(8))
            kind = "bits flipped"
        yield kind, suffix, bytes(made)


def write(folder: Path, count: int, seed: int) -> list[tuple[str, Path]]:
    """About `count` files in folders of a thousand, by kind, and among them links and what else is no file.

    All whole and hostile ones; of the cut ones, so many evenly spread that a third of the rest is left to the others.
    """
    random = np.random.default_rng(seed)
    plain = list(whole(random))
    chosen = plain + list(hostile())
    if len(chosen) > count:
        chosen = [chosen[i] for i in np.sort(random.permutation(len(chosen))[:count])]
    stream, cut = spoiled(plain, random), 99 * len(plain)
    cuts = [next(stream) for _ in range(cut)]
    rest = count - len(chosen)
    kept = min(cut, rest * 2 // 3)
    chosen += [cuts[i * cut // kept] for i in range(kept)] + [next(stream) for _ in range(rest - kept)]
    written = []
    for number, place in enumerate(random.permutation(len(chosen))):
        kind, suffix, content = chosen[place]
        odd = f" {NAMES[number // 7 % len(NAMES)]}" if number % 7 == 0 else ""
        file = folder / f"{number // 1000:02d}" / f"{number:05d}{odd}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        written.append((kind, file))
        if number % 1000 == 0:
            written += _odd_things(file.parent)
    return written


def _odd_things(folder: Path) -> list[tuple[str, Path]]:
    """Links that lead nowhere, to themselves and upwards, a pipe, a folder, and a name that is no UTF-8."""
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self.png").symlink_to("self.png")
    (folder / "nothing.png").symlink_to("not there")
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    raw = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.png"))
    raw.write_bytes(_must(Image.new("RGB", (9, 9), "red"), ".png"))
    return [("link to itself", folder / "self.png"), ("link to nothing", folder / "nothing.png"),
            ("pipe", folder / "pipe.png"), ("folder", folder / "folder.png"), ("name of no UTF-8", raw)]  # fmt: skip


def _in(picture: Image.Image, mode: str) -> Image.Image:
    if mode in ("LAB", "PA", "HSV"):
        way = {"LAB": "RGB", "PA": "LA", "HSV": "RGB"}[mode]
        if mode == "LAB":
            here, there = (ImageCms.ImageCmsProfile(ImageCms.createProfile(n)) for n in ("sRGB", "LAB"))  # type: ignore[arg-type]
            made = ImageCms.profileToProfile(picture, here, there, outputMode="LAB")
            assert made is not None
            return made
        return picture.convert(way).convert(mode)
    return picture.convert(mode)


def _saved(image: Image.Image, suffix: str, **options: Any) -> bytes | None:
    """The file, or None where the format has no place for that."""
    file = io.BytesIO()
    try:
        image.save(file, Image.registered_extensions()[suffix], **options)
    except (OSError, ValueError, KeyError, SystemError, TypeError):
        return None
    return file.getvalue()


def _must(image: Image.Image, suffix: str, **options: Any) -> bytes:
    content = _saved(image, suffix, **options)
    assert content is not None, suffix
    return content


def _png(width: int, height: int, packed: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A bilevel PNG of so many claimed pixels."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        *chunks,
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )
