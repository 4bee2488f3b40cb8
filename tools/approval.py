"""Allow, ask or deny: a pure function of the facts of a call, the agent's grant and the turn's pinned policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.types import ApprovalMode, DecisionKind, PolicyDecision, ToolGroup
from .command_risk import risk as command_risk
from .commands import argvs
from .guarded import is_protected
from .permissions import denial
from .policy import CallFacts, Grant, PolicyPin, Risk, Verdict
from .shellwords import read_line

QUESTION = "prompt_user"
REVIEW = "apply_patch_review"

_FREE_GROUPS = frozenset({ToolGroup.READ, ToolGroup.FLOW, ToolGroup.GIT_READ, ToolGroup.UI})
_FREE_TOOLS = frozenset({"read_output", "kill_command"})
_RISKS: Mapping[tuple[str, str], Risk] = {
    ("delete_file", ""): "medium",
    ("move_file", ""): "medium",
    ("git_commit", ""): "medium",
    ("git_branch", "create"): "low",
    ("git_branch", "switch"): "medium",
    ("git_branch", "delete"): "high",
}
# An option that makes a program run or write something else keeps a rule on its first words from matching.
_HIDDEN_POWERS = ("-c", "-o", "-x", "-e", "-O", "--exec", "--output", "--config", "--upload-pack", "--receive-pack")

_NOBODY = "no one is there to answer: decide yourself with what you know"


def decide(facts: CallFacts, grant: Grant, pin: PolicyPin | None) -> Verdict:
    """Judge a call. A missing pin denies, a mode that is not known asks."""
    if never := denial(facts, grant):
        return never
    if pin is None:
        return Verdict(PolicyDecision.DENY, "no_policy", "this turn has no policy, so nothing may run", "high")
    verdict = _judge(facts, pin)
    if verdict.decision is PolicyDecision.ASK and pin["mode"] == ApprovalMode.DENY:
        why = _NOBODY if facts.tool == QUESTION else f"approvals are off for this turn, and {verdict.reason}"
        return Verdict(PolicyDecision.DENY, "mode_deny", why, verdict.risk)
    return verdict


def allowed_decisions(tool: str) -> tuple[DecisionKind, ...]:
    """List what a person may answer to a call of `tool`."""
    if tool == QUESTION:
        return (DecisionKind.RESPOND, DecisionKind.EDIT, DecisionKind.REJECT)
    return (DecisionKind.APPROVE, DecisionKind.EDIT, DecisionKind.REJECT, DecisionKind.RESPOND)


def _judge(facts: CallFacts, pin: PolicyPin) -> Verdict:
    level, reason = _risk(facts)
    for rule in (_person, _protected, _free, _unclear):
        if verdict := rule(facts, reason):
            return verdict
    if any_rule(facts, pin.get("allow", ())):
        return Verdict(PolicyDecision.ALLOW, "person_rule", "a rule of yours allows it", level)
    if level != "high" and pin["mode"] == ApprovalMode.AUTO:
        return Verdict(PolicyDecision.ALLOW, "mode_auto", "this turn allows what is not risky", level)
    return Verdict(PolicyDecision.ASK, "risky" if level == "high" else "default", reason, level)


def _person(facts: CallFacts, _reason: str) -> Verdict | None:
    why = {QUESTION: "it asks you something", REVIEW: "it wants a patch reviewed"}.get(facts.tool)
    return Verdict(PolicyDecision.ASK, "person", why) if why else None


def _free(facts: CallFacts, _reason: str) -> Verdict | None:
    free = facts.group in _FREE_GROUPS or facts.tool in _FREE_TOOLS
    return Verdict(PolicyDecision.ALLOW, "default", "it changes nothing") if free else None


def _protected(facts: CallFacts, _reason: str) -> Verdict | None:
    path = next((path for path in facts.writes if is_protected(path)), None)
    return Verdict(PolicyDecision.ASK, "protected", f"{path} is protected", "high") if path else None


def _unclear(facts: CallFacts, reason: str) -> Verdict | None:
    unclear = facts.command is not None and facts.argvs is None
    return Verdict(PolicyDecision.ASK, "unclear_command", reason, "high") if unclear else None


def _risk(facts: CallFacts) -> tuple[Risk, str]:
    if facts.command is not None:
        level, reason = command_risk(facts.command)
        if facts.outside:
            return "high", f"it touches {facts.outside[0]}"
        return level, reason
    level = _RISKS.get((facts.tool, facts.action), "low")
    names = ", ".join(facts.writes[:3]) + (" …" if len(facts.writes) > 3 else "")  # noqa: PLR2004 - enough to know
    return level, f"it changes {names or 'the repository'}"


def any_rule(facts: CallFacts, rules: Sequence[Mapping[str, str]]) -> bool:
    """Whether the person's rules cover the whole call: every simple command of it, or every path it writes."""
    mine = [rule for rule in rules if rule.get("tool") == facts.tool]
    exact = [rule["exact"] for rule in mine if "exact" in rule]
    if facts.argvs is None:
        return bool(facts.writes) and set(exact).issuperset(facts.writes)
    whole = [argvs(read_line(text)) for text in exact]
    called = tuple(tuple(argv) for argv in facts.argvs)
    if called in whole:
        return True
    singles = {line[0] for line in whole if line and len(line) == 1}
    prefixes = [] if facts.outside else [tuple(rule["prefix"].split()) for rule in mine if rule.get("prefix")]
    covered = (argv in singles or any(_starts(argv, prefix) for prefix in prefixes) for argv in called)
    return bool(called) and all(covered)


def _starts(argv: Sequence[str], prefix: Sequence[str]) -> bool:
    """Whether an argv begins with these very tokens and has no option after them that hides another command."""
    rest = argv[len(prefix) :]
    return tuple(argv[: len(prefix)]) == tuple(prefix) and not any(word.startswith(_HIDDEN_POWERS) for word in rest)
