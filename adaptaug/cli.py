"""The command line: looking (`preview`, `profile`, `ui`), learning (`search`, `pretrain`), using (`embed` and on).

Exit codes: 0 done, 1 the work failed, 2 bad arguments or input. An error is one sentence on stderr, printed
plainly: file names are neither wrapped nor coloured, so that they can be copied and grepped. A traceback
appears with `--debug` only. Commands import what they need when they run.
"""

from __future__ import annotations

import itertools
import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptaug import __version__
from adaptaug.errors import AdaptAugError

if TYPE_CHECKING:
    from PIL import Image

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_FEW = 4  # up to this many images are done before a progress bar would be read
_DATA = (
    "A folder, a folder of class folders, an .npz, tar shards ('train-{0000..0999}.tar'), a Hugging Face data set "
    "on disk, or torchvision:NAME."
)
_MEGAPIXELS = "Larger image files are left out, not decoded."
# Newer typers carry a copy of click, older ones import it: take the base class from whichever it is.
_ClickError = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Adaptive augmentation for contrastive learning: pairs of views made for each image.",
)  # fmt: skip


class WorkFailed(Exception):
    """The arguments were fine and the work could not be done (exit code 1): one sentence."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console's entry point: run a command and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; every error becomes one sentence on stderr."""
    arguments = list(arguments)
    debug = "--debug" in arguments[: arguments.index("--") if "--" in arguments else None]
    try:
        code = app(args=arguments, prog_name="adaptaug", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _report(error)


def _report(error: Exception) -> int:
    if isinstance(error, _ClickError):
        sentence = " ".join(error.format_message().split())  # type: ignore[attr-defined]
        _say(f"{sentence.rstrip('.')}; see 'adaptaug --help'.")
        return BAD_INPUT
    if isinstance(error, AdaptAugError):
        _say(str(error))
        return BAD_INPUT
    if isinstance(error, (WorkFailed, OSError)):
        _say(str(error))
        return FAILED
    what = " ".join(f"{type(error).__name__}: {error}".split())
    _say(f"unexpected {what}; run again with --debug for details.")
    return FAILED


def _say(sentence: str) -> None:
    print(f"adaptaug: {sentence}", file=sys.stderr)


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


# --- preview ----------------------------------------------------------------------------------------------
@app.command()
def preview(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Image files, or folders.")
    ],
    policy: Annotated[str, typer.Option(help="A preset's name or a policy file.")] = "natural",
    pairs: Annotated[int, typer.Option(min=1, max=64, help="Pairs of views of each image.")] = 4,
    seed: Annotated[int, typer.Option(help="Another number draws other views.")] = 0,
    size: Annotated[int, typer.Option(min=8, max=4096, help="Side of a view in pixels.")] = 160,
    limit: Annotated[int, typer.Option(min=1, help="At most this many images, spread evenly over all.")] = 24,
    megapixels: Annotated[float, typer.Option(min=0.01, help=_MEGAPIXELS)] = 100.0,
    out: Annotated[Path, typer.Option(help="The sheet, a PNG; its report is written beside it.")] = Path(
        "sheet.png"
    ),
) -> None:
    """Draw pairs of views with what was done to each and why, and write every number to a JSON file.

    Files that cannot be read are listed on stderr and left out.
    """
    from adaptaug import files
    from adaptaug.policy import Policy
    from adaptaug.sheet import contact_sheet

    chosen = Policy.load(policy)
    if out.suffix.lower() != ".png" or not out.parent.is_dir() or out.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .png file in a folder that exists.")
    found = files.find_images(images)
    if not found:
        raise WorkFailed(f"no image files in {', '.join(files.printable(path) for path in images)}.")
    kept = [found[i * len(found) // limit] for i in range(limit)] if len(found) > limit else found
    if len(kept) < len(found):
        _say(f"showing {len(kept)} of {len(found)} images, spread evenly; --limit shows more.")
    readable = _readable(kept, round(megapixels * 1e6))
    first = next(readable, None)
    if first is None:
        raise WorkFailed(
            f"none of {len(kept)} files could be read." if len(kept) > 1 else "nothing could be read."
        )
    sheet, report = contact_sheet(itertools.chain([first], readable), chosen, pairs, seed, size)
    beside = out.with_suffix(".json")
    try:
        sheet.save(out)
        beside.write_text(json.dumps({"adaptaug": __version__, **report}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise WorkFailed(
            f"{error.filename or out}: could not be written ({error.strerror or error})."
        ) from error
    print(
        f"{out} and {beside.name}: {len(report['images'])} images, {pairs} pairs each, policy {chosen.name}"
    )


def _readable(paths: list[Path], max_pixels: int) -> Iterator[tuple[str, Image.Image]]:
    """Open files one by one; those that cannot be read are named on stderr and passed over."""
    from rich.console import Console
    from rich.progress import Progress

    from adaptaug import files

    console = Console(stderr=True)
    with Progress(
        console=console, transient=True, disable=len(paths) <= _FEW or not console.is_terminal
    ) as bar:
        for path in bar.track(paths, description="Views"):
            try:
                image = files.open_image(path, max_pixels)
            except AdaptAugError as error:
                _say(f"left out {error}")
                continue
            yield str(path), image


# --- profile ----------------------------------------------------------------------------------------------
@app.command()
def profile(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=_DATA)],
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many images, drawn by a fixed seed.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, max=1024, help="Of the timed view; default 224, or the images' up to 64 px."),
    ] = None,
    megapixels: Annotated[float, typer.Option(min=0.01, help=_MEGAPIXELS)] = 100.0,
    out: Annotated[Path, typer.Option(help="The plot, a PNG; every number goes beside it.")] = Path(
        "profile.png"
    ),
) -> None:
    """Say what a data set is like, which preset suits it and why, and what may be wrong with it.

    Files that cannot be read are listed on stderr and left out.
    """
    from rich.console import Console
    from rich.progress import track

    from adaptaug import profile as profiling
    from adaptaug.data import open_data
    from adaptaug.files import write_atomically

    if out.suffix.lower() != ".png" or not out.parent.is_dir() or out.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .png file in a folder that exists.")
    if data.is_dir() and out.resolve().is_relative_to(data.resolve()):
        raise AdaptAugError(
            f"--out {out}: expected a place outside DATA, where the plot would count as an image."
        )
    everything = open_data(data, round(megapixels * 1e6))
    images = everything if limit is None else everything.take(limit)
    found = profiling.Profile(bad=images.bad)
    console = Console(stderr=True)
    for name, image in track(
        images, "Looking", len(images), console=console, transient=True,
        disable=len(images) <= _FEW or not console.is_terminal,
    ):  # fmt: skip
        found.add(name, image)
    for _, sentence in images.bad:
        _say(f"left out {sentence}")
    if not found.names:
        raise WorkFailed(f"none of {len(images)} files could be read.")
    preset = found.suggestion()[0]
    side = size or profiling.view_size(found)
    milliseconds = profiling.cost(found.some(images), preset, side)
    view = {"policy": preset, "size": side, "milliseconds": round(milliseconds, 3)}
    report = {"adaptaug": __version__, "data": str(data), **found.report(), "view": view}
    beside = out.with_suffix(".json")
    try:
        write_atomically(beside, lambda file: file.write(json.dumps(report, indent=1).encode() + b"\n"))
        write_atomically(out, lambda file: found.plot(data.name).savefig(file, format="png", dpi=130))
    except OSError as error:
        raise WorkFailed(
            f"{error.filename2 or error.filename or out}: could not be written ({error.strerror or error})."
        ) from error
    print(f"{len(found.names):,} of {len(everything):,} images\n\n{found.text()}\n")
    print(f"suggested: {preset}, because {report['because']}.")
    print(f"next: {report['runner_up']}; {report['runner_up_is']}.")
    for warning in report["warnings"]:
        print(f"warning: {warning}")
    print(f"a view costs {milliseconds:.2g} ms here ({preset}, {side} px, one at a time, without decoding).")
    print(f"{out} and {beside.name}: the plot and every number.")


def _own_side(data: Path, otherwise: int) -> int:
    """The side of a view where none is given: that of small images of one size, else `otherwise`."""
    from adaptaug.data import open_data

    images = open_data(data)
    side = max(images[0].shape[:2]) if images.same_size and len(images) else otherwise
    return max(8, side) if side <= 64 else otherwise


def _missing(error: ModuleNotFoundError, extra: str) -> str:
    return f"this needs {error.name}, which is not installed: pip install 'adaptaug[{extra}]'."


# --- search -----------------------------------------------------------------------------------------------
@app.command()
def search(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=f"{_DATA} Labels are needed.")],
    start: Annotated[
        str, typer.Option(help="The policy to begin with: a preset's name or a file.")
    ] = "simclr",
    objective: Annotated[str, typer.Option(help="What arms are scored by: labels.")] = "labels",
    budget: Annotated[int, typer.Option(min=6, help="Policies tried.")] = 30,
    limit: Annotated[int, typer.Option(min=1, help="At most this many images to train on.")] = 6000,
    seed: Annotated[int, typer.Option(min=0, help="Of split, weights, batches and draws.")] = 0,
    size: Annotated[
        int | None,
        typer.Option(min=8, max=512, help="Side of a view; default the images' up to 64 px, else 64."),
    ] = None,
    arch: Annotated[str, typer.Option(help="The network that is trained.")] = "resnet-tiny",
    batch: Annotated[
        int, typer.Option(min=8, help="Images a step; small ones learn more from few images.")
    ] = 64,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; default one a core.")] = None,
    out: Annotated[Path, typer.Option(help="The policy file; the study and the report go beside it.")] = Path(
        "policy.yaml"
    ),
) -> None:
    """Learn a policy on a data set: try arms around the start, keep the best only if it is surely better.

    Killed or interrupted, the same command goes on. OUT.search/ holds the study, every score and report.md.
    """
    try:
        from adaptaug.learn import live
        from adaptaug.learn.arms import Recipe
        from adaptaug.learn.report import write_report
        from adaptaug.learn.search import HAND, Search
    except ModuleNotFoundError as error:
        raise WorkFailed(_missing(error, "search")) from error
    if out.suffix not in (".yaml", ".yml") or not out.parent.is_dir() or out.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .yaml file in a folder that exists.")
    recipe = Recipe(str(data), limit, seed, arch=arch, size=size or _own_side(data, 64), batch=batch)
    with live.Live() as shown:
        task = Search(recipe, start, out.with_suffix(".search"), budget, objective, workers, shown)
        try:
            outcome = task.run()
        except KeyboardInterrupt:
            kept = task.best_so_far()
            kept.save(out)
            _say(f"{out}: holds the best so far ({kept.provenance['outcome'] if kept.provenance else HAND}), "
                 "not verified; the same command goes on.")  # fmt: skip
            raise
        shown.begin("report", 1)
        report = write_report(task, outcome)
    outcome.policy.save(out)
    gain = outcome.against.get(HAND)
    if outcome.shipped:
        print(f"{out}: {outcome.best.name}, {gain} points above {outcome.start.name}; see {report}")
    else:
        print(f"{out}: {outcome.start.name} as it is, for no arm was surely better"
              f"{f' (the best: {gain})' if gain else ''}; see {report}")  # fmt: skip


# --- pretrain ---------------------------------------------------------------------------------------------
@app.command()
def pretrain(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=_DATA)],
    policy: Annotated[str, typer.Option(help="A preset's name or a policy file.")] = "natural",
    arch: Annotated[
        str, typer.Option(help="resnet-tiny, resnet18, resnet34, resnet50 or resnet101.")
    ] = "resnet50",
    stem: Annotated[
        str, typer.Option(help="imagenet, cifar (3x3, no max-pool), or auto: by the size.")
    ] = "auto",
    size: Annotated[
        int | None,
        typer.Option(min=8, max=1024, help="Side of a view; default 224, or the images' up to 64 px."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 100,
    batch_size: Annotated[
        int, typer.Option(min=2, help="Images a step; NT-Xent's negatives are these.")
    ] = 256,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many images to train on.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and draws.")] = 0,
    optimizer: Annotated[str, typer.Option(help="adamw or lars.")] = "adamw",
    rate: Annotated[
        float | None, typer.Option(help="Peak learning rate; default by optimizer and batch.")
    ] = None,
    scaling: Annotated[
        str, typer.Option(help="Of the default rate with the batch: linear or sqrt.")
    ] = "linear",
    objective: Annotated[str, typer.Option(help="simclr, mocov2, byol, vicreg or barlow.")] = "simclr",
    temperature: Annotated[float, typer.Option(min=0.01, max=10, help="Of simclr and mocov2.")] = 0.5,
    layers: Annotated[
        int, typer.Option(min=2, max=3, help="Of the projection head: 2 SimCLR, 3 SimCLRv2.")
    ] = 2,
    precision: Annotated[str, typer.Option(help="auto, bf16, fp16 or 32.")] = "auto",
    views_on: Annotated[str, typer.Option(help="device, cpu (in the workers), or auto.")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images.")] = 0,
    knn_every: Annotated[int, typer.Option(min=1, help="Epochs between two looks at the held-out part.")] = 5,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between two checkpoints.")] = 200,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Batches whose gradients make a step; negatives are a batch's own.")
    ] = 1,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile the encoder.")] = False,
    tensorboard: Annotated[bool, typer.Option(help="Write OUT/tensorboard beside metrics.jsonl.")] = True,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; default 1, or torchrun's.")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Machines; default 1, or torchrun's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("run"),
) -> None:
    """Pretrain an encoder with SimCLR on adaptive views. Killed or interrupted, --resume goes on."""
    try:
        from adaptaug.simclr.trainer import Settings, launched
        from adaptaug.simclr.trainer import pretrain as train
    except ModuleNotFoundError as error:
        raise WorkFailed(_missing(error, "train")) from error
    import logging

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    settings = Settings(
        str(data), str(out), policy, arch, stem, size or _own_side(data, 224), epochs, batch_size, limit, seed,
        optimizer, rate, scaling, objective=objective, temperature=temperature, layers=layers, precision=precision,
        views_on=views_on, workers=workers, knn_every=knn_every, checkpoint_every=checkpoint_every,
        accumulate=accumulate, compile=compile, tensorboard=tensorboard,
        **{"devices": devices or 1, "nodes": nodes or 1} | launched(),
    )  # fmt: skip
    done = train(settings, resume, progress=sys.stderr.isatty())
    if not done.first:
        return
    for sentence in (*done.notes, *done.unreadable):
        _say(sentence)
    scores = ", ".join(f"{name} {value:.4g}" for name, value in done.scores.items())
    if done.step < done.steps:
        _say(f"stopped at step {done.step} of {done.steps}; --resume goes on.")
        raise typer.Exit(INTERRUPTED)
    spent = ", ".join(f"{part} {share:.0%}" for part, share in done.shares.items())
    print(f"time: {spent}")
    print(f"{out}/encoder.safetensors: {arch}, {done.step} steps{f'; {scores}' if scores else ''}")


# --- embed, train-head, predict, evaluate -------------------------------------------------------------------
_CHECKPOINT = "A run's folder, a file of weights, or hf:OWNER/REPO[/FILE]."


def _bar(description: str) -> tuple[Any, Any]:
    """A rich progress bar on stderr and the function that moves it; nothing is drawn where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   console=console, transient=True, disable=not console.is_terminal)  # fmt: skip
    task = bar.add_task(description)
    return bar, lambda done, total: bar.update(task, completed=done, total=total)


def _backbone(checkpoint: str, normalise: str | None) -> Any:
    import torch

    try:
        from adaptaug.simclr.backbone import load_backbone
    except ModuleNotFoundError as error:
        raise WorkFailed(_missing(error, "train")) from error
    return load_backbone(checkpoint, normalise).to("cuda" if torch.cuda.is_available() else "cpu")


@app.command()
def embed(
    data: Annotated[str, typer.Argument(metavar="DATA", help=_DATA)],
    checkpoint: Annotated[str, typer.Option(help=_CHECKPOINT)],
    views: Annotated[
        int, typer.Option(min=0, max=64, help="Adaptive views of each image, beside itself.")
    ] = 4,
    policy: Annotated[str, typer.Option(help="A preset's name or a policy file.")] = "natural",
    size: Annotated[
        int | None, typer.Option(min=8, max=1024, help="Of a view; default 224, or the images' up to 64 px.")
    ] = None,
    normalise: Annotated[
        str | None, typer.Option(help="unit, imagenet or cifar10; default by the checkpoint's layout.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many images, drawn by the seed.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the views.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images and make views.")] = 0,
    half: Annotated[bool, typer.Option("--half", help="Store float16.")] = False,
    out: Annotated[
        Path, typer.Option(help="NAME.npz, or a folder: memory-mapped, for large sets and for torchrun.")
    ] = Path("emb.npz"),
) -> None:
    """Features of every image and of adaptive views of it. Killed, the same command goes on where it stopped."""
    backbone = _backbone(checkpoint, normalise)
    from adaptaug.data import open_data
    from adaptaug.simclr.embeddings import embed as make

    if not out.parent.is_dir():
        raise AdaptAugError(f"--out {out}: expected a place in a folder that exists.")
    images = open_data(data)
    images = images if limit is None else images.take(limit, seed)
    _say(str(backbone.report))
    bar, move = _bar("Embedding")
    with bar:
        make(images, backbone, out, views, policy, size or _own_side(Path(data), 224), seed, batch_size, workers, half,
             move)  # fmt: skip
    for _, sentence in images.bad:
        _say(f"left out {sentence}")
    print(f"{out}: {len(images) - len(images.bad):,} images, {1 + views} x {backbone.width} features each")


@app.command("train-head")
def train_head(
    embeddings: Annotated[
        Path, typer.Argument(metavar="EMBEDDINGS", help="What `embed` wrote, with labels.")
    ],
    epochs: Annotated[int, typer.Option(min=1)] = 8,
    dropout: Annotated[float, typer.Option(min=0, max=0.95, help="Before the first layer.")] = 0.5,
    views: Annotated[int | None, typer.Option(min=0, help="Of each image to train on; default all.")] = None,
    rate: Annotated[float, typer.Option(min=1e-7, help="AdamW's learning rate.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=2)] = 256,
    validation: Annotated[float, typer.Option(help="Share of images that choose the best epoch.")] = 0.2,
    balance: Annotated[bool, typer.Option("--balance", help="Weight classes by their rarity.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of split, weights and order.")] = 0,
    out: Annotated[Path, typer.Option(help="The head; its JSON and its plot go beside it.")] = Path(
        "head.safetensors"
    ),
) -> None:
    """Train the 3-layer head on embeddings: dropout, then three fully connected layers; the best epoch is kept."""
    try:
        from adaptaug.simclr.embeddings import open_embeddings
        from adaptaug.simclr.head import HeadSettings
        from adaptaug.simclr.head import train_head as train
    except ModuleNotFoundError as error:
        raise WorkFailed(_missing(error, "train")) from error
    from adaptaug.files import write_atomically

    if out.suffix != ".safetensors" or not out.parent.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .safetensors file in a folder that exists.")
    data = open_embeddings(embeddings)
    settings = HeadSettings(epochs, dropout, rate=rate, batch=batch_size, seed=seed, validation=validation, views=views,
                            balance=balance)  # fmt: skip
    bar, move = _bar("Epochs")
    with bar:
        done = train(data, settings, move)
    done.save(out)
    plot = out.with_suffix(".png")
    write_atomically(plot, lambda file: done.plot().savefig(file, format="png", dpi=130))
    if len(done.classes) <= 20:
        print(done.text())
    print(f"{out}: epoch {done.best + 1} of {epochs}, {done.accuracy:.1%} of {int(done.confusion.sum()):,} validation "
          f"images; {done.rate:,.0f} rows/s; {plot.name}")  # fmt: skip


@app.command()
def predict(
    data: Annotated[str, typer.Argument(metavar="DATA", help=f"{_DATA} Or one image file.")],
    head: Annotated[Path, typer.Option(help="What `train-head` wrote.")] = Path("head.safetensors"),
    checkpoint: Annotated[str | None, typer.Option(help=f"{_CHECKPOINT} Default: the embeddings'.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
) -> None:
    """Classify images with backbone and head: a line each of name, class and probability, separated by tabs."""
    from adaptaug import files, sources
    from adaptaug.data import Images, open_data

    try:
        from adaptaug.simclr.head import load_head
        from adaptaug.simclr.predicting import classify, matching
    except ModuleNotFoundError as error:
        raise WorkFailed(_missing(error, "train")) from error
    trained, made = load_head(head)
    backbone = _backbone(*matching(made, checkpoint))
    path = Path(data)
    if path.is_file() and path.suffix.lower() in files.SUFFIXES:
        images = Images([data], None, [], sources.Files([path]))
    else:
        images = open_data(data)
    count = 0
    for name, best, probability in classify(images, backbone, trained, made, batch_size):
        print(f"{name}\t{best}\t{probability:.4f}")
        count += 1
    for _, sentence in images.bad:
        _say(f"left out {sentence}")
    if not count:
        raise WorkFailed(f"none of {len(images)} images could be read.")


@app.command()
def evaluate(
    train: Annotated[Path, typer.Argument(metavar="EMBEDDINGS", help="What `embed` wrote, with labels.")],
    test: Annotated[
        Path | None, typer.Option(help="Embeddings to test on; default a fifth of the images.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A .json file for the table.")] = None,
) -> None:
    """Judge embeddings: linear probe, kNN, the head, RankMe, alignment and uniformity, in one table."""
    try:
        from adaptaug.simclr import judge
        from adaptaug.simclr.embeddings import open_embeddings
    except ModuleNotFoundError as error:
        raise WorkFailed(_missing(error, "train")) from error
    from adaptaug.files import write_atomically

    data = open_embeddings(train)
    pair = judge.split(data) if test is None else (data, open_embeddings(test))
    found = judge.judge(*pair)
    print(judge.table(found))
    if out is not None:
        whole = {"adaptaug": __version__, "embeddings": data.about, **found}
        write_atomically(out, lambda file: file.write(json.dumps(whole, indent=1).encode() + b"\n"))


# --- ui ---------------------------------------------------------------------------------------------------
@app.command()
def ui(
    policy: Annotated[
        str | None, typer.Option(help="A preset's name or a policy file to start from.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="A folder of images to look at.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to serve on; 0.0.0.0 lets other machines in, with --auth.")
    ] = "127.0.0.1",
    auth: Annotated[
        str | None, typer.Option(metavar="USER:PASSWORD", envvar="ADAPTAUG_AUTH", help="Ask for a log-in.")
    ] = None,
) -> None:
    """Open the app to inspect pairs of views and tune a policy."""
    if images is not None and not images.is_dir():
        raise AdaptAugError(f"--images {images}: expected a folder that exists.")
    try:
        from adaptaug.ui import app as page
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gradio":
            raise
        raise WorkFailed(
            "the app needs Gradio, which is not installed: pip install 'adaptaug[ui]'."
        ) from error
    page.main(policy=policy, images=None if images is None else str(images), port=port, host=host, auth=auth)


if __name__ == "__main__":
    main()
