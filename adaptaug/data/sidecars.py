"""What operating systems put beside others' files, and into their archives: no image, no label and no shard."""

from __future__ import annotations

_NAMES = frozenset(("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin",
                    "system volume information"))  # fmt: skip


def is_sidecar(name: str) -> bool:
    """Whether a file or folder is one, by its name: one of the list, or hidden (`._x.jpg`, `.DS_Store`)."""
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in _NAMES
