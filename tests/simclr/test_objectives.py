"""The losses over several views, against plain loops over the pairs."""

import itertools

import pytest
import torch

pytest.importorskip("lightly")

from lightly.loss import BarlowTwinsLoss, NTXentLoss, VICRegLoss
from torch.nn import functional

from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.objectives import NTXent

IMAGES, WIDTH, TEMPERATURE = 5, 7, 0.2


def embeddings(views):
    generator = torch.Generator().manual_seed(views)
    return [
        torch.randn(IMAGES, WIDTH, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(views)
    ]


def loop(views, large=None):
    """The mean over images and ordered pairs, but those of two small views, term by term."""
    cosine = lambda u, v: functional.cosine_similarity(u, v, dim=0) / TEMPERATURE  # noqa: E731
    terms = []
    for i in range(IMAGES):
        for a, b in itertools.permutations(range(len(views)), 2):
            if large is not None and min(a, b) >= large:
                continue
            alike = torch.exp(cosine(views[a][i], views[b][i]))
            others = sum(
                torch.exp(cosine(views[a][i], view[j])) for j in range(IMAGES) if j != i for view in views
            )
            terms.append(-torch.log(alike / (alike + others)))
    return sum(terms) / len(terms)


def gradients(loss, views):
    return torch.stack(torch.autograd.grad(loss, views))


@pytest.mark.parametrize(("count", "large"), [(2, None), (3, None), (4, None), (5, 2)])
def test_nt_xent_is_the_mean_over_ordered_pairs(count, large):
    views = embeddings(count)
    mine, expected = NTXent(TEMPERATURE)(*views, large=large), loop(views, large)
    torch.testing.assert_close(mine, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(mine, views), gradients(expected, views), rtol=1e-9, atol=1e-12)


def test_nt_xent_of_two_views_is_lightlys():
    views = embeddings(2)
    assert NTXent(TEMPERATURE)(*views) == NTXentLoss(TEMPERATURE)(*views)


def test_it_stays_finite_where_exponentials_do_not():
    views = embeddings(3)
    loss = NTXent(1e-3)(*views)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradients(loss, views)).all()


@pytest.mark.parametrize("name", ["simclr", "byol", "vicreg", "barlow"])
def test_a_networks_loss_of_three_views_is_the_mean_over_pairs(name):
    """Of the embeddings that it returns; for byol, whose sides differ, of the prediction and the teacher's."""
    model = new_contrast("resnet-tiny", "digits", 16, seed=0, objective=name, temperature=TEMPERATURE, n=3)
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(IMAGES, 3, 16, 16, generator=generator) for _ in range(3)]
    loss, *made = model.loss_of(views)
    assert [z.shape[0] for z in made] == [IMAGES] * 3
    if name == "simclr":
        expected = loop(made)
    elif name == "byol":
        told = [model.objective.predictor(z) for z in made]
        target = model.objective._of_teacher(model._embed, torch.cat(views)).chunk(3)
        cosines = [
            functional.cosine_similarity(told[a], target[b]).mean()
            for a, b in itertools.permutations(range(3), 2)
        ]
        expected = -sum(cosines) / 6
    else:
        pair = VICRegLoss() if name == "vicreg" else BarlowTwinsLoss()
        expected = sum(pair(a, b) for a, b in itertools.combinations(made, 2)) / 3
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
