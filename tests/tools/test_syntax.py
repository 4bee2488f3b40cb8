"""Only syntax errors that an edit brought in are reported."""

import warnings

import pytest

from codelab.tools.syntax import new_errors, report

BROKEN = [
    ("a.py", "x = 1\n", "x = (\n"),
    ("a.pyi", None, "def f(: ..."),
    ("a.py", None, "return 1"),
    ("a.py", "", "x = 1\0"),
    ("a.py", "", "(" * 1000),
    ("a.json", '{"a": 1}', '{"a": 1,}'),
    ("a.json", None, "[" * 100_000),
    ("a.toml", "a = 1", "a = \n"),
    ("a.yaml", "a: 1", "a: [1\nb: 2"),
    ("a.yml", None, "a: 'x"),
    ("a.yml", None, "a: \x07"),
]


@pytest.mark.parametrize(("path", "before", "after"), BROKEN)
def test_a_new_error_is_reported(path: str, before: str | None, after: str):
    assert new_errors(path, before, after)
    assert "fix it" in report(path, before, after)


@pytest.mark.parametrize(("path", "before", "after"), BROKEN)
def test_an_old_error_is_not(path: str, before: str | None, after: str):
    assert new_errors(path, after, after) == []
    if before:
        assert new_errors(path, after, before) == []


def test_an_old_error_that_moved_is_still_old():
    assert new_errors("a.py", "x = = 1\n", "# more\n\nx = = 1\n") == []
    assert new_errors("a.py", "x = = 1\n", "y = = 2\n") == ["Python: invalid syntax (line 1: y = = 2)"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.txt", "("),
        ("tsconfig.json", "// c\n{}"),
        (".vscode/settings.json", "// c\n{}"),
        ("t.yaml", "{{ x }}: ["),
        ("big.py", "(" * 1_000_001),
        ("a.yaml", "a: 1\n---\nb: !custom 2\n"),
        ("a.py", "async def f():\n    await g()\n"),
    ],
)
def test_what_cannot_be_judged_is_left_alone(path: str, text: str):
    assert new_errors(path, None, text) == []


def test_warnings_are_not_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert new_errors("a.py", None, "x = '\\d'\nx is 1\n") == []
