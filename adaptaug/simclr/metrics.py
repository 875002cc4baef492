"""How good frozen features are: kNN, ridge, linear probe, and label-free diagnostics."""

from __future__ import annotations

import numpy as np
import torch
from lightly.utils.benchmarking import knn_predict
from torch import nn
from torch.nn import functional

from adaptaug.pipeline.inputs import IMAGENET_MEAN, IMAGENET_STD


@torch.no_grad()
def features(
    encoder: nn.Module, images: torch.Tensor, batch: int = 512, precision: torch.dtype | None = None
) -> torch.Tensor:
    """Features (N, width), float32 on the CPU, of clean uint8 images (N, 3, H, W)."""
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)
    out = []
    for part in images.split(batch):
        pixels = ((part.to(device).float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, precision, enabled=precision is not None):
            out.append(encoder(pixels).float().cpu())
    encoder.train(was_training)
    return torch.cat(out)


def knn_correct(
    bank: torch.Tensor, bank_labels: np.ndarray, queries: torch.Tensor, labels: np.ndarray,
    k: int = 20, temperature: float = 0.1,
) -> np.ndarray:  # fmt: skip
    """For each query, whether a cosine kNN weighted by exp(similarity / temperature) is right (bool)."""
    values, numbers = np.unique(bank_labels, return_inverse=True)  # a class's number may be anything
    classes = torch.from_numpy(numbers.reshape(-1)).to(bank.device)
    predicted = knn_predict(
        functional.normalize(queries, dim=1), functional.normalize(bank, dim=1).T.contiguous(),
        classes, num_classes=len(values), knn_k=min(k, len(numbers)), knn_t=temperature,
    )  # fmt: skip
    return np.asarray(values[predicted[:, 0].cpu().numpy()] == labels)


def ridge_correct(
    bank: torch.Tensor, bank_labels: np.ndarray, queries: torch.Tensor, labels: np.ndarray
) -> np.ndarray:
    """For each query, whether a ridge classifier on standardised features is right (bool); the penalty by
    leave-one-out on the bank."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-1, 4, 11)))
    probe.fit(bank.numpy(), bank_labels)
    return np.asarray(probe.predict(queries.numpy()) == labels)


def linear_probe(
    bank: torch.Tensor, bank_labels: np.ndarray, queries: torch.Tensor, labels: np.ndarray, seed: int = 0
) -> float:
    """Accuracy of `linear_correct`."""
    return float(linear_correct(bank, bank_labels, queries, labels, seed).mean())


def linear_correct(
    bank: torch.Tensor, bank_labels: np.ndarray, queries: torch.Tensor, labels: np.ndarray, seed: int = 0
) -> np.ndarray:
    """For each query, whether a multinomial logistic regression (L-BFGS) on standardised features is right (bool).

    Its L2 penalty is chosen by five-fold cross-validation on the bank, never on the queries.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]},
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
    )
    probe.fit(bank.numpy(), bank_labels)
    return np.asarray(probe.predict(queries.numpy()) == labels)


def raw_features(images: torch.Tensor) -> torch.Tensor:
    """Pixels of uint8 images less each image's mean, (N, 3 H W): what an encoder has to beat."""
    flat = images.flatten(1).float() / 255
    return flat - flat.mean(1, keepdim=True)


def rankme(points: torch.Tensor) -> float:
    """Effective rank: exp of the entropy of the normalised singular values (Garrido et al., 2023)."""
    values = torch.linalg.svdvals(points.double())
    share = values / values.sum() + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))


def alignment_uniformity(first: torch.Tensor, second: torch.Tensor) -> dict[str, float]:
    """Of two views' embeddings (N, D): mean squared distance of a pair, and log mean exp(-2 d^2) over all pairs of
    different images, on the unit sphere (Wang and Isola, 2020). Lower is better for both."""
    first, second = functional.normalize(first, dim=1), functional.normalize(second, dim=1)
    alignment = (first - second).square().sum(1).mean()
    uniformity = torch.pdist(first).square().mul(-2).exp().mean().log()
    return {"alignment": float(alignment), "uniformity": float(uniformity)}


def labelled_subset(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Indices of `count` items, as evenly over the classes as they allow, drawn by the seed; none without a label."""
    labels = np.asarray(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    _, classes = np.unique(labels, return_inverse=True)
    rank = np.empty(len(labels), int)  # how many of the same class come before it in the drawn order
    for c in range(classes.max() + 1):
        members = order[classes[order] == c]
        rank[members] = np.arange(len(members))
    order = order[labels[order] >= 0]
    return np.sort(order[np.argsort(rank[order], kind="stable")][:count])


def interval(correct: np.ndarray) -> tuple[float, float]:
    """95 % Wilson interval of a share, from its trials (bool)."""
    from scipy.stats import binomtest

    limits = binomtest(int(correct.sum()), len(correct)).proportion_ci(0.95, "wilson")
    return float(limits.low), float(limits.high)
