"""Text on images: one face on every machine, wrapped and measured with its real widths."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

from PIL import ImageDraw, ImageFont


@cache
def font(size: int) -> Any:
    """Pillow's own scalable face: the same letters on every machine."""
    return ImageFont.load_default(size=size)


def drawable(text: str) -> str:
    """Text in the letters that the face has: accents dropped, what is left over shown as '?'."""
    letters: list[str] = []
    for letter in text:
        printable = " " <= letter <= "~" or letter in "·±…°"
        plain = (
            letter if printable else unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        )
        letters.append(plain or ("" if unicodedata.combining(letter) else "?"))
    return "".join(letters)


def wrap(text: str, size: int, width: int) -> list[str]:
    """Lines of at most `width` pixels, broken at spaces (no-break ones excepted) or in too wide a word."""
    face, lines = font(size), [""]
    for word in map(drawable, text.split(" ")):
        joined = f"{lines[-1]} {word}".strip()
        if face.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and face.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def shortened(text: str, size: int, width: int) -> str:
    """A name on one line: the middle gives way, for names mostly differ at their ends."""
    face, text = font(size), drawable(text)
    keep = len(text)
    cut = text
    while keep > 2 and face.getlength(cut) > width:
        keep -= 1
        cut = f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"
    return cut


class Text:
    """Lines measured first and drawn later: a block knows its height before the cell has its size."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, str, int]] = []  # text, size, colour, space above

    def add(self, text: str, size: int, colour: str, width: int, above: int = 0) -> Text:
        for number, line in enumerate(wrap(text, size, width)):
            self.lines.append((line, size, colour, 0 if number else above))
        return self

    @property
    def height(self) -> int:
        return sum(line_height(size) + above for _, size, _, above in self.lines)

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
        for line, size, colour, above in self.lines:
            y += above
            draw.text((x, y), line, colour, font(size))
            y += line_height(size)


def line_height(size: int) -> int:
    return round(1.36 * size)
