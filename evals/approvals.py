"""Suite `approvals`: trajectories through the real graph with scripted answers and a scripted person."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from langgraph.types import Command
from pydantic import BaseModel, ConfigDict, Field

from . import checks
from .cases import Case, Layout, RoutedTo, Steps, lay_out, load_cases, read_back, script_of
from .report import CaseResult, Check
from .session import Action, Decision, Outcome, Session, Turn
from .spoil import noticed, spoil
from .suite import SCRIPTED, Bench

_NOTICED_BY = {"wrong_agent": "agents", "forbidden_tool": "ran_ok", "skipped_approval": "asked"}


class Expected(BaseModel):
    """What must have happened.

    Attributes:
        agents: Who took the turn, in order; default: the case's agent alone.
        asked: Tool names of each interrupt.
        ran: Tools that had their effect, in any order.
        denied: Tools refused at the tool.
        files: Content afterwards; None means that there is no such file.
        told: Regular expressions, each found in some tool result.
        never_told: Regular expressions found in none.
        final: Part of the last thing the agent said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: tuple[str, ...] = ()
    asked: tuple[tuple[str, ...], ...]
    ran: tuple[str, ...]
    denied: tuple[str, ...] = ()
    files: dict[str, str | None] = Field(default_factory=dict)
    told: tuple[str, ...] = ()
    never_told: tuple[str, ...] = ()
    final: str = ""


class ApprovalCase(Case):
    """One conversation.

    Attributes:
        decisions: What the person answers, one list per interrupt.
        invalid_answers: How many of them, from the first, are not valid and must be refused.
        answer_again: Whether the last answer is sent once more after the turn ended.
    """

    agent: str
    mode: str = "ask"
    message: str
    files: Layout = Field(default_factory=dict)
    steps: Steps
    decisions: tuple[tuple[Decision, ...], ...]
    expiry_s: float = 86_400
    invalid_answers: int = 0
    answer_again: bool = False
    expect: Expected


class Scripted:
    """A person who answers from a list; one question too many is an error of the case."""

    def __init__(self, decisions: Sequence[Sequence[Decision]]) -> None:
        self._left = list(decisions)

    def __call__(self, actions: Sequence[Action]) -> Sequence[Decision]:
        """Give the next answer."""
        if not self._left:
            raise ValueError(f"asked once too often: {[a['name'] for a in actions]}")
        return self._left.pop(0)


async def play(case: ApprovalCase, bench: Bench, root: Path) -> tuple[Outcome, Any]:
    """Run the case in `root`; what happened, and what it cost."""
    lay_out(case.files, root)
    meter = bench.meter()
    models = bench.models(script_of(case.id, case.steps, RoutedTo(agent=case.agent)))
    session = Session(root=root, models=models, meter=meter)
    turn = Turn(
        message=case.message,
        agent=case.agent,
        mode=case.mode,
        decider=Scripted(case.decisions),
        expiry_s=case.expiry_s,
        invalid_answers=case.invalid_answers,
    )
    outcome = await session.turn(turn)
    if case.answer_again:
        await session.send(turn, Command(resume={outcome.interrupts[-1]: {"decisions": list(case.decisions[-1])}}))
    return outcome, meter.spent


def grade(case: ApprovalCase, outcome: Outcome, files: dict[str, str | None]) -> list[Check]:
    """Check everything the case expects."""
    expect = case.expect
    return [
        checks.ended(outcome),
        checks.agents(outcome, expect.agents or (case.agent,)),
        checks.asked(outcome, expect.asked),
        checks.outcomes(outcome, "ok", expect.ran),
        checks.outcomes(outcome, "denied", expect.denied),
        checks.files(files, expect.files),
        checks.told(outcome, expect.told),
        checks.never_told(outcome, expect.never_told),
        Check("final", expect.final in outcome.final, f"the agent said {outcome.final!r}, wanted {expect.final!r}"),
    ]


class ApprovalSuite:
    """See the module."""

    name = "approvals"

    def cases(self) -> Sequence[ApprovalCase]:
        """Load the cases."""
        return load_cases(self.name, ApprovalCase)

    async def evaluate(self, case: ApprovalCase, bench: Bench) -> CaseResult:
        """Play and grade one conversation; a real model would not follow the script."""
        if not bench.scripted:
            return CaseResult(self.name, case.id, (), skipped=f"follows a script; run it with --model {SCRIPTED}")
        outcome, files, spent = await self._play(case, bench)
        steps = spent.calls + len(outcome.ran)
        found = grade(case, outcome, files)
        return CaseResult(self.name, case.id, found, seconds=outcome.seconds, steps=steps, spent=spent)

    async def mutants(self, case: ApprovalCase, bench: Bench) -> AsyncIterator[CaseResult]:
        """Let the person answer the opposite; skip the approvals; use a wrong agent or a forbidden tool."""
        if not bench.scripted:
            return
        if flipped := _flipped(case):
            outcome, files, _ = await self._play(flipped, bench)
            yield CaseResult(self.name, case.id, grade(case, outcome, files), mutant="opposite_answer")
        outcome, files, _ = await self._play(case, bench)
        for name, spoilt in spoil(outcome).items():
            if by := _NOTICED_BY.get(name):
                yield CaseResult(self.name, case.id, noticed(grade(case, spoilt, files), by), mutant=name)

    def summary(self, results: Sequence[CaseResult]) -> dict[str, Any]:
        """Nothing beyond the totals."""
        del results
        return {}

    async def _play(self, case: ApprovalCase, bench: Bench) -> tuple[Outcome, dict[str, str | None], Any]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "work"
            root.mkdir()
            outcome, spent = await play(case, bench, root)
            return outcome, {name: read_back(root, name) for name in case.expect.files}, spent


def _flipped(case: ApprovalCase) -> ApprovalCase | None:
    """Answer the last question the other way round, where that changes what runs."""
    if not case.decisions or case.expiry_s == 0 or not {"approve", "reject"} & {d["type"] for d in case.decisions[-1]}:
        return None
    last = tuple({"type": "reject" if d["type"] == "approve" else "approve"} for d in case.decisions[-1])
    return case.model_copy(update={"decisions": (*case.decisions[:-1], last)})


SUITE = ApprovalSuite()
