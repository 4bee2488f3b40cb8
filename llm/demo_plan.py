"""From orders to tool calls, one at a time: what is left to do is read off what this turn has already done."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answer import Call
from .demo_intents import TESTS_COMMAND, Intent
from .request import Done

_EMPTY = re.compile(r"^\(the file is empty\)$", re.MULTILINE)
_MORE = re.compile(r"(\d+) more lines: read on with offset=(\d+)")
_LAST_LINES = 40
_NUMBERED = re.compile(r"^\s*\d+\s*[|:\t→]\s?")
_ABSENT = re.compile(r"not found|no such|does not exist|there is no|нет такого|не найден", re.IGNORECASE)
_WHOLE = re.compile(
    r"this|here|(?:the\s+)?(?:project|repo|repository|code|workspace)|проект\w*|репозитори\w*|код\w*", re.IGNORECASE
)
_NOT_STEPS = frozenset({"switch_agent", "update_todo_list"})


@dataclass
class Plan:
    """Where a turn stands.

    Attributes:
        next: The call to make now; None when there is nothing left, or nothing can be done.
        parts: Every order that was begun with its calls.
        failed: The call that went wrong and has no alternative.
    """

    next: Call | None = None
    parts: list[tuple[Intent, list[Done]]] = field(default_factory=list)
    failed: Done | None = None


def make_plan(intents: Sequence[Intent], done: Sequence[Done]) -> Plan:
    """Walk the orders along the calls already made and stop at the first that is not done."""
    steps = [one for one in done if one.name not in _NOT_STEPS]
    plan = Plan()
    switched = {str(one.args.get("agent")) for one in done if one.name == "switch_agent"}
    for intent in intents:
        if intent.kind == "handoff" and intent["agent"].lower() in switched:
            continue
        mine: list[Done] = []
        plan.parts.append((intent, mine))
        while (call := _next_call(intent, mine)) is not None:
            if not steps:
                plan.next = call
                return plan
            if steps[0].name != call.name:  # the history is not of this plan: never repeat, stop
                return plan
            mine.append(steps.pop(0))
        if mine and mine[-1].failed:
            plan.failed = mine[-1]
            return plan
    return plan


def _next_call(intent: Intent, mine: Sequence[Done]) -> Call | None:
    if intent.kind in {"read", "explain"}:
        return _read(intent, mine)
    if intent.kind == "append":
        return _append(intent, mine)
    return None if mine else _SINGLE[intent.kind](intent)


def _read(intent: Intent, mine: Sequence[Done]) -> Call | None:
    """Read a file; one that is not there is looked for by its name, once."""
    if not mine:
        return Call("read_file", {"path": intent["path"]})
    last = mine[-1]
    if len(mine) == 1 and last.failed and is_absent(last):
        return Call("list_files", {"path": ".", "recursive": True})
    if last.name == "list_files" and not last.failed and (path := _same_name(intent["path"], last.text or "")):
        return Call("read_file", {"path": path})
    return None


def _append(intent: Intent, mine: Sequence[Done]) -> Call | None:
    """Read the file, then replace its last lines by themselves and the text; write it if it is not there."""
    path = intent["path"]
    if not mine:
        return Call("read_file", {"path": path})
    last = mine[-1]
    if last.name != "read_file" or (last.failed and not is_absent(last)):
        return None
    if len(mine) == 1 and (more := _MORE.search(last.text or "")):
        return Call("read_file", {"path": path, "offset": int(more[2]) + max(0, int(more[1]) - _LAST_LINES)})
    tail = "" if last.failed else _unique_tail(file_lines(last.text or ""))
    if not tail:
        return Call("write_file", {"path": path, "content": intent["text"] + "\n"})
    return Call("edit_file", {"path": path, "edits": [{"old": tail, "new": f"{tail}\n{intent['text']}"}]})


def is_absent(done: Done) -> bool:
    """Whether a failure says that the file is not there."""
    return bool(_ABSENT.search(done.text or ""))


def file_lines(result: str) -> list[str]:
    """The lines of a file as `read_file` shows them, without numbers, header and notes."""
    lines = result.rstrip("\n").split("\n")
    numbered = [line for line in lines if _NUMBERED.match(line)]
    if not numbered and _EMPTY.search(result):
        return []
    return [_NUMBERED.sub("", line, count=1) for line in numbered] if numbered else lines


def _unique_tail(lines: Sequence[str]) -> str:
    """The fewest last lines that stand in the file once."""
    whole = "\n".join(lines)
    if not whole.strip():
        return ""
    tails = ("\n".join(lines[-count:]) for count in range(1, len(lines) + 1))
    return next(tail for tail in tails if tail.strip() and (whole.count(tail) == 1 or tail == whole))


def _same_name(path: str, listing: str) -> str | None:
    name = re.split(r"[/\\]", path)[-1].casefold()
    found = {word for line in listing.splitlines() if (word := line.strip(" -*\t").split("  ")[0].strip())}
    hits = [word for word in found if word.casefold().endswith("/" + name) or word.casefold() == name]
    return hits[0] if len(hits) == 1 and hits[0] != path else None


def _place(intent: Intent) -> str:
    return "" if _WHOLE.fullmatch(intent["path"]) else intent["path"]


def _list(intent: Intent) -> Call:
    return Call("list_files", {"path": _place(intent) or ".", "recursive": bool(intent["deep"])})


def _search(intent: Intent) -> Call:
    args: dict[str, Any] = {"pattern": intent["pattern"]}
    return Call("search_files", {**args, "path": _place(intent)} if _place(intent) else args)


def _replace(intent: Intent) -> Call:
    edit: dict[str, Any] = {"old": intent["old"], "new": intent["new"]}
    return Call(
        "edit_file", {"path": intent["path"], "edits": [{**edit, "replace_all": True} if intent["all"] else edit]}
    )


def _create(intent: Intent) -> Call:
    content = intent["content"]
    ended = content if not content or content.endswith("\n") else content + "\n"
    return Call("write_file", {"path": intent["path"], "content": ended})


def _question(intent: Intent) -> Call:
    choices = [choice.strip() for choice in re.split(r",|;|\bor\b|\bили\b", intent["choices"]) if choice.strip()]
    question: dict[str, Any] = {"question": intent["question"].strip(" ,:")}
    question |= {"kind": "choice", "choices": choices} if choices else {"kind": "text"}
    return Call("prompt_user", {"questions": [question]})


def _log(intent: Intent) -> Call:
    return Call("git_log", {"limit": int(intent["limit"] or 10)})


def _commit(intent: Intent) -> Call:
    args: dict[str, Any] = {"message": intent["message"] or "Changes made with CodeLab"}
    paths = [intent["path"]] if intent["path"] else ["."] if intent["all"] else []
    return Call("git_commit", {**args, "paths": paths} if paths else args)


def _branch(action: str) -> Callable[[Intent], Call]:
    return lambda intent: Call("git_branch", {"action": action, **({"name": intent["name"]} if intent["name"] else {})})


_SINGLE: Mapping[str, Callable[[Intent], Call]] = {
    "list": _list,
    "search": _search,
    "create": _create,
    "replace": _replace,
    "delete": lambda intent: Call("delete_file", {"path": intent["path"]}),
    "move": lambda intent: Call("move_file", {"source": intent["path"], "target": intent["target"]}),
    "mkdir": lambda intent: Call("create_directory", {"path": intent["path"]}),
    "run": lambda intent: Call("execute_command", {"command": intent["command"]}),
    "tests": lambda _: Call("execute_command", {"command": TESTS_COMMAND}),
    "fix_tests": lambda _: Call("execute_command", {"command": TESTS_COMMAND}),
    "git_status": lambda _: Call("git_status", {}),
    "git_diff": lambda intent: Call("git_diff", {"staged": True} if intent["staged"] else {}),
    "git_log": _log,
    "git_commit": _commit,
    "branch_list": _branch("list"),
    "branch_create": _branch("create"),
    "branch_switch": _branch("switch"),
    "branch_delete": _branch("delete"),
    "question": _question,
    "handoff": lambda intent: Call("switch_agent", {"agent": intent["agent"].lower()}),
    "finish": lambda _: Call("finish", {"result": "Finished at the person's request."}),
}
