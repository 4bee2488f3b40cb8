"""What a client asks of a run of a graph, and what a run looks like to it (Agent Server API, C.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ...core.types import RunStatus
from .configuring import Config, settings_of

StreamMode = Literal[
    "values",
    "updates",
    "messages",
    "messages-tuple",
    "custom",
    "debug",
    "tasks",
    "checkpoints",
    "events",
    "tools",
    "lifecycle",
]
MultitaskStrategy = Literal["reject", "enqueue", "interrupt", "rollback"]
Nodes = Literal["*"] | list[str]


_OUR_WORD: Final = frozenset({"protocol", "priority"})


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SentCommand(BaseModel):
    """A command: an answer, a change of state, a jump. `goto` takes node names or `{node, input}`."""

    model_config = ConfigDict(extra="forbid")

    update: dict[str, Any] | list[Any] | None = None
    resume: Any = None
    goto: str | dict[str, Any] | list[str | dict[str, Any]] | None = None


class RunRequest(BaseModel):
    """A run to be made. Names that are not listed here are ignored: old SDKs and Studio send extras.

    Attributes:
        assistant_id: An assistant's id, or a graph's name.
        durability: When checkpoints are written; `sync` unless asked otherwise.
        protocol: The run's records are those of the thread protocol v2. Set by our own code only.
        priority: Higher runs start first. Set by our own code only.
    """

    model_config = ConfigDict(extra="ignore")

    assistant_id: str = Field(max_length=256)
    input: Any = None
    command: SentCommand | None = None
    config: Config = {}
    context: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    checkpoint: dict[str, Any] | None = None
    checkpoint_id: str | None = None
    stream_mode: Annotated[list[StreamMode], BeforeValidator(_listed)] = ["values"]
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    interrupt_before: Nodes | None = None
    interrupt_after: Nodes | None = None
    multitask_strategy: MultitaskStrategy = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    on_disconnect: Literal["continue", "cancel"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    after_seconds: float | None = Field(None, ge=0, le=366 * 86_400)
    webhook: str | None = Field(None, max_length=4096)
    feedback_keys: list[str] | None = None
    langsmith_tracer: dict[str, Any] | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    checkpoint_during: bool | None = None
    strict_resume: bool = False
    protocol: bool = Field(default=False, exclude=True)
    priority: int = Field(default=0, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: Any) -> Any:
        """SDKs send `null` for what they leave out; what is our own code's to say is no client's."""
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in sent.items() if value is not None and name not in _OUR_WORD}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.command is not None and self.input is not None:
            raise ValueError("send `input` or `command`, not both")
        settings_of(self.config, self.context)
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What it says of the graph's configuration, by `config.configurable` or by `context`."""
        return settings_of(self.config, self.context)

    @property
    def how_durable(self) -> str:
        """The durability in force; `checkpoint_during` is its old name."""
        if self.durability is not None:
            return self.durability
        return "exit" if self.checkpoint_during is False else "sync"

    @property
    def forks_from(self) -> str | None:
        """The checkpoint that the run begins at, if it is not the newest."""
        at = self.checkpoint or {}
        named = self.config.get("configurable", {}).get("checkpoint_id")
        return self.checkpoint_id or at.get("checkpoint_id") or named


class AgentRun(BaseModel):  # type: ignore[no-redef]  # the plugin takes the field `kwargs` for its own
    """A run on the wire."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    run_id: UUID = Field(validation_alias="id")
    thread_id: UUID
    assistant_id: str | None
    created_at: datetime
    updated_at: datetime
    status: RunStatus
    metadata: dict[str, Any] = Field(validation_alias="meta")
    kwargs: dict[str, Any] | None
    multitask_strategy: str | None
