"""Giving a task and following its turn: what `run`, `chat` and `threads` have in common."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from rich.console import Console

from ..core.types import DecisionKind
from ..server.turns import Decider, follow
from .asking import Asker, at_the_terminal
from .client import Access, Client, connect
from .ending import INTERRUPTED, WAITING, Interrupted, code_of, complain, hint
from .terminal import new_console
from .texts import say
from .transcript import Transcript, print_json

Event = dict[str, Any]


def on_a_terminal() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


async def show_turn(client: Client, console: Console, thread_id: str, run_id: str, *, as_json: bool) -> int:
    """Follow a turn from one of its runs, show it, ask where that is possible; the exit code."""
    decider: Decider | None = Asker(console, at_the_terminal()) if on_a_terminal() and not as_json else None
    show = print_json if as_json else Transcript(console).show
    try:
        last = await _shown(follow(client, thread_id, run_id, decider), show)
    except Interrupted:
        complain(say("still_waiting", thread=thread_id))
        return INTERRUPTED
    except asyncio.CancelledError:
        complain(say("kept", thread=thread_id))
        raise
    code = code_of(last)
    if code == WAITING:
        _tell_how_to_go_on(thread_id, last)
    return code


async def _shown(events: AsyncGenerator[Event, None], show: Any) -> Event:
    last: Event = {}
    async with aclosing(events):
        async for last in events:
            show(last)
    return last


def _tell_how_to_go_on(thread_id: str, event: Event) -> None:
    complain(say("waiting", thread=thread_id))
    for interrupt in event["outcome"]["interrupts"]:
        allowed = (interrupt.get("metadata") or {}).get("allowed_decisions") or tuple(DecisionKind)
        others = ", ".join(kind for kind in map(str, allowed) if kind != DecisionKind.APPROVE)
        hint(say("waiting_for", approval=interrupt["id"], others=others, what=interrupt.get("message") or ""))
    hint(say("waiting_resume", thread=thread_id))


async def give_task(access: Access, task: str, *, agent: str | None, mode: str | None, as_json: bool) -> int:
    """`codelab run`."""
    async with connect(access) as client:
        run = await client.start(task, agent=agent, mode=mode)
        return await show_turn(client, new_console(), run["thread_id"], run["id"], as_json=as_json)
