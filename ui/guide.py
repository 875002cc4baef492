"""The tab "How it works": what is measured, the rules, the limits, the keyboard; made from the code it describes."""

from __future__ import annotations

import re

from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import Promise
from adaptaug.promise.reasons import REASONS
from adaptaug.ui.templates import escape

KEYS = (
    ("Tab, Shift+Tab", "move between the controls and the pairs"),
    ("Enter or Space", "use a sample, open the pair that has the focus"),
    ("Arrow keys on a pair", "the pair above, below, or of the other policy"),
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
RULES = (
    ("where to crop", "detail of the source, on a map of 64 px",
     "crops without the policy's share of the detail are passed over; a flat crop gives way to the whole frame"),
    ("blur", "fine detail of the crop", "no stronger than the detail that is there can bear"),
    ("exposure, brightness, contrast", "mean, deviation and tails of the crop as rendered",
     "drawn among the values that keep the view's mean, deviation and clipping within the promise"),
    ("hue, saturation, temperature", "the crop's colours", "no further than channels begin to clip"),
    ("chroma", "mean and deviation of the crop's colours",
     "set to targets of its own as far as channels do not clip; a grey crop stays grey"),
    ("solarize, invert, posterize, gamma", "the crop's histogram pushed through the table",
     "left out where too little contrast would be left"),
    ("dark and bright sources", "mean of the source below .25 or above .75",
     "a view is never darker, or brighter, than its own crop"),
    ("everything together", "the finished view's own pixels",
     "the certificate: a view that breaks the promise is pulled back towards its safe crop until it does not"),
)  # fmt: skip


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
        f"{_table('Rules', ('What is drawn', 'What is looked at', 'What is done'), RULES)}"
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
