"""Pixels as data URIs, and pictures that one part of the page lends to others."""

from __future__ import annotations

import base64
import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

from adaptaug.ui.templates import escape, label

GLANCE, TINY = 128, 64  # px of a view among others; up to which it is magnified pixel by pixel
FEW, MANY = 12, 24  # of a policy, beyond which they are packed more, and shrink: a page stays below 600 kB
SAMPLES_JS = """
const wanted = {};  // one object for all: see PAIRS_JS
element.addEventListener('click', (event) => {
  const sample = event.target.closest('button');
  if (sample) trigger('select', Object.assign(wanted, {index: Number(sample.dataset.index)}));
});
"""


def lossless(pixels: np.ndarray) -> str:
    """Pixels as a data URI: what is shown is what training gets, to the bit. WebP takes as long as PNG, and a fifth
    fewer bytes."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "WEBP", lossless=True, quality=0, method=0)
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()


def glance(pixels: np.ndarray, among: int) -> str:
    """A view among others, as a data URI: small ones, whose every pixel is seen, as they are; larger ones as JPEG of
    at most `GLANCE` px, a quarter of the bytes, and smaller among many. What is opened is shown to the bit."""
    if max(pixels.shape) <= TINY and among <= MANY:
        return lossless(pixels)
    return thumbnail(pixels, round(GLANCE * min(1.0, (MANY / among) ** 0.5)), 92 if among <= FEW else 80)


def thumbnail(pixels: np.ndarray, longest: int, quality: int = 85) -> str:
    """A picture to look at and nothing else, as a JPEG data URI."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def lend(name: str, uri: str) -> str:
    return f'<i hidden data-is="{name}" data-src="{uri}"></i>'


def borrowed(name: str, alt: str = "", more: str = "") -> str:
    """A picture that lies elsewhere on the page."""
    return f'<img data-of="{name}" alt="{escape(alt)}"{more}>'


def samples(images: list[tuple[str, Any]]) -> str:
    """Photographs to choose from, as named buttons."""
    cells = []
    for index, (name, image) in enumerate(images):
        uri = thumbnail(np.asarray(image), 160)
        cells.append(
            f'<button type="button" data-index="{index}" aria-label="Use the sample {escape(name)}" '
            f'title="{escape(name)}"><img src="{uri}" alt=""></button>'
        )
    return f'{label("Or choose a sample")}<div class="aa aa-samples">{"".join(cells)}</div>'
