"""The app in a process of its own, and visitors who ask it over HTTP what its page asks."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What an event came to: done, refused (a queue that is full, a file too large), or failed; and what was told."""

    kind: str
    told: str = ""


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`adaptaug ui` on a free port of the loopback: its address and its process."""
    with (
        tempfile.TemporaryDirectory(prefix="adaptaug-visited-") as folder,
        (Path(folder) / "log").open("w") as log,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "adaptaug", "ui", "--port", "28860", *arguments],
            stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder,
            env={**os.environ, "GRADIO_TEMP_DIR": folder, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"http://[\d.:]+", line):
                    yield found[0], process
                    break
            else:
                raise RuntimeError(f"the app did not start: {Path(log.name).read_text()[-2000:]}")
        finally:
            process.terminate()
            try:
                process.wait(300)  # what it is at is finished first
            except subprocess.TimeoutExpired:
                process.kill()
                raise


class Visitor:
    """One page: `open` it, `upload` an image, ask for another `seed`."""

    def __init__(self, url: str, seconds: float = 60.0):
        self.url, self.seconds, self.session = url, seconds, secrets.token_hex(8)
        self.events: dict[str, dict[str, Any]] = {}
        self.controls: dict[int, dict[str, Any]] = {}

    def open(self) -> Answer:
        """The page, its script's settings, and its first pairs."""
        self._get("/")
        config = json.loads(self._get("/config"))
        self.controls = {c["id"]: c["props"] for c in config["components"]}
        for event in config["dependencies"]:
            for component, kind in event["targets"]:
                name = self.controls.get(component, {}).get("elem_id")
                self.events.setdefault(f"{name} {kind}", event)
        return self._ask("None load")

    def upload(self, name: str, content: bytes) -> Answer:
        mark = secrets.token_hex(16)
        head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="image{Path(name).suffix}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        try:
            paths = self._post("/gradio_api/upload", body, f"multipart/form-data; boundary={mark}")
        except urllib.error.HTTPError as error:
            return Answer("refused", f"upload: {error.code}")
        file = {"path": json.loads(paths)[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        return self._ask("source-image upload", file)

    def seed(self, seed: int) -> Answer:
        return self._ask("seed change", seed=seed)

    def stay(self) -> None:
        """Hold the connection by which the app knows that somebody looks, as an open page does."""
        self._held = urllib.request.urlopen(
            f"{self.url}/gradio_api/heartbeat/{self.session}", timeout=self.seconds
        )
        self._held.readline()

    def leave(self) -> None:
        """Close the page."""
        self._held.close()

    def _ask(self, event: str, *more: Any, seed: int = 0) -> Answer:
        """What every control says as the page is opened, but for the seed and, behind them, `more`."""
        inputs = [self.controls[number] for number in self.events[event]["inputs"]]
        data = [seed if props.get("elem_id") == "seed" else props.get("value") for props in inputs]
        asked = {"data": [*data[: len(data) - len(more)], *more], "fn_index": self.events[event]["id"],
                 "session_hash": self.session}  # fmt: skip
        try:
            self._post("/gradio_api/queue/join", json.dumps(asked).encode(), "application/json")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            return Answer("refused" if error.code in (429, 503) else "failed", f"{error.code} {said[:200]}")
        stream = urllib.request.urlopen(
            f"{self.url}/gradio_api/queue/data?session_hash={self.session}", timeout=self.seconds
        )
        with stream:
            for line in stream:
                if line.startswith(b"data:") and b'"process_completed"' in line:
                    done = json.loads(line[5:])
                    return Answer("done" if done["success"] else "failed", json.dumps(done["output"]))
        return Answer("failed", "the server said no more")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=self.seconds) as answer:
            return answer.read()

    def _post(self, path: str, body: bytes, kind: str) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=self.seconds) as answer:
            return answer.read()
