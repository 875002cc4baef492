"""Policy files: presets load, saving loses nothing, errors name the path and what is accepted."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import adaptaug
from adaptaug.policy import MAX_FILE_BYTES, plain, preset_names
from adaptaug.policy.ops import OPS
from adaptaug.policy.schema import Promise

LIMITS = {  # the promise's defaults; True where a greater number is tighter
    "std": True, "std_share": True, "clip": False, "dark": True, "bright": False, "correlation": True,
    "erased": False,
}  # fmt: skip


def parse(**fields: Any) -> adaptaug.Policy:
    return adaptaug.Policy.parse({"version": 1, **fields})


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@st.composite
def policies(draw: st.DrawFn) -> adaptaug.Policy:
    """Any policy that the schema accepts."""
    operations: dict[str, dict[str, Any]] = {}
    for name in draw(st.lists(st.sampled_from(sorted(OPS)), unique=True)):
        op, entry = OPS[name], {}
        for parameter, spec in op.parameters.items():
            needed = spec.default is None and not spec.low <= spec.identity <= spec.high
            if needed or draw(st.booleans()):
                entry[parameter] = sorted(
                    (draw(numbers(spec.low, spec.high)), draw(numbers(spec.low, spec.high)))
                )
        for setting, (low, _, high) in op.settings.items():
            entry[setting] = draw(numbers(low, high))
        entry |= {"p": draw(numbers(0, 1)), "guard": draw(st.booleans()), "lock": draw(st.booleans())}
        entry |= {"shape": (draw(numbers(0.1, 10)), draw(numbers(0.1, 10)))}
        entry |= {"together": draw(st.none() | st.text(max_size=5))}
        operations[name] = entry
    return parse(
        name=draw(st.text(max_size=20)),
        description=draw(st.text(max_size=50)),
        guards=draw(st.booleans()),
        promise={"clip": draw(numbers(0, 0.15)), "std": draw(numbers(0.06, 0.2))},
        pair={"share": draw(st.lists(st.sampled_from(sorted(OPS)), unique=True))},
        band=draw(st.none() | st.just([0.25, 0.75])),
        provenance=draw(
            st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=2)
        ),
        operations=operations,
    )


@pytest.mark.parametrize("name", preset_names())
def test_presets_load(name: str):
    policy = adaptaug.Policy.load(name)
    assert policy.name == name and policy.description and (policy.operations or policy.routes)


def test_the_four_first_presets_are_there():
    assert {"natural", "digits", "simclr", "simclr-cifar"} <= set(preset_names())
    guarded = {name: adaptaug.Policy.load(name).guards for name in preset_names()}
    assert guarded["natural"] and guarded["digits"] and not guarded["simclr"] and not guarded["simclr-cifar"]


def test_digits_have_no_colour_and_no_flip():
    assert not {"hue", "saturation", "grey", "hflip", "vflip", "invert"} & set(
        adaptaug.Policy.load("digits").operations
    )


@pytest.mark.parametrize("name", preset_names())
def test_saving_a_preset_loses_nothing(name: str, tmp_path):
    policy = adaptaug.Policy.load(name)
    policy.save(tmp_path / "policy.yaml")
    assert adaptaug.Policy.load(tmp_path / "policy.yaml") == policy
    assert adaptaug.Policy.load(str(tmp_path / "policy.yaml")).dumps() == policy.dumps()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(policies())
def test_saving_any_policy_loses_nothing(policy: adaptaug.Policy):
    assert adaptaug.Policy.loads(policy.dumps()) == policy


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"operation": {}}, r"operation: unknown field.*operations"),
        ({"promise": {"contrast": 1}}, r"promise\.contrast: unknown field.*std_share"),
        ({"operations": {"blurr": {}}}, r"operations\.blurr: no such operation.*'blur'.*known: crop"),
        ({"operations": {"blur": {"sigma": [0, 1]}}}, r"operations\.blur\.sigma: unknown field.*range"),
        ({"operations": {"blur": {"p": 1.5}}}, r"operations\.blur\.p: .*less than or equal to 1.*1\.5"),
        ({"operations": {"blur": {"p": "often"}}}, r"operations\.blur\.p: .*number.*often"),
        ({"operations": {"blur": {"shape": [0, 1]}}}, r"operations\.blur.*shape.*\[0\.1, 10\]"),
        ({"operations": {"crop": {"content": 2}}}, r"operations\.crop\.content: .*0\.95"),
        ({"operations": {"exposure": {"mean": [0.3, 0.7]}}}, r"operations\.exposure: .*std: \[low, high\].*none"),
        ({"operations": {"solarize": None}}, r"operations\.solarize: .*range: \[low, high\].*none"),
        ({"operations": {"hue": [0.1]}}, r"operations\.hue"),
        ({"operations": {"hue": 3}}, r"operations\.hue"),
        ({"operations": ["hue"]}, r"operations: .*dict"),
        ({"operations": {3: {}}}, r"operations"),
        ({"band": [0.9, 0.1]}, r"band.*\[-1, 1\]"),
        ({"pair": {"share": ["crp"]}}, r"pair.*'crp'.*'crop'"),
        ({"guards": "maybe"}, r"guards: .*maybe"),
        ({"version": 2}, r"version: .*1.*2"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_wrong_is_named(data: dict[str, Any], said: str):
    with pytest.raises(adaptaug.AdaptAugError, match=said) as caught:
        adaptaug.Policy.parse({"version": 1, **data})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["version: 2026-02-30", "version: " + "9" * 6000], ids=["date", "number"])
def test_yaml_of_values_that_are_none_is_one_sentence(text: str):
    with pytest.raises(adaptaug.AdaptAugError, match="not valid YAML"):
        adaptaug.Policy.loads(text)


def test_an_operation_that_is_off_needs_no_range_and_can_be_edited():
    policy = parse(operations={"exposure": {"p": 0}})
    assert policy.edit(name="mine")["exposure"] == policy["exposure"]


def test_an_operation_that_is_removed_is_removed_from_every_view():
    policy = adaptaug.Policy.load("byol").edit({"solarize": None, "blur": None})
    assert not {"solarize", "blur"} & set(policy.for_view(1).operations) and policy.pair.second == {}


def test_a_line_break_of_any_kind_is_saved():
    policy = parse(description="one\x85two\u2028three\nfour é")
    assert adaptaug.Policy.loads(policy.dumps()) == policy


@pytest.mark.parametrize("data", [None, [], "natural", 3, {}, {"operations": {}}], ids=repr)
def test_what_is_no_policy_is_refused(data: Any):
    with pytest.raises(adaptaug.AdaptAugError, match="version"):
        adaptaug.Policy.parse(data)


RANGES = [(name, parameter) for name, op in OPS.items() for parameter in op.parameters]


@pytest.mark.parametrize(("name", "parameter"), RANGES, ids=[".".join(pair) for pair in RANGES])
def test_impossible_ranges_are_refused_with_the_accepted_one(name: str, parameter: str):
    spec = OPS[name].parameters[parameter]
    nan, wide = float("nan"), [spec.low - 1, spec.high + 1]
    for value in (
        wide,
        [spec.high + 1, spec.high + 2],
        [spec.high, spec.low - 1],
        [nan, nan],
        [spec.low],
        0.5,
        "x",
        None,
    ):
        with pytest.raises(adaptaug.AdaptAugError) as caught:
            parse(operations={name: {parameter: value}})
        said = str(caught.value)
        assert f"operations.{name}.{parameter}" in said and f"[{spec.low:g}, {spec.high:g}]" in said


@pytest.mark.parametrize("limit", LIMITS)
def test_the_promise_can_be_tightened(limit: str):
    default = getattr(Promise(), limit)
    tighter = default * (1.1 if LIMITS[limit] else 0.9)
    assert getattr(parse(promise={limit: tighter}).promise, limit) == tighter


@pytest.mark.parametrize("limit", LIMITS)
def test_the_promise_cannot_be_loosened(limit: str):
    bound = 0.25 if limit == "clip" else getattr(Promise(), limit)  # the schema's limit for clip
    with pytest.raises(adaptaug.AdaptAugError, match=rf"promise\.{limit}: .*{bound:g}"):
        parse(promise={limit: bound * (0.9 if LIMITS[limit] else 1.1)})


def test_every_limit_of_the_promise_is_tested_here():
    assert set(LIMITS) == set(Promise.model_fields)


@pytest.mark.parametrize(
    ("word", "expected"), [("on", True), ("off", False), ("true", True), ("false", False)]
)
def test_guards_read_on_and_off(word: str, expected: bool):
    assert adaptaug.Policy.loads(f"version: 1\nguards: {word}\noperations: {{}}").guards is expected
    assert adaptaug.Policy.loads(f"version: 1\nguards: '{word}'\noperations: {{}}").guards is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\noperations: {blur: &a {p: 0.5}, hue: *a}", "aliases"),
        ("version: 1\nname: !!python/object/apply:os.getcwd []", "not valid YAML at line 2"),
        ("version: 1\noperations: {blur: {p: 0.5}", "not valid YAML at line"),
        ("version: 1\n# " + "x" * MAX_FILE_BYTES, "1 MB"),
        ("[" * 500_000, "nested at most"),
        ("", "mapping"),
        ("version: 1\nname: \x00", "not valid YAML"),
        ("version: 1\nguards: true\nguards: false", "each key once, got 'guards' twice, again at line 3"),
        ("version: 1\noperations: {blur: {p: 0.5, p: 0.6}}", "each key once"),
        ("version: 1\nprovenance: {x: [" + "0, " * 100_000 + "]}", "at most 10,000 values"),
        ("version: 1\nprovenance: {x: !!int 1" + ":1" * 100_000 + "}", "not valid YAML; a number or date of"),
        ("version: 1\n<<: {name: x}", "not valid YAML at line 2"),
        ("version: 1\n? [a]\n: 1", "keys that are names"),
        ("version: 1\n---\nversion: 1", "one document"),
        ("version: 1\nname: \ud800", "not valid YAML"),
    ],
    ids=[
        "alias",
        "tag",
        "unclosed",
        "oversize",
        "deep",
        "empty",
        "control character",
        "key twice",
        "inner key twice",
        "many values",
        "long number",
        "merge",
        "key of keys",
        "documents",
        "half a character",
    ],
)
@pytest.mark.parametrize("loader", ["C", "Python"])
def test_hostile_and_broken_yaml_is_refused(text: str, said: str, loader: str, monkeypatch):
    if loader == "Python":
        monkeypatch.setattr(plain, "_LOADER", yaml.SafeLoader)
    with pytest.raises(adaptaug.AdaptAugError, match=said):
        adaptaug.Policy.loads(text)


@pytest.mark.parametrize("name", ["natral", "no/such/file.yaml", ".", ""])
def test_a_missing_file_is_named_with_the_presets(name: str):
    with pytest.raises(adaptaug.AdaptAugError, match="natural"):
        adaptaug.Policy.load(name)


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / "image.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(adaptaug.AdaptAugError, match=r"image\.yaml"):
        adaptaug.Policy.load(tmp_path / "image.yaml")


def test_a_policy_is_immutable():
    policy = adaptaug.Policy.load("natural")
    with pytest.raises(ValueError, match="frozen"):
        policy.guards = False
    with pytest.raises(ValueError, match="frozen"):
        policy["blur"].p = 1.0


def test_edit_changes_a_copy():
    policy = adaptaug.Policy.load("natural")
    changed = policy.edit({"hflip": {"p": 0.25}, "hue": None, "gamma": {"range": [0.5, 2]}}, name="mine")
    assert (
        changed["hflip"].p == 0.25 and "hue" not in changed and changed["gamma"].bounds("range") == (0.5, 2.0)
    )
    assert changed.name == "mine" and changed["crop"] == policy["crop"]
    assert policy["hflip"].p == 0.5 and "hue" in policy and policy.name == "natural"
    with pytest.raises(adaptaug.AdaptAugError, match=r"operations\.hflip\.p"):
        policy.edit({"hflip": {"p": 7}})


def test_shared_operations_are_the_same_in_all_views(photo):
    policy = adaptaug.Policy.load("natural").edit(pair={"share": ["crop"]})
    _, (first, second) = adaptaug.Views(policy, size=32, return_params=True)(photo(), key=(1, 0, 0))
    assert first.value("crop.area") == second.value("crop.area")
    assert first.value("exposure.mean") != second.value("exposure.mean")


def test_together_applies_all_or_none(photo, to_tensor):
    batch = to_tensor(photo())[None].expand(64, -1, -1, -1)
    params = adaptaug.AdaptiveAugment("simclr", 32).plan(batch, key=1)
    applied = [params.entries[name].applied for name in ("brightness", "contrast", "saturation", "hue")]
    assert 0 < applied[0].sum() < 64
    assert all(bool((applied[0] == other).all()) for other in applied)
