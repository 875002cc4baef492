"""Files of which only the name is known: a pipe waits for ever for its other end, a device may have no end."""

from __future__ import annotations

import errno
from pathlib import Path


def content(path: Path, most: int = -1) -> bytes:
    """A file's bytes, at most `most` of them. Raises: OSError: as `Path.open`, and for what is no file."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or device, not a file"
        raise OSError(errno.EINVAL, kind, str(path))
    with path.open("rb") as file:
        return file.read(most)
