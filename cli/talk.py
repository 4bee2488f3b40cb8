"""The conversation behind `codelab chat`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from typing import Any

from rich.console import Console

from ..core.errors import CodeLabError
from ..server.turns import Decider, follow
from .asking import Ask, Asker, at_the_terminal
from .client import Access, Client, connect
from .conversations import show_diff, show_list, undo_turn
from .ending import DONE, USAGE, Interrupted, complain
from .task import on_a_terminal
from .terminal import clean, new_console
from .texts import say
from .transcript import Transcript


async def talk(access: Access, *, thread_id: str | None, agent: str | None, mode: str | None) -> int:
    """`codelab chat`."""
    if not on_a_terminal():
        complain(say("chat_needs_terminal"))
        return USAGE
    async with connect(access) as client:
        chat = Chat(client, new_console(), at_the_terminal(), agent=agent, mode=mode)
        if thread_id is not None:
            await chat.open(thread_id)
        return await chat.loop()


class Chat:
    """Takes lines: a message starts a turn, `/word` is a command.

    Args:
        client: The service.
        console: Where things are shown.
        ask: How lines are read.
        agent: Who takes every message; the router chooses if None.
        mode: The approval mode.
    """

    def __init__(
        self, client: Client, console: Console, ask: Ask, *, agent: str | None = None, mode: str | None = None
    ) -> None:
        self.thread_id: str | None = None
        self._client = client
        self._console = console
        self._ask = ask
        self._agent = agent
        self._mode = mode
        self._run_id: str | None = None
        self._leaving = False
        self._commands: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "/new": self._new,
            "/agent": self._choose_agent,
            "/diff": self._diff,
            "/undo": self._undo,
            "/threads": self._threads,
            "/help": self._help,
            "/exit": self._exit,
        }

    async def open(self, thread_id: str) -> None:
        """Go on with a thread: finish its open turn first."""
        thread = await self._client.threads.get(thread_id)
        self.thread_id = thread_id
        self._console.print(clean(say("opened", thread=thread_id, title=thread["title"] or "")), style="dim")
        runs = await self._client.runs(thread_id)
        if runs and (runs[0]["ended_at"] is None or await self._client.approvals(thread_id)):
            await self._guarded(self._follow(thread_id, runs[0]["id"]))

    async def loop(self) -> int:
        """Take lines until the person leaves."""
        self._console.print(say("chat_hello"), style="dim")
        armed = False
        while not self._leaving:
            try:
                line = (await self._ask(f"{self._agent or 'codelab'} > ", "")).strip()
            except Interrupted as exc:
                if armed or isinstance(exc.__cause__, EOFError):
                    break
                armed = True
                self._console.print(say("again_to_leave"), style="dim")
                continue
            armed = False
            if line:
                armed = not await self._guarded(self._take(line))
        return DONE

    async def _take(self, line: str) -> None:
        if not line.startswith("/"):
            run = await self._client.start(line, agent=self._agent, mode=self._mode, thread_id=self.thread_id)
            self.thread_id = run["thread_id"]
            await self._follow(run["thread_id"], run["id"])
            return
        word, _, rest = line.partition(" ")
        command = self._commands.get(word)
        if command is None:
            self._console.print(clean(say("no_such_command", word=word)), style="yellow")
            return
        await command(rest.strip())

    async def _guarded(self, work: Any) -> bool:
        """Do something that Ctrl-C ends and errors do not end the chat for; False when it was interrupted."""
        task = asyncio.ensure_future(work)
        try:
            with _on_sigint(task):
                await task
        except (asyncio.CancelledError, Interrupted):
            own = asyncio.current_task()
            if own is not None and own.cancelling():  # the second Ctrl-C: leave
                raise
            await self._give_up()
            self._console.print("\n" + say("kept", thread=self.thread_id or "-"), style="yellow")
            return False
        except CodeLabError as exc:
            self._console.print(clean(exc.message), style="red")
        return True

    async def _give_up(self) -> None:
        """Cancel the run, or the approvals it waits for; the thread stays."""
        if self.thread_id is not None and self._run_id is not None:
            with suppress(CodeLabError):
                await self._client.cancel(self.thread_id, self._run_id)
        self._run_id = None

    async def _follow(self, thread_id: str, run_id: str) -> None:
        transcript = Transcript(self._console)
        decider: Decider = Asker(self._console, self._ask)
        self._run_id = run_id
        async with aclosing(follow(self._client, thread_id, run_id, decider)) as events:
            async for event in events:
                if event["type"] == "RUN_STARTED":
                    self._run_id = event["runId"]
                transcript.show(event)
        self._run_id = None

    async def _new(self, _rest: str) -> None:
        self.thread_id = None
        self._console.print(say("new_thread"), style="dim")

    async def _choose_agent(self, name: str) -> None:
        known = [agent["name"] for agent in await self._client.agents()]
        if name and name not in {*known, "auto"}:
            self._console.print(clean(say("no_such_agent", name=name, known=", ".join(known))), style="yellow")
            return
        self._agent = None if name in {"", "auto", "orchestrator"} else name
        self._console.print(say("agent_is", name=self._agent or say("router_chooses")), style="dim")

    async def _diff(self, _rest: str) -> None:
        await show_diff(self._client, self._console, self._thread())

    async def _undo(self, turn_id: str) -> None:
        await undo_turn(self._client, self._console, self._thread(), turn_id or None)

    async def _threads(self, _rest: str) -> None:
        await show_list(self._client, self._console, as_json=False)

    async def _help(self, _rest: str) -> None:
        self._console.print(say("chat_help"))

    async def _exit(self, _rest: str) -> None:
        self._leaving = True

    def _thread(self) -> str:
        if self.thread_id is None:
            raise CodeLabError(say("nothing_said"))
        return self.thread_id


@contextmanager
def _on_sigint(task: asyncio.Future[Any]) -> Iterator[None]:
    """Ctrl-C cancels the task instead of the program; pressed again before the task has ended, the program."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        loop.call_soon_threadsafe(task.cancel)

    try:
        signal.signal(signal.SIGINT, stop)
    except ValueError:  # not the main thread: Ctrl-C is somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
