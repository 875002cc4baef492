"""The networks that are pretrained: torchvision's ResNets, and a small one for CPUs."""

from __future__ import annotations

import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from adaptaug.errors import AdaptAugError

TORCHVISION_ARCHS = ("resnet18", "resnet34", "resnet50", "resnet101")
ARCHS = ("resnet-tiny", *TORCHVISION_ARCHS)
STEMS = ("auto", "imagenet", "cifar")
_SMALL = 64  # up to this size a view keeps its resolution through the stem


def build_encoder(arch: str = "resnet50", stem: str = "auto", size: int = 224) -> nn.Module:
    """An encoder of (B, 3, H, W) normalised images into (B, `encoder.width`) features.

    Args:
        arch: one of ARCHS. `resnet-tiny` has one basic block a stage, 16 to 128 channels: 128 features.
        stem: `imagenet` is 7x7 with stride 2 and a max-pool, `cifar` 3x3 with neither (SimCLR, appendix B.9);
            `auto` takes `cifar` for views of at most 64 px and for `resnet-tiny`.
        size: of the views, for `auto`.

    The parameters have torchvision's names. Raises: AdaptAugError: unknown arch or stem.
    """
    if arch not in ARCHS:
        raise AdaptAugError(f"arch: expected one of {', '.join(ARCHS)}, got {arch!r}.")
    if stem not in STEMS:
        raise AdaptAugError(f"stem: expected one of {', '.join(STEMS)}, got {stem!r}.")
    small = stem == "cifar" or (stem == "auto" and (size <= _SMALL or arch == "resnet-tiny"))
    net = _tiny() if arch == "resnet-tiny" else getattr(torchvision.models, arch)(weights=None)
    if small:
        net.conv1 = nn.Conv2d(3, net.conv1.out_channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
    net.width = net.fc.in_features
    net.fc = nn.Identity()
    net.arch, net.stem = arch, "cifar" if small else "imagenet"
    encoder: nn.Module = net
    return encoder


def _tiny(width: int = 16) -> ResNet:
    net = ResNet(BasicBlock, [1, 1, 1, 1])
    channels = [width, 2 * width, 4 * width, 8 * width]
    net.inplanes = width
    net.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
    net.bn1 = nn.BatchNorm2d(width)
    for stage, out in enumerate(channels):
        setattr(net, f"layer{stage + 1}", net._make_layer(BasicBlock, out, 1, stride=1 + (stage > 0)))
    net.fc = nn.Linear(channels[-1], 1)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def without_batch_norm(net: nn.Module, groups: int = 8) -> nn.Module:
    """Every BatchNorm replaced by a GroupNorm, which sees one image only: the same on any number of processes."""
    for name, child in net.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(net, name, nn.GroupNorm(min(groups, child.num_features), child.num_features))
        else:
            without_batch_norm(child, groups)
    return net


def fast_precision(device: str | torch.device = "cpu") -> torch.dtype | None:
    """bfloat16 where the machine computes in it (a GPU of 2020 or later, AVX512-BF16), else None: float32."""
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if supported() else None
