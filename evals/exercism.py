"""Suite `exercism`: exercises in Exercism's format, as the public polyglot benchmarks use them.

The agent gets the instructions and the stub; the tests are laid over its work only for grading. It has two tries: the
second comes with what the failed tests printed. The scripted model plays the exercise's example solution, which checks
the exercises themselves.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from ..core.errors import ConfigError, InvalidInput
from ..llm.scripted import ScriptedCall
from . import checks
from .cases import Case, RoutedTo, Step, Steps, script_of
from .grading import Tested, contents, custom_command, pytest_command, run_tests, write_files
from .meter import Spent
from .report import CaseResult, Check
from .session import Outcome, Session, Turn
from .spoil import break_edits
from .suite import Bench

_CONFIG = ".meta/config.json"
_NOT_SHOWN = (".meta/", ".approaches/", ".articles/", ".docs/")
_TAIL = 6000
_ASK = """{instructions}

Write the solution in: {files}. The stub is there. Keep the names it defines; tests that you cannot see import them.
Do not write tests. Use the standard library only."""
_AGAIN = """The tests failed. Their output:

{output}

The tests are right. Fix the solution in: {files}."""


@dataclass(frozen=True, kw_only=True)
class Exercises:
    """Where exercises are and how they are tested.

    Attributes:
        folder: One exercise, or a folder that holds them at any depth.
        test_command: The command line that tests other languages than Python; `{tests}` becomes the test files.
        tries: How often the agent may try.
        timeout_s: Seconds for the tests.
    """

    folder: Path
    test_command: str | None = None
    tries: int = 2
    timeout_s: float = 120


class _Files(BaseModel):
    solution: list[str] = Field(min_length=1)
    test: list[str] = Field(min_length=1)
    example: list[str] = Field(default_factory=list)
    exemplar: list[str] = Field(default_factory=list)


class _Config(BaseModel):
    files: _Files


class Exercise(Case):
    """One exercise.

    Attributes:
        path: Its folder.
        solution: Files the agent writes.
        tests: Files it never sees.
        example: The example solution, in the order of `solution`; may be missing.
    """

    path: Path
    instructions: str
    solution: tuple[str, ...]
    tests: tuple[str, ...]
    example: tuple[str, ...] = ()

    @property
    def start(self) -> dict[str, bytes]:
        """What the agent finds."""
        shown = contents(self.path).items()
        return {name: data for name, data in shown if name not in self.tests and not name.startswith(_NOT_SHOWN)}

    @property
    def hidden(self) -> dict[str, bytes]:
        """The tests."""
        return {name: (self.path / name).read_bytes() for name in self.tests}

    @property
    def steps(self) -> Steps:
        """The example solution as a script."""
        pairs = zip(self.solution, self.example, strict=False)
        calls = [_write(name, (self.path / example).read_text("utf-8")) for name, example in pairs]
        return (Step(calls=tuple(calls)), Step(say="Done."))


def _write(name: str, text: str) -> ScriptedCall:
    return ScriptedCall(name="write_file", args={"path": name, "content": text})


def read_exercise(folder: Path) -> Exercise:
    """Read one exercise (`ConfigError` if it is not one)."""
    try:
        files = _Config.model_validate(json.loads((folder / _CONFIG).read_text("utf-8"))).files
        return Exercise(
            id=folder.name,
            path=folder,
            instructions=_instructions(folder),
            solution=tuple(files.solution),
            tests=tuple(files.test),
            example=tuple(files.example or files.exemplar),
        )
    except (OSError, json.JSONDecodeError, ValidationError) as exc:
        raise ConfigError(f"{folder} is not an exercise in Exercism's format: {exc}") from exc


def _instructions(folder: Path) -> str:
    names = ("introduction.md", "instructions.md", "instructions.append.md")
    found = [path.read_text("utf-8").strip() for name in names if (path := folder / ".docs" / name).is_file()]
    if not found:
        raise ConfigError(f"{folder} has no .docs/instructions.md")
    return "\n\n".join(found)


def find_exercises(folder: Path) -> list[Exercise]:
    """Read the exercise in `folder`, or every one below it (`InvalidInput` if there is none)."""
    found = sorted(folder.rglob(_CONFIG)) if folder.is_dir() else []
    exercises = [read_exercise(path.parent.parent) for path in found]
    if not exercises:
        raise InvalidInput(f"there is no exercise in {folder}: none of its folders holds {_CONFIG}")
    return exercises


@dataclass(frozen=True, slots=True)
class Tried:
    """How the tries went."""

    outcomes: Sequence[Outcome]
    tested: Sequence[Tested]
    spent: Spent


class ExercismSuite:
    """See the module.

    Args:
        exercises: Which exercises, and how they are tested.
    """

    name = "exercism"

    def __init__(self, exercises: Exercises) -> None:
        self._exercises = exercises

    def cases(self) -> Sequence[Exercise]:
        """Find the exercises."""
        return find_exercises(self._exercises.folder)

    async def evaluate(self, case: Exercise, bench: Bench) -> CaseResult:
        """Let the agent try, and test each try."""
        if bench.scripted and not case.example:
            return CaseResult(self.name, case.id, (), skipped="has no example solution to play")
        tried = await self._try(case, bench, case.steps if bench.scripted else ())
        last = tried.outcomes[-1]
        graded = [
            checks.ended(last),
            Check("tests", tried.tested[-1].passed, tried.tested[-1].output[-_TAIL:]),
            checks.agents(tried.outcomes[0], ("coder",)),
        ]
        if bench.scripted:
            stub = await self._test(case, case.start)
            graded.append(Check("stub_fails", not stub.passed, "the tests pass before any work is done"))
        return CaseResult(
            self.name,
            case.id,
            graded,
            seconds=sum(outcome.seconds for outcome in tried.outcomes),
            steps=tried.spent.calls + sum(len(outcome.ran) for outcome in tried.outcomes),
            spent=tried.spent,
            facts={"tries": len(tried.tested), "passed": tried.tested[-1].passed},
        )

    async def mutants(self, case: Exercise, bench: Bench) -> AsyncIterator[CaseResult]:
        """Break the example solution."""
        if bench.scripted and case.example:
            tried = await self._try(case, bench, break_edits(case.steps))
            check = Check("tests", tried.tested[-1].passed, "a broken solution passes")
            yield CaseResult(self.name, case.id, [check], mutant="broken_edit")

    def summary(self, results: Sequence[CaseResult]) -> dict[str, Any]:
        """Report the pass rate of the first try beside that of all."""
        facts = [result.facts for result in results if result.facts]
        if not facts:
            return {}
        first = sum(f["passed"] and f["tries"] == 1 for f in facts)
        return {
            "passed at first try": first / len(facts),
            "passed at last": sum(f["passed"] for f in facts) / len(facts),
        }

    async def _try(self, case: Exercise, bench: Bench, steps: Steps) -> Tried:
        meter = bench.meter()
        outcomes: list[Outcome] = []
        tested: list[Tested] = []
        message = _ASK.format(instructions=case.instructions, files=", ".join(case.solution))
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary) / PurePosixPath(case.id).name
            write_files(case.start, work)
            models = bench.models(script_of(case.id, steps, RoutedTo(agent="coder")))
            session = Session(root=work, models=models, meter=meter)
            while len(tested) < self._exercises.tries and not (tested and tested[-1].passed):
                outcomes.append(await session.turn(Turn(message=message, agent="coder", mode="auto")))
                tested.append(await self._test(case, contents(work)))
                message = _AGAIN.format(output=tested[-1].output[-_TAIL:], files=", ".join(case.solution))
        return Tried(outcomes, tested, meter.spent)

    async def _test(self, case: Exercise, files: dict[str, bytes]) -> Tested:
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary) / "work"
            write_files(files, work)
            return await run_tests(work, case.hidden, self._command(case), timeout_s=self._exercises.timeout_s)

    def _command(self, case: Exercise) -> list[str]:
        if self._exercises.test_command:
            return custom_command(self._exercises.test_command, case.tests)
        if all(name.endswith(".py") for name in case.tests):
            return pytest_command([name for name in case.tests if PurePosixPath(name).stem != "conftest"])
        raise InvalidInput(f"{case.id} is not Python: say how to test it, as in --test-command 'npm test -- {{tests}}'")
