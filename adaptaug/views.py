"""The faces users import: AdaptiveAugment (one view) and Views (n views), and the verbs around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, overload

from torch import nn

from adaptaug.backend import keys
from adaptaug.backend.arrays import at_home
from adaptaug.core import engine
from adaptaug.encoders.likeness import as_measure
from adaptaug.errors import AdaptAugError
from adaptaug.explanation import Explanation
from adaptaug.params import ViewParams
from adaptaug.pipeline import generate, making
from adaptaug.pipeline.inputs import FINISHES, core_form, read, write, write_core
from adaptaug.pipeline.making import Strength
from adaptaug.policy import Policy
from adaptaug.policy.request import Request
from adaptaug.stats.image import ImageStats, measure_pixels
from adaptaug.stats.similarity import Alike, similarity
from adaptaug.types import Finish, ImageLike, Key, Size

MAX_SIZE = 4096
Made = TypeVar("Made")  # what a call of Views gives


def as_policy(policy: Policy | str | dict[str, Any]) -> Policy:
    """A Policy, a preset's name, a path, or a mapping -> Policy."""
    if isinstance(policy, Policy):
        return policy
    return Policy.parse(policy) if isinstance(policy, dict) else Policy.load(policy)


def _check(size: int, finish: str) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or not 8 <= size <= MAX_SIZE:
        raise AdaptAugError(f"size: expected a whole number of pixels from 8 to {MAX_SIZE}, got {size!r}.")
    if finish not in FINISHES:
        raise AdaptAugError(f"finish: expected one of {', '.join(FINISHES)}, got {finish!r}.")


class AdaptiveAugment(nn.Module):
    """One augmented view per image.

    Args:
        policy: a Policy, a preset's name, or a policy file's path.
        size: the view's side in pixels.
        finish: `none` gives back the kind that came (PIL, array, tensor of the same dtype); `unit` float32
            CHW in [0, 1]; `imagenet` that, normalised; `uint8` CHW levels.

    On the CPU all goes through the compiled core: a PIL image, an (H, W, 3) uint8 array, an image file's `bytes`, a
    (3, H, W) or (B, 3, H, W) tensor. A tensor on a device or with gradients goes through torch, and so does everything
    where there is no core. In a batch every image has its own draw. Nothing drawn is kept on the module.

    >>> augment = AdaptiveAugment("natural", size=32)
    >>> augment(image, key=(0, 0, 0)).shape
    (32, 32, 3)

    Raises: AdaptAugError: no such policy, a size or finish that cannot be.
    """

    def __init__(
        self, policy: Policy | str | dict[str, Any] = "natural", size: Size = 224, finish: Finish = "none"
    ):
        super().__init__()
        _check(size, finish)
        self.policy, self.size, self.finish = as_policy(policy), size, finish

    def forward(self, images: ImageLike, *others: Any, key: Key | None = None, view: int = 0) -> Any:
        """A view of each image.

        Args:
            images: one or a batch. key: of each image; without one, fresh numbers. view: by its number the views of one
                key differ.
        Returns: by `finish`: (S, S, 3), (3, S, S) or (B, 3, S, S), or a PIL image.
        Raises: AdaptAugError: what is no image, a key of another shape, colours in floats outside 0 to 1.
        """
        _alone(others)
        request = Request(self.policy, self.size, range(view, view + 1), self.finish, params=False)
        (out,), _ = making.make(images, request, key)
        return out

    def plan(self, images: ImageLike, key: Key | None = None, view: int = 0) -> ViewParams:
        """What `forward` would do with the same key, as data; `render(images, params)` does it."""
        _, (params,) = making.make(images, Request(self.policy, self.size, range(view, view + 1)), key)
        return params

    def explain(self, image: ImageLike, key: Key | None = None, view: int = 0) -> Explanation:
        """Per parameter of one image's view: value, policy range, safe range, reason."""
        return self.plan(image, key, view).explain()

    def extra_repr(self) -> str:
        return f"policy={self.policy.name!r}, size={self.size}, finish={self.finish!r}"


class Views(Generic[Made]):
    """n views of an image or batch, as contrastive learning takes them: a list of n tensors.

    Args:
        policy, size: as AdaptiveAugment; n: how many views.
        finish: default `imagenet`: float32 CHW, normalised.
        return_params: True returns (views, list of ViewParams, one per view).
        first: the first view's number, by which views of one key differ.
        judge: by what the policy's band is held: an encoder, where one lies, or an `encoders.likeness.Judge`. Default:
            the views' own likeness, without a network (`stats/similarity.py`).

    A policy's `band` is held here, where there are two views or more (`pipeline/band.py`); one view alone has no pair.

    >>> first, second = Views("natural", size=32)(image, key=(0, 0, 0))
    >>> tuple(first.shape), first.dtype
    ((3, 32, 32), torch.float32)

    Raises: AdaptAugError: no such policy, a size, finish or number of views that cannot be, a judge without a band.
    """

    @overload
    def __init__(
        self: Views[list[Any]],
        policy: Policy | str | dict[str, Any] = "natural",
        n: int = 2,
        size: Size = 224,
        finish: Finish = "imagenet",
        return_params: Literal[False] = False,
        first: int = 0,
        judge: Alike | nn.Module | str | Path | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Views[tuple[list[Any], list[ViewParams]]],
        policy: Policy | str | dict[str, Any] = "natural",
        n: int = 2,
        size: Size = 224,
        finish: Finish = "imagenet",
        *,
        return_params: Literal[True],
        first: int = 0,
        judge: Alike | nn.Module | str | Path | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Views[Any],
        policy: Policy | str | dict[str, Any] = "natural",
        n: int = 2,
        size: Size = 224,
        finish: Finish = "imagenet",
        return_params: bool = False,
        first: int = 0,
        judge: Alike | nn.Module | str | Path | None = None,
    ) -> None: ...
    def __init__(
        self,
        policy: Policy | str | dict[str, Any] = "natural",
        n: int = 2,
        size: Size = 224,
        finish: Finish = "imagenet",
        return_params: bool = False,
        first: int = 0,
        judge: Alike | nn.Module | str | Path | None = None,
    ):
        _check(size, finish)
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 64:
            raise AdaptAugError(f"n: expected a number of views from 1 to 64, got {n!r}.")
        self.policy, self.n, self.size = as_policy(policy), n, size
        self.finish, self.return_params, self.first = finish, return_params, first
        if judge is not None and (self.policy.band is None or n < 2):
            raise AdaptAugError(
                "judge: expected a policy with a band and two views or more, for it to hold; "
                "Policy.edit(band=(0.2, 0.9)) sets one."
            )
        self.alike = similarity if judge is None else as_measure(judge)

    def __call__(
        self, images: ImageLike, *others: Any, key: Key | None = None, strength: Strength | None = None
    ) -> Made:
        """The views: a list of n, each as `finish` says; with `return_params` a pair, the list and what was decided.

        Args:
            images: one or a batch. key: of each image; without one, fresh numbers.
            strength: tells from the statistics how much stronger (above 0) or weaker than the policy each image's shall
                be, (B,): what `BandController` has. 1 more makes the odds of an operation e times as high. It may as
                well tell it for each operation, as `ConditionalHeads` does (`conditional.Moves`).
        Raises: AdaptAugError: what is no image, a key of another shape, colours in floats outside 0 to 1.
        """
        _alone(others)
        request = Request(self.policy, self.size, self.numbers, self.finish, self.return_params)
        views, params = making.make(images, request, key, strength, self.alike)
        return (views, params) if self.return_params else views  # type: ignore[return-value]

    def plan(self, images: ImageLike, key: Key | None = None) -> list[ViewParams]:
        """What a call with the same key does, view by view; `render(images, params)` does one of them."""
        request = Request(self.policy, self.size, self.numbers)
        return making.make(images, request, key, alike=self.alike)[1]

    def explain(self, image: ImageLike, key: Key | None = None) -> list[Explanation]:
        """Per view of one image and per parameter: value, policy range, safe range, reason."""
        return [params.explain() for params in self.plan(image, key)]

    @property
    def numbers(self) -> range:
        """The views' numbers."""
        return range(self.first, self.first + self.n)

    def __repr__(self) -> str:
        return f"Views(policy={self.policy.name!r}, n={self.n}, size={self.size}, finish={self.finish!r})"


class MultiCrop:
    """Views of several sizes and policies, as DINO and SwAV take them: one list of tensors, group after group.

    `MultiCrop(Views(large, n=2, size=224), Views(small, n=6, size=96))`. Every view has a number, and so a draw, of
    its own; `pair` of a policy holds within its group's numbers, of which 0 is the first view of the first group.

    >>> views = MultiCrop(Views("natural", n=2, size=64), Views("natural", n=3, size=32))
    >>> [view.shape[-1] for view in views(image)]
    [64, 64, 32, 32, 32]
    """

    def __init__(self, *groups: Views[Any]):
        if not groups or not all(isinstance(group, Views) for group in groups):
            raise AdaptAugError(
                f"MultiCrop: expected one Views or more, got {[type(g).__name__ for g in groups]}."
            )
        self.groups: list[Views[Any]] = []
        for group in groups:
            first = self.groups[-1].numbers.stop if self.groups else 0
            self.groups.append(
                Views(group.policy, group.n, group.size, group.finish, group.return_params, first)
            )
            self.groups[-1].alike = group.alike

    def __call__(
        self, images: ImageLike, *others: Any, key: Key | None = None, strength: Strength | None = None
    ) -> Any:
        """The views of all groups; `strength` as of Views, of the image's draws in each group."""
        _alone(others)
        key = keys.fresh_seed() if key is None else key  # one for all groups
        made = [group(images, key=key, strength=strength) for group in self.groups]
        if any(group.return_params for group in self.groups):
            if not all(group.return_params for group in self.groups):
                raise AdaptAugError("MultiCrop: expected return_params of all groups or of none.")
            return [v for views, _ in made for v in views], [p for _, params in made for p in params]
        return [view for views in made for view in views]

    def __repr__(self) -> str:
        return f"MultiCrop({', '.join(map(repr, self.groups))})"


def _alone(others: tuple[Any, ...]) -> None:
    if others:
        raise AdaptAugError(
            f"expected images alone, got {1 + len(others)} arguments; a key goes by its name, and a sample with "
            "targets in a v2.Compose through adaptaug.hosts.torchvision.Adaptive."
        )


@at_home
def measure(images: ImageLike) -> ImageStats:
    """The statistics of an image or batch (see ImageStats), a row an image; the same for an array and a tensor.

    Raises: AdaptAugError: what is no image.

    >>> measure(image).summary()["mean"] < 1
    True
    """
    return measure_pixels(read(images).planes())


@at_home
def render(
    images: ImageLike,
    params: ViewParams,
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
    tone: bool = True,
    finish: Finish = "none",
) -> Any:
    """Apply parameters to images: the same kind of container as went in.

    Args:
        images: as many as `params` has rows, of the size they were planned for or another.
        interpolation: `nearest` for masks; tone: False follows the geometry alone (masks, depth).
    Raises: AdaptAugError: another number of rows than of images, or an interpolation that is neither.

    >>> params = plan(image, "natural", key=(0, 0, 0), size=32)
    >>> render(image[..., 0], params, interpolation="nearest", tone=False).shape
    (32, 32)
    """
    if interpolation not in ("bilinear", "nearest"):
        raise AdaptAugError(f"interpolation: expected 'bilinear' or 'nearest', got {interpolation!r}.")
    source = read(images)
    if len(params) != len(source):
        raise AdaptAugError(f"params: expected one row for each of {len(source)} images, got {len(params)}.")
    nearest = interpolation == "nearest"
    if source.plain and (engine.replays(params) if tone else engine.usable()):
        pixels = source.eight_bits()
        form = core_form(source, finish)
        return write_core(
            engine.replay(engine.source_of(pixels), params, form, nearest, tone), source, finish
        )
    with making.whole_levels(source):
        made = generate.replay(source.levels(), params.to(source.device), nearest, tone)
    return write(made, source, finish)


def plan(
    images: ImageLike,
    policy: Policy | str = "natural",
    key: Key | None = None,
    size: Size = 224,
    view: int = 0,
) -> ViewParams:
    """ViewParams of one view of each image; `AdaptiveAugment(policy, size).plan` in one call.

    >>> plan(image, "natural", key=(0, 0, 0)).size
    224
    """
    return AdaptiveAugment(policy, size).plan(images, key, view)


def explain(
    image: ImageLike,
    policy: Policy | str = "natural",
    key: Key | None = None,
    size: Size = 224,
    view: int = 0,
) -> Explanation:
    """Why a view of an image looks as it does: `AdaptiveAugment(policy, size).explain` in one call.

    >>> print(explain(image, "natural", key=(0, 0, 0)))
    crop.area ... policy 0.08 .. 1 ...
    """
    return AdaptiveAugment(policy, size).explain(image, key, view)
