"""The things that can be checked of a turn through the real graph."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ..agents.spec import load_agents
from ..tools.registry import specs_for
from .report import Check
from .session import Outcome


def ended(outcome: Outcome) -> Check:
    """The turn came to rest by itself."""
    return Check("ended", outcome.error is None, outcome.error or "")


def agents(outcome: Outcome, wanted: Sequence[str]) -> Check:
    """These agents took the turn, in this order."""
    return Check("agents", list(wanted) == outcome.agents, f"{outcome.agents}, wanted {list(wanted)}")


def asked(outcome: Outcome, wanted: Sequence[Sequence[str]]) -> Check:
    """These calls were asked for, interrupt by interrupt."""
    found = [[action["name"] for action in actions] for actions in outcome.asked]
    return Check("asked", found == [list(names) for names in wanted], f"{found}, wanted {[list(n) for n in wanted]}")


def outcomes(outcome: Outcome, kind: str, wanted: Sequence[str]) -> Check:
    """These tools came back in this way (`ok`, `error`, `denied`), in any order."""
    found = Counter(ran.tool for ran in outcome.ran if ran.outcome == kind)
    return Check(f"ran_{kind}", found == Counter(wanted), f"{dict(found)}, wanted {dict(Counter(wanted))}")


def files(found: Mapping[str, str | None], wanted: Mapping[str, str | None]) -> Check:
    """The files have this content; None: they do not exist."""
    wrong = [
        f"{name}: {found.get(name)!r}, wanted {text!r}" for name, text in wanted.items() if found.get(name) != text
    ]
    return Check("files", not wrong, "; ".join(wrong))


def told(outcome: Outcome, patterns: Sequence[str]) -> Check:
    """Each pattern is found in some tool result."""
    results = [m.text for m in outcome.results]
    missing = [p for p in patterns if not any(re.search(p, text) for text in results)]
    return Check("told", not missing, f"no result matches {missing}; results: {[text[:200] for text in results]}")


def never_told(outcome: Outcome, patterns: Sequence[str]) -> Check:
    """No pattern is found in any message."""
    leaked = [p for p in patterns for m in outcome.messages if re.search(p, m.text)]
    return Check("never_told", not leaked, f"leaked: {leaked}")


def allowed_tools(outcome: Outcome, allowed: Sequence[str]) -> Check:
    """No other tool had an effect; without a list, none that its agent does not hold."""
    ran = [call for call in outcome.ran if call.outcome != "denied"]
    found = sorted({call.tool for call in ran if call.tool not in (allowed or _held(call.agent))})
    return Check("tools_allowed", not found, f"called {found}, allowed {list(allowed) or 'what the agents hold'}")


def _held(agent: str) -> frozenset[str]:
    spec = load_agents().get(agent)
    return frozenset({"switch_agent", *(tool.name for tool in specs_for(spec.tools))} if spec else ())


def approved(outcome: Outcome, needing: Sequence[str]) -> Check:
    """Every call of these tools that had its effect was approved (or edited) by the person."""
    granted = {call for call, decision in outcome.decided.items() if decision["type"] in {"approve", "edit"}}
    skipped = [r.tool for r in outcome.ran if r.tool in needing and r.outcome != "denied" and r.call_id not in granted]
    return Check("approvals", not skipped, f"ran without approval: {skipped}")
