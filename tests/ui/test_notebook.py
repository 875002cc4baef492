"""`adaptaug.tune` in a notebook that is executed: the page opens below the cell, and what is tuned there comes back."""

from __future__ import annotations

import pytest

nbclient = pytest.importorskip(
    "nbclient", reason="needs nbclient, which myst-nb brings: pip install 'adaptaug[dev]'"
)
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
pytest.importorskip("gradio", reason="the page needs gradio: pip install 'adaptaug[ui]'")

OPEN = """
import sys
import numpy as np
import adaptaug
assert "gradio" not in sys.modules and "adaptaug.ui" not in sys.modules
image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
tuning = adaptaug.tune(image, "natural", port=19860, height=640)
"""
# What the page's controls send when a slider is moved, and a visitor's page before it.
VISIT = """
import json, urllib.request
def get(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(tuning.url + path, data, {"Content-Type": "application/json"}))
shown = get("/")
policy = shown.headers["Content-Security-Policy"]
config = json.load(get("/config"))
box = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "editor")
event = next(d["id"] for d in config["dependencies"] if [box, "select"] in [list(t) for t in d["targets"]])
body = {"data": [None, "simclr", 0, 1, 2, 32], "fn_index": event, "session_hash": "me",
        "event_data": {"changes": {"grey": {"p": 1.0}}, "drawing": 0}}
get("/gradio_api/queue/join", body)
answers = [json.loads(line[5:]) for line in get("/gradio_api/queue/data?session_hash=me") if line.startswith(b"data:")]
assert answers[-1]["msg"] in ("process_completed", "close_stream"), answers
print(policy, tuning.policy.name, tuning.policy["grey"].p)
"""
CLOSE = """
tuning.close()
print(adaptaug.Views(tuning.policy, size=32, finish="none")(image, key=(0, 0, 0))[0].std(-1).max())
"""


def test_a_notebook_opens_the_page_inline_and_gets_the_policy_back() -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in (OPEN, VISIT, CLOSE)])
    nbclient.NotebookClient(book, timeout=500, kernel_name="python3").execute()
    opened, told, made = (cell["outputs"] for cell in book["cells"])
    frame = next(out["data"]["text/html"] for out in opened if out["output_type"] == "display_data")
    assert "<iframe" in frame and 'height="640"' in frame and "http://127.0.0.1:19860" in frame
    said = "".join(out["text"] for out in told if out["output_type"] == "stream")
    assert "frame-ancestors 'self' http://localhost:* http://127.0.0.1:* vscode-webview:" in said
    assert said.strip().endswith("natural (edited) 1.0")
    assert float("".join(out["text"] for out in made if out["output_type"] == "stream")) < 1  # all grey
