"""The door of oauth mode, with doubles behind its seams: who is let in, and what whoever is not is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from sse_starlette import EventSourceResponse
from starlette.responses import Response, StreamingResponse

from codelab.auth.door import Checks, OAuthAuth
from codelab.auth.verify.tokens import InvalidToken
from codelab.core.permissions import ALL
from codelab.core.settings import AuthSettings, Settings
from codelab.core.types import Principal
from codelab.server import errors, lasting
from codelab.server.deps import ThreadReader, ThreadWriter
from codelab.server.layers import surround

ISSUER = "http://127.0.0.1:8000"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Tokens:
    """`good` is ann's for this service, `mcp` for `/mcp` alone, `narrow` only reads threads, `service` a client's."""

    async def verify(self, token: str, audiences: Collection[str]) -> dict[str, Any]:
        audience, scope, client = {
            "good": (ISSUER, "threads:read threads:write account:read unknown", "web"),
            "mcp": (f"{ISSUER}/mcp", "threads:read threads:write", "web"),
            "narrow": (ISSUER, "threads:read", "web"),
            "service": (ISSUER, "threads:read users:admin", "ann"),
        }.get(token, ("", "", ""))
        if audience not in audiences:
            raise InvalidToken("no")
        return {"sub": "ann", "client_id": client, "tid": "t1", "scope": scope}

    def claims_of(self, token: str) -> dict[str, Any]:
        return {"sub": "ann", "client_id": "web", "tid": "t1", "scope": "threads:read", "jti": token}


class Revoked:
    """The `Revocations` of a set of tokens."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()

    def revoke(self, session: Any, subjects: Collection[str]) -> None:
        raise NotImplementedError

    def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        return claims["jti"] in self.tokens


@dataclass
class Session:
    id: str = "s1"
    user_id: str = "ann"
    tenant_id: str = "t1"


class Sessions:
    """One session, until it ends."""

    def __init__(self) -> None:
        self.ended = False

    async def verify(self, token: str) -> Session | None:
        return Session() if token == "cookie" and not self.ended else None


class Roles:
    """Ann may do everything but administer."""

    async def of_user(self, user_id: str, tenant_id: str) -> frozenset[str]:
        assert (user_id, tenant_id) == ("ann", "t1")
        return frozenset(p for p in ALL if not p.endswith(":admin"))

    def read(self, session: Any, user_id: str) -> frozenset[str]:
        raise NotImplementedError


router = APIRouter()


@router.get("/api/v1/who")
@router.get("/mcp")
async def who(request: Request, principal: ThreadReader) -> dict[str, Any]:
    internal = [name for name in request.headers if name.startswith(("x-internal", "x-codelab"))]
    return {"user": principal.user_id, "scopes": sorted(principal.scopes), "internal": internal}


@router.post("/api/v1/change")
async def change(principal: ThreadWriter) -> str:
    return principal.user_id


@router.get("/api/v1/stream")
async def stream(request: Request, principal: ThreadReader) -> Response:
    """Whoever reads this is signed out in the middle."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"before "
        request.app.state.revoked.tokens.add("good")
        yield f"secret of {principal.user_id}".encode()

    kind = EventSourceResponse if "sse" in request.query_params else StreamingResponse
    return kind(chunks())


@router.get("/api/v1/slow")
async def slow(request: Request, principal: ThreadReader) -> str:
    request.app.state.revoked.tokens.add("good")
    return f"secret of {principal.user_id}"


@router.websocket("/threads/t/stream/events")
async def socket(socket: WebSocket) -> None:
    """Whoever reads this loses the token and the session in the middle."""
    await socket.accept()
    await socket.send_text("before")
    socket.app.state.revoked.tokens.add("good")
    socket.app.state.sessions.ended = True
    await socket.send_text(f"secret of {socket.state.principal.user_id}")


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    errors.install(app)
    app.include_router(router)
    auth = app.state.auth = OAuthAuth(ISSUER)
    app.state.revoked = revoked = Revoked()
    app.state.sessions = sessions = Sessions()
    auth.open(Checks(tokens=Tokens(), sessions=sessions, permissions=Roles(), revocations=revoked))
    surround(app, Settings(auth=AuthSettings(mode="oauth"), _env_file=None), auth, None)
    return app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_a_token_may_do_what_it_was_given_and_its_person_still_holds(http: httpx.AsyncClient) -> None:
    told = (await http.get("/api/v1/who", headers=bearer("good"))).json()
    assert told == {"user": "ann", "scopes": ["threads:read", "threads:write"], "internal": []}


async def test_a_client_that_acts_for_itself_has_its_scopes(http: httpx.AsyncClient) -> None:
    told = (await http.get("/api/v1/who", headers=bearer("service"))).json()
    assert told["scopes"] == ["threads:read", "users:admin"]


async def test_a_session_may_do_what_its_person_may(http: httpx.AsyncClient) -> None:
    told = (await http.get("/api/v1/who", headers={"cookie": "sid=cookie"})).json()
    assert set(told["scopes"]) == {p for p in ALL if not p.endswith(":admin")}


async def test_a_key_may_do_what_it_was_given_and_its_person_still_holds(app: FastAPI) -> None:
    made = Principal("ann", "t1", client_id="key-1", scopes=frozenset({"llm:invoke", "users:admin"}))
    held = await app.state.auth.bounded(made)
    assert (held.user_id, held.client_id, held.scopes) == ("ann", "key-1", {"llm:invoke"})


async def test_whoever_shows_nothing_is_told_where_to_get_a_token(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/who")
    assert answer.status_code == 401
    said = answer.headers["www-authenticate"]
    assert said == f'Bearer realm="codelab", resource_metadata="{ISSUER}/.well-known/oauth-protected-resource"'


async def test_a_bad_token_is_called_so(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/who", headers=bearer("forged"))
    assert (answer.status_code, 'error="invalid_token"' in answer.headers["www-authenticate"]) == (401, True)


async def test_mcp_clients_are_shown_the_way(http: httpx.AsyncClient) -> None:
    answer = await http.get("/mcp")
    assert (
        f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/mcp"' in answer.headers["www-authenticate"]
    )
    assert (await http.get("/mcp", headers=bearer("mcp"))).status_code == 200


async def test_a_token_for_one_service_opens_no_other(http: httpx.AsyncClient) -> None:  # attack 33
    assert (await http.get("/api/v1/who", headers=bearer("mcp"))).status_code == 401


async def test_a_token_without_the_scope_is_refused_in_words_of_the_rfc(http: httpx.AsyncClient) -> None:  # attack 31
    answer = await http.post("/api/v1/change", headers=bearer("narrow"))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="threads:write"'


async def test_a_token_in_the_address_is_refused(http: httpx.AsyncClient) -> None:  # attack 30
    answer = await http.get("/api/v1/who?access_token=good")
    assert answer.status_code == 400
    assert "good" not in answer.text


async def test_a_token_in_the_body_is_refused(http: httpx.AsyncClient) -> None:  # attack 30
    answer = await http.post("/api/v1/change", content="access_token=good", headers=FORM)
    assert answer.status_code == 400


@pytest.mark.parametrize("name", ["X-Internal-Auth", "X-Internal-User", "X-CodeLab-User", "x-codelab-scopes"])
async def test_headers_of_services_are_not_taken_from_outside(http: httpx.AsyncClient, name: str) -> None:  # attack 33
    told = (await http.get("/api/v1/who", headers={**bearer("good"), name: "admin"})).json()
    assert told["internal"] == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site", "origin": ISSUER}],
    ids=["no-origin", "foreign", "opaque", "cross-site"],
)
async def test_a_cookie_changes_nothing_for_a_foreign_page(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await http.post("/api/v1/change", headers={"cookie": "sid=cookie", **headers})
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_origin")


async def test_a_cookie_changes_something_for_our_own_page(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/v1/change", headers={"cookie": "sid=cookie", "origin": ISSUER})
    assert answer.status_code == 200


async def test_a_bad_token_is_not_made_good_by_a_cookie(http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/who", headers={**bearer("forged"), "cookie": "sid=cookie"})
    assert answer.status_code == 401


async def test_a_browser_is_led_to_sign_in_and_back(http: httpx.AsyncClient) -> None:
    answer = await http.get("/t/one?x=1&y=//evil", headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["cache-control"]) == (303, "no-store")
    assert answer.headers["location"] == "/login?next=%2Ft%2Fone%3Fx%3D1%26y%3D%2F%2Fevil"


@pytest.mark.parametrize("path", ["/oauthx", "/oauth", "/.well-knownx", "/oauth/../api/v1/who", "/account", "/device"])
async def test_what_is_public_ends_where_it_ends(http: httpx.AsyncClient, path: str) -> None:
    request = http.build_request("GET", ISSUER)
    request.url = httpx.URL(ISSUER).copy_with(raw_path=path.encode())
    assert (await http.send(request)).status_code == 401


async def test_before_it_is_open_the_door_says_so() -> None:
    closed = FastAPI()
    errors.install(closed)
    closed.include_router(router)
    surround(closed, Settings(auth=AuthSettings(mode="oauth"), _env_file=None), OAuthAuth(ISSUER), None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(closed), base_url=ISSUER) as client:
        assert (await client.get("/api/v1/who", headers=bearer("good"))).status_code == 503


@pytest.mark.parametrize("query", ["", "?sse"])
async def test_a_stream_ends_for_who_is_signed_out(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(lasting, "LOOK_S", 0.0)
    answer = await http.get(f"/api/v1/stream{query}", headers=bearer("good"))
    assert (answer.status_code, "before" in answer.text, "secret" in answer.text) == (200, True, False)


async def test_an_answer_that_comes_too_late_is_refused(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting, "LOOK_S", 0.0)
    answer = await http.get("/api/v1/slow", headers=bearer("good"))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def spoken(app: FastAPI, headers: dict[str, str]) -> list[tuple[str, Any]]:
    """What a server sends over a socket: kinds, and texts or close codes."""
    sent: list[tuple[str, Any]] = []
    scope = {
        "type": "websocket",
        "path": "/threads/t/stream/events",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": ISSUER[7:], **headers}.items()],
        "subprotocols": [],
    }

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append((message["type"], message.get("text", message.get("code"))))

    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    "headers", [bearer("good"), {"cookie": "sid=cookie", "origin": ISSUER}], ids=["a token", "a session"]
)
async def test_a_socket_ends_for_who_is_signed_out(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    assert [kind for kind, _ in await spoken(app, headers)][:2] == ["websocket.accept", "websocket.send"]
    app.state.revoked.tokens.clear()
    app.state.sessions.ended = False
    monkeypatch.setattr(lasting, "LOOK_S", 0.0)
    said = await spoken(app, headers)
    assert said == [("websocket.accept", None), ("websocket.send", "before"), ("websocket.close", 1008)]
