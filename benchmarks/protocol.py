"""How a policy is judged: the same small SimCLR for everybody, then frozen features against labels.

Data are split once by the seed: images to train on, a hold-out by which policies are chosen and tuned, and a test split
whose labels are sealed until the network is trained. Every choice is equal for equal seeds: first weights, batches,
images, and the keys of the views.
"""

from __future__ import annotations

import base64
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from adaptaug.data import Images, open_data
from adaptaug.data.labels import renumbered
from adaptaug.encoders.networks import fast_precision
from adaptaug.errors import AdaptAugError
from adaptaug.learn.arms import keys_of
from adaptaug.simclr import growing
from adaptaug.simclr.contrast import Contrast, new_contrast
from adaptaug.simclr.metrics import features, knn_correct, labelled_subset
from adaptaug.simclr.settings import sources_of
from benchmarks.rivals import Make, maker, parted, policy_of
from benchmarks.shifts import EXPOSURES, RELIANCE, expose, is_grey

PENALTIES = (0.003, 0.03, 0.3)  # C of the linear probe, chosen on a fifth of the bank
TOLD_APART = 2500  # test images for what a feature relies on


@dataclass(frozen=True)
class Recipe:
    """What every policy of a table has in common, but for what its name changes (`rivals.CHANGES`).

    A step has 2 * `batch` views, `views` of each image, and a training as many steps whatever `views` is: `epochs`
    passes over the images with two, epochs * 2 / views with more; `small` more views have half the side and count as a
    fourth each. `norm`: whether BatchNorm's statistics are those of a step's views together (`step`), or of each view's
    number apart (`view`), a control. `first_size`: the side of the first views, which grow (`growing`), in as many more
    steps as cost the same; 0: all of full size. `tell`: what the head is told of each view, joined by +.
    `labels`: images of the bank for kNN and probe, 0: all trained on.
    """

    arch: str = "resnet-tiny"
    limit: int = 8000
    epochs: int = 25
    batch: int = 128
    rate: float = 2e-3
    held_out: int = 4000
    labels: int = 0
    views: int = 2
    small: int = 0
    norm: str = "step"
    first_size: int = 0
    tell: str = ""

    def __post_init__(self) -> None:
        sources_of(self.batch, self.views, self.small / 4)
        if self.norm not in ("step", "view"):
            raise AdaptAugError(f"norm: expected step or view, got {self.norm!r}.")

    @property
    def told(self) -> tuple[str, ...]:
        """What the head is told of each view."""
        return tuple(filter(None, self.tell.split("+")))

    @property
    def sources(self) -> int:
        """Images a step."""
        return sources_of(self.batch, self.views, self.small / 4)

    def common(self) -> dict[str, Any]:
        """What all lines of a table share."""
        own = ("views", "small", "norm", "first_size", "tell")  # of a name
        return {name: value for name, value in asdict(self).items() if name not in own}


SUITES = {
    "cpu": Recipe(),
    "short": Recipe(limit=5000, epochs=12),
    "gpu": Recipe(arch="resnet18", limit=50_000, epochs=200, batch=512, held_out=5000),
    "gpu-resnet50": Recipe(arch="resnet50", limit=50_000, epochs=200, batch=512, held_out=5000),
}


class Sealed:
    """A test split. Its pixels may be looked at; its labels only after `unseal`, once a network is trained."""

    def __init__(self, pixels: torch.Tensor, labels: np.ndarray):
        self.pixels, self._labels, self._open = pixels, labels, False

    def unseal(self, model: Contrast, steps: int) -> np.ndarray:
        """The labels, given the network that has been trained and will not be trained on."""
        if steps <= 0 or model.training:
            raise AdaptAugError(
                "test labels: expected a trained network in evaluation mode; they are read last."
            )
        self._open = True
        return self.labels

    @property
    def labels(self) -> np.ndarray:
        if not self._open:
            raise AdaptAugError("test labels: expected the final evaluation, got a request before it.")
        return self._labels


@dataclass(frozen=True)
class Split:
    """Pixels (N, 3, S, S) uint8 and labels; `index`: numbers in the data set."""

    train: torch.Tensor
    train_labels: np.ndarray
    held: torch.Tensor
    held_labels: np.ndarray
    test: Sealed

    @property
    def size(self) -> int:
        return int(self.train.shape[-1])


def test_of(data: str) -> str | None:
    """Where the test split of a data set lies, by its name; None: a fifth of the images is set aside."""
    path = Path(data)
    if "_train" in path.name:
        files = sorted(path.parent.glob(path.name.partition("_train")[0] + "_test*" + path.suffix))
        return str(files[0]) if files else None
    if data.lower().startswith("torchvision:"):
        name, at, root = data.partition("@")
        return f"{name.removesuffix(':train')}:test{at}{root}"
    if path.name == "train" and (path.parent / "val").is_dir():  # an ImageFolder as ImageNet's
        return str(path.parent / "val")
    return None


@lru_cache(maxsize=4)
def _opened(data: str) -> Images:
    if data == "sklearn:digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.repeat((digits.images * 15.9).astype(np.uint8)[..., None], 3, 3)
        from adaptaug.data.sources import Array

        names = [f"digits[{i}]" for i in range(len(pixels))]
        return Images(names, digits.target, [str(d) for d in range(10)], Array(pixels))
    return open_data(data)


def _labelled(data: str) -> Images:
    try:
        return _opened(data).labelled()
    except AdaptAugError as error:
        raise AdaptAugError(f"{data}: {error}") from None


@lru_cache(maxsize=8)
def split(data: str, test: str | None, exposure: str, recipe: Recipe, seed: int, size: int | None) -> Split:
    """The images of one run; `exposure` is that of training and hold-out (the test is shifted when it is judged).

    Raises: AdaptAugError: a data set without labels, or too small to be split.
    """
    images = _labelled(data)
    assert images.labels is not None
    order = np.arange(len(images))
    apart = test or test_of(data)
    if apart is None:
        order = np.random.default_rng(11).permutation(order)  # the same test split for every seed
        order, sealed = order[len(order) // 5 :], order[: len(order) // 5]
        queries = images
    else:
        queries = _labelled(apart)
        sealed = np.arange(len(queries))
    order = np.random.default_rng((seed, 99)).permutation(order)
    held_count = min(recipe.held_out, len(order) // 5)
    held, train = order[:held_count], order[held_count:][: recipe.limit]
    if len(train) < 2 * recipe.batch:
        raise AdaptAugError(f"{data}: expected {2 * recipe.batch} images to train on, got {len(train)}.")
    side = size or (None if images.same_size else 96)
    pixels = lambda of, which: expose(of.pixels(which, side), which, exposure)  # noqa: E731
    assert queries.labels is not None
    answers, _ = renumbered(queries.labels, queries.class_names, images.labels, images.class_names)
    return Split(
        pixels(images, train), images.labels[train], pixels(images, held), images.labels[held],
        Sealed(queries.pixels(sealed, side), answers[sealed]),
    )  # fmt: skip


class Training:
    """SimCLR with AdamW and a cosine over `steps`; the same steps wherever it is stopped and gone on with.

    images: (N, 3, S, S) uint8, on the model's device or not; make: what makes the views, default: what `name` stands
    for.
    """

    def __init__(
        self, model: Contrast, name: str, images: torch.Tensor, recipe: Recipe, seed: int,
        make: Make | None = None,
    ):  # fmt: skip
        self.model, self.images, self.recipe, self.seed = model, images, recipe, seed
        self.embed = _each_view_apart(model, recipe.sources) if recipe.norm == "view" else model._embed
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=1e-4)
        self.per_epoch = len(images) // recipe.batch
        size = int(images.shape[-1])
        self.steps = round(recipe.epochs * self.per_epoch / growing.cost(recipe.first_size or size, size))
        self.done = 0
        self.views = growing.Growing(
            lambda side: make or maker(name, side, recipe.views, recipe.small, recipe.told),
            recipe.first_size, size, self.steps,
        )  # fmt: skip
        self.loss = torch.tensor(float("nan"))

    def go(self, steps: int) -> None:
        """So many steps more, or as many as are left."""
        device = next(self.model.parameters()).device
        self.model.train()
        upto = min(self.done + steps, self.steps)
        for epoch, index in itertools.islice(
            _batches(len(self.images), self.recipe.sources, self.seed), self.done, upto
        ):
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate()
            batch = self.images[torch.from_numpy(index).to(self.images.device)].to(device)
            batch_views = self.views.at(self.done)(batch, keys_of(self.seed, epoch, index), self.model)
            views, told = batch_views if self.recipe.tell else (batch_views, None)
            loss = self.model.objective(self.embed, self.model.encoder, views, told)[0]
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.loss, self.done = loss.detach(), self.done + 1
        self.model.eval()

    def _rate(self) -> float:
        return (
            self.recipe.rate
            * min(1, (self.done + 1) / 50)
            * 0.5
            * (1 + math.cos(math.pi * self.done / self.steps))
        )

    def state(self) -> dict[str, Any]:
        """What `resume` needs to go on."""
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "done": self.done,
            "loss": self.loss,
        }  # fmt: skip

    def resume(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.loss = state["done"], state["loss"]
        self.model.eval()


def train(model: Contrast, name: str, images: torch.Tensor, recipe: Recipe, seed: int) -> tuple[int, float]:
    """A whole `Training`; (steps, last loss)."""
    training = Training(model, name, images, recipe, seed)
    training.go(training.steps)
    return training.steps, float(training.loss)


def _batches(count: int, batch: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    """(epoch, indices of a batch) without an end; each epoch is a permutation, its remainder left out."""
    for epoch in itertools.count():
        order = np.random.default_rng((seed, epoch)).permutation(count)
        for first in range(0, count - batch + 1, batch):
            yield epoch, order[first : first + batch]


def _each_view_apart(model: Contrast, sources: int) -> Callable[..., torch.Tensor]:
    """As the model embeds, but view number by view number, so that BatchNorm sees one number at a time."""
    return lambda encoder, head, *images: torch.cat(
        [
            model._embed(encoder, head, *parts)
            for parts in zip(*(i.split(sources) for i in images), strict=True)
        ]
    )


class Probe:
    """Multinomial logistic regression (L-BFGS) on standardised features; the penalty is chosen on a fifth of them."""

    def __init__(self, bank: torch.Tensor, labels: np.ndarray):
        points = bank.numpy()
        fifth = len(points) // 5
        fit = lambda c, x, y: make_pipeline(  # noqa: E731
            StandardScaler(), LogisticRegression(C=c, max_iter=200, tol=1e-3)
        ).fit(x, y)
        scores = [
            fit(c, points[fifth:], labels[fifth:]).score(points[:fifth], labels[:fifth]) for c in PENALTIES
        ]
        self._fitted = fit(PENALTIES[int(np.argmax(scores))], points, labels)

    def correct(self, queries: torch.Tensor, labels: np.ndarray) -> np.ndarray:
        return self._fitted.predict(queries.numpy()) == labels


def judge(
    model: Contrast, data: Split, exposure: str, recipe: Recipe, seed: int, steps: int
) -> dict[str, Any]:
    """Accuracies in percent on the hold-out, then on the test split as it is and changed.

    `scores[variant][measure]`; `hits[measure]`: of each test image in the exposure of the training, a bit, base64;
    `by_brightness`: the probe's accuracy by tenth of the mean luma of these images.
    """
    embed = lambda images: features(model.encoder, images, precision=model.precision)  # noqa: E731
    labelled = np.arange(len(data.train_labels))
    if recipe.labels:
        labelled = labelled_subset(data.train_labels, recipe.labels, seed)
    bank, bank_labels = embed(data.train)[labelled], data.train_labels[labelled]
    probe = Probe(bank, bank_labels)

    def hits(points: torch.Tensor, labels: np.ndarray) -> dict[str, np.ndarray]:
        return {"knn": knn_correct(bank, bank_labels, points, labels), "probe": probe.correct(points, labels)}

    percent = lambda right: {name: round(100 * float(bits.mean()), 3) for name, bits in right.items()}  # noqa: E731
    scores = {"hold-out": percent(hits(embed(data.held), data.held_labels))}
    labels = data.test.unseal(model, steps)
    pixels, index = data.test.pixels, np.arange(len(labels))
    whole = {
        name: hits(embed(expose(pixels, index, name, seed=1)), labels)
        for name in dict.fromkeys(("clean", exposure))
    }
    scores |= {name: percent(right) for name, right in whole.items()}
    few = slice(0, TOLD_APART)
    changed = {} if is_grey(pixels[few]) else RELIANCE
    changed = changed or {name: RELIANCE[name] for name in ("occluded", "centre")}
    scores |= {
        name: percent(hits(embed(change(pixels[few])), labels[few])) for name, change in changed.items()
    }
    if exposure == "mixed":
        for name in EXPOSURES[1:]:
            scores[name] = percent(hits(embed(expose(pixels[few], index[few], name, seed=1)), labels[few]))
    luma = expose(pixels, index, exposure, seed=1).float().mean((1, 2, 3)).numpy()
    tenths = np.array_split(np.argsort(luma, kind="stable"), 10)
    return {
        "scores": scores,
        "hits": {m: base64.b64encode(np.packbits(b).tobytes()).decode() for m, b in whole[exposure].items()},
        "by_brightness": [round(100 * float(whole[exposure]["probe"][part].mean()), 2) for part in tenths],
    }


def run(
    name: str, data: str, test: str | None, exposure: str, recipe: Recipe, seed: int, size: int | None = None,
    longer: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    """Train with one policy and one seed and judge it: a line of the results. `longer`: times the recipe's epochs."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    apart = split(data, test, exposure, recipe, seed, size)
    name, changes = parted(name)
    recipe = replace(recipe, epochs=max(1, round(recipe.epochs * longer)), **changes)
    extra = {"policy": policy_of(name), "tell": recipe.told} if recipe.told else {"policy": "natural"}
    model = new_contrast(
        recipe.arch, size=apart.size, seed=seed, precision=fast_precision(device), **extra
    ).to(device)
    began, used = time.perf_counter(), time.process_time()
    steps, loss = train(model, name, apart.train, recipe, seed)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    return {
        "steps": steps, "pairs": steps * recipe.batch, "epochs": recipe.epochs * 2 / (recipe.views + recipe.small / 4),
        "views": recipe.views, "small": recipe.small, "first_size": recipe.first_size, "tell": recipe.tell,
        "loss": round(loss, 4),
        "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "device": device, "recipe": asdict(recipe),
        **judge(model, apart, exposure, recipe, seed, steps),
    }  # fmt: skip
