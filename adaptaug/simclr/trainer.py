"""Pretraining: Lightning's loop around the contrastive step, with data, views and checkpoints of our own.

from adaptaug.simclr.trainer import Settings, pretrain
pretrain(Settings(data="photos/", out="run", policy="natural", arch="resnet50"))
"""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightly.models.utils import get_weight_decay_parameters
from lightly.utils.lars import LARS
from lightly.utils.scheduler import CosineWarmupScheduler
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.precision import MixedPrecision
from pytorch_lightning.strategies import DDPStrategy

from adaptaug import __version__
from adaptaug.data import Images, open_data
from adaptaug.errors import AdaptAugError
from adaptaug.files import write_atomically
from adaptaug.policy import Policy
from adaptaug.simclr import checkpoints, evaluate
from adaptaug.simclr.contrast import Contrast, new_contrast
from adaptaug.simclr.encoders import fast_precision
from adaptaug.simclr.laps import Laps
from adaptaug.simclr.loading import Batches, Order, Unreadable
from adaptaug.simclr.objectives import OBJECTIVES
from adaptaug.views import Views

OPTIMIZERS = ("adamw", "lars")
PRECISIONS = ("auto", "32", "bf16", "fp16")
VIEWS_ON = ("auto", "device", "cpu")
_BANK = 5000


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run; equal settings give equal weights, bit for bit, on one CPU and version.

    `batch` counts the images of all processes: each of devices * nodes has an equal part, and the negatives are all
    others. `accumulate` adds the gradients of so many batches before a step; each batch has its own negatives only.
    `rate` None: LARS .3 * batch / 256, AdamW .001 * batch / 256 (`scaling="linear"`), or with the square root of
    batch / 256 (`"sqrt"`), a batch being what a step adds up. `views_on` auto: on the device where all images have
    one size, else in the workers. `held_out`: images kept from training as kNN's queries; its bank are up to 5,000 of
    the trained ones.
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
    objective: str = "simclr"
    temperature: float = 0.5
    layers: int = 2
    precision: str = "auto"
    views_on: str = "auto"
    workers: int = 0
    held_out: int = 2000
    knn_every: int = 5
    checkpoint_every: int = 200
    keep: int = 2
    accumulate: int = 1
    compile: bool = False
    tensorboard: bool = True
    devices: int = 1
    nodes: int = 1

    @property
    def processes(self) -> int:
        """Processes that train together, one a device."""
        return self.devices * self.nodes

    def learning_rate(self) -> float:
        """The peak rate."""
        if self.rate is not None:
            return self.rate
        share = self.batch * self.accumulate / 256
        return (0.3 if self.optimizer == "lars" else 1e-3) * (
            share if self.scaling == "linear" else math.sqrt(share)
        )


class Pretraining(pl.LightningModule):
    """The contrastive step as Lightning runs it; `measured` holds what the batches of the last step took and gave.

    Args:
        batches: (order, batches done, batches in all) -> the loader; called once the processes know each other.
        steps: of the optimizer, in the whole run.
    """

    def __init__(self, settings: Settings, model: Contrast, order: Order, batches: Callable[..., Batches],
                 unreadable: Unreadable):  # fmt: skip
        super().__init__()
        self.save_hyperparameters({"arch": settings.arch, "objective": settings.objective})
        self.settings, self.model, self.order, self.batches = settings, model, order, batches
        self.steps = settings.epochs * order.per_epoch // settings.accumulate
        self.unreadable = unreadable
        self.followed: int | None = None
        self.measured: dict[str, list[float]] = {}

    def train_dataloader(self) -> Batches:
        order = replace(self.order, rank=self.trainer.global_rank, ranks=self.trainer.world_size)
        done = lambda: self.trainer.global_step * self.settings.accumulate  # noqa: E731
        return self.batches(order, done, self.settings.epochs * order.per_epoch)

    def training_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        if self.followed != self.global_step:  # the first batch of a step
            self.model.objective.follow(self.model.encoder, self.global_step, self.steps)
            self.followed, self.measured = self.global_step, defaultdict(list)
        self.unreadable.add(batch["bad"])
        laps = Laps(self.device)
        if "views" in batch:
            views, certificate = batch["views"], float("nan")
        else:
            views, params = self.model.views(batch["images"], key=batch["keys"])
            acted = torch.stack([(p.strength < 1) & ~p.blank | p.frame for p in params])
            certificate = float(acted.float().mean())
        laps.mark()
        loss = self.model.loss_of(views)
        value = float(self.trainer.strategy.reduce(loss.detach(), reduce_op="mean"))
        laps.mark()
        made, forward = laps.seconds()
        for name, number in {"train_loss": value, "certificate_share": certificate,
                             "views_seconds": made, "forward_seconds": forward}.items():  # fmt: skip
            self.measured[name].append(number)
        if not math.isfinite(value):
            raise AdaptAugError(
                f"step {self.global_step}: the loss is {value}; lower --rate or use --precision 32."
            )
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
        trained = [[p for p in group if p.requires_grad] for group in (decayed, free)]
        groups: list[dict[str, Any]] = [{"params": trained[0]}, {"params": trained[1], "weight_decay": 0.0}]
        rate = settings.learning_rate()
        optimizer: torch.optim.Optimizer
        if settings.optimizer == "lars":
            optimizer = LARS(groups, lr=rate, momentum=0.9, weight_decay=settings.weight_decay)
        else:
            optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=settings.weight_decay)
        schedule = CosineWarmupScheduler(optimizer, max(1, round(self.steps * settings.warm_up)), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Log(Callback):
    """metrics.jsonl and TensorBoard: one object a step. A resumed run first drops the lines of steps it will do again.

    `seconds` adds up where the time of this session went: waiting for data, making views, the rest of the step.
    """

    def __init__(self, folder: Path, settings: Settings):
        self.path, self.settings = folder / "metrics.jsonl", settings
        self.file: IO[str] | None = None
        self.board: Any = None
        self.seconds = dict.fromkeys(("data", "views", "step"), 0.0)

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        self.ended = self.batch_ended = time.perf_counter()
        self.step, self.waited = trainer.global_step, 0.0
        if not trainer.is_global_zero:
            return
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
        if self.settings.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(
                str(self.path.parent / "tensorboard"), purge_step=trainer.global_step + 1
            )

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, index: int) -> None:
        self.waited += time.perf_counter() - self.batch_ended

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        self.batch_ended = now = time.perf_counter()
        if trainer.global_step == self.step:  # gradients are still being added
            return
        took, self.ended, self.step = now - self.ended, now, trainer.global_step
        seen = {name: sum(values) for name, values in module.measured.items()}
        count = len(module.measured["train_loss"])
        for part, spent in (("data", self.waited), ("views", seen["views_seconds"]),
                            ("step", took - self.waited - seen["views_seconds"])):  # fmt: skip
            self.seconds[part] += spent
        line = {
            "step": trainer.global_step, "epoch": trainer.current_epoch, "train_loss": seen["train_loss"] / count,
            "certificate_share": seen["certificate_share"] / count, "views_seconds": seen["views_seconds"],
            "forward_seconds": seen["forward_seconds"], "data_seconds": self.waited,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"], "step_seconds": took,
            "images_per_second": self.settings.batch * count / took,
        }  # fmt: skip
        self.waited = 0.0
        self.write({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()})

    def write(self, line: dict[str, Any]) -> None:
        """Append one object; a number that is not finite is left out."""
        if self.file is None:
            return
        finite = {k: v for k, v in line.items() if not isinstance(v, float) or math.isfinite(v)}
        self.file.write(json.dumps(finite) + "\n")
        if self.board is not None:
            for name, value in finite.items():
                self.board.add_scalar(name, value, line["step"])

    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        for sink in (self.file, self.board):
            if sink is not None:
                sink.close()


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
        self.asked = False

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        def ask(number: int, frame: Any) -> None:
            self.asked = True

        self.saved = trainer.global_step
        self.before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        step = trainer.global_step
        if step == self.saved:  # gradients are still being added
            return
        self.saved = step
        stop = self.asked  # all processes stop at the same step, whichever of them was asked
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        trainer.should_stop = trainer.should_stop or stop
        if step % self.every == 0 or stop or step == module.steps:
            trainer.save_checkpoint(checkpoints.path_of(self.folder, step))
            if trainer.is_global_zero:
                for old in checkpoints.checkpoints(self.folder)[self.keep :]:
                    old.unlink(missing_ok=True)

    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        for number, handler in getattr(self, "before", {}).items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Finished:
    """A run that has ended: its folder, the last held-out scores, steps done of all, images left out.

    `shares`: of this session's time, spent in data, views and the rest of the step. `first`: whether this is the
    first of the processes, the one that writes and prints.
    """

    folder: Path
    scores: dict[str, float]
    step: int
    steps: int
    unreadable: list[str]
    notes: list[str]
    shares: dict[str, float]
    first: bool


def launched() -> dict[str, int]:
    """`devices` and `nodes` as torchrun has started this process, or nothing."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return {}
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return {"devices": local, "nodes": int(os.environ["WORLD_SIZE"]) // local}


def pretrain(settings: Settings, resume: bool = False, progress: bool = False) -> Finished:
    """Pretrain, or go on from the newest checkpoint in `settings.out` that can be read.

    Raises: AdaptAugError: settings or data that cannot be trained on (before training, where that is knowable),
    a folder that holds another run, too many unreadable images, a loss that is not finite.
    """
    images, order, trained, held = _prepare(settings)
    folder = Path(settings.out)
    state, notes = _settle(folder, settings, resume)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    types = {"auto": fast_precision(device), "bf16": torch.bfloat16, "fp16": torch.float16, "32": None}
    precision = types[settings.precision]
    model = new_contrast(
        settings.arch, Policy.load(settings.policy), settings.size, settings.seed, settings.stem,
        objective=settings.objective, layers=settings.layers, temperature=settings.temperature,
        precision=precision, return_params=True,
    )  # fmt: skip
    if settings.compile:
        model.encoder.compile()
    unreadable = Unreadable(len(trained))
    on_device = settings.views_on == "device" or (settings.views_on == "auto" and images.same_size)
    views = None if on_device else Views(settings.policy, size=settings.size)
    batches = partial(Batches, images, trained, views=views, workers=settings.workers)
    module = Pretraining(settings, model, order, batches, unreadable)
    log = Log(folder, settings)
    measured = Held(images, held, trained, settings, log)
    callbacks = [log, measured, Save(folder, settings.checkpoint_every, settings.keep)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|torch.optim.lr_scheduler")
        trainer = _lightning(settings, device, callbacks, progress)
        trainer.fit(module, ckpt_path=None if state is None else str(state))
    if trainer.is_global_zero:
        made = {
            "policy": Policy.load(settings.policy).dumps(), "settings": asdict(settings), "data": images.fingerprint(),
            "steps": trainer.global_step, "of": module.steps, "adaptaug": __version__, "torch": torch.__version__,
            "python": platform.python_version(),
        }  # fmt: skip
        checkpoints.export_encoder(model.encoder, folder, made)
    total = sum(log.seconds.values()) or 1.0
    return Finished(
        folder, getattr(measured, "last", {}), trainer.global_step, module.steps, list(unreadable.sentences), notes,
        {part: spent / total for part, spent in log.seconds.items()}, trainer.is_global_zero,
    )  # fmt: skip


def _lightning(settings: Settings, device: str, callbacks: list[Callback], progress: bool) -> pl.Trainer:
    """Lightning's Trainer; BatchNorm's statistics are those of all processes on GPUs, of each one on CPUs."""
    many = settings.processes > 1
    plugins: list[Any] = [checkpoints.AtomicIO()]
    if settings.precision == "fp16":  # its gradients need scaling; the forward casts for itself
        plugins.append(MixedPrecision("16-mixed", device, torch.amp.GradScaler(device)))
    backend = "nccl" if device == "cuda" else "gloo"
    return pl.Trainer(
        max_epochs=settings.epochs, accelerator=device, devices=settings.devices, num_nodes=settings.nodes,
        strategy=DDPStrategy(process_group_backend=backend) if many else "auto",
        sync_batchnorm=many and device == "cuda", accumulate_grad_batches=settings.accumulate,
        logger=False, enable_checkpointing=False, enable_progress_bar=progress, enable_model_summary=False,
        use_distributed_sampler=False, plugins=plugins, callbacks=callbacks,
    )  # fmt: skip


def _prepare(settings: Settings) -> tuple[Images, Order, np.ndarray, np.ndarray]:
    """Open the data and check all that can be checked before training."""
    for name, known in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS), ("views_on", VIEWS_ON),
                        ("scaling", ("linear", "sqrt")), ("objective", OBJECTIVES)):  # fmt: skip
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
    least = 2 * settings.processes
    if settings.batch * settings.accumulate > len(trained) or settings.batch < least:
        adding = f" in {settings.accumulate} batches" if settings.accumulate > 1 else ""
        raise AdaptAugError(f"batch: expected {least} to {len(trained)}, the images there are to train on{adding} "
                            f"({held_count} are held out), got {settings.batch}.")  # fmt: skip
    if settings.batch % settings.processes:
        raise AdaptAugError(
            f"batch: expected a multiple of {settings.processes}, the processes, got {settings.batch}."
        )
    order = Order(len(trained), settings.batch, settings.seed, together=settings.accumulate)
    return images, order, trained, held


def _settle(folder: Path, settings: Settings, resume: bool) -> tuple[Path | None, list[str]]:
    """Make the run's folder, or find where it stopped."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ".writable", lambda file: file.write(b""))
        (folder / ".writable").unlink(missing_ok=True)
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
