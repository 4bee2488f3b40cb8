"""`codelab eval`."""

import json

import pytest
from typer.testing import CliRunner

from codelab.evals.cli import app

runner = CliRunner()


def test_a_suite_as_json():
    result = runner.invoke(app, ["run", "tool_policy", "--case", "read-allowed", "--mutants", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["ok"] is True
    assert found["suites"][0]["totals"]["mutants_caught"] == 2
    assert found["suites"][0]["cases"][0]["case"] == "read-allowed"


def test_a_suite_as_a_table():
    result = runner.invoke(app, ["run", "tool_policy", "--case", "read-allowed"])
    assert result.exit_code == 0
    assert "100.0%" in result.output


def test_the_suites_are_listed():
    result = runner.invoke(app, ["list"])
    assert [line.split()[0] for line in result.output.splitlines()] == [
        "routing",
        "tool_policy",
        "approvals",
        "edit_format",
        "coding",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "poetry"], "no suite 'poetry'"),
        (["run", "--exercism", "/nonexistent"], "no exercise"),
        (["run", "--case", "nope"], "no suite has a case nope"),
    ],
)
def test_usage_errors(arguments, says):
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert says in result.output


def test_a_failed_case_ends_with_1(tmp_path):
    (tmp_path / "leap" / ".meta").mkdir(parents=True)
    (tmp_path / "leap" / ".docs").mkdir()
    files = {"solution": ["leap.py"], "test": ["leap_test.py"], "example": [".meta/example.py"]}
    (tmp_path / "leap" / ".meta" / "config.json").write_text(json.dumps({"files": files}))
    (tmp_path / "leap" / ".docs" / "instructions.md").write_text("Do it")
    (tmp_path / "leap" / ".meta" / "example.py").write_text("X = 1\n")
    (tmp_path / "leap" / "leap.py").write_text("")
    (tmp_path / "leap" / "leap_test.py").write_text("from leap import X\n\ndef test(): assert X == 2\n")
    result = runner.invoke(app, ["run", "--exercism", str(tmp_path)])
    assert result.exit_code == 1
    assert "exercism/leap" in result.output
