"""Which threads a search means: filters and order as SQL, values by looking at the states."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from ...core.errors import InvalidInput
from ...core.types import Principal
from ...store.containment import contains, holds
from ...store.engine import Database
from ...store.models import ThreadRow
from ..scope import mine
from .reading import StateReader
from .shapes import ThreadFilter, ThreadSearch
from .showing import OUR_GRAPH

MOST_STATES: Final = 5_000
"""How many states one search looks at: each is read and decoded."""
_BATCH: Final = 100
_ALIAS: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(-?\d{1,9})\]")
_ROOTS: Final = ("config", "interrupts", "metadata", "values")
_SORTS: Final[dict[str, Any]] = {
    "thread_id": ThreadRow.id,
    "status": ThreadRow.status,
    "created_at": ThreadRow.created_at,
    "updated_at": ThreadRow.updated_at,
    "state_updated_at": func.coalesce(ThreadRow.state_updated_at, ThreadRow.updated_at),
}
Found = tuple[ThreadRow, Any]
"""A thread, with its values where they had to be read."""


class ThreadFinder:
    """Finds threads of one principal.

    Args:
        database: Where the rows are.
        reader: Reads values where a search asks for them.
    """

    def __init__(self, database: Database, reader: StateReader) -> None:
        self._database = database
        self._reader = reader

    async def count(self, principal: Principal, wanted: ThreadFilter) -> int:
        """Count the threads that are meant."""
        if wanted.values:
            return len([found async for found in self._with_values(principal, wanted, _meant(principal, wanted))])
        query = _meant(principal, wanted).with_only_columns(func.count())
        async with self._database.read() as session:
            return int((await session.scalars(query)).one())

    async def page(self, principal: Principal, asked: ThreadSearch) -> tuple[list[Found], bool]:
        """Fetch a page; whether there is more."""
        sort = _SORTS[asked.sort_by]
        order = (sort, ThreadRow.id) if asked.sort_order == "asc" else (sort.desc(), ThreadRow.id.desc())
        query, last = _meant(principal, asked).order_by(*order), asked.offset + asked.limit
        if asked.values:
            found = []
            async for each in self._with_values(principal, asked, query):
                found.append(each)
                if len(found) > last:
                    break
            return found[asked.offset : last], len(found) > last
        rows = await self._rows(query.offset(asked.offset).limit(asked.limit + 1))
        return [(row, None) for row in rows[: asked.limit]], len(rows) > asked.limit

    async def _with_values(
        self, principal: Principal, wanted: ThreadFilter, query: Select[tuple[ThreadRow]]
    ) -> AsyncIterator[Found]:
        for offset in range(0, MOST_STATES + 1, _BATCH):
            rows = await self._rows(query.offset(offset).limit(_BATCH))
            if rows and offset >= MOST_STATES:
                raise InvalidInput("Too many threads to look into; say more with metadata, status or ids")
            for row, values in zip(rows, await self._reader.values(principal, rows), strict=True):
                if isinstance(values, dict) and holds(values, wanted.values):
                    yield row, values
            if len(rows) < _BATCH:
                return

    async def _rows(self, query: Select[tuple[ThreadRow]]) -> Sequence[ThreadRow]:
        async with self._database.read() as session:
            return (await session.scalars(query)).all()


def _meant(principal: Principal, wanted: ThreadFilter) -> Select[tuple[ThreadRow]]:
    query = select(ThreadRow).where(mine(ThreadRow, principal))
    if wanted.ids:
        query = query.where(ThreadRow.id.in_(wanted.ids))
    if wanted.status is not None:
        query = query.where(ThreadRow.status == wanted.status)
    return query.where(_described(wanted.metadata)) if wanted.metadata else query


def _described(metadata: dict[str, Any]) -> ColumnElement[bool]:
    """The metadata that the wire shows: a workspace's thread has our graph's id, though its row does not say so."""
    stored = contains(ThreadRow.meta, metadata)
    if metadata.get("graph_id") != OUR_GRAPH:
        return stored
    rest = {key: value for key, value in metadata.items() if key != "graph_id"}
    return or_(stored, and_(ThreadRow.workspace_id.is_not(None), contains(ThreadRow.meta, rest)))


def check_paths(paths: dict[str, str]) -> None:
    """Refuse what `extract` cannot mean; `InvalidInput`."""
    for alias, path in paths.items():
        if not _ALIAS.fullmatch(alias):
            raise InvalidInput(f"Extract key '{alias}' must be a valid identifier (letters, digits, underscores)")
        if re.split(r"[.\[]", path, maxsplit=1)[0] not in _ROOTS:
            raise InvalidInput(f"Extract path '{path}' must start with one of: {', '.join(_ROOTS)}")


def extracted(thread: dict[str, Any], path: str) -> Any:
    """Follow a path such as `values.messages[-1].content`; None where it leads nowhere."""
    at, value = 0, thread
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return None
        name, index = step.groups()
        value = _member(value, name) if index is None else _element(value, int(index))
        at = step.end()
    return value


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _element(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None
