"""A provider that does what it is told, a clock that stands still, and the gateway's attempts over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from codelab.core.settings_llm import LLMSettings, ResilienceSettings
from codelab.llm.catalog import Model, Price, Provider
from codelab.llm.chat import Caller, CompletionRequest, Controls, Outcome
from codelab.llm.dialect import decode_chunks, decode_completion
from codelab.llm.events import Batch, Event, Text
from codelab.llm.resilience.attempts import Upstreams
from codelab.llm.resilience.build import build_attempts

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
THOUGHT = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}\n\n'
END = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
)


def chunk(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % text.encode()


def body(text: str) -> bytes:
    return (
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}]}'
        % text.encode()
    )


@dataclass
class Clock:
    """Time that passes when it is told to, or when somebody sleeps."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Takes:
    """So many seconds pass."""

    seconds: float


Step = bytes | list[Event] | Exception | Takes | asyncio.Event
Answer = Sequence[Step]


class Provided:
    """An adapter: each model's answers in their order, the last one again and again."""

    def __init__(self, answers: Mapping[str, Sequence[Answer]], clock: Clock) -> None:
        self._answers = {model: list(each) for model, each in answers.items()}
        self._clock = clock
        self.asked: list[str] = []
        self.vectors: list[Any] = []
        self.open = 0

    def then(self, model: str, *answers: Answer) -> None:
        self._answers[model] = list(answers)

    async def answer(
        self, model: Model, request: CompletionRequest, *, timeout_s: float
    ) -> AsyncGenerator[Batch, None]:
        assert timeout_s > 0
        self.asked.append(model.id)
        answers = self._answers[model.id]
        steps = answers.pop(0) if len(answers) > 1 else answers[0]
        self.open += 1
        try:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, Takes):
                    self._clock.now += step.seconds
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, bytes):
                    yield Batch(raw=step, decode=decode_chunks if request.streamed else decode_completion)
                else:
                    yield Batch(step)
        finally:
            self.open -= 1

    async def embed(self, model: Model, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        assert timeout_s > 0
        del model, body
        found = self.vectors.pop(0)
        if isinstance(found, Exception):
            raise found
        return dict(found)

    async def close(self) -> None:
        """Nothing is open."""


def model(name: str, *, upstream: str = "", provider: str = "p", price: int = 0, cached: int | None = None) -> Model:
    return Model(
        id=name,
        provider=Provider(name=provider, kind="openai", base_url=f"http://{provider}"),
        upstream=upstream or name,
        price=Price(input=price, output=price, cached=cached),
    )


def request(*, stream: bool = True, caller: Caller | None = None, **controls: Any) -> CompletionRequest:
    said = [{"role": "user", "content": "hello"}]
    return CompletionRequest(
        body={"model": "a", "messages": said, "stream": stream},
        caller=caller or Caller(user_id="u"),
        controls=Controls(**controls),
    )


@dataclass
class World:
    """The attempts and everything they touch."""

    clock: Clock
    provided: Provided
    upstreams: Upstreams

    async def ask(
        self, models: Sequence[Model], asked: CompletionRequest | None = None, outcome: Outcome | None = None
    ) -> tuple[str, Outcome]:
        """Read an answer to its end; return its text."""
        outcome = outcome or Outcome()
        said = [batch async for batch in self.upstreams.answer(asked or request(), models, outcome)]
        return text_of(said), outcome

    def line(self, of: Model) -> Any:
        return self.upstreams.lines.of(of)

    @property
    def leaks(self) -> list[int]:
        """Open answers, taken seats, calls in flight: all 0 when nobody asks."""
        lines = self.upstreams.lines._lines.values()
        return [self.provided.open, self.upstreams.seats.taken, sum(line.health.in_flight for line in lines)]


def world(answers: Mapping[str, Sequence[Answer]], *, max_retries: int = 0, seed: int = 1, **rules: Any) -> World:
    clock = Clock()
    provided = Provided(answers, clock)
    settings = LLMSettings(max_retries=max_retries, resilience=ResilienceSettings(**rules))
    adapters = dict.fromkeys(("p", "q", "r"), provided)
    return World(
        clock,
        provided,
        build_attempts(adapters, settings, clock=clock, sleep=clock.sleep, random=Random(seed)),  # noqa: S311 - jitter
    )


async def read(answer: AsyncGenerator[Batch, None], *, into: list[Batch]) -> None:
    """Read what comes, to the end or to an error."""
    async for batch in answer:
        into.append(batch)  # noqa: PERF401 - what came before the error counts


def text_of(batches: Sequence[Batch]) -> str:
    return "".join(event.text for batch in batches for event in batch.events if isinstance(event, Text))
