"""Who may open a WebSocket: the layers in front of it, without the rest of the app."""

from __future__ import annotations

from typing import Any

import pytest

from codelab.auth.anonymous import Anonymous
from codelab.auth.local import COOKIE, LocalAuth
from codelab.core import permissions
from codelab.server.credential import Credential
from codelab.server.middleware import Guard

TOKEN = "socket-token"
PATH = "/threads/018f2f5e-0000-7000-8000-000000000000/stream/events"
AUTH = LocalAuth(TOKEN)
OURS = {"origin": "http://127.0.0.1:8000"}
FOREIGN = {"origin": "http://evil.example"}


async def opened(headers: dict[str, str], *, path: str = PATH, auth: Any = AUTH) -> dict[str, Any] | None:
    """The state that the app behind the layers finds; None when the socket was refused."""
    found: list[dict[str, Any]] = []
    sent: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        found.append(scope["state"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(k.encode(), v.encode()) for k, v in {"host": "127.0.0.1:8000", **headers}.items()]
    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw}
    await Guard(Credential(app, auth=auth), hosts={"127.0.0.1"})(scope, receive, send)
    assert bool(found) != bool(sent)
    assert sent in ([], [{"type": "websocket.close", "code": 1008}])
    return found[0] if found else None


BEARER = {"authorization": f"Bearer {TOKEN}"}
SESSION = {"cookie": f"{COOKIE}={AUTH.session}"}


@pytest.mark.parametrize("more", [{}, OURS, FOREIGN])
async def test_a_token_opens_it_from_anywhere(more):
    state = await opened({**BEARER, **more})
    assert state is not None
    assert state["principal"].scopes == permissions.ALL


async def test_a_browser_brings_its_token_as_a_subprotocol():
    state = await opened({"sec-websocket-protocol": f"bearer, {TOKEN}", **FOREIGN})
    assert state is not None
    assert state["subprotocol"] == "bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        OURS,
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"sec-websocket-protocol": "bearer, wrong"},
        {"sec-websocket-protocol": "bearer"},
        {"sec-websocket-protocol": TOKEN},
        {"sec-websocket-protocol": "bearer, wrong", **SESSION, **OURS},
        {"cookie": f"{COOKIE}=wrong", **OURS},
    ],
)
async def test_without_a_valid_credential_it_stays_shut(headers):
    assert await opened(headers) is None


@pytest.mark.parametrize(
    "more", [{}, FOREIGN, {"origin": "null"}, {**OURS, "sec-fetch-site": "cross-site"}, {"origin": "http://[::1"}]
)
async def test_a_cookie_opens_it_for_our_own_pages_alone(more):
    assert await opened({**SESSION, **OURS}) is not None
    assert await opened({**SESSION, **more}) is None


async def test_where_no_credential_is_asked_for_foreign_pages_stay_out():
    assert await opened({}, auth=Anonymous()) is not None
    assert await opened(OURS, auth=Anonymous()) is not None
    assert await opened(FOREIGN, auth=Anonymous()) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
async def test_a_foreign_host_is_refused(host):
    assert await opened({**BEARER, "host": host}) is None


@pytest.mark.parametrize(
    "path",
    ["/", "/ok", "/api/v1/threads", "/threads/x/stream", f"{PATH}/", f"/static{PATH}", "/threads/a/b/stream/events"],
)
async def test_no_other_path_has_one(path):
    assert await opened(BEARER, path=path) is None
