"""A thread that owns one SQLite connection: what the event loop asks for in one moment is one trip."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from .repository import CacheFile

Result = TypeVar("Result")
Job = tuple["asyncio.Future[Any]", Callable[[CacheFile], Any]]
_Answer = tuple["asyncio.Future[Any]", Any, Exception | None]

_TOGETHER: Final = 256


class Worker:
    """Does things to a cache file, in the order they were asked for, away from the event loop.

    Args:
        open_file: Opens the file; called in the thread.
    """

    def __init__(self, open_file: Callable[[], CacheFile]) -> None:
        self._open_file = open_file
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[Any] | None = None

    def ask(self, work: Callable[[CacheFile], Result]) -> asyncio.Future[Result]:
        """Have something done; the future raises `sqlite3.Error` or `OSError`."""
        if self._loop is None:
            self._start()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._jobs.put((future, work))
        return future

    async def close(self) -> None:
        """Do what was asked for, and end."""
        if self._ended is not None:
            self._jobs.put(None)
            await self._ended

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        threading.Thread(target=self._run, name="llm-cache", daemon=True).start()

    def _run(self) -> None:
        try:
            file: CacheFile | sqlite3.Error | OSError = self._open_file()
        except (sqlite3.Error, OSError) as exc:
            file = exc
        going = True
        while going:
            jobs = self._some()
            going = None not in jobs
            self._tell([_done(job, file) for job in jobs if job is not None])
        if isinstance(file, CacheFile):
            file.close()
        if self._ended is not None:
            self._tell([(self._ended, None, None)])

    def _some(self) -> list[Job | None]:
        jobs = [self._jobs.get()]
        with suppress(queue.Empty):
            while len(jobs) < _TOGETHER and jobs[-1] is not None:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _tell(self, answers: list[_Answer]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended without a farewell
                self._loop.call_soon_threadsafe(_resolve, answers)


def _done(job: Job, file: CacheFile | sqlite3.Error | OSError) -> _Answer:
    future, work = job
    if not isinstance(file, CacheFile):
        return future, None, file
    try:
        return future, work(file), None
    except (sqlite3.Error, OSError) as exc:
        return future, None, exc


def _resolve(answers: list[_Answer]) -> None:
    for future, result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
