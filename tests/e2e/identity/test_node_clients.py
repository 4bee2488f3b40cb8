"""Certified clients for node against a running server: what they refuse, nobody could use."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from tests.support.node_clients import install, run_client
from tests.support.people_service import CALLBACK, REGISTRATION_TOKEN, PeopleService
from tests.support.person import Person

pytestmark = pytest.mark.e2e
SCOPES = ["openid", "email", "profile", "threads:read", "offline_access"]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("node"), Path(__file__).parent)


@pytest.fixture
def asked(service: PeopleService, folder: Path) -> Any:
    """Runs a scenario."""

    def run(script: str, scenario: str, told: dict[str, Any], **person: Any) -> dict[str, Any]:
        base = {"issuer": service.url, "redirect_uri": CALLBACK}
        result = run_client(folder, script, scenario, base | told, **person)
        service.keep(result)
        return result

    return run


def confidential(service: PeopleService, **more: Any) -> dict[str, str | None]:
    made = service.client(auth_method="client_secret_basic", scopes=SCOPES, **more)
    return {"client_id": made.id, "client_secret": made.client_secret}


def robot(service: PeopleService, **more: Any) -> dict[str, str | None]:
    asks = {"auth_method": "client_secret_basic", "grant_types": ["client_credentials"], **more}
    made = service.client(redirect_uris=[], scopes=["threads:read"], **asks)
    return {"client_id": made.id, "client_secret": made.client_secret}


def test_discovery(service: PeopleService, asked: Any) -> None:
    found = asked("oauth4webapi", "discovery", {})
    assert found["oauth2"] == found["oidc"]
    assert found["oauth2"]["issuer"] == service.url
    assert found["oauth2"]["code_challenge_methods_supported"] == ["S256"]
    assert found["oauth2"]["authorization_response_iss_parameter_supported"] is True
    for resource in (service.url, f"{service.url}/mcp"):
        assert found["resources"][resource]["authorization_servers"] == [service.url]


def test_oauth4webapi_signs_a_person_in(service: PeopleService, ann: Person, asked: Any) -> None:
    client = confidential(service)
    told = asked("oauth4webapi", "code", client, opened=ann.allow)
    assert (told["claims"]["sub"], told["claims"]["aud"]) == (ann.id, client["client_id"])
    assert told["claims"]["amr"] == ["pwd"]
    assert (told["info"]["email"], told["info"]["email_verified"]) == (ann.email, True)
    assert (told["access"]["sub"], told["access"]["client_id"]) == (ann.id, client["client_id"])
    assert (told["before"]["active"], told["before"]["sub"]) == (True, ann.id)
    assert told["next"]["refresh_token"] != told["tokens"]["refresh_token"]
    assert told["after"] == told["garbage"] == {"active": False}
    assert told["again"] == "invalid_grant"
    assert told["elsewhere"]
    assert told["identityAsAccess"]  # attack 29


def test_openid_client_signs_a_person_in(service: PeopleService, ann: Person, asked: Any) -> None:
    client = confidential(service)
    told = asked("openid_client", "code", client, opened=ann.allow)
    assert told["claims"]["sub"] == told["info"]["sub"] == ann.id
    assert told["info"]["email"] == ann.email
    assert (told["read"], told["write"]) == (200, "OAUTH_WWW_AUTHENTICATE_CHALLENGE")
    assert told["after"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_oauth4webapi_acts_for_itself(service: PeopleService, asked: Any, method: str) -> None:
    key = RSAKey.generate_key(2048, {"kid": "k-1"})
    jwks = {"jwks": {"keys": [key.as_dict(private=False)]}} if method == "private_key_jwt" else {}
    client = robot(service, auth_method=method, audiences=["https://other.example.org"], **jwks)
    private = {"private_key": key.as_dict(private=True)} if jwks else {}
    for resource in (None, "https://other.example.org"):
        told = asked("oauth4webapi", "credentials", client | private | {"method": method, "resource": resource})
        assert told["access"]["aud"] == (resource or service.url)
        assert told["access"]["sub"] == client["client_id"]
        assert told["tokens"].keys().isdisjoint({"refresh_token", "id_token"})  # attack 24


def test_openid_client_acts_for_itself(service: PeopleService, asked: Any) -> None:
    client = robot(service)
    told = asked("openid_client", "credentials", client)
    assert told["introspection"]["active"] is True
    assert told["introspection"]["client_id"] == client["client_id"]
    assert told["wider"] == "invalid_scope"


@pytest.mark.parametrize("complete", [True, False], ids=["link", "code"])
def test_oauth4webapi_as_a_device(service: PeopleService, ann: Person, asked: Any, complete: bool) -> None:
    made = service.client(grant_types=[DEVICE], redirect_uris=[], scopes=SCOPES)
    told = asked("oauth4webapi", "device", {"client_id": made.id, "complete": complete}, approved=ann.approve_device)
    assert told["early"] == "authorization_pending"
    assert told["access"]["sub"] == ann.id
    assert told["again"] == "invalid_grant"


def test_openid_client_as_a_device(service: PeopleService, ann: Person, asked: Any) -> None:
    made = service.client(grant_types=[DEVICE], redirect_uris=[], scopes=SCOPES)
    told = asked("openid_client", "device", {"client_id": made.id}, approved=ann.approve_device)
    assert told["claims"]["sub"] == ann.id


def test_a_device_that_is_denied_is_told(service: PeopleService, ann: Person, asked: Any) -> None:
    made = service.client(grant_types=[DEVICE], redirect_uris=[], scopes=SCOPES)
    denying = partial(ann.approve_device, action="deny")
    told = asked("openid_client", "denied", {"client_id": made.id}, approved=denying)
    assert told["outcome"] == "access_denied"


def test_a_client_that_registers_itself(ann: Person, asked: Any) -> None:
    told = asked("oauth4webapi", "registration", {"initial_token": REGISTRATION_TOKEN}, opened=ann.allow)
    assert told["made"]["client_name"] == "Registered by itself"
    assert told["tokens"]["refresh_token"]
    assert told["refused"]
    assert told["closed"]
