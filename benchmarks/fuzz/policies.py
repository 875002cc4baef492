"""Policy files from strangers, made by a seed: presets that were changed, and what YAML can be made to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from adaptaug.policy import Policy, preset_names

_VALUES = ("NaN", ".nan", ".inf", "-.inf", "1e400", "-1", "1e-320", "true", "null", "'5'", "[1, 2, 3]", "[2, 1]",
           "{a: 1}", "!!binary aGk=", "!!set {a}", "!!python/name:os.system", "&a [*a]", "2001-13-45", "1:2:3",
           "0x" + "f" * 400, "9" * 5000, "1_0_0", "~", "|", "<<", "? ", "*a", "\u2028", "\ud7ff",
           "x" * 20_000)  # fmt: skip


def attacks() -> Iterator[tuple[str, bytes]]:
    """What costs a reader of YAML more than its size."""
    laughs = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
    )
    yield "aliases", laughs.encode()
    yield "aliases", b"version: 1\noperations: &o {hflip: {p: 0.5}}\npair: {second: *o}\n"
    for tag in (
        "!!python/object/apply:os.system ['id']",
        "!!python/tuple [1]",
        "!x {}",
        "!!omap [a: 1]",
        "!!set {a}",
    ):
        yield "tags", f"version: 1\nname: {tag}\n".encode()
        yield "tags", f"{tag}\n".encode()
    for depth in (60, 5_000, 400_000):
        for opening in ("[", "{a: ", "- "):
            yield "depth", f"version: 1\nprovenance: {opening * depth}".encode()
            yield "depth", (opening * depth).encode()
    for size in (990_000, 1_010_000, 10_000_000):
        yield "size", b"version: 1\ndescription: " + b"x" * size
        yield "size", b"version: 1\nprovenance: [" + b"1," * (size // 2) + b"]\n"
        yield (
            "size",
            b"version: 1\nprovenance: {" + b"".join(b"k%d: 1, " % i for i in range(size // 12)) + b"}\n",
        )
        yield "size", b"# " + b"x" * size
        yield "size", b"\n" * size
        yield "size", b"? " * (size // 2)
        yield "size", b"version: " + b"9" * size
        yield "size", b"version: " + b"1:" * (size // 2) + b"1"
        yield "size", b'name: "' + b"\\u0041" * (size // 6) + b'"'
        yield "size", b"'" + b"''" * (size // 2) + b"'"
    yield "duplicate keys", b"version: 1\nversion: 1\n"
    yield "duplicate keys", b"version: 1\noperations: {hflip: {p: 0.1}, hflip: {p: 0.9}}\n"
    yield "duplicate keys", b"version: 1\noperations: {hflip: {p: 0.1, p: .nan}}\n"
    for odd in (b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbfversion: 1\n", "version: 1\n".encode("utf-16"), b"---\n---\n",
                b"%YAML 9.9\n---\nversion: 1\n", b"\tversion: 1",
                b"version: 1\r\nname: a\rb\n", b"[]", b"1", b"null"):  # fmt: skip
        yield "no policy", odd


def changed(random: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Without end: presets with a value replaced, bytes flipped, lines moved, twice or cut off."""
    presets = [Policy.load(name).dumps() for name in preset_names()]
    while True:
        text: Any = presets[random.integers(len(presets))]
        what = random.integers(5)
        lines = text.splitlines()
        if what == 0:
            places = [i for i, c in enumerate(text) if c in ":,"]
            at = places[random.integers(len(places))]
            end = next((i for i in range(at + 1, len(text)) if text[i] in ",}]\n"), len(text))
            yield (
                "odd value",
                f"{text[: at + 1]} {_VALUES[random.integers(len(_VALUES))]}{text[end:]}".encode(),
            )
        elif what == 1:
            content = bytearray(text.encode())
            for _ in range(int(random.integers(1, 9))):
                content[random.integers(len(content))] ^= 1 << int(random.integers(8))
            yield "bits flipped", bytes(content)
        elif what == 2:
            line = lines[random.integers(len(lines))]
            lines.insert(int(random.integers(len(lines))), line)
            yield "a line twice", "\n".join(lines).encode()
        elif what == 3:
            yield "lines mixed", "\n".join(lines[i] for i in random.permutation(len(lines))).encode()
        else:
            yield "cut off", text[: random.integers(len(text))].encode()


def made(count: int, seed: int) -> list[tuple[str, bytes]]:
    """All attacks, and as many changed presets as make `count`."""
    known, more = list(attacks()), changed(np.random.default_rng(seed))
    return [*known, *(next(more) for _ in range(count - len(known)))]
