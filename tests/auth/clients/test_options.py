"""What a client may be: addresses it may be led back to, keys, and how its parts fit together."""

from __future__ import annotations

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from pydantic import ValidationError

from codelab.auth.clients.jwks import find_key, public_keys
from codelab.auth.clients.schemas import ClientOptions

CALLBACK = "https://app.example.org/callback"


def options(**more) -> ClientOptions:
    return ClientOptions(**{"name": "app", "redirect_uris": [CALLBACK], **more})


def public(key) -> dict:
    return {"kid": "one", **key.as_dict(private=False)}


@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK,
        "https://app.example.org:8443/callback?tenant=1",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:8123/callback",
        "http://[::1]:8123/callback",
        "http://localhost:8123/callback",
        "com.example.app:/callback",
        "com.example.app://callback",
    ],
)
def test_such_an_address_may_be_registered(uri):
    assert options(redirect_uris=[uri]).redirect_uris == [uri]


@pytest.mark.parametrize(
    "uri",
    [
        "/callback",
        "app.example.org/callback",
        "https:///callback",
        "http://app.example.org/callback",
        "http://evil/cb",
        "http://localhost.evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.2/callback",
        "https://app.example.org/callback#fragment",
        "https://app.example.org/callback#",
        "https://user@app.example.org/callback",
        "https://app.example.org:secret@evil.example/callback",
        "https://*.example.org/callback",
        "https://app.example.org/*",
        "https://app.example.org:notaport/callback",
        "https://app.example.org\\@evil.example/callback",
        "https://app.example.org/call back",
        "https://app.example.org/\tcallback",
        "https://äpp.example.org/callback",
        "javascript:alert(1)",
        "JavaScript:alert(1)//.x",
        "data:text/html,hello",
        "file:///etc/passwd",
        "myapp:/callback",
        "https://" + "a" * 2000,
    ],
)
def test_such_an_address_may_not(uri):
    with pytest.raises(ValidationError):
        options(redirect_uris=[uri])


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uris": []},
        {"grant_types": ["client_credentials"], "auth_method": "none"},
        {"grant_types": ["refresh_token"]},
        {"grant_types": ["client_credentials", "refresh_token"], "auth_method": "client_secret_basic"},
        {"grant_types": ["password"]},
        {"grant_types": ["implicit"]},
        {"grant_types": []},
        {"auth_method": "client_secret_jwt"},
        {"auth_method": "private_key_jwt"},
        {"auth_method": "client_secret_basic", "redirect_uris": ["com.example.app:/callback"]},
        {"scopes": ["threads:destroy"]},
        {"scopes": ["account:read"]},
        {"audiences": ["service-a"]},
        {"audiences": ["https://a.example.org/#here"]},
        {"audiences": ['https://a.example.org/"']},
        {"name": "two\nlines"},
        {"name": "gnp.\u202eexe"},
        {"name": "  "},
        {"secret": "of my own"},
    ],
)
def test_what_does_not_fit_together_is_refused(wrong):
    with pytest.raises(ValidationError):
        options(**wrong)


def test_a_service_account_needs_no_address():
    assert options(redirect_uris=[], grant_types=["client_credentials"], auth_method="client_secret_post")


def test_of_a_key_only_what_is_public_is_kept():
    key = {**public(ECKey.generate_key("P-256")), "use": "sig", "alg": "ES256", "x5u": "https://evil.example"}
    kept = public_keys({"keys": [key], "more": 1})
    assert kept == {"keys": [{name: key[name] for name in ("kty", "crv", "x", "y", "kid")}]}


RSA = RSAKey.generate_key(2048, private=True)
EC = ECKey.generate_key("P-256")


@pytest.mark.parametrize(
    "keys",
    [
        None,
        [],
        "keys",
        ["key"],
        [{}],
        [RSA.as_dict(private=True)],
        [OctKey.generate_key(256).as_dict(private=True)],
        [{**RSA.as_dict(private=False), "n": "_" * 171}],  # 1024 bits
        [ECKey.generate_key("P-384").as_dict(private=False)],
        [{**EC.as_dict(private=False), "x": "AAAA"}],
        [{**EC.as_dict(private=False), "x": EC.as_dict(private=False)["y"]}],
        [{**RSA.as_dict(private=False), "use": "enc"}],
        [{**RSA.as_dict(private=False), "alg": "PS256"}],
        [{**RSA.as_dict(private=False), "n": 5}],
        [RSA.as_dict(private=False), EC.as_dict(private=False)],
        [public(RSA), public(EC)],
        [public(RSA)] * 6,
    ],
    ids=range(17),
)
@pytest.mark.filterwarnings("ignore:Key size")
def test_such_keys_are_refused(keys):
    with pytest.raises(ValueError, match=r"\w"):
        public_keys({"keys": keys})


def test_a_key_is_found_by_its_id_and_for_its_algorithm_alone():
    keys = public_keys({"keys": [public(RSA), {**public(EC), "kid": "two"}]})
    assert find_key(keys, "one", "RS256").kid == "one"
    assert find_key(keys, "two", "ES256").kid == "two"
    assert find_key(keys, "two", "RS256") is None
    assert find_key(keys, "three", "RS256") is None
    assert find_key(keys, None, "RS256") is None, "which of the two?"
    assert find_key(keys, "one", "HS256") is None
    assert find_key(public_keys({"keys": [RSA.as_dict(private=False)]}), None, "RS256") is not None
