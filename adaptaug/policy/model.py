"""Policy files: which operations, how often, how strong, and what is promised.

A policy is YAML, `version: 1`, validated against the table in `ops`. policies/README.md explains the format.
"""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, PrivateAttr, ValidationError, model_validator

from adaptaug.backend.reading import content
from adaptaug.backend.writing import write_atomically
from adaptaug.errors import AdaptAugError, did_you_mean
from adaptaug.policy import plain
from adaptaug.policy import routes as routing
from adaptaug.policy.conditional import Conditional, complaint, leaders
from adaptaug.policy.ops import OPS, Op
from adaptaug.policy.routes import Route
from adaptaug.policy.schema import OPERATION_MODELS, STRICT, OperationPolicy, Pair, Promise, sentence_of

MAX_FILE_BYTES = 1_000_000


class Policy(BaseModel):
    """A policy: plain data, immutable. Make one from a preset's name, a file, or a mapping.

    >>> Policy.load("natural").guards
    True
    """

    model_config = STRICT
    version: Literal[1] = 1
    name: str = Field("custom", max_length=100)
    description: str = Field("", max_length=2000)
    guards: bool = Field(True, description="false: a manual policy, outside the promise")
    promise: Promise = Promise()
    band: tuple[float, float] | None = Field(
        None, description="wanted similarity of the two views, low and high"
    )
    pair: Pair = Pair()
    operations: dict[str, Any] = Field(default_factory=dict)
    conditional: Conditional = Field(
        default_factory=Conditional, description="weights by which statistics move p and strength"
    )
    routes: tuple[Route, ...] = Field(
        (), description="rules by which each image's statistics choose its policy, in place of operations"
    )
    provenance: dict[str, Any] = Field(default_factory=dict, description="how a learned policy was found")
    _second: Policy | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _check(self) -> Policy:
        if self.band is not None and not -1 <= self.band[0] < self.band[1] <= 1:
            raise ValueError("band: expected [low, high] within [-1, 1], low below high")
        parsed = {}
        for name, entry in self.operations.items():
            model = OPERATION_MODELS.get(name)
            if model is None:
                names = ", ".join(OPS)
                raise ValueError(
                    f"operations.{name}: no such operation{did_you_mean(name, OPS)}; known: {names}"
                )
            if isinstance(entry, OperationPolicy):
                entry = entry.model_dump(exclude_defaults=True)
            try:
                parsed[name] = model.model_validate(entry or {})
            except ValidationError as error:
                raise ValueError(sentence_of(error, f"operations.{name}", model)) from None
        object.__setattr__(self, "operations", parsed)
        listed: dict[str, list[Op]] = {}
        for op in OPS.values():
            if op.name in parsed:
                listed.setdefault(op.kind, []).append(op)
        first = leaders(parsed)
        # What plans ask for thousands of times a second, without pydantic in between.
        object.__setattr__(self, "_listed", listed)
        object.__setattr__(
            self, "_leading", {n: first.get(entry.together or "", n) for n, entry in parsed.items()}
        )
        if self.routes:
            self._take_routes()
            return self
        self._check_overlap()
        if (wrong := complaint(self.conditional, parsed)) is not None:
            raise ValueError(wrong)
        if self.pair.second:
            try:
                rest = self.pair.model_copy(update={"second": {}})
                object.__setattr__(self, "_second", self._changed(self.pair.second, pair=rest))
            except AdaptAugError as error:
                raise ValueError(f"pair.second: {error}") from None
        return self

    def _take_routes(self) -> None:
        """Read the policies of the routes, all with the band, pair, conditional weights and guards of this one."""
        if self.operations:
            raise ValueError("operations: expected none beside routes, whose policies have their own")
        if (wrong := routing.complaint(self.routes)) is not None:
            raise ValueError(wrong)
        choices, plain_routes = [], []
        for number, route in enumerate(self.routes):
            policy = _policy_of(route, f"routes.{number}.policy")
            choices.append(policy)
            place = route.policy if isinstance(route.policy, str) else yaml.safe_load(policy.dumps())
            plain_routes.append(route.model_copy(update={"policy": place}))
        object.__setattr__(self, "routes", tuple(plain_routes))
        for name in _OF_ALL:
            default = Policy.model_fields[name].get_default(call_default_factory=True)
            own, theirs = getattr(self, name), [getattr(policy, name) for policy in choices]
            field = theirs[0] if own == default else own
            allowed = (field,) if own == default else (field, default)
            for route, value in zip(self.routes, theirs, strict=True):
                if value not in allowed:
                    first, path = self.routes[0].subject, f"{name}: expected the same in all routes"
                    raise ValueError(f"routes: {path}, got another for {route.subject!r} than for {first!r}")
            object.__setattr__(self, name, field)
            choices = [
                policy if value == field else policy.edit(**{name: field})
                for policy, value in zip(choices, theirs, strict=True)
            ]
        if alone := _applied_apart(choices) or _applied_apart([choice.for_view(1) for choice in choices]):
            raise ValueError(
                f"routes: expected {alone!r} in the same group `together` in all routes that have it"
            )
        object.__setattr__(self, "_choices", tuple(choices))

    def _check_overlap(self) -> None:
        if self.pair.overlap is None:
            return
        if "crop" in self.pair.share:
            raise ValueError(
                "pair.overlap: expected crops of their own, got share: [crop], which makes them the same"
            )
        if "crop" not in self.operations:
            raise ValueError("pair.overlap: expected a policy with the operation 'crop', got one without")

    def for_view(self, number: int) -> Policy:
        """The policy of one view: `pair.second` applies to every view but the first."""
        # Through __dict__: torch.compile cannot trace pydantic's access to private attributes.
        return self.__dict__.get("_second", self) if number else self

    @property
    def choices(self) -> tuple[Policy, ...]:
        """The policies of the routes, by number; a policy without routes is its own only choice."""
        choices: tuple[Policy, ...] = self.__dict__.get("_choices", (self,))
        return choices

    def by_route(self, route: Any) -> Policy:
        """The policy of one image, by the number of its route (of one row, or None: this policy has none)."""
        return self if route is None else self.choices[int(route)]

    def alone(self, what: str) -> Policy:
        """This policy, for what works on one policy's operations. Raises: AdaptAugError: it has routes."""
        if self.routes:
            names = ", ".join(dict.fromkeys(policy.name for policy in self.choices))
            raise AdaptAugError(
                f"{what}: expected one policy for all images, got {self.name!r}, which routes; take one of: {names}."
            )
        return self

    def of_kind(self, *kinds: str) -> list[Op]:
        """The policy's operations of some kinds, each kind's in the table's order."""
        listed = self.__dict__["_listed"]
        return [op for kind in kinds for op in listed.get(kind, ())]

    @property
    def leading(self) -> dict[str, str]:
        """For each operation the one whose first number and weights of p decide: its group's first, or itself."""
        leading: dict[str, str] = self.__dict__["_leading"]
        return leading

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as its file: spawned workers have the text, and the operations' models are made at import."""
        return Policy.loads, (self.dumps(),)

    def __copy__(self) -> Policy:
        """Without what was made of it: `model_copy(update=...)` starts here."""
        return _without_made(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Policy:
        return _without_made(super().__deepcopy__(memo))

    def __getitem__(self, operation: str) -> Any:
        return self.operations[operation]

    def __contains__(self, operation: str) -> bool:
        return operation in self.operations

    @classmethod
    def parse(cls, data: Any, source: str = "policy") -> Policy:
        """Validate a mapping (what a policy file holds).

        Raises: AdaptAugError: one sentence with the field's path, what was expected and what came.
        """
        if not isinstance(data, dict):
            raise AdaptAugError(
                f"{source}: expected a mapping with 'version: 1' and 'operations', got {data!r:.60}."
            )
        if "version" not in data:
            raise AdaptAugError(f"{source}: the field 'version' is missing; write 'version: 1'.")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise AdaptAugError(f"{source}: {sentence_of(error, '', cls)}.") from None

    @classmethod
    def loads(cls, text: str, source: str = "policy") -> Policy:
        """Validate YAML text. Aliases, tags, keys that stand twice and texts over 1 MB are refused: a policy is plain
        data."""
        try:
            if len(text.encode()) > MAX_FILE_BYTES:
                raise plain.Refused(f"expected a policy file of at most 1 MB, got {len(text)} characters")
            data = plain.loads(text)
        except plain.Refused as error:
            raise AdaptAugError(f"{source}: {error}.") from None
        except (yaml.YAMLError, RecursionError, ValueError) as error:  # a date or a number that is none
            where = getattr(error, "problem_mark", None)
            line = f" at line {where.line + 1}" if where else ""
            reason = " ".join(
                str(getattr(error, "problem", None) or error).split()
            )  # libyaml's has two lines
            raise AdaptAugError(f"{source}: not valid YAML{line}; {reason[:80] or 'check it'}.") from None
        return cls.parse(data, source)

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str]) -> Policy:
        """Load a preset by name (`preset_names()`) or a file by path."""
        if not isinstance(name_or_path, (str, os.PathLike)):
            raise AdaptAugError(
                f"policy: expected a preset's name or a file's path, got {name_or_path!r:.60}."
            )
        path = Path(name_or_path)
        if str(name_or_path) in preset_names():
            return cls.loads(_preset(str(name_or_path)).read_text(encoding="utf-8"), f"preset {name_or_path}")
        try:
            text = content(path, MAX_FILE_BYTES + 1).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            hint = did_you_mean(str(name_or_path), preset_names())
            raise AdaptAugError(
                f"policy {str(name_or_path)!r}: neither a preset ({', '.join(preset_names())}) nor a readable "
                f"file ({getattr(error, 'strerror', None) or error}){hint}."
            ) from None
        return cls.loads(text, str(path))

    def dumps(self) -> str:
        """The policy as YAML; `loads(dumps())` is equal to the policy."""
        if "_text" not in self.__dict__:  # a policy never changes, and pages and workers ask again and again
            object.__setattr__(self, "_text", self._dumped())
        text: str = self.__dict__["_text"]
        return text

    def _dumped(self) -> str:
        data = self.model_dump(mode="json", exclude={"operations"}, exclude_defaults=True)
        head = {"version": 1, "name": self.name, **data, "guards": self.guards}
        if not self.routes:
            head["operations"] = {
                name: _plain(entry.model_dump(mode="json", exclude_unset=False, exclude_defaults=True))
                for name, entry in self.operations.items()
            }
        if "provenance" in head:
            head["provenance"] = head.pop("provenance")
        readable = "\\x85" not in repr(head)  # PyYAML folds a raw next-line character as if it were a space
        return yaml.safe_dump(
            head, sort_keys=False, default_flow_style=None, allow_unicode=readable, width=100
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the policy as a YAML file."""
        text = self.dumps().encode()
        write_atomically(path, lambda file: file.write(text))

    def edit(self, changes: dict[str, Any] | None = None, **fields: Any) -> Policy:
        """A copy with fields replaced and operations changed: ``edit({"hflip": {"p": 0.0}}, name="mine")``.

        An operation mapped to None is removed; a new one is added.
        """
        try:
            return self._changed(changes or {}, **fields)
        except AdaptAugError as error:
            raise AdaptAugError(f"policy {self.name!r} with changes: {error}") from None

    def _changed(self, changes: dict[str, Any], **fields: Any) -> Policy:
        data = self.model_dump()
        operations = data["operations"] = {
            k: v.model_dump(exclude_defaults=True) for k, v in self.operations.items()
        }
        for name, change in changes.items():
            if change is None:
                operations.pop(name, None)
                data["pair"]["second"].pop(name, None)  # or the second view would get it back
            elif not isinstance(change, dict):
                raise AdaptAugError(
                    f"operations.{name}: expected a mapping such as {{'p': 0.5}}, got {change!r:.60}"
                )
            else:
                operations[name] = {**operations.get(name, {}), **change}
        data.update(fields)
        try:
            return Policy.model_validate(data)
        except ValidationError as error:
            raise AdaptAugError(sentence_of(error, "", Policy)) from None


# Of a policy with routes and of all its routes alike: what a batch has one of.
_OF_ALL = ("guards", "band", "pair", "conditional")


def _policy_of(route: Route, path: str) -> Policy:
    """A route's policy. Raises: ValueError: no preset of that name, no policy in place, or one with routes."""
    try:
        if isinstance(route.policy, dict):
            policy = Policy.parse({"version": 1, **route.policy}, path)
        elif route.policy in preset_names():
            policy = Policy.load(route.policy)
        else:
            presets = preset_names()
            hint = did_you_mean(route.policy, presets)
            raise ValueError(
                f"{path}: expected a preset's name ({', '.join(presets)}) or a policy in place, "
                f"got {route.policy!r:.60}{hint}"
            )
    except AdaptAugError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    if policy.routes:
        raise ValueError(f"{path}: expected a policy without routes of its own, got {policy.name!r:.60}")
    return policy


def _applied_apart(policies: list[Policy]) -> str | None:
    """An operation whose number is another operation's in some of the policies alone; None where there is none."""
    leading: dict[str, str] = {}
    for policy in policies:
        for name, leader in policy.leading.items():
            if leading.setdefault(name, leader) != leader:
                return name
    return None


def preset_names() -> list[str]:
    """Names of the policies that come with the package."""
    files = importlib.resources.files("adaptaug.policies").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def _preset(name: str) -> Any:
    return importlib.resources.files("adaptaug.policies") / f"{name}.yaml"


def _without_made(copied: Policy) -> Policy:
    for name in ("_core", "_layouts", "_text"):
        copied.__dict__.pop(name, None)
    return copied


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value
