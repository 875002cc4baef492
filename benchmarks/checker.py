"""An independent judge of the promise (method: policies/README.md). NumPy only; knows nothing of guard.py.

Everything is (B, S, S, 3) uint8: `view` as delivered, `quiet` the view before noise and erase, `whole`
before erase, `crop` the safe crop, `frame` the full frame at the view's size.
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
    return (frame.reshape(len(frame), -1, 3).std(1) < 2.0).all(-1)


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
    """Which views break which test: name -> (B,) bool; 'any' joins them. Blank sources break none."""
    y, y_crop, y_frame = luma(view), luma(crop), luma(frame)
    y_quiet = y if quiet is None else luma(quiet)
    y_whole = y if whole is None else luma(whole)
    floor = np.minimum(std, std_share * y_frame.std(1))
    low = np.minimum(dark, y_frame.mean(1))
    high = np.maximum(bright, y_frame.mean(1))
    out = {
        "std": y_quiet.std(1) < floor - TOLERANCE,
        "clip": (clipped(view) & ~clipped(crop)).mean(1) > clip + 1e-9,
        "mean": (y.mean(1) < low - TOLERANCE) | (y.mean(1) > high + TOLERANCE),
        "like": (correlation(y_whole, y_crop) < like - TOLERANCE) & (y_crop.std(1) > 1e-9),
    }
    if erased is not None:
        out["erased"] = erased > most_erased + 1e-9
    exempt = blank(frame)
    out = {name: broken & ~exempt for name, broken in out.items()}
    out["any"] = np.any(list(out.values()), axis=0)
    return out
