"""Views that grow while a network trains: small ones first, which cost less (progressive learning, EfficientNetV2,
2104.00298; FixRes, 1906.06423)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Maker = TypeVar("Maker")
_PARTS = 8  # sides are whole eighths of the last
_GROWS = 0.75  # of the training; the rest sees the full size, which the network is judged at


def sides(first: int, size: int) -> list[int]:
    """The sides in pixels that a training passes, from `first` up to `size`, in eighths of `size`."""
    step = max(1, size // _PARTS)
    return sorted({size, *(side for side in range(size, first - 1, -step))})


def side_at(share: float, first: int, size: int) -> int:
    """The side when `share` (0 to 1) of the training is done: all but the last for equal parts of three quarters."""
    passed = sides(first, size)
    return passed[min(int(share / _GROWS * (len(passed) - 1)), len(passed) - 1)]


def cost(first: int, size: int) -> float:
    """Pixels of a training by the pixels of one that is of full size throughout."""
    smaller = [(side / size) ** 2 for side in sides(first, size)[:-1]]
    return _GROWS * sum(smaller) / len(smaller) + 1 - _GROWS if smaller else 1.0


class Growing(Generic[Maker]):
    """What makes views of each side that a training passes; `at(step)` is the step's.

    Args:
        of_size: side in pixels -> what makes such views.
        first, size: the first side and the last; equal or first 0: all of one.
        steps: of the whole training.
    """

    def __init__(self, of_size: Callable[[int], Maker], first: int, size: int, steps: int):
        self.first, self.size, self.steps = first or size, size, steps
        self.makers = {side: of_size(side) for side in sides(self.first, size)}

    def at(self, step: int) -> Maker:
        """Steps are counted from 0."""
        return self.makers[side_at(step / self.steps, self.first, self.size)]
