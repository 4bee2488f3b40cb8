"""`codelab roles`: made, given, taken, deleted, in the database of the settings."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from codelab.auth.audit.service import Audit
from codelab.auth.rbac.service import Roles
from codelab.cli.app import app
from codelab.core.settings import Settings
from codelab.store.engine import Database
from tests.support.role_holders import add


@pytest.fixture
def codelab():
    return lambda *words: CliRunner().invoke(app, ["roles", *words])


def people(*names: str) -> None:
    async def work() -> None:
        database = Database(Settings().database_url)
        for name in names:
            await add(database, Roles(database, audit=Audit(database)), name, "admin" if name == "boss" else "viewer")
        await database.close()

    asyncio.run(work())


def test_the_built_in_roles_are_there_from_the_start(codelab):
    found = [json.loads(line) for line in codelab("list", "--json").stdout.splitlines()]
    assert [(role["name"], role["built_in"]) for role in found] == [("admin", True), ("member", True), ("viewer", True)]
    assert "built in" in codelab("list").stdout


def test_a_role_is_made_given_taken_and_deleted(codelab):
    made = codelab("create", "auditor", "--permission", "audit:read", "--parent", "viewer", "--description", "Looks on")
    assert made.exit_code == 0
    assert "audit:read" in made.stdout
    assert "threads:read" in made.stdout
    people("boss", "bob")
    assert codelab("grant", "Bob@Default.example", "auditor").stdout.strip() == "Bob@Default.example: auditor viewer"
    assert codelab("grant", "bob", "auditor").exit_code == 0
    assert codelab("revoke", "bob", "auditor").stdout.strip() == "bob: viewer"
    assert codelab("delete", "auditor").exit_code == 0
    assert "auditor" not in codelab("list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("create", "Auditor"),
        ("create", "auditor", "--permission", "everything"),
        ("create", "auditor", "--parent", "nobody"),
        ("create", "admin"),
        ("delete", "admin"),
        ("delete", "nobody"),
        ("grant", "nobody@example.org", "viewer"),
        ("grant", "nobody", "viewer"),
        ("revoke", "boss", "admin"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_said_in_a_sentence(codelab, words):
    codelab("list")
    people("boss")
    failed = codelab(*words)
    assert failed.exit_code != 0
    assert "Traceback" not in failed.output
    assert failed.stderr.strip()
