"""How long arms train: every number of a search that is counted in epochs, derived from one."""

from __future__ import annotations

from dataclasses import dataclass

from adaptaug.errors import AdaptAugError

KEPT = (None, 6, 3)  # arms in a rung besides those that stay to the end; None: all
FINALISTS = 2  # arms that verification may try
RUNS = 5  # of each, in the verification; images are put aside for so many
LEAST = 5


@dataclass(frozen=True)
class Schedule:
    """For verification runs of `epochs`: a warm-up and two rungs of a seventh each, and a long last rung.

    The longest arm stays one unit short of `epochs`, so that no arm is verified over less than it was picked by.
    14 gives a warm-up of 2, rungs of 2, 2 and 6, and 14.
    """

    epochs: int

    def __post_init__(self) -> None:
        if self.epochs < LEAST:
            raise AdaptAugError(
                f"epochs: expected at least {LEAST}, so that there are three rungs, got {self.epochs}."
            )

    @property
    def warm_up(self) -> int:
        return max(1, self.epochs // 7)

    @property
    def rungs(self) -> tuple[int, int, int]:
        """Epochs that each rung adds."""
        return self.warm_up, self.warm_up, self.epochs - 4 * self.warm_up

    def trainings(self, budget: int, staying: int) -> list[tuple[str, int, int]]:
        """(stage, most trainings, epochs of one) of a search with `budget` arms, `staying` of which stay to the end."""
        rungs = [
            (f"rung {n + 1}", budget if kept is None else min(budget, kept + staying), epochs)
            for n, (kept, epochs) in enumerate(zip(KEPT, self.rungs, strict=True))
        ]
        return [("warm-up", 1, self.warm_up), *rungs, ("verification", (1 + FINALISTS) * RUNS, self.epochs)]
