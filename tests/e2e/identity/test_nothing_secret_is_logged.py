"""Everything people and clients do, with the log at its loudest: nothing secret is in it, nor in the audit trail."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.people_service import CALLBACK, REGISTRATION_TOKEN, PeopleService, people_service
from tests.support.person import PASSWORD
from tests.support.service import until

pytestmark = pytest.mark.e2e
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
WRONG = "a wrong password of somebody"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleService]:
    home = tmp_path_factory.mktemp("loud")
    mails = str(home / "mails")
    loud = {
        "CODELAB_LOG__LEVEL": "DEBUG",
        "CODELAB_AUTH__MAIL__FOLDER": mails,
        "CODELAB_LLM__API_KEY": "sk-of-the-model",
    }
    with people_service(home, **loud) as running:
        yield running


def ask(service: PeopleService, path: str, **form: str) -> dict[str, Any]:
    with service.http() as http:
        answer = http.post(path, data=form)
    return dict(answer.json()) if answer.content else {}


def as_people_do(service: PeopleService) -> None:
    """Pages: wrong and right passwords, a forgotten one, sessions, API keys, signing out."""
    admin, ann = service.administrator(), service.person("ann")
    made = admin.api(
        "POST",
        "/api/v1/clients",
        json={
            "name": "Robot",
            "auth_method": "client_secret_basic",
            "grant_types": ["client_credentials"],
            "scopes": ["threads:read"],
        },
    )
    assert made.status_code == 201, made.text
    rotated = admin.api("POST", f"/api/v1/clients/{made.json()['id']}/rotate-secret", json={})
    assert rotated.status_code == 200, rotated.text
    ann.password = WRONG
    with pytest.raises(AssertionError):
        ann.sign_in()
    ann.password = PASSWORD
    ann.sign_in()
    key = ann.api("POST", "/api/v1/api-keys", json={"name": "mine"})
    assert key.status_code == 201
    with service.http(key.json()["key"]) as http:
        assert http.get("/v1/models").status_code == 200
        assert http.get("/v1/nothing").status_code == 404
    ann.sign_out()
    ann.forget_password()
    mails = service.data.parent / "mails"

    def links() -> list[str]:
        return re.findall(r"reset\?token=([\w.-]+)", "".join(mail.read_text() for mail in mails.glob("*")))

    (token,) = until(links, "the mail")
    service.secrets.add(token)


def as_clients_do(service: PeopleService) -> None:
    """The token endpoint, right and wrong, and everything around it."""
    ann = service.person("ann2")
    made = service.tokens(ann, "openid email threads:read offline_access")
    first = made["refresh_token"]
    ask(service, "/oauth/token", grant_type="refresh_token", refresh_token=first, client_id="codelab-cli")
    assert "error" in ask(
        service, "/oauth/token", grant_type="refresh_token", refresh_token=first, client_id="codelab-cli"
    )
    secret = service.client(auth_method="client_secret_post", grant_types=["client_credentials"], redirect_uris=[])
    robot = {"client_id": secret.id, "client_secret": str(secret.client_secret)}
    token = ask(service, "/oauth/token", grant_type="client_credentials", scope="threads:read", **robot)["access_token"]
    assert ask(service, "/oauth/introspect", token=token, **robot)["active"] is True
    ask(service, "/oauth/revoke", token=token, **robot)
    ask(service, "/oauth/token", grant_type="client_credentials", **{**robot, "client_secret": "cl_cs_a-wrong-secret"})
    owner = service.client(
        auth_method="client_secret_post", grant_types=["password"], redirect_uris=[], first_party=True
    )
    form = {"client_id": owner.id, "client_secret": str(owner.client_secret), "username": ann.email}
    assert "access_token" in ask(service, "/oauth/token", grant_type="password", password=PASSWORD, **form)
    assert "error" in ask(service, "/oauth/token", grant_type="password", password=WRONG, **form)
    device = ask(service, "/oauth/device_authorization", client_id="codelab-cli", scope="threads:read")
    ann.approve_device(device["verification_uri_complete"])
    ask(service, "/oauth/token", grant_type=DEVICE, device_code=device["device_code"], client_id="codelab-cli")
    with service.http(REGISTRATION_TOKEN) as http:
        http.post("/oauth/register", json={"client_name": "Self", "redirect_uris": [CALLBACK]})
    made = service.tokens(ann, "openid email threads:read assistants:read runs:read", resource=f"{service.url}/mcp")
    for token in (made["access_token"], made["id_token"], made["access_token"][:-4] + "AAAA"):
        with service.http(token) as http:
            for path in ("/mcp", "/api/v1/threads", "/v1/models", "/oauth/userinfo", f"/threads?access_token={token}"):
                http.get(path)
        service.secrets.add(token)


def test_nothing_secret_is_logged(service: PeopleService) -> None:
    as_people_do(service)
    as_clients_do(service)
    printed = service.log
    link = printed.partition("/reset?token=")[2].split()[0]
    service.secrets |= {WRONG, "cl_cs_a-wrong-secret", "sk-of-the-model"}
    service.secrets -= {link}  # printed on purpose, once
    said = printed.replace(link, "", 1)
    with sqlite3.connect(service.data / "codelab.db") as database:
        (table,) = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE name LIKE 'audit%' AND type = 'table'"
            )
        ]
        trail = [str(row) for row in database.execute(f"SELECT * FROM {table}")]  # noqa: S608
    assert len(trail) > 20
    assert len(service.secrets) > 30
    told = [secret[:12] for secret in service.secrets if secret in said or any(secret in row for row in trail)]
    assert told == []
