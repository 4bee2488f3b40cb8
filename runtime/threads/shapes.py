"""What clients of the Agent Server API ask of threads, and what a thread looks like to them (wire: C.1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ...core.errors import InvalidInput
from ...core.types import ThreadStatus

MAX_PAGE: Final = 1000
NO_NUL: Final = r"^[^\x00]*$"
_LONGEST_TTL: Final = 100 * 366 * 24 * 60.0
SortBy = Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"]
Strategy = Literal["delete", "keep_latest"]
ThreadField = Literal[
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "context",
    "status",
    "values",
    "error",
    "interrupts",
]


def thread_uuid(sent: Any) -> str:
    """Read a thread's id into its canonical form; `InvalidInput` when it is none."""
    try:
        return str(UUID(sent))
    except (ValueError, AttributeError, TypeError):
        raise InvalidInput("Invalid thread ID: must be a UUID") from None


ThreadUuid = Annotated[str, BeforeValidator(thread_uuid)]


class Sent(BaseModel):
    """A request body: names that are not listed are ignored, as is `null`, which SDKs send for what they leave out."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: Any) -> Any:
        return {key: value for key, value in sent.items() if value is not None} if isinstance(sent, dict) else sent


class Ttl(Sent):
    """How long a thread is kept: `ttl` minutes after it last changed."""

    ttl: float = Field(gt=0, le=_LONGEST_TTL)
    strategy: Strategy = "delete"

    def until(self, since: datetime) -> datetime:
        """The moment that it ends when nothing happens after `since`."""
        return since + timedelta(minutes=self.ttl)


class StateChange(Sent):
    """One update of a superstep: values, or a command, as if a node had returned them."""

    values: dict[str, Any] | list[Any] | None = None
    command: dict[str, Any] | None = None
    as_node: str | None = Field(None, max_length=1000)


class Superstep(Sent):
    """Updates that happen at once."""

    updates: list[StateChange] = Field(max_length=1000)


class NewAgentThread(Sent):
    """A thread to be made; with `supersteps` it begins with a state."""

    thread_id: ThreadUuid | None = None
    metadata: dict[str, Any] = {}
    config: dict[str, Any] = {}
    graph_id: str | None = Field(None, max_length=256)
    if_exists: Literal["raise", "do_nothing"] = "raise"
    supersteps: list[Superstep] = Field([], max_length=1000)
    ttl: Ttl | None = None


class ThreadPatch(Sent):
    """A change of a thread; metadata is merged key by key, the top level only."""

    metadata: dict[str, Any] = {}
    ttl: Ttl | None = None


class ThreadFilter(Sent):
    """Which threads are meant. `metadata` and `values` must be contained in a thread's own."""

    ids: list[ThreadUuid] = Field([], max_length=MAX_PAGE)
    metadata: dict[str, Any] = {}
    values: dict[str, Any] = {}
    status: ThreadStatus | None = None


class ThreadSearch(ThreadFilter):
    """A page of the threads that are meant, and how they are shown."""

    limit: int = Field(10, ge=1, le=MAX_PAGE)
    offset: int = Field(0, ge=0, le=2**31)
    sort_by: SortBy = "updated_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: list[ThreadField] = []
    extract: dict[str, str] = Field({}, max_length=10)


class Prune(Sent):
    """Threads to be dropped, or to be cut down to their newest state."""

    thread_ids: list[ThreadUuid] = Field(max_length=MAX_PAGE)
    strategy: Strategy = "delete"


def _as_checkpoint(sent: Any) -> Any:
    """A checkpoint is sent as itself, as a config, or (`before`) as its id alone."""
    if isinstance(sent, str):
        return {"checkpoint_id": sent}
    return sent.get("configurable", sent) if isinstance(sent, dict) else sent


class CheckpointRef(Sent):
    """Which checkpoint: the newest of the root's, unless said otherwise."""

    checkpoint_id: str | None = Field(None, max_length=256, pattern=NO_NUL)
    checkpoint_ns: str = Field("", max_length=4096, pattern=NO_NUL)
    checkpoint_map: dict[str, str] | None = None

    def config(self, thread_id: str) -> dict[str, Any]:
        """The config that reads it, in this thread and no other."""
        return {"configurable": {"thread_id": thread_id, **self.model_dump(exclude_none=True)}}


Checkpoint = Annotated[CheckpointRef, BeforeValidator(_as_checkpoint)]


class StateQuery(Sent):
    """A checkpoint to be shown."""

    checkpoint: Checkpoint
    subgraphs: bool = False
    select: list[str] = []


class StateUpdate(Sent):
    """A change of a thread's state, as if a node had returned it; it makes a new checkpoint."""

    values: Any = None
    as_node: str | None = Field(None, max_length=1000)
    checkpoint: Checkpoint = CheckpointRef()
    checkpoint_id: str | None = Field(None, max_length=256, pattern=NO_NUL)

    @property
    def at(self) -> CheckpointRef:
        """Where the change starts from; `checkpoint_id` is the old way to say it."""
        if self.checkpoint_id is None:
            return self.checkpoint
        return self.checkpoint.model_copy(update={"checkpoint_id": self.checkpoint_id})


class HistoryQuery(Sent):
    """A page of checkpoints, newest first."""

    limit: int = Field(1, ge=1, le=MAX_PAGE)
    before: Checkpoint | None = None
    metadata: dict[str, Any] = {}
    checkpoint: Checkpoint = CheckpointRef()
    select: list[str] = []
