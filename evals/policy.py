"""Suite `tool_policy`: a call, an agent, a mode and a workspace → allow, ask or deny, by the real policy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, field_validator

from ..agents.spec import load_agents
from ..core.types import PolicyDecision
from ..tools.approval import decide
from ..tools.facts import gather
from ..tools.policy import PolicyPin, Verdict
from ..tools.registry import canonical, grant_for
from ..tools.workspaces.local import LocalWorkspace
from .cases import Case, Layout, lay_out, load_cases, suite_files
from .report import CaseResult, Check
from .suite import Bench


class Called(Case):
    """A tool call as a model writes it."""

    id: str = ""
    tool: str
    args: dict[str, Any]


class PolicyCase(Case):
    """A call and what must become of it; several decisions mean that each of them is safe enough.

    Attributes:
        mode: The approval mode; `none` is a turn whose policy was never pinned.
        allow: The person's own rules for the turn.
    """

    agent: str
    mode: Literal["ask", "auto", "deny", "none"] = "ask"
    layout: str = "project"
    allow: tuple[dict[str, str], ...] = ()
    call: Called
    expect: tuple[PolicyDecision, ...]

    @field_validator("expect", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


async def judge(case: PolicyCase, layout: Layout) -> Verdict:
    """Lay the workspace out and ask the policy."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(layout, root)
        name = canonical(case.call.tool)
        facts = await gather(name, case.call.args, LocalWorkspace(root / "work", id="eval"))
    spec = load_agents()[case.agent]
    return decide(facts, grant_for(spec.name, spec.tools, spec.files), _pin(case))


def _pin(case: PolicyCase) -> PolicyPin | None:
    if case.mode == "none":
        return None
    return PolicyPin(version="1", mode=case.mode, turn_id="eval", expires_s=60, allow=[dict(r) for r in case.allow])


def grade(case: PolicyCase, decision: PolicyDecision, reason: str = "") -> list[Check]:
    """Check the decision."""
    wanted = "/".join(case.expect)
    detail = f"{case.call.tool} by {case.agent} in {case.mode} mode: {decision}, wanted {wanted} ({reason})"
    return [Check("decision", decision in case.expect, detail)]


class PolicySuite:
    """See the module."""

    name = "tool_policy"

    def cases(self) -> Sequence[PolicyCase]:
        """Load the cases."""
        return load_cases(self.name, PolicyCase)

    async def evaluate(self, case: PolicyCase, bench: Bench) -> CaseResult:  # noqa: ARG002 - no model takes part
        """Judge one call."""
        started = time.perf_counter()
        verdict = await judge(case, layouts()[case.layout])
        seconds = time.perf_counter() - started
        facts = {"decision": verdict.decision.value, "rule": verdict.rule}
        checks = grade(case, verdict.decision, f"{verdict.rule}: {verdict.reason}")
        return CaseResult(self.name, case.id, checks, seconds=seconds, steps=1, facts=facts)

    async def mutants(self, case: PolicyCase, bench: Bench) -> AsyncIterator[CaseResult]:  # noqa: ARG002 - as above
        """Put every wrong decision in the policy's mouth: an approval skipped, a forbidden tool let through."""
        for wrong in PolicyDecision:
            if wrong not in case.expect:
                yield CaseResult(self.name, case.id, grade(case, wrong, "spoilt"), mutant=f"decision:{wrong}")

    def summary(self, results: Sequence[CaseResult]) -> dict[str, Any]:
        """Count the decisions."""
        found: dict[str, int] = {}
        for result in results:
            if result.mutant is None:
                found[result.facts["decision"]] = found.get(result.facts["decision"], 0) + 1
        return dict(sorted(found.items()))


def layouts() -> Mapping[str, Layout]:
    """Load the workspaces that the cases name."""
    data = next(data for stem, data in suite_files("tool_policy") if stem == "layouts")
    return TypeAdapter(dict[str, Layout]).validate_python(data["layouts"])


SUITE = PolicySuite()
