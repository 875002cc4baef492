"""The policy for a data set, without anybody choosing one: look at the data, screen, and say why.

A screening costs 20 trainings of a small network and 8 or 12 that verify. Where that is more than what may be spent,
the policy is `auto` where the data are mixed, else the one that lost least on data sets like this one, or else the
preset that `profile` suggests.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adaptaug import __version__
from adaptaug.backend.writing import write_atomically
from adaptaug.data import Images, open_data
from adaptaug.encoders.networks import fast_precision
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import Recipe, useful_labels
from adaptaug.learn.effects import sentences
from adaptaug.learn.estimate import estimate
from adaptaug.learn.memory import Memory, looked, numbers, policy_named
from adaptaug.learn.report import write_report
from adaptaug.learn.runner import Progress
from adaptaug.learn.screening import IMAGES, Screening, epochs_for
from adaptaug.learn.search import Search
from adaptaug.policy import Policy
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.settings import Settings

_LARGEST = 64  # side of a view in the screening
_DECISION, _POLICY, _REPORT = "decision.json", "policy.yaml", "report.md"


def find(
    data: Path | str, folder: Path | str | None = None, seconds: float | None = None, seed: int = 0,
    range: str = "auto", workers: int | None = 0, progress: Progress | None = None, memory: Memory | None = None,
    size: int | None = None,
) -> Policy:  # fmt: skip
    """The policy for a data set, with labels or without; its provenance says how it was found.

    Args:
        data, range: as `data.open_data` takes them.
        folder: where the work is kept, so that a call that was killed goes on; with policy.yaml and report.md. None: a
            temporary one.
        seconds: what a screening may take; where it would take longer, memory and profile decide. None: as long as it
            takes.
        workers: as of `Search`.
        size: of a view, in the screening; None: the images' own up to 64 px, else 64.

    Raises: AdaptAugError: as `Search`; a folder that holds another data set's.
    """
    with contextlib.ExitStack() as stack:
        place = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        place.mkdir(parents=True, exist_ok=True)
        images, told = open_data(data, range=range), progress or Progress()
        memory = memory or Memory.load()
        decision = _decide(data, images, place, memory, told)
        done = place / _POLICY
        if done.exists():
            return Policy.load(done)
        start = policy_named(decision["start"])
        search = _search(data, images, start, place / "search", seed, range, workers, told, memory, size)
        if "screens" not in decision:
            decision |= _affordable(search, seconds)
            _write(place / _DECISION, json.dumps(decision, indent=1))
            told.told(decision["cost"])
        if search is None or not decision["screens"]:
            shutil.rmtree(
                place / "search", ignore_errors=True
            )  # its settings alone, by which it was reckoned
            made = {
                "by": f"adaptaug find {__version__}",
                "outcome": decision["alone because"],
                "screened": decision["cost"],
            }
            alone = policy_named(decision["alone"])
            policy, lines = alone.edit({}, provenance={**made, "fingerprint": decision["fingerprint"]}), []
        else:
            outcome = search.run()
            report = write_report(search, outcome)
            policy, lines = outcome.policy, _screened(search, report, place)
        _write(place / _REPORT, "\n".join(_page(Path(data).name, decision, policy, lines)))
        policy.save(done)
        return policy


def _decide(data: Path | str, images: Images, place: Path, memory: Memory, told: Progress) -> dict[str, Any]:
    """What to begin with and why, as it was decided the first time: time is measured, and would be another now."""
    file, fingerprint = place / _DECISION, images.fingerprint()
    if file.exists():
        decision: dict[str, Any] = json.loads(file.read_text())
        if decision["fingerprint"] != fingerprint:
            raise AdaptAugError(
                f"{place}: holds the policy of another data set than {data}; choose another folder."
            )
        return decision
    if (place / _POLICY).exists():
        raise AdaptAugError(
            f"{place / _POLICY}: expected none, or one that was found here; choose another folder."
        )
    profile = looked(images)
    objective = "images" if useful_labels(images) is None else "labels"
    start, why = memory.suggestion(numbers(profile), objective) or profile.suggestion()
    # One set of factors is searched for all subjects; only what is not searched may route image by image.
    alone, because = profile.advice() if profile.mixed else (start, why)
    decision = {"fingerprint": fingerprint, "start": start, "why": why, "objective": objective, "alone": alone,
                "alone because": because}  # fmt: skip
    told.told(f"{Path(data).name}: begins with {start}, because {why}.")
    _write(file, json.dumps(decision, indent=1))
    return decision


def _search(
    data: Path | str, images: Images, start: Policy, folder: Path, seed: int, range: str, workers: int | None,
    progress: Progress, memory: Memory, size: int | None,
) -> Search | None:  # fmt: skip
    """The screening; None where images are too few to tell one policy from another."""
    side = size or (max(images[0].shape[:2]) if images.same_size else _LARGEST)
    recipe = Recipe(str(data), IMAGES, seed, size=min(max(8, side), _LARGEST), range=range)
    if len(images) < 4 * recipe.sources:
        return None
    recipe = replace(recipe, epochs=epochs_for(min(IMAGES, len(images) * 3 // 4)))
    return Search(recipe, start, folder, None, "auto", workers, progress, method="screen", memory=memory)


def _affordable(search: Search | None, seconds: float | None) -> dict[str, Any]:
    """Whether to screen, and a sentence about it."""
    if search is None:
        return {"screens": False, "cost": "the images are too few to screen on; memory and profile decide."}
    needed = estimate(search).seconds
    if seconds is not None and needed > seconds:
        return {"screens": False, "cost": f"a screening would take about {_minutes(needed)} here and may take "
                f"{_minutes(seconds)}: less than a design, so memory and profile decide."}  # fmt: skip
    return {"screens": True, "cost": f"a screening takes about {_minutes(needed)} here."}


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _screened(search: Search, report: Path, place: Path) -> list[str]:
    assert isinstance(search.how, Screening) and search.how.effects is not None
    folder = report.parent.relative_to(place)
    return [
        "## What each factor does here", "", *(f"- {s}" for s in sentences(search.how.effects, search.how.off)), "",
        f"![effects]({folder}/effects.png)", "",
        f"The whole report: [{folder}/{report.name}]({folder}/{report.name}).", "",
    ]  # fmt: skip


def _page(name: str, decision: dict[str, Any], policy: Policy, lines: list[str]) -> list[str]:
    """run/report.md."""
    if decision["screens"]:
        begun, outcome = (
            f"It begins with `{decision['start']}`: {decision['why']}.",
            policy.provenance["outcome"],
        )
    else:
        begun = f"`{decision['alone']}`: {decision['alone because']}."
        outcome = "as it is, without a screening"
    return [
        f"# The policy for {name}", "",
        f"{begun} {decision['cost'][0].upper()}{decision['cost'][1:]}", "",
        f"**What is trained with: `{policy.name}`** ({outcome}); {_POLICY} holds it.", "", *lines,
    ]  # fmt: skip


def _write(file: Path, text: str) -> None:
    write_atomically(file, lambda out: out.write(text.encode()))


def training_seconds(settings: Settings, images: int) -> float:
    """About how long a training over so many images takes here, by a few timed steps; reading is left out."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    few = min(settings.sources, 32 if device == "cuda" else 4)
    model = new_contrast(
        settings.arch, "natural", settings.size, settings.seed, settings.stem, objective=settings.objective,
        layers=settings.layers, precision=fast_precision(device), n=settings.views, small=settings.small_views,
        small_size=settings.small_side,
    ).to(device)  # fmt: skip
    keys = np.zeros((few, 3), np.int64)
    noise = np.random.default_rng(0).integers(0, 256, (few, 3, settings.size, settings.size), np.uint8)
    images_there = torch.from_numpy(noise).to(device)
    for _ in (0, 1):  # the first warms up
        began = time.perf_counter()
        model(images_there, keys).backward()
        if device == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - began) / few * images * settings.epochs / settings.processes
