"""The tasks that images set themselves: blind encoders are at chance, seeing ones above it."""

import numpy as np
import pytest
import torch

pytest.importorskip("lightly")

from skimage import data
from sklearn.datasets import load_digits

from adaptaug.learn.proxies import CLUSTERS, TASKS, lidar, proxies, set_tasks
from adaptaug.simclr.metrics import raw_features


@pytest.fixture(scope="module")
def tasks():
    digits = (load_digits().images[:600] * 15.9).astype(np.uint8)
    images = torch.from_numpy(digits)[:, None].repeat(1, 3, 1, 1)
    images = torch.nn.functional.interpolate(images, (16, 16))
    return set_tasks(images[:400], images[400:], 16, 0)


def judged(tasks, embed):
    return proxies(embed, tasks, embed(tasks.bank), embed(tasks.queries))


@pytest.fixture(scope="module")
def of_pixels(tasks):
    return judged(tasks, raw_features)


@pytest.fixture(scope="module")
def of_noise(tasks):
    noise = torch.Generator().manual_seed(0)
    return judged(tasks, lambda images: torch.randn(len(images), 8, generator=noise))


@pytest.mark.parametrize("task", TASKS)
def test_pixels_beat_a_blind_encoder(of_noise, of_pixels, task):
    low, high = of_noise[task].mean(), of_pixels[task].mean()
    assert low < 0.35
    assert high > 2 * low


def test_hits_are_per_query(of_pixels):
    found = of_pixels
    assert all(found[task].shape == (200,) and found[task].max() <= 1 for task in TASKS)


def test_tasks_follow_the_seed(tasks):
    again = set_tasks(tasks.bank, tasks.queries, 16, 0)
    other = set_tasks(tasks.bank, tasks.queries, 16, 1)
    assert np.array_equal(again.bank_clusters, tasks.bank_clusters)
    assert torch.equal(again.views[0], tasks.views[0]) and not torch.equal(other.views[0], tasks.views[0])


def test_clusters_are_several(tasks):
    assert len(np.unique(tasks.bank_clusters)) == CLUSTERS


def test_photographs_of_unequal_sides_can_be_turned():
    image = torch.from_numpy(np.ascontiguousarray(data.astronaut()[:64, :48].transpose(2, 0, 1)))
    images = torch.stack([image.roll(n, 2) for n in range(120)])
    found = set_tasks(images[:100], images[100:], 32, 0)
    embed = lambda x: torch.nn.functional.adaptive_avg_pool2d(x.float(), 6).flatten(1)  # noqa: E731
    assert judged(found, embed)["rotation"].shape == (20,)


@pytest.mark.parametrize("directions", [1, 3, 7])
def test_lidar_counts_the_directions_that_tell_images_apart(directions):
    rng = torch.Generator().manual_seed(0)
    images = torch.zeros(400, 1, 8)
    images[..., :directions] = torch.randn(400, 1, directions, generator=rng)
    views = images + 0.01 * torch.randn(400, 5, 8, generator=rng)
    assert lidar(views) == pytest.approx(directions, rel=0.05)
