"""Savers and stores that an application brings along, in place of ours."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.store.base import BaseStore

from ..core.errors import ConfigError
from .checkpoints import Checkpoints
from .checkpoints_fence import Fenced

log = structlog.get_logger(__name__)
_OPTIONAL: Final[Mapping[str, str]] = {
    "adelete_for_runs": "what a rolled back run wrote stays",
    "acopy_thread": "threads are copied checkpoint by checkpoint",
    "aprune": "threads cannot be pruned to their newest state",
}


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What an application brings: each a factory, best an async context manager, or the thing itself."""

    checkpointer: Any = None
    store: Any = None


NOTHING: Final = Brought()


@asynccontextmanager
async def borrowing(ours: Checkpoints, brought: Brought) -> AsyncIterator[Checkpoints]:
    """Put what an application brought in the place of ours, for the life of the block.

    Raises:
        ConfigError: A factory made something else.
    """
    async with AsyncExitStack() as stack:
        saver: Fenced = ours.saver()
        if brought.checkpointer is not None:
            theirs = await _opened(stack, "checkpointer", brought.checkpointer, BaseCheckpointSaver)
            saver = Borrowed(theirs)
            log.warning(
                "checkpointer_borrowed",
                saver=type(theirs).__name__,
                why="a worker that lost its run is kept from writing by its own word only",
                without={name: effect for name, effect in _OPTIONAL.items() if not _has(theirs, name)},
            )
        store = ours.store
        if brought.store is not None:
            store = await _opened(stack, "store", brought.store, BaseStore)
            log.warning("store_borrowed", store=type(store).__name__)
        yield ours if brought == NOTHING else BorrowedCheckpoints(ours, saver, store)


class BorrowedCheckpoints(Checkpoints):
    """Ours, with an application's saver or store instead; what is left of ours is opened and set up as ever."""

    def __init__(self, ours: Checkpoints, saver: Fenced, store: BaseStore) -> None:
        super().__init__(saver, store)
        self._ours = ours

    @property
    def reader(self) -> BaseCheckpointSaver[Any]:
        """Make a saver without a fence."""
        return self._saver if isinstance(self._saver, Borrowed) else self._ours.reader


class Borrowed(Fenced):
    """A saver of an application's, which asks the run's fence before it writes. Its tables know no lease.

    Args:
        theirs: The application's.
    """

    def __init__(self, theirs: BaseCheckpointSaver[Any]) -> None:
        super().__init__(serde=theirs.serde)
        self._theirs = theirs

    @property
    def config_specs(self) -> list[Any]:
        """See the base."""
        return self._theirs.config_specs

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Self:
        """Leave it alone: what comes out of it is its application's own affair."""
        del extra_allowlist
        return copy(self)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """See the base."""
        return self._theirs.get_next_version(current, channel)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See the base; for graphs that run in a thread."""
        return self._theirs.get_tuple(config)

    def put(self, *args: Any, **kwargs: Any) -> RunnableConfig:
        """See the base; for graphs that run in a thread."""
        self.fence()
        return self._theirs.put(*args, **kwargs)

    def put_writes(self, *args: Any, **kwargs: Any) -> None:
        """See the base; for graphs that run in a thread."""
        self.fence()
        self._theirs.put_writes(*args, **kwargs)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See the base."""
        return await self._theirs.aget_tuple(config)

    async def alist(self, config: RunnableConfig | None, **kwargs: Any) -> AsyncIterator[CheckpointTuple]:
        """See the base."""
        async for each in self._theirs.alist(config, **kwargs):
            yield each

    async def aput(self, *args: Any, **kwargs: Any) -> RunnableConfig:
        """See the base."""
        self.fence()
        return await self._theirs.aput(*args, **kwargs)

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        """See the base."""
        self.fence()
        await self._theirs.aput_writes(*args, **kwargs)

    async def aget_delta_channel_history(self, **kwargs: Any) -> Any:
        """See the base."""
        return await self._theirs.aget_delta_channel_history(**kwargs)

    async def adelete_thread(self, thread_id: str) -> None:
        """See the base."""
        self.fence()
        await self._theirs.adelete_thread(thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See the base."""
        self.fence()
        await self._theirs.adelete_for_runs(run_ids)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """See the base."""
        self.fence()
        await self._theirs.aprune(thread_ids, strategy=strategy)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread: its own way where it has one, else checkpoint by checkpoint, oldest first."""
        if _has(self._theirs, "acopy_thread"):
            await self._theirs.acopy_thread(source_thread_id, target_thread_id)
            return
        config: RunnableConfig = {"configurable": {"thread_id": source_thread_id}}
        for each in reversed([found async for found in self._theirs.alist(config)]):
            await self._copy(each, target_thread_id)

    async def drop_runs(self, thread_id: str, run_ids: Sequence[str]) -> None:
        """See the base; a saver that cannot leaves everything where it is."""
        if _has(self._theirs, "adelete_for_runs"):
            await self.adelete_for_runs(run_ids)
            return
        log.error("rollback_impossible", thread_id=thread_id, runs=list(run_ids), why="the saver cannot delete runs")

    async def drop_namespaces(self, thread_id: str) -> None:
        """Leave them: they do no harm."""

    async def _copy(self, each: CheckpointTuple, target: str) -> None:
        at = each.config["configurable"]
        before = each.parent_config["configurable"]["checkpoint_id"] if each.parent_config else None
        place: RunnableConfig = {
            "configurable": {"thread_id": target, "checkpoint_ns": at.get("checkpoint_ns", ""), "checkpoint_id": before}
        }
        put = await self._theirs.aput(place, each.checkpoint, each.metadata, each.checkpoint["channel_versions"])
        writes: dict[str, list[tuple[str, Any]]] = {}
        for task_id, channel, value in each.pending_writes or ():
            writes.setdefault(task_id, []).append((channel, value))
        for task_id, written in writes.items():
            await self._theirs.aput_writes(put, written, task_id)


def _has(saver: BaseCheckpointSaver[Any], name: str) -> bool:
    return getattr(type(saver), name) is not getattr(BaseCheckpointSaver, name)


async def _opened(stack: AsyncExitStack, key: str, source: Any, kind: type[Any]) -> Any:
    made = source
    if not isinstance(made, kind) and callable(made):
        made = _entered(source)()
    if inspect.isawaitable(made):
        made = await made
    if not isinstance(made, kind) and isinstance(made, AbstractAsyncContextManager):
        made = await stack.enter_async_context(made)
    elif not isinstance(made, kind) and isinstance(made, AbstractContextManager):
        made = stack.enter_context(made)
    if not isinstance(made, kind):
        raise ConfigError(f"{key}.path made a {type(made).__name__}: it is to yield a {kind.__name__}.")
    return made


def _entered(factory: Callable[[], Any]) -> Callable[[], Any]:
    return asynccontextmanager(factory) if inspect.isasyncgenfunction(factory) else factory
