"""Keep pairs inside a similarity band while a network learns, by the embeddings that its step computes anyway.

    controller = BandController(band=(0.2, 0.9))
    views, params = make(images, key=key, strength=controller.strength)  # make = Views(policy, return_params=True)
    first, second = (model(view) for view in views)
    loss(first, second).backward()
    told = controller.observe(first, second, params[0])  # shares and strengths, for the log

The similarity is C = (cos(z1, z2) - m) / (1 - m), m a running mean of the cosine of different images: a plain cosine
changes its meaning while the network learns. Images are put into four bins by brightness and
contrast, split where half of those seen in the warm-up lie; each bin has one strength, on the scale of a policy's
conditional weights, and integral control moves it, by the bin's own error and by that of all pairs, until as many pairs
are outside the band as `outside` allows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from adaptaug.errors import AdaptAugError
from adaptaug.params import ViewParams
from adaptaug.stats.image import ImageStats

BINS = ("dark, flat", "dark, contrasty", "bright, flat", "bright, contrasty")
_MEMORY = 0.98  # of the running means, a step
_TOGETHER = 3.0  # weight of the error of all pairs beside a bin's own: what one bin at its limit cannot give, others do


class BandWatch(nn.Module):
    """How alike pairs are by their embeddings, and the band that a learner keeps them in; all of it in `state_dict`.

    Raises: AdaptAugError: a band that is none.
    """

    edges: torch.Tensor
    negative: torch.Tensor
    steps: torch.Tensor

    def __init__(self, band: tuple[float | None, float | None] | None, outside: float, warm_up: int):
        super().__init__()
        low, high = (None, None) if band is None else band
        if band is not None and low is None and high is None:
            raise AdaptAugError("band: expected a floor, a ceiling, or both, got neither.")
        if low is not None and high is not None and not low < high:
            raise AdaptAugError(f"band: expected the floor below the ceiling, got {low} and {high}.")
        if not 0 < outside < 0.5:
            raise AdaptAugError(f"outside: expected a share above 0 and below .5, got {outside}.")
        self.band, self.outside, self.warm_up = band, outside, warm_up
        far = float("inf")
        edges = torch.tensor([-far if low is None else low, far if high is None else high])
        self.register_buffer("edges", edges if band is not None else torch.zeros(2))
        self.register_buffer("negative", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def _compare(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """C of a step's pairs, (B,), and this step's weight in the warm-up's running means: 0 after it."""
        one, other = (functional.normalize(z.detach().float(), dim=1) for z in (first, second))
        together, alike = one @ other.T, (one * other).sum(1)
        now = (together.sum() - alike.sum()) / max(1, together.numel() - len(alike))
        self.steps += 1
        memory = torch.clamp(1 - 1 / self.steps, max=_MEMORY)  # a plain mean at first
        self.negative.lerp_(now, 1 - memory)
        similar = (alike - self.negative) / torch.clamp(1 - self.negative, min=1e-3)
        weight = torch.where(self.steps <= self.warm_up, 1 - memory, torch.zeros_like(memory))
        if self.band is None:
            ends = torch.quantile(
                similar, torch.tensor([self.outside, 1 - self.outside], device=similar.device)
            )
            self.edges.lerp_(ends, weight)
        return similar, weight


class BandController(BandWatch):
    """One strength for each bin of images, and what it is steered by; all of it in `state_dict`.

    Args:
        band: (floor, ceiling) of C, either None; None: the 10th and 90th percentile of the warm-up's pairs.
        outside: the share of pairs that may lie below the floor, and the share that may lie above the ceiling.
            With both ends set one number cannot meet two shares: it makes them exceed theirs by equally much.
        warm_up: steps that only watch. rate: change of strength for each unit of a full bin's error in a step; at most
            `step` a time. limits: the least and the largest strength: at -4 a view is hardly changed, and beyond 2 the
            draws crowd at the ends of their ranges, where two views grow alike again.

    Nothing waits for the device; `observe` costs one (B, B) product of embeddings.
    Raises: AdaptAugError: a band that is none.
    """

    bins: torch.Tensor
    splits: torch.Tensor

    def __init__(
        self, band: tuple[float | None, float | None] | None = None, outside: float = 0.1, warm_up: int = 100,
        rate: float = 0.5, step: float = 0.1, limits: tuple[float, float] = (-4.0, 2.0),
    ):  # fmt: skip
        super().__init__(band, outside, warm_up)
        self.rate, self.step, self.limits = rate, step, limits
        self.register_buffer("bins", torch.zeros(len(BINS)))
        self.register_buffer(
            "splits", torch.zeros(3)
        )  # of brightness; of contrast, where dark and where bright

    def strength(self, stats: ImageStats) -> torch.Tensor:
        """(B,) how much stronger than the policy each image's views shall be: what `Views` asks."""
        mean, contrast = torch.as_tensor(stats.mean), torch.as_tensor(stats.contrast)
        return self.bins[self._bin(mean, contrast)].double()

    @torch.no_grad()
    def observe(
        self, first: torch.Tensor, second: torch.Tensor, params: ViewParams | Sequence[ViewParams]
    ) -> dict[str, torch.Tensor]:
        """Look at a step's embeddings (B, D) and move the strengths.

        Args: params: of either view or of all, made with `strength`: they have the images' statistics.
        Returns: single numbers: "band_below" and "band_above", the shares of pairs outside, "band_similarity", the mean
            of C, and "band_strength BIN" of each bin.
        """
        evidence = (params if isinstance(params, ViewParams) else params[0]).evidence
        mean = torch.as_tensor(evidence["image_mean"], device=first.device)
        contrast = torch.as_tensor(evidence["image_contrast"], device=first.device)
        similar, weight = self._compare(first, second)
        self._watch(mean, contrast, weight)
        below, above = (similar < self.edges[0]).float(), (similar > self.edges[1]).float()
        self._steer(below, above, self._bin(mean, contrast), self.steps > self.warm_up)
        numbers = {"band_below": below.mean(), "band_above": above.mean(), "band_similarity": similar.mean()}
        return numbers | {
            f"band_strength {name}": value for name, value in zip(BINS, self.bins.clone(), strict=True)
        }

    def _bin(self, mean: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
        bright = mean > self.splits[0]
        contrasty = contrast > torch.where(bright, self.splits[2], self.splits[1])
        return 2 * bright.long() + contrasty.long()

    def _watch(self, mean: torch.Tensor, contrast: torch.Tensor, weight: torch.Tensor) -> None:
        """The warm-up's running means of where the bins part."""
        half = mean.median()
        dark = mean <= half
        nothing = torch.full_like(contrast, torch.nan)
        parts = [half, *(torch.where(part, contrast, nothing).nanmedian() for part in (dark, ~dark))]
        # A batch without a bright image (all are as dark) has no median of them: the other's stands in.
        parts[2] = torch.where(torch.isnan(parts[2]), parts[1], parts[2])
        self.splits.lerp_(torch.stack(parts).to(self.splits), weight)

    def _steer(
        self, below: torch.Tensor, above: torch.Tensor, which: torch.Tensor, acts: torch.Tensor
    ) -> None:
        low, high = (True, True) if self.band is None else (end is not None for end in self.band)
        # Too alike asks for stronger views, too different for weaker ones.
        error = (above - self.outside) * float(high) - (below - self.outside) * float(low)
        total = torch.zeros_like(self.bins).index_add_(0, which, error.to(self.bins))
        error_of_bins = len(BINS) * total / len(error) + _TOGETHER * error.mean()
        move = (self.rate * error_of_bins).clamp(-self.step, self.step)
        self.bins.add_(move * acts).clamp_(*self.limits)
