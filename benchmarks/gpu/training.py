"""Does `natural` train a better encoder than the tuned manual recipe, at papers' size: ResNets on CIFAR-10.

Both arms of a pair have the same first weights, batches, keys and number of epochs, and train in turns, an epoch each,
so that whatever the machine does hits both. Where a call's time ends the pair goes into a checkpoint, and the next call
goes on with the same steps. Accuracies are of the last epoch; nothing is chosen, so no hold-out is kept apart.
"""

from __future__ import annotations

import base64
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from adaptaug.backend.writing import write_atomically
from adaptaug.encoders.networks import fast_precision
from adaptaug.errors import AdaptAugError
from adaptaug.learn.intervals import paired_interval
from adaptaug.simclr.contrast import Contrast, new_contrast
from adaptaug.simclr.metrics import features, knn_correct
from adaptaug.simclr.settings import Settings
from benchmarks.gpu import making
from benchmarks.gpu.calls import Call, NoTime, Row, sentence
from benchmarks.gpu.cifar import Cifar, cifar
from benchmarks.protocol import PENALTIES, SUITES, Recipe, Training
from benchmarks.rivals import Make, policy_of

OURS, MANUAL = (
    "natural",
    "hand s=0.5 crop=0.2",
)  # the manual recipe: tuned on clean CIFAR-10, tune-cifar10-clean.jsonl
REFERENCE = "dkobak/simclr-cifar10 (lossless CIFAR-10), ResNet18, 100 epochs: kNN-10 83.2, linear 85.6"
RECIPE = replace(SUITES["gpu"], held_out=0)
MOST = 100  # epochs
KEPT_EVERY = 60.0  # seconds between checkpoints
FILLED = 0.9  # of the time by epochs: checkpoints take some, and so does a second start
SLACK = 1.3  # an epoch may take so many times the last one


@dataclass(frozen=True)
class Sizes:
    """`archs`: a pair each; least: epochs under which a pair is not begun; later: seconds that later calls will have;
    judging: seconds that it takes to judge both arms."""

    archs: tuple[str, ...] = ("resnet18", "resnet50")
    recipe: Recipe = RECIPE
    limit: int = 50_000
    epochs: int | None = None  # None: as many as fit, up to MOST
    least: int = 10
    later: float = 0.0
    judging: float = 30.0
    timed: int = 8  # steps


class Pair:
    """Two trainings of one network, step by step alike but for their views."""

    def __init__(self, arch: str, data: Cifar, sizes: Sizes, epochs: int, device: torch.device):
        self.data, self.device = data, device
        usual = Settings("", "", batch=sizes.recipe.batch).settled({}).views
        recipes = {OURS: replace(sizes.recipe, views=usual), MANUAL: replace(sizes.recipe, views=2)}
        self.notes: dict[str, str] = {}
        self.arms: dict[str, Training] = {}
        for name, recipe in recipes.items():
            recipe = replace(recipe, arch=arch, epochs=epochs)
            side = int(data.train.shape[-1])
            model = new_contrast(arch, OURS, side, 0, precision=fast_precision(device)).to(device)
            self.arms[name] = Training(model, name, data.train, recipe, 0, self._maker(name, side, recipe))
        self.epochs, self.seconds = epochs, 0.0

    def _maker(self, name: str, side: int, recipe: Recipe) -> Make:
        """Its views as a CUDA graph, if that makes the same, else one operation after the other."""
        policy = policy_of(name)
        assert policy is not None
        eager = making.eager(policy, side, "imagenet", recipe.views)
        make, self.notes[name] = eager, "views: CUDA graph"
        try:
            make = self._captured(eager, recipe.sources)
        except Exception as error:
            self.notes[name] = f"views: eager ({sentence(error)})"

        def views(images: torch.Tensor, keys: np.ndarray, _: Contrast) -> list[torch.Tensor]:
            return make(images, torch.from_numpy(keys).to(images.device))

        return views

    def _captured(self, eager: making.Make, sources: int) -> making.Make:
        images = self.data.train[:sources]
        keys = torch.arange(3 * len(images), device=self.device).reshape(-1, 3)
        captured = making.Captured(eager, images, keys)
        made, expected = captured(images.flip(0), keys + 1), eager(images.flip(0), keys + 1)
        differ = float(((torch.stack(made) - torch.stack(expected)).abs() > 1e-3).float().mean())
        if differ > 1e-3:  # single sums that a device adds up in another order may turn a level
            raise AdaptAugError(
                f"a CUDA graph: expected the eager views, got others at {differ:.1%} of values."
            )
        return captured

    @property
    def done(self) -> int:
        """Epochs of both."""
        return min(arm.done // arm.per_epoch for arm in self.arms.values())

    def epoch(self) -> None:
        """One of each; who goes first alternates."""
        for arm in list(self.arms.values())[:: 1 if self.done % 2 else -1]:
            arm.go((self.done + 1) * arm.per_epoch - arm.done)
        making.wait(self.device)

    def state(self) -> dict[str, Any]:
        arms = {name: arm.state() for name, arm in self.arms.items()}
        return {"arms": arms, "epochs": self.epochs, "seconds": self.seconds}

    def resume(self, state: dict[str, Any]) -> None:
        for name, arm in self.arms.items():
            arm.resume(state["arms"][name])
        self.seconds = state["seconds"]


def trained(arch: str, call: Call, sizes: Sizes, folder: Path, device: torch.device) -> dict[str, Any]:
    """A pair from where it was left to its end, then judged. Raises: NoTime: the call's time ends before."""
    file = call.out.parent / f"{arch}.pt"
    data = cifar(folder, sizes.limit, device)
    state = torch.load(file, map_location=device, weights_only=True) if file.exists() else None
    epochs = state["epochs"] if state else sizes.epochs or _that_fit(arch, call, data, sizes, device)
    pair = Pair(arch, data, sizes, epochs, device)
    if state:
        pair.resume(state)
    _go_on(pair, call, file)
    if call.left < sizes.judging:
        _keep(pair, file)
        raise NoTime(f"trained, {epochs} epochs of each; {sizes.judging:.0f} s to judge them are not left")
    scores = judged(pair)
    file.unlink(missing_ok=True)
    return {
        "epochs": epochs, "seconds_an_epoch_of_both": round(pair.seconds / epochs, 2), "notes": pair.notes,
        "recipe": asdict(pair.arms[MANUAL].recipe), "reference": REFERENCE, **scores,
    }  # fmt: skip


def _that_fit(arch: str, call: Call, data: Cifar, sizes: Sizes, device: torch.device) -> int:
    """Epochs by the time that a few steps of both arms take, after two; all are thrown away."""
    pair = Pair(arch, data, sizes, 1, device)
    for arm in pair.arms.values():
        arm.go(2)
    making.wait(device)
    start = call.clock()
    for arm in pair.arms.values():
        arm.go(sizes.timed)
    making.wait(device)
    arm = pair.arms[OURS]
    epoch = (call.clock() - start) / (arm.done - 2) * arm.per_epoch
    epochs = min(MOST, int(FILLED * (call.left + sizes.later - sizes.judging) / epoch))
    if epochs < sizes.least:
        raise NoTime(
            f"an epoch of both arms takes {epoch:.1f} s: {max(0, epochs)} would fit, {sizes.least} are wanted"
        )
    return epochs


def _go_on(pair: Pair, call: Call, file: Path) -> None:
    """Epoch after epoch, to the end or as long as there is time."""
    longest, saved = pair.seconds / max(1, pair.done), call.clock()
    while pair.done < pair.epochs:
        if SLACK * longest > call.left or call.left <= 0:
            _keep(pair, file)
            raise NoTime(f"{pair.done} of {pair.epochs} epochs of each are done; another call goes on")
        start = call.clock()
        pair.epoch()
        longest = call.clock() - start
        pair.seconds += longest
        losses = ", ".join(f"{name} {float(arm.loss):.3f}" for name, arm in pair.arms.items())
        print(f"epoch {pair.done} of {pair.epochs}: {longest:.1f} s; {losses}", flush=True)
        if call.clock() - saved > KEPT_EVERY:
            _keep(pair, file)
            saved = call.clock()


def _keep(pair: Pair, kept: Path) -> None:
    write_atomically(kept, lambda file: torch.save(pair.state(), file))


# --- judging ------------------------------------------------------------------------------------------------
def judged(pair: Pair) -> dict[str, Any]:
    """Both arms on the test images, in percent, and ours above the manual one with what the images alone leave open."""
    start, hits, arms = time.perf_counter(), {}, []
    for name, arm in pair.arms.items():
        bank, test = (_features(arm.model, part) for part in (pair.data.train, pair.data.test.pixels))
        known, labels = pair.data.labels, pair.data.test.unseal(arm.model, arm.done)
        hits[name] = {
            "knn": knn_correct(bank, known, test, labels), "knn10": knn_correct(bank, known, test, labels, k=10),
            "probe": Probe(bank, known).correct(test, labels),
        }  # fmt: skip
        scores = {measure: round(100 * float(bits.mean()), 3) for measure, bits in hits[name].items()}
        packed = {m: base64.b64encode(np.packbits(b).tobytes()).decode() for m, b in hits[name].items()}
        row = {"policy": name, "views": arm.recipe.views, "loss": round(float(arm.loss), 4)}
        arms.append({**row, "scores": scores, "hits": packed})
    above = {m: str(paired_interval(hits[OURS][m][None], hits[MANUAL][m][None])) for m in hits[OURS]}
    return {
        "arms": arms,
        "ours above, one seed": above,
        "seconds judging": round(time.perf_counter() - start, 1),
    }


def _features(model: Contrast, images: torch.Tensor) -> torch.Tensor:
    return features(model.encoder, images, precision=model.precision).to(images.device)


class Probe:
    """As `protocol.Probe`, on the device: the same objective and the same choice of its penalty, there in seconds."""

    def __init__(self, bank: torch.Tensor, labels: np.ndarray):
        self.values, known = np.unique(labels, return_inverse=True)
        self.mean, self.std = bank.mean(0), bank.std(0, correction=0)
        self.std = torch.where(self.std == 0, 1.0, self.std)
        points, answers = self._standard(bank), torch.from_numpy(known).to(bank.device)
        fifth = len(points) // 5
        scores = []
        for penalty in PENALTIES:
            fitted = _fit(points[fifth:], answers[fifth:], len(self.values), penalty)
            scores.append(float((fitted(points[:fifth]).argmax(1) == answers[:fifth]).float().mean()))
        self._fitted = _fit(points, answers, len(self.values), PENALTIES[int(np.argmax(scores))])

    def _standard(self, points: torch.Tensor) -> torch.Tensor:
        return (points - self.mean) / self.std

    def correct(self, queries: torch.Tensor, labels: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            predicted = self._fitted(self._standard(queries)).argmax(1).cpu().numpy()
        return self.values[predicted] == np.asarray(labels)


def _fit(points: torch.Tensor, answers: torch.Tensor, classes: int, penalty: float) -> nn.Linear:
    """Multinomial logistic regression, scikit-learn's objective over N: mean loss + |weights|^2 / (2 penalty N)."""
    linear = nn.Linear(points.shape[1], classes, device=points.device)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    solver = torch.optim.LBFGS(
        linear.parameters(), max_iter=200, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = functional.cross_entropy(linear(points), answers)
        loss = loss + linear.weight.square().sum() / (2 * penalty * len(points))
        loss.backward()
        return loss

    solver.step(closure)
    return linear


def rows(sizes: Sizes, folder: Path, device: torch.device) -> list[Row]:
    def row(arch: str) -> Row:
        return Row(
            "training", arch, 0, lambda call: trained(arch, call, sizes, folder, device), resumable=True
        )

    return [row(arch) for arch in sizes.archs]
