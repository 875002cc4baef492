"""What stands before the app, without the app."""

from __future__ import annotations

import pytest

from adaptaug import AdaptAugError

pytest.importorskip("gradio", reason="the page needs gradio: pip install 'adaptaug[ui]'")
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from adaptaug.ui.shield import Shield, frame_ancestors


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.headers.get("x-forwarded-host", "nobody"))


def client(**settings) -> TestClient:
    routes = [Route("/upload", echo, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Shield, **settings)])
    return TestClient(app, base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 200), ("http://127.0.0.1:7860", 200), ("https://evil.example", 403), ("null", 403),
     ("http://127.0.0.1:9999", 403), ("http://evil.example/http://127.0.0.1:7860", 403), ("", 403)],
)  # fmt: skip
def test_only_this_site_posts(origin, status) -> None:
    headers = {} if origin is None else {"Origin": origin}
    assert client().post("/upload", headers=headers).status_code == status
    assert client().get("/upload", headers=headers).status_code == 200


def test_frames_are_for_this_site_and_for_whom_the_host_names() -> None:
    header = client().get("/upload").headers["content-security-policy"]
    assert header == "frame-ancestors 'self'"
    assert frame_ancestors(["https://a.example:8443"]) == "frame-ancestors 'self' https://a.example:8443"


@pytest.mark.parametrize(
    "origin", ["*", "a.example", "https://a.example; script-src *", "https://a.example/b", ""]
)
def test_what_is_no_origin_embeds_nothing(origin) -> None:
    with pytest.raises(AdaptAugError, match="embed: expected an origin"):
        frame_ancestors([origin])


def test_a_host_that_a_header_made_up_is_not_heard_but_behind_a_proxy() -> None:
    forged = {"X-Forwarded-Host": "evil.example"}
    assert client().get("/upload", headers=forged).text == "nobody"
    proxied = client(named=True)
    assert proxied.get("/upload", headers={"X-Forwarded-Host": "a.example"}).text == "a.example"
    behind = {"X-Forwarded-Host": "a.example", "Origin": "https://a.example"}
    assert proxied.post("/upload", headers=behind).status_code == 200
