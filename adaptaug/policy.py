"""Policy files: which operations, how often, how strong, and what is promised.

A policy is YAML, `version: 1`, validated against the table in `ops`. policies/README.md explains the format.
"""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from adaptaug.conditional import Conditional, complaint, leaders
from adaptaug.errors import AdaptAugError, did_you_mean
from adaptaug.ops import OPS, Op

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 50
_OPENING = (
    yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken, yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken,
)  # fmt: skip
_CLOSING = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OperationPolicy(BaseModel):
    """What every operation has; each operation's own ranges are added from its record in `ops`."""

    model_config = _STRICT
    p: float = Field(1.0, ge=0, le=1, description="probability that it is applied to a view")
    guard: bool = Field(True, description="false: draw from the policy's range whatever the image")
    lock: bool = Field(False, description="true: learning and search leave this entry alone")
    together: str | None = Field(
        None, description="operations of one name here are applied together or not at all"
    )
    shape: tuple[float, float] = Field(
        (1.0, 1.0),
        description="(a, b) of the Kumaraswamy distribution over the safe range; (1, 1) is uniform",
    )

    @model_validator(mode="after")
    def _shape(self) -> OperationPolicy:
        if not all(0.1 <= number <= 10 for number in self.shape):
            raise ValueError("shape: expected two numbers [a, b] within [0.1, 10]")
        return self

    def bounds(self, parameter: str) -> tuple[float, float]:
        """The (low, high) of one of the operation's numbers."""
        return getattr(self, parameter)


def _operation_model(op: Op) -> type[OperationPolicy]:
    fields: dict[str, Any] = {}
    targets: dict[str, str] = {}  # parameters of which no value leaves the image alone
    for name, parameter in op.parameters.items():
        low, high = parameter.low, parameter.high

        def inside(value: Any, low: float = low, high: float = high, unit: str = parameter.unit) -> Any:
            expected = f"expected two numbers [low, high] within [{low:g}, {high:g}] ({unit})"
            if not isinstance(value, (list, tuple)) or len(value) != 2:
                raise ValueError(expected)
            if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in value):
                raise ValueError(expected)
            if not low <= value[0] <= value[1] <= high:
                raise ValueError(expected)
            return float(value[0]), float(value[1])

        kept = parameter.default or (parameter.identity, parameter.identity)
        if not low <= kept[0] <= high:
            targets[name] = f"{parameter.unit}, within [{low:g}, {high:g}]"
        fields[name] = (Annotated[tuple[float, float], BeforeValidator(inside)], kept)
    for name, (low, default, high) in op.settings.items():
        fields[name] = (float, Field(default, ge=low, le=high))

    def told(entry: Any) -> Any:
        missing = [name for name in targets if name not in entry.model_fields_set]
        if missing and entry.p:
            raise ValueError(f"expected '{missing[0]}: [low, high]' ({targets[missing[0]]}), got none")
        return entry

    validators: dict[str, Any] = {"told": model_validator(mode="after")(told)}
    return create_model(
        f"{op.name.title()}Policy", __base__=OperationPolicy, __validators__=validators, **fields
    )


OPERATION_MODELS: dict[str, type[OperationPolicy]] = {name: _operation_model(op) for name, op in OPS.items()}


class Promise(BaseModel):
    """Limits of the promise (guard.py states it). A file may tighten them; `clip` may go to .25."""

    model_config = _STRICT
    std: float = Field(0.06, ge=0.06, le=0.2, description="least luma std of a view")
    std_share: float = Field(
        0.4, ge=0.4, le=0.8, description="or this share of the full frame's luma std, if less"
    )
    clip: float = Field(0.15, ge=0, le=0.25, description="most pixels newly clipped to 0 or 255 in a channel")
    dark: float = Field(0.10, ge=0.10, le=0.4, description="least luma mean, or the full frame's if less")
    bright: float = Field(
        0.90, ge=0.6, le=0.90, description="greatest luma mean, or the full frame's if more"
    )
    correlation: float = Field(0.5, ge=0.5, le=0.95, description="least |correlation| with the safe crop")
    erased: float = Field(0.25, ge=0, le=0.25, description="most of a view that may be erased")


LEAST_OVERLAP_WIDTH = 0.05  # a narrower interval is finer than the steps in which crops are placed


def _overlap(value: Any) -> Any:
    expected = f"expected two numbers [low, high] within [0, 1], at least {LEAST_OVERLAP_WIDTH:g} apart"
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(expected)
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in value):
        raise ValueError(expected)
    if not (0 <= value[0] and value[1] <= 1 and value[1] - value[0] >= LEAST_OVERLAP_WIDTH - 1e-9):
        raise ValueError(expected)
    return float(value[0]), float(value[1])


class Pair(BaseModel):
    """How the views of one image hang together."""

    model_config = _STRICT
    share: tuple[str, ...] = Field((), description="operations drawn once for all views of an image")
    second: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="changes to operations for every view but the first"
    )
    overlap: Annotated[tuple[float, float] | None, BeforeValidator(_overlap)] = Field(
        None, description="intersection over union of every later view's crop with the first view's"
    )

    @field_validator("second")
    @classmethod
    def _tuples(cls, second: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """As a file's lists become tuples in operations, so here: a policy equals what is read of its file."""
        return {
            name: {k: tuple(v) if isinstance(v, list) else v for k, v in change.items()}
            for name, change in second.items()
        }

    @model_validator(mode="after")
    def _known(self) -> Pair:
        for name in self.share:
            if name not in OPS:
                raise ValueError(f"expected names of operations, got {name!r}{did_you_mean(name, OPS)}")
        return self


class Policy(BaseModel):
    """A policy: plain data, immutable. Make one from a preset's name, a file, or a mapping.

    >>> Policy.load("natural").guards
    True
    """

    model_config = _STRICT
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
                known = ", ".join(OPS)
                raise ValueError(
                    f"operations.{name}: no such operation{did_you_mean(name, OPS)}; known: {known}"
                )
            if isinstance(entry, OperationPolicy):
                entry = entry.model_dump(exclude_defaults=True)
            try:
                parsed[name] = model.model_validate(entry or {})
            except ValidationError as error:
                raise ValueError(_sentence(error, f"operations.{name}", model)) from None
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

    def of_kind(self, *kinds: str) -> list[Op]:
        """The policy's operations of some kinds, each kind's in the table's order."""
        listed = self.__dict__["_listed"]
        return [op for kind in kinds for op in listed.get(kind, ())]

    @property
    def leading(self) -> dict[str, str]:
        """For each operation the one whose first number and weights of p decide: its group's first, or itself."""
        return self.__dict__["_leading"]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as its file: spawned workers have the text, and the operations' models are made at import."""
        return Policy.loads, (self.dumps(),)

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
            raise AdaptAugError(f"{source}: {_sentence(error, '', cls)}.") from None

    @classmethod
    def loads(cls, text: str, source: str = "policy") -> Policy:
        """Validate YAML text. Aliases, tags and texts over 1 MB are refused: a policy is plain data."""
        if len(text.encode()) > MAX_FILE_BYTES:
            raise AdaptAugError(
                f"{source}: expected a policy file of at most 1 MB, got {len(text)} characters."
            )
        try:
            depth = 0
            for token in yaml.scan(text, Loader=yaml.SafeLoader):
                if isinstance(token, yaml.AliasToken):
                    raise AdaptAugError(f"{source}: expected YAML without aliases; write the values out.")
                depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
                if depth > MAX_DEPTH:  # scanning deeper takes time that grows with the square
                    raise AdaptAugError(f"{source}: expected YAML nested at most {MAX_DEPTH} deep.")
            data = yaml.safe_load(text)
        except AdaptAugError:
            raise
        except (yaml.YAMLError, RecursionError, ValueError) as error:  # a date or a number that is none
            where = getattr(error, "problem_mark", None)
            line = f" at line {where.line + 1}" if where else ""
            raise AdaptAugError(
                f"{source}: not valid YAML{line}; {getattr(error, 'problem', None) or str(error)[:80] or 'check it'}."
            ) from None
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
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            hint = did_you_mean(str(name_or_path), preset_names())
            raise AdaptAugError(
                f"policy {str(name_or_path)!r}: neither a preset ({', '.join(preset_names())}) nor a readable "
                f"file ({getattr(error, 'strerror', None) or error}){hint}."
            ) from None
        return cls.loads(text, str(path))

    def dumps(self) -> str:
        """The policy as YAML; `loads(dumps())` is equal to the policy."""
        data = self.model_dump(mode="json", exclude={"operations"}, exclude_defaults=True)
        head = {"version": 1, "name": self.name, **data, "guards": self.guards}
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
        Path(path).write_text(self.dumps(), encoding="utf-8")

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
            raise AdaptAugError(_sentence(error, "", Policy)) from None


def preset_names() -> list[str]:
    """Names of the policies that come with the package."""
    files = importlib.resources.files("adaptaug.policies").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def _preset(name: str) -> Any:
    return importlib.resources.files("adaptaug.policies") / f"{name}.yaml"


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _sentence(error: ValidationError, prefix: str, model: type[BaseModel]) -> str:
    """The first complaint of a validation as 'path: what was expected, what came'."""
    first = error.errors()[0]
    path = ".".join([prefix, *map(str, first["loc"])] if prefix else [str(part) for part in first["loc"]])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        owner: Any = model
        for part in first["loc"][:-1]:  # the nested model that refused the key; a mapping's is its values'
            field = getattr(owner, "model_fields", {}).get(str(part))
            owner = field.annotation if field else (get_args(owner) or (owner,))[-1]
        fields = getattr(owner, "model_fields", {})
        return f"{path}: unknown field{did_you_mean(name, fields)}; known: {', '.join(fields)}"
    if first["type"] == "value_error" and not first["loc"]:
        return message if not prefix else f"{prefix}: {message}"
    return f"{path}: {message[0].lower() + message[1:]}, got {first['input']!r:.60}"
