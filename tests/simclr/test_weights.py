"""Files of weights as others leave them: told by what is in them, and what lies beside the weights harms nothing."""

from __future__ import annotations

import argparse
import datetime
import gzip
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("pytorch_lightning")

from pytorch_lightning.utilities.parsing import AttributeDict

from adaptaug.encoders.weights import read_weights
from adaptaug.errors import AdaptAugError

BESIDE = {
    "NumPy scalars": [np.float64(3), np.int64(3), np.bool_(True), np.float32(1), np.str_("a")],
    "an array": np.arange(3),
    "a path": Path("a/b"),
    "times": [datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(1), datetime.date(2026, 1, 1)],
    "a defaultdict": defaultdict(list, a=[1]),
    "Lightning's": AttributeDict(lr=1, inner=AttributeDict(a=2)),
    "a namespace": argparse.Namespace(root=Path("b"), epochs=3),
    "a counter": Counter("aab"),
}


class Runs:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('it was run')",)


@pytest.mark.parametrize("kind", BESIDE)
def test_what_trainers_keep_beside_weights_is_no_reason_to_refuse_them(kind, tmp_path):
    torch.save({"state_dict": {"a.weight": torch.ones(2, 2)}, "extra": BESIDE[kind]}, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    assert torch.equal(found["state_dict.a.weight"], torch.ones(2, 2)) and len(found) == 1


def test_omegaconf(tmp_path):
    omegaconf = pytest.importorskip("omegaconf")
    options = omegaconf.OmegaConf.create({"a": 1, "b": [1, "x"], "c": {"d": None, "e": 0.5, "f": True}})
    torch.save(
        {"state_dict": {"a.weight": torch.ones(2, 2)}, "hyper_parameters": options}, tmp_path / "w.pth"
    )
    assert list(read_weights(tmp_path / "w.pth")) == ["state_dict.a.weight"]


@pytest.mark.parametrize("beside", [Runs(), defaultdict(list, a=Runs()), AttributeDict(a=Runs())])
def test_what_runs_is_refused_and_not_run(beside, tmp_path):
    torch.save({"state_dict": {"a.weight": torch.ones(2, 2)}, "extra": beside}, tmp_path / "w.pth")
    with pytest.raises(AdaptAugError, match=r"builtins\.exec.*; nothing of it was run"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w", "W.SAFETENSORS"])
def test_safetensors_by_another_name(name, tmp_path):
    save_file({"a.weight": torch.ones(2, 2)}, tmp_path / name)
    assert list(read_weights(tmp_path / name)) == ["a.weight"]


def test_torchs_file_by_another_name(tmp_path):
    torch.save({"a.weight": torch.ones(2, 2)}, tmp_path / "w.safetensors")
    assert list(read_weights(tmp_path / "w.safetensors")) == ["a.weight"]


@pytest.mark.parametrize("name", ["w.pth.gz", "w.pth", "w.safetensors"])
def test_what_is_packed_or_nothing_known_is_told_without_advice_to_unpickle(name, tmp_path):
    torch.save({"a.weight": torch.ones(2, 2)}, tmp_path / "plain")
    (tmp_path / name).write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    with pytest.raises(AdaptAugError, match="got a packed one; unpack it") as packed:
        read_weights(tmp_path / name)
    (tmp_path / name).write_bytes(b"what this is nobody knows" * 50)
    with pytest.raises(AdaptAugError, match="expected a whole file of weights") as unknown:
        read_weights(tmp_path / name)
    assert "trust_pickle" not in f"{packed.value}{unknown.value}"
