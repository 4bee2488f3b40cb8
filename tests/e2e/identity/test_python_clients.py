"""Clients from the Python index that know nothing of us: Authlib and requests-oauthlib."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.support.people_service import CALLBACK, PeopleService
from tests.support.person import Person

pytestmark = pytest.mark.e2e
SCOPE = ["openid", "email", "threads:read", "offline_access"]


@pytest.fixture(scope="module")
def endpoints(service: PeopleService) -> dict[str, Any]:
    """What discovery says."""
    found = httpx.get(f"{service.url}/.well-known/oauth-authorization-server")
    assert found.status_code == 200
    return found.json()


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def threads(service: PeopleService, token: str) -> int:
    with service.http(token) as http:
        return http.get("/api/v1/threads").status_code


def claims(token: str, endpoints: dict[str, Any]) -> dict[str, Any]:
    """The claims of a token that the published keys verify."""
    keys = KeySet.import_key_set(httpx.get(endpoints["jwks_uri"]).json())
    return jwt.decode(token, keys, algorithms=["RS256"]).claims


def authlib(endpoints: dict[str, Any], client_id: str, secret: Any = None, **more: Any) -> OAuth2Client:
    return OAuth2Client(client_id, secret, token_endpoint=endpoints["token_endpoint"], **more)


def test_authlib_signs_a_person_in_refreshes_and_revokes(
    service: PeopleService, ann: Person, endpoints: dict[str, Any]
) -> None:
    made = service.client(scopes=SCOPE, auth_method="client_secret_basic")
    options = {"scope": " ".join(SCOPE), "redirect_uri": CALLBACK, "code_challenge_method": "S256"}
    with authlib(endpoints, made.id, made.client_secret, **options) as client:
        verifier = "v" * 64
        url, state = client.create_authorization_url(
            endpoints["authorization_endpoint"], code_verifier=verifier, nonce="n-1"
        )
        back = ann.allow(url)
        token = client.fetch_token(authorization_response=back, code_verifier=verifier, state=state)
        service.keep(token)
        assert threads(service, token["access_token"]) == 200
        identity = claims(token["id_token"], endpoints)
        assert (identity["aud"], identity["nonce"], identity["sub"]) == (made.id, "n-1", ann.id)
        with pytest.raises(OAuthError, match="invalid_grant"):  # the same code again, which ends what it gave
            client.fetch_token(authorization_response=back, code_verifier=verifier, state=state)
        assert threads(service, token["access_token"]) == 401

        url, _ = client.create_authorization_url(endpoints["authorization_endpoint"], code_verifier=verifier)
        back = ann.allow(url)
        token = dict(client.fetch_token(authorization_response=back, code_verifier=verifier))
        renewed = dict(client.refresh_token(refresh_token=token["refresh_token"]))
        service.keep([token, renewed])
        assert renewed["refresh_token"] != token["refresh_token"]
        assert threads(service, renewed["access_token"]) == 200
        answer = client.revoke_token(endpoints["revocation_endpoint"], token=renewed["refresh_token"])
        assert answer.status_code == 200
        assert threads(service, renewed["access_token"]) == 401
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(refresh_token=renewed["refresh_token"])


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_authlib_acts_for_itself(service: PeopleService, endpoints: dict[str, Any], method: str) -> None:
    key = RSAKey.generate_key(2048, {"kid": "of-the-client"})
    more: dict[str, Any] = {"jwks": {"keys": [key.as_dict(private=False)]}} if method == "private_key_jwt" else {}
    made = service.client(
        auth_method=method, grant_types=["client_credentials"], redirect_uris=[], scopes=["threads:read"], **more
    )
    secret = key if method == "private_key_jwt" else made.client_secret
    with authlib(endpoints, made.id, secret, token_endpoint_auth_method=method) as client:
        client.register_client_auth_method(PrivateKeyJWT(endpoints["token_endpoint"], headers={"kid": "of-the-client"}))
        token = client.fetch_token(grant_type="client_credentials", scope="threads:read")
        service.keep(token)
    said = claims(token["access_token"], endpoints)
    assert (said["sub"], said["client_id"], said["aud"]) == (made.id, made.id, service.url)
    assert "refresh_token" not in token
    assert "id_token" not in token
    assert threads(service, token["access_token"]) == 200


def test_authlib_is_refused_with_another_secret(service: PeopleService, endpoints: dict[str, Any]) -> None:
    made = service.client(
        auth_method="client_secret_basic", grant_types=["client_credentials"], redirect_uris=[], scopes=["threads:read"]
    )
    with authlib(endpoints, made.id, "cl_cs_another") as client, pytest.raises(OAuthError, match="invalid_client"):
        client.fetch_token(grant_type="client_credentials")
    with authlib(endpoints, made.id, made.client_secret) as client, pytest.raises(OAuthError, match="invalid_scope"):
        client.fetch_token(grant_type="client_credentials", scope="threads:read threads:write")


@pytest.mark.usefixtures("plain_http")
def test_requests_oauthlib_signs_a_person_in_and_refreshes(
    service: PeopleService, ann: Person, endpoints: dict[str, Any]
) -> None:
    made = service.client(scopes=SCOPE)
    renewed: list[dict[str, Any]] = []
    with OAuth2Session(
        made.id,
        scope=SCOPE,
        redirect_uri="http://127.0.0.1:4711/callback",  # any port of this machine's own (RFC 8252)
        pkce="S256",
        auto_refresh_url=endpoints["token_endpoint"],
        auto_refresh_kwargs={"client_id": made.id},
        token_updater=renewed.append,
    ) as client:
        url, _ = client.authorization_url(endpoints["authorization_endpoint"])
        token = client.fetch_token(
            endpoints["token_endpoint"], authorization_response=ann.allow(url), include_client_id=True
        )
        service.keep(token)
        assert client.get(f"{service.url}/api/v1/threads").status_code == 200
        client.token = token | {"expires_in": -1, "expires_at": 1}
        assert client.get(f"{service.url}/api/v1/threads").status_code == 200
        service.keep(renewed)
        assert renewed[0]["refresh_token"] != token["refresh_token"]
        with pytest.raises(InvalidGrantError):  # the first one again: everything of this sign-in ends
            client.refresh_token(endpoints["token_endpoint"], token["refresh_token"], client_id=made.id)
        assert threads(service, renewed[0]["access_token"]) == 401


@pytest.mark.usefixtures("plain_http")
def test_requests_oauthlib_is_told_of_a_person_who_denies(
    service: PeopleService, ann: Person, endpoints: dict[str, Any]
) -> None:
    made = service.client(scopes=SCOPE)
    with OAuth2Session(made.id, scope=SCOPE, redirect_uri=CALLBACK, pkce="S256") as client:
        url, _ = client.authorization_url(endpoints["authorization_endpoint"])
        with pytest.raises(OAuth2Error, match="access_denied"):
            client.fetch_token(endpoints["token_endpoint"], authorization_response=ann.deny(url))


@pytest.mark.usefixtures("plain_http")
def test_requests_oauthlib_acts_for_itself(service: PeopleService, endpoints: dict[str, Any]) -> None:
    made = service.client(
        auth_method="client_secret_basic", grant_types=["client_credentials"], redirect_uris=[], scopes=["threads:read"]
    )
    with OAuth2Session(client=BackendApplicationClient(made.id)) as client:
        token = client.fetch_token(endpoints["token_endpoint"], auth=HTTPBasicAuth(made.id, made.client_secret))
        service.keep(token)
        assert client.get(f"{service.url}/api/v1/threads").status_code == 200
        assert client.post(f"{service.url}/api/v1/threads", json={}).status_code == 403
