"""One row for each request, written soon and together: whoever answers waits for nothing."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Self

import structlog
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from ...core.settings_llm import LedgerSettings
from ...store.engine import Database
from ..chat import CompletionRequest, Outcome
from ..usage import Usage
from .entries import Entry, Row, row_of
from .repository import forget_rows, insert_entries

log = structlog.get_logger(__name__)

TOGETHER: Final = 100
"""Rows of one transaction; making more of them at once would be felt by those who wait for a token."""
_TIDY_S: Final = 3_600.0
_RETRY_S: Final = 1.0


class SqlLedger:
    """A bounded queue before the table `ledger`; a kill loses what came in the last `flush_s` seconds.

    Args:
        database: Where rows go.
        settings: What was set.
        baseline: What a usage would cost on the best model, in nano-dollars.
        clock: Seconds since 1970.

    Attributes:
        dropped: Rows that found the queue full, or that the database refused.
    """

    def __init__(
        self,
        database: Database,
        settings: LedgerSettings,
        baseline: Callable[[Usage], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.settings = settings
        self.dropped = 0
        self._baseline = baseline
        self._clock = clock
        self._most = settings.queue
        self._entries: deque[Entry] = deque()
        self._batch: list[Row] = []
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stalled = False
        self._tidy_at = 0.0

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return len(self._entries) + len(self._batch)

    def add(self, request: CompletionRequest, outcome: Outcome) -> None:
        """Note one request; `outcome` is complete, and nobody changes it any more."""
        entries = self._entries
        if len(entries) >= self._most:
            self._drop()
            return
        # Of the request only what the row needs: its body may be large, and the database slow.
        entries.append(
            Entry(
                self._clock(),
                request.id,
                request.caller,
                outcome,
                request.streamed,
                outcome.model or request.model[:200],
                "messages" in request.body,
            )
        )
        if len(entries) == 1:
            self._wake.set()

    def start(self) -> None:
        """Begin to write."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._forever())

    async def close(self) -> None:
        """Write what is left; what the database does not take now is lost, and said to be."""
        self._closing.set()
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task})
        await self._attempt()
        if self.waiting:
            log.error("ledger_rows_lost", rows=self.waiting)

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def _forever(self) -> None:
        while not self._closing.is_set():
            await self._something()
            await self._pause(self.settings.flush_s)
            while not await self._attempt() and not self._closing.is_set():
                await self._pause(_RETRY_S)

    async def _something(self) -> None:
        try:
            async with asyncio.timeout(_TIDY_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    async def _attempt(self) -> bool:
        """Write what waits, and delete what is old; whether the database did its part."""
        try:
            while self._fill():
                await self._write()
            self._stalled = False
            now = self._clock()
            if now >= self._tidy_at:
                self._tidy_at = now + _TIDY_S
                await self._tidy(now)
        except SQLAlchemyError as exc:
            log.warning("ledger_stalled", error=type(exc).__name__, waiting=self.waiting)
            return False
        return True

    def _fill(self) -> bool:
        """Make the next batch, unless one is left: it is tried again as it is, lest a row be written twice."""
        if not self._batch:
            count = min(len(self._entries), TOGETHER)
            self._batch = [row_of(self._entries.popleft(), self._baseline) for _ in range(count)]
        return bool(self._batch)

    async def _write(self) -> None:
        try:
            await insert_entries(self.database, self._batch)
        except (DataError, IntegrityError):
            await self._write_singly()
        self._batch = []

    async def _write_singly(self) -> None:
        """One row that the database refuses must not take the others with it."""
        while self._batch:
            try:
                await insert_entries(self.database, self._batch[-1:])
            except (DataError, IntegrityError) as exc:
                self.dropped += 1
                log.warning("ledger_row_refused", error=type(exc).__name__)
            self._batch.pop()

    async def _tidy(self, now: float) -> None:
        before = datetime.fromtimestamp(now, UTC) - self.settings.retention
        gone = await forget_rows(self.database, before)
        if gone:
            log.info("ledger_trimmed", rows=gone)

    def _drop(self) -> None:
        self.dropped += 1
        if not self._stalled:
            self._stalled = True
            log.error("ledger_full", waiting=len(self._entries), dropped=self.dropped)


class NoLedger:
    """Nothing is written down."""

    def add(self, request: CompletionRequest, outcome: Outcome) -> None:
        """Forget it."""

    def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""
