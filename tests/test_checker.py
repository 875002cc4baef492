"""The checker of the promise: one verdict for an image, alone or in a batch, and each test where it is broken."""

import ast
from pathlib import Path

import numpy as np
import pytest

from adaptaug.policy.schema import Promise
from adaptaug.promise import checker
from adaptaug.promise.checker import violations

RNG = np.random.default_rng(0)
TESTS = {"std", "clip", "mean", "like", "any"}


def views_of(frame: np.ndarray) -> dict[str, np.ndarray]:
    """Views of a frame: one that keeps the promise, and one for each way to break it."""
    levels = frame.astype(float)
    made = {
        "kept": levels,
        "std": levels / 16 + 100,
        "clip": np.where(RNG.random(frame.shape[:2])[..., None] < 0.3, 255, levels),
        "mean": levels / 10,
        "like": levels[:, ::-1],  # x + y against y - x
    }
    return {name: view.round().clip(0, 255).astype(np.uint8) for name, view in made.items()}


def frames(size: int) -> list[np.ndarray]:
    """A ramp (mirrored it is like another image), noise, a dim one, a flat one and one that is blank."""
    ramp = np.add.outer(np.arange(size), np.arange(size)) * 200 / (2 * size) + 20
    shades = (ramp, RNG.uniform(20, 220, (size, size)), ramp / 12, ramp / 8 + 90, np.full((size, size), 60))
    return [np.repeat(shade[..., None], 3, 2).astype(np.uint8) for shade in shades]


@pytest.mark.parametrize("size", [9, 32, 96])
def test_a_batch_gets_the_verdicts_of_its_images(size: int):
    rows = [(view, frame) for frame in frames(size) for view in views_of(frame).values()]
    view, frame = (np.stack(images) for images in zip(*rows, strict=True))
    quiet = np.roll(view, 1, 0)
    limits = {"promise": Promise(std=0.08, clip=0.1, correlation=0.6)}
    together = violations(view, frame, frame, quiet, view, np.linspace(0, 0.5, len(view)), **limits)
    assert set(together) == TESTS | {"erased"}
    assert 0 < together["any"].sum() < len(view)
    for i, share in enumerate(np.linspace(0, 0.5, len(view))):
        alone = violations(view[i], frame[i], frame[i], quiet[i], view[i], share, **limits)
        assert {name: bool(flag) for name, flag in alone.items()} == {
            name: bool(flags[i]) for name, flags in together.items()
        }


def test_each_test_finds_what_breaks_it():
    ramp = frames(64)[0]
    for test, view in views_of(ramp).items():
        broken = violations(view, ramp, ramp)
        if test == "kept":
            assert not any(broken.values())
        else:
            assert broken[test] and broken["any"]
    mirrored = views_of(ramp)["like"]
    assert not violations(mirrored, mirrored, ramp)["any"]  # a crop is judged against itself


def test_a_blank_source_breaks_nothing():
    blank = frames(32)[-1]
    black = np.zeros_like(blank)
    assert not any(violations(black, blank, blank).values())
    assert violations(black, blank, frames(32)[0])["any"]


def test_it_shares_nothing_with_what_it_checks():
    """Nor does anything that it imports: import-linter's contract, in pyproject.toml."""
    tree = ast.parse(Path(checker.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names == {"__future__", "dataclasses", "functools", "typing", "numpy", "adaptaug.policy.schema"}
