"""`codelab users`."""

import asyncio
import email
import email.policy
import json

import pytest
from typer.testing import CliRunner

from codelab.auth.signing.sealing import secret_keys
from codelab.cli.app import app
from codelab.core.settings import Settings
from codelab.store.engine import Database
from tests.support.people import PASSWORD, open_people, token_of

ANN = "ann@example.org"


@pytest.fixture
def codelab():
    return lambda *words: CliRunner().invoke(app, ["users", *words])


def listed(codelab) -> dict[str, dict]:
    lines = codelab("list", "--json").stdout.splitlines()
    return {user["email"]: user for user in map(json.loads, lines)}


def test_somebody_is_made_and_comes_in_with_the_link(codelab):
    nothing = codelab("list")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    made = codelab("create", ANN.upper(), "--name", "Ann", "--role", "admin")
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("http://127.0.0.1:8000/reset?token=")
    assert made.stderr == ""
    assert listed(codelab)[ANN]["roles"] == ["admin"]
    assert "active" in codelab("list").stdout

    async def come_in() -> str:
        """As the server does: its links are signed with the same key."""
        settings = Settings()
        database = Database(settings.database_url)
        async with open_people(database, secret=secret_keys(settings)[0]) as people:
            people.time.at = people.time.at.now(people.time.at.tzinfo)
            assert await people.accounts.reset_password(token_of(made.stdout), PASSWORD)
            state = (await people.enter()).state
        await database.close()
        return state

    assert asyncio.run(come_in()) == "done"


def test_mails_leave_before_the_command_ends(codelab, tmp_path, monkeypatch):
    monkeypatch.setenv("CODELAB_AUTH__MAIL__FOLDER", str(tmp_path / "mails"))
    monkeypatch.setenv("CODELAB_LANG", "ru")
    made = json.loads(codelab("create", ANN, "--json").stdout)
    (file,) = (tmp_path / "mails").iterdir()
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (mail["To"], mail["Subject"]) == (ANN, "CodeLab: ваша учётная запись")
    assert made["link"] in mail.get_content()


def test_somebody_is_let_in_no_more_and_again(codelab):
    codelab("create", ANN)
    assert "no more" in codelab("disable", ANN).stdout
    assert not listed(codelab)[ANN]["is_active"]
    assert "disabled" in codelab("list").stdout
    assert codelab("enable", listed(codelab)[ANN]["id"]).exit_code == 0
    assert listed(codelab)[ANN]["is_active"]


def test_roles_are_shown_given_and_taken(codelab):
    codelab("create", ANN)
    assert codelab("roles", ANN).stdout.strip() == f"{ANN}: member"
    both = codelab("roles", ANN, "--grant", "viewer", "--grant", "admin", "--take", "member", "--json")
    assert json.loads(both.stdout)["roles"] == ["admin", "viewer"]
    last = codelab("roles", ANN, "--take", "admin")
    assert (last.exit_code, "Somebody must stay" in last.output) == (1, True)
    assert codelab("disable", ANN).exit_code == 1


def test_somebody_is_invited(codelab, monkeypatch):
    made = codelab("invite", "--role", "viewer", "--days", "3")
    assert made.stdout.startswith("http://127.0.0.1:8000/register?invite=")
    assert "CODELAB_AUTH__REGISTRATION=invite" in made.stderr
    monkeypatch.setenv("CODELAB_AUTH__REGISTRATION", "invite")
    made = codelab("invite", ANN, "--json")
    assert (json.loads(made.stdout)["email"], made.stderr) == (ANN, "")


def test_a_reset_link_is_printed(codelab):
    codelab("create", ANN)
    assert "/reset?token=" in codelab("reset-link", ANN).stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "nobody"), 2),
        (("create", "bob@example.org", "--role", "nonsense"), 2),
        (("create", ANN), 1),
        (("disable", "nobody@example.org"), 1),
        (("enable", "nobody"), 1),
        (("reset-link", "nobody"), 1),
        (("roles", "nobody"), 1),
        (("roles", ANN, "--grant", "nonsense"), 2),
        (("invite", "nobody"), 2),
        (("invite", "--days", "0"), 2),
    ],
    ids=["address", "role", "twice", "disable", "enable", "reset", "roles", "grant", "invite", "days"],
)
def test_wrong_use(codelab, words, code):
    codelab("create", ANN)
    done = codelab(*words)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
