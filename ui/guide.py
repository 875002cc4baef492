"""The tab "How it works": what is measured, the rules, the limits, the keyboard; made from the code it describes."""

from __future__ import annotations

import re

from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import Promise
from adaptaug.promise.reasons import REASONS
from adaptaug.ui.templates import escape

KEYS = (
    (
        "Tab, Shift+Tab",
        "move between the controls and the pairs; the first stop of the page skips to the pairs",
    ),
    ("Enter or Space", "use a sample, open the pair that has the focus"),
    ("Arrow keys on a pair", "the pair above, below, or of the other policy"),
    ("Alt+J, Alt+K", "in Tune: open the next pair, the one before"),
    ("Alt+N, Alt+B", "in Tune: the next seed, the one before"),
    ("Escape", "closes the table of the chosen pair"),
    ("Ctrl+Z, Ctrl+Shift+Z", "in Tune: undo and redo an edit of the right policy"),
    (
        "Arrow keys on a slider",
        "a small step; Home and End its ends; beneath a view, its source is uncovered",
    ),
)
TABS = (
    ("Tune", "one image", "two policies with the same keys; the right one is tuned, exported, imported, sent"),
    ("Dataset", "up to 64 images, a folder or a sample set",
     "the preset that suits them and why, what each policy breaks, the worst pairs, which open in Tune"),
    ("Train & search", "the runs folder (--runs), or a demo of a minute",
     "loss, kNN, certificate and band over steps; a search's arms and parameters; their policy goes into Tune"),
)  # fmt: skip
AFTER = (  # what guards whole views
    ("dark and bright sources", "mean of the source below .25 or above .75",
     "a view is never darker, or brighter, than its own crop"),
    ("everything together", "the finished view's own pixels",
     "the certificate: a view that breaks the promise is pulled back towards its safe crop until it does not"),
)  # fmt: skip


def rules() -> list[tuple[str, str, str]]:
    """What guards each operation, by its record; those that share a guard share a row."""
    by_guard: dict[tuple[str, str], list[str]] = {}
    for op in OPS.values():
        by_guard.setdefault(op.guard or ("nothing", "drawn as the policy says"), []).append(op.name)
    return [(", ".join(names), looked, done) for (looked, done), names in by_guard.items()] + [*AFTER]


def html() -> str:
    """The whole tab."""
    promise = {name: spec.default for name, spec in Promise.model_fields.items()}
    tests = (
        (
            "(a) contrast",
            f"deviation of luma at least min({promise['std']:g}, {promise['std_share']:g} of the whole frame's)",
        ),
        ("(b) clipping", f"at most {promise['clip']:.0%} of the pixels newly black or white in a channel"),
        (
            "(c) brightness",
            f"mean luma from {promise['dark']:g} to {promise['bright']:g}, or as the whole frame",
        ),
        ("(d) likeness", f"correlation with the safe crop at least {promise['correlation']:g}"),
        ("(e) erasing", f"at most {promise['erased']:.0%} of the view"),
    )
    reasons = "".join(f"<li>{escape(re.sub('{.*?}', '…', reason))}</li>" for reason in REASONS)
    operations = [(op.name, op.kind, op.about) for op in OPS.values()]
    return (
        '<div class="aa aa-guide">'
        "<h2>Two looks, then a check</h2><p>The source is measured, and a crop chosen by where its detail lies. The "
        "crop is measured <em>as rendered</em>, and its tone and colour drawn from ranges that are safe for it. Then "
        "the finished view is checked. Every number drawn comes from a key of seed, epoch and image, so a view can be "
        "made again anywhere.</p>"
        f"{_table('Tabs', ('Tab', 'Looks at', 'Shows'), TABS)}"
        f"{_table('Rules', ('What is drawn', 'What is looked at', 'What is done'), rules())}"
        f"{_table('The promise, of policies with guards', ('Test', 'A view passes when'), tests)}"
        f"{_table('Operations', ('Name', 'Kind', 'What it does'), operations)}"
        f"<h2>Reasons you may read in the table of a pair</h2><ul>{reasons}</ul>"
        f"{_table('Keyboard', ('Key', 'Does'), KEYS)}"
        "<h2>Limits</h2><p>Images of up to 40 megapixels and 10 MB; of more than 8 bits a channel the image's own "
        "range is shown, transparency is put on white, and below a light drawing on black. "
        "What you upload stays on this machine and is removed within the hour. The statistics know nothing of what an "
        "image shows: a crop of the background that has content is a valid view. A policy without guards promises "
        "nothing. Alike is measured on pixels: two views of one thing that share neither edges nor colours count as "
        "different; with --checkpoint an encoder's features are compared too.</p></div>"
    )


def _table(title: str, heads: tuple[str, ...], rows) -> str:  # type: ignore[no-untyped-def]
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    body = "".join(
        f'<tr class="first"><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(c)}</td>" for c in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<h2>{escape(title)}</h2><div class="aa-scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
