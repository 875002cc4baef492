"""What a search found, in a sentence, and the images that a run or search was made with. As in `runs`, nothing in the
folder is trusted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug import AdaptAugError
from adaptaug.data import open_data
from adaptaug.data.files import printable
from adaptaug.ui.runs import Found, finite, own_file, policy_file, read_json


def verdict(run: Found) -> str:
    """What a search that has ended found, in a sentence: what won and by how much, or why the start was returned.
    Empty before its end."""
    try:
        provenance = policy_file(run).provenance
    except (AdaptAugError, FileNotFoundError):
        return ""
    outcome = str(provenance.get("outcome", ""))[:100]
    if "interrupted" in provenance:
        led = f". {outcome} led, surely better on the images that pick."
        return "Not verified: the search was ended before" + (
            led if outcome != "start" else ", and no arm was surely better."
        )
    tried = {
        str(name).removesuffix(" - start")[:100]: found
        for name, found in _mapping(provenance.get("difference")).items()
    }
    name = outcome if outcome in tried else next(iter(tried), "")
    by, scores = tried.get(name), _mapping(provenance.get("verified"))
    if not outcome or not (name or outcome == "start"):
        return ""
    if not name:
        return "The start is returned: every other arm was surely worse on the images that pick."
    if not (isinstance(by, list) and len(by) == 3 and all(map(finite, by))):
        return ""
    measured = (
        f"{by[0]:+.1f} points against the start on images that picked nothing (95 % interval {by[1]:+.1f} to "
    )
    measured += f"{by[2]:+.1f}" + (f"; {scores[name]:.1f} %)" if finite(scores.get(name)) else ")")
    if outcome == name:
        return f"{name} won: {measured}."
    return f"The start is returned: {name} was tried first, but its {measured} may be chance."


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


# --- the images of either -----------------------------------------------------------------------------------
def image_of(run: Found) -> tuple[str, Callable[[], np.ndarray], int] | None:
    """The first image of the data that a run or search was made with: name, what opens it as (H, W, 3) uint8, size of
    its views in px. None where it is not written which data that was.

    Raises: AdaptAugError: it is not where it was, or is other data now.
    """
    settings = read_json(run.folder / ("encoder.json" if run.kind == "run" else "settings.json"))
    if run.kind == "run":
        recipe, fingerprint = _mapping(settings.get("settings")), settings.get("data")
        place = recipe.get("data")
    else:
        recipe = _mapping(settings.get("recipe"))
        place, fingerprint = _place(run.folder / "data.txt"), recipe.get("data")
    if not isinstance(place, str) or not place:
        return None
    name, path, size = printable(Path(place).name), Path(place), recipe.get("size")
    if "\0" in place or not (path.is_file() or path.is_dir()):
        raise AdaptAugError(f"{name}: the data of {printable(run.name)} is not where it was.")
    range = recipe.get("range")
    images = open_data(path, range=range if isinstance(range, str) and "," in range else "auto")
    if images.fingerprint() != fingerprint:  # what a folder names may be anything of this machine
        raise AdaptAugError(f"{name}: is not the data that {printable(run.name)} was made with.")
    for number, image in enumerate(images.names):
        with contextlib.suppress(AdaptAugError):
            images[number]
            return (
                printable(f"{name}: {image}"),
                partial(images.__getitem__, number),
                int(size) if finite(size) else 0,
            )
    raise AdaptAugError(f"{name}: holds no image that can be read.")


def _place(file: Path) -> str | None:
    return os.fsdecode(file.read_bytes()[:4096]) if own_file(file) else None
