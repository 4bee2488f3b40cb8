"""Big prefixes of prompts, stored at Google: a system prompt and tools that come again are sent by name."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from ..catalog import Model
from ..chat import Body
from ..errors import UpstreamError
from .conversation import dumped
from .upstream import Upstream

_PREFIX: Final = ("systemInstruction", "tools")
_SMALLEST: Final = 16_384
"""Bytes below which storing a prefix costs more than it saves, or is refused."""
_TTL_S: Final = 300
_MARGIN_S: Final = 20
_KEPT: Final = 256
_TIMEOUT_S: Final = 30


@dataclass(slots=True)
class _Stored:
    """A prefix that was seen; `name` once Google has it."""

    until: float
    name: str = ""


class Prefixes:
    """What is stored, and for how long.

    A prefix is stored when it comes for the second time within five minutes, behind the request's back.
    """

    def __init__(self, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._known: OrderedDict[bytes, _Stored] = OrderedDict()
        self._storing: set[asyncio.Task[None]] = set()

    def used(self, model: Model, body: Body) -> Body:
        """Give the body with its prefix by name, if that is stored; else as it is."""
        if "toolConfig" in body or "cachedContent" in body:
            return body
        prefix: Body = {name: body[name] for name in _PREFIX if name in body}
        raw = dumped({"model": f"models/{model.upstream}", **prefix})
        if len(raw) < _SMALLEST:
            return body
        key, now = blake2b(raw, digest_size=16).digest(), self._clock()
        stored = self._known.get(key)
        if stored is None or stored.until <= now:
            self._known[key] = _Stored(now + _TTL_S)
            self._known.move_to_end(key)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return body
        if not stored.name:
            self._store(stored, raw)
            return body
        return {**{name: value for name, value in body.items() if name not in _PREFIX}, "cachedContent": stored.name}

    def forget(self, name: str) -> None:
        """Take note that Google has a prefix no more."""
        for key in [key for key, stored in self._known.items() if stored.name == name]:
            del self._known[key]

    def close(self) -> None:
        """Stop storing."""
        for task in self._storing:
            task.cancel()

    def _store(self, stored: _Stored, raw: bytes) -> None:
        if self._storing:  # one at a time; the others go as they are meanwhile
            return
        task = asyncio.create_task(self._stored(stored, raw))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)

    async def _stored(self, stored: _Stored, raw: bytes) -> None:
        body = orjson.dumps({**orjson.loads(raw), "ttl": f"{_TTL_S}s"})
        try:
            told = orjson.loads(await self._upstream.whole("/cachedContents", body, timeout_s=_TIMEOUT_S))
            stored.name = str(told["name"])
        except (UpstreamError, orjson.JSONDecodeError, KeyError, TypeError):
            stored.name = ""  # it goes on being sent whole; in five minutes it may be tried again
        stored.until = self._clock() + _TTL_S - _MARGIN_S
