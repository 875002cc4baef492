"""Files through the readers, in one process with a limit of memory, and another that watches how long each takes."""

from __future__ import annotations

import multiprocessing
import re
import resource
import time
from collections import Counter, defaultdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from adaptaug.data.files import open_image
from adaptaug.errors import AdaptAugError, printable

ROOM = 2 << 30  # bytes of address space beyond what the imports take
_SAID = re.compile(r"\(.*?\)|'.*?'|[\d.,]+( x [\d.,]+)?")  # of a reason, what differs from file to file


def resident() -> int:
    """Bytes of memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def read_all(files: list[tuple[str, Path]], told: Connection) -> None:
    """In a process of its own: each file's number before it is read, and after it what came of it."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    for number, (_, file) in enumerate(files):
        told.send(number)
        began, problem, reason = time.process_time(), "", ""
        try:
            image = open_image(file)
            if image.mode != "RGB" or min(image.size) < 2:
                problem = f"read as {image.mode} of {image.size}"
            del image
        except AdaptAugError as error:
            name, sentence = printable(file), str(error)
            reason = sentence.removeprefix(f"{name}: ")
            if not sentence.startswith(f"{name}: ") or not sentence.isprintable():
                problem = f"not named on one line: {sentence!r}"
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"
        told.send((reason, problem, time.process_time() - began, resident()))
    told.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def readers(files: list[tuple[str, Path]], seconds: float) -> dict[str, Any]:
    """What the readers made of all files. The keys `problems` and `refused` (paths) are for the caller."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=read_all, args=(files, there))
    process.start()
    there.close()
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    problems: list[str] = []
    refused: list[Path] = []
    spent, held, number, peak = [], [], -1, 0
    try:
        while True:
            if not here.poll(
                60 if number < 0 else seconds * 6
            ):  # a busy machine may need several times as long
                problems.append(f"no answer about {files[number]}")
                break
            got = here.recv()
            if isinstance(got, tuple):
                reason, problem, took, memory = got
                kind, file = files[number]
                kinds[kind.partition(":")[0]]["refused" if reason else "read"] += 1
                if reason:
                    reasons[_SAID.sub("_", reason.split("; ")[0])[:110]] += 1
                    refused.append(file)
                if problem or took > seconds:
                    problems.append(f"{kind}, {file}: {problem or f'{took:.1f} s'}")
                spent.append(took)
                held.append(memory)
            elif number == len(files) - 1:
                peak = got
                break
            else:
                number = got
    except EOFError:
        process.join()
        problems.append(f"the process died ({process.exitcode}) of {files[number]}")
    process.kill()
    process.join()
    slowest = int(np.argmax(spent))
    quarter = len(held) // 4
    growth = np.median(held[-quarter:]) - np.median(held[quarter : 2 * quarter])
    return {
        "files": len(spent), "read": sum(k["read"] for k in kinds.values()), "refused_by_name": len(refused),
        "slowest": [files[slowest][0], round(spent[slowest], 2)], "seconds": round(sum(spent)), "peak_mb": peak >> 20,
        "growth_mb": round(float(growth) / 2**20, 1), "kinds": {k: dict(v) for k, v in sorted(kinds.items())},
        "reasons": dict(reasons.most_common()), "problems": problems, "refused": refused,
    }  # fmt: skip
