"""What stands before any work: help, usage errors, exit codes, languages."""

import logging
import re
import time

import pytest
from typer.testing import CliRunner

from codelab.cli.app import app
from codelab.cli.texts import SPOKEN, say
from codelab.cli.texts_help import HELP

COMMANDS = ("serve", "run", "chat", "threads", "db", "config", "doctor")
THREADS = ("list", "show", "rm", "approvals", "decide", "resume", "diff", "undo")


@pytest.fixture
def codelab():
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), *(["threads", name] for name in THREADS)])
def test_every_command_helps(codelab, words):
    done = codelab(*words, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples(codelab, name):
    assert re.search(r"Examples:\n\s+.*codelab", codelab(name, "--help").stdout)


def test_version(codelab):
    assert re.fullmatch(r"codelab \d+\.\d+\.\d+\S*\n", codelab("--version").stdout)


def test_a_typo_is_usage_and_gets_a_hint(codelab):
    done = codelab("thread")
    assert done.exit_code == 2
    assert "threads" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "task", "--approve", "always"),
        ("run", "task", "--nonsense"),
        ("threads", "decide", "an-id", "maybe"),
        ("run", "task", "-w", "/nonexistent/folder"),
        ("serve", "--host", "0.0.0.0"),
        ("threads", "list", "--server", "http://codelab.example"),
    ],
)
def test_wrong_use_leaves_with_2(codelab, words):
    done = codelab(*words)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output


def test_listening_beyond_this_machine_is_refused_with_a_sentence(codelab):
    assert "127.0.0.1" in codelab("serve", "--host", "0.0.0.0").stderr


@pytest.mark.parametrize("roles", [(), ("--roles", "llm")], ids=["everything", "models"])
@pytest.mark.parametrize(
    "wrong",
    [
        ("models: [", "is not YAML: line 2"),
        ("models: {mine: {provider: nowhere}}", "models.mine.provider: add 'nowhere' to `providers`"),
        (None, "cannot be read: No such file"),
    ],
    ids=["no YAML", "no provider", "no file"],
)
def test_a_server_that_cannot_start_says_why_in_a_sentence(codelab, monkeypatch, tmp_path, wrong, roles):
    catalogue, said = wrong
    path = tmp_path / "models.yaml"
    if catalogue is not None:
        path.write_text(catalogue, "utf-8")
    monkeypatch.setenv("CODELAB_LLM__CATALOG", str(path))
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "level", logging.WARNING)
    done = codelab("serve", "--port", "0", *roles)
    assert done.exit_code == 1
    assert said in done.stderr
    assert str(path) in done.stderr
    assert "Traceback" not in done.output
    assert done.stderr.count("\n") == 1


def test_a_list_that_is_no_json_is_named_without_a_traceback(codelab, monkeypatch):
    monkeypatch.setenv("CODELAB_WORKSPACES__ROOTS", "/hunter2")
    done = codelab("config")
    assert done.exit_code == 2
    assert '"workspaces"' in done.stderr
    assert "hunter2" not in done.output


def test_a_wrong_setting_is_named_without_its_value(codelab, monkeypatch):
    monkeypatch.setenv("CODELAB_SERVER__PORT", "hunter2")
    done = codelab("config")
    assert done.exit_code == 2
    assert "CODELAB_SERVER__PORT" in done.stderr
    assert "hunter2" not in done.output


def test_every_text_has_both_languages_with_the_same_fields():
    fields = re.compile(r"(?<!\{)\{(\w+)\}")
    for key, (english, russian) in (SPOKEN | HELP).items():
        assert english.strip(), key
        assert russian.strip(), key
        assert sorted(fields.findall(english)) == sorted(fields.findall(russian)), key


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CODELAB_LANG": "ru"}, "Отменено."),
        ({"CODELAB_LANG": "", "LANG": "ru_RU.UTF-8"}, "Отменено."),
        ({"CODELAB_LANG": "en", "LANG": "ru_RU.UTF-8"}, "Cancelled."),
        ({"CODELAB_LANG": "", "LANG": "de_DE.UTF-8"}, "Cancelled."),
    ],
)
def test_the_language_is_the_persons(monkeypatch, variables, expected):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert say("run_cancelled") == expected


def test_the_reference_names_every_setting_and_hides_secrets(codelab, monkeypatch):
    monkeypatch.setenv("CODELAB_SERVER__TOKEN", "s3cret-token")
    monkeypatch.setenv("CODELAB_LLM__API_KEY", "s3cret-key")
    monkeypatch.setenv("CODELAB_DATABASE__URL", "postgresql://ada:s3cret-password@db/codelab")
    done = codelab("config")
    assert done.exit_code == 0, done.output
    assert "s3cret" not in done.output
    for name in ("CODELAB_DATA_DIR", "CODELAB_DATABASE__URL", "CODELAB_LLM__MODELS__STRONG", "CODELAB_LOG__FORMAT"):
        assert name in done.stdout
    assert "postgresql://ada:***@db/codelab" in done.stdout


def test_the_doctor_finds_nothing_wrong_on_a_machine_that_runs_the_tests(codelab):
    done = codelab("doctor")
    assert done.exit_code == 0, done.output
    assert "demo model" in done.stdout


def test_the_doctor_says_what_to_do(codelab, monkeypatch):
    monkeypatch.setenv("CODELAB_LLM__BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("CODELAB_LLM__MODELS__STRONG", "some-model")
    done = codelab("doctor")
    assert done.exit_code == 1
    assert "CODELAB_LLM__BASE_URL" in done.stdout


def test_the_schema_is_brought_to_head(codelab, tmp_path, monkeypatch):
    monkeypatch.setenv("CODELAB_DATABASE__URL", f"sqlite:///{tmp_path / 'a.db'}")
    done = codelab("db", "upgrade")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.db").exists()


def test_help_is_quick(codelab):
    codelab("--help")
    started = time.process_time()
    codelab("--help")
    assert time.process_time() - started < 2
