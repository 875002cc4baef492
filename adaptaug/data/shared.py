"""Memory that a process and the workers it starts see alike, and what becomes of it in copies.

While multiprocessing hands an object to a process that it starts (`ForkingPickler`: spawn, forkserver) the memory
stays one, as it does under fork. Any other copy (`copy`, pickle, torch.save, cloudpickle) is an object of its own that
goes on from the values of that moment, in shared memory made anew: its own workers see it again.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

import torch

from adaptaug.errors import AdaptAugError

Self = TypeVar("Self", bound="Sharing")


class Shared:
    """A tensor in shared memory, read and written by its elements."""

    def __init__(self, values: torch.Tensor):
        self.values = values.share_memory_()

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: Any) -> torch.Tensor:
        element: torch.Tensor = self.values[place]
        return element

    def __setitem__(self, place: Any, value: Any) -> None:
        self.values[place] = value

    def __reduce__(self) -> tuple[Any, ...]:
        return Shared, (self.values.clone(),)


def _the_same_memory(shared: Shared) -> tuple[Any, ...]:
    return Shared, (shared.values,)


ForkingPickler.register(Shared, _the_same_memory)


class Sharing:
    """Has Shared attributes and counts, which a shallow copy must not share with it."""

    def __copy__(self: Self) -> Self:
        new = object.__new__(type(self))
        for name, value in self.__dict__.items():
            new.__dict__[name] = copy(value) if isinstance(value, (Shared, Sharing, Counter)) else value
        return new


class SharedText(Sharing):
    """A text in shared memory: one process writes, each of its workers is told when it has changed."""

    def __init__(self, most: int = 1 << 16):
        self.bytes = Shared(torch.zeros(most, dtype=torch.uint8, device="cpu"))
        # Odd while it is being written, so that nobody reads half a text; then its length.
        self.state = Shared(torch.zeros(2, dtype=torch.int64, device="cpu"))
        self.seen = 0

    def write(self, text: str) -> None:
        """Replace the text. Raises: AdaptAugError: longer than there is room for."""
        data = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        if len(data) > len(self.bytes):
            raise AdaptAugError(f"expected a policy of at most {len(self.bytes)} bytes, got {len(data)}.")
        self.state[0] |= 1  # odd already where a copy was made, or a writer ended, half way
        self.bytes[: len(data)], self.state[1] = data, len(data)
        self.state[0] += 1

    def changed(self) -> str | None:
        """The text where it has changed since it was last asked for here, else None."""
        now = int(self.state[0])
        if now == self.seen or now % 2:
            return None
        text = bytes(self.bytes[: int(self.state[1])].tolist())
        if int(self.state[0]) != now:
            return None
        self.seen = now
        return text.decode()
