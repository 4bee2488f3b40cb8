"""Hostile and broken requests: each is refused in OpenAI's envelope, and never reaches a model."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import orjson
import pytest

from codelab.auth.anonymous import Anonymous
from codelab.auth.local import COOKIE, LOCAL, LocalAuth
from codelab.core import permissions
from codelab.core.types import Principal
from codelab.server.openai_api.exchange import MAX_BODY
from tests.llm.endpoint.doubles import TOKEN, Endpoint, asking, endpoint

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEEP = b'{"model":"small","messages":[{"role":"user","content":"hi"}],"metadata":' + b'{"a":' * 300 + b"1" + b"}" * 301


def refused(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, error["code"]


async def test_nobody_without_a_credential(served: Endpoint) -> None:
    for method, path in (
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1"),
    ):
        answer = await served.http.request(method, path)
        assert refused(answer) == (401, "missing_api_key")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "sent",
    [
        "Bearer sk-cl-" + "A" * 43,
        "Bearer sk-cl-short",
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xff\xfe",
        "Bearer sk-cl-" + "A" * 100_00,
    ],
    ids=["wrong", "short", "token", "bare", "empty", "basic", "schemeless", "bytes", "long"],
)
async def test_a_wrong_credential(served: Endpoint, sent: str) -> None:
    answer = await raw_request(served, "x-a: b", credential=sent, method="GET", path="/v1/models")
    assert refused(answer) == (401, "invalid_api_key")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_bearer_token_of_the_server_will_do_and_a_cookie_will_not(served: Endpoint) -> None:
    assert (await served.http.get("/v1/models", headers={"authorization": f"bearer {TOKEN}"})).status_code == 200
    session = f"{COOKIE}={LocalAuth(TOKEN).session}"
    answer = await served.http.get("/v1/models", headers={"cookie": session, "sec-fetch-site": "same-origin"})
    assert refused(answer) == (401, "missing_api_key")


async def test_a_revoked_key_is_dead_at_once(served: Endpoint) -> None:
    assert (await served.post(asking())).status_code == 200
    await served.keys.revoke(LOCAL, served.key.id)
    assert refused(await served.post(asking())) == (401, "invalid_api_key")


async def test_a_key_without_the_permission(served: Endpoint) -> None:
    key = await served.make_key(scopes=["usage:read"])
    for path in ("/v1/models", "/v1/nothing"):
        answer = await served.http.get(path, headers={"authorization": f"Bearer {key.key}"})
        assert refused(answer) == (403, "insufficient_scope")


class Bounded(LocalAuth):
    """Whoever made a key holds by now what `held` says."""

    held = permissions.ALL

    async def lives(self, token: str) -> bool:
        return bool(token)

    async def bounded(self, principal: Principal) -> Principal:
        return replace(principal, scopes=principal.scopes & self.held)


async def test_a_key_may_do_no_more_than_its_owner_still_may() -> None:
    auth = Bounded(TOKEN)
    async with endpoint(auth) as served:
        assert (await served.post(asking())).status_code == 200
        auth.held = frozenset()
        answer = await served.post(asking())
        assert refused(answer) == (403, "insufficient_scope")
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="llm:invoke"'
        assert len(served.gateway.asked) == 1


async def test_a_key_for_some_models(served: Endpoint) -> None:
    key = await served.make_key(models=["small"])
    told = {"authorization": f"Bearer {key.key}"}
    assert (await served.post(asking(), **told)).status_code == 200
    assert refused(await served.post(asking() | {"model": "vendor/big"}, **told)) == (404, "model_not_found")
    assert refused(await served.post({"model": "other", "input": "a"}, "/v1/embeddings", **told)) == (
        404,
        "model_not_found",
    )
    assert [m["id"] for m in (await served.http.get("/v1/models", headers=told)).json()["data"]] == ["small"]
    assert refused(await served.http.get("/v1/models/vendor/big", headers=told)) == (404, "model_not_found")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::", "127.0.0.1@evil.example"])
async def test_a_foreign_host_is_refused_first(served: Endpoint, host: str) -> None:
    answer = await served.http.get("/v1/models", headers={"host": host, "authorization": f"Bearer {served.key.key}"})
    assert refused(answer) == (422, "bad_host")


@pytest.mark.parametrize("path", ["/v1/", "/v1/chat", "/v1/chat/completions/", "/v1/files", "/v1/models/", "/v1/%00"])
async def test_other_addresses(served: Endpoint, path: str) -> None:
    answer = await served.http.get(path, headers={"authorization": f"Bearer {served.key.key}"})
    assert refused(answer) == ((400, "bad_path") if "%00" in path else (404, "unknown_url"))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/chat/completions"), ("POST", "/v1/models"), ("HEAD", "/v1/models"), ("DELETE", "/v1/models/small")],
)
async def test_other_methods(served: Endpoint, method: str, path: str) -> None:
    answer = await served.http.request(method, path, headers={"authorization": f"Bearer {served.key.key}"})
    assert answer.status_code == 405
    assert answer.headers["allow"] in {"GET", "POST"}


@pytest.mark.parametrize("path", ["/", "/v10/models", "/v1x", "/V1/models"])
async def test_what_is_not_ours_is_the_applications(served: Endpoint, path: str) -> None:
    assert (await served.http.get(path)).text == "elsewhere"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"\xff\xfe", None),
        (b'{"model":"m","model2":"\\ud800"}', None),
        (b"[" * 100_000, None),
        (DEEP, None),
        (asking() | {"model": "a\0b"}, "model"),
        (asking() | {"model": "a\r\nx-evil: 1"}, "model"),
        (asking() | {"model": ["small"]}, "model"),
        (asking() | {"model": "x" * 300}, "model"),
        ({"messages": []}, "model"),
        ({"model": "small"}, "messages"),
        (asking() | {"messages": []}, "messages"),
        (asking() | {"messages": ["hi"]}, "messages[0]"),
        (asking() | {"messages": [{"role": ["user"], "content": "a"}]}, "messages[0].role"),
        (asking() | {"messages": [{"role": "user"}]}, "messages[0].content"),
        (asking() | {"messages": [{"role": "user", "content": [1]}]}, "messages[0].content"),
        (asking() | {"messages": [{"role": "assistant", "content": "a", "tool_calls": [1]}]}, "messages[0].tool_calls"),
        (asking(n=0), "n"),
        (asking(n=10_000), "n"),
        (asking(n=True), "n"),
        (asking(max_tokens="7"), "max_tokens"),
        (asking(temperature="hot"), "temperature"),
        (asking(stream="yes"), "stream"),
        (asking(stream_options=[1]), "stream_options"),
        (asking(tools=[{}]), "tools[0]"),
        (asking(tools=[{"type": "function", "function": {}}]), "tools[0].function"),
        (asking(tools=[{"type": "function", "function": {"name": "f"}}] * 2_000), "tools"),
    ],
    ids=[str(number) for number in range(29)],
)
async def test_a_body_that_is_no_request(served: Endpoint, body, param: str | None) -> None:
    answer = await served.post(body)
    assert refused(answer)[0] == 400
    assert answer.json()["error"]["param"] == param
    assert not served.gateway.asked


@pytest.mark.parametrize(
    "given",
    ["", [], [""], [[]], ["a", 1], [1, "a"], [[1], "a"], [True], [[1.5]], {"a": 1}, None, ["a"] * 3_000],
    ids=[str(number) for number in range(12)],
)
async def test_an_input_that_is_none(served: Endpoint, given) -> None:
    answer = await served.post({"model": "small", "input": given}, "/v1/embeddings")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


@pytest.mark.parametrize(
    ("more", "param"), [({"encoding_format": ["float"]}, "encoding_format"), ({"dimensions": 0}, "dimensions")]
)
async def test_an_embedding_of_a_strange_form(served: Endpoint, more, param) -> None:
    answer = await served.post({"model": "small", "input": "a", **more}, "/v1/embeddings")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("model", ["codelab/coder", "codelab/"])
async def test_agents_are_no_models_yet(served: Endpoint, model: str) -> None:
    assert refused(await served.post(asking() | {"model": model})) == (404, "model_not_found")
    assert not served.gateway.asked


async def test_nulls_and_unknown_fields_go_on_as_they_came(served: Endpoint) -> None:
    body = asking(stream=None, tools=None, n=None, temperature=None, logit_bias={"1": 2}, vendor={"deep": [1]})
    assert (await served.post(body)).status_code == 200
    assert served.gateway.asked[0].body == body
    assert orjson.loads(served.gateway.asked[0].raw) == body


async def test_a_body_that_says_it_is_too_big_is_not_read(served: Endpoint) -> None:
    assert refused(await raw_request(served, f"content-length: {MAX_BODY + 1}")) == (413, "too_large")


async def test_a_body_that_grows_too_big_is_cut_off(served: Endpoint) -> None:
    async def endless():
        for _ in range(MAX_BODY // 2**20 + 2):
            yield b"x" * 2**20

    answer = await served.http.post(
        "/v1/chat/completions", content=endless(), headers={"authorization": f"Bearer {served.key.key}"}
    )
    assert refused(answer) == (413, "too_large")


async def test_nobodys_body_is_not_read(served: Endpoint) -> None:
    answer = await raw_request(served, "content-length: 1000", credential="Bearer sk-cl-nobody")
    assert refused(answer) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "sent", ["a b", "<script>", "x" * 500, "\xe9", "a\tb"], ids=["space", "tag", "long", "byte", "tab"]
)
async def test_an_id_that_could_be_an_attack_is_not_said_again(served: Endpoint, sent: str) -> None:
    answer = await raw_request(served, f"x-correlation-id: {sent}\r\nx-request-id: {sent}", path="/v1/x", method="GET")
    assert refused(answer) == (404, "unknown_url")
    assert sent not in answer.headers.values()


async def test_a_model_cannot_add_headers_to_the_answer(served: Endpoint) -> None:
    for model in ("a\r\nx-evil: 1", "a\nx-evil: 1"):
        answer = await served.post(asking() | {"model": model})
        assert refused(answer)[0] == 400
        assert "x-evil" not in answer.headers
    named = await served.post(asking() | {"model": "модель"})
    assert (named.status_code, named.headers["x-codelab-model"]) == (200, "??????")


async def test_a_well_formed_correlation_id_is_kept_and_the_request_id_is_ours(served: Endpoint) -> None:
    answer = await served.http.get("/v1/models", headers={"x-correlation-id": "abc-1", "x-request-id": "mine"})
    assert answer.headers["x-correlation-id"] == "abc-1"
    assert answer.headers["x-request-id"] != "mine"


async def test_answers_carry_the_security_headers(served: Endpoint) -> None:
    for answer in (
        await served.post(asking()),
        await served.http.get("/v1/models"),
        await served.post(asking(stream=True)),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("browser", [{"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"cookie": "a=b"}])
async def test_anonymous_mode_lets_programs_in_and_no_page(browser: dict[str, str]) -> None:
    async with endpoint(Anonymous()) as served:
        assert (await served.http.post("/v1/chat/completions", json=asking())).status_code == 200
        answer = await served.http.post("/v1/chat/completions", json=asking(), headers=browser)
        assert refused(answer) == (401, "missing_api_key")


async def test_a_socket_is_not_served(served: Endpoint) -> None:
    answer = await raw_request(served, "upgrade: websocket\r\nconnection: upgrade", method="GET", path="/v1/models")
    assert answer.status_code in {200, 400, 403, 426}
    assert not served.gateway.asked


async def test_somebody_elses_key_is_theirs(served: Endpoint) -> None:
    bob = Principal("bob", "acme", scopes=permissions.ALL)
    key = await served.make_key(bob)
    await served.post(asking(), authorization=f"Bearer {key.key}")
    caller = served.gateway.asked[0].caller
    assert (caller.user_id, caller.tenant_id, caller.key_id) == ("bob", "acme", key.id)


async def raw_request(
    served: Endpoint, headers: str, *, credential: str = "", method: str = "POST", path: str = "/v1/chat/completions"
) -> httpx.Response:
    """Send a head alone, and read the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.http.base_url.port)
    told = f"authorization: {credential or 'Bearer ' + served.key.key}\r\n{headers}"
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{told}\r\n\r\n".encode("latin-1"))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    lines = head.decode().split("\r\n")
    found = dict(line.split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(found.get("content-length", 0)))
    writer.close()
    return httpx.Response(int(lines[0].split()[1]), headers=found, content=body)
