"""The page inside a notebook: `adaptaug.tune`."""

from __future__ import annotations

import os
import sys
from typing import Any

from PIL import Image

from adaptaug import AdaptAugError, Policy

# Where notebooks are shown; which port theirs is on is not known.
NOTEBOOKS = ("http://localhost:*", "http://127.0.0.1:*", "vscode-webview:")


class Tuning:
    """A page that tunes a policy: `policy` is what it has come to so far, `url` where it is, `close` ends it."""

    def __init__(self, policy: Policy):
        self.policy, self.url = policy, ""
        self._app: Any = None

    def _serve(self, app: Any, port: int, settings: dict[str, Any]) -> None:
        app.launch(
            server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, inline=False, **settings
        )
        self._app, self.url = app, f"http://127.0.0.1:{port}"

    def _hear(self, policy: Policy) -> None:
        self.policy = policy

    def close(self) -> None:
        """Stop serving the page; `policy` stays."""
        if self._app is not None:
            self._app.close(verbose=False)
            self._app = None

    def __repr__(self) -> str:
        return f"Tuning(policy={self.policy.name!r}, url={self.url!r})"


def tune(image: Image.Image, policy: Policy, port: int, height: int) -> Tuning:
    """See `adaptaug.tune`."""
    _leave_the_hub_alone()
    try:
        from adaptaug.ui.app import build_app, free_port, launch_settings
    except ModuleNotFoundError as missing:
        raise AdaptAugError(
            f"tune: needs {missing.name}, which is not installed: pip install 'adaptaug[ui]'."
        ) from None
    tuning = Tuning(policy)
    app = build_app(policy, samples=[("image", image)], heard=tuning._hear)
    tuning._serve(app, free_port(port), launch_settings(embed=NOTEBOOKS))
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and hasattr(shell, "kernel"):
        from IPython.display import IFrame, display

        display(IFrame(tuning.url, width="100%", height=height))
    else:
        print(f"adaptaug is at {tuning.url}")
    return tuning


def _leave_the_hub_alone() -> None:
    """The app, as a program, keeps off the network; a notebook may go on to download what it likes."""
    os.environ.setdefault("HF_HUB_OFFLINE", "0")
