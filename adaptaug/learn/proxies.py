"""How good an encoder is, told without labels: tasks that images set themselves, the same for every policy.

Never judged on a policy's own views, else the weakest would win. Each task gives its hits per query, as labels do, so
that arms are compared with the same paired intervals:

- `rotation`: which of four quarter turns an image was given, by ridge on features (Gidaris et al., 2018, as a probe);
- `retrieval`: whether an image's nearest neighbour among fixed views of all queries is its own;
- `edges`: which of 20 clusters of edge histograms (HOG; Dalal and Triggs, 2005) an image falls in, by kNN and ridge.

and two that give one number: `lidar`, the rank of the discriminant matrix over fixed views (Thilak et al., 2024), and
`rankme` (Garrido et al., 2023). How each goes along with true accuracy is in benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from adaptaug.policy import Policy
from adaptaug.simclr.metrics import knn_correct, rankme, ridge_correct
from adaptaug.views import AdaptiveAugment

TASKS = ("rotation", "retrieval", "edges")
# What a photograph or a glyph survives; no flip and no shear, which change what a glyph is.
FIXED = {
    "version": 1, "name": "fixed", "guards": True, "operations": {
        "crop": {"area": [0.4, 1.0], "ratio": [0.8, 1.25]}, "rotate": {"p": 0.5, "range": [-10, 10]},
        "brightness": {"p": 0.8, "range": [-0.3, 0.3]}, "contrast": {"p": 0.8, "range": [-0.3, 0.3]},
        "saturation": {"p": 0.8, "range": [-0.3, 0.3]}, "hue": {"p": 0.8, "range": [-0.05, 0.05]},
    },
}  # fmt: skip
CLUSTERS, VIEWS, RANKED = 20, 6, 500
Embed = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Tasks:
    """What does not depend on the encoder, made once: bank and queries (N, 3, H, W) uint8, their clusters of edges,
    and VIEWS fixed views of the queries, each (N, 3, S, S) uint8."""

    bank: torch.Tensor
    queries: torch.Tensor
    bank_clusters: np.ndarray
    query_clusters: np.ndarray
    views: list[torch.Tensor]


def set_tasks(bank: torch.Tensor, queries: torch.Tensor, size: int, seed: int) -> Tasks:
    """The tasks that these images set; the seed decides clusters and views."""
    from sklearn.cluster import KMeans

    edges = _edges(bank)
    clusters = KMeans(min(CLUSTERS, len(bank) // 5), n_init=1, random_state=seed).fit(edges)
    views = []
    for number in range(VIEWS):
        augment = AdaptiveAugment(Policy.parse(FIXED), size=size)
        views.append(augment(queries, key=[(seed, number, i) for i in range(len(queries))]))
    return Tasks(bank, queries, clusters.labels_, clusters.predict(_edges(queries)), views)


def proxies(embed: Embed, tasks: Tasks, bank: torch.Tensor, queries: torch.Tensor) -> dict[str, np.ndarray]:
    """Hits (N,) in [0, 1] per query for each of TASKS, and "lidar" and "rankme" as single numbers.

    Args: embed: uint8 images -> features (N, D); bank, queries: its features of those of `tasks`.
    """
    views = [embed(view) for view in tasks.views]
    clusters = tasks.bank_clusters, queries, tasks.query_clusters
    return {
        "rotation": _rotation(embed, tasks),
        "retrieval": _retrieved(views[0], views[1]),
        "edges": (knn_correct(bank, *clusters).astype(float) + ridge_correct(bank, *clusters)) / 2,
        "lidar": np.array(lidar(torch.stack(views, 1)[:RANKED])),
        "rankme": np.array(rankme(queries)),
    }


def _edges(images: torch.Tensor) -> np.ndarray:
    from skimage.feature import hog

    small = functional.interpolate(images.float(), (32, 32), mode="area").permute(0, 2, 3, 1).numpy()
    return np.stack([hog(i, pixels_per_cell=(8, 8), cells_per_block=(2, 2), channel_axis=2) for i in small])


def _rotation(embed: Embed, tasks: Tasks) -> np.ndarray:
    def turned(images: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
        side = min(images.shape[2:])  # a quarter turn of a square is as large as before
        square = images[:, :, :side, :side]
        return torch.cat([embed(torch.rot90(square, n, (2, 3))) for n in range(4)]), np.repeat(
            np.arange(4), len(images)
        )

    hits = ridge_correct(*turned(tasks.bank), *turned(tasks.queries))
    return np.asarray(hits.reshape(4, -1).mean(0))


def _retrieved(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    similar = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T
    return (similar.argmax(1) == torch.arange(len(first))).double().numpy()


def lidar(views: torch.Tensor, delta: float = 1e-4) -> float:
    """Effective rank of Sw^-1/2 Sb Sw^-1/2, where each image with its views is a class.

    Args: views: (images, views, D); delta: added to the diagonal of Sw, the scatter within images.
    """
    views = views.double()
    means = views.mean(1)
    centred = (views - means[:, None]).flatten(0, 1)
    within = centred.T @ centred / len(centred) + delta * torch.eye(views.shape[2])
    away = means - means.mean(0)
    between = away.T @ away / len(away)
    values, vectors = torch.linalg.eigh(within)
    root = vectors @ torch.diag(values.clamp(min=1e-12) ** -0.5) @ vectors.T
    spectrum = torch.linalg.eigvalsh(root @ between @ root).clamp(min=0)
    share = spectrum / spectrum.sum() + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))
