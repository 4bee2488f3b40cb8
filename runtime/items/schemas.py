"""What a client says about items of the store."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from langgraph.store.base import Item
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from ...store.texts import clean_text, dump_json

_MOST_LABELS = 32
_MOST_BYTES = 1500


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Take only what both databases can hold."""
    cleaned: dict[str, Any] = json.loads(dump_json(value))
    return cleaned


Key = Annotated[str, AfterValidator(clean_text)]
Label = Annotated[str, Field(max_length=_MOST_BYTES)]
Labels = Annotated[list[Label], Field(max_length=_MOST_LABELS)]
Value = Annotated[dict[str, Any], AfterValidator(_plain)]


class Sent(BaseModel):
    """A request; unknown members are ignored, and `null` is what was left out."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: Any) -> Any:
        return {k: v for k, v in sent.items() if v is not None} if isinstance(sent, dict) else sent


class ItemKey(Sent):
    """The place of an item."""

    namespace: Labels = []
    key: Key

    @model_validator(mode="after")
    def _fits(self) -> ItemKey:
        """Both databases index the place: it must fit into an index entry."""
        size = sum(len(label.encode(errors="replace")) + 1 for label in [*self.namespace, self.key])
        if size > _MOST_BYTES:
            raise ValueError(f"namespace and key together are longer than {_MOST_BYTES} bytes")
        return self


class NewItem(ItemKey):
    """An item to store or to replace.

    Attributes:
        index: Fields to search by meaning, False for none, None for the store's own choice.
        ttl: Minutes until it is forgotten, rounded up to whole ones; None: never.
    """

    value: Value
    index: Literal[False] | list[str] | None = None
    ttl: FiniteFloat | None = Field(None, le=100 * 366 * 1440)


class ItemSearch(Sent):
    """Items below a namespace."""

    namespace_prefix: Labels = []
    filter: Value | None = None
    limit: int = Field(10, ge=0, le=10_000)
    offset: int = Field(0, ge=0, le=2**31 - 1)
    query: Key | None = None
    refresh_ttl: bool | None = None


class NamespaceSearch(Sent):
    """Namespaces by how they begin and end; `*` stands for any one label."""

    prefix: Labels = []
    suffix: Labels = []
    max_depth: int | None = Field(None, ge=0, le=1000)
    limit: int = Field(100, ge=0, le=10_000)
    offset: int = Field(0, ge=0, le=2**31 - 1)


class StoredItem(BaseModel):
    """An item on the wire."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    namespace: list[str]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, item: Item) -> Self:
        """Read a stored item."""
        return cls.model_validate({**item.dict(), "score": getattr(item, "score", None)})


class FoundItem(StoredItem):
    """An item that a search found; `score` is how well it fits a query that was searched by meaning."""

    score: float | None = None
