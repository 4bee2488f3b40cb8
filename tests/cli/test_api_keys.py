"""`codelab api-keys`, and the roles of `codelab serve`."""

import json
import re

import pytest
from typer.testing import CliRunner

from codelab.cli.app import app


@pytest.fixture
def codelab():
    return lambda *words: CliRunner().invoke(app, list(words))


def test_a_key_is_shown_once_listed_and_revoked(codelab):
    made = codelab("api-keys", "create", "script", "--model", "fast", "--tokens-per-minute", "900")
    assert made.exit_code == 0, made.output
    (secret,) = re.findall(r"sk-cl-[\w-]{43}", made.stdout)
    listed = codelab("api-keys", "list")
    assert "script" in listed.stdout
    assert "active" in listed.stdout
    assert secret not in listed.stdout
    (key,) = [json.loads(line) for line in codelab("api-keys", "list", "--json").stdout.splitlines()]
    assert (key["models"], key["tokens_per_minute"], secret.startswith(key["prefix"])) == (["fast"], 900, True)
    assert codelab("api-keys", "revoke", key["id"]).exit_code == 0
    assert "revoked" in codelab("api-keys", "list").stdout


def test_json_holds_the_key(codelab):
    made = json.loads(codelab("api-keys", "create", "script", "--json").stdout)
    assert re.fullmatch(r"sk-cl-[\w-]{43}", made["key"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "x", "--scope", "nonsense"), 2),
        (("create", ""), 2),
        (("create", "x", "--requests-per-minute", "0"), 2),
        (("revoke", "nothing"), 1),
    ],
    ids=["scope", "name", "limit", "unknown"],
)
def test_wrong_use(codelab, words, code):
    done = codelab("api-keys", *words)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "words",
    [("--roles", "nonsense"), ("--roles", "gateway"), ("--roles", ""), ("--roles", "llm", "-w", ".")],
    ids=["unknown", "unbuilt", "empty", "folder"],
)
def test_roles_that_cannot_be_served(codelab, words):
    assert codelab("serve", *words).exit_code == 2


@pytest.mark.parametrize("roles", ["llm", "api,llm", "api"])
def test_no_role_listens_beyond_this_machine_in_local_mode(codelab, roles):
    done = codelab("serve", "--roles", roles, "--host", "0.0.0.0")
    assert done.exit_code == 2
    assert "0.0.0.0" in done.stderr
