"""The networks themselves: their widths, torchvision's names, and that the small one learns."""

import numpy as np
import pytest
import torch
import torchvision

pytest.importorskip("pytorch_lightning")
pytest.importorskip("lightly")

from safetensors.torch import load_file

from adaptaug.data import open_data
from adaptaug.encoders.networks import ARCHS, TORCHVISION_ARCHS, build_encoder
from adaptaug.simclr import checkpoints, metrics
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.trainer import Settings, pretrain


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_encoder_width(arch, stem):
    encoder = build_encoder(arch, stem).eval()
    with torch.no_grad():
        assert encoder(torch.zeros(1, 3, 64, 64)).shape == (1, encoder.width)


@pytest.mark.parametrize("arch", TORCHVISION_ARCHS)
def test_torchvision_takes_the_weights(arch, tmp_path):
    encoder = build_encoder(arch, "imagenet")
    checkpoints.export_encoder(encoder, tmp_path, {})
    theirs = getattr(torchvision.models, arch)()
    theirs.load_state_dict(load_file(tmp_path / "encoder.safetensors"))
    assert torch.equal(theirs.layer4[0].conv1.weight, encoder.layer4[0].conv1.weight)


@pytest.mark.slow
def test_it_learns(digits, tmp_path):
    """From ten labels a class: with all of them raw pixels are at 98 % here, and there is little to gain."""
    pretrain(Settings(str(digits), str(tmp_path), policy="digits", arch="resnet-tiny", size=16, epochs=20, batch=128,
                      views=2, held_out=0))  # fmt: skip
    data = open_data(digits)
    known = metrics.labelled_subset(data.labels, 100, seed=0)
    asked = np.setdiff1d(np.arange(len(data)), known)

    def knn(encoder):
        points = metrics.features(encoder.eval(), data.pixels(range(len(data))))
        return metrics.knn_correct(
            points[known], data.labels[known], points[asked], data.labels[asked], k=5
        ).mean()

    untrained = new_contrast("resnet-tiny", "digits", 16, seed=0).encoder
    assert knn(checkpoints.load_encoder(tmp_path)) > knn(untrained) + 0.05
