"""Pretraining: Lightning's loop around the contrastive step, with data, views and checkpoints of our own.

from adaptaug.simclr.trainer import Settings, pretrain
pretrain(Settings(data="photos/", out="run", policy="natural", arch="resnet50"))
"""

from __future__ import annotations

import json
import math
import platform
import signal
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightly.models.utils import get_weight_decay_parameters
from lightly.utils.lars import LARS
from lightly.utils.scheduler import CosineWarmupScheduler
from pytorch_lightning.callbacks import Callback

from adaptaug import __version__
from adaptaug.data import Images, open_data
from adaptaug.errors import AdaptAugError
from adaptaug.files import write_atomically
from adaptaug.policy import Policy
from adaptaug.simclr import checkpoints, evaluate
from adaptaug.simclr.contrast import Contrast, new_contrast
from adaptaug.simclr.encoders import fast_precision
from adaptaug.simclr.loading import Batches, Order, Unreadable
from adaptaug.views import Views

OPTIMIZERS = ("adamw", "lars")
PRECISIONS = ("auto", "32", "bf16")
VIEWS_ON = ("auto", "device", "cpu")
_BANK = 5000


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run; equal settings give equal weights, bit for bit, on one CPU and version.

    `rate` None: LARS .3 * batch / 256, AdamW .001 * batch / 256 (`scaling="linear"`), or with the square root of
    batch / 256 (`"sqrt"`). `views_on` auto: on the device where all images have one size, else in the workers.
    `held_out`: images kept from training as kNN's queries; its bank are up to 5,000 of the trained ones.
    """

    data: str
    out: str
    policy: str = "natural"
    arch: str = "resnet50"
    stem: str = "auto"
    size: int = 224
    epochs: int = 100
    batch: int = 256
    limit: int | None = None
    seed: int = 0
    optimizer: str = "adamw"
    rate: float | None = None
    scaling: str = "linear"
    weight_decay: float = 1e-4
    warm_up: float = 0.1
    temperature: float = 0.5
    layers: int = 2
    precision: str = "auto"
    views_on: str = "auto"
    workers: int = 0
    held_out: int = 2000
    knn_every: int = 5
    checkpoint_every: int = 200
    keep: int = 2

    def learning_rate(self) -> float:
        """The peak rate."""
        if self.rate is not None:
            return self.rate
        share = self.batch / 256
        return (0.3 if self.optimizer == "lars" else 1e-3) * (
            share if self.scaling == "linear" else math.sqrt(share)
        )


class Pretraining(pl.LightningModule):
    """The contrastive step as Lightning runs it; `measured` holds what the last step took and gave."""

    def __init__(self, settings: Settings, model: Contrast, steps: int, unreadable: Unreadable):
        super().__init__()
        self.save_hyperparameters({"arch": settings.arch})
        self.settings, self.model, self.steps, self.unreadable = settings, model, steps, unreadable
        self.measured: dict[str, float] = {}

    def training_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        began = time.perf_counter()
        self.unreadable.add(batch["bad"])
        if "views" in batch:
            views, certificate = batch["views"], float("nan")
        else:
            views, params = self.model.views(batch["images"], key=batch["keys"])
            acted = torch.stack([(p.strength < 1) & ~p.blank | p.frame for p in params])
            certificate = float(acted.float().mean())
        made = time.perf_counter()
        loss = self.model.loss_of(views)
        self.measured = {
            "train_loss": float(loss.detach()), "certificate_share": certificate,
            "views_seconds": made - began, "forward_seconds": time.perf_counter() - made,
        }  # fmt: skip
        if not math.isfinite(self.measured["train_loss"]):
            raise AdaptAugError(f"step {self.global_step}: the loss is {self.measured['train_loss']}; "
                                "lower --rate or use --precision 32.")  # fmt: skip
        return loss

    def transfer_batch_to_device(self, batch: dict[str, Any], device: torch.device, _: int) -> dict[str, Any]:
        move = lambda x: x.to(device, non_blocking=True)  # noqa: E731
        return {
            name: move(value) if name == "images" else [move(v) for v in value] if name == "views" else value
            for name, value in batch.items()
        }

    def configure_optimizers(self) -> Any:
        settings = self.settings
        decayed, free = get_weight_decay_parameters([self.model])
        groups = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
        rate = settings.learning_rate()
        optimizer: torch.optim.Optimizer
        if settings.optimizer == "lars":
            optimizer = LARS(groups, lr=rate, momentum=0.9, weight_decay=settings.weight_decay)
        else:
            optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=settings.weight_decay)
        schedule = CosineWarmupScheduler(optimizer, max(1, round(self.steps * settings.warm_up)), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Log(Callback):
    """metrics.jsonl: one object a step. A resumed run first drops the lines of steps it will do again."""

    def __init__(self, file: Path, batch: int):
        self.path, self.batch = file, batch

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        lines = []
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    if json.loads(line)["step"] <= trainer.global_step:
                        lines.append(line)
                except ValueError:  # cut off by a kill
                    break
        write_atomically(self.path, lambda file: file.write("".join(f"{line}\n" for line in lines).encode()))
        self.file = self.path.open("a", buffering=1)
        self.ended = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        now = time.perf_counter()
        took, self.ended = now - self.ended, now
        line = {
            "step": trainer.global_step, "epoch": trainer.current_epoch, **module.measured,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"], "step_seconds": took,
            "images_per_second": self.batch / took,
        }  # fmt: skip
        self.write({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()})

    def write(self, line: dict[str, Any]) -> None:
        """Append one object; a number that is not finite is left out."""
        finite = {k: v for k, v in line.items() if not isinstance(v, float) or math.isfinite(v)}
        self.file.write(json.dumps(finite) + "\n")

    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        if hasattr(self, "file"):
            self.file.close()


class Held(Callback):
    """kNN and label-free diagnostics on the held-out part, after the first and every few epochs and at the end."""

    def __init__(self, images: Images, held: np.ndarray, trained: np.ndarray, settings: Settings, log: Log):
        self.images, self.held, self.bank = images, held, trained[:_BANK]
        self.settings, self.lines = settings, log

    def measure(self, model: Contrast) -> dict[str, float]:
        """Scores in percent (kNN-20, where there are labels), RankMe, alignment and uniformity of two views."""
        side = None if self.images.same_size else self.settings.size
        pixels = self.images.pixels(self.held, side)
        asked = evaluate.features(model.encoder, pixels, precision=model.precision)
        scores = {"rankme": evaluate.rankme(asked)}
        labels = self.images.labels
        if labels is not None:
            bank = self.images.pixels(self.bank, side)
            known = evaluate.features(model.encoder, bank, precision=model.precision)
            for name, (there, here) in {
                "knn": (known, asked),
                "knn_of_raw_pixels": (evaluate.raw_features(bank), evaluate.raw_features(pixels)),
            }.items():
                hits = evaluate.knn_correct(there, labels[self.bank], here, labels[self.held])
                scores[name] = 100 * float(hits.mean())
        keys = [(self.settings.seed, 0, i) for i in range(min(256, len(pixels)))]
        views, _ = model.views(pixels[: len(keys)].to(next(model.parameters()).device), key=keys)
        scores |= evaluate.alignment_uniformity(*(model.embed_clean(view) for view in views))
        return {name: round(value, 4) for name, value in scores.items()}

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        if trainer.global_step == 0:
            self._note(trainer, module, -1)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        done = trainer.current_epoch + 1
        if done % self.settings.knn_every == 0 or done == self.settings.epochs:
            self._note(trainer, module, trainer.current_epoch)

    def _note(self, trainer: pl.Trainer, module: Any, epoch: int) -> None:
        if len(self.held) >= 20 and trainer.is_global_zero:
            self.last = self.measure(module.model)
            self.lines.write({"step": trainer.global_step, "epoch": epoch, **self.last})


class Save(Callback):
    """A checkpoint every few steps, at the end, and at SIGTERM or Ctrl-C; the newest few are kept."""

    def __init__(self, folder: Path, every: int, keep: int):
        self.folder, self.every, self.keep = folder, every, keep
        self.asked: int | None = None

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        def ask(number: int, frame: Any) -> None:
            self.asked = number

        self.before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        if self.asked is not None:
            trainer.should_stop = True
        if (
            trainer.global_step % self.every == 0
            or self.asked is not None
            or trainer.global_step == module.steps
        ):
            trainer.save_checkpoint(checkpoints.path_of(self.folder, trainer.global_step))
            for old in checkpoints.checkpoints(self.folder)[self.keep :]:
                old.unlink(missing_ok=True)

    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        for number, handler in getattr(self, "before", {}).items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its folder, the last held-out scores, steps done of all, images left out."""

    folder: Path
    scores: dict[str, float]
    step: int
    steps: int
    unreadable: list[str]
    notes: list[str]


def pretrain(settings: Settings, resume: bool = False, progress: bool = False) -> Finished:
    """Pretrain, or go on from the newest checkpoint in `settings.out` that can be read.

    Raises: AdaptAugError: settings or data that cannot be trained on (before training, where that is knowable),
    a folder that holds another run, too many unreadable images, a loss that is not finite.
    """
    images, order, trained, held = _prepare(settings)
    folder = Path(settings.out)
    state, notes = _settle(folder, settings, images, resume)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = {"auto": fast_precision(device), "bf16": torch.bfloat16, "32": None}[settings.precision]
    model = new_contrast(
        settings.arch, Policy.load(settings.policy), settings.size, settings.seed, settings.stem,
        layers=settings.layers, temperature=settings.temperature, precision=precision, return_params=True,
    )  # fmt: skip
    unreadable = Unreadable(len(trained))
    module = Pretraining(settings, model, settings.epochs * order.steps_per_epoch, unreadable)
    on_device = settings.views_on == "device" or (settings.views_on == "auto" and images.same_size)
    views = None if on_device else Views(settings.policy, size=settings.size)
    log = Log(folder / "metrics.jsonl", settings.batch)
    measured = Held(images, held, trained, settings, log)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|torch.optim.lr_scheduler")
        trainer = pl.Trainer(
            max_epochs=settings.epochs, accelerator="auto", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=progress, enable_model_summary=False, use_distributed_sampler=False,
            plugins=[checkpoints.AtomicIO()],
            callbacks=[log, measured, Save(folder, settings.checkpoint_every, settings.keep)],
        )  # fmt: skip
        loader = Batches(images, trained, order, lambda: trainer.global_step, views, settings.workers)
        trainer.fit(module, train_dataloaders=loader, ckpt_path=None if state is None else str(state))
    made = {
        "policy": Policy.load(settings.policy).dumps(), "settings": asdict(settings), "data": images.fingerprint(),
        "steps": trainer.global_step, "of": module.steps, "adaptaug": __version__, "torch": torch.__version__,
        "python": platform.python_version(),
    }  # fmt: skip
    checkpoints.export_encoder(model.encoder, folder, made)
    scores = getattr(measured, "last", {})
    return Finished(folder, scores, trainer.global_step, module.steps, list(unreadable.sentences), notes)


def _prepare(settings: Settings) -> tuple[Images, Order, np.ndarray, np.ndarray]:
    """Open the data and check all that can be checked before training."""
    for name, known in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS), ("views_on", VIEWS_ON),
                        ("scaling", ("linear", "sqrt"))):  # fmt: skip
        value = getattr(settings, name)
        if value not in known:
            raise AdaptAugError(f"{name}: expected one of {', '.join(known)}, got {value!r}.")
    Policy.load(settings.policy)
    images = open_data(settings.data)
    if settings.views_on == "device" and not images.same_size:
        raise AdaptAugError(
            f"{settings.data}: views on the device need images of one size (an .npz); use --views-on cpu."
        )
    chosen = np.random.default_rng((settings.seed, 7)).permutation(len(images))
    held_count = min(settings.held_out, len(images) // 5)
    held, trained = chosen[:held_count], chosen[held_count:][: settings.limit]
    if settings.batch > len(trained) or settings.batch < 2:
        raise AdaptAugError(f"batch: expected 2 to {len(trained)}, the images there are to train on "
                            f"({held_count} are held out), got {settings.batch}.")  # fmt: skip
    return images, Order(len(trained), settings.batch, settings.seed), trained, held


def _settle(folder: Path, settings: Settings, images: Images, resume: bool) -> tuple[Path | None, list[str]]:
    """Make the run's folder, or find where it stopped."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ".writable", lambda file: file.write(b""))
        (folder / ".writable").unlink()
    except OSError as error:
        raise AdaptAugError(
            f"{folder}: expected a folder to write the run into ({error.strerror})."
        ) from None
    found = checkpoints.checkpoints(folder)
    if resume:
        return checkpoints.newest(folder, settings.arch)
    if found:
        raise AdaptAugError(
            f"{folder}: holds a run already; continue it with --resume, or choose another --out."
        )
    return None, []
