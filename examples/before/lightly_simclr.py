"""SimCLR as lightly's example has it: LightlyDataset, SimCLRTransform, NT-Xent."""

import argparse

import torch
import torchvision
from lightly.data import LightlyDataset
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from torch import nn


class SimCLR(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torchvision.models.resnet18()
        self.backbone.fc = nn.Identity()
        self.projection_head = SimCLRProjectionHead(512, 512, 128)

    def forward(self, x):
        return self.projection_head(self.backbone(x))


def main(options):
    transform = SimCLRTransform(input_size=options.size)
    dataset = LightlyDataset(options.folder, transform=transform)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=options.batch_size, shuffle=True, drop_last=True, num_workers=options.workers
    )
    model, criterion = SimCLR(), NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    for epoch in range(options.epochs):
        total = 0.0
        for (x0, x1), _, _ in loader:
            loss = criterion(model(x0), model(x1))
            total += loss.item()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        print(f"epoch {epoch}: loss {total / len(loader):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=8)
    main(parser.parse_args())
