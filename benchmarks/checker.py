"""An independent judge of the promise (method: policies/README.md). NumPy only; knows nothing of promise/guards.py.

Everything is (B, S, S, 3) uint8, or one (S, S, 3): `view` as delivered, `quiet` the view before noise and erase,
`whole` before erase, `crop` the safe crop, `frame` the full frame at the view's size. What is worked out for an image
does not depend on what lies beside it.
"""

import numpy as np

TOLERANCE = 1.0 / 255.0
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1, 3).astype(np.float32) @ (LUMA / 255)


def clipped(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1, 3)
    return (flat - np.uint8(1) >= 254) @ np.ones(3, np.uint8) > 0  # 0 wraps around to 255


def blank(frame: np.ndarray) -> np.ndarray:
    """Images without content: every channel's standard deviation below 2/255."""
    return (frame.std((1, 2)) < 2.0).all(-1)


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.abs((a * b).sum(1)) / np.maximum(scale, 1e-12)


def violations(
    view: np.ndarray,
    crop: np.ndarray,
    frame: np.ndarray,
    quiet: np.ndarray | None = None,
    whole: np.ndarray | None = None,
    erased: np.ndarray | None = None,
    std: float = 0.06,
    std_share: float = 0.4,
    clip: float = 0.15,
    dark: float = 0.10,
    bright: float = 0.90,
    like: float = 0.5,
    most_erased: float = 0.25,
) -> dict[str, np.ndarray]:
    """Which views break which test: name -> (B,) bool, () of one image; 'any' joins them. Blank sources break none."""
    single, frame = view.ndim == 3, frame[None] if view.ndim == 3 else frame
    images = {"view": view, "crop": crop, "quiet": quiet, "whole": whole}
    levels = {name: v[None] if single else v for name, v in images.items() if v is not None}
    planes = {name: luma(v) for name, v in levels.items()}
    y, y_crop, y_frame = planes["view"], planes["crop"], luma(frame)
    low = np.minimum(dark, y_frame.mean(1))
    high = np.maximum(bright, y_frame.mean(1))
    floor = np.minimum(std, std_share * y_frame.std(1))
    out = {
        "std": planes.get("quiet", y).std(1) < floor - TOLERANCE,
        "clip": (clipped(levels["view"]) & ~clipped(levels["crop"])).mean(1) > clip + 1e-9,
        "mean": (y.mean(1) < low - TOLERANCE) | (y.mean(1) > high + TOLERANCE),
        "like": (correlation(planes.get("whole", y), y_crop) < like - TOLERANCE) & (y_crop.std(1) > 1e-9),
    }
    if erased is not None:
        out["erased"] = np.atleast_1d(erased) > most_erased + 1e-9
    broken = np.any(list(out.values()), axis=0)
    broken[broken] = ~blank(frame[broken])  # of the few that need it: it costs as much as all the rest
    out = {name: flags & broken for name, flags in out.items()} | {"any": broken}
    return {name: flags[0] for name, flags in out.items()} if single else out
