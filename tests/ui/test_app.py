"""The app as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("gradio", reason="the page needs gradio: pip install 'adaptaug[ui]'")


def test_a_signal_ends_the_app_and_leaves_nothing_in_the_temporary_folder(tmp_path) -> None:
    code = "from adaptaug.ui.app import main; main(port=19860)"
    asked = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=asked | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True,
        cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout is not None
    assert any("adaptaug is at" in line for line in process.stdout)
    assert list(tmp_path.glob("adaptaug-ui-*"))
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("adaptaug-*"))


def test_a_closed_terminal_is_such_a_signal_but_where_it_is_to_be_ignored(monkeypatch) -> None:
    from adaptaug.ui import app

    heard = {}
    monkeypatch.setattr(signal, "signal", heard.setdefault)
    for before, expected in (
        (signal.SIG_DFL, {signal.SIGTERM, signal.SIGHUP}),
        (signal.SIG_IGN, {signal.SIGTERM}),
    ):
        handlers = {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: before}
        monkeypatch.setattr(signal, "getsignal", handlers.get)
        heard.clear()
        app._end_tidily()
        assert set(heard) == expected
    with pytest.raises(SystemExit):
        heard[signal.SIGTERM](signal.SIGTERM, None)
