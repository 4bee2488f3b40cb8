"""Memory over a SQLite file: what memory has lost, or a restart has, the file still has."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from ...core.errors import Unavailable
from .keyfilter import KeyFilter
from .repository import CacheFile, Write
from .stores import Bump, Clock, Figures, MemoryStore, Stamp
from .worker import Worker

_FLUSH_S: Final = 0.1
"""Writes wait this long for company."""
_LOOK_S: Final = 1.0
"""So soon is seen what another process has bumped."""
_WAITING_BYTES: Final = 8_000_000
_FAILURES: Final = (sqlite3.Error, OSError)

log = structlog.get_logger(__name__)


class SqliteStore:
    """Two levels: memory first, then a file. If the file cannot be used, memory alone goes on.

    Args:
        memory: The first level; its generations are those of the file too.
        path: The file.
        max_bytes: What the values in the file may take.
        lives_s: A generation is remembered this long.
    """

    def __init__(
        self, memory: MemoryStore, path: Path, *, max_bytes: int, lives_s: float, clock: Clock = time.time
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._lives_s = lives_s
        self._worker = Worker(lambda: CacheFile(path, max_bytes=max_bytes))
        self._filter = KeyFilter()
        self._meanwhile: list[bytes] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._loaded = False
        self._alone = False
        self._looked = 0.0
        self._waiting: OrderedDict[bytes, Write] = OrderedDict()
        self._waiting_bytes = 0
        self._flushing: asyncio.TimerHandle | None = None
        self._dropped = 0
        self._figures = (0, 0, 0)

    def stamp(self, tags: Sequence[str]) -> Stamp | None:
        """Tell the generations of tags, once the file has been read."""
        return self._memory.stamp(tags) if self._loaded else None

    async def get(self, keys: Sequence[bytes], tags: Sequence[str] = ()) -> tuple[list[bytes | None], Stamp | None]:
        """Look keys up; the file is asked only for what it may have."""
        if not self._loaded:
            await self._load()
        elif self._clock() - self._looked > _LOOK_S:
            self._look()
        values = [self._memory.peek(key) for key in keys]
        missing = [key for key, value in zip(keys, values, strict=True) if value is None and key in self._filter]
        if missing:
            found = await self._read(missing)
            values = [found.get(key) if value is None else value for key, value in zip(keys, values, strict=True)]
        return values, self._memory.stamp(tags)

    def put(self, key: bytes, value: bytes, *, lives_s: float) -> None:
        """Keep a value in memory now and in the file soon."""
        self._memory.put(key, value, lives_s=lives_s)
        if self._alone or lives_s <= 0:
            return
        self._forget_waiting(key)
        self._waiting[key] = Write(key, value, self._clock() + lives_s)
        self._waiting_bytes += len(value)
        self._note(key)
        while self._waiting_bytes > _WAITING_BYTES:
            self._forget_waiting(next(iter(self._waiting)))
            self._dropped += 1
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(_FLUSH_S, self._flush)

    async def drop(self, key: bytes) -> bool:
        """Forget a key on both levels."""
        here = await self._memory.drop(key)
        here = self._forget_waiting(key) or here
        there = await self._certainly(self._worker.ask(lambda file: file.drop(key)))
        return bool(here or there)

    async def bump(self, tags: Sequence[str]) -> None:
        """Give tags a new generation, here at once and in other processes within a second or so."""
        if not self._loaded:
            await self._load()
        told = self._memory.generations.bump(tags)
        older = self._clock() - self._lives_s
        await self._certainly(self._worker.ask(lambda file: file.bump(told, older=older)))

    def figures(self) -> Figures:
        """Tell how full the file is, as of its last write."""
        if self._alone:
            return self._memory.figures()
        return Figures("sqlite", *self._figures, self._dropped)

    async def close(self) -> None:
        """Write what waits, and let the file go."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flush()
        await self._worker.close()
        await self._memory.close()

    async def _load(self) -> None:
        """Read keys and generations, once, whoever asks first and whoever of them leaves."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._read_all())
        await asyncio.shield(self._loading)

    async def _read_all(self) -> None:
        now = self._clock()
        self._meanwhile = list(self._waiting)
        try:
            made, told, self._figures = await self._worker.ask(
                lambda file: (KeyFilter(file.keys(now=now)), file.generations(), file.figures())
            )
        except _FAILURES as exc:
            log.warning("llm_cache_file_unusable", error=str(exc))
            self._alone = True
        else:
            self._take(made)
            self._memory.generations.learn(told)
        self._looked = self._clock()
        self._loaded = True

    def _note(self, key: bytes) -> None:
        """Note that the file has a key; a filter that is full of what is gone is made anew, in the file's thread."""
        self._filter.add(key)
        if self._meanwhile is not None:
            self._meanwhile.append(key)
        elif self._filter.is_full:
            self._meanwhile = list(self._waiting)
            now = self._clock()
            self._worker.ask(lambda file: KeyFilter(file.keys(now=now))).add_done_callback(self._refilled)

    def _refilled(self, made: asyncio.Future[KeyFilter]) -> None:
        if not self._failed(made):
            self._take(made.result())

    def _take(self, made: KeyFilter) -> None:
        """Use a filter that was made from the file, and what was put while it was made."""
        for key in self._meanwhile or ():
            made.add(key)
        self._filter, self._meanwhile = made, None

    def _look(self) -> None:
        """See what others have bumped; nobody waits for it."""
        self._looked = self._clock()
        if not self._alone:
            self._worker.ask(lambda file: file.changed_generations()).add_done_callback(self._seen)

    def _seen(self, told: asyncio.Future[list[Bump]]) -> None:
        if not self._failed(told):
            self._memory.generations.learn(told.result())

    async def _read(self, keys: list[bytes]) -> dict[bytes, bytes]:
        found = {key: self._waiting[key] for key in keys if key in self._waiting}
        asked = [key for key in keys if key not in found]
        if asked:
            with suppress(*_FAILURES):
                found |= await self._worker.ask(lambda file: file.read(asked))
        now = self._clock()
        alive = {key: write for key, write in found.items() if write.dies > now}
        for key, write in alive.items():
            self._memory.put(key, write.value, lives_s=write.dies - now)
        return {key: write.value for key, write in alive.items()}

    def _flush(self) -> None:
        self._flushing = None
        writes, now = list(self._waiting.values()), self._clock()
        self._waiting.clear()
        self._waiting_bytes = 0
        if writes:
            self._worker.ask(lambda file: file.write(writes, now=now)).add_done_callback(self._written)

    def _written(self, done: asyncio.Future[tuple[int, int, int]]) -> None:
        if self._failed(done):
            self._dropped += 1
        else:
            self._figures = done.result()

    def _forget_waiting(self, key: bytes) -> bool:
        write = self._waiting.pop(key, None)
        if write is None:
            return False
        self._waiting_bytes -= len(write.value)
        return True

    async def _certainly(self, done: asyncio.Future[bool | None]) -> bool | None:
        try:
            return await done
        except _FAILURES as exc:
            if self._alone:
                return None
            raise Unavailable("The cache's file cannot be written just now; try again.") from exc

    @staticmethod
    def _failed(done: asyncio.Future[Any]) -> bool:
        if done.cancelled() or (error := done.exception()) is None:
            return done.cancelled()
        log.warning("llm_cache_file_failed", error=str(error))
        return True
