"""`codelab signing-keys`."""

import json

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from codelab.cli.app import app


@pytest.fixture
def codelab():
    return lambda *words: CliRunner().invoke(app, ["signing-keys", *words])


def listed(codelab) -> list[dict]:
    return [json.loads(line) for line in codelab("list", "--json").stdout.splitlines()]


def test_keys_are_made_listed_and_replaced(codelab):
    nothing = codelab("list")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    first = codelab("rotate")
    assert first.exit_code == 0, first.output
    assert "signs from now on" in first.stdout
    assert codelab("rotate").exit_code == 0
    assert [key["state"] for key in listed(codelab)] == ["active", "pending"]
    assert [line.split()[2] for line in codelab("list").stdout.splitlines()] == ["active", "pending"]
    made = json.loads(codelab("rotate", "--now", "--json").stdout)
    assert made["state"] == "active"
    assert [key["state"] for key in listed(codelab)] == ["retired", "retired", "active"]
    assert listed(codelab)[-1] == made


def test_no_part_of_a_key_is_shown(codelab):
    codelab("rotate")
    assert listed(codelab)[0].keys() == {
        "kid",
        "alg",
        "state",
        "created_at",
        "activated_at",
        "retiring_at",
        "retired_at",
    }


def test_another_secret_is_refused_except_in_an_emergency(codelab, monkeypatch):
    codelab("rotate")
    monkeypatch.setenv("CODELAB_AUTH__SECRET_KEYS", json.dumps([Fernet.generate_key().decode()]))
    refused = codelab("rotate")
    assert refused.exit_code == 1
    assert "CODELAB_AUTH__SECRET_KEYS" in refused.stderr
    assert len(listed(codelab)) == 1
    assert codelab("rotate", "--now").exit_code == 0


def test_a_secret_that_is_none_is_not_repeated(codelab, monkeypatch):
    monkeypatch.setenv("CODELAB_AUTH__SECRET_KEYS", '["my-password"]')
    refused = codelab("rotate")
    assert refused.exit_code == 1
    assert "my-password" not in refused.output
