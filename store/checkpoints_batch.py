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
    """

    def __init__(self, commit: Callable[[Sequence[Write]], Coroutine[Any, Any, Sequence[Any]]]) -> None:
        self._commit = commit
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
            self._batch, self._waiting = self._waiting, []
            writes = [write for write, _ in self._batch]
            (committed,), _ = await asyncio.wait({asyncio.create_task(self._commit(writes))})
            _tell([future for _, future in self._batch], committed)
        self._working, self._batch = None, []

    def _ended(self, work: asyncio.Task[None]) -> None:
        """Let go of everybody if the work was cancelled, maybe before it began: the loop ends."""
        if not work.cancelled():
            return
        left = [future for _, future in (*self._batch, *self._waiting)]
        self._working, self._batch, self._waiting = None, [], []
        for future in left:
            future.cancel()


def _tell(futures: Sequence[asyncio.Future[Any]], committed: asyncio.Task[Sequence[Any]]) -> None:
    failure = committed.exception()
    results: Sequence[Any] = [failure] * len(futures) if failure is not None else committed.result()
    for future, result in zip(futures, results, strict=True):
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
