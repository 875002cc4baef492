"""What happens beside the steps: the log, the looks at held-out images, the checkpoints."""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.nn import functional

from adaptaug.backend.writing import naming, write_atomically
from adaptaug.data import Images
from adaptaug.errors import AdaptAugError
from adaptaug.simclr import checkpoints, metrics
from adaptaug.simclr.contrast import Contrast
from adaptaug.simclr.loader import Unreadable
from adaptaug.simclr.settings import Settings

_BANK = 5000
_FEWEST = 20  # held-out images whose scores say anything
_SMALL = 32  # px a side


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
        totals = {name: sum(values) for name, values in module.measured.items()}
        count = len(module.measured["train_loss"])
        for part, seconds in (("data", self.waited), ("views", totals["views_seconds"]),
                            ("step", took - self.waited - totals["views_seconds"])):  # fmt: skip
            self.seconds[part] += seconds
        line = {
            "step": trainer.global_step, "epoch": trainer.current_epoch, "train_loss": totals["train_loss"] / count,
            "certificate_share": totals["certificate_share"] / count, "views_seconds": totals["views_seconds"],
            "forward_seconds": totals["forward_seconds"], "data_seconds": self.waited,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"], "step_seconds": took,
            "images_per_second": self.settings.sources * count / took,
        } | {name: float(value) for name, value in module.told.items()}  # fmt: skip
        self.waited = 0.0
        self.write({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()})

    def write(self, line: dict[str, Any]) -> None:
        """Append one object; a number that is not finite is left out."""
        if self.file is None:
            return
        finite = {k: v for k, v in line.items() if not isinstance(v, float) or math.isfinite(v)}
        with naming(self.path):
            self.file.write(json.dumps(finite) + "\n")
        if self.board is not None:
            for name, value in finite.items():
                self.board.add_scalar(name, value, line["step"])

    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        for sink in (self.file, self.board):
            if sink is not None:
                sink.close()


class Held(Callback):
    """kNN and label-free diagnostics on the held-out part, after the first and every few epochs and at the end.

    Images that cannot be read are left out of every look and noted in `unreadable`; more than one in a hundred stops
    the run.
    """

    def __init__(self, images: Images, held: np.ndarray, trained: np.ndarray, settings: Settings, log: Log):
        self.images, self.held = images, held
        labels = images.labels
        self.bank = trained[:0] if labels is None else trained[labels[trained] >= 0][:_BANK]
        self.asks = labels is not None and len(self.bank) > 0 and bool((labels[held] >= 0).any())
        self.settings, self.lines = settings, log
        self.unreadable = Unreadable(len(self.held) + len(self.bank))
        self.enough = len(held) >= _FEWEST
        self.of_raw_pixels: float | None = None

    def measure(self, model: Contrast) -> dict[str, float]:
        """Scores in percent (kNN-20, where there are labels), RankMe, alignment and uniformity of the first two views.

        "knn_of_raw_pixels", what an encoder has to beat, is of images reduced to at most 32 px a side; it is the same
        at every look, so it is found at the first.
        """
        self.held, pixels = self._read(self.held)
        query_features = metrics.features(model.encoder, pixels, precision=model.precision)
        scores = {"rankme": metrics.rankme(query_features)}
        if self.asks:
            self.bank, bank = self._read(self.bank)
            bank_features = metrics.features(model.encoder, bank, precision=model.precision)
            if self.of_raw_pixels is None:
                self.of_raw_pixels = self._knn(*(metrics.raw_features(_small(x)) for x in (bank, pixels)))
            scores |= {
                "knn": self._knn(bank_features, query_features),
                "knn_of_raw_pixels": self.of_raw_pixels,
            }
        keys = [(self.settings.seed, 0, i) for i in range(min(256, len(pixels)))]
        views, _ = model.views(pixels[: len(keys)].to(next(model.parameters()).device), key=keys)
        scores |= metrics.alignment_uniformity(*(model.embed_clean(view) for view in views[:2]))
        return {name: round(value, 4) for name, value in scores.items()}

    def _read(self, index: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """Which of these images can be read, and their pixels."""
        try:
            return index, self.images.pixels(index, None if self.images.same_size else self.settings.size)
        except AdaptAugError:
            return self._read(self.unreadable.leave_out(self.images, index))

    def _knn(self, bank: torch.Tensor, queries: torch.Tensor) -> float:
        """Percent of the held-out images that the bank's neighbours are right about."""
        labels = self.images.labels
        assert labels is not None
        has = labels[self.held] >= 0
        targets = labels[self.held][has]
        return 100 * float(metrics.knn_correct(bank, labels[self.bank], queries[has], targets).mean())

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        if trainer.global_step == 0:
            self._note(trainer, module, -1)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        done = trainer.current_epoch + 1
        if done % self.settings.knn_every == 0 or done == self.settings.epochs:
            self._note(trainer, module, trainer.current_epoch)

    def _note(self, trainer: pl.Trainer, module: Any, epoch: int) -> None:
        if self.enough and trainer.is_global_zero:
            self.last = self.measure(module.model)
            self.lines.write({"step": trainer.global_step, "epoch": epoch, **self.last})


def _small(images: torch.Tensor) -> torch.Tensor:
    """Uint8 images (N, 3, H, W) reduced by area to at most 32 px a side: at 224 px their floats would fill memory."""
    longest = max(images.shape[2:])
    if longest <= _SMALL:
        return images
    size = [max(1, round(side * _SMALL / longest)) for side in images.shape[2:]]
    parts = [functional.interpolate(part.float(), size, mode="area") for part in images.split(256)]
    return torch.cat(parts).round().to(torch.uint8)


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
