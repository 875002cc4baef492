"""Image files -> PIL images: finding them, opening one safely, and the samples that need no download."""

from __future__ import annotations

import importlib.util
import os
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from adaptaug.errors import AdaptAugError
from adaptaug.sidecars import is_sidecar

SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
# What photographs come in. No EPS or other format whose decoder runs programs.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
MAX_PIXELS = 100_000_000
_DEEP_MODES = ("I", "F")  # and every I;16: more than 8 bits a channel


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The image files that paths name, each once.

    A folder gives the files below it, however deep, whose suffix is an image's (`SUFFIXES`), sorted by path;
    hidden files and folders are left out and links to folders are not followed. Any other path is kept as it
    is, even if nothing is there: `open_image` says what is wrong with it, by name.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        found.update(dict.fromkeys(_below(path) if path.is_dir() else [path]))
    return list(found)


def _below(folder: Path) -> list[Path]:
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_sidecar(name)]
        files += [Path(root, n) for n in names if not is_sidecar(n) and Path(n).suffix.lower() in SUFFIXES]
    return sorted(files)


def open_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """One image file as upright 8-bit RGB, fully decoded.

    EXIF orientation is applied, grey, palette, bilevel and CMYK images become RGB, and of several frames the
    first is taken. Transparent images (RGBA, LA, PA, a palette with a transparent entry) are composited on
    white: fit for looking at files, while the augmentations themselves refuse transparency.

    Args:
        max_pixels: more than this (width x height) is refused before decoding; default 100 million.
    Raises: AdaptAugError: one sentence that names the file, what was expected, what came and the way out, for
        a file that is missing, unreadable, not an image, truncated, too large, smaller than 2 x 2 pixels, or
        deeper than 8 bits a channel.
    """
    path = Path(path)
    name = printable(path)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "something else" if path.exists() else "nothing of that name"
        raise AdaptAugError(f"{name}: expected an image file, got {what}; check the path.")
    return read_image(path, name, max_pixels)


def read_image(file: Path | BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """As `open_image`, from a path or an open file, called `name` in errors."""
    known = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ours is the limit, and odd metadata is no reason to stop
            if known is not None and max_pixels > known:
                Image.MAX_IMAGE_PIXELS = max_pixels
            Image.init()  # else Pillow knows only a few formats, and a name it does not know is a KeyError
            with Image.open(file, formats=[f for f in FORMATS if f in Image.OPEN]) as image:
                _check_header(image, name, max_pixels)
                image.load()
                return upright_rgb(image)
    except AdaptAugError:
        raise
    except Image.DecompressionBombError:
        raise AdaptAugError(_too_large(name, max_pixels, "many more")) from None
    except UnidentifiedImageError:
        raise AdaptAugError(
            f"{name}: expected an image file, got something unknown; convert it to PNG or JPEG."
        ) from None
    except PermissionError:
        raise AdaptAugError(
            f"{name}: expected a readable image file, got no permission to read it; change its mode."
        ) from None
    except MemoryError:
        raise AdaptAugError(f"{name}: not enough memory to decode this image; scale it down first.") from None
    except Exception as error:  # decoders raise whatever their format's parser trips over
        reason = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
        raise AdaptAugError(
            f"{name}: expected a complete image file, got one that is truncated or damaged ({reason}); "
            "replace it or save it anew."
        ) from None
    finally:
        Image.MAX_IMAGE_PIXELS = known


def _check_header(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise AdaptAugError(_too_large(name, max_pixels, f"{width} x {height}"))
    if min(width, height) < 2:
        raise AdaptAugError(
            f"{name}: expected an image of at least 2 x 2 pixels, got {width} x {height}; leave it out."
        )
    if image.mode in _DEEP_MODES or image.mode.startswith("I;"):
        raise AdaptAugError(
            f"{name}: expected 8 bits a channel, got Pillow mode {image.mode!r} (16 or 32 bits); "
            "scale it to 8 bits yourself, since only you know its black and white points."
        )


def _too_large(name: str, max_pixels: int, got: str) -> str:
    return (
        f"{name}: expected at most {max_pixels / 1e6:g} megapixels, got {got}; scale the image down, "
        "or raise max_pixels (--megapixels) if you trust the file."
    )


def upright_rgb(image: Image.Image) -> Image.Image:
    """RGB, turned as EXIF says, on white where it was transparent."""
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        coloured = upright.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return upright.convert("RGB")


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], Any]) -> None:
    """Write a file whole or not at all: a reader, or a run after kill -9, never finds half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with unfinished.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def printable(path: str | os.PathLike[str]) -> str:
    """A path on one line: characters that would break the line or the terminal are escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(path)
    )


# --- samples ----------------------------------------------------------------------------------------------
# All of these lie in scikit-image's wheel: reading them asks no server.
_SAMPLES = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "galaxies": "hubble_deep_field.jpg",
    "camera": "camera.png",
    "page": "page.png",
}


def sample_images() -> list[tuple[str, Image.Image]]:
    """Photographs and pages to try things on, as (name, RGB image): no download, the same on every machine.

    Those that scikit-image ships in its wheel, and three made from them or drawn: a photograph five stops
    darker and one with a quarter of its contrast (both in linear light, requantised to 8 bits), and a digit.
    Raises: AdaptAugError: where scikit-image was installed without its data.
    """
    spec = importlib.util.find_spec("skimage")  # where it lies, without importing it
    folder = Path(*(spec.submodule_search_locations or [])[:1], "data") if spec else Path("skimage/data")
    images = {name: open_image(folder / file) for name, file in _SAMPLES.items()}
    images["coffee, dark"] = _in_linear_light(images["coffee"], gain=1 / 32)
    images["cat, low contrast"] = _in_linear_light(images["cat"], gain=0.25, offset=0.18)
    images["digit"] = _digit()
    return list(images.items())


def _in_linear_light(image: Image.Image, gain: float, offset: float = 0.0) -> Image.Image:
    """gain * light + offset on sRGB-decoded values, encoded again and rounded to 8 bits."""
    level = np.arange(256) / 255.0
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    light = np.clip(gain * light + offset, 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return image.point(np.round(encoded * 255.0).astype(int).tolist() * 3)


def _digit(size: int = 96) -> Image.Image:
    image = Image.new("RGB", (size, size), "black")
    font = ImageFont.load_default(size=0.8 * size)
    ImageDraw.Draw(image).text((size / 2, size / 2), "5", "white", font, anchor="mm", stroke_width=size // 48)
    return image
