"""Hands for the editor of policy B, and eyes for the pictures of the page."""

import base64
import io

import numpy as np
from PIL import Image


def control(page, op: str, field: str, end: str = ""):
    """A slider or checkbox of the editor, its group opened."""
    inside = f'[data-op="{op}"] input[data-field="{field}"]' + (f"[data-end={end}]" if end else "")
    group = page.locator("#editor details").filter(has=page.locator(inside))
    if group.count() and group.get_attribute("open") is None:
        group.locator("summary").click()
    return page.locator(f"#editor {inside}")


def alike(uri: str, view: np.ndarray) -> bool:
    """A view among others may be packed."""
    packed = pixels_of(uri).astype(int)
    return packed.shape == view.shape and float(abs(packed - view).mean()) < 5


def pixels_of(uri: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
