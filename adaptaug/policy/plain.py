"""YAML as plain data, from a stranger: mappings, lists and scalars, read once, with a limit to each kind of excess."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.resolver import Resolver

MAX_DEPTH, MAX_EVENTS = 50, 10_000  # events: scalars, and beginnings and ends of collections
MAX_SCALAR = 100  # characters of what is no string: PyYAML's times of day, 1:2:3, take the square of theirs
# Of libyaml where PyYAML was built with it: the same events, thirty times as fast.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN: Any = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_NO_KEY = object()
TOO_DEEP = f"expected YAML nested at most {MAX_DEPTH} deep"


class Refused(ValueError):
    """Valid YAML that is more than plain data; says what was expected."""


class _Scalars(SafeConstructor, Resolver):
    """What a scalar event stands for, by the rules of `yaml.safe_load`."""

    def __init__(self) -> None:
        SafeConstructor.__init__(self)
        Resolver.__init__(self)

    def value(self, event: Any) -> Any:
        tag = event.tag
        # YAML's own rules take long over a megabyte of 1:1:1.
        if tag in (None, "!") and len(event.value) > MAX_SCALAR:
            if event.value.strip("0123456789_:.+-"):
                return event.value
            raise ValueError(f"a number or date of {len(event.value)} characters")
        if tag in (None, "!"):
            tag = Resolver.resolve(self, yaml.ScalarNode, event.value, event.implicit)
        if tag != "tag:yaml.org,2002:str" and len(event.value) > MAX_SCALAR:
            raise ValueError(f"a number or date of {len(event.value)} characters")
        return self.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark))


class _Tree:
    """Grows from events. A mapping that is open has its key beside it until the value comes."""

    def __init__(self) -> None:
        self.root: Any = None
        self._open: list[list[Any]] = []

    def grow(self, event: Any, scalars: _Scalars) -> None:
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise Refused("expected YAML without aliases; write the values out")
        if isinstance(event, yaml.ScalarEvent):
            self._add(scalars.value(event), mark.line + 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            if event.tag not in _PLAIN:
                raise ConstructorError(None, None, f"no plain data: the tag {event.tag!r:.60}", mark)
            self._begin([] if isinstance(event, yaml.SequenceStartEvent) else {})
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _begin(self, collection: Any) -> None:
        self._add(collection)
        self._open.append([collection, _NO_KEY])
        if len(self._open) > MAX_DEPTH:
            raise Refused(TOO_DEEP)

    def _add(self, value: Any, line: int = 0) -> None:
        if not self._open:
            self.root = value
            return
        within, key = self._open[-1]
        if isinstance(within, list):
            within.append(value)
        elif key is not _NO_KEY:
            within[key] = value
            self._open[-1][1] = _NO_KEY
        elif isinstance(value, (dict, list)):
            raise Refused("expected keys that are names, not collections")
        elif value in within:
            raise Refused(f"expected each key once, got {value!r:.60} twice, again at line {line}")
        else:
            self._open[-1][1] = value


def loads(text: str) -> Any:
    """What YAML holds. Raises: Refused: aliases, tags of its own, a key twice, too deep, too much of it;
    yaml.YAMLError or ValueError: no YAML."""
    tree, scalars, documents = _Tree(), _Scalars(), 0
    try:
        for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
            if count > MAX_EVENTS:
                raise Refused(f"expected at most {MAX_EVENTS:,} values")
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise Refused("expected one document, got more")
            tree.grow(event, scalars)
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):  # libyaml's own limit, met while it looks ahead
            raise Refused(TOO_DEEP) from None
        raise
    return tree.root
