"""Suite `coding`: small tasks with hidden tests, graded by the tests, the files and the trajectory.

A task is a folder: `case.yaml`, `start/` (what the agent finds), `hidden/` (tests it never sees). Python files in it
end in `.py.txt`, so that no tool takes them for code of this package. The script of the case is its reference
solution, and drives the real agent: the stub must fail the tests, the reference must pass them.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from . import checks
from .cases import Case, RoutedTo, Steps, parse_case, script_of
from .grading import Tested, contents, pytest_command, run_tests, write_files
from .meter import Spent
from .report import CaseResult, Check
from .session import Outcome, Session, Turn
from .spoil import EDITING, break_edits, noticed, spoil
from .suite import Bench
from .trajectory import at_least, same_calls

NEED_APPROVAL = (*sorted(EDITING), "execute_command", "git_commit")
_NOTICED_BY = {
    "broken_edit": "tests",
    "wrong_agent": "agents",
    "forbidden_tool": "tools_allowed",
    "wrong_trajectory": "trajectory",
    "skipped_approval": "approvals",
}


class CodingCase(Case):
    """One task.

    Attributes:
        agent: Who must have taken it first; the router decides.
        agents: Everybody who took it, in order, where it is more than one.
        contains: File → texts that must stand in it afterwards.
        unchanged: Files that must be as they were.
        required: Tools that any solution calls.
        allowed: Tools a solution may call; empty means any.
        steps: The reference solution.
    """

    prompt: str
    agent: str = "coder"
    agents: tuple[str, ...] = ()
    contains: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    unchanged: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    steps: Steps


@dataclass(frozen=True, slots=True)
class Solved:
    """What a run left behind."""

    outcome: Outcome
    tested: Tested
    texts: Mapping[str, str]
    spent: Spent


@contextmanager
def task_folder(name: str) -> Iterator[Path]:
    """Give the task's folder on disk."""
    with as_file(files(__package__) / "suites" / "coding" / name) as folder:
        yield folder


def task_files(folder: Path) -> dict[str, bytes]:
    """Read what a task keeps in a folder, under the names that the files really have."""
    return {name.removesuffix(".txt") if name.endswith(".py.txt") else name: b for name, b in contents(folder).items()}


async def run_hidden(work: Path, folder: Path) -> Tested:
    """Run the task's hidden tests on a workspace."""
    hidden = task_files(folder / "hidden")
    names = [name for name in hidden if Path(name).name.startswith("test_")]
    return await run_tests(work, hidden, pytest_command(names))


async def solve(case: CodingCase, bench: Bench, steps: Steps) -> Solved:
    """Let the agent work on a copy of the start, approve what it asks, then test."""
    meter = bench.meter()
    with task_folder(case.id) as folder, tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "work"
        write_files(task_files(folder / "start"), work)
        models = bench.models(script_of(case.id, steps, RoutedTo(agent=case.agent)))
        outcome = await Session(root=work, models=models, meter=meter).turn(Turn(message=case.prompt))
        tested = await run_hidden(work, folder)
        texts = {name: data.decode("utf-8", "replace") for name, data in contents(work).items()}
    return Solved(outcome, tested, texts, meter.spent)


async def stub_result(case: CodingCase) -> Tested:
    """Run the hidden tests before any work is done."""
    with task_folder(case.id) as folder, tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "work"
        write_files(task_files(folder / "start"), work)
        return await run_hidden(work, folder)


def grade(case: CodingCase, solved: Solved, *, scripted: bool) -> list[Check]:
    """Check tests, files, agents, tools, approvals and the trajectory."""
    messages = solved.outcome.messages
    return [
        checks.ended(solved.outcome),
        Check("tests", solved.tested.passed, solved.tested.output[-2000:]),
        check_contains(case, solved.texts),
        check_unchanged(case, solved.texts),
        checks.agents(solved.outcome, case.agents or (case.agent,)),
        checks.allowed_tools(solved.outcome, case.allowed),
        checks.approved(solved.outcome, NEED_APPROVAL),
        same_calls(messages, case.steps) if scripted else at_least(messages, case.required),
    ]


def check_contains(case: CodingCase, texts: Mapping[str, str]) -> Check:
    """The files hold the texts."""
    missing = [
        f"{name}: {t!r}" for name, wanted in case.contains.items() for t in wanted if t not in texts.get(name, "")
    ]
    return Check("contains", not missing, f"missing {missing}")


def check_unchanged(case: CodingCase, texts: Mapping[str, str]) -> Check:
    """The files are as they were."""
    with task_folder(case.id) as folder:
        start = {name: data.decode("utf-8", "replace") for name, data in task_files(folder / "start").items()}
    changed = [name for name in case.unchanged if texts.get(name) != start.get(name)]
    return Check("unchanged", not changed, f"changed {changed}")


class CodingSuite:
    """See the module."""

    name = "coding"

    def __init__(self) -> None:
        self._solved: dict[str, Solved] = {}

    def cases(self) -> Sequence[CodingCase]:
        """Load every task; its folder's name is its id."""
        found = []
        with as_file(files(__package__) / "suites" / "coding") as base:
            for file in sorted(base.glob("*/case.yaml")):
                raw = {"id": file.parent.name, **yaml.safe_load(file.read_text("utf-8"))}
                found.append(parse_case(raw, CodingCase, source=f"coding/{file.parent.name}/case.yaml"))
        return found

    async def evaluate(self, case: CodingCase, bench: Bench) -> CaseResult:
        """Test the stub, solve the task, grade it."""
        solved = await solve(case, bench, case.steps)
        graded = grade(case, solved, scripted=bench.scripted)
        if bench.scripted:
            self._solved[case.id] = solved
            stub = await stub_result(case)
            graded.append(Check("stub_fails", not stub.passed, "the hidden tests pass before any work is done"))
        return CaseResult(
            self.name,
            case.id,
            graded,
            seconds=solved.outcome.seconds,
            steps=solved.spent.calls + len(solved.outcome.ran),
            spent=solved.spent,
        )

    async def mutants(self, case: CodingCase, bench: Bench) -> AsyncIterator[CaseResult]:
        """Break the edits; claim another agent, a forbidden tool, approvals nobody gave."""
        if not bench.scripted:
            return
        broken = await solve(case, bench, break_edits(case.steps))
        yield self._mutant(case, broken, "broken_edit")
        solved = self._solved.get(case.id) or await solve(case, bench, case.steps)
        for name, outcome in spoil(solved.outcome).items():
            yield self._mutant(case, replace(solved, outcome=outcome), name)

    def _mutant(self, case: CodingCase, solved: Solved, name: str) -> CaseResult:
        checked = noticed(grade(case, solved, scripted=True), _NOTICED_BY[name])
        return CaseResult(self.name, case.id, checked, mutant=name)

    def summary(self, results: Sequence[CaseResult]) -> dict[str, Any]:
        """Nothing beyond the totals."""
        del results
        return {}


SUITE = CodingSuite()
