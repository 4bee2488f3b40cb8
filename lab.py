"""CodeLab as a library: the whole service inside your process, on one workspace, without a server.

    async with CodeLab("~/src/calc") as lab:
        async for event in lab.run("test_mean fails, please fix it", approve=lambda interrupt: "approve"):
            print(event)

Events are AG-UI events; everything else is the JSON of the REST API.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel

from .agents.spec import AgentSpec
from .auth.local import LOCAL
from .core.context import RunSettings
from .core.errors import CodeLabError, Conflict, InvalidInput
from .core.settings import DatabaseSettings, Settings
from .core.settings_llm import ModelNames
from .core.types import ApprovalMode, ApprovalStatus, DecisionKind
from .llm.models import StaticModels
from .runtime.compose import Runtime, build_runtime
from .server.agui import encode
from .server.roster import roster
from .server.turns import Decider, Event, Json, Rows, follow
from .tools.context import Models

_CANCEL_S: Final = 10.0


def _json(model: BaseModel) -> Json:
    return model.model_dump(mode="json")


class Threads:
    """The conversations of an open `CodeLab`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Json:
        """List threads, last changed first: `{"items": […], "next_cursor": …}`."""
        return _json(await self._runtime.threads.list(LOCAL, limit=limit, cursor=cursor))

    async def get(self, thread_id: str) -> Json:
        """Look at one thread; `NotFound` when there is none."""
        return _json(await self._runtime.threads.get(LOCAL, thread_id))

    async def messages(self, thread_id: str) -> Rows:
        """Read the conversation, an unfinished turn included."""
        return [_json(message) for message in await self._runtime.threads.messages(LOCAL, thread_id)]

    async def delete(self, thread_id: str) -> None:
        """Stop what runs and drop the thread with all that belongs to it."""
        await self._runtime.threads.delete(LOCAL, thread_id)

    async def changes(self, thread_id: str) -> Json:
        """All changes of the thread: `{"diff": …, "turns": […]}`."""
        return _json(await self._runtime.changes.diff(LOCAL, thread_id))

    async def undo(self, thread_id: str, turn_id: str) -> Json:
        """Put the files of a turn back; `Conflict` names a file that has changed since."""
        return _json(await self._runtime.changes.undo(LOCAL, thread_id, turn_id))


class CodeLab:
    """The service, embedded. Enter it in the event loop that will use it; several may be open at once.

    Args:
        workspace: The folder to work in; this program vouches for it. None: no new threads, only those there are.
        model: A chat model for every role, models by role, or the name of a model at the configured endpoint.
        agents: Agents by name (`load_agents`); the built-in ones if left out.
        database: A database URL; the settings' if left out.
        settings: Settings; read from the environment if left out.
    """

    def __init__(
        self,
        workspace: str | Path | None = ".",
        *,
        model: BaseChatModel | Models | str | None = None,
        agents: Mapping[str, AgentSpec] | None = None,
        database: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = _adjusted(settings or Settings(), model=model, database=database)
        self._models = _models(model)
        self._agents = agents
        self._folder = workspace
        self._stack = AsyncExitStack()
        self._runtime: Runtime | None = None
        self._followed: Counter[str] = Counter()
        self.workspace_id = ""

    async def __aenter__(self) -> Self:
        """Open the database, register the folder, start executing."""
        async with AsyncExitStack() as stack:
            self._runtime = await stack.enter_async_context(self._build())
            if self._folder is not None:
                known = await self._runtime.workspaces.register(LOCAL, self._folder, trusted=True)
                self.workspace_id = known.id
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what somebody stopped following, then close."""
        try:
            for thread_id in list(self._followed):
                await self._stop(thread_id)
        finally:
            await self._stack.aclose()
            self._runtime = None

    async def _stop(self, thread_id: str) -> None:
        for run in await self.runs(thread_id):
            if run["ended_at"] is None:
                await self.cancel(thread_id, run["id"])

    def _build(self) -> AbstractAsyncContextManager[Runtime]:
        return build_runtime(self.settings, models=self._models, agents=self._agents)

    @property
    def runtime(self) -> Runtime:
        """The services underneath; `InvalidInput` outside `async with`."""
        if self._runtime is None:
            raise InvalidInput("Open the lab first: async with CodeLab(…) as lab.")
        return self._runtime

    @property
    def threads(self) -> Threads:
        """The conversations."""
        return Threads(self.runtime)

    @property
    def graph(self) -> Any:
        """The compiled LangGraph graph that runs execute."""
        return self.runtime.graph

    async def run(
        self,
        task: str,
        *,
        agent: str | None = None,
        approve: str | Decider | None = None,
        thread_id: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Give a task and stream what happens, until the turn rests.

        Args:
            task: What a person would say.
            agent: Who must take it; the router chooses if left out.
            approve: How calls that ask are treated, APPROVALS__MODE if left out: `ask` ends the stream at the first
                approval (see `decide` and `resume`), `auto` asks for risky calls only, `deny` refuses them all; a
                callable answers each interrupt.
            thread_id: Goes on with this thread; a new one if left out.
        """
        mode, decider = (ApprovalMode.ASK.value, approve) if callable(approve) else (approve, None)
        run = await self.start(task, agent=agent, mode=mode, thread_id=thread_id)
        async with aclosing(self._follow(run["thread_id"], run["id"], decider)) as events:
            async for event in events:
                yield event

    async def resume(self, thread_id: str, *, approve: Decider | None = None) -> AsyncGenerator[Event, None]:
        """Stream the thread's newest run from its start, and go on until the turn rests."""
        runs = await self.runs(thread_id)
        if not runs:
            raise InvalidInput("Nothing was said in this thread yet; give it a task.")
        async with aclosing(self._follow(thread_id, runs[0]["id"], approve)) as events:
            async for event in events:
                yield event

    async def _follow(self, thread_id: str, run_id: str, decider: Decider | None) -> AsyncGenerator[Event, None]:
        self._followed[thread_id] += 1
        try:
            async with aclosing(follow(self, thread_id, run_id, decider)) as events:
                async for event in events:
                    yield event
        finally:
            self._followed -= Counter([thread_id])

    async def start(
        self, task: str, *, agent: str | None = None, mode: str | None = None, thread_id: str | None = None
    ) -> Json:
        """Start a turn and return its first run, without waiting for it."""
        settings = RunSettings(agent=agent, approval_mode=mode or self.runtime.settings.approvals.mode.value)
        if thread_id is not None:
            return _json(await self.runtime.runs.start(LOCAL, thread_id, text=task, settings=settings))
        created = await self.runtime.threads.create(LOCAL, workspace_id=self.workspace_id)
        try:
            return _json(await self.runtime.runs.start(LOCAL, created.id, text=task, settings=settings))
        except CodeLabError:  # nothing was said: leave no empty thread behind
            await self.threads.delete(created.id)
            raise

    async def events(self, thread_id: str, run_id: str) -> AsyncGenerator[Event, None]:
        """See `Service`."""
        await self.runtime.runs.get(LOCAL, thread_id, run_id)
        async with aclosing(self.runtime.log.tail(thread_id, 0, run_id)) as records:
            async for record in records:
                event = encode(record)
                if event is not None:
                    yield event

    async def runs(self, thread_id: str) -> Rows:
        """See `Service`."""
        return [_json(run) for run in await self.runtime.runs.list(LOCAL, thread_id)]

    async def approvals(self, thread_id: str | None = None, status: str | None = "pending") -> Rows:
        """See `Service`."""
        wanted = ApprovalStatus(status) if status else None
        found = await self.runtime.approvals.list(LOCAL, status=wanted, thread_id=thread_id)
        return [_json(approval) for approval in found]

    async def decide(
        self, approval_id: str, decision: str, *, arguments: Json | None = None, message: str | None = None
    ) -> Json:
        """See `Service`. The turn goes on by itself once all calls of its step are decided."""
        if decision not in set(DecisionKind):
            raise InvalidInput("A decision is approve, edit, reject or respond.", code="invalid_decision")
        approval, replayed = await self.runtime.approvals.decide(
            LOCAL, approval_id, DecisionKind(decision), arguments=arguments, message=message
        )
        return {"approval": _json(approval), "replayed": replayed}

    async def cancel(self, thread_id: str, run_id: str) -> None:
        """See `Service`; returns when the run has come to rest."""
        if self._runtime is None:  # a stream that was finalised after the lab: closing has cancelled it
            return
        with suppress(Conflict, TimeoutError):
            await self.runtime.runs.cancel(LOCAL, thread_id, run_id)
            await self.runtime.runs.wait(LOCAL, thread_id, run_id, _CANCEL_S)

    async def agents(self) -> Rows:
        """List the agents."""
        return [_json(agent) for agent in roster(self.runtime.agents)]


def _models(model: BaseChatModel | Models | str | None) -> Models | None:
    if model is None or isinstance(model, str):
        return None
    return StaticModels(model) if isinstance(model, BaseChatModel) else model


def _adjusted(settings: Settings, *, model: object, database: str | None) -> Settings:
    update: dict[str, Any] = {} if database is None else {"database": DatabaseSettings(url=database)}
    if isinstance(model, str):
        names = ModelNames(strong=model, fast=model, embed=settings.llm.models.embed)
        update["llm"] = settings.llm.model_copy(update={"models": names})
    return settings.model_copy(update=update)
