"""Suite `routing`: who takes a message. Rules alone, then the whole router; held-out labels counted apart.

Without a real model the router's model call is answered from the label (the oracle), so that a wrong answer is the
rules' own doing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import HumanMessage

from ..agents.spec import AgentSpec, load_agents
from ..core.permissions import ALL
from ..core.types import Principal
from ..graph.router import CERTAIN, Router
from ..graph.rules import route_by_rules
from ..llm.scripted import Reply, Script
from ..tools.context import Models, RunContext
from ..tools.memory import MemoryArtifacts, MemoryJournal
from ..tools.workspaces.local import LocalWorkspace
from .cases import Case, load_cases
from .notes import Notes
from .report import CaseResult, Check
from .session import FAILURES
from .suite import Bench

UNCLEAR = "unclear"
"""The label of a message that must be answered with a question."""


class RoutingCase(Case):
    """A labelled message.

    Attributes:
        agent: The right agent, or `unclear`.
        accept: Answers that are right too.
        current: The agent that holds the conversation.
        held_out: Whether the rules were written without looking at it.
    """

    text: str
    agent: str
    accept: tuple[str, ...] = ()
    current: str | None = None
    lang: Literal["en", "ru"] = "en"
    held_out: bool = False

    @property
    def right(self) -> frozenset[str]:
        """Every answer that is right."""
        return frozenset({self.agent, *self.accept})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the router said: the agent or `unclear`, and how it came to it."""

    agent: str
    method: str
    confidence: float
    reason: str


def grade(case: RoutingCase, answer: Answer) -> list[Check]:
    """Check the answer against the label."""
    detail = f"{case.text!r} went to {answer.agent} ({answer.method}: {answer.reason}), wanted {sorted(case.right)}"
    return [Check("agent", answer.agent in case.right, detail)]


class RoutingSuite:
    """See the module."""

    name = "routing"

    def cases(self) -> Sequence[RoutingCase]:
        """Load the labelled messages."""
        return load_cases(self.name, RoutingCase)

    async def evaluate(self, case: RoutingCase, bench: Bench) -> CaseResult:
        """Ask the rules, then the router."""
        meter, started = bench.meter(), time.perf_counter()
        roster = specialists()
        try:
            answer = await ask_router(case, roster, bench.models(_oracle(case)), meter)
        except FAILURES as exc:
            answer = Answer("error", "error", 0.0, f"{type(exc).__name__}: {exc}")
        return CaseResult(
            self.name,
            case.id,
            grade(case, answer),
            seconds=time.perf_counter() - started,
            steps=meter.spent.calls,
            spent=meter.spent,
            facts={**_facts(case, answer), "rules": rules_say(case, roster)},
        )

    async def mutants(self, case: RoutingCase, bench: Bench) -> AsyncIterator[CaseResult]:  # noqa: ARG002 - the seam's shape
        """Answer with every wrong agent."""
        for wrong in sorted({*specialists(), UNCLEAR} - case.right):
            checks = grade(case, Answer(wrong, "mutant", 1.0, "spoilt"))
            yield CaseResult(self.name, case.id, checks, mutant=f"wrong_agent:{wrong}")

    def summary(self, results: Sequence[CaseResult]) -> dict[str, Any]:
        """Report the rules' share and precision, the router's accuracy, held-out apart, and the confusion matrix."""
        facts = [r.facts for r in results if r.mutant is None and r.facts]
        held = [f for f in facts if f["held_out"]]
        seen = [f for f in facts if not f["held_out"]]
        report: dict[str, Any] = {}
        for name, part in (("all", facts), ("seen", seen), ("held_out", held)):
            report |= {f"{key} ({name})": value for key, value in _scores(part).items()}
        for lang in ("en", "ru"):
            report[f"accuracy ({lang})"] = _accuracy([f for f in facts if f["lang"] == lang])
        return {**report, "confusion": confusion(facts)}


def specialists() -> dict[str, AgentSpec]:
    """Return the agents the router chooses from."""
    return {name: spec for name, spec in load_agents().items() if not spec.single_mode_only}


def rules_say(case: RoutingCase, roster: Mapping[str, AgentSpec]) -> str | None:
    """Return the agent that the rules choose without a model, or None."""
    guess = route_by_rules(case.text, current=case.current, roster=roster)
    return guess.agent if guess and guess.confidence >= CERTAIN else None


async def ask_router(case: RoutingCase, roster: Mapping[str, AgentSpec], models: Models, meter: Any) -> Answer:
    """Let the real router choose."""
    router = Router(agents=roster, models=_Metered(models, meter))
    messages = [HumanMessage(case.text, id=case.id)]
    with tempfile.TemporaryDirectory() as folder:
        route = await router.choose(messages, current=case.current, context=_context(Path(folder), models))
    agent = UNCLEAR if route.options else route.agent
    return Answer(agent, route.method, route.confidence, route.reason)


class _Metered:
    """Models whose calls are booked, also where the caller passes no callbacks."""

    def __init__(self, models: Models, meter: Any) -> None:
        self._models = models
        self._meter = meter

    def chat(self, role: str) -> Any:
        return self._models.chat(role).model_copy(update={"callbacks": [self._meter]})


def _context(root: Path, models: Models) -> RunContext:
    return RunContext(
        principal=Principal("eval", scopes=ALL),
        thread_id="routing",
        turn_id="routing",
        run_id="routing",
        workspace_handle=LocalWorkspace(root, id="eval"),
        journal=MemoryJournal(),
        artifacts=MemoryArtifacts(),
        models=models,
        bus=Notes().bus(),
    )


def _oracle(case: RoutingCase) -> Script:
    """Answer from the label; of an unclear message the model is not sure."""
    sure = case.agent != UNCLEAR
    choice = {"agent": case.agent if sure else "ask", "confidence": 0.95 if sure else 0.2, "reason": "the label"}
    return Script(name=case.id, replies=(Reply(structured=choice),))


def _facts(case: RoutingCase, answer: Answer) -> dict[str, Any]:
    return {
        "label": case.agent,
        "right": sorted(case.right),
        "answer": answer.agent,
        "method": answer.method,
        "held_out": case.held_out,
        "lang": case.lang,
    }


def _accuracy(facts: Sequence[Mapping[str, Any]]) -> float:
    return sum(f["answer"] in f["right"] for f in facts) / len(facts) if facts else 0.0


def _scores(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Score one part; precision counts only messages that the rules decided alone."""
    alone = [f for f in facts if f["rules"]]
    hits = sum(f["rules"] in f["right"] for f in alone)
    return {
        "messages": len(facts),
        "rules-only share": len(alone) / len(facts) if facts else 0.0,
        "rules-only precision": hits / len(alone) if alone else 0.0,
        "router accuracy": _accuracy(facts),
    }


def confusion(facts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count answers by label; an accepted other answer counts as the label."""
    matrix: dict[str, dict[str, int]] = {}
    for fact in facts:
        answer = fact["label"] if fact["answer"] in fact["right"] else fact["answer"]
        row = matrix.setdefault(fact["label"], {})
        row[answer] = row.get(answer, 0) + 1
    return matrix


SUITE = RoutingSuite()
