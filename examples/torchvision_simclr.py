"""SimCLR as many repositories have it: an ImageFolder, a hand-made recipe applied twice, a loss of one's own."""

import argparse

import torch
from torch import nn
from torch.nn import functional
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

from adaptaug import Views


class TwoCrops:
    def __init__(self, transform):
        self.transform = transform

    def __call__(self, image):
        return [self.transform(image), self.transform(image)]


def recipe(size):
    jitter = transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.GaussianBlur(3),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )


def info_nce(a, b, temperature=0.5):
    z = functional.normalize(torch.cat([a, b]), dim=1)
    similarity = z @ z.T / temperature
    similarity.fill_diagonal_(float("-inf"))
    partner = torch.arange(len(z)).roll(len(a))
    return functional.cross_entropy(similarity, partner)


def main(options):
    dataset = ImageFolder(options.folder, transform=Views("natural", size=options.size))
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=options.batch_size, shuffle=True, drop_last=True, num_workers=options.workers
    )
    model = models.resnet18()
    model.fc = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 128))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    for epoch in range(options.epochs):
        for (first, second), _ in loader:
            loss = info_nce(model(first), model(second))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--workers", type=int, default=8)
    main(parser.parse_args())
