"""Exercism's format: instructions and stub are shown, tests are hidden, the second try gets what failed."""

import json
import sys

import pytest

from codelab.core.errors import ConfigError, InvalidInput
from codelab.evals.exercism import Exercises, ExercismSuite, find_exercises
from codelab.evals.run import Options, run_suite, run_suites
from codelab.evals.suite import Bench
from codelab.llm.models import StaticModels
from codelab.llm.scripted import Reply, ScriptedCall, ScriptedChatModel

STUB = "def leap_year(year):\n    pass\n"
RIGHT = "def leap_year(year):\n    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)\n"
NAIVE = "def leap_year(year):\n    return year % 4 == 0\n"
TESTS = """
import unittest

from leap import leap_year


class LeapTest(unittest.TestCase):
    def test_common(self):
        self.assertIs(leap_year(2015), False)

    def test_leap(self):
        self.assertIs(leap_year(1996), True)

    def test_century(self):
        self.assertIs(leap_year(1900), False)
"""


def make_exercise(folder, *, name="leap", tests=None, stub=None, example=RIGHT):
    root = folder / name
    files = {
        ".meta/config.json": json.dumps(
            {
                "authors": ["a"],
                "files": {
                    "solution": list(stub or {"leap.py": STUB}),
                    "test": list(tests or {"leap_test.py": TESTS}),
                    "example": [".meta/example"] if example else [],
                },
            }
        ),
        ".docs/instructions.md": "# Instructions\n\nSay whether a year is a leap year.\n",
        ".docs/instructions.append.md": "# Notes\n\nUse integers.\n",
        **(stub or {"leap.py": STUB}),
        **(tests or {"leap_test.py": TESTS}),
        **({".meta/example": example} if example else {}),
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def writes(content):
    return Reply(tool_calls=(ScriptedCall(name="write_file", args={"path": "leap.py", "content": content}),))


def bench(*replies):
    model = ScriptedChatModel.of(*replies)
    return model, Bench(model="m", live=StaticModels(model))


async def test_example_solutions_pass_and_stubs_fail(tmp_path):
    make_exercise(tmp_path / "python" / "practice")
    report = await run_suites(options=Options(exercises=Exercises(folder=tmp_path), mutants=True))
    assert report.ok
    suite = report.suites[0]
    assert [(r.case, r.mutant, r.passed) for r in suite.results] == [
        ("leap", None, True),
        ("leap", "broken_edit", False),
    ]
    assert suite.summary == {"passed at first try": 1.0, "passed at last": 1.0}


async def test_the_second_try_gets_the_output_of_the_tests(tmp_path):
    make_exercise(tmp_path)
    model, live = bench(writes(NAIVE), "Done.", writes(RIGHT), "Fixed.")
    report = await run_suite(ExercismSuite(Exercises(folder=tmp_path)), live)
    result = report.results[0]
    assert result.passed, result.checks
    assert result.facts == {"tries": 2, "passed": True}
    assert report.summary == {"passed at first try": 0.0, "passed at last": 1.0}
    first, second = model.requests[0].human, model.requests[2].human
    assert "leap year" in first
    assert "Use integers" in first
    assert "1900" not in first
    assert "test_century" in second
    assert result.spent.calls == 4
    assert result.spent.unpriced == 4


async def test_the_agent_never_sees_tests_or_examples(tmp_path):
    root = make_exercise(tmp_path)
    look = Reply(tool_calls=(ScriptedCall(name="list_files", args={"path": ".", "recursive": True}),))
    model, live = bench(look, "I give up.", "I give up again.")
    report = await run_suite(ExercismSuite(Exercises(folder=root)), live)
    assert not report.results[0].passed
    listed = "".join(model.requests[1].results)
    assert "leap.py" in listed
    assert "leap_test" not in listed
    assert ".meta" not in listed


async def test_other_languages_need_a_test_command(tmp_path):
    stub = {"leap.js": "// stub\n"}
    tests = {"leap.spec.js": "// tests\n"}
    make_exercise(tmp_path, stub=stub, tests=tests, example="// solved\n")
    with pytest.raises(InvalidInput, match="--test-command"):
        await run_suite(ExercismSuite(Exercises(folder=tmp_path)), Bench())
    check = f"{sys.executable} -c \"import sys; sys.exit('solved' not in open('leap.js').read())\" {{tests}}"
    report = await run_suite(ExercismSuite(Exercises(folder=tmp_path, test_command=check)), Bench())
    assert report.results[0].passed, report.results[0].checks


async def test_without_an_example_the_scripted_model_has_nothing_to_play(tmp_path):
    make_exercise(tmp_path, example=None)
    report = await run_suite(ExercismSuite(Exercises(folder=tmp_path)), Bench(), Options(mutants=True))
    assert [result.skipped for result in report.results] == ["has no example solution to play"]


def test_what_is_no_exercise_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no exercise"):
        find_exercises(tmp_path)
    root = make_exercise(tmp_path)
    (root / ".docs" / "instructions.md").unlink()
    (root / ".docs" / "instructions.append.md").unlink()
    with pytest.raises(ConfigError, match=r"instructions\.md"):
        find_exercises(tmp_path)
    (root / ".meta" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="not an exercise"):
        find_exercises(tmp_path)
