"""The live tail over Redis Streams: one stream per thread, one connection per process that reads all it needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from .records import Batch, LoggedEvent
from .redis_link import BLOCK_S, Link, Outbox, end
from .tails import Readers, Subscription
from .texts import dump_json

LARGEST: Final = 64 * 1024
"""Characters of one entry. Larger records are only named: their readers find them in SQL."""
LENGTH: Final = 256
LIVES_S: Final = 120
_STREAM: Final = "codelab:log:"
_NEWS: Final = "codelab:log-readers:"
_EARLIER_MS: Final = 1_000
"""A new reader's stream is read from a little earlier: it subscribed before Redis heard of it."""
_PAUSE_PER_STREAM_S: Final = 20e-6
_ENTRIES: Final = 100

log = structlog.get_logger(__name__)


class RedisTail:
    """The readers of this process, told by it at once and by the others through Redis.

    Args:
        client: For blocking reads; `outbox` sends.
        outbox: Takes what is announced.
        link: Knows whether the reading connection works.
        origin: This process's name: what it announced itself is not taken twice.
    """

    _PART = "tail"

    def __init__(self, client: Redis, outbox: Outbox, link: Link, *, origin: str) -> None:
        self.readers = Readers()
        self._client = client
        self._outbox = outbox
        self._link = link
        self._origin = origin
        self._news = f"{_NEWS}{origin}"
        self._read: dict[str, str] = {}
        self._since_ms = 0
        self._reading: asyncio.Task[None] | None = None

    @property
    def lagging(self) -> bool:
        """Whether Redis is out of reach."""
        return not (self._link.is_up(self._PART) and self._outbox.is_open)

    def start(self) -> None:
        """Begin to listen."""
        self._reading = asyncio.create_task(self._link.keep(self._PART, self._listen))

    async def close(self) -> None:
        """Stop listening."""
        if self._reading is not None:
            await end(self._reading)

    def announce(self, thread_id: str, batch: Batch) -> None:
        """Hand the records to this process's readers, and soon to the others'."""
        self.readers.push(thread_id, batch)
        if self._outbox.is_open:
            for entry in entries(batch):
                self._outbox.put(partial(_add, stream=_STREAM + thread_id, entry={"o": self._origin, **entry}))

    def subscribe(self, thread_id: str) -> Subscription:
        """Add a reader; the listening connection is told if it does not listen to the thread yet."""
        if thread_id not in self.readers.threads:
            self._outbox.put(partial(_add, stream=self._news, entry={"o": self._origin}, length=1))
        return self.readers.add(thread_id)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a reader."""
        self.readers.discard(subscription)

    async def _listen(self) -> None:
        now: Any = await self._client.time()
        self._since_ms = now[0] * 1000
        self._read.setdefault(self._news, f"{self._since_ms}-0")
        block_ms = 1  # whether it works is known at once
        while True:
            streams = self._streams()
            found: Any = await self._client.xread(streams, count=_ENTRIES, block=block_ms)
            self._link.works(self._PART)
            block_ms = int(BLOCK_S * 1000)
            for stream, told in found:
                self._take(stream.decode(), told)
            if found:  # asking costs by the number of streams: let a little more come together
                await asyncio.sleep(_PAUSE_PER_STREAM_S * len(streams))

    def _streams(self) -> dict[Any, Any]:
        """Say from where on each stream is read; one that nobody reads any more is forgotten."""
        begin = f"{max(0, self._since_ms - _EARLIER_MS)}-0"
        wanted = (self._news, *(_STREAM + thread_id for thread_id in self.readers.threads))
        self._read = {stream: self._read.get(stream, begin) for stream in wanted}
        return dict(self._read)

    def _take(self, stream: str, told: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        if not told:
            return
        self._read[stream] = told[-1][0].decode()
        self._since_ms = max(self._since_ms, int(told[-1][0].partition(b"-")[0]))
        for _, entry in told:
            if entry.get(b"o") == self._origin.encode():
                continue
            try:
                self._hear(stream.removeprefix(_STREAM), entry)
            except (ValueError, LookupError, TypeError, AttributeError) as exc:  # another version's; SQL has it
                log.warning("tail_entry_unreadable", stream=stream, error=repr(exc))

    def _hear(self, thread_id: str, entry: dict[bytes, bytes]) -> None:
        body = entry.get(b"b")
        if body is None:
            self.readers.tell(thread_id, int(entry[b"l"]))
        else:
            self.readers.push(thread_id, decoded(thread_id, body))


def _add(pipe: Pipeline, stream: str, entry: dict[Any, Any], length: int = LENGTH) -> None:
    pipe.xadd(stream, entry, maxlen=length, approximate=True)
    pipe.expire(stream, LIVES_S)


def entries(batch: Batch) -> Iterator[dict[str, str | int]]:
    """Make stream entries of a batch: `b` is JSON records, `l` their last `seq`; without `b` SQL has them."""
    texts: list[str] = []
    size, last = 0, batch.first
    for event in batch.events:
        text = _encoded(event)
        if texts and size + len(text) > LARGEST:
            yield _entry(texts, last)
            texts, size = [], 0
        texts.append(text)
        size, last = size + len(text), event.seq
    yield _entry(texts, last)


def _entry(texts: list[str], last: int) -> dict[str, str | int]:
    body = f"[{','.join(texts)}]"
    return {"l": last} if len(body) > LARGEST + 2 else {"l": last, "b": body}


def _encoded(event: LoggedEvent) -> str:
    data = event.text or dump_json(event.data)
    told = dump_json([event.seq, event.run_id, event.attempt, event.type, event.at.isoformat()])
    return f"{told[:-1]},{data}]"


def decoded(thread_id: str, body: bytes) -> Batch:
    """Read the records of one entry; `ValueError` if some are missing in between."""
    records = [
        LoggedEvent(thread_id, seq, run_id, attempt, kind, data, datetime.fromisoformat(at))
        for seq, run_id, attempt, kind, at, data in json.loads(body)
    ]
    if any(record.seq != seq for seq, record in enumerate(records, records[0].seq)):
        raise ValueError("the records are not consecutive")
    return Batch(records)
