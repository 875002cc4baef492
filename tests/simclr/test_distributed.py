"""Two processes train what one would: the same images, views, loss and gradients."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

pytest.importorskip("pytorch_lightning")
pytest.importorskip("lightly")

from lightly.loss import NTXentLoss

from adaptaug.cli import run
from adaptaug.encoders.networks import without_batch_norm
from adaptaug.simclr.contrast import new_contrast
from adaptaug.simclr.loader import Order

BATCH = 16
# With the number of views; lightly standardises barlow's features within each process.
EXACT = (("simclr", 2), ("simclr", 4), ("vicreg", 2))


def images_of(keys):
    return torch.from_numpy(load_digits().images[keys[:, 2]].astype(np.uint8) * 15)[:, None].repeat(
        1, 3, 1, 1
    )


def step_of(objective, n, rank, ranks):
    """Loss and gradients of the first batch on one of `ranks` processes, averaged as DDP does."""
    model = without_batch_norm(new_contrast("resnet-tiny", "digits", 16, seed=0, objective=objective, n=n))
    model = model.to(torch.float64)
    keys = Order(1000, BATCH, seed=3, rank=rank, ranks=ranks).keys(2)
    views = [view.double() for view in model.views(images_of(keys), key=keys)]
    whole = model if ranks == 1 else torch.nn.parallel.DistributedDataParallel(Step(model))
    loss = model.loss_of(views)[0] if ranks == 1 else whole(views)
    loss.backward()
    return float(loss.detach()), [p.grad.clone() for p in model.parameters()], views


class Step(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, views):
        return self.model.loss_of(views)[0]


def main_of(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    generator = torch.Generator().manual_seed(0)
    fixed = [torch.randn(BATCH, 8, generator=generator)[rank::2] for _ in range(2)]
    results = {which: step_of(*which, rank, 2) for which in EXACT}
    results["fixed"] = NTXentLoss(0.5, gather_distributed=True)(*fixed)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes had: per objective and number of views (loss, gradients, views)."""
    folder = tmp_path_factory.mktemp("two")
    torch.multiprocessing.start_processes(main_of, args=(str(folder),), nprocs=2, start_method="fork")
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("which", EXACT, ids=lambda which: "-".join(map(str, which)))
def test_loss_and_gradients_of_two_halves_are_the_whole(two, which):
    loss, gradients, _ = step_of(*which, 0, 1)
    assert np.mean([mine[which][0] for mine in two]) == pytest.approx(loss, abs=1e-5)
    for mine in two:
        for got, expected in zip(mine[which][1], gradients, strict=True):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_views_and_their_order_are_the_same(two):
    _, _, whole = step_of("simclr", 4, 0, 1)
    for rank in (0, 1):
        for mine, all_of_them in zip(two[rank]["simclr", 4][2], whole, strict=True):
            assert torch.equal(mine, all_of_them[rank::2])


def test_gathered_loss_of_fixed_embeddings(two):
    generator = torch.Generator().manual_seed(0)
    whole = NTXentLoss(0.5)(*(torch.randn(BATCH, 8, generator=generator) for _ in range(2)))
    assert float(sum(mine["fixed"] for mine in two)) / 2 == pytest.approx(float(whole), abs=1e-6)


def test_every_batch_norm_can_be_synchronised():
    """Which Lightning does on GPUs; the heads' are one-dimensional and count, too."""
    model = new_contrast("resnet-tiny", "digits", 16, seed=0)
    count = lambda kind, of: sum(isinstance(module, kind) for module in of.modules())  # noqa: E731
    plain = count(torch.nn.modules.batchnorm._BatchNorm, model)
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert count(torch.nn.SyncBatchNorm, converted) == plain > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="in a process group SyncBatchNorm refuses the CPU")
def test_a_network_with_synchronised_batch_norm_trains_on_a_gpu(tmp_path):
    """One process: that it runs, not that statistics are exchanged, which takes two GPUs."""
    dist.init_process_group("nccl", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(
        new_contrast("resnet-tiny", "digits", 16, seed=0)
    ).cuda()
    keys = Order(1000, BATCH, seed=3).keys(0)
    assert torch.isfinite(model(images_of(keys).cuda(), keys))
    dist.destroy_process_group()


# --- the command -------------------------------------------------------------------------------------------
def pretrain(folder, *options):
    """The command's arguments."""
    data = folder / "digits.npz"
    if not data.exists():
        source = load_digits()
        np.savez(data, x=source.images.astype(np.uint8) * 15, y=source.target)
    return ["pretrain", str(data), "--policy", "digits", "--arch", "resnet-tiny", "--size", "16", "--epochs", "2",
            "--batch-size", "32", "--limit", "128", "--checkpoint-every", "1", "--no-tensorboard",
            "--out", str(folder / "run"), *options]  # fmt: skip


ADAPTAUG = Path(sys.executable).with_name("adaptaug")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0",
            "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--no-python"]  # fmt: skip
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def torchrun(arguments):
    return subprocess.run([*TORCHRUN, ADAPTAUG, *arguments], capture_output=True, text=True, timeout=300,
                          env=ENVIRONMENT)  # fmt: skip


def torchrun_forked(arguments):
    """What torchrun does, but for starting Python: the exit code of each process."""
    config = LaunchConfig(1, 1, 2, rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method="fork")
    return elastic_launch(config, command)(arguments)


def command(arguments):
    torch.set_num_threads(1)
    return run(arguments)


def test_torchrun_trains_and_resumes(tmp_path):
    options = "--views", "4", "--limit", "64"
    done = torchrun(pretrain(tmp_path, *options))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("encoder.safetensors") == 1
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "train_loss" in line] == list(range(1, 9))
    before = (tmp_path / "run" / "encoder.safetensors").read_bytes()
    (tmp_path / "run" / "step-00000008.ckpt").unlink()
    assert torchrun_forked(pretrain(tmp_path, *options, "--resume")) == {0: 0, 1: 0}
    assert (tmp_path / "run" / "encoder.safetensors").read_bytes() == before


def processes_below(pid):
    """Process ids below one, with what they were started with."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (thread / "children").read_text().split()):
            told = Path(f"/proc/{child}/environ").read_text(errors="replace").split("\0")
            yield child, dict(line.partition("=")[::2] for line in told)
            yield from processes_below(child)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for the ranks in /proc")
@pytest.mark.parametrize("rank", ["1", "0"])
@pytest.mark.parametrize("launcher", [TORCHRUN, []], ids=["torchrun", "--devices"])
def test_a_rank_that_dies_ends_the_job_with_a_sentence_and_it_resumes(launcher, rank, tmp_path):
    """With --devices rank 0 is the command itself: nobody is there to give its exit code, and rank 1 says what was."""
    arguments = pretrain(
        tmp_path, "--limit", "64", "--epochs", "20", "--checkpoint-every", "2", "--views", "2"
    )
    arguments += [] if launcher else ["--devices", "2"]
    job = subprocess.Popen(
        [*launcher, ADAPTAUG, *arguments], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    log = tmp_path / "run" / "metrics.jsonl"
    while job.poll() is None and (not log.exists() or log.read_text().count("\n") < 5):
        time.sleep(0.1)
    itself = rank == "0" and not launcher
    ranks = [child for child, told in processes_below(job.pid) if told.get("LOCAL_RANK") == rank]
    [dies] = [job.pid] if itself else ranks
    os.kill(dies, signal.SIGKILL)
    _, said = job.communicate(timeout=60)  # within a minute, and of all that write there
    assert job.returncode == (-signal.SIGKILL if itself else 1)
    assert "adaptaug: another process of this job died or does not answer; what was finished is kept" in said
    assert not (tmp_path / "run" / "encoder.safetensors").exists()
    assert torchrun_forked([*arguments, "--resume"]) == {0: 0, 1: 0}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines if "train_loss" in line] == list(range(1, 41))


def test_batch_that_does_not_divide(tmp_path, monkeypatch, capsys):
    """It is refused before the processes meet, so that one will do."""
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert run(pretrain(tmp_path, "--batch-size", "33")) == 2
    assert "expected as many images on each of 2 processes, got 33 (batch 33)" in capsys.readouterr().err
