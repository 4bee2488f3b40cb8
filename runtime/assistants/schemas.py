"""What clients say about assistants, and what an assistant looks like to them (wire: C.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ...core.errors import BadRequest, InvalidInput
from ...store.models import AssistantRow, AssistantVersionRow
from ...store.texts import clean_text
from ..agent_runs.configuring import BOTH, Config

MAX_PAGE: Final = 1000

Json = dict[str, Any]
SortBy = Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"]
AssistantField = Literal[
    "assistant_id",
    "graph_id",
    "config",
    "context",
    "metadata",
    "name",
    "created_at",
    "updated_at",
    "version",
    "description",
]


def assistant_uuid(sent: Any) -> str:
    """Read an assistant's id into its canonical form; `InvalidInput` when it is none."""
    try:
        return str(UUID(sent))
    except (ValueError, AttributeError, TypeError):
        raise InvalidInput("Invalid assistant ID: must be a UUID") from None


Text = Annotated[str, Field(max_length=1000), AfterValidator(clean_text)]
LongText = Annotated[str, Field(max_length=100_000), AfterValidator(clean_text)]


class Sent(BaseModel):
    """A request body; names that are not listed are ignored."""

    model_config = ConfigDict(extra="ignore")


class NewAssistant(Sent):
    """An assistant to be made."""

    graph_id: Text
    assistant_id: Annotated[str, BeforeValidator(assistant_uuid)] | None = None
    config: Config | None = None
    context: Json | None = None
    metadata: Json | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    name: Text | None = None
    description: LongText | None = None


class AssistantPatch(Sent):
    """What is to be different; what is left out or null stays."""

    graph_id: Text | None = None
    config: Config | None = None
    context: Json | None = None
    metadata: Json | None = None
    name: Text | None = None
    description: LongText | None = None


class AssistantFilter(Sent):
    """Which assistants are meant."""

    metadata: Json | None = None
    graph_id: Text | None = None
    name: Text | None = None


class AssistantSearch(AssistantFilter):
    """A page of them, in an order; `select` leaves the other fields out."""

    limit: int = Field(10, ge=1, le=MAX_PAGE)
    offset: int = Field(0, ge=0, le=2**31)
    sort_by: SortBy = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: list[AssistantField] | None = None


class VersionSearch(Sent):
    """A page of an assistant's versions, newest first."""

    metadata: Json | None = None
    limit: int = Field(10, ge=1, le=MAX_PAGE)
    offset: int = Field(0, ge=0, le=2**31)


class Latest(Sent):
    """The version that is to be in force."""

    version: int = Field(ge=1, le=2**31 - 1)


class Assistant(BaseModel):
    """A graph with a configuration, on the wire."""

    assistant_id: str
    graph_id: str
    config: Json
    context: Json
    metadata: Json
    name: str
    created_at: datetime
    updated_at: datetime
    version: int
    description: str | None

    @classmethod
    def of(cls, row: AssistantRow) -> Self:
        """Show a stored one."""
        return cls(
            assistant_id=row.id,
            graph_id=row.graph_id,
            config=row.config,
            context=row.context,
            metadata=row.meta,
            name=row.name,
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
            description=row.description,
        )


class AssistantVersion(BaseModel):
    """What an assistant was at one of its versions, on the wire."""

    assistant_id: str
    version: int
    graph_id: str
    config: Json
    context: Json
    metadata: Json
    created_at: datetime
    name: str
    description: str | None

    @classmethod
    def of(cls, row: AssistantVersionRow) -> Self:
        """Show a stored one."""
        return cls(
            assistant_id=row.assistant_id,
            version=row.version,
            graph_id=row.graph_id,
            config=row.config,
            context=row.context,
            metadata=row.meta,
            created_at=row.created_at,
            name=row.name,
            description=row.description,
        )


def configured(config: Json | None, context: Json | None) -> tuple[Json | None, Json | None]:
    """Put what was said of one of `config.configurable` and `context` into the other: old and new graphs read either.

    Returns:
        Both, None where nothing was said of it.

    Raises:
        BadRequest: Both were said.
    """
    configurable = (config or {}).get("configurable")
    if configurable and context:
        raise BadRequest(BOTH)
    if context:
        return {**(config or {}), "configurable": context}, context
    if configurable:
        return config, configurable
    return config, context
