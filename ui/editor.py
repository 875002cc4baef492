"""The controls that tune a policy: one row an operation, made as HTML from `ops`, and the edits they send back."""

from __future__ import annotations

import math
from typing import Any

from adaptaug import AdaptAugError, Policy
from adaptaug.policy.ops import OPS, Op, Parameter
from adaptaug.policy.routes import in_words
from adaptaug.ui.templates import escape

GROUPS = {
    "Crop and shape": ("geometry",),
    "Sharpness and tables": ("filter", "table"),
    "Brightness and contrast": ("tone",),
    "Colour": ("colour",),
    "Noise and erasing": ("late",),
}
BAND = (0.1, 0.8)  # offered where a policy has none
# Only what was touched since the policy was drawn here is sent, so that all else stays as it was, to the bit.
JS = """
// One object says all that is wanted: what is asked for while another is answered comes with its words (see PAIRS_JS).
const wanted = {changes: {}, sweep: '', preset: ''};
let timer = null;
const ask = () => {
  wanted.drawing = Number(element.querySelector('.aa-editor').dataset.drawing);
  trigger('select', wanted);
};
const show = (slide) => {
  const raw = Number(slide.value), value = slide.dataset.log ? Math.exp(raw) : raw;
  const typed = slide.closest('.aa-slide').querySelector('[data-typed]');
  if (document.activeElement !== typed) typed.value = Number(value.toPrecision(3));
  return value;
};
// What is typed moves the slider, which knows its ends.
const type = (typed) => {
  const slide = typed.closest('.aa-slide').querySelector('[type=range]'), value = Number(typed.value);
  const place = slide.dataset.log ? Math.log(value) : value;
  if (typed.value !== '' && Number.isFinite(place)) slide.value = place;
  return slide;
};
const note = (op, field, value) => { (wanted.changes[op] = wanted.changes[op] || {})[field] = value; };
element.addEventListener('input', (event) => {
  const op = event.target.closest('[data-op]')?.dataset.op;
  if (!op) return;
  const field = 'typed' in event.target.dataset ? type(event.target) : event.target;
  if (field.type === 'checkbox') {
    note(op, field.dataset.field, field.checked);
    if (field.dataset.field === 'on') field.closest('[data-op]').classList.toggle('off', !field.checked);
  } else {
    const name = field.dataset.field, end = field.dataset.end;
    if (end) {
      const pair = [...field.closest('[data-op]').querySelectorAll(`[data-field="${name}"]`)];
      const [low, high] = pair;
      if (Number(low.value) > Number(high.value)) (field === low ? high : low).value = field.value;
      note(op, name, pair.map(show));
    } else note(op, name, show(field));
  }
  clearTimeout(timer);
  timer = setTimeout(ask, 120);
});
// The page is patched, not replaced: a control that was moved keeps its place unless it is told.
const opened = new Set();
element.addEventListener('toggle', (event) => {
  const place = [...element.querySelectorAll('details')].indexOf(event.target);
  if (event.target.open) opened.add(place); else if (!settling) opened.delete(place);
}, true);
let settling = false;
const settle = () => {
 element.querySelectorAll('details').forEach((group, i) => { group.open = opened.has(i); });
 element.querySelectorAll('input:not([data-typed])').forEach((field) => {
  if (field.type === 'checkbox') {
    field.checked = field.hasAttribute('checked');
    if (field.dataset.field === 'on') field.closest('[data-op]').classList.toggle('off', !field.checked);
  } else { field.value = field.getAttribute('value'); show(field); }
 });
};
element.addEventListener('focusout', (event) => {
  if ('typed' in event.target.dataset) show(event.target.closest('.aa-slide').querySelector('[type=range]'));
});
document.addEventListener('keydown', (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z' || !element.offsetParent) return;
  if (event.target.matches('textarea, input:not([type=range], [type=checkbox])')) return;
  event.preventDefault();
  document.getElementById(event.shiftKey ? 'redo' : 'undo').click();
});
watch('value', () => {
  wanted.changes = {}; wanted.preset = ''; clearTimeout(timer); settling = true;
  settle(); setTimeout(() => { settle(); place(); setTimeout(() => { settling = false; }, 30); }, 30);
});
// One operation at a time is looked at alone: what the server says of it goes below its sliders.
const place = () => {
  const strips = document.querySelector('#sweep .aa-sweep');
  element.querySelectorAll('[data-sweep]').forEach((button) => {
    const mine = button.dataset.sweep === wanted.sweep, slot = button.closest('[data-op]').querySelector('.aa-slot');
    button.setAttribute('aria-expanded', mine);
    if (mine && strips?.dataset.for === wanted.sweep) slot.replaceChildren(strips.cloneNode(true));
    else slot.replaceChildren();
  });
};
document.addEventListener('aa-sweep', place);
element.addEventListener('click', (event) => {
  const route = event.target.closest('[data-preset]');
  if (route) { wanted.preset = route.dataset.preset; ask(); }
  const button = event.target.closest('[data-sweep]');
  if (!button) return;
  wanted.sweep = button.dataset.sweep === wanted.sweep ? '' : button.dataset.sweep;
  place();
  ask();
});
"""


def html(policy: Policy, drawing: int = 0) -> str:
    """Controls that stand at a policy's values. A browser keeps what it shows where the text is the same as before, and
    sliders may have been moved since: so every `drawing` has a number."""
    if policy.routes:
        return f'<div class="aa aa-editor" data-drawing="{drawing}">{_routes(policy)}</div>'
    groups = []
    for title, kinds in GROUPS.items():
        ops = [op for op in OPS.values() if op.kind in kinds]
        on = sum(op.name in policy for op in ops)
        rows = "".join(_operation(op, policy) for op in ops)
        groups.append(
            f'<details><summary>{title} <span class="faint">{on} of {len(ops)}</span></summary>{rows}</details>'
        )
    guards = (
        f'<div class="aa-op" data-op="policy"><label class="aa-tick">{_tick("guards", policy.guards)} Guards: ranges '
        "narrowed to what is safe for the image, and every view checked; one that breaks the promise is pulled back"
        "</label></div>"
    )
    groups.insert(0, _band(policy))
    return f'<div class="aa aa-editor" data-drawing="{drawing}">{guards}{"".join(groups)}</div>'


def _routes(policy: Policy) -> str:
    """Of a policy that looks at an image and takes another one for it: its rules, and those others to tune."""
    rules = ""
    for route in policy.routes:
        limits = ", ".join(f"{name} {in_words(*ends)}" for name, ends in route.when.items()) or "all others"
        name = route.policy if isinstance(route.policy, str) else ""
        button = (
            f'<button type="button" data-preset="{escape(name)}">Tune {escape(name)}</button>' if name else ""
        )
        rules += (
            f'<div><b>{escape(route.subject)}</b><span class="faint">{escape(limits)}</span>{button}</div>'
        )
    said = "This policy takes for each image another one, by rules that are looked at in order:"
    return f'<div class="aa-routes"><p class="faint">{said}</p>{rules}</div>'


def _band(policy: Policy) -> str:
    low, high = policy.band or BAND
    slides = "".join(
        _slide("band", "range", end, -0.5, 1.0, value, False, end)
        for end, value in (("from", low), ("to", high))
    )
    return (
        f'<fieldset class="aa-op{"" if policy.band else " off"}" data-op="band"><legend><label class="aa-tick">'
        f"{_tick('on', policy.band is not None)} Band: of up to four draws, a pair this much alike</label></legend>"
        f'<div class="aa-controls">{slides}</div></fieldset>'
    )


def _operation(op: Op, policy: Policy) -> str:
    there = op.name in policy
    entry = policy[op.name].model_dump() if there else {"p": 1.0, "lock": False} | op.start
    slides = [_slide(op.name, "p", "probability", 0.0, 1.0, float(entry["p"]), False)]
    for name, parameter in op.parameters.items():
        if op.switch or parameter.place:  # nothing to choose
            continue
        low, high = entry.get(name) or (parameter.identity, parameter.identity)
        label = "" if name == "range" else f"{name}, "
        slides.append(f"<small>{escape(label + parameter.unit)}</small>")
        for end, value in (("from", low), ("to", high)):
            slides.append(_range(op.name, name, f"{label}{end}", parameter, float(value), end))
    lock = f'<label class="aa-tick lock">{_tick("lock", entry["lock"])} locked: a search leaves it as it is</label>'
    return (
        f'<fieldset class="aa-op{"" if there else " off"}" data-op="{op.name}"><legend><label class="aa-tick" '
        f'title="{escape(op.about)}">{_tick("on", there)} {op.name}</label></legend>'
        f'{_look(op)}<div class="aa-controls">{"".join(slides)}{lock}</div><div class="aa-slot"></div></fieldset>'
    )


def _look(op: Op) -> str:
    """Opens and closes what the operation does to the image."""
    return (
        f'<button type="button" class="aa-look" data-sweep="{op.name}" aria-expanded="false" '
        f'aria-label="{op.name}: what it does to this image">On this image</button>'
    )


def _range(op: str, name: str, label: str, parameter: Parameter, value: float, end: str) -> str:
    return _slide(op, name, label, parameter.low, parameter.high, value, parameter.log, end)


def _slide(
    op: str, field: str, label: str, low: float, high: float, value: float, log: bool, end: str = ""
) -> str:
    place = math.log if log else float
    bottom, top, at = place(low), place(high), place(min(max(value, low), high))
    ends = f' data-end="{end}"' if end else ""
    scale = f'{ends}{" data-log=1" if log else ""} min="{bottom:.6g}" max="{top:.6g}"'
    scale += ' step="any"'  # a grid would move what nobody has touched
    return (
        f'<label class="aa-slide"><span>{label}</span><input type="range" aria-label="{op}: {label}" '
        f'data-field="{field}"{scale} value="{at:.6g}"><input type="number" data-typed step="any" '
        f'aria-label="{op}: {label}, typed" value="{value:.3g}"></label>'
    )


def _tick(field: str, value: bool) -> str:
    return f'<input type="checkbox" data-field="{field}"{" checked" if value else ""}>'


def apply(policy: Policy, changes: Any) -> Policy:
    """The policy with what the controls sent: {operation: {field: value}}, `policy` and `band` standing for its own.

    An operation that is switched on begins as its record says. Raises: AdaptAugError: values that the schema refuses.
    """
    if not isinstance(changes, dict) or not all(isinstance(part, dict) for part in changes.values()):
        raise AdaptAugError("expected changes as operations with fields.")
    changes = {str(name): dict(part) for name, part in changes.items()}
    own, band = changes.pop("policy", {}), changes.pop("band", {})
    edits: dict[str, Any] = {}
    for name, part in changes.items():
        if name not in OPS:
            raise AdaptAugError(f"{name!r}: no such operation.")
        on = part.pop("on", name in policy)
        part = {field: _rounded(value) for field, value in part.items()}
        if not on:
            if name in policy:
                edits[name] = None
        elif name in policy:
            edits[name] = part
        else:
            edits[name] = OPS[name].start | part
    name = policy.name if policy.name.endswith(EDITED) else f"{policy.name[: 100 - len(EDITED)]}{EDITED}"
    fields: dict[str, Any] = {field: bool(own[field]) for field in ("guards",) if field in own}
    if band:
        values = _rounded(band.get("range", policy.band or BAND))
        fields["band"] = values if band.get("on", policy.band is not None) else None
    return policy.edit(edits, name=name, **fields)


def difference(one: Policy, other: Policy) -> frozenset[tuple[str, str]]:
    """(operation, field) of what an edit changed, the policy's own fields under ''."""

    def fields(policy: Policy) -> dict[tuple[str, str], Any]:
        values = {(op, field): value for op, entry in policy.operations.items() for field, value in entry}
        return values | {("", "guards"): policy.guards, ("", "band"): policy.band}

    first, second = fields(one), fields(other)
    return frozenset(k for k in first.keys() | second.keys() if first.get(k) != second.get(k))


EDITED = " (edited)"


def _rounded(value: Any) -> Any:
    """Slider positions as a person would write them: four significant digits."""
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.4g}")
    return value
