"""What is never done, whoever approves: unknown tools, out of bounds, secrets, forbidden commands, no grant. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import re2

from ..core.errors import ConfigError
from ..core.types import PolicyDecision, ToolGroup
from .commands import denied
from .globs import quiet
from .guarded import is_secret
from .policy import CallFacts, Grant, Verdict

_WRITING = frozenset({ToolGroup.EDIT, ToolGroup.GIT_WRITE, ToolGroup.EXECUTE})


def denial(facts: CallFacts, grant: Grant) -> Verdict | None:
    """Say why a call can never be; None if a person may let it be."""
    for rule, check in _CHECKS:
        if reason := check(facts, grant):
            return Verdict(PolicyDecision.DENY, rule, reason, "high")
    return None


def file_rules(patterns: Iterable[str]) -> tuple[re2._Regexp, ...]:
    """Compile an agent's file rules with a linear-time engine; `ConfigError` names one that cannot be read."""
    return tuple(_compiled(pattern) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re2._Regexp:
    try:
        return re2.compile(pattern, quiet())
    except re2.error as exc:
        raise ConfigError(f"the file rule {pattern!r} is not a regular expression that RE2 can read: {exc}") from exc


def _unknown(facts: CallFacts, _grant: Grant) -> str | None:
    return None if facts.known and facts.group else f"there is no tool {facts.tool}"


def _refused(facts: CallFacts, _grant: Grant) -> str | None:
    return facts.refused


def _outside(facts: CallFacts, _grant: Grant) -> str | None:
    found = next((path for path in (*facts.reads, *facts.writes) if not _is_inside(path)), None)
    return None if found is None else f"{found!r} is outside the workspace"


def _is_inside(path: str) -> bool:
    return bool(path) and not path.startswith(("/", "~")) and ".." not in path.split("/") and "\0" not in path


def _secret(facts: CallFacts, _grant: Grant) -> str | None:
    found = next((path for path in (*facts.reads, *facts.writes) if is_secret(path)), None)
    return f"{found} is secret: agents neither read nor write it" if found else None


def _forbidden(facts: CallFacts, _grant: Grant) -> str | None:
    reason = denied(facts.command) if facts.command is not None else None
    return f"this command may never run: {reason}" if reason else None


def _not_granted(facts: CallFacts, grant: Grant) -> str | None:
    if facts.tool in grant.named or (facts.tool in grant.tools and _needed(facts) <= grant.groups):
        return None
    what = f"{facts.tool} ({facts.action})" if facts.action else facts.tool
    return f"the agent {grant.agent} may not use {what}; hand over to an agent that may"


def _needed(facts: CallFacts) -> frozenset[ToolGroup | None]:
    """The groups a call needs: its own, and edit where showing something (a patch to review) also writes."""
    return frozenset({facts.group, ToolGroup.EDIT} if facts.group is ToolGroup.UI and facts.writes else {facts.group})


def _file_rule(facts: CallFacts, grant: Grant) -> str | None:
    if not grant.files:
        return None
    if facts.group in _WRITING and not facts.writes:
        return f"the agent {grant.agent} may write some files only: name the files"
    rules = file_rules(grant.files)
    found = next((path for path in facts.writes if not any(rule.fullmatch(path) for rule in rules)), None)
    allowed = ", ".join(grant.files)
    return f"the agent {grant.agent} may not write {found}, only files matching {allowed}" if found else None


_CHECKS: tuple[tuple[str, Callable[[CallFacts, Grant], str | None]], ...] = (
    ("unknown_tool", _unknown),
    ("refused", _refused),
    ("outside", _outside),
    ("secret", _secret),
    ("forbidden_command", _forbidden),
    ("not_granted", _not_granted),
    ("file_rule", _file_rule),
)
