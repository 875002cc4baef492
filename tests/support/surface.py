"""The public surface as data: names and signatures, in tests/api_surface.json. python -m tests.support.surface."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "api_surface.json"
ROOMS = (
    "adaptaug",
    "adaptaug.types",
    "adaptaug.data",
    "adaptaug.policy",
    "adaptaug.learn",
    "adaptaug.simclr",
)
HOSTS = ("albumentations", "huggingface", "lightning", "sololearn", "timm", "torchvision", "webdataset")


def _signature(thing: Any) -> str:
    try:
        return re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(thing)))
    except (TypeError, ValueError):
        return ""


def _members(kind: type) -> dict[str, str]:
    """What a class has of its own that is meant for users: methods with their signatures, properties by name."""
    found = {"()": _signature(kind)}
    for name, member in vars(kind).items():
        if name.startswith("_") and name not in ("__call__", "__len__"):
            continue
        member = getattr(member, "__func__", member)
        if inspect.isfunction(member):
            found[name] = _signature(member)
        elif hasattr(member, "__get__"):
            found[name] = "property"
    return dict(sorted(found.items()))


def _described(thing: Any) -> Any:
    if inspect.isclass(thing):
        return _members(thing)
    return _signature(thing) if callable(thing) else repr(thing)


def surface() -> dict[str, Any]:
    """Dotted name -> signature, or of a class its members'."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(room)
        found |= {f"{room}.{name}": _described(getattr(module, name)) for name in module.__all__}
    for host in HOSTS:
        room = f"adaptaug.hosts.{host}"
        module = importlib.import_module(room)
        own = {
            name: thing
            for name, thing in vars(module).items()
            if not name.startswith("_") and getattr(thing, "__module__", "") == room
        }
        found |= {f"{room}.{name}": _described(thing) for name, thing in own.items()}
    return dict(sorted(found.items()))


if __name__ == "__main__":
    FILE.write_text(json.dumps(surface(), indent=1) + "\n")
