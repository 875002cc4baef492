"""The table of operations: one record each, and the few lines that apply it.

An operation belongs to one kind, which says how it is applied:

* `geometry`: ``matrix(amount)`` maps view to source in coordinates centred on the crop, in which the crop
  has about the extent [-1, 1] (y down). All matrices of a view are multiplied and it is warped once.
* `filter`: reads neighbours; a function of a torch batch.
* `table`: pointwise, as a lookup table of 256 levels.
* `tone`: gain and offset, chosen by `plan` from the crop's statistics.
* `colour`: ``matrix(amount)`` is 3x3 on RGB and keeps luma; without one, it is chosen by `plan` from the crop's
  statistics, after tone. All tone and colour is one affine map.
* `late`: after everything else; ``late(pixels, seed, *amounts)`` of (B, 3, S, S) levels. The certificate judges
  contrast before them. Grain comes first, then what `covers` a part, which is judged by its area instead.

CONTRIBUTING.md says how one is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from adaptaug.backend.arrays import Array, larger, matrices
from adaptaug.backend.keys import splitmix64

LUMA = (0.299, 0.587, 0.114)
SLOTS_PER_OP = 8  # numbers an operation may draw; the first is its gate


@dataclass(frozen=True)
class Parameter:
    """One number of an operation: where it may lie, what leaves the image alone, and its unit."""

    low: float
    identity: float
    high: float
    unit: str
    log: bool = False  # drawn uniformly in its logarithm
    default: tuple[float, float] | None = None  # range where a policy gives none; the identity alone if None
    place: bool = False  # a position, neither strong nor weak

    def __post_init__(self) -> None:
        for name in ("low", "identity", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))


@dataclass(frozen=True)
class Op:
    """One operation. `slot` fixes its random numbers for ever: never reuse or renumber one."""

    name: str
    kind: str
    slot: int
    about: str
    parameters: dict[str, Parameter]
    settings: dict[str, tuple[float, float, float]] = field(default_factory=dict)  # low, default, high
    matrix: Callable[..., list[list[Any]]] | None = None
    table: Callable[..., Array] | None = None
    torch: Callable[..., torch.Tensor] | None = None
    late: Callable[..., Array] | None = None
    covers: bool = False  # a late one that hides a part of the view
    start: dict[str, Any] = field(default_factory=dict)  # a policy's entry to begin with: something to see
    caption: str = "{name} {numbers}"  # under a view; {numbers} are short, a parameter's name is its value
    guard: tuple[str, str] | None = (
        None  # what is looked at, and how that narrows it; None: the certificate alone
    )
    formula: str = ""  # what it does to a pixel x or its place; without one, its function's docstring says it

    labels: tuple[str, ...] = field(init=False)  # of its numbers, in ViewParams
    single: bool = field(init=False)  # whether it has one number, called `range` in a policy file
    switch: bool = field(
        init=False
    )  # whether it is only on or off: a policy gives its probability and no range

    def __post_init__(self) -> None:
        function = self.matrix or self.table or self.torch
        if function is not None and not self.formula:
            object.__setattr__(self, "formula", " ".join((function.__doc__ or "").split()))
        single = len(self.parameters) == 1
        labels = (self.name,) if single else tuple(f"{self.name}.{part}" for part in self.parameters)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "single", single)
        object.__setattr__(self, "switch", all(part.low == part.high for part in self.parameters.values()))


# --- geometry: 3x3 matrices from view to source -----------------------------------------------------------
def _hflip(amount: Array) -> list[list[Any]]:
    """x becomes -x."""
    return [[1.0 - 2.0 * amount, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def _vflip(amount: Array) -> list[list[Any]]:
    """y becomes -y."""
    return [[1.0, 0.0, 0.0], [0.0, 1.0 - 2.0 * amount, 0.0], [0.0, 0.0, 1.0]]


def _rotate(degrees: Array) -> list[list[Any]]:
    """Counter-clockwise by `degrees`, as torchvision."""
    cos, sin = torch.cos(degrees * (math.pi / 180)), torch.sin(degrees * (math.pi / 180))
    return [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]


def _shear(x: Array, y: Array) -> list[list[Any]]:
    """Shift rows by tan(x) of their height and columns by tan(y) of their width; degrees."""
    return [
        [1.0, torch.tan(x * (math.pi / 180)), 0.0],
        [torch.tan(y * (math.pi / 180)), 1.0, 0.0],
        [0.0, 0.0, 1.0],
    ]


def _stretch(ratio: Array) -> list[list[Any]]:
    """Width over height grows by `ratio` at constant area."""
    root = torch.sqrt(ratio)
    return [[1.0 / root, 0.0, 0.0], [0.0, root, 0.0], [0.0, 0.0, 1.0]]


def _perspective(x: Array, y: Array) -> list[list[Any]]:
    """Foreshortening: the side towards positive x (y) recedes by that share."""
    return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [x, y, 1.0]]


# --- colour: 3x3 matrices on RGB that keep luma -----------------------------------------------------------
_YIQ = np.array([LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)])
_RGB = np.linalg.inv(_YIQ)
_HUE_COS = (_RGB @ np.diag([0.0, 1.0, 1.0]) @ _YIQ).tolist()
_HUE_SIN = (_RGB @ np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _YIQ).tolist()


def _saturation(amount: Array) -> list[list[Any]]:
    """luma + (1 + amount) (rgb - luma); -1 is grey."""
    factor = 1.0 + amount
    return [[factor * (i == j) + (1.0 - factor) * LUMA[j] for j in range(3)] for i in range(3)]


def _hue(turns: Array) -> list[list[Any]]:
    """Rotate chroma in YIQ by `turns` of the circle: luma stays. Not torchvision's HSV hue, which moves it."""
    cos, sin = torch.cos(turns * (2 * math.pi)), torch.sin(turns * (2 * math.pi))
    return [[LUMA[j] + cos * _HUE_COS[i][j] + sin * _HUE_SIN[i][j] for j in range(3)] for i in range(3)]


def _temperature(amount: Array) -> list[list[Any]]:
    """Red times 1 + amount / 2, blue times 1 - amount / 2, the same added to every channel so that luma stays."""
    gains = (1.0 + 0.5 * amount, 1.0, 1.0 - 0.5 * amount)
    return [[gains[i] * (i == j) + LUMA[j] * (1.0 - gains[j]) for j in range(3)] for i in range(3)]


def _grey(amount: Array) -> list[list[Any]]:
    """Replace each channel by luma."""
    return [[(1.0 - amount) * (i == j) + amount * LUMA[j] for j in range(3)] for i in range(3)]


# --- tables: levels 0..255 -> levels 0..255 ---------------------------------------------------------------
def _levels(amount: Array) -> Array:
    """(1, 256) float64 levels in [0, 1]."""
    return torch.arange(256, device=amount.device, dtype=torch.float64)[None] / 255.0


def _gamma(exponent: Array) -> Array:
    """level ** exponent, of levels from 0 to 1."""
    return _levels(exponent) ** exponent[:, None]


def _invert(amount: Array) -> Array:
    """1 - level, of levels from 0 to 1."""
    levels = _levels(amount)
    return levels + amount[:, None] * (1.0 - 2.0 * levels)


def _solarize(threshold: Array) -> Array:
    """Invert the levels at or above `threshold`."""
    levels = _levels(threshold)
    return torch.where(levels >= threshold[:, None], 1.0 - levels, levels)


def _posterize(bits: Array) -> Array:
    """Keep the `bits` highest bits (a whole number), as torchvision."""
    step = 2.0 ** (8.0 - torch.round(bits))[:, None]
    return torch.floor(_levels(bits) * 255.0 / step + 1e-6) * step / 255.0


# --- filters ----------------------------------------------------------------------------------------------
def blur_kernel_size(size: int) -> int:
    """Odd, about a tenth of the view, at least 3: the SimCLR paper's choice."""
    return max(3, int(0.1 * size) | 1)


def _blur_torch(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of (B, 3, S, S) levels, reflected at the border, one sigma an image."""
    batch, channels, height, width = images.shape
    if batch == 0:  # a convolution has no zero groups
        return images
    taps = blur_kernel_size(width)
    reach = taps // 2
    offsets = torch.arange(taps, device=images.device, dtype=torch.float64) - reach
    kernels = torch.exp(-0.5 * (offsets / larger(sigma, 1e-3)[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).to(images.dtype).repeat_interleave(channels, 0)
    groups = batch * channels
    flat = F.pad(images, (reach, reach, reach, reach), mode="reflect").reshape(
        1, groups, height + 2 * reach, -1
    )
    flat = F.conv2d(flat, kernels[:, None, None, :], groups=groups)
    flat = F.conv2d(flat, kernels[:, None, :, None], groups=groups)
    return flat.reshape(images.shape)


def _sharpen_torch(images: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """images + amount (images - smooth), smooth as torchvision's and PIL's: [[1,1,1],[1,5,1],[1,1,1]] / 13."""
    kernel = torch.full((3, 3), 1 / 13, device=images.device)  # made there: a copy from the host would wait
    kernel[1, 1].fill_(5 / 13)
    weight = kernel.expand(images.shape[1], 1, 3, 3)
    smooth = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), weight, groups=images.shape[1])
    return (images + amount.to(images.dtype)[:, None, None, None] * (images - smooth)).clamp(0, 255)


# --- late: noise and erase --------------------------------------------------------------------------------
def _noise(pixels: torch.Tensor, seed: Array, sigma: Array) -> torch.Tensor:
    """The same grain on every channel."""
    grain = noise_levels(seed, pixels.shape[-1], sigma).to(pixels.dtype)
    return torch.round(pixels + grain[:, None]).clamp(0, 255)


def noise_levels(seed: Array, size: int, sigma: Array) -> Array:
    """(B, S, S) near-normal noise in levels: the sum of four hashed 16-bit uniforms, the same bits everywhere.

    Args: seed: (B,) whole numbers below 2^24; size: S; sigma: (B,) standard deviation in [0, 1].
    """
    counter = torch.arange(size * size, device=seed.device)
    bits = splitmix64((seed.to(torch.int64) << 32)[:, None] + counter[None])
    total = torch.zeros_like(bits, dtype=torch.float64)
    for shift in (0, 16, 32, 48):
        total += (bits >> shift & 0xFFFF).to(torch.float64)
    unit = (total / 65535.0 - 2.0) * math.sqrt(3.0)  # four uniforms have variance 4/12
    return (unit * (sigma * 255.0)[:, None]).reshape(-1, size, size)


def _erase(pixels: torch.Tensor, seed: Array, area: Array, ratio: Array, x: Array, y: Array) -> torch.Tensor:
    """The view's mean colour over a rectangle."""
    mask = erase_mask(area, ratio, x, y, pixels.shape[-1])[:, None]
    return torch.where(mask, torch.round(pixels.mean((2, 3), keepdim=True)), pixels)


def erase_mask(area: Array, ratio: Array, x: Array, y: Array, size: int) -> Array:
    """(B, S, S) True where a rectangle of that share of the view is erased; never more than the share."""
    width = torch.floor(torch.sqrt(area * ratio) * size).clamp(0, size)
    height = torch.floor(torch.sqrt(area / ratio) * size).clamp(0, size)
    left, top = torch.floor(x * (size - width + 1)), torch.floor(y * (size - height + 1))
    pixel = torch.arange(size, device=area.device, dtype=torch.float64)[None]
    inside_x = (pixel >= left[:, None]) & (pixel < (left + width)[:, None])
    inside_y = (pixel >= top[:, None]) & (pixel < (top + height)[:, None])
    return inside_y[:, :, None] & inside_x[:, None, :]


# --- the table --------------------------------------------------------------------------------------------
def _one(low: float, identity: float, high: float, unit: str, log: bool = False) -> dict[str, Parameter]:
    return {"range": Parameter(low, identity, high, unit, log)}


_DISTORTED = ("the detail that stays in view",
              "drawn back until that is as much of the image's as the crop's `content` asks for")  # fmt: skip
_TONE = (
    "mean, deviation and tails of the crop as rendered",
    "drawn among the values that keep the view's mean, deviation and clipping within the promise",
)
_FUSED = ("the crop's pixels through the whole map of tone and colour",
          "drawn back with all tone and colour where together they would break the promise")  # fmt: skip
_MEANT = ("luma's share of the variance of the colours",
          "colour stays where it carries the content; else as all tone and colour")  # fmt: skip

_SWITCH = {"range": Parameter(1.0, 0.0, 1.0, "on or off", default=(1.0, 1.0))}

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        Op(
            "crop", "geometry", 0, "cut out a part and resize it to the view",
            {
                "area": Parameter(0.02, 1.0, 1.0, "share of the image"),
                "ratio": Parameter(0.25, 1.0, 4.0, "width / height in pixels", log=True),
            },
            settings={"content": (0.0, 0.0, 0.95)},
            guard=("the detail of the source, on a map of 64 px",
                   "a box that holds too little is enlarged; a flat crop gives way to the whole frame"),
            formula="A box of this share of the image's area and this width over height, resized to the view.",
            start={"area": [0.2, 1.0], "ratio": [0.75, 1.3333333333333333]},
        ),
        Op(
            "hflip", "geometry", 1, "mirror left and right", _SWITCH, matrix=_hflip,
            start={"p": 0.5}, caption="mirrored",
        ),
        Op(
            "vflip", "geometry", 2, "mirror top and bottom", _SWITCH, matrix=_vflip,
            start={"p": 0.5}, caption="upside down",
        ),
        Op(
            "rotate", "geometry", 3, "turn about the centre",
            _one(-180, 0, 180, "degrees"), matrix=_rotate, guard=_DISTORTED,
            start={"range": [-15, 15]}, caption="{name} {numbers}°",
        ),
        Op(
            "shear", "geometry", 4, "slant sideways (x) or up and down (y)",
            {"x": Parameter(-30, 0, 30, "degrees"), "y": Parameter(-30, 0, 30, "degrees")},
            matrix=_shear, guard=_DISTORTED,
            start={"x": [-10, 10], "y": [-10, 10]}, caption="{name} {numbers}°",
        ),
        Op(
            "stretch", "geometry", 6, "wider or narrower at constant area",
            _one(0.4, 1, 2.5, "width / height", log=True), matrix=_stretch, guard=_DISTORTED,
            start={"range": [0.8, 1.25]},
        ),
        Op(
            "perspective", "geometry", 7, "one side recedes",
            {"x": Parameter(-0.3, 0, 0.3, "share"), "y": Parameter(-0.3, 0, 0.3, "share")},
            matrix=_perspective, guard=_DISTORTED,
            start={"x": [-0.1, 0.1], "y": [-0.1, 0.1]},
        ),
        Op(
            "blur", "filter", 8, "Gaussian blur", _one(0, 0, 5, "sigma in pixels of the view"),
            torch=_blur_torch,
            guard=("the fine detail of the crop",
                   "no stronger than the detail that is there can bear; not at all in views of 32 px and less"),
            formula="A Gaussian of this deviation over about a tenth of the view, reflected at its border.",
            start={"p": 0.5, "range": [0.1, 2.0]}, caption="{name} {numbers} px",
        ),
        Op(
            "sharpen", "filter", 9, "add detail back", _one(0, 0, 4, "share of the detail"),
            torch=_sharpen_torch,
            formula="x + amount (x - smooth), smooth a mean of 3 by 3 pixels.",
            start={"p": 0.3, "range": [0.2, 1.0]},
        ),
        Op(
            "gamma", "table", 10, "level ** amount", _one(0.2, 1, 5, "exponent", log=True), table=_gamma,
            start={"p": 0.5, "range": [0.7, 1.4]},
        ),
        Op(
            "invert", "table", 11, "negative", _SWITCH, table=_invert,
            start={"p": 0.2}, caption="{name}",
        ),
        Op(
            "solarize", "table", 12, "invert the bright part",
            _one(0, 2, 1, "threshold"), table=_solarize,
            start={"p": 0.2, "range": [0.4, 0.8]},
        ),
        Op(
            "posterize", "table", 13, "fewer levels", _one(1, 8, 8, "bits"), table=_posterize,
            start={"p": 0.2, "range": [4, 7]}, caption="{name} {numbers} bits",
        ),
        Op(
            "exposure", "tone", 14, "set mean and contrast to targets of their own",
            {
                "mean": Parameter(0.02, 0, 0.98, "luma mean of the view"),
                "std": Parameter(0.01, 0, 0.5, "luma std of the view"),
            },
            settings={"gain": (1.0, 6.0, 12.0)}, guard=_TONE,
            formula="g x + o, with gain g and offset o such that luma's mean and deviation are the targets.",
            start={"p": 0.8, "mean": [0.3, 0.7], "std": [0.12, 0.28]},
        ),
        Op(
            "brightness", "tone", 15, "lighter or darker", _one(-0.9, 0, 2, "relative change"), guard=_TONE,
            formula="x + amount / 2 with guards, as far as that is safe; (1 + amount) x without.",
            start={"range": [-0.4, 0.4]},
        ),
        Op(
            "contrast", "tone", 16, "more or less contrast", _one(-0.9, 0, 2, "relative change"), guard=_TONE,
            formula="mean + (1 + amount) (x - mean), with the mean of the crop's luma.",
            start={"range": [-0.4, 0.4]},
        ),
        Op(
            "saturation", "colour", 17, "more or less colour",
            _one(-1, 0, 2, "relative change"), matrix=_saturation, guard=_MEANT,
            start={"range": [-0.4, 0.4]},
        ),
        Op(
            "hue", "colour", 18, "turn the colours", _one(-0.5, 0, 0.5, "turns"), matrix=_hue, guard=_FUSED,
            start={"range": [-0.1, 0.1]},
        ),
        Op(
            "temperature", "colour", 22, "warmer or colder light",
            _one(-1, 0, 1, "share, warmer above 0"), matrix=_temperature, guard=_FUSED,
            start={"range": [-0.3, 0.3]},
        ),
        Op(
            "grey", "colour", 19, "drop the colours", _SWITCH, matrix=_grey, guard=_MEANT,
            start={"p": 0.2}, caption="{name}",
        ),
        Op(
            "chroma", "colour", 23, "set cast and colourfulness to targets of their own",
            {
                "rg": Parameter(-1, 0, 1, "red against green, over mean luma"),
                "yb": Parameter(-1, 0, 1, "yellow against blue, over mean luma"),
                "std": Parameter(0.01, 0, 1, "chroma std of the view, over mean luma", log=True),
            },
            settings={"gain": (1.0, 6.0, 12.0)},
            guard=("mean and deviation of the crop's colours",
                   "set to targets of its own as far as channels do not clip; a grey crop stays grey"),
            formula="luma + gain (x - luma) + cast, which grows with luma: the colours' mean and deviation, over "
                    "mean luma, are the targets.",
            start={"p": 0.4, "rg": [-0.2, 0.25], "yb": [-0.25, 0.45], "std": [0.05, 0.5]},
        ),
        Op(
            "noise", "late", 20, "add grain", _one(0, 0, 0.2, "std"),
            formula="x + n, with n near normal of this deviation in levels from 0 to 1, the same in all channels.",
            late=_noise, start={"p": 0.5, "range": [0.01, 0.05]},
        ),
        Op(
            "erase", "late", 21, "cover a rectangle with the view's mean",
            {
                "area": Parameter(0.0, 0.0, 0.25, "share of the view"),
                "ratio": Parameter(0.3, 1.0, 3.3, "width / height", log=True),
                "x": Parameter(0.0, 0.0, 1.0, "position", default=(0.0, 1.0), place=True),
                "y": Parameter(0.0, 0.0, 1.0, "position", default=(0.0, 1.0), place=True),
            },
            guard=("the policy's promise", "covers no more of the view than that allows"),
            formula="The view's mean within a rectangle of this share of the view; x elsewhere.",
            late=_erase, covers=True, start={"p": 0.5, "area": [0.02, 0.15], "ratio": [0.5, 2.0]},
            caption="erased {area:.0%} of the view",
        ),
    )
}  # fmt: skip


def of_kind(kind: str) -> list[Op]:
    return [op for op in OPS.values() if op.kind == kind]


def matrix_of(op: Op, *amounts: Array) -> Array:
    """The operation's matrices for (B,) amounts: (B, 3, 3)."""
    assert op.matrix is not None
    return matrices(op.matrix(*amounts), amounts[0])


def slot_count() -> int:
    return SLOTS_PER_OP * (1 + max(op.slot for op in OPS.values()))
