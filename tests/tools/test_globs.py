"""Globs over relative paths."""

import pytest

from codelab.core.errors import InvalidInput
from codelab.tools.globs import compile_glob


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("*.py", ["a.py", "deep/er/a.py"], ["a.pyc", "a/py"]),
        ("src/*.py", ["src/a.py"], ["src/x/a.py", "a.py", "x/src/a.py"]),
        ("src/**", ["src/a", "src/a/b.c"], ["src", "a/src/b"]),
        ("**/test_*.py", ["test_a.py", "x/y/test_b.py"], ["x/y/a_test.py"]),
        ("src/**/a.ts", ["src/a.ts", "src/x/y/a.ts"], ["src/xa.ts"]),
        ("*.{ts,tsx}", ["a.ts", "b/c.tsx"], ["a.tsxx", "a.{ts,tsx}"]),
        ("a?[bc].x", ["a1b.x", "d/a-c.x"], ["ab.x", "a/b.x", "a1d.x"]),
        ("[!a-c]x", ["dx"], ["ax", "bx"]),
        ("a,b[", ["a,b["], ["a", "b["]),
        ("./x+(1).py", ["x+(1).py"], ["xx1.py"]),
        ("[\\^]", ["^", "\\"], ["a"]),
    ],
)
def test_globs(glob: str, yes: list[str], no: list[str]):
    compiled = compile_glob(glob)
    assert [path for path in yes if not compiled.fullmatch(path)] == []
    assert [path for path in no if compiled.fullmatch(path)] == []


@pytest.mark.parametrize("glob", ["{a", "a}", "[b-a]"])
def test_unreadable_globs_are_refused(glob: str):
    with pytest.raises(InvalidInput, match="unreadable glob"):
        compile_glob(glob)
