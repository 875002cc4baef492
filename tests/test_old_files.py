"""What commit 8adc3ca wrote is read: a policy, an encoder, a run cut before its end, embeddings, a pipeline, a search.

tests/data/8adc3ca holds its files as they came: digits.npz and search.npz from scikit-learn's digits, then
`adaptaug pretrain digits.npz --arch resnet-tiny --size 32 --epochs 2 --batch-size 16 --policy digits --out run
--checkpoint-every 4 --optimizer lars --no-tensorboard`, `adaptaug embed digits.npz --checkpoint run --out embeddings`,
`adaptaug search search.npz --start digits --objective labels --budget 6 --epochs 5 --size 16 --out found.yaml`,
`Policy.load("natural").save("policy.yaml")`, and albumentations' `Compose([Adaptive("natural", size=32)]).to_dict()`.
The run is of the light network of `tests.support.network`, put in resnet-tiny's place there as here: a twelfth of its
bytes. Of the search its arms' weights are left out.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import adaptaug
from adaptaug import cli

OLD = Path(__file__).parent / "data" / "8adc3ca"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A copy to write into, and the folder the commands are given from."""
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    monkeypatch.chdir(folder)
    return folder


def test_a_policy() -> None:
    policy = adaptaug.Policy.load(OLD / "policy.yaml")
    assert adaptaug.Policy.loads(policy.dumps()) == policy
    image = np.load(OLD / "digits.npz")["x"][0]
    first, second = adaptaug.Views(policy, size=32, finish="none")(image, key=(0, 0, 0))
    assert first.shape == second.shape == (32, 32, 3)
    assert not np.array_equal(first, second)


def test_an_encoder_and_its_embeddings(light_network) -> None:
    """The encoder gives the features that it gave then."""
    from adaptaug.simclr.backbone import load_backbone
    from adaptaug.simclr.checkpoints import load_encoder
    from adaptaug.simclr.embeddings import clean_view, open_embeddings

    encoder = load_encoder(OLD / "run").eval()
    found = open_embeddings(OLD / "embeddings")
    assert found.features.shape == (40, 5, 128)
    backbone = load_backbone(OLD / "run")
    image = clean_view(np.load(OLD / "digits.npz")["x"][0], 32)
    with torch.no_grad():
        features = backbone(torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0)[0].numpy()
    assert features == pytest.approx(found.features[0, 0], abs=1e-3)
    assert sum(p.numel() for p in encoder.parameters()) == sum(
        p.numel() for p in backbone.encoder.parameters()
    )


def test_a_run_that_was_cut_goes_on(here, capsys, light_network) -> None:
    pytest.importorskip("pytorch_lightning", reason="training needs it: pip install 'adaptaug[train]'")
    for file in ("encoder.json", "encoder.safetensors"):
        (here / "run" / file).unlink()
    words = "pretrain digits.npz --arch resnet-tiny --size 32 --epochs 2 --batch-size 16 --policy digits --out run"
    more = "--checkpoint-every 4 --optimizer lars --no-tensorboard --resume"
    assert cli.run([*words.split(), *more.split()]) == 0, capsys.readouterr().err
    assert json.loads((here / "run" / "encoder.json").read_text())["steps"] == 4


def test_a_pipeline_of_albumentations() -> None:
    albumentations = pytest.importorskip("albumentations", reason="a host: pip install 'adaptaug[hosts]'")
    import adaptaug.hosts.albumentations  # noqa: F401  (it registers its transform)

    pipeline = albumentations.from_dict(json.loads((OLD / "albumentations.json").read_text()))
    view = pipeline(image=np.load(OLD / "digits.npz")["x"][0])["image"]
    assert view.shape == (32, 32, 3)


def test_a_search_is_not_done_again(here, capsys) -> None:
    pytest.importorskip("optuna", reason="searching needs it: pip install 'adaptaug[search]'")
    before = (here / "found.search" / "study.db").stat().st_mtime_ns
    words = (
        "search search.npz --start digits --objective labels --budget 6 --epochs 5 --size 16 --out found.yaml"
    )
    assert cli.run(words.split()) == 0, capsys.readouterr().err
    assert before
    assert adaptaug.Policy.load(here / "found.yaml")
