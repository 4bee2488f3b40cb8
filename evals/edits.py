"""Suite `edit_format`: edits in right and wrong formats through the real agent; what applies and what is refused."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import model_validator

from ..llm.scripted import ScriptedCall
from . import checks
from .cases import Case, RoutedTo, Step, Steps, lay_out, load_cases, read_back, script_of
from .meter import Spent
from .report import CaseResult, Check
from .session import Outcome, Session, Turn
from .spoil import break_edits, drop_edits
from .suite import Bench


class EditCase(Case):
    """One edit of one file.

    Attributes:
        path: The file that is looked at afterwards.
        before: Its content before; None: it is not there.
        result: Its content after an edit that applies; None: it is gone.
        refused: Pattern of the refusal; the file must then be as before.
        told: Pattern of the result of an edit that applies.
        task: The same edit as a task in words, for real models.
    """

    tool: str
    path: str
    before: str | None
    args: dict[str, Any] | str
    result: str | None = None
    refused: str | None = None
    told: str = ""
    task: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> EditCase:
        if self.refused is None and self.result == self.before:
            raise ValueError("the edit must change the file or be refused")
        return self

    @property
    def steps(self) -> Steps:
        """The script: the call, then a word."""
        return (Step(calls=(ScriptedCall(name=self.tool, args=self.args),)), Step(say="Done."))

    @property
    def wanted(self) -> str | None:
        """The file's content afterwards."""
        return self.result if self.refused is None else self.before


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of it."""

    outcome: Outcome
    content: str | None
    outside: list[str]
    spent: Spent


async def attempt(case: EditCase, bench: Bench, steps: Steps) -> Edited:
    """Let the coder do it; nobody needs to approve."""
    meter = bench.meter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "work"
        root.mkdir()
        lay_out({} if case.before is None else {case.path: case.before}, root)
        models = bench.models(script_of(case.id, steps, RoutedTo(agent="coder")))
        session = Session(root=root, models=models, meter=meter)
        outcome = await session.turn(Turn(message=case.task or "Edit the file.", agent="coder", mode="auto"))
        return Edited(outcome, read_back(root, case.path), neighbours(root), meter.spent)


def neighbours(root: Path) -> list[str]:
    """Name what lies beside the workspace."""
    return sorted(path.name for path in root.parent.iterdir() if path != root)


def grade(case: EditCase, edited: Edited, *, scripted: bool = True) -> list[Check]:
    """Check the file, what lies beside the workspace, and what the model was told."""
    found = [
        checks.ended(edited.outcome),
        Check("content", edited.content == case.wanted, f"{edited.content!r}, wanted {case.wanted!r}"),
        Check("outside", not edited.outside, f"beside the workspace: {edited.outside}"),
    ]
    return [*found, _told(case, edited.outcome)] if scripted else found


def _told(case: EditCase, outcome: Outcome) -> Check:
    failed = any(m.status == "error" for m in outcome.results)
    wanted = case.refused is not None
    words = checks.told(outcome, [case.refused or case.told])
    return Check("told", failed is wanted and words.passed, f"refused: {failed}, wanted {wanted}; {words.detail}")


class EditSuite:
    """See the module."""

    name = "edit_format"

    def cases(self) -> Sequence[EditCase]:
        """Load the cases."""
        return load_cases(self.name, EditCase)

    async def evaluate(self, case: EditCase, bench: Bench) -> CaseResult:
        """Run one edit; a real model is given the task in words."""
        if not bench.scripted and case.task is None:
            return CaseResult(self.name, case.id, (), skipped="has no task in words")
        edited = await attempt(case, bench, case.steps)
        return CaseResult(
            self.name,
            case.id,
            grade(case, edited, scripted=bench.scripted),
            seconds=edited.outcome.seconds,
            steps=edited.spent.calls + len(edited.outcome.ran),
            spent=edited.spent,
            facts={"tool": case.tool, "first_try": not any(m.status == "error" for m in edited.outcome.results)},
        )

    async def mutants(self, case: EditCase, bench: Bench) -> AsyncIterator[CaseResult]:
        """Break the edit or leave it out; let a refused one through."""
        if not bench.scripted:
            return
        if case.refused is not None:
            yield self._mutant(case, await attempt(case, bench, drop_edits(case.steps)), "not_tried")
            yield self._mutant(case, await self._let_through(case, bench), "let_through")
            return
        for name, change in (("broken_edit", break_edits), ("no_edit", drop_edits)):
            steps = change(case.steps)
            if steps != case.steps:
                yield self._mutant(case, await attempt(case, bench, steps), name)

    async def _let_through(self, case: EditCase, bench: Bench) -> Edited:
        """Put a writing call in the place of the one that must be refused."""
        call = ScriptedCall(name="write_file", args={"path": case.path, "content": "spoilt\n"})
        return await attempt(case, bench, (Step(calls=(call,)), Step(say="Done.")))

    def _mutant(self, case: EditCase, edited: Edited, name: str) -> CaseResult:
        return CaseResult(self.name, case.id, grade(case, edited), mutant=name)

    def summary(self, results: Sequence[CaseResult]) -> dict[str, Any]:
        """Say how often the first try of an edit applied."""
        facts = [r.facts for r in results if r.facts]
        return {"edits without an error": f"{sum(f['first_try'] for f in facts)}/{len(facts)}"} if facts else {}


SUITE = EditSuite()
