"""The contact sheet: sources, pairs of views (or sets of more), and under each view what was done and why.

It is what a person looks at to judge a policy; the report beside it holds every number and the exact keys.
"""

from __future__ import annotations

import hashlib
import itertools
import string
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from adaptaug.data.transparency import shown
from adaptaug.errors import AdaptAugError
from adaptaug.params import ViewParams
from adaptaug.pipeline.inputs import read
from adaptaug.policy import Policy
from adaptaug.report.captions import Note, describe_image, describe_view
from adaptaug.report.text import Text, font, shortened
from adaptaug.views import Views, as_policy, measure

MAX_PAIRS, MAX_VIEWS = 64, 16
MAX_HEIGHT = 60_000  # pixels of a sheet; viewers and PNG decoders give up not far beyond

_WIDTH = 1400  # a sheet grows no wider for the sake of more pairs in a row
_MARGIN, _GAP, _PAD, _BETWEEN = 28, 16, 14, 12
_SOURCE = 208  # the source's column
_LEAST_CELL = 144  # text needs this much; smaller views are shown enlarged by a whole factor
_MAP = 54  # the longer side of a pair's map of crops
_PAPER, _CARD, _RULE = "#f4f4f1", "#ffffff", "#d8d8d2"
_INK, _SOFT, _ALERT = "#1d1f23", "#666b73", "#a8480b"
# Of A, B, ...: A and B are apart for colour-blind eyes as well; the ninth begins again.
_VIEW_INK = ("#1f5fb4", "#c05a12", "#0b8a62", "#8c3fa8", "#a37b00", "#5b6770", "#b8195c", "#00838f")
_LETTERS = string.ascii_uppercase
_TITLE, _NAME, _BODY, _SMALL = 24, 15, 13, 12


def show(
    image: Any,
    policy: Policy | str = "natural",
    pairs: int = 4,
    seed: int = 0,
    size: int = 160,
    views: int = 2,
) -> Image.Image:
    """A contact sheet of one image as a PIL image (a notebook displays it).

    Args:
        image: one image, as `Views` takes it (a tensor is shown as the PIL image of its levels).
        policy: a Policy, a preset's name, or a policy file's path.
        pairs: 1 to 64; pair k has the key (seed, 0, k).
        size: side of a view in pixels; views: 2 to 16, of each pair: with more than two, of each set.
    Raises: AdaptAugError: what `Views` refuses, and a number of pairs out of range.

    >>> show(image, "digits", pairs=2, size=64).mode
    'RGB'
    """
    return contact_sheet([("", as_pil(image))], policy, pairs, seed, size, views)[0]


def contact_sheet(
    images: Iterable[tuple[str, Image.Image]],
    policy: Policy | str = "natural",
    pairs: int = 4,
    seed: int = 0,
    size: int = 160,
    views: int = 2,
) -> tuple[Image.Image, dict[str, Any]]:
    """A sheet of several images, and the report that reproduces it.

    Args:
        images: (name, PIL image); may be a generator, of which one image is held at a time.
        policy, size, views: as in `show`; pairs: for each image; pair k of image i has the key
            (seed, 0, i * pairs + k), counting images from 0.
    Returns: the sheet (RGB), and a dict fit for JSON: the policy's text and, for each image, its statistics
        and its pairs with their `key` and, for each view, the lines on the sheet, all parameters with their
        ranges and reasons, and the SHA-256 of the view's RGB bytes. Any view comes back to the bit from
        ``adaptaug.Views(policy, views, size, finish="none")(image, key=tuple(key))``.
    Raises: AdaptAugError: no image, an image that `Views` refuses, or numbers out of range.
    """
    if isinstance(pairs, bool) or not isinstance(pairs, int) or not 1 <= pairs <= MAX_PAIRS:
        raise AdaptAugError(f"pairs: expected a whole number from 1 to {MAX_PAIRS}, got {pairs!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise AdaptAugError(f"seed: expected a whole number, got {seed!r}.")
    if isinstance(views, bool) or views not in range(2, MAX_VIEWS + 1):
        raise AdaptAugError(f"views: expected a whole number from 2 to {MAX_VIEWS}, got {views!r}.")
    policy = as_policy(policy)
    make = Views(policy, n=views, size=size, finish="none", return_params=True)
    bands, reports = [], []
    for i, (name, image) in enumerate(images):
        keys = [(seed, 0, i * pairs + k) for k in range(pairs)]
        drawn_pairs = [_Pair(make, image, key, number) for number, key in enumerate(keys, 1)]
        lines = describe_image(measure(image))
        bands.append(_band(name, image, lines, drawn_pairs, size))
        reports.append(_image_report(name, image, drawn_pairs))
        if sum(band.height for band in bands) > MAX_HEIGHT:
            raise AdaptAugError(
                f"images: expected what fits a sheet of {MAX_HEIGHT} px in height, got more after {i + 1} "
                "images; take fewer images, fewer pairs or smaller views."
            )
    if not bands:
        raise AdaptAugError("images: expected at least one image, got none.")
    report = {
        "policy": {"name": policy.name, "guards": policy.guards, "yaml": policy.dumps()},
        "seed": seed, "pairs": pairs, "views": views, "size": size, "images": reports,
    }  # fmt: skip
    return _stack(policy, pairs, views, seed, size, bands), report


def as_pil(image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    source = read(image)
    if len(source) != 1:
        raise AdaptAugError(f"image: expected one image, got a batch of {len(source)}; show them one by one.")
    return Image.fromarray(source.levels()[0].permute(1, 2, 0).to("cpu").numpy().astype(np.uint8))


class _Pair:
    """Two views of an image, or more, with what is said about them."""

    def __init__(self, make: Views[Any], image: Image.Image, key: tuple[int, int, int], number: int):
        self.key, self.number = key, number
        views, params = make(image, key=key)
        self.views: list[Image.Image] = [view.convert("RGB") for view in views]
        self.params: list[ViewParams] = params
        self.explained = [p.explain() for p in params]
        stats = [measure(view) for view in self.views]
        self.notes = [
            describe_view(explained, float(s.mean[0]), float(s.contrast[0]))
            for explained, s in zip(self.explained, stats, strict=True)
        ]

    def report(self) -> dict[str, Any]:
        views = [
            {
                "view": number,
                "lines": [
                    f"{note.what}: {note.why}" if note.why else note.what for note in self.notes[number]
                ],
                **self.explained[number].to_dict(),
                "sha256": hashlib.sha256(view.tobytes()).hexdigest(),
            }
            for number, view in enumerate(self.views)
        ]
        return {"key": list(self.key), "views": views}


def _image_report(name: str, image: Image.Image, pairs: list[_Pair]) -> dict[str, Any]:
    return {"name": name, "statistics": measure(image).summary(), "pairs": [pair.report() for pair in pairs]}


# --- drawing ----------------------------------------------------------------------------------------------
def _notes_text(notes: list[Note], width: int) -> Text:
    text = Text()
    for note in notes:
        colour = _ALERT if note.alert else _INK
        text.add(_tied(note.what), _BODY, colour, width, above=4 if text.lines else 0)
        if note.why:
            text.add(note.why, _SMALL, _ALERT if note.alert else _SOFT, width)
    return text


def _tied(what: str) -> str:
    """An operation's name and its number stay on one line."""
    return ", ".join(part.replace(" ", "\u00a0") if len(part) < 18 else part for part in what.split(", "))


def _enlarged(image: Image.Image, least: int) -> Image.Image:
    """Small views by a whole factor, pixels kept as squares: 32 px are shown as 32 x 32 squares."""
    factor = -(-least // image.width)
    return (
        image
        if factor <= 1
        else image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    )


def _fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """Inside a box with the aspect kept; small images by a whole factor, large ones averaged."""
    scale = min(width / image.width, height / image.height)
    if scale >= 1:
        return image.resize((image.width * int(scale), image.height * int(scale)), Image.Resampling.NEAREST)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _columns(count: int, width: int, least: int = 1) -> int:
    """As many in a row as fit, in rows as even as can be."""
    room = max(least, (_WIDTH - 2 * _MARGIN - _SOURCE - 2 * _PAD) // width)
    rows = -(-count // room)
    return -(-count // rows)


def _band(name: str, image: Image.Image, lines: list[str], pairs: list[_Pair], size: int) -> Image.Image:
    """One image's part of the sheet: the source at the left, its pairs beside it."""
    cell = _cell(size)
    across = _columns(len(pairs[0].views), cell + _BETWEEN, 2)
    card_width = 2 * _PAD + across * (cell + _BETWEEN) - _BETWEEN
    columns = _columns(len(pairs), card_width + _GAP)
    small = _fitted(shown(image).convert("RGB"), _SOURCE, int(1.4 * _SOURCE))
    cards = [_card(pair, small, cell, across) for pair in pairs]
    rows = [cards[i : i + columns] for i in range(0, len(cards), columns)]
    heights = [max(card.height for card in row) for row in rows]
    words = Text()
    if name:
        words.add(shortened(PurePath(name).name or name, _NAME, _SOURCE), _NAME, _INK, _SOURCE)
    words.add(f"{image.width} x {image.height} px", _SMALL, _SOFT, _SOURCE, above=2)
    for number, line in enumerate(lines):
        words.add(line, _BODY, _INK, _SOURCE, above=2 if number else 8)
    right = sum(heights) + _GAP * (len(rows) - 1)
    width = _SOURCE + 2 * _GAP + columns * card_width + (columns - 1) * _GAP
    band = Image.new("RGB", (width, max(right, small.height + 10 + words.height)), _PAPER)
    draw = ImageDraw.Draw(band)
    band.paste(small, (0, 0))
    words.draw(draw, 0, small.height + 10)
    y = 0
    for row, height in zip(rows, heights, strict=True):
        for i, card in enumerate(row):
            x = _SOURCE + 2 * _GAP + i * (card_width + _GAP)
            draw.rectangle((x, y, x + card_width - 1, y + height - 1), _CARD, _RULE)
            band.paste(card.crop((1, 1, card.width - 1, card.height - 1)), (x + 1, y + 1))
        y += height + _GAP
    return band


def _cell(size: int) -> int:
    return size * -(-_LEAST_CELL // size)


def _card(pair: _Pair, source: Image.Image, cell: int, across: int) -> Image.Image:
    """A pair: a map of where its crops lie, its key, the views, so many in a row, and the notes under each."""
    texts = [_notes_text(notes, cell) for notes in pair.notes]
    views = [_enlarged(view, _LEAST_CELL) for view in pair.views]
    mapped = _crop_map(source, pair.params)
    top = _PAD + _MAP + 10
    notes = [max(text.height for text in texts[i : i + across]) for i in range(0, len(texts), across)]
    tops = [top]  # of each row of views
    for height in notes:
        tops.append(tops[-1] + 2 + cell + 8 + height + _PAD)
    card = Image.new("RGB", (2 * _PAD + across * (cell + _BETWEEN) - _BETWEEN, tops[-1]), _CARD)
    draw = ImageDraw.Draw(card)
    left, above = _PAD, _PAD + (_MAP - mapped.height) // 2
    card.paste(mapped, (left, above))
    draw.rectangle((left - 1, above - 1, left + mapped.width, above + mapped.height), None, _RULE)
    x = _PAD + _MAP + 10
    word = "Pair" if len(views) == 2 else "Set"
    draw.text((x, _PAD + _MAP // 2), f"{word} {pair.number}", _INK, font(_NAME), anchor="ls")
    seed, epoch, index = pair.key
    draw.text((x, _PAD + _MAP // 2 + 5), f"key ({seed}, {epoch}, {index})", _SOFT, font(_SMALL), anchor="la")
    for i, (view, text, ink) in enumerate(zip(views, texts, itertools.cycle(_VIEW_INK), strict=False)):
        x, top = _PAD + i % across * (cell + _BETWEEN), tops[i // across]
        draw.rectangle((x - 1, top - 1, x + cell, top + cell), None, ink)
        card.paste(view, (x, top))
        draw.text((x + cell, top - 6), _LETTERS[i], ink, font(_NAME), anchor="rs")
        text.draw(draw, x, top + cell + 8)
    return card


def _crop_map(source: Image.Image, params: list[ViewParams]) -> Image.Image:
    """The source, small and pale, with the outlines of the crops in the views' colours."""
    scale = 3  # drawn large and averaged: slanted outlines come out smooth
    ratio = _MAP / max(source.size)
    size = (max(2, round(source.width * ratio)), max(2, round(source.height * ratio)))
    large = (size[0] * scale, size[1] * scale)
    pale = Image.blend(
        source.resize(large, Image.Resampling.BILINEAR), Image.new("RGB", large, "white"), 0.55
    )
    draw = ImageDraw.Draw(pale)
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1], [-1, -1, 1]], dtype=float)
    edge = np.array(large, dtype=float) - scale
    for view, ink in zip(params, itertools.cycle(_VIEW_INK), strict=False):
        corners = square @ np.asarray(view.matrix[0]).T
        points = np.clip(corners[:, :2] / corners[:, 2:], 0.0, 1.0) * edge + scale / 2
        draw.line([(float(x), float(y)) for x, y in points], ink, width=int(1.5 * scale), joint="curve")
    return pale.resize(size, Image.Resampling.BOX)


def _stack(
    policy: Policy, pairs: int, views: int, seed: int, size: int, bands: list[Image.Image]
) -> Image.Image:
    width = max(band.width for band in bands)
    head = Text().add(f"Policy {policy.name}", _TITLE, _INK, width)
    if policy.description:
        head.add(policy.description, _BODY, _SOFT, width, above=4)
    guards = "guards on" if policy.guards else "guards off: a manual policy, outside the promise"
    number = f"{pairs} {'pair' if views == 2 else 'set'}{'' if pairs == 1 else 's'}"
    of = "" if views == 2 else f" of {views} views"
    count = f"{number}{of} of each image, views of {size} px, seed {seed}, {guards}"
    head.add(count, _BODY, _SOFT if policy.guards else _ALERT, width, above=4)
    step = 2 * _GAP + 1  # a rule between images, with air on both sides
    height = 2 * _MARGIN + head.height + sum(band.height + step for band in bands)
    sheet = Image.new("RGB", (width + 2 * _MARGIN, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    head.draw(draw, _MARGIN, _MARGIN - 4)
    y = _MARGIN + head.height
    for band in bands:
        draw.line((_MARGIN, y + _GAP, _MARGIN + width - 1, y + _GAP), _RULE)
        y += step
        sheet.paste(band, (_MARGIN, y))
        y += band.height
    return sheet
