"""The app: `build_app` makes it, `main` serves it on this machine.

>>> from adaptaug.ui.app import main
>>> main()  # doctest: +SKIP
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adaptaug import AdaptAugError, Policy
from adaptaug.data import range_of
from adaptaug.data.depth import parse
from adaptaug.data.files import find_images, printable
from adaptaug.data.sources import Files
from adaptaug.policy import preset_names


def _prepare_environment() -> None:
    """What Gradio reads when it is imported: no telemetry, no hub, and a folder of our own for its files
    (its default in /tmp is shared, and whoever knows a file's hash could ask for it)."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if "GRADIO_TEMP_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="adaptaug-ui-")
        os.environ["GRADIO_TEMP_DIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


_prepare_environment()

import gradio as gr  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: E402

from adaptaug.ui import dataset_tab, guide, layout, likeness, logic, templates, training, tune  # noqa: E402
from adaptaug.ui.desk import MOST_PAGES, give_memory_back  # noqa: E402
from adaptaug.ui.shield import Shield, frame_ancestors  # noqa: E402
from adaptaug.ui.style import CSS  # noqa: E402

LOOPBACK = ("127.0.0.1", "localhost")
PORTS_TO_TRY = 50


def build_app(
    policy: str | Policy | None = None, images: str | None = None, runs: str | None = None,
    checkpoint: str | None = None, normalise: str | None = None, range: str = "auto", trust_pickle: bool = False,
    samples: list[tuple[str, Any]] | None = None, heard: Callable[[Policy], None] | None = None,
) -> gr.Blocks:  # fmt: skip
    """The page as a `gr.Blocks`, not launched.

    Args:
        policy: preset, policy file or policy shown second (default `natural`), next to `simclr`.
        images: a file or folder whose images stand in the samples' place.
        runs: the folder whose runs and searches are offered; None: the demo's alone.
        checkpoint, normalise, trust_pickle: an encoder by whose features pairs are compared too, as `load_backbone`
        takes them.
        range: by which images of more than 8 bits are read: auto, LOW,HIGH, or data (of all of `images`).
        samples: (name, PIL image) in the samples' place. heard: is told the right policy as a visitor changes it.
    Raises: AdaptAugError: a policy, image or encoder that cannot be read, a folder of runs that is none.
    """
    if runs is not None and not Path(runs).is_dir():
        raise AdaptAugError(f"runs: expected a folder that exists, got {printable(runs)}.")
    policies = {name: Policy.load(name) for name in preset_names()}
    second = policy or "natural"
    if isinstance(second, Policy) or second not in policies:
        loaded, where = (
            (second, "yours") if isinstance(second, Policy) else (Policy.load(second), Path(second).name)
        )
        second = loaded.name if policies.get(loaded.name, loaded) == loaded else f"{loaded.name} ({where})"
        policies[second] = loaded.edit(name=second[:100]) if second != loaded.name else loaded
    if images is None and parse(range) is None:
        raise AdaptAugError("range: expected auto or LOW,HIGH without --images, got data.")
    chosen = range_of(Files(find_images([images] if images else [])), range)
    samples = samples or (logic.samples_from(images, chosen) if images else logic.sample_images())
    backbone = likeness.Backbone(checkpoint, normalise, trust_pickle) if checkpoint else None
    with gr.Blocks(title="adaptaug", analytics_enabled=False, delete_cache=(600, 3600)) as app:
        gr.HTML(templates.HEADER, elem_id="top", js_on_load=templates.HEADER_JS, **layout.NO_SKIN)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Tune", id="tune") as first:
                door = tune.build(policies, ("simclr", second), samples, backbone, chosen, heard)
            with gr.Tab("Dataset", id="dataset") as whole:
                folder = images if images and Path(images).is_dir() else None
                dataset_tab.build(policies, ("simclr", second), folder, door, tabs, chosen, backbone)
            with gr.Tab("Train & search", id="training") as watched:
                pass
            with gr.Tab("How it works", id="guide") as last:
                gr.HTML(guide.html(), elem_id="guide", **layout.NO_SKIN)
            with watched:
                training.build(Path(runs) if runs else None, door, tabs, watched, [first, whole, last])
    return app.queue(default_concurrency_limit=2, max_size=32)


def theme() -> gr.themes.Base:
    """System fonts (nothing to fetch), and help text and buttons that can be read: the default's fail contrast."""
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.themes.Default(primary_hue="indigo", neutral_hue="slate", **fonts).set(
        block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600", button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600", button_primary_background_fill_hover_dark="*primary_700",
    )  # fmt: skip


def launch_settings(auth: tuple[str, str] | None = None, embed: Sequence[str] = ()) -> dict[str, Any]:
    """How the app may be served: to this machine, sharing and keeping nothing; with `auth`, to who can log in.
    `embed` has the origins whose pages may show it in a frame.

    Gradio answers any `Host:` header, so that a hostile page could reach it by DNS rebinding: the middleware
    does not. Behind a log-in any name is answered, since a cookie of another name is worth nothing.
    """
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["*"] if auth else list(LOOPBACK))
    shield = Middleware(Shield, embed=embed, named=auth is not None)
    closed = {"docs_url": None, "redoc_url": None, "openapi_url": None}
    return {
        "share": False, "inbrowser": False, "quiet": True, "show_error": False, "max_file_size": "10mb",
        "allowed_paths": [], "run_history": False, "footer_links": [], "enable_monitoring": False,
        "mcp_server": False, "ssr_mode": False, "pwa": False, "strict_cors": True,
        "state_session_capacity": MOST_PAGES,
        "app_kwargs": {"middleware": [hosts, shield], **closed}, "theme": theme(), "css": CSS, "auth": auth,
    }  # fmt: skip


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """The first free port from `wanted` on. Raises: AdaptAugError: none of the next 50 is."""
    if not 1 <= wanted <= 65535:
        raise AdaptAugError(f"port: expected a number from 1 to 65535, got {wanted}.")
    for port in range(wanted, min(wanted + PORTS_TO_TRY, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise AdaptAugError(f"port: none of {PORTS_TO_TRY} ports from {wanted} on is free; name another.")


def log_in(text: str | None) -> tuple[str, str] | None:
    """`USER:PASSWORD`. Raises: AdaptAugError: anything else, or a password of fewer than 8 characters."""
    if text is None:
        return None
    user, _, password = text.partition(":")
    if not user or len(password) < 8:
        raise AdaptAugError("auth: expected USER:PASSWORD with a password of at least 8 characters.")
    return user, password


def _end_tidily() -> None:
    """A terminal that is closed and a system that stops end the app as Ctrl+C does, so that nothing of it stays in the
    temporary folder: by themselves these signals end a process without its clean-up."""

    def end(number: int, _: Any) -> None:
        for other in signals:
            signal.signal(other, signal.SIG_IGN)  # once is enough
        sys.exit(128 + number)

    signals = [s for name in ("SIGTERM", "SIGHUP") if (s := getattr(signal, name, None)) is not None]
    for number in signals:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup asks to be left running
            signal.signal(number, end)


def main(
    policy: str | None = None, images: str | None = None, port: int = 7860, host: str = "127.0.0.1",
    auth: str | None = None, runs: str | None = None, checkpoint: str | None = None,
    normalise: str | None = None, range: str = "auto", embed: Sequence[str] = (),
    trust_pickle: bool = False,
) -> None:  # fmt: skip
    """Serve the app until interrupted.

    Args:
        policy, images, checkpoint, normalise, range, trust_pickle: as `build_app`; runs too, by default ./runs where
        there is such a folder.
        port: where to listen, or the next free one; host: this machine's loopback, or with `auth`,
        USER:PASSWORD, any other address of it.
        embed: origins such as https://wiki.example whose pages may show the app in a frame.
    Raises: AdaptAugError: another host without a log-in, or a policy or image that cannot be read.
    """
    account = log_in(auth)
    frame_ancestors(embed)
    if host not in LOOPBACK and account is None:
        raise AdaptAugError(
            f"host: expected 127.0.0.1, got {host!r}; other machines are let in with --auth USER:PASSWORD only."
        )
    _end_tidily()
    give_memory_back()
    host = "127.0.0.1" if host in LOOPBACK else host
    found = free_port(port, host)
    if found != port:
        print(f"Port {port} is busy: using {found} instead.")
    app = build_app(
        policy,
        images,
        runs or ("runs" if Path("runs").is_dir() else None),
        checkpoint,
        normalise,
        range,
        trust_pickle,
    )
    app.launch(
        server_name=host, server_port=found, prevent_thread_lock=True, **launch_settings(account, embed)
    )
    print(f"adaptaug is at http://{host}:{found} (Ctrl+C stops it)", flush=True)
    try:
        app.block_thread()
    finally:
        app.close(verbose=False)


if __name__ == "__main__":
    main()
