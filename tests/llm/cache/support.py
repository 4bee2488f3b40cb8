"""A cache to test with: a clock that is moved by hand, requests and answers as short as they can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from codelab.core.settings_llm import ResponseCacheSettings
from codelab.llm.cache.cache import ResponseCache
from codelab.llm.cache.stores import Generations, MemoryStore
from codelab.llm.catalog import Model, Provider
from codelab.llm.chat import DIRECT, Caller, CompletionRequest, Controls, Outcome
from codelab.llm.events import Batch, Event, Finish, Text, Used
from codelab.llm.usage import Usage

MODEL = Model(id="m", provider=Provider(name="p", kind="openai"), upstream="m-1")
OTHER = Model(id="other", provider=Provider(name="p", kind="openai"), upstream="m-2")
ALICE = Caller(user_id="alice")
USED = Used(Usage(7, 3), {"prompt_tokens": 7, "completion_tokens": 3})
SAID: list[list[Event]] = [[Text("one ")], [Text("two"), Text(" three")], [Finish("stop"), USED]]


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def memory(clock: Clock | None = None, *, max_bytes: int = 1_000_000) -> MemoryStore:
    clock = clock or Clock()
    return MemoryStore(max_bytes=max_bytes, generations=Generations(lives_s=10**7, clock=clock), clock=clock)


def cache(clock: Clock | None = None, **settings: Any) -> ResponseCache:
    clock = clock or Clock()
    return ResponseCache(memory(clock), ResponseCacheSettings(**settings), clock=clock)


def ask(
    text: str = "hello", *, caller: Caller = ALICE, controls: Controls = DIRECT, without: str = "", **body: Any
) -> CompletionRequest:
    whole = {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0} | body
    whole.pop(without, None)
    return CompletionRequest(body=whole, caller=caller, controls=controls)


def outcome(**values: Any) -> Outcome:
    return Outcome(**{"model": "m", "cost": 500, "usage": USED.usage, "finish": "stop", **values})


def batches(said: Sequence[Sequence[Event]] = SAID) -> list[Batch]:
    return [Batch(events) for events in said]


def store(
    cache: ResponseCache, request: CompletionRequest, said: Sequence[Sequence[Event]] = SAID, **ended: Any
) -> Any:
    """Keep an answer to a request; its plan."""
    plan = cache.plan(request, MODEL)
    cache.keep(plan, batches(said), outcome(**ended))
    return plan


async def found(cache: ResponseCache, request: CompletionRequest, model: Model = MODEL, *, stale: bool = False) -> Any:
    """What a request is answered with; None if nothing, or if it may not look."""
    plan = cache.plan(request, model)
    return None if plan is None else await cache.find(plan, stale=stale)


def upstream(said: Sequence[Any], closed: list[str] | None = None) -> Any:
    """Something to `ask`: batches of events, exceptions to raise, events to wait for."""

    async def answer() -> AsyncGenerator[Batch, None]:
        try:
            for part in said:
                if isinstance(part, BaseException):
                    raise part
                if hasattr(part, "wait"):
                    await part.wait()
                else:
                    yield Batch(part)
        finally:
            if closed is not None:
                closed.append("closed")

    return answer


async def settle(turns: int = 20) -> None:
    """Let everybody go on who can."""
    for _ in range(turns):
        await asyncio.sleep(0)
