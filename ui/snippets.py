"""How an exported policy is used in each training loop: lines to copy."""

from __future__ import annotations

HOSTS = {
    "PyTorch": """
import adaptaug
from torch.utils.data import DataLoader

views = adaptaug.Views(adaptaug.Policy.load("policy.yaml"), n={n}, size={size})
for ({names}), label in DataLoader(adaptaug.Keyed(dataset, views), batch_size=256):
    ...  # dataset: images without a transform of its own
""",
    "torchvision": """
import adaptaug
from torchvision.datasets import ImageFolder

views = adaptaug.Views(adaptaug.Policy.load("policy.yaml"), n={n}, size={size})
dataset = ImageFolder("images", transform=views)
""",
    "torchvision v2": """
import adaptaug
import adaptaug.hosts.torchvision
import torch
from torchvision.transforms import v2

policy = adaptaug.Policy.load("policy.yaml")
transform = v2.Compose([  # masks and boxes follow the geometry
    adaptaug.hosts.torchvision.Adaptive(policy, {size}),
    v2.ToImage(),
    v2.ToDtype(torch.float32, scale=True),
])
""",
    "lightly": """
import adaptaug
from lightly.data import LightlyDataset

views = adaptaug.Views(adaptaug.Policy.load("policy.yaml"), n={n}, size={size})
dataset = LightlyDataset("images", transform=views)
""",
    "Lightning": """
import adaptaug
from adaptaug.hosts.lightning import ViewsOnDevice
from pytorch_lightning import LightningModule

class Model(ViewsOnDevice, LightningModule):
    def __init__(self):
        super().__init__()
        self.views = adaptaug.Views(adaptaug.Policy.load("policy.yaml"), n={n}, size={size})

    def training_step(self, batch, _):
        ({names}), labels = batch  # made on the device, in training only
""",
    "timm": """
import adaptaug
import adaptaug.hosts.timm
from timm.data import create_loader

loader = create_loader(dataset, input_size=(3, {size}, {size}), batch_size=256, is_training=True)
loader = adaptaug.hosts.timm.two_views(loader, adaptaug.Policy.load("policy.yaml"), {size})
""",
    "albumentations": """
import adaptaug
import adaptaug.hosts.albumentations
import albumentations as A

policy = adaptaug.Policy.load("policy.yaml")
transform = A.Compose([  # masks and boxes follow the geometry
    adaptaug.hosts.albumentations.Adaptive(policy, {size}),
    A.Normalize(),
    A.ToTensorV2(),
])
""",
    "kornia": """
import adaptaug
import kornia.augmentation as K

augment = K.ImageSequential(  # of batches in [0, 1]
    adaptaug.AdaptiveAugment(adaptaug.Policy.load("policy.yaml"), {size}),
    K.RandomErasing(),
)
""",
    "Hugging Face": """
import adaptaug
import adaptaug.hosts.huggingface

views = adaptaug.Views(adaptaug.Policy.load("policy.yaml"), n={n}, size={size})
dataset = dataset.with_transform(adaptaug.hosts.huggingface.Transform(views))
""",
    "webdataset": """
import adaptaug
import adaptaug.hosts.webdataset
from webdataset import WebDataset

views = adaptaug.Views(adaptaug.Policy.load("policy.yaml"), n={n}, size={size})
stream = WebDataset(urls).decode("pil").map(adaptaug.hosts.webdataset.Keyed(views)).to_tuple("jpg", "cls")
""",
    "solo-learn": """
import adaptaug
from solo.data.pretrain_dataloader import prepare_n_crop_transform

augment = adaptaug.AdaptiveAugment(adaptaug.Policy.load("policy.yaml"), {size}, finish="imagenet")
transform = prepare_n_crop_transform([augment], [{n}])
""",
    "Command line": """
adaptaug preview images --policy policy.yaml --size {size} --out sheet.png
adaptaug pretrain images --policy policy.yaml --size {size} --out run
""",
}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def code(host: str, size: int, n: int = 2) -> str:
    """Lines for a host; those of PyTorch for one that is not known."""
    text = HOSTS.get(host, HOSTS["PyTorch"]).strip()
    for mark, value in (("{size}", str(size)), ("{n}", str(n)), ("{names}", ", ".join(_ORDINALS[:n]))):
        text = text.replace(mark, value)
    return text
