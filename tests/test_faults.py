"""What machines do: another process in the folder, a full disk, a worker that dies, a clock that jumps."""

import errno
import os
import re
import resource
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import Pipe, get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import adaptaug
from adaptaug import AdaptAugError, cli
from adaptaug.backend import writing
from adaptaug.policy import Policy


# --- two processes on one folder -------------------------------------------------------------------------------
def _hold(folder, told):
    with writing.alone(folder):
        told.send("held")
        time.sleep(600)


def test_a_folder_is_one_processs_until_it_dies(tmp_path):
    here, there = Pipe()
    holder = get_context("fork").Process(target=_hold, args=(tmp_path, there))
    holder.start()
    assert here.recv() == "held"
    with pytest.raises(AdaptAugError, match="another process is at work in; wait"), writing.alone(tmp_path):
        pass
    holder.kill()
    holder.join()
    for _ in range(2):  # it is let go of each time
        with writing.alone(tmp_path):
            assert (tmp_path / ".lock").exists()


def test_ranks_share_a_folder(tmp_path):
    with writing.alone(tmp_path, 0), writing.alone(tmp_path, 1):
        with pytest.raises(AdaptAugError, match="another process"), writing.alone(tmp_path, 1):
            pass


@pytest.mark.parametrize(
    "error", [NotImplementedError("no flock here"), OSError(errno.ENOLCK, "No locks available")]
)
def test_where_the_disk_cannot_lock_work_goes_on(tmp_path, monkeypatch, error):
    def without(*_, **__):
        raise error

    monkeypatch.setattr(writing.FileLock, "acquire", without)
    with writing.alone(tmp_path):
        (tmp_path / "a").touch()


# --- disks -----------------------------------------------------------------------------------------------------
@pytest.fixture
def small_disk():
    """Files of at most 4 kB for this process: to a write the same as a full disk, and no privilege is needed."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, was)


def test_a_full_disk_leaves_the_file_before_whole_and_names_it(small_disk, tmp_path):
    for write in (lambda file: file.write(bytes(9000)), lambda file: np.savez(file, x=np.zeros(9000))):
        path = tmp_path / "a"
        writing.write_atomically(path, lambda file: file.write(b"whole"))
        with pytest.raises(OSError) as caught:
            writing.write_atomically(path, write)
        assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
        assert path.read_bytes() == b"whole"
        assert sorted(tmp_path.iterdir()) == [path]


def test_a_policy_is_saved_whole_or_not_at_all(small_disk, tmp_path):
    Policy.load("natural").save(tmp_path / "p.yaml")
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "p.yaml"))):
        Policy.load("natural").edit(provenance={str(i): "x" * 100 for i in range(60)}).save(
            tmp_path / "p.yaml"
        )
    assert Policy.load(tmp_path / "p.yaml") == Policy.load("natural")


def test_a_sheet_on_a_full_disk_is_a_sentence_and_no_half_of_it(small_disk, photographs, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    writing_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (writing_limit[1], writing_limit[1]))
    Image.fromarray(photographs["coffee"]).save(tmp_path / "in" / "a.png")
    resource.setrlimit(resource.RLIMIT_FSIZE, writing_limit)
    out = tmp_path / "sheet.png"
    assert cli.run(["preview", str(tmp_path / "in"), "--pairs", "1", "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "could not be written (File too large)" in err
    assert sorted(tmp_path.iterdir()) == [tmp_path / "in"]


def test_embeddings_have_their_room_before_they_are_written(tmp_path):
    """A sparse file on a disk that fills up is a bus error at some later write, and no sentence."""
    path = tmp_path / "features.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (1000, 5, 512))
    writing.reserve(path)
    status = path.stat()
    assert status.st_blocks * 512 >= status.st_size > 10_000_000


def test_a_read_only_folder_is_a_sentence(tmp_path, digits, capsys):
    pytest.importorskip("optuna")
    tmp_path.chmod(0o500)
    folder = Path("/sys") if os.geteuid() == 0 else tmp_path  # root may write anywhere else
    if not os.access(folder, os.X_OK):
        pytest.skip("root may write anywhere, and here is no /sys")
    assert cli.run(["search", str(digits), "--out", str(folder / "policy.yaml")]) == 1
    err = capsys.readouterr().err
    assert re.search("Permission denied|Operation not permitted|Read-only", err) and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            PermissionError(13, "Permission denied", "run/step-1.ckpt"),
            "run/step-1.ckpt: Permission denied; what was",
        ),
        (
            OSError(28, "No space left on device"),
            "adaptaug: No space left on device; what was finished is kept",
        ),
        (
            MemoryError("Caught MemoryError in DataLoader worker process 1."),
            "memory is not enough; a smaller",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory is not enough; a smaller"),
        (
            RuntimeError(
                "[gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:1: Connection reset by peer."
            ),
            "another process of this job died or does not answer; what was",
        ),
        (
            RuntimeError("[Rank 0] ProcessGroupGloo's collective timed out"),
            "another process of this job died or does not answer; what was",
        ),
        (BrokenProcessPool("terminated abruptly"), "a worker died: killed, or out of memory"),
    ],
)
def test_what_ended_the_work_from_outside_is_one_sentence(error, sentence, monkeypatch, capsys):
    def fails(**_):
        raise error

    monkeypatch.setattr(cli, "app", fails)
    assert cli.run(["profile"]) == 1
    err = capsys.readouterr().err
    assert sentence in err and "goes on" in err and err.count("\n") == 1


# --- workers ---------------------------------------------------------------------------------------------------
class Deadly(Dataset):
    """Its third item is the end of whoever reads it."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_loader():
    for _ in DataLoader(Deadly(), num_workers=1, multiprocessing_context="fork"):
        pass


class Late(Deadly):
    """What a loader meets at times where a worker died: the end of its line, before it looks who is there."""

    def __getitem__(self, index):
        if index == 2:
            raise EOFError
        return torch.zeros(1)


def in_a_line():
    loader = iter(DataLoader(Late(), num_workers=0))
    for _ in loader:
        pass


def in_a_pool():
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        pool.submit(_die).result()


@pytest.mark.parametrize("where", [in_a_loader, in_a_line, in_a_pool])
def test_a_worker_that_is_killed_is_named(where, monkeypatch, capsys):
    monkeypatch.setattr(cli, "app", lambda **_: where())
    assert cli.run(["embed"]) == 1
    err = capsys.readouterr().err
    assert re.search(r"a worker( \(process \d+\))? died: killed, or out of memory", err)
    assert err.count("adaptaug:") == 1 and "--debug" not in err


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="no signal of a child's end on this system")
@pytest.mark.parametrize("moment", ["before it is told", "while it is told"])
def test_a_workers_end_may_be_heard_while_an_error_is_told(moment, monkeypatch, capsys):
    """torch's handler raises wherever Python is when the word comes; one sentence is written all the same."""

    class Telling(EOFError):
        def __str__(self):
            if moment == "while it is told":
                os.kill(os.getpid(), signal.SIGCHLD)
            return "cut off"

    def fails(**_):
        raise Telling

    def heard(*_):
        raise RuntimeError("DataLoader worker (pid 77) is killed by signal: Killed.")

    monkeypatch.setattr(cli, "app", fails)
    if moment == "before it is told":
        monkeypatch.setattr(cli.traceback, "print_exc", lambda: os.kill(os.getpid(), signal.SIGCHLD))
    before = signal.signal(signal.SIGCHLD, heard)
    try:
        assert cli.run(["embed", "--debug"]) == 1
        assert signal.getsignal(signal.SIGCHLD) is heard
    finally:
        signal.signal(signal.SIGCHLD, before)
    err = capsys.readouterr().err
    sentence = "process 77" if moment == "before it is told" else "unexpected Telling"
    assert sentence in err and err.count("adaptaug:") == 1


# --- clocks ----------------------------------------------------------------------------------------------------
def test_nothing_is_decided_by_a_clock_that_can_be_set():
    """Daylight, NTP and people move the wall clock; what waits or measures asks one that only goes forward."""
    folder = Path(adaptaug.__file__).parent
    files = [*folder.rglob("*.py"), *(folder.parent / "ui").glob("*.py")]
    assert len(files) > 100
    asking = [
        file.name for file in files if re.search(r"\btime\.time\b|datetime\.(now|today)", file.read_text())
    ]
    assert asking == []


# --- what is no file ----------------------------------------------------------------------------------------
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
def test_a_pipe_with_an_images_name_is_left_out_and_nobody_waits_for_it(photo, tmp_path, monkeypatch) -> None:
    from adaptaug.data import open_data
    from adaptaug.data.folders import search
    from adaptaug.data.sources import Files

    Image.fromarray(photo("coffee", 32, 32)).save(tmp_path / "coffee.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "coffee.json")  # would say that the picture is ours
    found, left = search([tmp_path])
    assert [path.name for path in found] == ["coffee.png"]
    assert "pipes and devices 1 (pipe.png)" in left.sentence(1)
    assert open_data(tmp_path).fingerprint()
    with pytest.raises(OSError, match="a pipe or device"):
        Files([tmp_path / "pipe.png"]).raw(0)
    with pytest.raises(AdaptAugError, match="a pipe or device, not a file"):
        Policy.load(tmp_path / "pipe.png")
    with pytest.raises(AdaptAugError, match="a pipe or device, not a file"):
        Policy.load("/dev/zero")
