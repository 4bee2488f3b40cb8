"""The work behind `codelab threads` and the slash commands of the chat."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console

from ..core.errors import InvalidInput
from .client import Access, Client, connect
from .ending import DONE, finish
from .task import show_turn
from .terminal import brief, clean, coloured_diff, local_time, new_console
from .texts import say
from .transcript import print_json


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person decided, as it was typed."""

    decision: str
    message: str | None = None
    arguments: str | None = None

    def parsed(self) -> dict[str, Any] | None:
        """The new arguments; `InvalidInput` when they are no JSON object."""
        if self.arguments is None:
            return None
        try:
            value = json.loads(self.arguments)
        except ValueError as exc:
            raise InvalidInput(say("bad_edit", problem=str(exc))) from exc
        if not isinstance(value, dict):
            raise InvalidInput(say("bad_edit", problem=say("not_an_object")))
        return value


def finish_with(server: str | None, token: str | None, work: Callable[[Client, Console], Awaitable[int]]) -> NoReturn:
    """Connect, do the work, leave with its exit code."""

    async def connected() -> int:
        async with connect(Access(None, server, token)) as client:
            return await work(client, new_console())

    finish(connected())


async def show_list(client: Client, console: Console, *, as_json: bool) -> int:
    """Print the threads, last changed first."""
    page = await client.threads.list()
    for thread in page["items"]:
        if as_json:
            print_json(thread)
        else:
            title = brief(thread["title"] or "", lines=1, width=70)
            console.print(f"{thread['id']}  {thread['status']:<11}  {local_time(thread['updated_at'])}  {title}")
    if not page["items"] and not as_json:
        console.print(say("no_threads"))
    return DONE


async def show_thread(client: Client, console: Console, thread_id: str, *, as_json: bool) -> int:
    """Print a conversation."""
    messages = await client.threads.messages(thread_id)
    for message in messages:
        if as_json:
            print_json(message)
            continue
        style = {"user": "bold", "tool": "dim"}.get(message["role"], "")
        text = brief(message["content"]) if message["role"] == "tool" else clean(message["content"])
        calls = "".join(f"\n  • {call['name']}" for call in message.get("tool_calls") or ())
        console.print(f"{message['role']}: {text}{clean(calls)}", style=style)
    return DONE


async def remove(client: Client, console: Console, thread_id: str) -> int:
    """Delete a thread."""
    await client.threads.delete(thread_id)
    console.print(say("removed", thread=thread_id))
    return DONE


async def show_approvals(client: Client, console: Console, thread_id: str | None, *, as_json: bool) -> int:
    """Print what waits for a person, with its preview."""
    found = await client.approvals(thread_id)
    for approval in found:
        if as_json:
            print_json(approval)
            continue
        console.print(f"{approval['id']}  {approval['risk']}  {clean(approval['description'] or approval['tool'])}")
        preview = approval.get("preview") or {}
        shown = str(preview.get("diff") or preview.get("command") or preview.get("text") or "")
        console.print(coloured_diff(shown) if preview.get("kind") == "diff" else brief(shown, lines=20))
    if not found and not as_json:
        console.print(say("nothing_waits"))
    return DONE


async def decide_call(client: Client, console: Console, approval_id: str, verdict: Verdict, *, as_json: bool) -> int:
    """Decide one call; when that was the last of its step, follow the turn."""
    decided = await client.decide(approval_id, verdict.decision, arguments=verdict.parsed(), message=verdict.message)
    approval = decided["approval"]
    thread_id = approval["thread_id"]
    runs = await client.runs(thread_id)
    successor = next((run["id"] for run in runs if run["resumes_run_id"] == approval["run_id"]), None)
    if successor is None:
        if not as_json:
            console.print(say("decided", status=approval["status"]))
        return DONE
    return await show_turn(client, console, thread_id, successor, as_json=as_json)


async def go_on(client: Client, console: Console, thread_id: str, *, as_json: bool) -> int:
    """Follow the newest run of a thread, approvals included."""
    runs = await client.runs(thread_id)
    if not runs:
        raise InvalidInput(say("nothing_said"))
    return await show_turn(client, console, thread_id, runs[0]["id"], as_json=as_json)


async def show_diff(client: Client, console: Console, thread_id: str) -> int:
    """Print all changes as one diff: coloured for people, exact in a pipe."""
    diff = (await client.threads.changes(thread_id))["diff"]
    if console.file is sys.stdout and not sys.stdout.isatty():
        sys.stdout.write(diff)
    else:
        console.print(coloured_diff(diff) if diff else say("no_changes"), end="")
    return DONE


async def undo_turn(client: Client, console: Console, thread_id: str, turn_id: str | None) -> int:
    """Put a turn's files back; the newest turn that changed files when none is named."""
    if turn_id is None:
        turns = (await client.threads.changes(thread_id))["turns"]
        open_turns = [turn["turn_id"] for turn in turns if turn["undone_at"] is None]
        if not open_turns:
            raise InvalidInput(say("nothing_to_undo"))
        turn_id = open_turns[-1]
    undone = await client.threads.undo(thread_id, turn_id)
    console.print(clean(say("undone", files=", ".join(undone["files"]) or "-")))
    return DONE
