"""What users import: every name and signature as promised, and the example in its docstring."""

from __future__ import annotations

import doctest
import io
import json

import pytest
from PIL import Image

import adaptaug
from tests.support.surface import FILE, surface


def test_names_and_signatures_are_those_promised() -> None:
    """Another one is a decision (CONTRIBUTING says what it asks for): python -m tests.support.surface writes it."""
    for host in ("albumentations", "pytorch_lightning", "optuna", "lightly"):
        pytest.importorskip(host, reason="the whole surface needs every extra: pip install 'adaptaug[all]'")
    promised, found = json.loads(FILE.read_text()), json.loads(json.dumps(surface()))
    assert {name for name in promised if name not in found} == set()
    assert found == promised


@pytest.mark.parametrize("name", adaptaug.__all__)
def test_the_example_of_a_public_name(name, photo) -> None:
    image = photo("coffee", 96, 96)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    given = {key: getattr(adaptaug, key) for key in adaptaug.__all__} | {
        "image": image,
        "png": buffer.getvalue(),
    }
    text = getattr(adaptaug, name).__doc__
    examples = doctest.DocTestParser().get_doctest(text, given, name, None, 0)
    assert examples.examples, f"{name}: expected an example (>>>) in its docstring"
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=said.append)
    assert not said, "".join(said)
