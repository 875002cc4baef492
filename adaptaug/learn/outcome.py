"""What a search found, and the policy file that says where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptaug import __version__
from adaptaug.learn.arms import Arm
from adaptaug.learn.intervals import Interval, paired_interval
from adaptaug.policy import Policy

HAND, GUARDED = "start", "start + guards"


@dataclass
class Outcome:
    """What a search found.

    `policy` is what ships, `best` the arm that ships or, where the start does, the one that came nearest. `verified`
    has accuracies in percent, `against` the tested arms' differences from the start, `cost` what was trained,
    `seconds` how long that took in all workers together (not in the policy file, which is equal for equal seeds).
    """

    policy: Policy
    best: Arm
    arms: list[Arm]
    shipped: bool
    against: dict[str, Interval]
    verified: dict[str, float]
    cost: dict[str, int]
    seconds: float
    start: Policy
    folder: Path

    @property
    def gain(self) -> Interval | None:
        """Of `best` over the start; None where the start led."""
        return self.against.get(self.best.name)


def difference(arm: Arm, other: Arm, rung: int) -> Interval:
    """`arm` - `other` on the images that pick, after a rung; the chance of training is not in it."""
    return paired_interval(arm.correct[rung][None], other.correct[rung][None])


def found_policy(best: Arm, shipped: bool, start: Policy, stem: str, provenance: dict[str, Any]) -> Policy:
    """The policy that ships, with where it comes from."""
    if not shipped:
        return start.edit({}, provenance=provenance)
    return best.policy.edit({}, name=f"{start.name}-{stem}"[:100], provenance=provenance,
                            description=f"Found by a search on {stem} from {start.name}.")  # fmt: skip


def leading_policy(
    ranked: Sequence[Arm], arms: Sequence[Arm], start: Policy, provenance: dict[str, Any]
) -> Policy:
    """Of an unfinished search: the leading arm where its interval on the images it was picked by lies above the
    start's, else the start; with this search's provenance, whatever the start's own says."""
    name, policy = HAND, start
    if ranked and arms[0].correct:
        best, hand = ranked[0], arms[0]
        rung = min(len(best.correct), len(hand.correct)) - 1
        if best is not hand and difference(best, hand, rung).low > 0:
            name, policy = best.name, best.policy
    return policy.edit({}, provenance={
        **provenance, "outcome": name, "interrupted": "not verified; run the same command again to go on",
    })  # fmt: skip


def origin(start: Policy, fingerprint: str, seed: int, arms: Sequence[Arm]) -> dict[str, Any]:
    """What every policy file of a search says."""
    return {
        "by": f"adaptaug search {__version__}", "start": start.name, "fingerprint": fingerprint, "seed": seed,
        "arms": {arm.name: [round(s, 2) for s in arm.scores] for arm in arms},
    }  # fmt: skip
