"""Weight files of strangers -> named tensors, without running code that lies in them."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from adaptaug.errors import AdaptAugError

SUFFIXES = (".safetensors", ".npz", ".pth", ".pt", ".ckpt", ".tar", ".bin")
HUB = "hf:"
_WORST_RATIO, _SMALL = 20, 64 << 20  # weights hardly compress: what unpacks to far more is a bomb
_DEPTH = 8
_SAFETENSORS = re.compile(rb"[\s\S]{8}\{\s*\"")  # the header's length, and the header, which is JSON
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


class Weights(dict[str, torch.Tensor]):
    """Tensors by their full names; `beside`: what else the file says (epoch, options), by name too."""

    def __init__(self) -> None:
        super().__init__()
        self.beside: dict[str, Any] = {}


def read_weights(path: Path, trust_pickle: bool = False) -> dict[str, torch.Tensor]:
    """All tensors of a file under their full names: nested mappings are joined by dots.

    Args:
        path: .safetensors, an .npz of arrays, or what torch.save wrote (.pth, .pt, .ckpt, .pth.tar).
        trust_pickle: run the code that an untrusted pickle may hold. Only for files you wrote yourself.
    Raises: AdaptAugError: missing, empty, truncated, not weights at all, a zip bomb, or a pickle with objects in it.
    """
    if not path.is_file():
        raise AdaptAugError(
            f"{path}: expected a file of weights, got {'a folder' if path.is_dir() else 'nothing'}."
        )
    with path.open("rb") as file:
        head = file.read(512)
    if not head.strip():
        raise AdaptAugError(f"{path}: expected a file of weights, got an empty one; download it again.")
    if head.lstrip().startswith((b"<", b"version https://git-lfs")):
        what = "a web page" if head.lstrip().startswith(b"<") else "a Git LFS pointer"
        raise AdaptAugError(f"{path}: expected a file of weights, got {what}; download the file itself.")
    _refuse_bomb(path)
    try:
        # By what lies in it: a .pth may be anything.
        if _SAFETENSORS.match(head):
            return load_file(path)
        if head.startswith(_PACKED):
            raise AdaptAugError(f"{path}: expected a file of weights, got a packed one; unpack it (gzip -d, xz -d or "
                                "bzip2 -d) and give what was in it.")  # fmt: skip
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
        data = _unpickle(path, trust_pickle)
    except AdaptAugError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, EOFError, KeyError, zipfile.BadZipFile, MemoryError,
            TypeError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise AdaptAugError(
            f"{path}: expected a whole file of weights, got one that is damaged, cut off or no such file ({reason})."
        ) from None
    flat = Weights()
    _flatten(data, "", flat, _DEPTH)
    if not flat:
        raise AdaptAugError(f"{path}: expected named tensors, got {type(data).__name__} without any.")
    return flat


def _refuse_bomb(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        return  # its reader will say so
    packed = path.stat().st_size
    if unpacked > max(_SMALL, _WORST_RATIO * packed):
        raise AdaptAugError(
            f"{path}: expected weights, which hardly compress; {packed:,} bytes would unpack to {unpacked:,}."
        )


def _unpickle(path: Path, trust_pickle: bool) -> Any:
    if trust_pickle:
        return torch.load(path, map_location="cpu", weights_only=False)
    try:
        with torch.serialization.safe_globals(_harmless()), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)  # by its name it would guess
    except Exception as error:
        with path.open("rb") as file:
            pickled = file.read(2)[:1] == b"\x80" or zipfile.is_zipfile(path)
        if type(error).__name__ != "UnpicklingError":
            raise
        if not pickled:
            raise ValueError("it is none of those that torch, safetensors or NumPy write") from None
        raise AdaptAugError(
            f"{path}: expected plain tensors, got a pickle with {_offenders(path)}; nothing of it was run: save the "
            "state_dict alone (torch.save(model.state_dict(), ...)), or, if you wrote the file yourself, "
            "give --trust-pickle (in Python trust_pickle=True)."
        ) from None


class _Options(dict[str, Any]):
    """In the place of a trainer's mapping: a dict, which is all that is read of it."""

    def __new__(cls, *_: Any) -> Any:
        return {}


class _Unread:
    """In the place of what only that trainer understands: nothing is kept of it."""

    def __setstate__(self, state: Any) -> None: ...


def _plain_path(*parts: str) -> str:
    return "/".join(parts)


def _harmless() -> list[Any]:
    """What trainers keep beside weights, and whose making runs nothing: options, scalars, arrays, paths, times."""
    makers: Any = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    old = [(maker, f"numpy.{core}.multiarray.{maker.__name__}")
           for maker in makers for core in ("core", "_core")]  # fmt: skip
    omega = ("dictconfig.DictConfig", "listconfig.ListConfig", "base.ContainerMetadata", "base.Metadata",
             *(f"nodes.{kind}Node" for kind in ("Any", "String", "Integer", "Float", "Boolean", "Path")))  # fmt: skip
    return [
        argparse.Namespace, dict, list, set, int, float, np.ndarray, np.dtype, *old,
        *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefdSUM"),
        datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
        *((_plain_path, f"pathlib{local}.{kind}Path") for local in ("", "._local")
          for kind in ("Posix", "Windows", "PurePosix", "PureWindows")),
        (_Options, "collections.defaultdict"),
        *((_Options, f"{module}.AttributeDict") for module in (
            "pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing",
            "lightning_fabric.utilities.data", "lightning.fabric.utilities.data")),
        *((_Unread, f"omegaconf.{name}") for name in omega), (_Unread, "typing.Any"),
    ]  # fmt: skip


def _offenders(path: Path) -> str:
    try:
        with torch.serialization.safe_globals(_harmless()):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        names = []
    return ", ".join(sorted(names)[:4]) or "objects of its own"


def _flatten(data: Any, prefix: str, out: Weights, depth: int) -> None:
    if isinstance(data, argparse.Namespace):
        data = vars(data)
    if isinstance(data, torch.Tensor):
        out[prefix] = data
    elif isinstance(data, np.ndarray) and data.dtype.kind == "f":
        out[prefix] = torch.from_numpy(data)
    elif isinstance(data, Mapping) and depth:
        for name, part in data.items():
            _flatten(part, f"{prefix}.{name}" if prefix else str(name), out, depth - 1)
    else:
        out.beside[prefix] = data


def fetch(name: str) -> Path:
    """`hf:OWNER/REPO[/FILE][@REVISION][#SHA256]` -> the file in huggingface_hub's cache, downloaded if it is not there.

    Without FILE the repository's only file of weights. What was downloaded is checked against the server's SHA-256,
    and against one given here. HF_ENDPOINT and HF_HUB_OFFLINE are huggingface_hub's own.
    Raises: AdaptAugError: offline, not there, several files, or another checksum.
    """
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise AdaptAugError("this needs huggingface_hub: pip install 'adaptaug[train]'.") from None
    place, _, pattern = name.removeprefix(HUB).partition("#")
    place, _, revision = place.partition("@")
    owner, _, rest = place.partition("/")
    repository, _, file = rest.partition("/")
    if not owner or not repository:
        raise AdaptAugError(f"{name}: expected hf:OWNER/REPO or hf:OWNER/REPO/FILE.")
    repository, version = f"{owner}/{repository}", revision or None
    try:
        if not file:
            matches = [
                f
                for f in huggingface_hub.list_repo_files(repository, revision=version)
                if f.endswith(SUFFIXES)
            ]
            if len(matches) != 1:
                raise AdaptAugError(
                    f"{name}: expected one file of weights, found {', '.join(matches) or 'none'}; name it."
                )
            file = matches[0]
        url = huggingface_hub.hf_hub_url(repository, file, revision=version)
        try:
            there = huggingface_hub.get_hf_file_metadata(url).etag or ""
        except Exception:  # offline: what is in the cache was checked when it came
            there = ""
        path = Path(
            huggingface_hub.hf_hub_download(repository, file, revision=version, local_files_only=not there)
        )
    except AdaptAugError:
        raise
    except Exception as error:  # its errors and those of the HTTP library under it
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise AdaptAugError(
            f"{name}: could not be fetched ({reason}); download it elsewhere and give its path."
        ) from None
    checksum = pattern or there  # an etag is the SHA-256 of what lies in large-file storage, as weights do
    if len(checksum) == 64 and (got := _sha256(path)) != checksum.lower():
        path.unlink(missing_ok=True)
        raise AdaptAugError(
            f"{name}: expected SHA-256 {checksum}, got {got}; the file was removed from the cache."
        )
    return path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
