"""The run context: what the client said (`RunSettings`) plus the handles a host gives. Never made from a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ..core.context import RunSettings
from ..core.events import EventBus
from ..core.types import Principal
from ..llm.chat import Caller, call_for
from .workspace import Workspace

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True)
class CallKey:
    """The idempotency key of one tool call: stable across redelivery under `durability="sync"`."""

    thread_id: str
    message_id: str
    tool_call_id: str


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One execution of a tool as the journal knows it.

    Attributes:
        fresh: True when this call just recorded the start: go on and act.
        finished: True when the effect is done and `result` holds what the model was told.
        pgid: Process group of a command that was started, if any.
        before: What the tool noted about the world before it acted (file hashes).
        result: The serialised ToolMessage once finished.
    """

    fresh: bool
    finished: bool = False
    pgid: int | None = None
    before: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


class Journal(Protocol):
    """At most once, never twice: a start is committed before the effect, the result after it."""

    async def begin(self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None) -> JournalEntry:
        """Record a start, or tell what an earlier attempt recorded."""
        ...

    async def note_process(self, key: CallKey, pgid: int) -> None:
        """Record the process group of the command that was just started."""
        ...

    async def finish(self, key: CallKey, result: dict[str, Any]) -> None:
        """Record the result; from now on `begin` returns it."""
        ...


class Artifacts(Protocol):
    """Long outputs, kept whole so that the agent can page through them."""

    async def put(self, thread_id: str, text: str) -> str:
        """Keep a text (cut at the store's cap); its id."""
        ...

    async def get(self, thread_id: str, artifact_id: str) -> str | None:
        """Fetch a text of the same thread; None if there is none."""
        ...


class Models(Protocol):
    """Roles to chat models."""

    def chat(self, role: str) -> BaseChatModel:
        """Return the model that plays `role` (`strong`, `fast`)."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunContext(RunSettings):
    """What nodes, middleware and tools act with. Built by the host for one run; frozen."""

    principal: Principal
    thread_id: str
    turn_id: str
    run_id: str
    workspace_handle: Workspace
    journal: Journal
    artifacts: Artifacts
    models: Models
    bus: EventBus
    approval_expiry_s: float = 86_400
    command_timeout_s: float = 120

    @property
    def about(self) -> dict[str, Any]:
        """The fields that say in a domain event whose run it is about."""
        return {
            "thread_id": self.thread_id,
            "turn_id": self.turn_id,
            "run_id": self.run_id,
            "user_id": self.principal.user_id,
            "tenant_id": self.principal.tenant_id,
        }

    def charge(self, agent: str) -> None:
        """Have the model calls that follow here stand in the ledger, and count against budgets, as this run's."""
        principal, thread = self.principal, self.thread_id
        call_for(
            Caller(
                user_id=principal.user_id,
                tenant_id=principal.tenant_id,
                thread_id=thread,
                run_id=self.run_id,
                agent=agent,
                session=thread,
            )
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic, which reads the signature of every tool, take the handles as they are."""
        return core_schema.is_instance_schema(cls)
