"""Image files -> PIL images: finding them, opening one safely, and the samples that need no download."""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from adaptaug.data import metadata
from adaptaug.data.depth import AUTO, Range
from adaptaug.data.folders import search
from adaptaug.data.formats import WAY_OUT, formats, wants_plugin
from adaptaug.data.transparency import shown
from adaptaug.errors import AdaptAugError, printable

MAX_PIXELS = 100_000_000


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The image files that paths name, as `folders.search`, which also tells what was left out."""
    return search(paths)[0]


def open_image(
    path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, range: Range = AUTO
) -> Image.Image:
    """One image file as upright 8-bit RGB, fully decoded.

    The orientation is applied (`metadata`), grey, palette, bilevel and CMYK images become RGB, those of more than 8
    bits are read by `range` (`depth`), and of several frames the first is taken. Transparent images (RGBA, LA, PA, a
    palette with a transparent entry) are put on a ground (`transparency`).

    Args:
        max_pixels: more than this (width x height) is refused before decoding; default 100 million.
    Raises: AdaptAugError: one sentence that names the file, what was expected, what came and the way out, for
        a file that is missing, unreadable, not an image, truncated, too large, or smaller than 2 x 2 pixels.
    """
    path = Path(path)
    name = printable(path)
    if not path.is_file():
        what = "something else" if path.exists() else "nothing of that name"
        what = "a folder" if path.is_dir() else "a link to nothing" if path.is_symlink() else what
        raise AdaptAugError(f"{name}: expected an image file, got {what}; check the path.")
    return read_image(path, name, max_pixels, range)


def read_image(
    file: Path | BinaryIO, name: str, max_pixels: int = MAX_PIXELS, range: Range = AUTO
) -> Image.Image:
    """As `open_image`, from a path or an open file, called `name` in errors."""
    limit = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ours is the limit, and odd metadata is no reason to stop
            if limit is not None and max_pixels > limit:
                Image.MAX_IMAGE_PIXELS = max_pixels
            return _decoded(file, name, max_pixels, range)
    except AdaptAugError:
        raise
    except Image.DecompressionBombError:
        raise AdaptAugError(_too_large(name, max_pixels, "many more")) from None
    except UnidentifiedImageError:
        raise AdaptAugError(f"{name}: {_unknown(_content(file)[:16])}") from None
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
        Image.MAX_IMAGE_PIXELS = limit


def _decoded(file: Path | BinaryIO, name: str, max_pixels: int, range: Range) -> Image.Image:
    """The image, without its metadata where that is what Pillow cannot read."""
    try:
        return _opened(file, name, max_pixels, range)
    except (AdaptAugError, Image.DecompressionBombError, PermissionError, MemoryError):
        raise
    except Exception:
        rest = metadata.without(_content(file))
        if rest is None:
            raise
        return metadata.turn(_opened(io.BytesIO(rest[0]), name, max_pixels, range), rest[1])


def _opened(file: Path | BinaryIO, name: str, max_pixels: int, range: Range) -> Image.Image:
    with Image.open(file, formats=formats()) as image:
        _check_header(image, name, max_pixels)
        image.load()
        try:
            return upright_rgb(image, range)
        except AdaptAugError as error:
            raise AdaptAugError(f"{name}: {error}") from None


def _content(file: Path | BinaryIO) -> bytes:
    if isinstance(file, Path):
        return file.read_bytes()
    file.seek(0)
    return file.read()


def _unknown(head: bytes) -> str:
    if not head:
        return "expected an image file, got an empty one; fetch it again, or leave it out."
    if wants_plugin(head):
        return f"expected an image file, got one that needs a plugin: {WAY_OUT}."
    return "expected an image file, got something unknown; convert it to PNG or JPEG."


def _check_header(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise AdaptAugError(_too_large(name, max_pixels, f"{width} x {height}"))
    if min(width, height) < 2:
        raise AdaptAugError(
            f"{name}: expected an image of at least 2 x 2 pixels, got {width} x {height}; leave it out."
        )


def _too_large(name: str, max_pixels: int, got: str) -> str:
    return (
        f"{name}: expected at most {max_pixels / 1e6:g} megapixels, got {got}; scale the image down, "
        "or raise max_pixels (--megapixels) if you trust the file."
    )


def upright_rgb(image: Image.Image, range: Range = AUTO) -> Image.Image:
    """8-bit RGB, the right way up, on a ground where it was transparent (`transparency`); no metadata is kept.

    Raises: AdaptAugError: more than 8 bits, and no finite value.
    """
    number = metadata.orientation(image)
    upright = metadata.turn(shown(image, range).convert("RGB"), number)
    upright.info = {}
    return upright


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
