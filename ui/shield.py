"""What stands before the app: no form of another site, no frame of another site, no name that a header made up."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adaptaug import AdaptAugError

_READS = ("GET", "HEAD", "OPTIONS")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:(\d+|\*))?|vscode-webview:")
_NAMES = (b"x-forwarded-host", b"x-gradio-server")  # by which Gradio would call itself


def frame_ancestors(embed: Sequence[str] = ()) -> str:
    """The policy header's value. Raises: AdaptAugError: what is no origin."""
    for origin in embed:
        if not _ORIGIN.fullmatch(origin):
            raise AdaptAugError(
                f"embed: expected an origin such as https://wiki.example, got {origin!r:.60}."
            )
    return " ".join(("frame-ancestors 'self'", *embed))


class Shield:
    """ASGI middleware.

    A browser says from which site a form or script posts (`Origin`), and lets any site post a form: what is posted from
    elsewhere is refused. Frames are for this site, and for `embed`. Where `named` is false, as without a proxy, headers
    that a proxy would set to name the host are dropped.
    """

    def __init__(self, app: ASGIApp, embed: Sequence[str] = (), named: bool = False):
        self.app, self.named, self.policy = app, named, frame_ancestors(embed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not self.named:
            scope = scope | {"headers": [(k, v) for k, v in scope["headers"] if k not in _NAMES]}
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        own = {headers.get("host"), headers.get("x-forwarded-host")}
        if scope["method"] not in _READS and origin is not None and origin.partition("://")[2] not in own:
            refusal = PlainTextResponse("This page takes nothing that another site posts.", 403)
            await refusal(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Content-Security-Policy", self.policy)
            await send(message)

        await self.app(scope, receive, answer)
