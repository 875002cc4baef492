"""Imported encoders: every layout of the wild gives the original's features, and bad files a sentence."""

import argparse
import copy
import io
import os
import pickle
import re
import subprocess
import sys
import zipfile
from functools import cache

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

pytest.importorskip("lightly")

from safetensors.torch import save_file

from adaptaug.cli import run
from adaptaug.encoders import backbone as intake
from adaptaug.encoders.backbone import NORMALISATIONS, load_backbone
from adaptaug.encoders.networks import build_encoder
from adaptaug.errors import AdaptAugError
from adaptaug.simclr.checkpoints import export_encoder

TOLERANCE = 1e-5  # relative, float32


def network(arch="resnet50", stem="imagenet"):
    """One of its own."""
    return copy.deepcopy(drawn(arch, stem))


@cache
def drawn(arch, stem):
    """Of a fixed seed, with norms as after training: no weight is 1, no mean 0."""
    torch.manual_seed(0)
    net = build_encoder(arch, stem)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return net.eval()


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def small():
    return network(stem="cifar")


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def other(state):
    """Weights of another network under the same names: what must not be taken. One number each in the file."""
    return {
        name: torch.full((), 7, dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()
    }


def under(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def head(*names, width=2048):
    sizes = [(width, width)] * (len(names) - 1) + [(128, width)]
    return {f"{name}.weight": torch.zeros(()).expand(size) for name, size in zip(names, sizes, strict=True)}


# --- layouts: state of torchvision's names -> what the trainer writes -----------------------------------------
def converter(state):
    return {"state_dict": state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}}


def simclrv2(state):
    def renamed(name):
        if name.startswith("conv1."):
            return name.replace("conv1.", "net.0.0.")
        if name.startswith("bn1."):
            return name.replace("bn1.", "net.0.1.0.")
        stage, block, part, rest = re.fullmatch(r"layer(\d)\.(\d+)\.(\w+)\.(.*)", name).groups()
        here = f"net.{stage}.blocks.{block}"
        if part == "downsample":
            return f"{here}.projection." + ("shortcut." + rest[2:] if rest[0] == "0" else "bn.0." + rest[2:])
        number = int(part[-1])
        return (
            f"{here}.net.{2 * number - 2}.{rest}"
            if part.startswith("conv")
            else f"{here}.net.{2 * number - 1}.0.{rest}"
        )

    return {
        "resnet": {renamed(n): t for n, t in state.items()},
        "head": head("layers.0", "layers.3", "layers.6"),
    }


def vissl(state):
    trunk = under("_feature_blocks.", state)
    return {
        "classy_state_dict": {"base_model": {"model": {"trunk": trunk, "heads": head("0.clf.0", "0.clf.2")}}}
    }


def lightly(state):
    return {"state_dict": under("backbone.", state) | head("projection_head.layers.0", "projection_head.layers.3"),
            "epoch": 3, "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}]}  # fmt: skip


def lightly_zoo(state):
    numbers = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    return {
        "state_dict": {
            f"model.backbone.{numbers[n.split('.')[0]]}.{n.partition('.')[2]}": t for n, t in state.items()
        }
    }


def sololearn(state):
    return {"state_dict": under("backbone.", state) | under("momentum_backbone.", other(state))
            | head("projector.0", "projector.2") | {"classifier.weight": torch.zeros(10, 2048)}}  # fmt: skip


def sololearn_old(state):
    return {
        "state_dict": under("encoder.", state)
        | under("momentum_encoder.", other(state))
        | head("projector.0", "projector.2")
    }


def bolts(state):
    return {"state_dict": under("encoder.", state) | head("projection.model.0", "projection.model.3"),
            "hyper_parameters": argparse.Namespace(lr=1)}  # fmt: skip


def mmselfsup(state):
    return {"state_dict": under("backbone.", state) | head("neck.fc0", "neck.fc1"), "meta": {"epoch": 200}}


def convnet(state):
    unused = {"convnet.fc.weight": torch.zeros(1000, 2048), "convnet.fc.bias": torch.zeros(1000)}
    return {"state": under("convnet.", state) | unused | head("projection.fc1", "projection.fc2"),
            "hparams": argparse.Namespace(arch="resnet50")}  # fmt: skip


def spijkervet(state):
    return under("encoder.", state) | head("projector.0", "projector.2")


def sthalles(state):
    return {
        "state_dict": under("backbone.", state) | head("backbone.fc.0", "backbone.fc.2"),
        "arch": "resnet50",
        "epoch": 9,
    }


def leftthomas(state):
    numbers = {"conv1": "0", "bn1": "1", "layer1": "3", "layer2": "4", "layer3": "5", "layer4": "6"}
    return {f"f.{numbers[n.split('.')[0]]}.{n.partition('.')[2]}": t for n, t in state.items()} | head(
        "g.0", "g.3"
    )


def supcontrast(state, prefix="encoder.module."):
    renamed = {f"{prefix}{n.replace('downsample', 'shortcut')}": t for n, t in state.items()}
    return {"model": renamed | head("head.0", "head.2"),
            "opt": argparse.Namespace(batch_size=256), "epoch": 5}  # fmt: skip


def moco(state):
    queue = {"module.queue": torch.zeros(128, 64), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    return {"state_dict": under("module.encoder_q.", state) | under("module.encoder_k.", other(state)) | queue
            | head("module.encoder_q.fc.0", "module.encoder_q.fc.2")}  # fmt: skip


def mocov3(state):
    return {
        "state_dict": under("module.base_encoder.", state) | under("module.momentum_encoder.", other(state))
    }


def ema(state):
    return {"student": {"backbone": state}, "teacher": {"backbone": other(state)}, "ema": other(state)}


def compiled(state):
    return {"state_dict": under("module._orig_mod.backbone.", state)}


BIG = {  # name -> (layout, normalisation)
    "bare": (lambda s: s, "imagenet"), "simclr-converter": (converter, "unit"), "SimCLRv2": (simclrv2, "unit"),
    "VISSL": (vissl, "imagenet"), "lightly": (lightly, "imagenet"), "lightly zoo": (lightly_zoo, "imagenet"),
    "solo-learn": (sololearn, "imagenet"), "bolts": (bolts, "imagenet"), "MMSelfSup": (mmselfsup, "imagenet"),
    "convnet": (convnet, "unit"), "Spijkervet": (spijkervet, "unit"), "sthalles": (sthalles, "unit"),
    "MoCo": (moco, "imagenet"), "MoCo v3": (mocov3, "imagenet"), "EMA": (ema, "imagenet"),
    "compiled": (compiled, "imagenet"),
}  # fmt: skip
SMALL = {
    "old solo-learn": (sololearn_old, "cifar10"), "leftthomas": (leftthomas, "cifar10"),
    "SupContrast": (supcontrast, "cifar10"),
    "SupContrast, one GPU": (lambda s: supcontrast(s, "encoder."), "cifar10"),
}  # fmt: skip


def assert_same(loaded, net, images, normalisation):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in NORMALISATIONS[normalisation])
    if net.stem == "cifar":  # which keeps the resolution
        images = images[..., :24, :24]
    with torch.no_grad():
        expected, found = net((images - mean) / std), loaded(images)
    assert loaded.report.normalisation == normalisation, str(loaded.report)
    assert found.shape == (2, loaded.width)
    assert torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE * float(expected.abs().max()))


def written(data, path):
    torch.save(data, path)
    return path


def reloaded(case, net, images, tmp_path):
    """The network written in a layout and read back, the same; its file removed, as there are many."""
    layout, normalisation = case
    path = written(layout(net.state_dict()), tmp_path / "weights.pth")
    loaded = load_backbone(path)
    path.unlink()
    assert_same(loaded, net, images, normalisation)
    return loaded


@pytest.mark.parametrize("name", BIG)
def test_layouts_of_resnet50(name, net, images, tmp_path):
    loaded = reloaded(BIG[name], net, images, tmp_path)
    report = loaded.report
    assert (report.arch, report.stem, report.width, report.mapped) == ("resnet50", "imagenet", 2048, 318)
    assert bool(report.head) == (name not in ("bare", "lightly zoo", "MoCo v3", "EMA", "compiled"))


@pytest.mark.parametrize("name", SMALL)
def test_layouts_with_the_cifar_stem(name, small, images, tmp_path):
    loaded = reloaded(SMALL[name], small, images, tmp_path)
    assert loaded.report.stem == "cifar"


def test_old_solo_learn_files_need_their_padding_said(small, images, tmp_path):
    net = network("resnet18", "cifar")
    net.conv1.padding = (2, 2)
    path = written(sololearn_old(net.state_dict()), tmp_path / "weights.pth")
    assert_same(load_backbone(path, padding=2), net, images, "cifar10")


def google(net, tmp_path, first=0):
    """Variables in the order TF1 makes them: the projection shortcut before the first convolution of its block."""
    order = [("conv1", "bn1")]
    for stage in range(1, 5):
        for number, block in enumerate(getattr(net, f"layer{stage}")):
            here = f"layer{stage}.{number}"
            if block.downsample is not None:
                order.append((f"{here}.downsample.0", f"{here}.downsample.1"))
            order += [
                (f"{here}.conv{i}", f"{here}.bn{i}") for i in range(1, 4 if hasattr(block, "conv3") else 3)
            ]
    state, arrays = net.state_dict(), {"global_step": np.array(7)}
    names = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    for i, (conv, norm) in enumerate(order, first):
        end = f"_{i}" if i else ""
        arrays[f"base_model/conv2d{end}/kernel"] = state[f"{conv}.weight"].permute(2, 3, 1, 0).numpy()
        arrays[f"base_model/conv2d{end}/kernel/Momentum"] = np.zeros(1, np.float32)
        for theirs, ours in names.items():
            arrays[f"base_model/batch_normalization{end}/{theirs}"] = state[f"{norm}.{ours}"].numpy()
    arrays["head_contrastive/nl_0/dense/kernel"] = np.zeros((net.width, 128), np.float32)
    np.savez(tmp_path / "google.npz", **arrays)
    return tmp_path / "google.npz"


@pytest.mark.parametrize(
    ("arch", "first"), [("resnet50", 0), ("resnet50", 1), ("resnet18", 0), ("resnet34", 0)]
)
def test_googles_variables(arch, first, net, images, tmp_path):
    mine = net if arch == "resnet50" else network(arch)
    loaded = load_backbone(google(mine, tmp_path, first))
    assert_same(loaded, mine, images, "unit")
    assert loaded.report.arch == arch and "head_contrastive" in next(iter(loaded.report.head))


@pytest.mark.parametrize("arch", ["resnet18", "resnet34"])
def test_smaller_networks(arch, images, tmp_path):
    net = network(arch)
    for layout in (lightly, simclrv2, moco, lightly_zoo):
        assert load_backbone(written(layout(net.state_dict()), tmp_path / "weights.pth")).report.arch == arch


def test_safetensors_and_our_own_runs(net, small, images, tmp_path):
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    assert_same(load_backbone(tmp_path / "weights.safetensors"), net, images, "imagenet")
    tiny = network("resnet-tiny")
    export_encoder(tiny, tmp_path / "run", {})
    loaded = load_backbone(tmp_path / "run")
    assert_same(loaded, tiny, images, "imagenet")
    assert loaded.width == 128
    assert_same(load_backbone(tmp_path / "run", normalise="unit"), tiny, images, "unit")


def torch_example(state):
    fc = {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    return {"epoch": 90, "arch": "resnet50", "state_dict": under("module.", state | fc), "best_acc1": 76.1}


NOT_EVIDENCE = {  # name -> layout of a trainer on ImageNet's normalisation that a prefix alone took for another's
    "torch's example": torch_example,
    "projector with norms": lambda s: under("encoder.", s) | head("projector.0", "projector.3"),
    "projector with biases": lambda s: spijkervet(s) | {"projector.0.bias": torch.zeros(2048)},
    "convnet": lambda s: {"state_dict": under("convnet.", s) | head("head.0")},
    "fc of three": lambda s: {"state_dict": under("backbone.", s)
                              | head("backbone.fc.0", "backbone.fc.2", "backbone.fc.4")},
    "fc and predictor": lambda s: {"state_dict": under("backbone.", s) | head("backbone.fc.0", "backbone.fc.2")
                                   | head("predictor.0")},
}  # fmt: skip
SMALL_STEMS = {
    "projector": lambda s: {"state_dict": under("backbone.", s) | head("projector.0", "projector.2")},
    "shortcut": lambda s: {n.replace("downsample", "shortcut"): t for n, t in s.items()},
    "numbers": lambda s: {n.removeprefix("f."): t for n, t in leftthomas(s).items() if n.startswith("f.")},
}


@pytest.mark.parametrize("name", [*NOT_EVIDENCE, *SMALL_STEMS])
def test_a_prefix_or_a_stem_is_no_evidence(name, net, small, images, tmp_path):
    case = NOT_EVIDENCE.get(name) or SMALL_STEMS[name]
    loaded = reloaded((case, "imagenet"), net if name in NOT_EVIDENCE else small, images, tmp_path)
    assert "imagenet (by the layout, a guess, as nothing in the file tells; normalise=" in str(loaded.report)
    assert "--normalise" in str(loaded.report)


@pytest.mark.parametrize(
    ("layout", "said"),
    [(simclrv2, "unit (by the layout, certain"), (spijkervet, "unit (by the layout, likely"),
     (sthalles, "unit (by the layout, likely"), (convnet, "unit (by the layout, likely")],
)  # fmt: skip
def test_evidence_is_told(layout, said, net, tmp_path):
    assert said in str(load_backbone(written(layout(net.state_dict()), tmp_path / "w.pth")).report)


def test_the_converters_file_is_known_by_its_name(net, tmp_path):
    report = load_backbone(written(converter(net.state_dict()), tmp_path / "resnet50-1x.pth")).report
    assert "unit (by the layout, certain, by the file's name" in str(report)


def test_the_report_says_what_was_done(net, tmp_path):
    report = str(load_backbone(written(lightly(net.state_dict()), tmp_path / "w.ckpt")).report)
    for part in ("resnet50", "imagenet stem", "2048 features", "318 tensors mapped", "imagenet (by the layout",
                 "projection_head.layers.3.weight 128x2048"):  # fmt: skip
        assert part in report


# --- normalisation: a guess needs evidence that no other common trainer's file has ----------------------------
def trained(state):
    """As a trainer of PyTorch leaves it: the norms have counted their batches."""
    return {name: t + 9 if name.endswith("num_batches_tracked") else t for name, t in state.items()}


def mlp(*names, width=512, norm=False):
    """A head with biases, as nearly everybody's has."""
    made = head(*names, width=width)
    biases = {name.replace("weight", "bias"): torch.zeros(len(t)) for name, t in made.items()}
    first = names[0].rpartition(".")[0]
    return made | biases | ({f"{first}.1.weight": torch.ones(width)} if norm else {})


def classifier(prefix, classes=1000):
    return {f"{prefix}weight": torch.zeros(classes, 512), f"{prefix}bias": torch.zeros(classes)}


def option(**values):
    return argparse.Namespace(**values)


USUAL = {  # what common trainers write -> ImageNet's, and the report is not certain
    "PyTorch's ImageNet example": lambda s: {"epoch": 90, "arch": "resnet18", "best_acc1": torch.tensor(69.0),
                                             "state_dict": under("module.", s | classifier("fc."))},
    "a supervised state_dict": lambda s: {"state_dict": trained(s) | classifier("fc.")},
    "a Lightning classifier": lambda s: {"state_dict": s | classifier("fc.", 10), "epoch": 3, "global_step": 7},
    "VICReg, saved alone": lambda s: under("encoder.", s) | mlp("projector.0", "projector.3", norm=True),
    "encoder and projector": lambda s: under("encoder.", s) | mlp("projector.0", "projector.2"),
    "three layers of projector": lambda s: under("encoder.", s)
    | head("projector.0", "projector.2", "projector.4", width=512),
    "Barlow Twins": lambda s: {"model": under("module.backbone.", s) | mlp("module.projector.0")},
    "convnet of a classifier": lambda s: under("convnet.", s) | classifier("classifier."),
    "convnet in Lightning": lambda s: {"state_dict": under("model.convnet.", s) | mlp("model.projector.0")},
    "backbone with a transfer head": lambda s: {"state_dict": under("backbone.", s)
                                                | mlp("backbone.fc.0", "backbone.fc.2"), "epoch": 2},
    "backbone with a narrow head": lambda s: {"arch": "resnet18", "state_dict": under("backbone.", s) | {
        "backbone.fc.0.weight": torch.zeros(256, 512), "backbone.fc.2.weight": torch.zeros(10, 256)}},
}  # fmt: skip
USUAL_SMALL = {  # a 3x3 stem is not CIFAR-10's alone
    "numbered": lambda s: {"state_dict": lightly_zoo(s)["state_dict"]},
    "projector in Lightning": lambda s: {"state_dict": under("net.", s) | mlp("projector.0", "projector.2")},
    "solo-learn on CIFAR-100": lambda s: {"state_dict": under("backbone.", s) | mlp("projector.0", "projector.2")
                                          | classifier("classifier.", 100)},
    "solo-learn, its data named": lambda s: sololearn_old(s) | {"hyper_parameters": {"dataset": "stl10"}},
    "SupContrast on CIFAR-100": lambda s: supcontrast(s) | {"opt": option(dataset="cifar100")},
    "shortcut of a classifier": lambda s: {"net": {n.replace("downsample", "shortcut"): t for n, t in s.items()}},
}  # fmt: skip


@pytest.mark.parametrize("name", [*USUAL, *USUAL_SMALL])
def test_a_prefix_alone_says_nothing_of_the_normalisation(name, images, tmp_path):
    net = network("resnet18", "imagenet" if name in USUAL else "cifar")
    loaded = load_backbone(written((USUAL | USUAL_SMALL)[name](net.state_dict()), tmp_path / "w.pth"))
    assert_same(loaded, net, images, "imagenet")
    assert "a guess" in str(loaded.report)


@pytest.mark.parametrize(
    ("layout", "stem", "normalisation"),
    [
        (lambda s: supcontrast(s) | {"opt": option(dataset="cifar10")}, "cifar", "cifar10"),
        (lambda s: sololearn_old(s) | {"state_dict": sololearn_old(s)["state_dict"] | classifier("classifier.", 10)},
         "cifar", "cifar10"),
        (lambda s: under("encoder.", s) | head("projector.0", "projector.2", width=512), "imagenet", "unit"),
    ],
    ids=["SupContrast says CIFAR-10", "solo-learn with ten classes", "Spijkervet"],
)  # fmt: skip
def test_evidence_of_the_normalisation_is_reported(layout, stem, normalisation, images, tmp_path):
    net = network("resnet18", stem)
    loaded = load_backbone(written(layout(net.state_dict()), tmp_path / "w.pth"))
    assert_same(loaded, net, images, normalisation)
    assert "imagenet (" not in str(loaded.report)


def test_the_report_says_how_to_overrule_it(images, tmp_path):
    net = network("resnet18")
    path = written(net.state_dict(), tmp_path / "w.pth")
    report = str(load_backbone(path).report)
    assert "normalise=, or --normalise of" in report
    asked = load_backbone(path, normalise="unit")
    assert_same(asked, net, images, "unit")
    assert "as asked" in str(asked.report) and "overrules" not in str(asked.report)


def test_the_command_line_says_it_and_overrules_it(tmp_path):
    from PIL import Image
    from typer.testing import CliRunner

    from adaptaug.cli import app
    from adaptaug.simclr.embeddings import open_embeddings

    checkpoint = written(network("resnet18").state_dict(), tmp_path / "w.pth")
    (tmp_path / "data").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "data" / f"{number}.png")
    for options, taken in (([], "imagenet"), (["--normalise", "unit"], "unit")):
        out = tmp_path / f"{taken}.npz"
        done = CliRunner().invoke(app, ["embed", str(tmp_path / "data"), "--checkpoint", str(checkpoint),
                                        "--views", "0", "--out", str(out), *options])  # fmt: skip
        assert done.exit_code == 0, done.output
        assert open_embeddings(out).about["normalisation"] == taken
        assert ("--normalise" in done.stderr) == (not options)


# --- bad files ------------------------------------------------------------------------------------------------
def said(path, **options):
    with pytest.raises(AdaptAugError) as error:
        load_backbone(path, **options)
    text = str(error.value)
    assert "\n" not in text and len(text) < 500 and text.endswith(".")
    return text


class Exploit:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_code_in_a_pickle_is_named_and_not_run(tmp_path):
    mark = tmp_path / "ran"
    torch.save({"state_dict": {}, "extra": Exploit(mark)}, tmp_path / "w.pth")
    assert "system" in said(tmp_path / "w.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Exploit(mark)))
    assert "nothing of it was run" in said(tmp_path / "old.pth")
    assert not mark.exists()


def test_trust_is_explicit(net, images, tmp_path):
    state = {"state_dict": network("resnet18").state_dict(), "made": io.StringIO}
    torch.save(state, tmp_path / "w.pth")
    assert "--trust-pickle (in Python trust_pickle=True)" in said(tmp_path / "w.pth")
    assert load_backbone(tmp_path / "w.pth", trust_pickle=True).width == 512
    np.savez(tmp_path / "two.npz", x=images.permute(0, 2, 3, 1).mul(255).byte().numpy()[:2])
    command = ["embed", str(tmp_path / "two.npz"), "--checkpoint", str(tmp_path / "w.pth"), "--views", "0", "--out",
               str(tmp_path / "e.npz")]  # fmt: skip
    assert run(command) == 2
    assert run([*command, "--trust-pickle"]) == 0


def test_other_files_are_refused_in_a_sentence(tmp_path):
    state = network("resnet18").state_dict()
    whole = written(state, tmp_path / "whole.pth").read_bytes()
    npz = io.BytesIO()
    np.savez(npz, **{"base_model/conv2d/kernel": np.zeros((3, 3, 3, 64), np.float32)})
    for name, content, part in (
        ("page.pth", b"<!DOCTYPE html><html>404</html>", "web page"),
        ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ("empty.pth", b"", "empty"),
        ("half.pth", whole[: len(whole) // 2], "damaged, cut off"),
        ("half.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{", "damaged, cut off"),
        ("few.npz", npz.getvalue(), "20, 36 or 53 convolutions"),
        ("text.pth", b"hello there", "damaged, cut off"),
    ):
        (tmp_path / name).write_bytes(content)
        assert part in said(tmp_path / name), name
    assert "nothing" in said(tmp_path / "missing.pth")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as file,
    ):
        for _ in range(128):
            file.write(bytes(1 << 20))
    assert "would unpack to 134,217,728" in said(tmp_path / "bomb.npz")


def test_other_networks_are_refused_by_their_keys(tmp_path):
    state = torchvision.models.resnet50().state_dict()
    double = state | {"conv1.weight": torch.zeros(128, 3, 7, 7)}
    assert "2x wide" in said(written(double, tmp_path / "a.pth"))
    wide = torchvision.models.wide_resnet50_2().state_dict()
    assert "layer1.0.conv1.weight (128, 64, 1, 1) for (64, 64, 1, 1)" in said(
        written(wide, tmp_path / "b.pth")
    )
    kernels = simclrv2({name: t for name, t in state.items() if not name.startswith("fc.")})
    kernels["resnet"]["net.1.blocks.0.net.2.main_conv.0.weight"] = torch.zeros(1)
    assert "net.1.blocks.0.net.2.main_conv.0.weight" in said(written(kernels, tmp_path / "c.pth"))
    vit = {"cls_token": torch.zeros(1, 1, 8), "patch_embed.proj.weight": torch.zeros(8, 3, 16, 16)}
    assert "cls_token" in said(written(vit, tmp_path / "d.pth"))
    del state["layer3.2.bn2.running_var"]
    assert "lacks: layer3.2.bn2.running_var" in said(written(state, tmp_path / "e.pth"))
    two = under("a.", network("resnet18").state_dict()) | under("b.", network("resnet18").state_dict())
    assert "several: a., b." in said(written(two, tmp_path / "f.pth"))


def test_features_that_do_not_vary_are_refused(tmp_path):
    net = network("resnet18")
    state = net.state_dict()
    dead = {n: torch.zeros_like(t) if "bn2" in n or "downsample.1" in n else t for n, t in state.items()}
    assert "the same for all" in said(written(dead, tmp_path / "a.pth"))
    state["layer4.1.bn2.bias"] = torch.full_like(state["layer4.1.bn2.bias"], float("nan"))
    assert "NaN" in said(written(state, tmp_path / "b.pth"))


def test_other_inputs_are_refused(tmp_path):
    backbone = load_backbone(written(network("resnet18").state_dict(), tmp_path / "w.pth"))
    for given in (torch.zeros(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "photo.jpg"):
        with pytest.raises(AdaptAugError, match=r"expected \(B, 3, H, W\) floats"):
            backbone(given)
    assert "normalise: expected one of unit" in said(tmp_path / "w.pth", normalise="mean")


# --- by name --------------------------------------------------------------------------------------------------
NAME = "hf:o/r/w.safetensors"
SERVER = r"""
import hashlib, http.server, json, sys, threading, os
from pathlib import Path
content = Path(sys.argv[1]).read_bytes()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self): self.answer(False)
    def do_GET(self): self.answer(True)
    def log_message(self, *_): pass
    def answer(self, body):
        if self.path.startswith("/api/models/"):
            files = ("w.safetensors", "README.md")
            data = json.dumps([{"type": "file", "path": f, "oid": "b" * 40, "size": 9} for f in files]).encode()
            headers = {"Content-Type": "application/json"}
        elif self.path.endswith("/w.safetensors"):
            etag = "0" * 64 if self.path.startswith("/o/bad/") else hashlib.sha256(content).hexdigest()
            data, headers = content, {"ETag": f'"{etag}"', "X-Repo-Commit": "a" * 40}
        else:
            self.send_error(404); return
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items(): self.send_header(name, value)
        self.end_headers()
        if body: self.wfile.write(data)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.pop("HF_HUB_OFFLINE", None)  # the app, tested in the same process, sets it
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
from adaptaug.encoders.backbone import load_backbone
for name in sys.argv[2:]:
    if name == "offline":
        server.shutdown(); server.server_close(); continue
    try:
        print(load_backbone(name).width)
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """What a process of its own gets by each of several names, of a server that dies before the last two."""
    names = ["hf:o/bad", "hf:o/r", NAME, "hf:o/r/other.pth", f"{NAME}#{'1' * 64}", NAME, "offline", NAME,
             "hf:o/r/new.pth"]  # fmt: skip
    tmp_path = tmp_path_factory.mktemp("hub")
    export = tmp_path / "w.safetensors"
    save_file(network("resnet18").state_dict(), export)
    (tmp_path / "server.py").write_text(SERVER)
    quiet = dict.fromkeys(
        ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_PROGRESS_BARS"), "1"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "hub")} | quiet
    done = subprocess.run([sys.executable, tmp_path / "server.py", export, *names], env=environment,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_weights_by_name_are_fetched_checked_and_cached(fetched):
    lines = fetched[1:]
    assert lines[:2] == ["512", "512"]
    assert "AdaptAugError hf:o/r/other.pth: could not be fetched" in lines[2]
    assert "expected SHA-256 111" in lines[3]
    assert lines[4:6] == ["512", "512"]  # fetched again, and then from the cache
    assert "could not be fetched" in lines[6] and len(lines) == 7


def test_another_checksum_than_the_servers_is_refused(fetched):
    assert "expected SHA-256 000" in fetched[0]


def test_a_name_is_only_fetched_on_request(monkeypatch):
    asked = []
    monkeypatch.setattr(
        intake, "fetch", lambda name: asked.append(name) or (_ for _ in ()).throw(AdaptAugError("offline."))
    )
    assert said("simclrv1-resnet50-1x") == "offline."
    assert asked == ["hf:lightly-ai/simclrv1-imagenet1k-resnet50-1x"]
    assert "expected a file of weights" in said("simclr-of-somebody") and len(asked) == 1
