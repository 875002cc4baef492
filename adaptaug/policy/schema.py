"""What a policy consists of, as pydantic models: operations (made from the table in `ops`), the promise, the pair."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from adaptaug.errors import did_you_mean
from adaptaug.policy.ops import OPS, Op

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OperationPolicy(BaseModel):
    """What every operation has; each operation's own ranges are added from its record in `ops`."""

    model_config = STRICT
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
        low, high = getattr(self, parameter)
        return low, high


def _two_numbers(value: Any, low: float, high: float, apart: float, expected: str) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(expected)
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in value):
        raise ValueError(expected)
    if not (low <= value[0] and value[1] <= high and value[1] - value[0] >= apart):
        raise ValueError(expected)
    return float(value[0]), float(value[1])


def _operation_model(op: Op) -> type[OperationPolicy]:
    fields: dict[str, Any] = {}
    targets: dict[str, str] = {}  # parameters of which no value leaves the image alone
    for name, parameter in op.parameters.items():
        low, high = parameter.low, parameter.high

        def inside(value: Any, low: float = low, high: float = high, unit: str = parameter.unit) -> Any:
            expected = f"expected two numbers [low, high] within [{low:g}, {high:g}] ({unit})"
            return _two_numbers(value, low, high, 0.0, expected)

        kept = parameter.default or (parameter.identity, parameter.identity)
        if not low <= kept[0] <= high:
            targets[name] = f"{parameter.unit}, within [{low:g}, {high:g}]"
        fields[name] = (Annotated[tuple[float, float], BeforeValidator(inside)], kept)
    for name, (low, default, high) in op.settings.items():
        fields[name] = (float, Field(default, ge=low, le=high))

    def targets_given(entry: Any) -> Any:
        missing = [name for name in targets if name not in entry.model_fields_set]
        if missing and entry.p:
            raise ValueError(f"expected '{missing[0]}: [low, high]' ({targets[missing[0]]}), got none")
        return entry

    validators: dict[str, Any] = {"targets_given": model_validator(mode="after")(targets_given)}
    return create_model(
        f"{op.name.title()}Policy", __base__=OperationPolicy, __validators__=validators, **fields
    )


OPERATION_MODELS: dict[str, type[OperationPolicy]] = {name: _operation_model(op) for name, op in OPS.items()}


class Promise(BaseModel):
    """Limits of the promise (promise/guards.py states it). A file may tighten them; `clip` may go to .25."""

    model_config = STRICT
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
    return None if value is None else _two_numbers(value, 0.0, 1.0, LEAST_OVERLAP_WIDTH - 1e-9, expected)


class Pair(BaseModel):
    """What the views of one image share."""

    model_config = STRICT
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


def sentence_of(error: ValidationError, prefix: str, model: type[BaseModel]) -> str:
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
