"""Assistants of one principal at a time, beside those that the graphs have of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from ...core.errors import Conflict, InvalidInput, NotFound
from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ...store.models import AssistantRow
from ..graphs.registry import GraphRegistry
from ..scope import owned_by
from ..threads.agent import AgentThreads
from ..threads.shapes import ThreadSearch
from .repository import (
    count_assistants,
    get_assistant,
    get_version,
    newest_version,
    page_of_assistants,
    page_of_versions,
    restore,
    version_of,
)
from .schemas import (
    Assistant,
    AssistantFilter,
    AssistantPatch,
    AssistantSearch,
    AssistantVersion,
    NewAssistant,
    VersionSearch,
    configured,
)
from .system import SystemAssistants

_UNKNOWN: Final = "Thread or assistant not found."


class AssistantService:
    """Assistants. An id that is nobody's, or somebody else's, is `NotFound`.

    Args:
        database: Where the rows are.
        graphs: What assistants can be of.
        threads: Deletes an assistant's threads with it.
    """

    def __init__(self, *, database: Database, graphs: GraphRegistry, threads: AgentThreads) -> None:
        self._database = database
        self._graphs = graphs
        self._threads = threads
        self._system = SystemAssistants(graphs)

    async def resolve(self, principal: Principal, named: str) -> Assistant:
        """Find what a run is of, by id or by a graph's name; a graph's own assistant needs no database.

        Raises:
            NotFound: There is no assistant of this id.
            InvalidInput: This is neither an id nor a graph's name.
        """
        found = self._system.get(named)
        if found is not None:
            return found
        try:
            assistant_id = str(UUID(named))
        except ValueError:
            raise InvalidInput(
                f"Invalid assistant: '{named}'. Must be either:\n- A valid assistant UUID, or\n"
                f"- One of the registered graphs: {', '.join(self._graphs.ids)}"
            ) from None
        with suppress(NotFound):
            return await self.get(principal, assistant_id)
        raise NotFound(_UNKNOWN)

    async def get(self, principal: Principal, assistant_id: str) -> Assistant:
        """Fetch one."""
        found = self._system.get(assistant_id)
        if found is not None:
            return found
        async with self._database.read() as session:
            return Assistant.of(await get_assistant(session, principal, assistant_id))

    async def create(self, principal: Principal, sent: NewAssistant) -> Assistant:
        """Make an assistant.

        Raises:
            NotFound: There is no such graph.
            Conflict: There is one of this id, and `if_exists` is not `do_nothing` or it is somebody else's.
            BadRequest: Both `config.configurable` and `context` were sent.
        """
        self._check_graph(sent.graph_id)
        config, context = configured(sent.config, sent.context)
        now, assistant_id = utc_now(), sent.assistant_id or new_id()
        row = AssistantRow(
            id=assistant_id,
            graph_id=sent.graph_id,
            name="Untitled" if sent.name is None else sent.name,
            description=sent.description,
            config=config or {},
            context=context or {},
            meta=sent.metadata or {},
            version=1,
            created_at=now,
            updated_at=now,
            **owned_by(principal),
        )
        if self._system.get(assistant_id) is None:
            with suppress(IntegrityError):
                async with self._database.transaction() as session:
                    session.add(row)
                    await session.flush()
                    session.add(version_of(row, now))
                return Assistant.of(row)
        if sent.if_exists == "do_nothing":
            with suppress(NotFound):
                return await self.get(principal, assistant_id)
        raise Conflict(f"Assistant {assistant_id} already exists")

    async def update(self, principal: Principal, assistant_id: str, patch: AssistantPatch) -> Assistant:
        """Make a new version; metadata are merged, the rest is replaced.

        Raises:
            Forbidden: It is a graph's own.
            NotFound: There is no such graph.
            BadRequest: As `create`.
        """
        self._system.refuse_change(assistant_id)
        if patch.graph_id is not None:
            self._check_graph(patch.graph_id)
        async with self._database.transaction() as session:
            row = await get_assistant(session, principal, assistant_id, lock=True)
            _change(row, patch)
            row.version, row.updated_at = await newest_version(session, assistant_id) + 1, utc_now()
            session.add(version_of(row, row.updated_at))
        return Assistant.of(row)

    async def delete(self, principal: Principal, assistant_id: str, *, delete_threads: bool = False) -> None:
        """Forget an assistant with its versions; with its threads if asked.

        Raises:
            Forbidden: It is a graph's own.
        """
        self._system.refuse_change(assistant_id)
        async with self._database.read() as session:
            await get_assistant(session, principal, assistant_id)
        if delete_threads:
            await self._delete_threads(principal, assistant_id)
        async with self._database.transaction() as session:
            await session.delete(await get_assistant(session, principal, assistant_id, lock=True))

    async def search(self, principal: Principal, asked: AssistantSearch) -> tuple[list[Assistant], bool]:
        """Fetch a page of what the principal sees; whether there is more.

        The graphs' own stand in no table: as many rows more are read as there are of them, and both are merged.
        """
        if asked.graph_id is not None:
            self._check_graph(asked.graph_id)
        system = self._system.matching(asked)
        skipped = max(0, asked.offset - len(system))
        limit = asked.offset - skipped + asked.limit + 1
        async with self._database.read() as session:
            rows = await page_of_assistants(session, principal, asked, offset=skipped, limit=limit)
        found = sorted(
            [*system, *map(Assistant.of, rows)],
            key=lambda assistant: (getattr(assistant, asked.sort_by), assistant.assistant_id),
            reverse=asked.sort_order == "desc",
        )
        page = found[asked.offset - skipped :]
        return page[: asked.limit], len(page) > asked.limit

    async def count(self, principal: Principal, wanted: AssistantFilter) -> int:
        """Count what the principal sees."""
        if wanted.graph_id is not None:
            self._check_graph(wanted.graph_id)
        async with self._database.read() as session:
            return await count_assistants(session, principal, wanted) + len(self._system.matching(wanted))

    async def listed(self, principal: Principal, *, limit: int, offset: int) -> Sequence[Assistant]:
        """List what the principal sees, oldest first."""
        asked = AssistantSearch(limit=limit, offset=offset, sort_by="created_at", sort_order="asc")
        return (await self.search(principal, asked))[0]

    async def versions(self, principal: Principal, assistant_id: str, asked: VersionSearch) -> list[AssistantVersion]:
        """Fetch a page of versions, newest first."""
        only = self._system.version(assistant_id)
        if only is not None:
            return [only][asked.offset : asked.offset + asked.limit]
        async with self._database.read() as session:
            await get_assistant(session, principal, assistant_id)
            return [AssistantVersion.of(row) for row in await page_of_versions(session, assistant_id, asked)]

    async def set_latest(self, principal: Principal, assistant_id: str, version: int) -> Assistant:
        """Put a version in force again, as a whole.

        Raises:
            Forbidden: It is a graph's own.
            NotFound: There is no such version.
        """
        self._system.refuse_change(assistant_id)
        async with self._database.transaction() as session:
            row = await get_assistant(session, principal, assistant_id, lock=True)
            restore(row, await get_version(session, assistant_id, version))
            row.updated_at = utc_now()
        return Assistant.of(row)

    async def _delete_threads(self, principal: Principal, assistant_id: str) -> None:
        asked = ThreadSearch(metadata={"assistant_id": assistant_id}, limit=100, select=["thread_id"])
        while True:
            found, _more = await self._threads.search(principal, asked)
            if not found:
                return
            for thread in found:
                with suppress(NotFound):
                    await self._threads.delete(principal, thread["thread_id"])

    def _check_graph(self, graph_id: str) -> None:
        if graph_id not in self._graphs:
            raise NotFound(f"Graph '{graph_id}' not found. Expected one of: {sorted(self._graphs.ids)}")


def _change(row: AssistantRow, patch: AssistantPatch) -> None:
    config, context = configured(patch.config, patch.context)
    if config is not None:
        row.config = config
    if context is not None:
        row.context = context
        row.config = {**row.config, "configurable": context} if context else row.config
    if patch.metadata:
        row.meta = row.meta | patch.metadata
    for name in ("graph_id", "name", "description"):
        value = getattr(patch, name)
        if value is not None:
            setattr(row, name, value)
