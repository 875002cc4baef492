"""Pretraining: Lightning's loop around the contrastive step, with data, views and checkpoints of our own.

from adaptaug.simclr.trainer import Settings, pretrain
pretrain(Settings(data="photos/", out="run", policy="natural", arch="resnet50"))
"""

from __future__ import annotations

import math
import os
import platform
import warnings
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

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
from adaptaug.backend.writing import alone, write_atomically
from adaptaug.data import Images, open_data
from adaptaug.encoders.networks import fast_precision
from adaptaug.errors import AdaptAugError
from adaptaug.online.band import BandController
from adaptaug.online.heads import ConditionalHeads
from adaptaug.policy import Policy
from adaptaug.simclr import checkpoints
from adaptaug.simclr.callbacks import Held, Log, Save
from adaptaug.simclr.conditioning import describe
from adaptaug.simclr.contrast import Contrast, new_contrast, views_of
from adaptaug.simclr.growing import Growing
from adaptaug.simclr.loader import Batches, Order, Unreadable
from adaptaug.simclr.objectives import OBJECTIVES
from adaptaug.simclr.settings import OPTIMIZERS, PRECISIONS, VIEWS_ON, Settings, launched
from adaptaug.simclr.timing import Laps
from adaptaug.views import MultiCrop, Views

__all__ = ["Finished", "Pretraining", "Settings", "launched", "pretrain"]

Prepared = tuple[Images, Order, np.ndarray, np.ndarray]  # data, order, what is trained on, what is held out
_LEARNED = "policy.yaml"  # what heads learned, in the run's folder


class Pretraining(pl.LightningModule):
    """The contrastive step as Lightning runs it; `measured` holds what the batches of the last step took and gave.

    Args:
        decided: what decides the weights, kept in every checkpoint.
        views: what makes a step's views, with what was drawn, where that is on the device.
        batches: (order, batches done, batches in all) -> the loader; called once the processes know each other.
        steps: of the optimizer, in the whole run.
    """

    def __init__(self, settings: Settings, decided: dict[str, Any], model: Contrast, order: Order,
                 views: Growing[Any], batches: Callable[..., Batches], unreadable: Unreadable):  # fmt: skip
        super().__init__()
        self.save_hyperparameters(decided)
        self.settings, self.model, self.order, self.views, self.batches = (
            settings,
            model,
            order,
            views,
            batches,
        )
        self.steps = settings.epochs * order.per_epoch // settings.accumulate
        self.unreadable = unreadable
        self.followed: int | None = None
        self.measured: dict[str, list[float]] = {}
        self.told: dict[str, torch.Tensor] = {}

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
        descriptions = batch.get("told")
        if "views" in batch:
            views, certificate = batch["views"], float("nan")
        else:
            push = None if self.model.controller is None else self.model.controller.strength
            make = self.views.at(self.global_step)
            views, params = make(batch["images"], key=batch["keys"], strength=push)
            if self.settings.told:
                descriptions = [describe(p, self.settings.told).to(self.device) for p in params]
            acted = torch.stack([(p.strength < 1) & ~p.blank | p.frame for p in params])
            certificate = float(acted.float().mean())
        laps.mark()
        loss, *embedded = self.model.loss_of(views, descriptions)
        if self.model.controller is not None:
            self.told = self.model.controller.observe(embedded[0], embedded[1], params)
        value = float(self.trainer.strategy.reduce(loss.detach(), reduce_op="mean"))
        laps.mark()
        views_seconds, forward = laps.seconds()
        for name, number in {"train_loss": value, "certificate_share": certificate,
                             "views_seconds": views_seconds, "forward_seconds": forward}.items():  # fmt: skip
            self.measured[name].append(number)
        if not math.isfinite(value):
            raise AdaptAugError(
                f"step {self.global_step}: the loss is {value}; lower --rate or use --precision 32."
            )
        return loss

    def transfer_batch_to_device(self, batch: dict[str, Any], device: torch.device, _: int) -> dict[str, Any]:
        def move(value: torch.Tensor) -> torch.Tensor:
            return value.to(device, non_blocking=True)

        return {
            name: move(value)
            if name == "images"
            else [move(v) for v in value]
            if name in ("views", "told")
            else value
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


def pretrain(settings: Settings, resume: bool = False, progress: bool = False) -> Finished:
    """Pretrain, or go on from the newest checkpoint in `settings.out` that can be read.

    A run goes on with the settings and data it was begun with; only what `Settings.deciding` leaves out may change,
    and what is not given need not be known.

    Raises: AdaptAugError: settings or data that cannot be trained on (before training, where that is knowable),
    a folder that holds another run, or one begun otherwise, too many unreadable images, a loss that is not finite.
    """
    folder = Path(settings.out)
    settings = settings.settled(checkpoints.begun(folder) if resume else {})
    prepared = _prepare(settings)
    _make_folder(folder)
    with alone(folder) if is_first() else nullcontext():
        return _train(settings, folder, prepared, resume, progress)


def is_first() -> bool:
    """Whether this is the first process of a run: the others share its folder, and Lightning or torchrun says so."""
    return all(os.environ.get(rank, "0") == "0" for rank in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def _train(settings: Settings, folder: Path, prepared: Prepared, resume: bool, progress: bool) -> Finished:
    images, order, trained, held = prepared
    policy, fingerprint = Policy.load(settings.policy), images.fingerprint()
    decided = settings.deciding() | {"policy": policy.dumps(), "data": fingerprint}
    state, notes = _settle(folder, decided, resume)
    notes += [images.about_labels] * bool(images.about_labels)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    types = {"auto": fast_precision(device), "bf16": torch.bfloat16, "fp16": torch.float16, "32": None}
    precision = types[settings.precision]
    model = new_contrast(
        settings.arch, policy, settings.size, settings.seed, settings.stem,
        objective=settings.objective, layers=settings.layers, temperature=settings.temperature,
        precision=precision, return_params=True, n=settings.views, small=settings.small_views,
        small_size=settings.small_side, tell=settings.told,
    )  # fmt: skip
    model.controller = _controller(settings, settings.epochs * order.per_epoch)
    if settings.compile:
        model.encoder.compile()
    unreadable = Unreadable(len(trained))
    on_device = settings.views_on == "device" or (settings.views_on == "auto" and images.same_size)
    steps = settings.epochs * order.per_epoch // settings.accumulate
    making = _growing(settings, policy, steps, return_params=on_device or bool(settings.told))
    batches = partial(Batches, images, trained, views=None if on_device else making, workers=settings.workers,
                      told=settings.told)  # fmt: skip
    module = Pretraining(settings, decided, model, order, making, batches, unreadable)
    log = Log(folder, settings)
    measured = Held(images, held, trained, settings, log)
    callbacks = [log, measured, Save(folder, settings.checkpoint_every, settings.keep)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|torch.optim.lr_scheduler")
        trainer = _lightning(settings, device, callbacks, progress)
        trainer.fit(module, ckpt_path=None if state is None else str(state))
    if trainer.is_global_zero:
        about = {
            "policy": policy.dumps(), "settings": asdict(settings), "data": fingerprint,
            "steps": trainer.global_step, "of": module.steps, "adaptaug": __version__, "torch": torch.__version__,
            "python": platform.python_version(),
        }  # fmt: skip
        checkpoints.export_encoder(model.encoder, folder, about)
        if isinstance(model.controller, ConditionalHeads):
            text = model.controller.policy.dumps().encode()
            write_atomically(folder / _LEARNED, lambda file: file.write(text))
    total = sum(log.seconds.values()) or 1.0
    bad = list(unreadable.sentences | measured.unreadable.sentences)
    return Finished(
        folder, getattr(measured, "last", {}), trainer.global_step, module.steps, bad, notes,
        {part: seconds / total for part, seconds in log.seconds.items()}, trainer.is_global_zero,
    )  # fmt: skip


def _growing(settings: Settings, policy: Policy, steps: int, return_params: bool) -> Growing[Any]:
    def of_size(side: int) -> Views[Any] | MultiCrop:
        return views_of(
            policy, settings.views, side, settings.small_views, settings.small_side, return_params
        )

    return Growing(of_size, settings.first_size, settings.size, steps)


def _controller(settings: Settings, batches: int) -> BandController | ConditionalHeads | None:
    """What steers the views by the embeddings of each of so many batches; its warm-up is that of the rate."""
    warm_up = round(batches * settings.warm_up)
    if settings.band != "off":
        return BandController(settings.band_ends(), warm_up=warm_up)
    return ConditionalHeads(settings.policy, batches, warm_up=warm_up) if settings.heads == "on" else None


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


def _prepare(settings: Settings) -> Prepared:
    """Open the data and check all that can be checked before training."""
    for name in ("epochs", "knn_every", "checkpoint_every", "keep", "accumulate", "devices", "nodes"):
        value = getattr(settings, name)
        if not isinstance(value, int) or value < 1:
            raise AdaptAugError(f"{name}: expected a whole number of 1 or more, got {value!r}.")
    for name, choices in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS), ("views_on", VIEWS_ON),
                        ("scaling", ("linear", "sqrt")), ("objective", OBJECTIVES),
                        ("heads", ("off", "on"))):  # fmt: skip
        value = getattr(settings, name)
        if value not in choices:
            raise AdaptAugError(f"{name}: expected one of {', '.join(choices)}, got {value!r}.")
    Policy.load(settings.policy)
    images = open_data(settings.data, range=settings.range)
    _controller(settings, 1)
    for name in ("band", "heads"):
        if getattr(settings, name) != "off":
            _check_steered(name, settings, images)
    if settings.heads == "on" and settings.band != "off":
        raise AdaptAugError(f"heads: expected --band off beside it, got band {settings.band}.")
    learned = Path(settings.out) / _LEARNED
    if settings.heads == "on" and Path(settings.policy).absolute() == learned.absolute():
        raise AdaptAugError(
            f"policy: expected another file than {learned}, which --heads on writes; copy it first."
        )
    if settings.views_on == "device" and not images.same_size:
        raise AdaptAugError(
            f"{settings.data}: views on the device need images of one size (an .npz); use --views-on cpu."
        )
    shuffled = np.random.default_rng((settings.seed, 7)).permutation(len(images))
    held_count = min(settings.held_out, len(images) // 5)
    held, trained = shuffled[:held_count], shuffled[held_count:][: settings.limit]
    settings.check_views()
    settings.check_batch(len(trained), held_count)
    order = Order(len(trained), settings.sources, settings.seed, together=settings.accumulate)
    return images, order, trained, held


def _check_steered(name: str, settings: Settings, images: Images) -> None:
    """What learning from each step's embeddings needs."""
    if settings.views_on == "cpu" or (settings.views_on == "auto" and not images.same_size):
        raise AdaptAugError(
            f"{name}: expected views made on the device, where a step can change those of the next; use images of one "
            f"size and --views-on device, or --{name} off."
        )
    if settings.processes > 1:
        raise AdaptAugError(f"{name}: expected one process, got {settings.processes}; use --{name} off.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / ".writable", lambda file: file.write(b""))
        (folder / ".writable").unlink(missing_ok=True)
    except OSError as error:
        raise AdaptAugError(
            f"{folder}: expected a folder to write the run into ({error.strerror})."
        ) from None


def _settle(folder: Path, decided: dict[str, Any], resume: bool) -> tuple[Path | None, list[str]]:
    """Find where the run in this folder stopped."""
    files = checkpoints.checkpoints(folder)
    if resume and not files:
        return None, [f"{folder}: no checkpoint to resume; the run began anew."]
    if resume:
        return checkpoints.newest(folder, decided)
    if files:
        raise AdaptAugError(
            f"{folder}: holds a run already; continue it with --resume, or choose another --out."
        )
    return None, []
