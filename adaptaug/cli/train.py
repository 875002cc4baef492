"""Commands that learn: `search` a policy, `pretrain` an encoder."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptaug.cli.base import DATA, INTERRUPTED, RANGE, WorkFailed, app, missing, own_side, say, settled_range
from adaptaug.errors import AdaptAugError

if TYPE_CHECKING:
    from adaptaug.learn.search import Search
    from adaptaug.simclr.settings import Settings


@app.command()
def search(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=f"{DATA} With labels, or without.")],
    start: Annotated[
        str, typer.Option(help="The policy to begin with: a preset's name or a file.")
    ] = "simclr",
    objective: Annotated[
        str, typer.Option(help="What arms are scored by: labels, images (needs no labels), or auto.")
    ] = "auto",
    method: Annotated[
        str,
        typer.Option(help="screen (16 policies of a factorial design) or halving (arms around the start)."),
    ] = "halving",
    budget: Annotated[
        int | None,
        typer.Option(min=6, help="Policies tried; default 30, to screen 16, or 18 or 20 with more levels."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most this many images to train on; default 6000, to screen 3000."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of split, weights, batches and draws.")] = 0,
    size: Annotated[
        int | None,
        typer.Option(min=8, max=512, help="Side of a view; default the images' up to 64 px, else 64."),
    ] = None,
    arch: Annotated[str, typer.Option(help="The network that is trained.")] = "resnet-tiny",
    batch: Annotated[
        int, typer.Option(min=8, help="Pairs of views a step; small ones learn more from few images.")
    ] = 64,
    views: Annotated[
        int, typer.Option(min=2, max=16, help="Of each image; as many views a step, so of fewer images.")
    ] = 2,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a run that verifies; default 14, and arms train a little less. To screen, of every run: 4, and "
            "more where images are few. More: fairer to small crops.",
        ),
    ] = None,
    range_: Annotated[str, typer.Option("--range", metavar="RANGE", help=RANGE)] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; default one a core.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="ADAPTAUG_STORAGE",
            help="A database that several machines share, as postgresql://user@host/database; each runs this command.",
        ),
    ] = None,
    study: Annotated[str | None, typer.Option(help="The study's name in --storage.")] = None,
    remember: Annotated[
        Path | None,
        typer.Option(help="A file of your data sets, to expect effects by; what is screened here is added."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and say what it would cost; write nothing.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The policy file; the study and the report go beside it.")] = Path(
        "policy.yaml"
    ),
) -> None:
    """Learn a policy on a data set: try arms around the start, keep the best only if it is surely better.

    Killed or interrupted, the same command goes on. OUT.search/ holds the study, every score and report.md.
    """
    try:
        import optuna

        from adaptaug.cli import progress
        from adaptaug.learn import memory
        from adaptaug.learn.arms import Recipe
        from adaptaug.learn.report import write_report
        from adaptaug.learn.screening import IMAGES, Screening, epochs_of
        from adaptaug.learn.search import Search
        from adaptaug.learn.shared import Shared
    except ModuleNotFoundError as error:
        raise WorkFailed(missing(error, "search")) from error
    if out.suffix not in (".yaml", ".yml") or not out.parent.is_dir() or out.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .yaml file in a folder that exists.")
    screens = method == "screen"
    if remember is not None and not screens:
        raise AdaptAugError("--remember: expected --method screen, by which effects are measured.")
    limit = limit or (IMAGES if screens else 6000)
    recipe = Recipe(
        str(data), limit, seed, arch=arch, size=size or own_side(data, 64), batch=batch,
        epochs=epochs or (epochs_of(data, limit) if screens else 14), range=settled_range(data, range_), views=views,
    )  # fmt: skip
    past = memory.Memory.load(*([remember] if remember else []))
    if dry_run:
        with tempfile.TemporaryDirectory() as folder:
            _tell_cost(Search(recipe, start, folder, budget, objective, workers, method=method, memory=past))
        return
    if (storage is None) != (study is None):
        raise AdaptAugError(
            "expected --storage (or ADAPTAUG_STORAGE) and --study together, got only one of them."
        )
    shared = None if storage is None or study is None else Shared(storage, study)
    optuna.logging.disable_default_handler()  # threads that still train after Ctrl-C would tell of their trials
    with progress.Live() as display:
        task = Search(
            recipe,
            start,
            out.with_suffix(".search"),
            budget,
            objective,
            workers,
            display,
            shared,
            method,
            past,
        )
        for sentence in (*task.unreadable, task.about_labels):
            if sentence:
                say(sentence)
        try:
            outcome = task.run()
        except KeyboardInterrupt:
            best = task.best_so_far()
            best.save(out)
            say(f"{out}: holds the best so far ({best.provenance['outcome']}), "
                 "not verified; the same command goes on.")  # fmt: skip
            raise
        display.begin("report", 1)
        report = write_report(task, outcome)
    outcome.policy.save(out)
    if remember is not None and isinstance(task.how, Screening):
        memory.remember(remember, task.how.remembered())
    gain = outcome.gain
    if outcome.shipped:
        print(f"{out}: {outcome.best.name}, {gain} points above {outcome.start.name}; see {report}")
    else:
        print(f"{out}: {outcome.start.name} as it is, for no arm was surely better"
              f"{f' (the best: {gain})' if gain else ''}; see {report}")  # fmt: skip


def _tell_cost(task: Search) -> None:
    from adaptaug.learn.estimate import estimate

    for sentence in (*task.unreadable, task.about_labels):
        if sentence:
            say(sentence)
    cost = estimate(task)
    minutes = max(1, round(cost.seconds / 60))
    print(f"{cost.arms} arms scored by {task.objective}, {task.how.told()}; at most {cost.epochs} "
          f"epochs ({cost.pairs:,} pairs), about {minutes} min here on {max(1, task.workers)} processes")  # fmt: skip


@app.command()
def pretrain(
    data: Annotated[Path, typer.Argument(metavar="DATA", help=DATA)],
    policy: Annotated[
        str, typer.Option(help="A preset's name, a policy file, or auto: find one, into OUT/policy.yaml.")
    ] = "natural",
    search_share: Annotated[
        float, typer.Option(min=0, max=1, help="Of the training's time that finding a policy may take.")
    ] = 0.1,
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
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the images; default 50, or 100 with --views 2.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=2, help="Pairs of views a step: 2 x this / --views images.")
    ] = 256,
    views: Annotated[
        int | None,
        typer.Option(
            min=2, max=16, help="Of each image; default 4, or 2 with another objective, --band or --heads."
        ),
    ] = None,
    small_views: Annotated[
        int, typer.Option(min=0, max=16, help="More of each image, by their pixels as a part of a view each.")
    ] = 0,
    small_size: Annotated[
        int | None, typer.Option(min=8, max=1024, help="Side of a small view; default half of --size.")
    ] = None,
    first_size: Annotated[
        int | None,
        typer.Option(
            min=8, max=1024, help="Side of the first views, which grow up to --size; default: none grow."
        ),
    ] = None,
    tell: Annotated[
        str, typer.Option(help="Tell the projection head what was done to a view: some of tone,colour,crop.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many images to train on.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and draws.")] = 0,
    range_: Annotated[str, typer.Option("--range", metavar="RANGE", help=RANGE)] = "auto",
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
    band: Annotated[
        str,
        typer.Option(
            help="Keep pairs within: off, auto, or FLOOR,CEILING of their similarity, as '0.2,0.9'."
        ),
    ] = "off",
    heads: Annotated[
        str, typer.Option(help="Learn how statistics move the policy, into OUT/policy.yaml: off or on.")
    ] = "off",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    out: Annotated[Path, typer.Option(help="The run's folder.")] = Path("run"),
) -> None:
    """Pretrain an encoder with SimCLR on adaptive views. Killed or interrupted, --resume goes on.

    With --policy auto it first looks at DATA and screens (OUT/report.md says why), and the same command goes on.
    """
    try:
        from adaptaug.simclr.trainer import Settings, launched
        from adaptaug.simclr.trainer import pretrain as train
    except ModuleNotFoundError as error:
        raise WorkFailed(missing(error, "train")) from error
    import logging

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    given = {name: value for name, value in (("epochs", epochs), ("views", views)) if value is not None}
    settings = Settings(
        str(data), str(out), policy, arch, stem, size or own_side(data, 224), batch=batch_size, limit=limit, seed=seed,
        optimizer=optimizer, rate=rate, scaling=scaling, objective=objective, temperature=temperature, layers=layers,
        precision=precision, views_on=views_on, workers=workers, knn_every=knn_every,
        checkpoint_every=checkpoint_every, accumulate=accumulate, compile=compile, tensorboard=tensorboard, band=band,
        heads=heads, small_views=small_views, small_size=small_size or 0, first_size=first_size or 0, tell=tell,
        range=settled_range(data, range_), **given | {"devices": devices or 1, "nodes": nodes or 1} | launched(),
    )  # fmt: skip
    if policy == "auto":
        settings, resume = _with_found(settings, search_share, resume)
    done = train(settings, resume, progress=sys.stderr.isatty())
    if not done.first:
        return
    for sentence in (*done.notes, *done.unreadable):
        say(sentence)
    scores = ", ".join(f"{name} {value:.4g}" for name, value in done.scores.items())
    if done.step < done.steps:
        say(f"stopped at step {done.step} of {done.steps}; --resume goes on.")
        raise typer.Exit(INTERRUPTED)
    shares = ", ".join(f"{part} {share:.0%}" for part, share in done.shares.items())
    print(f"time: {shares}")
    if heads == "on":
        print(f"{out}/policy.yaml: {policy} with the conditional weights learned")
    print(f"{out}/encoder.safetensors: {arch}, {done.step} steps{f'; {scores}' if scores else ''}")


def _with_found(settings: Settings, share: float, resume: bool) -> tuple[Settings, bool]:
    """The settings with the policy for these data, found in the run's folder by the first process; and whether the run
    goes on."""
    try:
        import optuna

        from adaptaug.cli import progress
        from adaptaug.learn.finding import find, training_seconds
    except ModuleNotFoundError as error:
        raise WorkFailed(missing(error, "search")) from error
    from adaptaug.data import open_data
    from adaptaug.simclr.checkpoints import checkpoints
    from adaptaug.simclr.trainer import is_first

    if settings.heads == "on":
        raise AdaptAugError(
            "--heads on: expected a policy by name or file, which heads learn from; it was auto."
        )
    folder = Path(settings.out)
    file = folder / "policy.yaml"
    if is_first():
        optuna.logging.disable_default_handler()
        count = min(len(open_data(settings.data)), settings.limit or sys.maxsize)
        seconds = None if file.exists() else share * training_seconds(settings.settled({}), count)
        with progress.Live() as display:
            policy = find(settings.data, folder, seconds, settings.seed, settings.range, None, display)
        say(f"{file}: trains with {policy.name}; {folder}/report.md says why.")
    while not file.exists():  # the first process is at it
        time.sleep(1)
    return replace(settings, policy=str(file)), resume or bool(checkpoints(folder))
