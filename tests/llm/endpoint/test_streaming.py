"""What is said is sent at once; who hangs up is noticed; many at a time all finish. Over a real socket."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from codelab.llm.dialect import decode_chunks
from codelab.llm.events import Batch, Event, Finish, Reasoning, Text, Used
from codelab.llm.usage import Usage
from codelab.server.openai_api.watching import PATIENCE_S
from tests.llm.endpoint.doubles import Endpoint, Held, asking, failing, saying
from tests.support.agent_server import eventually

RAW = (
    b'data: {"id":"up","choices":[{"index":0,"delta":{"content":"raw"},"finish_reason":"stop"}],"x":1}\n\n'
    b'data: {"id":"up","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def streaming(served: Endpoint, **more):
    headers = {"authorization": f"Bearer {served.key.key}"}
    return served.http.stream("POST", "/v1/chat/completions", json=asking(stream=True, **more), headers=headers)


async def first_before_second(served: Endpoint, event: Event) -> None:
    """The first frame has reached the client while the second is not even made."""
    held = served.gateway.answer_with = Held(event)
    async with streaming(served) as response:
        frames = response.aiter_raw()
        assert decode_chunks(await anext(frames)) == [event]
        assert not held.go.is_set()
        held.go.set()
        rest = b"".join([raw async for raw in frames])
    assert decode_chunks(rest) == [Text("second"), Finish("stop")]
    assert rest.endswith(b"data: [DONE]\n\n")


async def test_26102_the_first_frame_is_there_before_the_second_is_made(served: Endpoint) -> None:
    await first_before_second(served, Text("first"))


async def test_39431_thoughts_are_sent_before_the_answer_begins(served: Endpoint) -> None:
    await first_before_second(served, Reasoning("hm"))


async def test_38689_the_head_tells_who_answers_as_soon_as_it_is_known(served: Endpoint) -> None:
    held = served.gateway.answer_with = Held(Text("first"))
    async with streaming(served) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-codelab-model"] == "small"
        assert response.headers["x-codelab-cache"] == "miss"
        assert response.headers["x-codelab-attempts"] == "1"
        assert response.headers["x-request-id"] == served.gateway.asked[0].id
        assert "x-codelab-degraded" not in response.headers
        assert not held.go.is_set()


async def test_a_batch_is_one_write(served: Endpoint) -> None:
    async def answer(_request, _outcome):
        yield Batch([Text("a"), Text("b"), Text("c")])

    served.gateway.answer_with = answer
    async with streaming(served) as response:
        assert decode_chunks(await anext(response.aiter_raw())) == [Text("a"), Text("b"), Text("c")]


@pytest.mark.parametrize("asked", [True, False])
async def test_bytes_of_the_same_dialect_are_passed_through(served: Endpoint, asked: bool) -> None:
    async def answer(_request, _outcome):
        yield Batch(raw=RAW, decode=decode_chunks)

    served.gateway.answer_with = answer
    options = {"stream_options": {"include_usage": True}} if asked else {}
    async with streaming(served, **options) as response:
        got = await response.aread()
    assert got.endswith(b"data: [DONE]\n\n")
    assert got.startswith(RAW.partition(b"\n\n")[0])
    assert [event.usage for event in decode_chunks(got) if isinstance(event, Used)] == ([Usage(1, 2)] if asked else [])


async def test_a_whole_body_is_passed_through(served: Endpoint) -> None:
    body = b'{"id":"theirs","choices":[],"unknown":1}'

    async def answer(_request, _outcome):
        yield Batch(raw=body)

    served.gateway.answer_with = answer
    assert (await served.post(asking())).content == body


async def test_done_is_said_on_success_only(served: Endpoint) -> None:
    served.gateway.answer_with = failing(RuntimeError("boom"), Text("first"))
    async with streaming(served) as response:
        got = await response.aread()
    assert b"[DONE]" not in got
    assert b'"code":"internal"' in got
    assert b"boom" not in got


@pytest.mark.parametrize("stream", [True, False])
async def test_no_answer_at_all_is_an_error(served: Endpoint, stream: bool) -> None:
    async def answer(_request, _outcome):
        for batch in ():
            yield batch

    served.gateway.answer_with = answer
    answered = await served.post(asking(stream=stream))
    assert (answered.status_code, answered.json()["error"]["code"]) == (502, "upstream_interrupted")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("first", [[], [Text("first")]], ids=["before", "after"])
async def test_who_hangs_up_stops_the_upstream_and_pays_what_was_used(served: Endpoint, stream: bool, first) -> None:
    held = served.gateway.answer_with = Held(*first)
    key = await served.make_key(tokens_per_minute=1_000)
    asked = served.post(asking(stream=stream), authorization=f"Bearer {key.key}")
    request = asyncio.create_task(asked)
    await held.began.wait()
    request.cancel()
    await asyncio.wait([request])
    await asyncio.wait_for(held.left.wait(), 20)
    await eventually(lambda: served.gateway.answers[0].closed, "the answer to be closed")
    known = served.keys.seen(key.key)
    assert known is not None
    assert round(1_000 - known.limits._tokens._level) == 11


async def test_an_answer_that_comes_at_once_needs_no_task_of_its_own(served: Endpoint) -> None:
    before: set[str] = set()

    async def answer(_request, _outcome):
        before.update(task.get_coro().__qualname__ for task in asyncio.all_tasks())
        yield Batch([Text("a"), Finish("stop")])

    served.gateway.answer_with = answer
    await served.post(asking())
    assert before
    assert not [name for name in before if name.startswith("Watch.")]
    held = served.gateway.answer_with = Held(Text("first"))
    async with streaming(served):
        await asyncio.sleep(PATIENCE_S * 2)
        assert [t for t in asyncio.all_tasks() if t.get_coro().__qualname__.startswith("Watch.")]
        held.go.set()
    await eventually(
        lambda: not [t for t in asyncio.all_tasks() if t.get_coro().__qualname__.startswith("Watch.")],
        "the watch to end",
    )


async def test_pipelined_requests_of_a_client_that_goes_leave_nothing_behind(served: Endpoint) -> None:
    """uvicorn tells only the last request of a pipeline that its client has gone: the first runs to its end."""
    held = served.gateway.answer_with = Held(Text("first"))
    body = httpx.Request("POST", "http://x", json=asking(stream=True)).content
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {served.key.key}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    _reader, writer = await asyncio.open_connection("127.0.0.1", served.http.base_url.port)
    writer.write((head.encode() + body) * 3)
    await held.began.wait()
    writer.close()
    held.go.set()
    await asyncio.wait_for(held.left.wait(), 20)
    await eventually(lambda: all(answer.closed for answer in served.gateway.answers), "all answers to be closed")
    served.gateway.answer_with = saying(Text("still here"))
    assert "still here" in (await served.post(asking())).text


async def test_13546_sixty_four_streams_at_once_all_finish(served: Endpoint) -> None:
    async def answer(request, _outcome):
        for word in range(20):
            yield Batch([Text(f"{request.body['user']}-{word} ")])
            await asyncio.sleep(0)
        yield Batch([Finish("stop")])

    served.gateway.answer_with = answer

    async def one(number: int) -> bool:
        told = {"authorization": f"Bearer {served.key.key}"}
        body = asking(stream=True, user=str(number))
        async with many.stream("POST", "/v1/chat/completions", json=body, headers=told) as response:
            got = await response.aread()
        said = "".join(event.text for event in decode_chunks(got) if isinstance(event, Text))
        return said == "".join(f"{number}-{word} " for word in range(20)) and got.endswith(b"[DONE]\n\n")

    many = httpx.AsyncClient(base_url=served.http.base_url, timeout=60, limits=httpx.Limits(max_connections=64))
    async with many:
        assert all(await asyncio.gather(*(one(number) for number in range(64))))
    assert len({request.id for request in served.gateway.asked}) == 64
