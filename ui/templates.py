"""What HTML of the page is made with. Every string that a user chose is escaped."""

from __future__ import annotations

import hashlib
import html
from typing import Any

from adaptaug import Policy

# Set on the container, which outlives its content: a live region that is replaced is not read out.
STATUS_JS = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite');"
PROBLEM_JS = "element.setAttribute('role', 'alert');"

HEADER = """<header class="aa aa-top"><a class="aa-skip" href="#pairs">Skip to the pairs</a><h1>adaptaug</h1>
<p>Two policies, one image, the same seed: the pairs of views that contrastive learning trains on.</p>
</header>"""
# The link goes to the tab of the pairs, wherever one is, and to the pair that was chosen last.
HEADER_JS = """
element.addEventListener('click', (event) => {
  if (!event.target.closest('.aa-skip')) return;
  event.preventDefault();
  document.querySelector('#tabs [role=tab]').click();
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const pairs = document.getElementById('pairs');
    (pairs.querySelector('[aria-pressed=true]') || pairs.querySelector('.aa-pair'))?.focus();
  }));
});
"""

EMPTY = """<div class="aa aa-empty"><h2>No image yet</h2>
<p>Choose one of the photographs, or upload, drop or paste your own. Its pairs appear here.</p></div>"""


def escape(text: Any) -> str:
    """Text for HTML, inert in gr.HTML's own template languages as well."""
    sendable = str(text).encode("utf-8", "backslashreplace").decode()  # a foreign file's names may be no text
    safe = html.escape(sendable, quote=True)
    for mark in "{}$`":
        safe = safe.replace(mark, f"&#{ord(mark)};")
    return safe


def number(value: float) -> str:
    """Three significant digits with a true minus sign."""
    text = f"{value:.3g}" if abs(value) >= 0.0005 else "0"
    return text.replace("-", "\N{MINUS SIGN}")


def label(text: str) -> str:
    return f'<div class="aa"><p class="aa-label">{text}</p></div>'


def problem(sentence: str) -> str:
    return f'<div class="aa"><p class="aa-problem">{escape(sentence)}</p></div>' if sentence else ""


def two_places(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def digest(policy: Policy) -> str:
    """32 characters that another policy has not."""
    return hashlib.sha256(policy.dumps().encode()).hexdigest()[:32]
