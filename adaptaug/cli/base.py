"""What the commands share: the typer app, exit codes, the sentences of errors, help texts and a progress bar."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptaug import __version__
from adaptaug.core import library
from adaptaug.errors import printable

if TYPE_CHECKING:
    from adaptaug.data import Images

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
FEW = 4  # up to this many images are done before a progress bar would be read
DATA = (
    "A folder, a folder of class folders, an image file, an .npz or .npy, tar shards ('train-{0000..0999}.tar'), "
    "a Hugging Face data set on disk, or torchvision:NAME."
)
MEGAPIXELS = "Larger image files are left out, not decoded."
RANGE = "Of images deeper than 8 bits: auto (each image's own), data (the data set's), or LOW,HIGH."
CHECKPOINT = "A run's folder, a file of weights, or hf:OWNER/REPO[/FILE]."
TRUST = "Run the code that the checkpoint's pickle holds; only for a file you wrote yourself."

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Adaptive augmentation for contrastive learning: pairs of views made for each image.",
)  # fmt: skip


class WorkFailed(Exception):
    """The arguments were fine and the work could not be done (exit code 1): one sentence."""


def say(sentence: str) -> None:
    print(f"adaptaug: {printable(sentence)}", file=sys.stderr)


def own_side(data: Path, otherwise: int) -> int:
    """The side of a view where none is given: that of small images of one size, else `otherwise`."""
    from adaptaug.data import open_data

    images = open_data(data)
    side = max(images[0].shape[:2]) if images.same_size and len(images) else otherwise
    return max(8, side) if side <= 64 else otherwise


def settled_range(data: Path, range: str) -> str:
    """--range with the numbers that `data` stands for; says what of DATA is left out."""
    from adaptaug.backend.keys import distributed_rank
    from adaptaug.data import open_data

    images = open_data(data, range=range)
    if distributed_rank() == 0:
        tell(images, range)
    return images.range if range == "data" else range


def tell(images: Images, range: str) -> None:
    """What is left out, and the range that was found."""
    if images.left_out:
        say(images.left_out)
    if range == "data":
        say(f"--range {images.range}, which is that of the data.")


def missing(error: ModuleNotFoundError, extra: str) -> str:
    return f"this needs {error.name}, which is not installed: pip install 'adaptaug[{extra}]'."


def progress_bar(description: str) -> tuple[Any, Any]:
    """A rich progress bar on stderr and the function that moves it; nothing is drawn where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   console=console, transient=True, disable=not console.is_terminal)  # fmt: skip
    task = bar.add_task(description)
    return bar, lambda done, total: bar.update(task, completed=done, total=total)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"adaptaug {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(BAD_INPUT)
    library.say_once(say)
