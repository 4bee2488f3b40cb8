"""Wires the cache: Redis if there is one, else memory over a file in the data folder."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...core.settings_llm import ResponseCacheSettings, SemanticCacheSettings
from .admin import CacheAdmin
from .cache import ResponseCache
from .counters import Books
from .embeddings import EmbeddingCache
from .sqlite_store import SqliteStore
from .stores import Clock, Generations, MemoryStore, Store

if TYPE_CHECKING:
    from .semantic import SemanticCache

FILE: Final = "llm-cache.db"
Embed = Callable[[list[str]], Awaitable[Sequence[Sequence[float]]]]


class Caches:
    """Everything the gateway caches with.

    Attributes:
        answers: `seams.Cache`.
        embeddings: Vectors by text.
        admin: What an administrator may do.
    """

    def __init__(self, answers: ResponseCache, embeddings: EmbeddingCache, admin: CacheAdmin) -> None:
        self.answers = answers
        self.embeddings = embeddings
        self.admin = admin

    async def close(self) -> None:
        """Hang up, write what waits, let go."""
        await self.answers.close()


def build_cache(
    *,
    settings: ResponseCacheSettings,
    semantic: SemanticCacheSettings | None = None,
    data_dir: Path | None = None,
    redis_url: str | None = None,
    embed: Embed | None = None,
    clock: Clock = time.time,
) -> Caches:
    """Wire the cache; nothing is opened before it is first used.

    Args:
        settings: Of the exact cache.
        semantic: Of the semantic cache; it is on if enabled and there is an `embed`.
        data_dir: Where the file goes, if there is no Redis; None: memory only.
        redis_url: Redis, for processes that share answers.
        embed: Gives vectors of texts.
        clock: Seconds since the epoch.
    """
    books = Books()
    store = _store(settings, data_dir=data_dir, redis_url=redis_url, clock=clock)
    similar = None if semantic is None or embed is None or not semantic.enabled else _semantic(semantic, embed)
    answers = ResponseCache(store, settings, books=books, semantic=similar, clock=clock)
    embeddings = EmbeddingCache(store, ttl_s=settings.embeddings_ttl_s, books=books)
    return Caches(answers, embeddings, CacheAdmin(answers))


def _store(settings: ResponseCacheSettings, *, data_dir: Path | None, redis_url: str | None, clock: Clock) -> Store:
    lives_s = max(settings.max_ttl_s, settings.ttl_s, settings.embeddings_ttl_s) + settings.stale_s
    if redis_url:
        from ...store.redis_link import connect  # noqa: PLC0415 - where there is no Redis its client costs nothing
        from .redis_store import RedisStore  # noqa: PLC0415

        return RedisStore(connect(redis_url), lives_s=lives_s)
    generations = Generations(lives_s=lives_s, clock=clock)
    memory = MemoryStore(max_bytes=settings.memory_bytes, generations=generations, clock=clock)
    if data_dir is None or not settings.disk_bytes:
        return memory
    return SqliteStore(memory, data_dir / FILE, max_bytes=settings.disk_bytes, lives_s=lives_s, clock=clock)


def _semantic(settings: SemanticCacheSettings, embed: Embed) -> SemanticCache:
    from .semantic import SemanticCache  # noqa: PLC0415 - where it is off numpy costs nothing

    return SemanticCache(embed, settings)
