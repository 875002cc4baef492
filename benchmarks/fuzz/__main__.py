"""Hostile files through the readers, the commands and the policy format: what fails, hangs, grows or is not named.

python -m benchmarks.fuzz --out benchmarks/results/fuzz/2-core-x86.json     (a quarter of an hour on one core)

Ends with 1 where anything was found. A file is read in one process with all others, under a limit of address space; the
process that watches it kills it when one file takes longer than --seconds, and names that file.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch

from adaptaug import Views, __version__
from adaptaug.backend.writing import write_atomically
from adaptaug.encoders.networks import build_encoder
from adaptaug.errors import AdaptAugError, printable
from adaptaug.policy import Policy
from benchmarks.fuzz import images, policies
from benchmarks.fuzz.reading import readers
from benchmarks.load import growth, resident
from benchmarks.schema import today
from benchmarks.visitor import Visitor, served

PART = 250  # files of one `preview`: a sheet has a greatest height
TRAINING = ("--arch", "resnet-tiny", "--epochs", "1", "--batch-size", "8", "--no-tensorboard")


def commands(
    folder: Path, files: list[tuple[str, Path]], refused: set[Path], seconds: float
) -> dict[str, Any]:
    """`preview`, `profile`, `embed` and `pretrain` on a folder: it ends with 0, and each bad file has its sentence.

    `pretrain` stops where more than one image in a hundred cannot be read: it gets all that can be read and so few
    others, and once the whole folder, which it has to refuse in a sentence.
    """
    trained, left = folder.parent / "mostly-whole", sorted(f for f in refused if f.is_file())
    whole = [f for _, f in files if f not in refused]
    left = left[: len(whole) // 200]
    for file in (*whole, *left):
        (trained / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (trained / file.relative_to(folder)).write_bytes(file.read_bytes())
    encoder = folder.parent / "encoder.pth"
    torch.manual_seed(0)
    torch.save(build_encoder("resnet18", "cifar").state_dict(), encoder)
    out = folder.parent / "out"
    out.mkdir()
    few = ["--size", "32"]
    plain = [str(file) for _, file in files if file.is_file()]
    sheets = [plain[i : i + PART] for i in range(0, len(plain), PART)]
    asked = {
        "preview": [[*part, "--limit", str(PART), "--pairs", "1", "--out", str(out / "s.png"), *few]
                    for part in sheets],
        "profile": [[str(folder), "--out", str(out / "profile.png"), *few]],
        "embed": [[str(folder), "--checkpoint", str(encoder), "--views", "1", "--out", str(out / "e.npz"), *few]],
        "pretrain": [[str(trained), *TRAINING, "--out", str(out / "run"), *few]],
        "pretrain, most of it bad": [[str(folder), *TRAINING, "--out", str(out / "no run"), *few]],
    }  # fmt: skip
    named = {name: {f for f in refused if f.is_file()} for name in asked}
    named |= {"pretrain": set(left), "pretrain, most of it bad": set()}
    found: dict[str, Any] = {}
    for name, calls in asked.items():
        problems, began, said = [], time.perf_counter(), ""
        for arguments in calls:
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "adaptaug", name.partition(",")[0], *arguments],
                    capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                problems.append(f"{name}: not done in {seconds:g} s")
                continue
            said += done.stderr
            of_part = [Path(argument) for argument in arguments if argument in plain]
            nothing = bool(of_part) and refused.issuperset(of_part)  # can be read of this part
            if done.returncode != (2 if "bad" in name else 1 if nothing else 0):
                problems.append(f"{name} ended with {done.returncode}: {done.stderr.splitlines()[-1:]}")
        # What libtiff itself writes to stderr is none of our sentences, and no harm.
        lines = said.splitlines()
        problems += [f"{name}: {line[:200]}" for line in lines if "unexpected" in line or "Traceback" in line]
        # A folder's listing has no pipes, links or folders among its images, or leaves them out in its own sentence.
        problems += [f"{name}: no word of {f}" for f in named[name] if printable(f.name) not in said]
        given = len(whole) + len(left) if name == "pretrain" else len(files)
        found[name] = {"files": given, "left_out": sum(": left out " in line for line in lines),
                       "seconds": round(time.perf_counter() - began), "problems": problems}  # fmt: skip
    return found


def through_app(files: list[tuple[str, Path]], refused: set[Path], seconds: float) -> dict[str, Any]:
    """Uploads on one page: each is shown, or has its sentence with its name; the page goes on."""
    problems, told = [], Counter[str]()
    began = time.perf_counter()
    with served() as (url, process):
        page = Visitor(url, 6 * seconds)
        page.open()
        held = []
        for kind, file in files:
            if not file.is_file():
                continue  # a browser sends files
            try:
                answer = page.upload(file.name, file.read_bytes())
            except (OSError, http.client.HTTPException) as error:
                problems.append(f"app: {kind}, {file}: {type(error).__name__}: {error}")
                continue
            shown = unescape(" ".join(part for part in json.loads(answer.told or "{}").get("data", [])
                                      if isinstance(part, str)))  # fmt: skip
            told[answer.kind] += 1
            held.append(resident(process.pid))
            if answer.kind == "failed" or (file in refused and printable(file.name) not in shown):
                problems.append(f"app: {kind}, {file}: {answer.kind}, {shown[:300]!r}")
        after = page.seed(1).kind
        problems += [] if after == "done" else [f"app: afterwards a seed is {after}"]
    return {
        "files": sum(told.values()), "answers": dict(told), "growth_mb": round(growth(held), 1),
        "peak_mb": round(max(held)), "seconds": round(time.perf_counter() - began), "problems": problems,
    }  # fmt: skip


def policy_files(folder: Path, count: int, seed: int, seconds: float) -> dict[str, Any]:
    """Each is taken or refused in one line, within the time; what is taken draws a view."""
    photo = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    problems, slowest = [], ("", 0.0)
    file = folder / "policy.yaml"
    for kind, content in policies.made(count, seed):
        file.write_bytes(content)
        began, taken = time.process_time(), False
        try:
            policy = Policy.load(file)
            taken = True
        except AdaptAugError as error:
            if str(file) not in str(error) or "\n" in str(error) or len(str(error)) > 2000:
                problems.append(f"{kind}: not a sentence with the file's name: {error}"[:300])
        except BaseException as error:
            problems.append(f"{kind}: {type(error).__name__}: {error}"[:300] + f" of {content[:200]!r}")
        took = time.process_time() - began
        slowest = max(slowest, (kind, took), key=lambda pair: pair[1])
        if took > seconds:
            problems.append(f"{kind}: {took:.2f} s of {len(content):,} bytes, {content[:60]!r}")
        if taken:
            try:
                Views(policy, 2, 16)(photo, key=(0, 0, 0))
            except Exception as error:
                problems.append(f"{kind}, drawn: {type(error).__name__}: {error}"[:300] + f" of {content!r}")
        kinds[kind]["taken" if taken else "refused"] += 1
    return {"files": count, "slowest": [slowest[0], round(slowest[1], 3)],
            "kinds": {k: dict(v) for k, v in kinds.items()}, "problems": problems}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--commands", type=int, default=1_000, help="files through each command; 0: none")
    parser.add_argument("--uploads", type=int, default=200, help="files through the app; 0: none")
    parser.add_argument("--policies", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0, help="that one file may take")
    parser.add_argument(
        "--policy-seconds", type=float, default=0.2, help="of the processor, for one policy file"
    )
    parser.add_argument("--growth", type=float, default=64.0, help="MB that memory may grow over all files")
    parser.add_argument("--keep", type=Path, help="a folder for the corpus, which is kept")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    work = asked.keep or Path(tempfile.mkdtemp(prefix="adaptaug-fuzz-"))
    try:
        files = images.write(work / "all", asked.files, asked.seed)
        read = readers(files, asked.seconds)
        if read["growth_mb"] > asked.growth:
            read["problems"].append(f"memory grew by {read['growth_mb']} MB")
        also: dict[str, Any] = {"problems": []}
        ran: dict[str, Any] = {}
        if asked.commands:
            some = images.write(work / "some", asked.commands, asked.seed + 1)
            also = readers(some, asked.seconds)
            bad = set(also.pop("refused"))
            ran = commands(work / "some", some, bad, 1800)
            if asked.uploads:
                ran["app"] = through_app(some[: asked.uploads], bad, asked.seconds)
        drawn = policy_files(work, asked.policies, asked.seed, asked.policy_seconds)
    finally:
        if asked.keep is None:
            shutil.rmtree(work)
    read.pop("refused")
    problems = [*read["problems"], *also["problems"], *(p for one in ran.values() for p in one["problems"]),
                *drawn["problems"]]  # fmt: skip
    for problem in problems:
        print(problem)
    print(
        f"{read['files']:,} files in one process: {read['read']:,} read, {read['refused_by_name']:,} refused by name, "
        f"slowest {read['slowest'][1]} s, peak {read['peak_mb']} MB, growth {read['growth_mb']} MB; "
        f"{asked.commands:,} through each of {', '.join(ran) or 'no command'}; {asked.policies:,} policies, "
        f"slowest {drawn['slowest'][1]} s; {len(problems)} problems"
    )
    if asked.out is not None:
        whole = {
            "measured": today(),
            "command": f"python -m benchmarks.fuzz --files {asked.files} --commands {asked.commands} "
                       f"--uploads {asked.uploads} --policies {asked.policies} --seed {asked.seed}",
            "adaptaug": __version__,
            "machine": f"{platform.machine()}, Pillow {PIL.__version__}, {os.cpu_count()} cores",
            "readers": read, "commands": ran, "policies": drawn,
        }  # fmt: skip
        write_atomically(asked.out, lambda file: file.write(json.dumps(whole, indent=1).encode() + b"\n"))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
