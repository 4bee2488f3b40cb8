"""The endpoint around an application that says one word, before a gateway that says what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai

from codelab.auth.api_keys.schemas import KeyOptions, NewApiKey
from codelab.auth.api_keys.service import ApiKeys
from codelab.auth.local import LOCAL, LocalAuth
from codelab.core.types import Principal
from codelab.llm.catalog import Model, Provider
from codelab.llm.chat import Caller, CompletionRequest, Controls, Outcome
from codelab.llm.errors import NoModel
from codelab.llm.events import Batch, Event, Finish, Text, Used
from codelab.llm.usage import Usage
from codelab.server.openai_api.app import OpenAIApi
from codelab.server.openai_api.serving import Serving
from codelab.store.engine import Database
from codelab.store.migrate import prepare
from tests.support.agent_server import listening

TOKEN = "endpoint-test-token"
HOME = Provider(name="home", kind="offline")
MODELS = [Model(id="small", provider=HOME, upstream="small"), Model(id="vendor/big", provider=HOME, upstream="big")]

SOME = Usage(10, 5)

Answer = Callable[[CompletionRequest, Outcome], AsyncGenerator[Batch, None]]


def saying(*events: Event, usage: Usage = SOME) -> Answer:
    """Say these, a batch each when streamed."""

    async def answer(request: CompletionRequest, outcome: Outcome) -> AsyncGenerator[Batch, None]:
        outcome.usage = usage
        said = [*events, Finish("stop"), Used(usage)]
        for batch in [[event] for event in said] if request.streamed else [said]:
            yield Batch(batch)

    return answer


def failing(error: Exception, *before: Event) -> Answer:
    """Say these, then fail."""

    async def answer(_request: CompletionRequest, _outcome: Outcome) -> AsyncGenerator[Batch, None]:
        for event in before:
            yield Batch([event])
        raise error

    return answer


class Held:
    """Says one word, then nothing until it is let go; knows whether its client has gone."""

    def __init__(self, *first: Event) -> None:
        self.first = first
        self.go = asyncio.Event()
        self.began = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, _request: CompletionRequest, outcome: Outcome) -> AsyncGenerator[Batch, None]:
        outcome.usage = Usage(10, 1)
        try:
            for event in self.first:
                yield Batch([event])
            self.began.set()
            await self.go.wait()
            yield Batch([Text("second"), Finish("stop")])
        finally:
            self.left.set()


class StubAnswering:
    """See `server.openai_api.serving.Answering`."""

    def __init__(self, batches: AsyncGenerator[Batch, None], outcome: Outcome) -> None:
        self._batches = batches
        self._head: list[Batch] = []
        self.outcome = outcome
        self.closed = False

    async def first(self) -> None:
        head = await anext(self._batches, None)
        self._head = [] if head is None else [head]

    async def __aiter__(self) -> AsyncIterator[Batch]:
        for head in self._head:
            yield head
        async for batch in self._batches:
            yield batch

    async def close(self) -> None:
        self.closed = True
        await self._batches.aclose()


class StubGateway:
    """Answers with whatever `answer` is; keeps what it was asked."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.answer_with: Answer = saying(Text("hello"))
        self.asked: list[CompletionRequest] = []
        self.answers: list[StubAnswering] = []
        self.embedded: list[tuple[dict[str, Any], Caller, Controls]] = []
        self.vector: Sequence[float] = [0.5, -1.25, 3.0]

    def answer(self, request: CompletionRequest) -> StubAnswering:
        self.asked.append(request)
        outcome = Outcome(model=request.model, provider="home", attempts=1, cache="miss")
        self.answers.append(StubAnswering(self.answer_with(request, outcome), outcome))
        return self.answers[-1]

    async def embed(self, request: CompletionRequest) -> tuple[dict[str, Any], Outcome]:
        body = request.body
        self.embedded.append((request.body, request.caller, request.controls))
        if body["model"] == "nowhere":
            raise NoModel("There is no such model.")
        given = body["input"]
        several = isinstance(given, list) and isinstance(given[0], str | list)
        data = [
            {"object": "embedding", "index": index, "embedding": list(self.vector)}
            for index in range(len(given) if several else 1)
        ]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        answer = {"object": "list", "model": body["model"], "data": data, "usage": usage}
        return answer, Outcome(model=body["model"], usage=Usage(3))

    def models(self, principal: Principal) -> Sequence[Model]:
        del principal
        return MODELS


@dataclass
class Endpoint:
    """What a test holds."""

    gateway: StubGateway
    keys: ApiKeys
    http: httpx.AsyncClient
    key: NewApiKey

    @property
    def url(self) -> str:
        return f"{self.http.base_url}/v1"

    def sdk(self, **options: Any) -> openai.AsyncOpenAI:
        """The official client."""
        return openai.AsyncOpenAI(base_url=self.url, **{"api_key": self.key.key, "max_retries": 0, **options})

    async def make_key(self, principal: Principal = LOCAL, **options: Any) -> NewApiKey:
        return await self.keys.create(principal, KeyOptions(**{"name": "test", **options}))

    async def post(self, body: Any, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        """Ask with the test's key, or with what the headers say."""
        told = {"authorization": f"Bearer {self.key.key}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.http.post(path, headers=told, **sent)


async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
    """The application inside."""
    if scope["type"] == "http":
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"elsewhere"})


@asynccontextmanager
async def endpoint(auth: Any = None) -> AsyncIterator[Endpoint]:
    """Serve it on a port."""
    database = Database("sqlite://")
    await prepare(database)
    keys, gateway = ApiKeys(database), StubGateway()
    serving = Serving(gateway=gateway, keys=keys)
    app = OpenAIApi(elsewhere, auth=auth or LocalAuth(TOKEN), hosts={"127.0.0.1"}, serving=lambda: serving)
    key = await keys.create(LOCAL, KeyOptions(name="test"))
    async with listening(app) as http:
        yield Endpoint(gateway, keys, http, key)
    await database.close()


def asking(**more: Any) -> dict[str, Any]:
    """A small request."""
    return {"model": "small", "messages": [{"role": "user", "content": "hi"}], **more}
