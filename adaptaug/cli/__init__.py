"""The command line: looking (`preview`, `profile`, `ui`), learning (`search`, `pretrain`), using (`embed` and on).

Exit codes: 0 done, 1 the work failed, 2 bad arguments or input. An error is one sentence on stderr, printed
plainly: file names are neither wrapped nor coloured, so that they can be copied and grepped. A traceback
appears with `--debug` only. Commands import what they need when they run.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

import typer

from adaptaug.cli import inspect, train, features  # noqa: F401  # isort: skip (the order of --help)
from adaptaug.cli.base import BAD_INPUT, DONE, FAILED, INTERRUPTED, WorkFailed, app, say
from adaptaug.errors import AdaptAugError, printable

# Newer typers carry a copy of click, older ones import it: take the base class from whichever it is.
_ClickError = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

_GOES_ON = "what was finished is kept, and the same command (pretrain: with --resume) goes on from there."


def main(arguments: Sequence[str] | None = None) -> None:
    """The console's entry point: run a command and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; every error becomes one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):  # what a terminal cannot write is escaped, and ends no work
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    arguments = list(arguments)
    debug = "--debug" in arguments[: arguments.index("--") if "--" in arguments else None]
    try:
        return _answer(arguments, debug)
    except RuntimeError as died:  # torch's word of a worker's end, which came while another error was caught
        with _children_unheard():
            return _report(died)


def _answer(arguments: list[str], debug: bool) -> int:
    try:
        code = app(args=arguments, prog_name="adaptaug", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        with _children_unheard():
            return _report(error)


@contextmanager
def _children_unheard() -> Iterator[None]:
    """torch's handler of a worker's end raises wherever Python is: not where an error is told."""
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def _report(error: Exception) -> int:
    if isinstance(error, _ClickError):
        sentence = " ".join(error.format_message().split())  # type: ignore[attr-defined]
        say(f"{sentence.rstrip('.')}; see 'adaptaug --help'.")
        return BAD_INPUT
    if isinstance(error, AdaptAugError):
        say(str(error))
        return BAD_INPUT
    if isinstance(error, WorkFailed):
        say(str(error))
        return FAILED
    if isinstance(error, OSError) and not _cut_off(error):
        where = f"{printable(os.fsdecode(error.filename))}: " if error.filename else ""
        say(f"{where}{error.strerror or error}; {_GOES_ON}")
        return FAILED
    if sentence := _of_machine(error):
        say(sentence)
        return FAILED
    what = " ".join(f"{type(error).__name__}: {error}".split())
    say(f"unexpected {what}; run again with --debug for details.")
    return FAILED


def _of_machine(error: Exception) -> str:
    """What ended the work from outside, in a sentence; empty where it was something else."""
    died = re.search(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)", str(error))
    if died or isinstance(error, BrokenExecutor) or _cut_off(error):
        which = f" (process {died[1]})" if died else ""
        return (
            f"a worker{which} died: killed, or out of memory, of which fewer --workers take less; {_GOES_ON}"
        )
    if re.search(r"gloo/transport|NCCL|by peer|ProcessGroup\w*.*time", str(error)):
        return f"another process of this job died or does not answer; {_GOES_ON}"
    # torch's own, of a device and of the CPU, are RuntimeErrors.
    if isinstance(error, MemoryError) or re.search("out of memory|can't allocate memory", str(error)):
        return f"this machine's memory is not enough; a smaller --batch-size or fewer --workers take less; {_GOES_ON}"
    return ""


def _cut_off(error: Exception) -> bool:
    """Whether a worker died while it handed a batch over: its loader reads the end of the line, before it looks who
    is there."""
    frames = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
    lost = isinstance(error, (EOFError, ConnectionError))
    return lost and any(Path(name).parts[-3:] == ("utils", "data", "dataloader.py") for name in frames)
