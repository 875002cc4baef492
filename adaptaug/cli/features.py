"""Commands that use an encoder: `embed`, `train-head`, `predict`, `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from adaptaug import __version__
from adaptaug.cli.base import (
    CHECKPOINT,
    DATA,
    RANGE,
    TRUST,
    WorkFailed,
    app,
    missing,
    own_side,
    progress_bar,
    say,
    tell,
)
from adaptaug.errors import AdaptAugError, printable


def _backbone(checkpoint: str, normalise: str | None, trust_pickle: bool) -> Any:
    import torch

    try:
        from adaptaug.encoders.backbone import load_backbone
    except ModuleNotFoundError as error:
        raise WorkFailed(missing(error, "train")) from error
    backbone = load_backbone(checkpoint, normalise, trust_pickle=trust_pickle)
    return backbone.to("cuda" if torch.cuda.is_available() else "cpu")


@app.command()
def embed(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    checkpoint: Annotated[str, typer.Option(help=CHECKPOINT)],
    views: Annotated[
        int, typer.Option(min=0, max=64, help="Adaptive views of each image, beside itself.")
    ] = 4,
    policy: Annotated[str, typer.Option(help="A preset's name or a policy file.")] = "natural",
    size: Annotated[
        int | None, typer.Option(min=8, max=1024, help="Of a view; default 224, or the images' up to 64 px.")
    ] = None,
    normalise: Annotated[
        str | None,
        typer.Option(help="unit, imagenet or cifar10: overrules what the checkpoint's report says."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many images, drawn by the seed.")
    ] = None,
    range_: Annotated[str, typer.Option("--range", metavar="RANGE", help=RANGE)] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the views.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images and make views.")] = 0,
    half: Annotated[bool, typer.Option("--half", help="Store float16.")] = False,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help=TRUST)] = False,
    out: Annotated[
        Path, typer.Option(help="NAME.npz, or a folder: memory-mapped, for large sets and for torchrun.")
    ] = Path("emb.npz"),
) -> None:
    """Features of every image and of adaptive views of it. Killed, the same command goes on where it stopped."""
    backbone = _backbone(checkpoint, normalise, trust_pickle)
    from adaptaug.data import open_data
    from adaptaug.simclr.embeddings import embed as make

    if not out.parent.is_dir():
        raise AdaptAugError(f"--out {out}: expected a place in a folder that exists.")
    images = open_data(data, range=range_)
    tell(images, range_)
    images = images if limit is None else images.take(limit, seed)
    if images.about_labels:
        say(images.about_labels)
    say(str(backbone.report))
    bar, move = progress_bar("Embedding")
    with bar:
        make(images, backbone, out, views, policy, size or own_side(Path(data), 224), seed, batch_size, workers, half,
             move)  # fmt: skip
    for _, sentence in images.bad:
        say(f"left out {sentence}")
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
        from adaptaug.simclr.classifier import HeadSettings
        from adaptaug.simclr.classifier import train_head as train
        from adaptaug.simclr.embeddings import open_embeddings
    except ModuleNotFoundError as error:
        raise WorkFailed(missing(error, "train")) from error
    from adaptaug.backend.writing import write_atomically

    if out.suffix != ".safetensors" or not out.parent.is_dir():
        raise AdaptAugError(f"--out {out}: expected a .safetensors file in a folder that exists.")
    data = open_embeddings(embeddings)
    settings = HeadSettings(epochs, dropout, rate=rate, batch=batch_size, seed=seed, validation=validation, views=views,
                            balance=balance)  # fmt: skip
    bar, move = progress_bar("Epochs")
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
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    head: Annotated[Path, typer.Option(help="What `train-head` wrote.")] = Path("head.safetensors"),
    checkpoint: Annotated[str | None, typer.Option(help=f"{CHECKPOINT} Default: the embeddings'.")] = None,
    normalise: Annotated[
        str | None,
        typer.Option(help="unit, imagenet or cifar10; default what the embeddings were made with."),
    ] = None,
    range_: Annotated[
        str | None, typer.Option("--range", metavar="RANGE", help=f"{RANGE} Default: the embeddings'.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help=TRUST)] = False,
) -> None:
    """Classify images with backbone and head: a line each of name, class and probability, separated by tabs."""
    from adaptaug.data import open_data

    try:
        from adaptaug.simclr.classifier import load_head
        from adaptaug.simclr.predict import classify, matching
    except ModuleNotFoundError as error:
        raise WorkFailed(missing(error, "train")) from error
    classifier, about = load_head(head)
    backbone = _backbone(*matching(about, checkpoint, normalise), trust_pickle)
    range = range_ or about.get("embeddings", {}).get("range", "auto")
    images = open_data(data, range=range)
    tell(images, range)
    count = 0
    for name, best, probability in classify(images, backbone, classifier, about, batch_size):
        print(f"{name}\t{printable(best)}\t{probability:.4f}")
        count += 1
    for _, sentence in images.bad:
        say(f"left out {sentence}")
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
        from adaptaug.simclr import evaluation
        from adaptaug.simclr.embeddings import open_embeddings
    except ModuleNotFoundError as error:
        raise WorkFailed(missing(error, "train")) from error
    from adaptaug.backend.writing import write_atomically

    data = open_embeddings(train)
    pair = evaluation.split(data) if test is None else (data, open_embeddings(test))
    scores = evaluation.judge(*pair)
    print(evaluation.table(scores))
    if out is not None:
        whole = {"adaptaug": __version__, "embeddings": data.about, **scores}
        write_atomically(out, lambda file: file.write(json.dumps(whole, indent=1).encode() + b"\n"))
