"""The response cache: exact answers, answers on their way, and answers to similar questions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Final

from ...core.settings_llm import ResponseCacheSettings
from ..catalog import Model
from ..chat import CacheOutcome, CompletionRequest, Outcome
from ..errors import UpstreamError
from ..events import Batch
from ..seams import Flight, Hit, Plan
from . import entry
from .counters import Books
from .entry import Stored
from .flights import Ask, Flights
from .keys import FORMAT, digest, relevant
from .plan import CachePlan
from .policy import wanted
from .stores import Clock, Figures, Store
from .tags import LONGEST, MOST, tags_of

if TYPE_CHECKING:
    from .semantic import SemanticCache

_RENEWING_S: Final = 60.0
"""One client's answer is asked for anew; until it is there, or so long, the others get the old one."""
_MOST_RENEWALS: Final = 10_000


class ResponseCache:
    """Implements `seams.Cache`.

    Args:
        store: Where answers are kept.
        settings: What is kept, and how long.
        books: Counts, by tenant.
        semantic: Finds similar questions; None: it is off.
        clock: Seconds since the epoch: stored answers outlive the process.
    """

    def __init__(
        self,
        store: Store,
        settings: ResponseCacheSettings,
        *,
        books: Books | None = None,
        semantic: SemanticCache | None = None,
        clock: Clock = time.time,
    ) -> None:
        self.books = books or Books()
        self._store = store
        self._settings = settings
        self._semantic = semantic
        self._clock = clock
        self._flights = Flights(max_bytes=settings.flight_bytes)
        self._renewing: dict[bytes, float] = {}

    def plan(self, request: CompletionRequest, model: Model) -> Plan | None:
        """Tell what may be cached of a request; None if nothing."""
        controls, caller = request.controls, request.caller
        key = self._key(request, model) if wanted(request, self._settings) else None
        if key is None and controls.cache != "only":
            return None
        tags = tags_of(caller.tenant_id, model.id, controls.tags)
        plan = CachePlan(key=key, tenant=caller.tenant_id, model=model.id, tags=tags)
        plan.stamp = self._store.stamp(tags)
        plan.reads = controls.cache != "refresh"
        plan.only = controls.cache == "only"
        plan.streamed = request.streamed
        plan.ttl_s = self._settings.ttl_s if controls.ttl_s is None else min(controls.ttl_s, self._settings.max_ttl_s)
        plan.choices = request.body.get("n") or 1
        plan.rules = (controls.fallback, controls.route, controls.exact_model, controls.deadline_s, caller.priority)
        if self._semantic is not None and key is not None:
            plan.question = self._semantic.question(request, self._identity(request, model))
        return plan

    async def find(self, plan: Plan, *, stale: bool = False) -> Hit | None:
        """Look an answer up; `stale` takes one that has ended (nobody else can answer)."""
        if not isinstance(plan, CachePlan) or plan.key is None:
            return None
        stored = await self._stored(plan, plan.key)
        hit = None if stored is None else self._hit(plan, stored, stale=stale)
        if hit is None and not stale:
            hit = await self._similar(plan)
        self._count(plan, hit, stale=stale)
        return hit

    def join(self, plan: Plan, ask: Ask, outcome: Outcome | None = None) -> Flight:
        """Follow the answer that is on its way, or `ask` for it."""
        if not isinstance(plan, CachePlan):
            raise TypeError("not a plan of this cache")
        asking = ask if plan.stamp is not None else lambda: self._stamped(plan, ask)
        seat = self._flights.join(plan.flight, asking, fresh=not plan.reads, outcome=outcome)
        if not seat.leads:
            self.books.of(plan.tenant).shared += 1
        return seat

    def keep(self, plan: Plan, batches: Sequence[Batch], outcome: Outcome) -> None:
        """Store a finished answer, soon; one that did not end well is not kept."""
        if not isinstance(plan, CachePlan) or plan.key is None:
            return
        self._renewing.pop(plan.key, None)
        stored = self._fit(plan, batches, outcome)
        value = b"" if stored is None else entry.encode(stored)
        if stored is None or not 0 < len(value) <= self._settings.max_entry_bytes:
            self.books.of(plan.tenant).unfit += 1
            return
        self._store.put(plan.key, value, lives_s=plan.ttl_s + self._settings.stale_s)
        self.books.of(plan.tenant).stored += 1
        if self._semantic is not None:
            self._semantic.learn(plan, entry.said(entry.flat(stored.batches)), self.books.of(plan.tenant))

    async def purge(self, key: bytes) -> bool:
        """Forget one answer."""
        return await self._store.drop(key)

    async def bump(self, tags: Sequence[str]) -> None:
        """Forget every answer that depends on one of these tags (as `tags.scoped` names them)."""
        await self._store.bump(tags)

    def figures(self) -> Figures:
        """Tell how full the store is."""
        return self._store.figures()

    async def close(self) -> None:
        """Hang up, write what waits."""
        await self._flights.close()
        await self._store.close()

    def _key(self, request: CompletionRequest, model: Model) -> bytes | None:
        tags = request.controls.tags
        if tags and (len(tags) > MOST or any(len(tag) > LONGEST for tag in tags)):
            return None
        try:
            return digest(request.caller.tenant_id, [*self._identity(request, model), relevant(request.body)])
        except TypeError:  # an in-process caller's body need not be JSON
            return None

    def _identity(self, request: CompletionRequest, model: Model) -> list[Any]:
        """List what a key is made of beside the body and the tenant."""
        whose = request.caller.user_id if self._settings.per_user else ""
        return [FORMAT, self._settings.version, whose, model.name, model.upstream, sorted(request.controls.tags)]

    async def _stored(self, plan: CachePlan, key: bytes) -> Stored | None:
        values, plan.stamp = await self._store.get((key,), plan.tags)
        stored = entry.decode(values[0]) if values[0] is not None else None
        return stored if stored is not None and stored.stamp == plan.stamp else None

    def _hit(self, plan: CachePlan, stored: Stored, *, stale: bool) -> Hit | None:
        now = self._clock()
        ended = now >= min(stored.hard, stored.created + plan.ttl_s)
        if ended and not (stale and now < stored.hard + self._settings.stale_s):
            return None
        old = ended or now >= stored.soft
        return self._told(plan, stored, "stale" if old else "hit", renew=old and not stale and self._renews(plan))

    def _told(self, plan: CachePlan, stored: Stored, outcome: CacheOutcome, *, renew: bool = False) -> Hit:
        batches = entry.shaped(stored, streamed=plan.streamed)
        return Hit(batches=batches, outcome=outcome, model=stored.model, cost=stored.cost, renew=renew)

    def _renews(self, plan: CachePlan) -> bool:
        """Whether this client's is the one that an old answer is asked for anew with."""
        now, key = self._clock(), plan.key
        if key is None or plan.only or self._renewing.get(key, 0) > now:
            return False
        if len(self._renewing) >= _MOST_RENEWALS:
            self._renewing = {k: until for k, until in self._renewing.items() if until > now}
        if len(self._renewing) >= _MOST_RENEWALS:
            return False
        self._renewing[key] = now + _RENEWING_S
        return True

    async def _similar(self, plan: CachePlan) -> Hit | None:
        if self._semantic is None or plan.question is None:
            return None
        counters = self.books.of(plan.tenant)
        near = await self._semantic.look(plan.question, counters)
        if near is None:
            return None
        stored = await self._stored(plan, near.key)
        if stored is None or self._clock() >= min(stored.hard, stored.created + plan.ttl_s):
            self._semantic.forget(near)
            return None
        counters.semantic_hits += 1
        if self._semantic.trusts(near):
            return self._told(plan, stored, "semantic")
        plan.near = near
        near.answer = entry.said(entry.flat(stored.batches))
        return None

    async def _stamped(self, plan: CachePlan, ask: Ask) -> AsyncGenerator[Batch, None]:
        """Learn the generations before asking: what is bumped while the answer comes must not outlive it."""
        _, plan.stamp = await self._store.get((), plan.tags)
        async for batch in ask():
            yield batch

    def _fit(self, plan: CachePlan, batches: Sequence[Batch], outcome: Outcome) -> Stored | None:
        """Make what is kept; None if the answer is not one to be given again."""
        if plan.stamp is None or plan.ttl_s <= 0 or outcome.error or outcome.degraded or outcome.model != plan.model:
            return None
        try:
            held = [list(batch.events) for batch in batches]
        except UpstreamError:  # bytes that were passed on unread, and are none of ours to judge now
            return None
        if not entry.is_clean(held, plan.choices):
            return None
        now = self._clock()
        return Stored(
            batches=held,
            streamed=plan.streamed,
            model=outcome.model,
            cost=outcome.cost,
            usage=outcome.usage,
            created=now,
            soft=now + plan.ttl_s * self._settings.renew_after,
            hard=now + plan.ttl_s,
            stamp=plan.stamp,
        )

    def _count(self, plan: CachePlan, hit: Hit | None, *, stale: bool) -> None:
        counters = self.books.of(plan.tenant)
        if hit is None:
            counters.misses += not stale
            return
        counters.saved += hit.cost
        if hit.outcome == "semantic":
            counters.semantic += 1
        elif hit.outcome == "stale":
            counters.stale += 1
        else:
            counters.hits += 1
