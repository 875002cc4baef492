"""SimCLR in plain PyTorch: `python examples/plain_pytorch.py photos/`, a folder of class folders."""

import sys

import torch
from torch.nn import functional
from torchvision import datasets, models

import adaptaug

folder, size, batch, epochs = sys.argv[1], 96, int((sys.argv[2:] or [64])[0]), 10
images = adaptaug.Keyed(datasets.ImageFolder(folder), adaptaug.Views("natural", size=size))
model = models.resnet18(num_classes=128)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(epochs):
    for (first, second), _ in torch.utils.data.DataLoader(images, batch, shuffle=True, drop_last=True):
        points = functional.normalize(model(torch.cat([first, second])), dim=1)
        similarity = (points @ points.T / 0.5).fill_diagonal_(-torch.inf)  # of all views, none with itself
        partner = torch.arange(2 * len(first)).roll(len(first))
        loss = functional.cross_entropy(similarity, partner)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
