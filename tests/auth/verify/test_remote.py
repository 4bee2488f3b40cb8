"""Keys of a server elsewhere: fetched seldom, kept while it is down, and nothing but public RSA keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from codelab.auth.verify import remote
from codelab.auth.verify.looking import Looking
from codelab.auth.verify.remote import PAUSE_S, KeyDocument, RemoteKeys, fetch_keys
from codelab.auth.verify.tokens import InvalidToken, Verifier
from codelab.core.errors import Unavailable
from tests.support.tokens import ISSUER, Clock, claims, encode, public, rsa_key

URL = f"{ISSUER}/.well-known/jwks.json"


class Server:
    """A JWKS that a test changes, and how often it was asked for."""

    def __init__(self, *kids: str) -> None:
        self.jwks: dict[str, Any] = public(*map(rsa_key, kids))
        self.fresh_s = 300.0
        self.fetches = 0
        self.down = False
        self.held = asyncio.Event()
        self.held.set()

    async def __call__(self, url: str) -> KeyDocument:
        assert url == URL
        self.fetches += 1
        await self.held.wait()
        if self.down:
            raise Unavailable("down")
        return KeyDocument(self.jwks, self.fresh_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server("one")


@pytest.fixture
def keys(server: Server, clock: Clock) -> RemoteKeys:
    return RemoteKeys(URL, fetch=server, clock=clock)


class Alive:
    def revoke(self, session, subjects) -> None:
        raise NotImplementedError

    def is_revoked(self, claims) -> bool:  # noqa: ARG002
        return False


async def test_a_thousand_tokens_with_unknown_kids_cost_one_fetch(keys: RemoteKeys, server: Server, clock) -> None:
    """Attack 32."""
    assert await keys.find("one")
    clock.seconds = PAUSE_S
    verifier = Verifier(keys, revocations=Alive(), issuer=ISSUER, now=clock.unix)
    flood = [
        encode({"alg": "RS256", "typ": "at+jwt", "kid": f"evil-{number}"}, claims(clock.unix()), None) + "AAAA"
        for number in range(1000)
    ]
    before = server.fetches
    told = await asyncio.gather(*(verifier.verify(token, {ISSUER}) for token in flood), return_exceptions=True)
    assert {type(answer) for answer in told} == {InvalidToken}
    assert server.fetches == before + 1
    clock.seconds += PAUSE_S - 1
    assert await keys.find("evil") is None
    assert server.fetches == before + 1
    clock.seconds += 1
    assert await keys.find("evil") is None
    assert server.fetches == before + 2


async def test_a_new_key_is_known_at_the_first_token(keys: RemoteKeys, server: Server, clock: Clock) -> None:
    one = await keys.find("one")
    server.jwks = public(rsa_key("one"), rsa_key("two"))
    clock.seconds = PAUSE_S
    assert await keys.find("two")
    assert await keys.find("one") is one


async def test_all_who_wait_share_one_fetch_and_may_go(keys: RemoteKeys, server: Server) -> None:
    server.held.clear()
    waiting = [asyncio.create_task(keys.find("one")) for _ in range(50)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # the one who began it
    server.held.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(answer.kid == "one" for answer in answers[1:])
    assert server.fetches == 1


async def test_keys_are_fetched_again_when_they_are_too_old(keys: RemoteKeys, server: Server, clock: Clock) -> None:
    server.jwks = public(rsa_key("one"), rsa_key("two"))
    assert await keys.find("two")
    server.jwks = public(rsa_key("one"))
    clock.seconds = 299
    assert await keys.find("two")
    assert server.fetches == 1
    clock.seconds = 300
    assert await keys.find("two") is None
    assert server.fetches == 2


@pytest.mark.parametrize(("told", "kept"), [(0, 30), (60, 60), (10**9, 3600)])
async def test_the_server_may_not_have_its_keys_fetched_always_or_never(keys, server, clock, told, kept) -> None:
    server.fresh_s = told
    assert await keys.find("one")
    clock.seconds = kept - 1
    assert await keys.find("one")
    assert server.fetches == 1
    clock.seconds = kept
    assert await keys.find("one")
    assert server.fetches == 2


async def test_old_keys_stay_while_the_server_is_down(keys: RemoteKeys, server: Server, clock: Clock) -> None:
    one = await keys.find("one")
    server.down = True
    with structlog.testing.capture_logs() as logs:
        for seconds in range(300, 400, 2):
            clock.seconds = seconds
            assert await keys.find("one") is one
        assert server.fetches == 1 + 100 / PAUSE_S
        server.down = False
        server.jwks = public(rsa_key("two"))
        clock.seconds = 410
        assert await keys.find("one") is None
    assert [entry["event"] for entry in logs] == ["jwks_lost", "jwks_back"]


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": 1}, {"keys": [{"kty": "RSA", "kid": "x"}]}], ids=str)
async def test_a_broken_answer_is_as_good_as_none(keys: RemoteKeys, server: Server, clock: Clock, jwks) -> None:
    one = await keys.find("one")
    server.jwks = jwks
    clock.seconds = 300
    assert await keys.find("one") is one


async def test_without_any_key_nobody_is_told_that_their_token_is_wrong(keys: RemoteKeys, server: Server) -> None:
    server.down = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await keys.find("one")
    assert server.fetches == 1


@pytest.mark.filterwarnings("ignore:Key size")
async def test_only_public_rsa_keys_for_signatures_are_taken(keys: RemoteKeys, server: Server) -> None:
    (usual,) = public(rsa_key("one"))["keys"]
    secret = rsa_key("private").as_dict(private=True)
    weak = rsa_key("weak", 1024).as_dict(private=False)
    server.jwks["keys"] = [
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        {**usual, "kid": "enc", "use": "enc"},
        {**usual, "kid": "ps", "alg": "PS256"},
        {**usual, "kid": 1},
        {**usual, "kid": ""},
        {**usual, "kid": "k" * 129},
        {**usual, "kid": "even", "n": "AAAA"},
        {**usual, "kid": "no-base64", "n": "é"},
        weak,
        "one",
        secret,
        {"kty": "RSA", "kid": "plain", "n": usual["n"], "e": usual["e"], "x5u": "https://evil.test"},
    ]
    assert (await keys.find("plain")).kid == "plain"
    private = await keys.find("private")
    assert private is not None
    assert not private.is_private
    assert set(keys._keys) == {"plain", "private"}
    assert set(private.as_dict(private=False)) == {"kty", "use", "alg", "kid", "n", "e"}


@asynccontextmanager
async def answering(raw: bytes, *, then_hang: bool = False) -> AsyncIterator[str]:
    """A server that answers every request with these bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        if then_hang:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"


def http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


async def test_keys_come_over_http() -> None:
    body = json.dumps(public(rsa_key("one"))).encode()
    async with answering(http(body, more="Cache-Control: public, max-age=120\r\n")) as url:
        assert await fetch_keys(url) == KeyDocument(public(rsa_key("one")), 120)
        assert (await RemoteKeys(url).find("one")).kid == "one"


@pytest.mark.parametrize(
    "raw",
    [
        http(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"),
        http(b"{}", "500 Oh"),
        http(b"no json"),
        http(b"[]"),
        http(b"\xff\xfe"),
        http(b" " * (remote.MOST_BYTES + 1)),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["redirect", "500", "text", "list", "binary", "large", "cut off", "no http", "nothing"],
)
async def test_bad_answers_are_no_keys(raw: bytes) -> None:
    async with answering(raw) as url:
        with pytest.raises(Unavailable):
            await fetch_keys(url)


async def test_nobody_waits_for_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.05)
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", then_hang=True) as url:
        with pytest.raises(Unavailable):
            await fetch_keys(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", "ftp://127.0.0.1/", "http://[::1"])
async def test_addresses_that_lead_nowhere(url: str) -> None:
    with pytest.raises(Unavailable):
        await fetch_keys(url)


async def test_who_comes_within_the_pause_hears_the_same(clock: Clock) -> None:
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        raise Unavailable("down")

    looking = Looking(look, pause_s=10, clock=clock)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await looking.again()
    assert looks == 1


async def test_a_clock_that_was_set_back_holds_nobody_up(keys: RemoteKeys, server: Server, clock: Clock) -> None:
    clock.seconds = 1e6
    assert await keys.find("one")
    clock.seconds = 0
    assert await keys.find("two") is None
    assert server.fetches == 2
