"""All that is to be measured on a GPU, prepared for one that is lent for minutes.

    python -m benchmarks.gpu PART... --seconds N --out R.json
    python -m benchmarks.gpu pack [--data ../shared/data] [--try PYTHON]

PART: throughput (views eager and as a CUDA graph, beside kornia and torchvision), steps (views' share of a training
step; whether the device's views are the CPU's), compiled (views by torch.compile, which takes minutes), training
(ResNets on CIFAR-10, `natural` and the tuned manual recipe in turns), in the order given. Rows go to R.json as they are
done; the call stops by itself before N seconds are over, and the same command goes on where it stopped, a training from
its checkpoint beside R.json. `pack` puts what the machine lacks into one folder that git ignores.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from adaptaug.errors import AdaptAugError
from benchmarks.gpu import pack

PARTS = ("throughput", "steps", "compiled", "training")


def options_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "parts", nargs="+", choices=(*PARTS, "pack"), metavar="PART", help=", ".join((*PARTS, "pack"))
    )
    parser.add_argument("--seconds", type=float, help="by which this call has stopped")
    parser.add_argument("--began", type=float, help="when these began (date +%%s), where not now")
    parser.add_argument(
        "--later", type=float, default=0, help="seconds that later calls will have for training"
    )
    parser.add_argument("--out", type=Path, help="R.json; checkpoints go beside it")
    parser.add_argument("--also", type=Path, help="where R.json is written a second time")
    parser.add_argument("--again", action="store_true", help="rows that failed once more")
    parser.add_argument(
        "--toy", action="store_true", help="a few tiny images, to see that it runs; on a CPU, too"
    )
    parser.add_argument("--pack", type=Path, default=pack.FOLDER, help="the folder that `pack` makes")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="of pack: where CIFAR-10 lies"
    )
    parser.add_argument(
        "--try", dest="python", help="of pack: a Python 3.12 with what the machine has, to try it in"
    )
    options = parser.parse_args(arguments)
    if "pack" in options.parts:
        if options.parts != ["pack"]:
            parser.error("pack is a command of its own")
    elif options.seconds is None or options.out is None:
        parser.error("expected --seconds and --out")
    return options


def measure(options: argparse.Namespace) -> None:
    """What was asked, as far as there is time."""
    began = time.monotonic() - (time.time() - options.began if options.began else 0)
    import torch

    from benchmarks.gpu import steps, throughput, toy, training
    from benchmarks.gpu.calls import Call

    if not torch.cuda.is_available() and not options.toy:
        raise AdaptAugError("expected a CUDA device, got none; --toy tries every part on the CPU.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    facts = {"command": " ".join(sys.argv), "parts": options.parts, **pack.facts(options.pack, device)}
    call = Call(options.out, options.seconds, facts, options.also, began=began)
    sizes = (
        (toy.THROUGHPUT, toy.STEPS, toy.TRAINING) if options.toy
        else (throughput.Sizes(), steps.Sizes(), training.Sizes())
    )  # fmt: skip
    trained = replace(sizes[2], later=options.later)
    rows = {
        "throughput": throughput.rows(sizes[0], device), "steps": steps.rows(sizes[1], device),
        "compiled": throughput.compiled_rows(sizes[0], device),
        "training": training.rows(trained, options.pack, device),
    }  # fmt: skip
    call.run([row for part in options.parts for row in rows[part]], options.again)
    for key, reason in call.told["left"].items():
        print(f"{key}: left, {reason}")


def main() -> None:
    options = options_of(sys.argv[1:])
    try:
        if options.parts == ["pack"]:
            pack.make(options.pack, options.data)
            if options.python:
                pack.try_out(options.pack, options.python)
        else:
            measure(options)
    except AdaptAugError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
