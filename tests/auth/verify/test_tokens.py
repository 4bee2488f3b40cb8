"""An access token opens the door only if everything about it is right."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from codelab.auth.verify.jose import public_key
from codelab.auth.verify.tokens import MOST_BYTES, REMEMBERED, SKEW_S, InvalidToken, Verifier
from tests.support.tokens import ISSUER, Clock, claims, encode, part, public, rsa_key, without

HEADER = {"alg": "RS256", "typ": "at+jwt", "kid": "one"}
OURS = frozenset({ISSUER})


class Keys:
    """Some keys in memory."""

    def __init__(self, *kids: str) -> None:
        self.keys = {kid: public_key(public(rsa_key(kid))["keys"][0]) for kid in kids}

    async def find(self, kid: str) -> Any | None:
        return self.keys.get(kid)


class Dead:
    """Token ids that were revoked."""

    def __init__(self) -> None:
        self.jtis: set[str] = set()

    def revoke(self, session: Any, subjects: Collection[str]) -> None:
        raise NotImplementedError

    def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        return claims["jti"] in self.jtis


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> Keys:
    return Keys("one", "two")


@pytest.fixture
def dead() -> Dead:
    return Dead()


@pytest.fixture
def verifier(keys: Keys, dead: Dead, clock: Clock) -> Verifier:
    return Verifier(keys, revocations=dead, issuer=ISSUER, now=clock.unix)


def good(clock: Clock, *, header: Mapping[str, Any] = HEADER, **more: Any) -> str:
    return encode(header, claims(clock.unix(), **more), rsa_key(str(header["kid"])))


async def refused(verifier: Verifier, token: str) -> InvalidToken:
    with pytest.raises(InvalidToken) as caught:
        await verifier.verify(token, OURS)
    return caught.value


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_a_good_token_gives_its_claims(verifier: Verifier, clock: Clock, typ: str) -> None:
    token = good(clock, header={**HEADER, "typ": typ})
    for _ in range(2):
        assert await verifier.verify(token, OURS) == claims(clock.unix())


async def test_what_a_reader_does_to_the_claims_is_not_remembered(verifier: Verifier, clock: Clock) -> None:
    token = good(clock)
    (await verifier.verify(token, OURS))["sub"] = "root"
    assert (await verifier.verify(token, OURS))["sub"] == "ann"


def pem() -> bytes:
    return bytes(rsa_key("one").as_pem(private=False))


def self_signed(**extra: Any) -> str:
    """Signed by the attacker, who says in the header where the right key is."""
    return encode({**HEADER, **extra}, claims(Clock().unix()), rsa_key("attacker"))


def tampered() -> str:
    header, _, signature = good(Clock()).split(".")
    return f"{header}.{part(json.dumps(claims(Clock().unix(), sub='root')).encode())}.{signature}"


FORGED = {  # attack 28
    "alg none": lambda: encode({**HEADER, "alg": "none"}, claims(Clock().unix()), None),
    "alg None": lambda: encode({**HEADER, "alg": "None"}, claims(Clock().unix()), None),
    "no signature": lambda: encode(HEADER, claims(Clock().unix()), None),
    "HS256 with the public PEM": lambda: encode(
        {**HEADER, "alg": "HS256"}, claims(Clock().unix()), OctKey.import_key(part(pem()))
    ),
    "HS256 with the modulus": lambda: encode(
        {**HEADER, "alg": "HS256"}, claims(Clock().unix()), OctKey.import_key(rsa_key("one").as_dict()["n"])
    ),
    "RS512": lambda: encode({**HEADER, "alg": "RS512"}, claims(Clock().unix()), rsa_key("one")),
    "PS256": lambda: encode({**HEADER, "alg": "PS256"}, claims(Clock().unix()), rsa_key("one")),
    "jwk": lambda: self_signed(jwk=public(rsa_key("attacker"))["keys"][0]),
    "jku": lambda: self_signed(jku="https://evil.test/jwks.json"),
    "x5u": lambda: self_signed(x5u="https://evil.test/cert.pem"),
    "x5c": lambda: self_signed(x5c=["AAAA"]),
    "jku, signed by us": lambda: encode({**HEADER, "jku": "https://x"}, claims(Clock().unix()), rsa_key("one")),
    "crit": lambda: encode({**HEADER, "crit": ["exp"]}, claims(Clock().unix()), rsa_key("one")),
    "cty": lambda: encode({**HEADER, "cty": "JWT"}, claims(Clock().unix()), rsa_key("one")),
    "unknown kid": lambda: encode({**HEADER, "kid": "three"}, claims(Clock().unix()), rsa_key("three")),
    "another kid of ours": lambda: encode({**HEADER, "kid": "two"}, claims(Clock().unix()), rsa_key("one")),
    "no kid": lambda: encode(without(HEADER, ["kid"]), claims(Clock().unix()), rsa_key("one")),
    "kid that is no text": lambda: ".".join(
        [part(json.dumps({**HEADER, "kid": ["one"]}).encode()), *good(Clock()).split(".")[1:]]
    ),
    "long kid": lambda: self_signed(kid="k" * 4000),
    "foreign key": self_signed,
    "tampered claim": tampered,
    "claims that are no object": lambda: encode(HEADER, b"[]", rsa_key("one")),
    "claims that are no JSON": lambda: encode(HEADER, b"{", rsa_key("one")),
    "nested a thousand times": lambda: encode(HEADER, b"[" * 3000, rsa_key("one")),
    "header that is no object": lambda: f"{part(b'[]')}.{part(b'{}')}.{part(b'x')}",
    "five parts": lambda: good(Clock()) + ".a.b",
    "two parts": lambda: good(Clock()).rpartition(".")[0],
    "empty": lambda: "",
    "not ASCII": lambda: good(Clock()) + "é",
    "a line break": lambda: good(Clock()) + "\n",
    "too large": lambda: good(Clock(), scope="x" * MOST_BYTES),
}


@pytest.mark.parametrize("name", FORGED)
async def test_forged_tokens_open_nothing(verifier: Verifier, name: str) -> None:
    forged = FORGED[name]()
    wrong = await refused(verifier, forged)
    assert (wrong.status, wrong.code) == (401, "invalid_token")
    assert not forged or forged not in wrong.message


@pytest.mark.parametrize("typ", ["JWT", "jwt", "id_token+jwt", "logout+jwt", "", None, 1])
async def test_an_id_token_is_no_access_token(verifier: Verifier, clock: Clock, typ: Any) -> None:
    """Attack 29."""
    await refused(verifier, encode({**HEADER, "typ": typ}, claims(clock.unix()), rsa_key("one")))
    await refused(verifier, encode(without(HEADER, ["typ"]), claims(clock.unix()), rsa_key("one")))


async def test_a_refresh_token_is_no_access_token(verifier: Verifier) -> None:
    await refused(verifier, "cl_rt_" + "a" * 43)


@pytest.mark.parametrize(
    ("audience", "is_good"),
    [
        (ISSUER, True),
        ([ISSUER, "https://other.test"], True),
        ("https://other.test", False),
        (["https://other.test"], False),
        (f"{ISSUER}/mcp", False),
        (f"{ISSUER}/", False),
        ([], False),
        ([ISSUER, 1], False),
        ([""], False),
        ({ISSUER: 1}, False),
        (None, False),
    ],
)
async def test_only_tokens_for_us_are_taken(verifier: Verifier, clock: Clock, audience: Any, is_good: bool) -> None:
    token = good(clock, aud=audience)
    if is_good:
        assert await verifier.verify(token, OURS)
    else:
        await refused(verifier, token)


async def test_a_remembered_token_is_still_for_its_own_audience(verifier: Verifier, clock: Clock) -> None:
    token = good(clock)
    assert await verifier.verify(token, OURS)
    with pytest.raises(InvalidToken):
        await verifier.verify(token, {f"{ISSUER}/mcp"})


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "client_id", "jti", "iat", "exp"])
@pytest.mark.parametrize("value", [None, "", True, [], {}], ids=str)
async def test_every_claim_must_be_there_and_be_right(verifier: Verifier, clock: Clock, name: str, value: Any) -> None:
    """Attack 30."""
    await refused(verifier, good(clock, **{name: value}))


@pytest.mark.parametrize(
    "raw",
    [b'"exp": NaN', b'"exp": Infinity', b'"exp": 1e999', b'"exp": ' + b"9" * 400, b'"exp": -1', b'"exp": "9999999999"'],
    ids=["NaN", "Infinity", "1e999", "400 digits", "negative", "text"],
)
async def test_times_are_finite_numbers(verifier: Verifier, clock: Clock, raw: bytes) -> None:
    body = json.dumps(without(claims(clock.unix()), ["exp"])).encode()[:-1] + b", " + raw + b"}"
    await refused(verifier, encode(HEADER, body, rsa_key("one")))


@pytest.mark.parametrize(
    ("more", "is_good"),
    [
        ({"iat": -600, "exp": 0}, True),
        ({"iat": -600, "exp": 1 - SKEW_S}, True),
        ({"iat": -600, "exp": -SKEW_S}, False),
        ({"iat": -600, "exp": -61}, False),
        ({"iat": SKEW_S}, True),
        ({"iat": SKEW_S + 1}, False),
        ({"nbf": SKEW_S}, True),
        ({"nbf": SKEW_S + 1}, False),
        ({"exp": 601}, False),
        ({"exp": 86400}, False),
    ],
    ids=str,
)
async def test_clocks_may_differ_a_little(
    verifier: Verifier, clock: Clock, more: dict[str, int], is_good: bool
) -> None:
    token = good(clock, **{name: int(clock.unix()) + seconds for name, seconds in more.items()})
    if is_good:
        assert await verifier.verify(token, OURS)
    else:
        await refused(verifier, token)


async def test_another_issuer_is_nobody(verifier: Verifier, clock: Clock) -> None:
    await refused(verifier, good(clock, iss="https://evil.test"))
    await refused(verifier, good(clock, iss=f"{ISSUER}/"))


async def test_a_remembered_token_dies_in_time(verifier: Verifier, clock: Clock) -> None:
    token = good(clock)
    clock.seconds = 600 + SKEW_S - 1
    assert await verifier.verify(token, OURS)
    clock.seconds = 600 + SKEW_S
    assert "over" in (await refused(verifier, token)).message


async def test_a_remembered_token_dies_when_it_is_revoked(verifier: Verifier, clock: Clock, dead: Dead) -> None:
    token = good(clock)
    assert await verifier.verify(token, OURS)
    dead.jtis.add("token-1")
    await refused(verifier, token)


async def test_a_remembered_token_dies_with_its_key(verifier: Verifier, clock: Clock, keys: Keys) -> None:
    token = good(clock)
    assert await verifier.verify(token, OURS)
    keys.keys["one"] = Keys("two").keys["two"]  # another key under the old name
    await refused(verifier, token)
    del keys.keys["one"]
    await refused(verifier, token)


async def test_no_more_than_so_many_tokens_are_remembered(verifier: Verifier, clock: Clock) -> None:
    await verifier.verify(good(clock), OURS)
    (kept,) = verifier._known.values()
    for number in range(REMEMBERED + 10):
        verifier._remember(str(number).encode(), kept)
    assert len(verifier._known) == REMEMBERED


@given(st.text(max_size=300))
async def test_no_text_breaks_the_check(text: str) -> None:
    verifier = Verifier(Keys("one"), revocations=Dead(), issuer=ISSUER)
    await refused(verifier, text)


@given(st.data())
async def test_no_change_of_a_token_is_believed(data: st.DataObject) -> None:
    """A changed token is refused, or it says the very same: the last character of a part has bits to spare."""
    clock = Clock()
    verifier = Verifier(Keys("one"), revocations=Dead(), issuer=ISSUER, now=clock.unix)
    token = good(clock)
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.sampled_from("AZaz09-_.=")) + token[at + 1 :]
    try:
        found = await verifier.verify(changed, OURS)
    except InvalidToken:
        return
    assert found == claims(clock.unix())


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3))
async def test_no_header_of_ours_and_more_is_followed(more: dict[str, Any]) -> None:
    clock = Clock()
    verifier = Verifier(Keys("one"), revocations=Dead(), issuer=ISSUER, now=clock.unix)
    extra = without(more, HEADER)
    header = part(json.dumps({**HEADER, **extra}).encode())
    token = ".".join([header, *good(clock).split(".")[1:]])
    if extra:
        await refused(verifier, token)
    else:
        assert await verifier.verify(good(clock), OURS)
