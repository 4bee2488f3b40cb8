"""`codelab clients`: registered, listed, given another secret, ended."""

import json
import re

import pytest
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from codelab.cli.app import app
from codelab.cli.texts_clients import CLIENTS

SECRET = r"cl_cs_[\w-]{43}"


@pytest.fixture
def codelab():
    return lambda *words: CliRunner().invoke(app, ["clients", *words])


def listed(codelab) -> list[dict]:
    return [json.loads(line) for line in codelab("list", "--json").stdout.splitlines()]


def test_a_service_account_gets_a_secret_and_another(codelab):
    made = codelab("create", "robot", "--service", "--scope", "runs:write", "--audience", "https://a.example.org")
    assert made.exit_code == 0, made.output
    (secret,) = re.findall(SECRET, made.stdout)
    (client,) = listed(codelab)
    assert (client["auth_method"], client["grant_types"]) == ("client_secret_basic", ["client_credentials"])
    assert (client["scopes"], client["audiences"]) == (["runs:write"], ["https://a.example.org"])
    rotated = codelab("rotate-secret", client["id"], "--grace-hours", "1")
    assert rotated.exit_code == 0, rotated.output
    assert re.findall(SECRET, rotated.stdout) != [secret]
    assert "UTC" in rotated.stdout
    assert secret not in codelab("list").stdout + codelab("list", "--json").stdout


def test_an_application_is_public_unless_told_otherwise(codelab, tmp_path):
    made = codelab("create", "wiki", "--redirect-uri", "https://wiki.example.org/cb", "--grant", "authorization_code",
                   "--grant", "device", "--json")  # fmt: skip
    told = json.loads(made.stdout)
    assert (told["auth_method"], told["client_secret"]) == ("none", None)
    assert told["grant_types"][1] == "urn:ietf:params:oauth:grant-type:device_code"
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}))
    made = codelab("create", "signer", "--service", "--jwks", str(keys), "--json")
    assert json.loads(made.stdout)["auth_method"] == "private_key_jwt"


def test_a_client_is_disabled_enabled_and_deleted(codelab):
    told = json.loads(codelab("create", "robot", "--service", "--json").stdout)
    assert codelab("disable", told["id"]).exit_code == 0
    assert "disabled" in codelab("list").stdout
    assert codelab("enable", told["id"]).exit_code == 0
    assert listed(codelab)[0]["disabled_at"] is None
    assert codelab("delete", told["id"]).exit_code == 0
    assert listed(codelab) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "x"), 2),
        (("create", ""), 2),
        (("create", "x", "--redirect-uri", "http://evil/cb"), 2),
        (("create", "x", "--service", "--scope", "nonsense"), 2),
        (("create", "x", "--service", "--jwks", "/nowhere"), 2),
        (("create", "x", "--service", "--grant", "implicit"), 2),
        (("rotate-secret", "nobody"), 1),
        (("rotate-secret", "nobody", "--grace-hours", "999"), 2),
        (("delete", "nobody"), 1),
    ],
    ids=range(9),
)
def test_wrong_use(codelab, words, code):
    done = codelab(*words)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output


def test_every_text_is_in_both_languages():
    for english, russian in CLIENTS.values():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", russian))
        assert english
        assert russian
