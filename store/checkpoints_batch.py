"""Writes that arrive while others are committed share the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from .sqlite import to_its_end

Write = TypeVar("Write")


class Batches(Generic[Write]):
    """Commits writes together: one transaction at a time, for whatever came meanwhile.

    A caller returns once its own write is committed or refused, also when it is cancelled: a run that has come to rest
    has nothing on its way.

    Args:
        commit: Writes a batch in one transaction and gives each write's result, or the exception that it is told.
        apart: Whether writes that failed together in this way are tried one by one, so that each fails for itself.
        most: Writes in one transaction.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Write]], Coroutine[Any, Any, Sequence[Any]]],
        *,
        apart: Callable[[BaseException], bool] = lambda _: False,
        most: int = 1000,
    ) -> None:
        self._commit = commit
        self._apart = apart
        self._most = most
        self._waiting: list[tuple[Write, asyncio.Future[Any]]] = []
        self._batch: list[tuple[Write, asyncio.Future[Any]]] = []
        self._working: asyncio.Task[None] | None = None

    async def add(self, write: Write) -> Any:
        """Have it written with others."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
            self._working.add_done_callback(self._ended)
        return await to_its_end(future)

    async def _work(self) -> None:
        while self._waiting:
            self._batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            results = await self._results([write for write, _ in self._batch])
            _tell([future for _, future in self._batch], results)
        self._working, self._batch = None, []

    async def _results(self, writes: Sequence[Write]) -> Sequence[Any]:
        (committed,), _ = await asyncio.wait({asyncio.create_task(self._commit(writes))})
        failure = committed.exception()
        if failure is None:
            results: Sequence[Any] = committed.result()
            return results
        if len(writes) == 1 or not self._apart(failure):
            return [failure] * len(writes)
        return [result for write in writes for result in await self._results([write])]

    def _ended(self, work: asyncio.Task[None]) -> None:
        """Let go of everybody if the work was cancelled, maybe before it began: the loop ends."""
        if not work.cancelled():
            return
        left = [future for _, future in (*self._batch, *self._waiting)]
        self._working, self._batch, self._waiting = None, [], []
        for future in left:
            future.cancel()


def _tell(futures: Sequence[asyncio.Future[Any]], results: Sequence[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
