"""Writing that survives full disks, kills and company: files whole or not at all, a folder by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from adaptaug.errors import AdaptAugError, printable

_LOCK = ".lock"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the disk names the file that could not be written; a full one names none, or one of ours."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], Any]) -> None:
    """Write a file whole or not at all: a reader, or a run after kill -9, never finds half of it."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def reserve(path: Path) -> None:
    """Have the disk set aside all bytes of a sparse file, so that a full one is an error now and no bus error later."""
    if hasattr(os, "posix_fallocate"):
        with naming(path), path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


@contextlib.contextmanager
def alone(folder: Path, rank: int = 0) -> Iterator[None]:
    """Hold a folder that one process writes, or one of each rank: the system lets go of it when the holder dies. A disk
    that knows no locks (some that a network brings) is written without.

    Raises: AdaptAugError: another process holds it.
    """
    lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    file = folder / (_LOCK if rank == 0 else f"{_LOCK}-{rank}")
    with naming(file):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(file).acquire(timeout=0)
        except Timeout:
            raise AdaptAugError(
                f"{printable(folder)}: expected a folder that nobody writes, got one that another process is at work "
                "in; wait for it, end it, or choose another --out."
            ) from None
        except NotImplementedError:  # what filelock makes of ENOSYS
            pass
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
                raise
    with lock:
        yield
