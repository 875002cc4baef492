"""Commands that look: `preview`, `profile`, `ui`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptaug import __version__
from adaptaug.cli.base import DATA, FEW, MEGAPIXELS, RANGE, TRUST, WorkFailed, app, say, tell
from adaptaug.errors import AdaptAugError, printable

if TYPE_CHECKING:
    from PIL import Image

    from adaptaug.data.depth import Range


@app.command()
def preview(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Image files, or folders.")
    ],
    policy: Annotated[str, typer.Option(help="A preset's name or a policy file.")] = "natural",
    pairs: Annotated[int, typer.Option(min=1, max=64, help="Pairs of views of each image.")] = 4,
    views: Annotated[int, typer.Option(min=2, max=16, help="Of each pair: more make sets of so many.")] = 2,
    seed: Annotated[int, typer.Option(help="Another number draws other views.")] = 0,
    size: Annotated[int, typer.Option(min=8, max=4096, help="Side of a view in pixels.")] = 160,
    limit: Annotated[int, typer.Option(min=1, help="At most this many images, spread evenly over all.")] = 24,
    megapixels: Annotated[float, typer.Option(min=0.01, help=MEGAPIXELS)] = 100.0,
    range_: Annotated[str, typer.Option("--range", metavar="RANGE", help=RANGE)] = "auto",
    out: Annotated[Path, typer.Option(help="The sheet, a PNG; its report is written beside it.")] = Path(
        "sheet.png"
    ),
) -> None:
    """Draw pairs of views with what was done to each and why, and write every number to a JSON file.

    Files that cannot be read are listed on stderr and left out.
    """
    from adaptaug.backend.writing import write_atomically
    from adaptaug.data import folders, range_of
    from adaptaug.data.sources import Files
    from adaptaug.policy import Policy
    from adaptaug.report.sheet import contact_sheet

    loaded_policy = Policy.load(policy)
    if out.suffix.lower() != ".png" or not out.parent.is_dir() or out.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .png file in a folder that exists.")
    files, left_out = folders.search(images)
    note = left_out.sentence(len(files))
    if not files:
        where = ", ".join(printable(path) for path in images)
        raise WorkFailed(f"no image files in {where}{f'; {note}' if note else '.'}")
    if note:
        say(note)
    sample = [files[i * len(files) // limit] for i in range(limit)] if len(files) > limit else files
    if len(sample) < len(files):
        say(f"showing {len(sample)} of {len(files)} images, spread evenly; --limit shows more.")
    most = round(megapixels * 1e6)
    readable = _readable(sample, most, range_of(Files(files, most), range_))
    first = next(readable, None)
    if first is None:
        raise WorkFailed(
            f"none of {len(sample)} files could be read." if len(sample) > 1 else "nothing could be read."
        )
    sheet, report = contact_sheet(itertools.chain([first], readable), loaded_policy, pairs, seed, size, views)
    beside = out.with_suffix(".json")
    try:
        # The numbers first: a sheet is known as ours by them.
        numbers = json.dumps({"adaptaug": __version__, **report}, indent=1).encode()
        write_atomically(beside, lambda file: file.write(numbers + b"\n"))
        write_atomically(out, lambda file: sheet.save(file, "PNG"))
    except OSError as error:
        raise WorkFailed(
            f"{error.filename or out}: could not be written ({error.strerror or error})."
        ) from error
    each = f"{pairs} pairs" if views == 2 else f"{pairs} sets of {views} views"
    print(
        f"{out} and {beside.name}: {len(report['images'])} images, {each} each, policy {loaded_policy.name}"
    )


def _readable(paths: list[Path], max_pixels: int, range: Range) -> Iterator[tuple[str, Image.Image]]:
    """Open files one by one; those that cannot be read are named on stderr and passed over."""
    from rich.console import Console
    from rich.progress import Progress

    from adaptaug.data import files

    console = Console(stderr=True)
    with Progress(
        console=console, transient=True, disable=len(paths) <= FEW or not console.is_terminal
    ) as bar:
        for path in bar.track(paths, description="Views"):
            try:
                image = files.open_image(path, max_pixels, range)
            except AdaptAugError as error:
                say(f"left out {error}")
                continue
            yield str(path), image


@app.command()
def profile(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=DATA)],
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many images, drawn by a fixed seed.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, max=1024, help="Of the timed view; default 224, or the images' up to 64 px."),
    ] = None,
    megapixels: Annotated[float, typer.Option(min=0.01, help=MEGAPIXELS)] = 100.0,
    range_: Annotated[str, typer.Option("--range", metavar="RANGE", help=RANGE)] = "auto",
    out: Annotated[Path, typer.Option(help="The plot, a PNG; every number goes beside it.")] = Path(
        "profile.png"
    ),
) -> None:
    """Say what a data set is like, which preset suits it and why, and what may be wrong with it.

    Files that cannot be read are listed on stderr and left out.
    """
    from rich.console import Console
    from rich.progress import track

    from adaptaug.backend.writing import write_atomically
    from adaptaug.data import open_data
    from adaptaug.report import plots
    from adaptaug.report import profile as profiling

    if out.suffix.lower() != ".png" or not out.parent.is_dir() or out.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .png file in a folder that exists.")
    everything = open_data(data, round(megapixels * 1e6), range_)
    tell(everything, range_)
    images = everything if limit is None else everything.take(limit)
    result = profiling.Profile(bad=images.bad)
    console = Console(stderr=True)
    for name, image in track(
        images, "Looking", len(images), console=console, transient=True,
        disable=len(images) <= FEW or not console.is_terminal,
    ):  # fmt: skip
        result.add(name, image)
    for _, sentence in images.bad:
        say(f"left out {sentence}")
    if not result.names:
        raise WorkFailed(f"none of {len(images)} files could be read.")
    policy = result.advice()[0]
    side = size or profiling.view_size(result)
    milliseconds = profiling.cost(result.some(images), policy, side)
    view = {"policy": policy, "size": side, "milliseconds": round(milliseconds, 3)}
    report = {"adaptaug": __version__, "data": str(data), **result.report(), "view": view}
    beside = out.with_suffix(".json")
    try:
        write_atomically(beside, lambda file: file.write(json.dumps(report, indent=1).encode() + b"\n"))
        write_atomically(out, lambda file: plots.draw(result, data.name).savefig(file, format="png", dpi=130))
    except OSError as error:
        raise WorkFailed(
            f"{error.filename2 or error.filename or out}: could not be written ({error.strerror or error})."
        ) from error
    print(f"{len(result.names):,} of {len(everything):,} images\n\n{result.text()}\n")
    print(f"suggested: {policy}, because {report['because']}.")
    print(f"next: {report['runner_up']}; {report['runner_up_is']}.")
    for warning in report["warnings"]:
        print(f"warning: {warning}")
    print(f"a view costs {milliseconds:.2g} ms here ({policy}, {side} px, one at a time, without decoding).")
    print(f"{out} and {beside.name}: the plot and every number.")


@app.command()
def ui(
    policy: Annotated[
        str | None, typer.Option(help="A preset's name or a policy file to start from.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="A folder of images to look at.")] = None,
    runs: Annotated[
        Path | None, typer.Option(help="The folder with runs and searches; default ./runs where it exists.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="An encoder by whose features pairs are compared too, as for embed.")
    ] = None,
    normalise: Annotated[
        str | None, typer.Option(help="unit, imagenet or cifar10: its input, where it is taken wrong.")
    ] = None,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help=TRUST)] = False,
    range_: Annotated[str, typer.Option("--range", metavar="RANGE", help=RANGE)] = "auto",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to serve on; 0.0.0.0 lets other machines in, with --auth.")
    ] = "127.0.0.1",
    auth: Annotated[
        str | None, typer.Option(metavar="USER:PASSWORD", envvar="ADAPTAUG_AUTH", help="Ask for a log-in.")
    ] = None,
    embed: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="A site, https://wiki.example, that may show it in a frame."),
    ] = None,
) -> None:
    """Open the app: tune a policy on pairs of views, look at a data set, follow runs and searches."""
    if images is not None and not images.is_dir():
        raise AdaptAugError(f"--images {images}: expected a folder that exists.")
    if runs is not None and not runs.is_dir():
        raise AdaptAugError(f"--runs {runs}: expected a folder that exists.")
    try:
        from adaptaug.ui import app as page
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gradio":
            raise
        raise WorkFailed(
            "the app needs Gradio, which is not installed: pip install 'adaptaug[ui]'."
        ) from error
    page.main(
        policy=policy, images=None if images is None else str(images), port=port, host=host, auth=auth,
        runs=None if runs is None else str(runs), checkpoint=checkpoint, normalise=normalise, range=range_,
        embed=embed or (), trust_pickle=trust_pickle,
    )  # fmt: skip
