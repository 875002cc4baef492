"""The same key gives the same view in every release: what was planned and rendered once, kept in golden.json.

    python -m tests.test_golden --write

writes golden.json anew. That is legitimate when a change is *meant* to alter what a key gives, and CHANGELOG.md
says so: another rule, range or default of a preset, of a guard or of the certificate, another formula of an
operation. It is not for a refactoring, a faster path, a new operation or a new version of a library, all of which
must leave it as it is. (A library that resamples otherwise may move the pixels and with them what is measured on
them: then say which, with the largest differences, where it is written anew.)

Kept are the plan, rounded to 6 digits, and the means of the pixels over 4 x 4 blocks: a hash of the pixels would
break with any library that rounds otherwise.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from sklearn.datasets import load_digits

import adaptaug
from adaptaug.core.engine import off
from adaptaug.policy import preset_names

FILE = Path(__file__).with_name("golden.json")
SIZE, BLOCKS = 64, 4
ENGINES = ("core", "torch")
# What no preset has: policy by its name here.
OTHERS = {
    "chroma": adaptaug.Policy.load("natural").edit(
        {"chroma": {"rg": (-0.2, 0.3), "yb": (-0.25, 0.45), "std": (0.05, 0.5), "shape": (1.5, 2.0)}}
    ),
}
# A policy with routes draws what theirs draw (tests/test_routes.py).
PRESETS = {name: adaptaug.Policy.load(name) for name in preset_names()}
POLICIES = {**{name: policy for name, policy in PRESETS.items() if not policy.routes}, **OTHERS}
VIEWS = (((0, 0, 0), 0), ((1, 2, 3), 1), ((2**40 + 7, 0, 99), 0))  # key and number of the view


def sources() -> dict[str, np.ndarray]:
    """Made by indexing alone, which no library's version changes."""
    digit = (load_digits().images[3] * 15).astype(np.uint8)
    return {
        "astronaut": np.ascontiguousarray(data.astronaut()[::3, ::3]),
        "coffee": np.ascontiguousarray(data.coffee()[::4, ::4]),
        "digit": digit.repeat(4, 0).repeat(4, 1)[:, :, None].repeat(3, 2),
    }


def numbers(values: Any) -> list[float]:
    return [round(float(value), 6) + 0.0 for value in np.asarray(values, np.float64).ravel()]  # no -0


def look(image: np.ndarray, engine: str, policy: str, key: tuple[int, int, int], view: int) -> dict[str, Any]:
    """What was planned for one view, as plain numbers, and its pixels as 4 x 4 means of red, green and blue."""
    given = image if engine == "core" else torch.from_numpy(image).permute(2, 0, 1)
    with off() if engine == "torch" else nullcontext():
        params = adaptaug.AdaptiveAugment(POLICIES[policy], SIZE).plan(given, key=key, view=view)
        out = adaptaug.render(given, params)
    pixels = out if engine == "core" else out.permute(1, 2, 0).numpy()
    side = SIZE // BLOCKS
    params = params.row(0)
    decided = {name: int(getattr(params, name)[0]) for name in ("failed", "frame", "blank", "noise_seed")}
    decided["reduce"] = max(1, int(params.span[0] * min(image.shape[:2]) / SIZE + 1e-9))
    drawn = {name: numbers(entry.value)[0] for name, entry in params.entries.items() if entry.applied[0]}
    resolved = {name: numbers(getattr(params, name)) for name in ("matrix", "lift", "colour", "strength")}
    blocks = pixels.reshape(BLOCKS, side, BLOCKS, side, 3).mean((1, 3))
    return {"plan": decided | drawn | resolved, "blocks": np.round(blocks, 1).ravel().tolist()}


def all_looks(engine: str, policy: str) -> dict[str, Any]:
    """One entry for each image and key of one policy and renderer."""
    return {
        f"{engine}, {policy}, {name}, key {key}, view {view}": look(image, engine, policy, key, view)
        for name, image in sources().items()
        for key, view in VIEWS
    }


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(FILE.read_text())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_key_gives_what_it_always_gave(golden: dict[str, Any], engine: str, policy: str):
    for name, now in all_looks(engine, policy).items():
        then = golden[name]
        assert now["plan"].keys() == then["plan"].keys(), name
        for part, value in then["plan"].items():
            assert now["plan"][part] == pytest.approx(value, rel=0, abs=1e-5), f"{name}: {part}"
        assert np.abs(np.subtract(now["blocks"], then["blocks"])).max() <= 1, name


def test_nothing_else_is_kept(golden: dict[str, Any]):
    assert len(golden) == len(ENGINES) * len(POLICIES) * len(sources()) * len(VIEWS)


def write(anew: bool) -> None:
    """All views, or only those of presets that the file has none of: another processor's last digits stay out."""
    entries: dict[str, Any] = {} if anew else json.loads(FILE.read_text())
    for engine in ENGINES:
        for policy in POLICIES:
            if not any(name.startswith(f"{engine}, {policy}, ") for name in entries):
                entries |= all_looks(engine, policy)
    lines = [
        f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}" for name, entry in entries.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{FILE}: {len(entries)} views, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--write", action="store_true", help="write golden.json anew")
    how.add_argument("--add", action="store_true", help="add new presets, leave all else as it is")
    write(parser.parse_args().write)
