"""What is remembered of other data sets: what they are like, what each factor does to them, and which policies lose
least there. From it come the priors of screening's effects, and a policy where there is no time to screen.

The package has a memory of its own, memory.yaml, made from the bank (`python -m benchmarks.bank --remember`); owners
add sets of theirs in files of the same format.
"""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptaug.backend.reading import content
from adaptaug.backend.writing import write_atomically
from adaptaug.data import Images
from adaptaug.errors import AdaptAugError
from adaptaug.learn.effects import Prior, Term, prior_of
from adaptaug.learn.factors import NAMES, corner, levels_from
from adaptaug.policy import Policy
from adaptaug.policy.schema import sentence_of
from adaptaug.report.profile import PRESETS, Profile

_LOOKED_AT = 256
_MEDIANS = ("mean", "contrast", "chroma", "sharpness", "foreground", "border", "levels")
# How far apart two sets are that have little to do with each other, of each number of `look`.
_APART = {
    **dict.fromkeys((*PRESETS, "grey"), 0.5), "mean": 0.2, "contrast": 0.15, "chroma": 0.1, "sharpness": 0.7,
    "foreground": 0.4, "border": 0.4, "levels": 0.3, "brightness varies": 0.3,
}  # fmt: skip
_NONE = 0.5  # weight of "no set is like this one", beside 1 for a set that is exactly like it
_MOST_BYTES = 1_000_000
_FILE = "memory.yaml"
T = TypeVar("T")


class Remembered(BaseModel):
    """One data set: `effects[objective][term]` is mean and standard deviation in points; `behind[objective][policy]`
    how many points a policy is below the best known."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    name: str = Field(max_length=200)
    fingerprint: str = ""
    profile: dict[str, float]
    effects: dict[str, dict[str, tuple[float, float]]]
    behind: dict[str, dict[str, float]] = Field(default_factory=dict)


class _Page(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int = Field(1, ge=1, le=1)
    sets: list[Remembered]


@dataclass(frozen=True)
class Memory:
    """Data sets that are remembered."""

    sets: list[Remembered] = field(default_factory=list)

    @classmethod
    def load(cls, *files: Path | str) -> Memory:
        """The package's memory, and the sets in `files`, those that are there.

        Raises: AdaptAugError: a file that is no memory.
        """
        own = importlib.resources.files("adaptaug.learn") / _FILE
        sets = _parse(own.read_text(encoding="utf-8"), _FILE)
        for file in files:
            if Path(file).exists():
                sets += _read(Path(file))
        return cls(sets)

    def alike(self, profile: Mapping[str, float]) -> list[float]:
        """How much each set is like one with this profile, 0 to 1: exp(-d^2 / 2) at distance d by `_APART`."""

        def distance(entry: Remembered) -> float:
            far = ((profile.get(n, 0.0) - entry.profile.get(n, 0.0)) / unit for n, unit in _APART.items())
            return sum(step**2 for step in far)

        return [math.exp(-distance(known) / 2) for known in self.sets]

    def priors(
        self, profile: Mapping[str, float], objective: str, fingerprint: str = ""
    ) -> dict[Term, Prior]:
        """Of each effect, the mixture over sets by likeness, and of what is expected where nothing is known: its mean
        and standard deviation. A set with this fingerprint is the data themselves, and left out."""
        alike = [
            (like, entry.effects[objective]) for like, entry in zip(self.alike(profile), self.sets, strict=True)
            if objective in entry.effects and (not fingerprint or entry.fingerprint != fingerprint)
        ]  # fmt: skip
        terms = dict.fromkeys(terms_of(name) for _, effects in alike for name in effects)
        return {term: _mixed(term, alike) for term in terms}

    def suggestion(self, profile: Mapping[str, float], objective: str) -> tuple[str, str] | None:
        """(policy, why): that which loses least on sets like this one; None where none is like it."""
        losses = self._losses(profile, objective)
        if max((weight for weight, _ in losses.values()), default=0.0) < _NONE:
            return None
        best = min(losses, key=lambda policy: losses[policy][1])
        near = max(zip(self.alike(profile), self.sets, strict=True), key=lambda pair: pair[0])[1]
        reason = f"it is {losses[best][1]:.1f} points below the best that is known"
        return best, f"on sets like this one, most of all {near.name}, {reason}"

    def policies(self, profile: Mapping[str, float], objective: str) -> list[str]:
        """Those that are remembered, first that which loses least on sets like this one, or where none is, on all."""
        losses = self._losses(profile, objective, _NONE / max(1, len(self.sets)))
        return sorted(losses, key=lambda policy: losses[policy][1])

    def _losses(
        self, profile: Mapping[str, float], objective: str, besides: float = 0.0
    ) -> dict[str, tuple[float, float]]:
        """Of each policy (weight, points lost): the mean over the sets that know it, a set's weight its likeness and
        `besides`."""
        known: dict[str, list[tuple[float, float]]] = {}
        for like, entry in zip(self.alike(profile), self.sets, strict=True):
            for policy, lost in entry.behind.get(objective, {}).items():
                known.setdefault(policy, []).append((like + besides, lost))
        weights = {policy: sum(weight for weight, _ in pairs) for policy, pairs in known.items()}
        return {
            policy: (weights[policy], sum(weight * lost for weight, lost in pairs) / weights[policy])
            for policy, pairs in known.items()
        }


def policy_named(name: str) -> Policy:
    """A preset, or the corner that signs such as "+-++--+-" stand for."""
    if set(name) <= {"+", "-"} and len(name) == len(NAMES):
        return corner(Policy.load("natural"), levels_from(name), name)
    return Policy.load(name)


def _mixed(term: Term, known: list[tuple[float, dict[str, tuple[float, float]]]]) -> Prior:
    name, unknown = " x ".join(term), prior_of(term, {})
    parts = [(_NONE, unknown.mean, unknown.spread)]
    parts += [(like, *effects[name]) for like, effects in known if name in effects]
    total = sum(weight for weight, _, _ in parts)
    mean = sum(weight * centre for weight, centre, _ in parts) / total
    square = sum(weight * (spread**2 + (centre - mean) ** 2) for weight, centre, spread in parts) / total
    return Prior(round(mean, 3), round(math.sqrt(square), 3))


def remember(file: Path, new: Remembered) -> None:
    """Add a set to an owner's file; of one that is there already, what the other objective found stays."""
    before = _read(file) if file.exists() else []
    same = [entry for entry in before if entry.fingerprint == new.fingerprint]
    for entry in same:
        new = new.model_copy(update={"effects": entry.effects | new.effects})
    write(file, [entry for entry in before if entry not in same] + [new])


def write(file: Path, sets: list[Remembered]) -> None:
    page = {"version": 1, "sets": [entry.model_dump(mode="json", exclude_defaults=True) for entry in sets]}
    text = yaml.safe_dump(page, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
    write_atomically(file, lambda out: out.write(text.encode()))


def _read(file: Path) -> list[Remembered]:
    try:
        return _parse(content(file, _MOST_BYTES).decode("utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise AdaptAugError(f"{file}: expected a memory that search wrote ({error}).") from None


def _parse(text: str, source: str) -> list[Remembered]:
    try:
        return _Page.model_validate(yaml.safe_load(text)).sets
    except yaml.YAMLError:
        raise AdaptAugError(f"{source}: expected a memory that search wrote, got no valid YAML.") from None
    except ValidationError as error:
        raise AdaptAugError(f"{source}: {sentence_of(error, '', _Page)}.") from None


def terms_of(name: str) -> Term:
    """What " x ".join(term) stands for."""
    return tuple(name.split(" x "))


def named(values: Mapping[Term, T]) -> dict[str, T]:
    """By the terms' names, as files have them."""
    return {" x ".join(term): value for term, value in values.items()}


def looked(images: Images, count: int = _LOOKED_AT) -> Profile:
    """The profile of some of a data set's images."""
    profile = Profile()
    for name, image in images.take(count):
        profile.add(name, image)
    return profile


def numbers(profile: Profile) -> dict[str, float]:
    """What a profile says, as numbers: shares of the presets' votes and of grey images, medians of statistics, and how
    much the images' brightness varies (5 to 95 %)."""
    shares = {name: profile.share(name) for name in PRESETS} | {
        "grey": profile.grey / max(1, len(profile.names))
    }
    medians = {name: profile.quantile(name, 0.5) for name in _MEDIANS}
    spread = profile.quantile("mean", 0.95) - profile.quantile("mean", 0.05)
    return {k: round(float(v), 3) for k, v in (shares | medians | {"brightness varies": spread}).items()}
