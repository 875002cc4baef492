"""A policy as a file and as a link."""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
import zlib
from pathlib import Path

from adaptaug import AdaptAugError, Policy
from adaptaug.backend.writing import write_atomically
from adaptaug.policy import MAX_FILE_BYTES
from adaptaug.ui.templates import digest

MAX_LINK = 6000  # characters of a policy in a link: what every browser and mail program keeps whole
MAX_UNPACKED = 64_000  # characters of the policy itself, which zeros could pack into few
# The link is made in the browser, which alone knows the page's address.
LINK_JS = """
element.addEventListener('click', async (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const said = element.querySelector('p');
  if (!button.dataset.code) { said.textContent = button.dataset.why; return; }
  const link = `${location.origin}${location.pathname}?p=${button.dataset.code}`;
  try { await navigator.clipboard.writeText(link); said.textContent = 'Copied. The link holds no image.'; }
  catch { said.textContent = link; }
});
"""


def encode(policy: Policy) -> str:
    """A policy as URL-safe text."""
    return base64.urlsafe_b64encode(zlib.compress(policy.dumps().encode(), 9)).decode().rstrip("=")


def decode(code: str) -> Policy:
    """What `encode` made, from a stranger. Raises: AdaptAugError: anything else."""
    try:
        if len(code) > MAX_LINK:
            raise ValueError("too long")
        packed = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(packed, MAX_UNPACKED)
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise ValueError("too long or cut off")
        return Policy.loads(text.decode(), "the link's policy")
    except (ValueError, binascii.Error, zlib.error, UnicodeDecodeError):
        raise AdaptAugError(
            "the link's policy: expected one that this page has made, got something else."
        ) from None


def link(policy: Policy) -> str:
    """`encode`, where a link can hold it; else nothing."""
    code = encode(policy)
    return code if len(code) <= MAX_LINK and len(policy.dumps().encode()) <= MAX_UNPACKED else ""


def share(policy: Policy) -> str:
    """The button that copies a link to the policy."""
    code = link(policy)
    why = "This policy is too long for a link: export the file and send that."
    content = f'data-code="{code}"' if code else f'data-why="{why}"'
    return f'<div class="aa aa-share"><button type="button" {content}>Copy link</button><p role="status"></p></div>'


def write(policy: Policy) -> str:
    """policy.yaml below Gradio's folder, from which it may be served; equal policies share a file, written anew."""
    root = os.environ.get("GRADIO_TEMP_DIR", tempfile.gettempdir())
    path = Path(root) / f"policy-{digest(policy)}" / "policy.yaml"
    write_atomically(path, lambda file: file.write(policy.dumps().encode()))
    return str(path)


def read(path: str, name: str) -> Policy:
    """An imported file, as data only. Raises: AdaptAugError, which calls it by the user's name for it."""
    try:
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise AdaptAugError(f"{name}: expected a policy file of at most 1 MB.")
        return Policy.loads(Path(path).read_text(encoding="utf-8"), name)
    except UnicodeDecodeError:
        raise AdaptAugError(f"{name}: expected a policy file, which is text; got something else.") from None
