"""Mutants: outcomes and scripts that are wrong on purpose. A grader that lets one pass is worth nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..llm.scripted import ScriptedCall
from .cases import Step, Steps
from .report import Check
from .session import Outcome, Ran

EDITING = frozenset({"write_file", "edit_file", "apply_patch", "delete_file", "move_file", "create_directory"})
FORBIDDEN = "format_disk"
"""A tool that no agent has."""
_JUNK = " @@spoilt@@"


def spoil(outcome: Outcome) -> dict[str, Outcome]:
    """Make outcomes that no case may accept, by what is wrong with them."""
    agent = outcome.agents[-1] if outcome.agents else "coder"
    made = {
        "wrong_agent": replace(outcome, agents=["nobody"]),
        "forbidden_tool": replace(outcome, ran=[*outcome.ran, Ran(FORBIDDEN, "spoilt", agent, "ok")]),
    }
    if outcome.calls:
        made["wrong_trajectory"] = replace(outcome, messages=outcome.messages[-1:])
    if any(decision["type"] in {"approve", "edit"} for decision in outcome.decided.values()):
        made["skipped_approval"] = replace(outcome, asked=[], decided={})
    return made


def noticed(graded: Sequence[Check], by: str) -> Sequence[Check]:
    """Keep the check that has to notice: a mutant that fails for another reason proves nothing."""
    return [check for check in graded if check.name == by]


def break_edits(steps: Steps) -> Steps:
    """Spoil what every editing call writes."""
    return tuple(_mapped(step, lambda call: [_broken(call)]) for step in steps)


def drop_edits(steps: Steps) -> Steps:
    """Leave every editing call out; the model only says that it is done."""
    kept = [_mapped(step, lambda call: [] if call.name in EDITING else [call]) for step in steps]
    return tuple(step for step in kept if step.calls or step.say) or (Step(say="Done."),)


def _mapped(step: Step, change: Any) -> Step:
    return step.model_copy(update={"calls": tuple(new for call in step.calls for new in change(call))})


def _broken(call: ScriptedCall) -> ScriptedCall:
    if call.name not in EDITING or isinstance(call.args, str):
        return call
    return call.model_copy(update={"args": _broken_args(call.args)})


def _broken_args(args: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(args)
    if isinstance(args.get("content"), str):
        made["content"] = args["content"][: len(args["content"]) // 3] + _JUNK
    if isinstance(args.get("edits"), list):
        made["edits"] = [{**edit, "new": edit.get("new", "") + _JUNK} for edit in args["edits"]]
    if isinstance(args.get("patch"), str):
        made["patch"] = "\n".join(_broken_line(line) for line in args["patch"].split("\n"))
    return made


def _broken_line(line: str) -> str:
    return line + _JUNK if line.startswith("+") and not line.startswith("+++") else line
