"""Five compositions made of the photographs that scikit-image ships, all 256 x 256, for tests and figures."""

from __future__ import annotations

import cv2
import numpy as np
from skimage import data

SIDE = 256


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _sky() -> np.ndarray:
    """The empty evening sky of the rocket photograph, smooth as skies are."""
    sky = data.rocket()[:90, 420:600]
    return cv2.GaussianBlur(_resized(sky, SIDE, SIDE), (0, 0), 6)


def small_subject_in_a_corner() -> np.ndarray:
    scene = _sky()
    scene[186:246, 186:246] = _resized(data.astronaut()[0:200, 130:330], 60, 60)
    return scene


def two_subjects_at_opposite_edges() -> np.ndarray:
    scene = _sky()
    scene[90:170, 4:76] = _resized(data.chelsea()[20:260, 120:330], 72, 80)
    scene[90:170, 180:252] = _resized(data.coffee()[60:330, 150:450], 72, 80)
    return scene


def centred_portrait() -> np.ndarray:
    return _resized(data.astronaut()[0:300, 80:380], SIDE, SIDE)


def empty_sky_with_a_horizon() -> np.ndarray:
    scene = _sky()
    scene[206:] = _resized(data.rocket()[330:427, 0:600], SIDE, 50)
    return scene


def glyph() -> np.ndarray:
    """One printed character of the scanned page, enlarged on its paper."""
    page = data.page()
    paper = int(np.median(page))
    letter = cv2.resize(page[8:34, 21:33], (72, 156), interpolation=cv2.INTER_CUBIC)
    _, parts, sizes, _ = cv2.connectedComponentsWithStats((letter < paper - 85).astype(np.uint8))
    ink = parts == 1 + sizes[1:, cv2.CC_STAT_AREA].argmax()  # the letter, without its neighbours' fragments
    scene = np.full((SIDE, SIDE), paper, np.uint8)
    scene[50:206, 92:164] = np.where(ink, letter, paper)
    return np.repeat(scene[:, :, None], 3, 2)


SCENES = {
    "a small subject in a corner": small_subject_in_a_corner,
    "two subjects at opposite edges": two_subjects_at_opposite_edges,
    "a centred portrait": centred_portrait,
    "an empty sky with a horizon": empty_sky_with_a_horizon,
    "a glyph": glyph,
}


def detail(image: np.ndarray) -> np.ndarray:
    """Squared luma steps of the full-resolution image: where its information lies, measured independently."""
    luma = image @ np.array([0.299, 0.587, 0.114])
    out = np.zeros_like(luma)
    out[:, :-1] += (luma[:, 1:] - luma[:, :-1]) ** 2
    out[:-1] += (luma[1:] - luma[:-1]) ** 2
    return out
