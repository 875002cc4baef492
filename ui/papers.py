"""What can be downloaded of the pairs on the page: a contact sheet, and a report that stands alone."""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path

from PIL import Image

from adaptaug import AdaptAugError
from adaptaug.backend.writing import write_atomically
from adaptaug.report.sheet import contact_sheet
from adaptaug.ui import logic, measured_html, pairs_html, snippets
from adaptaug.ui.desk import Desk
from adaptaug.ui.detail import reasons
from adaptaug.ui.logic import Comparison
from adaptaug.ui.pictures import lossless
from adaptaug.ui.style import CSS
from adaptaug.ui.templates import escape

SHEET, REPORT = "contact-sheet.png", "report.html"
# What Gradio's theme gives the page; a report has light colours only, since it is printed as well.
_COLOURS = """:root { --body-text-color: #1f2937; --neutral-50: #f8fafc; --neutral-200: #e2e8f0; --neutral-400: #94a3b8;
--neutral-600: #475569; } body { font-family: system-ui, sans-serif; background: #fff; }
.aa-report { display: grid; gap: 18px; padding: 24px 0; } .aa-report summary { cursor: pointer; padding: 4px 0; }
.aa-pair { cursor: default; }
.aa-first { display: grid; grid-template-columns: 320px minmax(0, 1fr); gap: 28px; align-items: start; }
#how-to-look { display: none; }
@media (max-width: 860px) { .aa-first { grid-template-columns: minmax(0, 1fr); } }"""
# The file is made when it is asked for; a browser saves what a link names.
SAVE_JS = """(file) => { if (!file) return; const link = document.createElement('a'); link.href = file.url;
link.download = file.orig_name || 'adaptaug'; document.body.append(link); link.click(); link.remove(); }"""


def sheet(desk: Desk) -> str:
    """The contact sheet of the right policy's pairs, as a file. Raises: AdaptAugError: no image."""
    seen = _seen(desk)
    picture = Image.fromarray(seen.source.pixels)
    column = seen.columns[1]
    made, _ = contact_sheet(
        [(seen.source.name, picture)], column.policy, len(column.pairs), seen.seed, max(seen.size, 96)
    )
    data = io.BytesIO()
    made.save(data, "PNG")
    return _write(SHEET, data.getvalue())


def report(desk: Desk) -> str:
    """Everything that the page shows of both policies, in one HTML file without scripts. Raises: as `sheet`."""
    return _write(REPORT, page(_seen(desk)).encode())


def page(seen: Comparison) -> str:
    """The report's text."""
    policies = "".join(
        f'<details><summary>policy.yaml of {escape(column.policy.name)}</summary><pre class="aa-code">'
        f"{escape(column.policy.dumps())}</pre></details>"
        for column in seen.columns
    )
    why = "".join(
        f"<details><summary>{pairs_html.word(column.pairs[index])} {index + 1} of "
        f"{escape(column.policy.name)}: {escape(_outcome(column, index))}"
        "</summary>"
        f"{reasons(seen, (side, index))}</details>"
        for side, column in enumerate(seen.columns)
        for index in range(len(column.pairs))
    )
    how = escape(snippets.code("PyTorch", seen.size))
    body = (
        f'<main class="aa aa-report"><header><h1>adaptaug: {escape(seen.source.name)}</h1>'
        f'<p class="faint">{escape(logic.status(seen))}</p></header>'
        f'<div class="aa-first">{measured_html.statistics(seen.source)}{pairs_html.pairs(seen, (-1, -1))}</div>'
        f"<section><h2>Why each view is as it is</h2>{why}</section><section><h2>The policies</h2>{policies}</section>"
        f'<section><h2>In a training loop</h2><pre class="aa-code">{how}</pre></section></main>'
    )
    exact = lambda pixels, _: lossless(pixels)  # noqa: E731
    lent = "".join(pairs_html.views(column, side, exact) for side, column in enumerate(seen.columns))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(seen.source.name)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_COLOURS}{CSS}</style></head>'
        f'<body class="gradio-container">{_whole(body, lent)}</body></html>'
    )


def _outcome(column: logic.Column, index: int) -> str:
    pair = zip(logic.NAMES, column.pairs[index], strict=False)
    return ", ".join(f"view {name} {pairs_html.verdict(view)}" for name, view in pair)


def _whole(body: str, lent: str) -> str:
    """Pictures that the page would borrow by a script, in their places."""
    mark = r'<i hidden data-is="([^"]+)" data-src="([^"]+)"></i>'
    pictures = dict(re.findall(mark, lent + body))
    body = re.sub(mark, "", body)
    return re.sub(r'data-of="([^"]+)"', lambda found: f'src="{pictures[found[1]]}"', body)


def _seen(desk: Desk) -> Comparison:
    if desk.seen is None or desk.source is None:
        raise AdaptAugError("There is no pair to write down: choose an image first.")
    return desk.seen


def _write(name: str, data: bytes) -> str:
    """Below Gradio's folder, from which it may be served, and which it cleans."""
    root = os.environ.get("GRADIO_TEMP_DIR", tempfile.gettempdir())
    path = Path(tempfile.mkdtemp(prefix="paper-", dir=root)) / name
    write_atomically(path, lambda file: file.write(data))
    return str(path)
