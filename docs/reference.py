"""Writes docs/reference/: pages made from the schema, the table of operations, the command line and the public names.

    python docs/reference.py        (make docs does it)

Nothing here is typed twice: a field, a range, an option or a signature stands where the code has it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import adaptaug
from adaptaug.policy import Policy
from adaptaug.policy.ops import OPS, Op, Parameter

SIZE, STRENGTHS = 160, 5
KINDS = {
    "geometry": "Geometry: one warp", "filter": "Filters", "table": "Tables", "tone": "Tone", "colour": "Colour",
    "late": "After everything else",
}  # fmt: skip


def main() -> None:
    write(Path(__file__).parent / "reference")


def write(folder: Path) -> None:
    (folder / "img").mkdir(parents=True, exist_ok=True)
    pages = {
        "policy-file": policy_file(),
        "operations": operations(folder),
        "cli": command_line(),
        "api": names(),
    }
    for name, text in pages.items():
        page = folder / f"{name}.md"
        if (
            not page.exists() or page.read_text(encoding="utf-8") != text
        ):  # an unchanged page is not built again
            page.write_text(text, encoding="utf-8")


# --- the policy file ------------------------------------------------------------------------------------------


def policy_file() -> str:
    """Every field of the schema, object by object."""
    schema = Policy.model_json_schema()
    lines = [
        "# Policy file", "",
        "A policy is a YAML file. These are its fields, from the schema that reads it; what they mean together, with "
        "examples, is in [policies](../../policies/README.md), and what operations do in [operations](operations.md).",
        "", *_fields("The file", schema),
    ]  # fmt: skip
    for name, part in sorted(schema["$defs"].items()):
        lines += _fields(name, part)
    return "\n".join(lines)


def _fields(title: str, part: dict[str, Any]) -> list[str]:
    lines = [f"## {title}", "", *([part["description"].split("\n")[0], ""] if "description" in part else [])]
    lines += ["| field | type | default | range | |", "|---|---|---|---|---|"]
    for name, field in part.get("properties", {}).items():
        default = (
            "required" if name in part.get("required", ()) else f"`{json.dumps(field.get('default', {}))}`"
        )
        about = field.get("description", "").replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(field)} | {default} | {_range(field)} | {about} |")
    return [*lines, ""]


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return field["$ref"].rsplit("/", 1)[-1]
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"name: {_type(field['additionalProperties'])}"
    if field.get("type") == "array":
        of = field.get("prefixItems") or [field.get("items", {})]
        return f"[{', '.join(_type(item) for item in of)}]"
    return str(field.get("type", "any"))


def _range(field: dict[str, Any]) -> str:
    if "minimum" in field and "maximum" in field:
        return f"{field['minimum']:g} .. {field['maximum']:g}"
    return f"at least {field['minimum']:g}" if "minimum" in field else ""


# --- operations -----------------------------------------------------------------------------------------------


def operations(folder: Path) -> str:
    """Each record of the table: what it does, its parameters, and a photograph at five strengths."""
    from skimage.data import astronaut

    photograph = Image.fromarray(astronaut()).resize((SIZE * 2, SIZE * 2))
    lines = ["# Operations", "",
             f"Every operation of the table, on one photograph at {STRENGTHS} strengths from one end of its range to "
             "the other, without guards: what a file may ask for, not what `natural` does. In a guarded policy each "
             "image narrows the range, as its guard says."]  # fmt: skip
    for kind, title in KINDS.items():
        lines += ["", f"## {title}"]
        for op in (op for op in OPS.values() if op.kind == kind):
            strip(op, photograph).save(folder / "img" / f"{op.name}.png")
            lines += ["", f"### {op.name}", "", op.about[0].upper() + op.about[1:] + ".", "",
                      "| parameter | unit | range | leaves the image alone |", "|---|---|---|---|",
                      *(_parameter(op, name, of) for name, of in op.parameters.items()), "",
                      *(f"`{name}`: {default:g} if not said, from {low:g} to {high:g}.\n"
                        for name, (low, default, high) in op.settings.items()),
                      f"Guard: {' → '.join(op.guard) if op.guard else 'none but the certificate'}.", "",
                      f"![{op.name} at {STRENGTHS} strengths](img/{op.name}.png)"]  # fmt: skip
    return "\n".join([*lines, ""])


def _parameter(op: Op, name: str, of: Parameter) -> str:
    if op.switch:
        return "| - | on or off | - | off |"
    drawn = ", drawn in its logarithm" if of.log else ""
    return f"| `{name}` | {of.unit}{drawn} | {of.low:g}&nbsp;..&nbsp;{of.high:g} | {of.identity:g} |"


def strip(op: Op, photograph: Image.Image) -> Image.Image:
    """The operation alone at strengths that part its range evenly; a switch off and on."""
    shares = [0.0, 1.0] if op.switch else list(np.linspace(0, 1, STRENGTHS))
    tiles = [_alone(op, share, photograph) for share in shares]
    sheet = Image.new("RGB", (len(tiles) * (SIZE + 4) - 4, SIZE), "white")
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place * (SIZE + 4), 0))
    return sheet


def _alone(op: Op, share: float, photograph: Image.Image) -> Image.Image:
    entry: dict[str, Any] = {"p": share} if op.switch else {"p": 1.0}
    if not op.switch:
        for name, of in op.parameters.items():
            entry[name] = [_at(of, share, fixed=_fixed(op, name))] * 2
    whole = {"crop": {"area": [1.0, 1.0], "ratio": [1.0, 1.0]}}
    policy = Policy.model_validate(
        {"version": 1, "name": op.name, "guards": False, "operations": {**whole, op.name: entry}}
    )
    view = adaptaug.AdaptiveAugment(policy, size=SIZE)(photograph, key=(0, 0, 1))
    return view if isinstance(view, Image.Image) else Image.fromarray(np.asarray(view))


def _fixed(op: Op, name: str) -> bool:
    """What stays put while the first parameter moves: positions, and ratios beside an area."""
    return op.parameters[name].place or (name == "ratio" and "area" in op.parameters)


def _at(of: Parameter, share: float, fixed: bool) -> float:
    if fixed:
        return 0.5 * (of.low + of.high) if of.place else of.identity
    drawn = of.low * (of.high / of.low) ** share if of.log else of.low + share * (of.high - of.low)
    return min(max(float(drawn), of.low), of.high)


# --- the command line and the public names --------------------------------------------------------------------


def command_line() -> str:
    """What `--help` says, by typer's own writer."""
    call = [
        sys.executable,
        "-m",
        "typer",
        "adaptaug.cli",
        "utils",
        "docs",
        "--name",
        "adaptaug",
        "--title",
        "Command line",
    ]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


def names() -> str:
    """The names of `adaptaug`, each with its docstring."""
    lines = [
        "# Python",
        "",
        "What `import adaptaug` gives; what may change, and how: [deprecations](../deprecations.md).",
        "",
    ]
    for name in adaptaug.__all__:
        kind = "autofunction" if not isinstance(getattr(adaptaug, name), type) else "autoclass"
        kind = "autoexception" if name.endswith("Error") else kind
        lines += [f"## {name}", "", "```{eval-rst}", f".. {kind}:: adaptaug.{name}", "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
