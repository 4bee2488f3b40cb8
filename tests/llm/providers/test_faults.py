"""What goes wrong between us and a provider, over real sockets: for each API, streamed and not, the right error."""

import asyncio
import itertools
from email.utils import formatdate

import pytest

from codelab.llm.errors import (
    ConnectFailed,
    Interrupted,
    Malformed,
    Overloaded,
    Refused,
    Rejected,
    ServerFailed,
    TimedOut,
)
from codelab.llm.providers import http as http_module
from codelab.llm.providers import sse as sse_module
from codelab.llm.usage import Usage
from tests.llm.providers.dialects import (
    DIALECTS,
    GEMINI,
    KEY,
    OPENAI,
    answered,
    asking,
    connected,
    dumps,
    model_at,
    told,
)
from tests.support.upstream import drip, frame, gone, half, silent, streamed, upstream, whole

EVERY = [
    pytest.param(d, s, id=f"{d}-{'stream' if s else 'whole'}") for d, s in itertools.product(DIALECTS, (True, False))
]
STREAMS = [pytest.param(d, id=str(d)) for d in DIALECTS]
every = pytest.mark.parametrize(("dialect", "stream"), EVERY)
streams = pytest.mark.parametrize("dialect", STREAMS)
USAGE = Usage(5, 2)


async def failing(dialect, stream, reply, error, *, timeout_s=5):
    """Ask once; give the error, and see that nothing is left open."""
    async with upstream(reply) as up, connected(dialect, up.url) as (adapter, model, http):
        with pytest.raises(error) as raised:
            await answered(adapter, model, asking(stream=stream), timeout_s=timeout_s)
        assert type(raised.value) is error
        assert http.open_connections == 0
        return raised.value


@every
async def test_429_says_when_to_come_back(dialect, stream):
    error = await failing(dialect, stream, whole(dialect.error("slow down"), 429, retry_after="7"), Overloaded)
    assert (error.retry_after, error.message, error.counts, error.retryable) == (7, "slow down", True, True)


@every
async def test_429_with_a_date(dialect, stream):
    error = await failing(
        dialect, stream, whole(b"", 429, retry_after=formatdate(4_000_000_000, usegmt=True)), Overloaded
    )
    assert error.retry_after == 3600


@every
@pytest.mark.parametrize("status", [500, 502, 503, 529])
async def test_5xx(dialect, stream, status):
    error = await failing(dialect, stream, whole(b"<html>oops</html>", status, "text/html"), ServerFailed)
    assert (error.code, error.status) == ("upstream_error", 502)


@every
@pytest.mark.parametrize("status", [401, 402, 403, 302])
async def test_our_credential_is_not_the_clients_fault(dialect, stream, status):
    reply = whole(dialect.error(f"Incorrect API key provided: {KEY}"), status, location="http://127.0.0.1:1/")
    error = await failing(dialect, stream, reply, Refused)
    assert KEY not in str(error)
    assert not error.counts


@every
@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_the_clients_fault_is_told_in_the_providers_words(dialect, stream, status):
    async with (
        upstream(whole(dialect.error("x" * 600), status)) as up,
        connected(dialect, up.url) as (adapter, model, _),
    ):
        with pytest.raises(Rejected) as raised:
            await answered(adapter, model, asking(stream=stream))
    error = raised.value
    assert (error.status, error.message, error.counts, error.retryable) == (status, "x" * 500, False, False)


@every
async def test_neither_key_nor_address_is_told(dialect, stream):
    async with upstream() as up, connected(dialect, up.url) as (adapter, model, _):
        up.replies = [whole(dialect.error(f"{KEY} at {up.url} is bad"), 400)]
        with pytest.raises(Rejected) as raised:
            await answered(adapter, model, asking(stream=stream))
    assert str(raised.value) == raised.value.message == "… at http://…/v1 is bad"


@every
@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ],
    ids=["openai", "anthropic", "gemini"],
)
async def test_a_prompt_that_does_not_fit_has_one_code(dialect, stream, words):
    error = await failing(dialect, stream, whole(dialect.error(words), 400), Rejected)
    assert error.code == "context_length_exceeded"


async def test_a_content_filters_code_is_kept():
    body = {"error": {"message": "filtered", "code": "content_filter", "param": "prompt", "status": 400}}
    error = await failing(OPENAI, False, whole(body, 400), Rejected)
    assert (error.code, error.param) == ("content_filter", "prompt")


async def test_an_account_without_credit_is_ours_to_fill():
    body = {
        "error": {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
    }
    error = await failing(OPENAI, True, whole(body, 429), Refused)
    assert error.code == "insufficient_quota"


async def test_gemini_says_in_its_details_when_to_come_back():
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    body = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}}
    error = await failing(GEMINI, True, whole(body, 429), Overloaded)
    assert error.retry_after == 34.5


async def test_gemini_calls_a_bad_key_a_bad_request():
    await failing(GEMINI, False, whole(GEMINI.error("API key not valid. Please pass a valid API key."), 400), Refused)


@every
async def test_nobody_listens(dialect, stream):
    async with connected(dialect, "http://127.0.0.1:1/v1") as (adapter, model, http):
        with pytest.raises(ConnectFailed):
            await answered(adapter, model, asking(stream=stream))
        assert http.open_connections == 0


@every
async def test_hung_up_before_a_word(dialect, stream):
    await failing(dialect, stream, gone(), ConnectFailed)


@every
async def test_not_http(dialect, stream):
    async def reply(line):
        await line.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    await failing(dialect, stream, reply, Malformed)


@every
async def test_silence_before_the_first_byte(dialect, stream):
    await failing(dialect, stream, silent(), TimedOut, timeout_s=0.05)


@streams
async def test_silence_after_the_first_byte(dialect):
    await failing(dialect, True, silent(*dialect.frames[:-2] or dialect.frames[:1]), TimedOut, timeout_s=0.05)


@streams
async def test_a_cut_stream(dialect):
    await failing(dialect, True, streamed(*dialect.frames[:1], cut=True), Interrupted)


@streams
async def test_a_stream_that_closes_well_but_says_no_end(dialect):
    await failing(dialect, True, streamed(*dialect.frames[:1]), Interrupted)


@streams
async def test_a_stream_cut_amid_a_frame(dialect):
    await failing(dialect, True, streamed(dialect.frames[0] + dialect.frames[1][:40]), Interrupted)


@streams
async def test_half_an_answer(dialect):
    await failing(dialect, False, half(dumps(dialect.answer)), Interrupted)


@every
async def test_malformed_json(dialect, stream):
    broken = (
        streamed(frame(b'{"id": "broken", "choi'), b"data: [DONE]\n\n") if stream else whole(b'{"id": "broken", "choi')
    )
    await failing(dialect, stream, broken, Malformed)


@every
async def test_json_that_is_no_answer(dialect, stream):
    reply = streamed(frame(b"[1]")) if stream else whole(b'{"hello": "world"}')
    await failing(dialect, stream, reply, Malformed)


@streams
async def test_a_page_in_place_of_a_stream(dialect):
    await failing(dialect, True, whole(b"<html>Sign in to the hotel's network</html>", 200, "text/html"), Malformed)


@every
async def test_an_error_within_an_answer_that_began_well(dialect, stream):
    said = {"type": "error", "error": {"type": "api_error", "message": "it broke", "code": 500}}
    reply = streamed(*dialect.frames[:1], frame(said, "error")) if stream else whole(said)
    error = await failing(dialect, stream, reply, ServerFailed)
    assert error.message == "it broke"


@every
async def test_a_slow_drip_is_an_answer(dialect, stream):
    async def reply(line):
        body = dumps(dialect.answer)
        await line.head(length=len(body))
        for byte in drip(body):
            await line.send(byte)

    dripping = streamed(*drip(b"".join(dialect.frames))) if stream else reply
    async with upstream(dripping) as up, connected(dialect, up.url) as (adapter, model, http):
        assert told(await answered(adapter, model, asking(stream=stream))) == ("Hello there", "stop", USAGE)
        assert http.open_connections == 0


@streams
async def test_lines_that_end_otherwise(dialect):
    """CRLF, comments, and fields nobody needs are all in the standard."""
    frames = b": hello\r\n\r\nid: 1\r\n" + b"".join(dialect.frames).replace(b"\n", b"\r\n")
    async with upstream(streamed(frames[:10], frames[10:])) as up, connected(dialect, up.url) as (adapter, model, _):
        assert told(await answered(adapter, model, asking(stream=True)))[0] == "Hello there"


@every
async def test_huge_chunks(dialect, stream):
    """A megabyte in one event, in one chunk."""
    big = "Hello there" * 100_000
    answer = dumps(dialect.answer).replace(b"Hello there", big.encode())
    frames = b"".join(dialect.frames).replace(b'"Hello"', b'"' + big.encode() + b'"', 1)
    async with (
        upstream(streamed(frames) if stream else whole(answer)) as up,
        connected(dialect, up.url) as (adapter, model, http),
    ):
        text, reason, usage = told(await answered(adapter, model, asking(stream=stream)))
        assert (len(text), reason, usage) == (len(big) + 6 * stream, "stop", USAGE)
        assert http.open_connections == 0


@every
async def test_an_answer_without_an_end_is_not_kept_in_memory(dialect, stream, monkeypatch):
    monkeypatch.setattr(http_module, "MAX_BODY", 10_000)
    monkeypatch.setattr(sse_module, "MAX_FRAME", 10_000)
    endless = b'data: {"x": "' + b"x" * 20_000
    await failing(dialect, stream, streamed(endless) if stream else whole(endless), Malformed)


@every
async def test_cancelled_before_the_answer_hangs_up_at_once(dialect, stream):
    async with upstream(silent()) as up, connected(dialect, up.url) as (adapter, model, http):
        task = asyncio.create_task(answered(adapter, model, asking(stream=stream)))
        await asyncio.wait_for(up.begun.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert http.open_connections == 0
        await asyncio.wait_for(up.hung_up.wait(), 5)


@streams
async def test_left_amid_the_answer_hangs_up_at_once(dialect):
    async with upstream(silent(*dialect.frames[:4])) as up, connected(dialect, up.url) as (adapter, model, http):
        batches = adapter.answer(model, asking(stream=True), timeout_s=5)
        assert (await anext(batches)).events
        assert http.open_connections == 1
        await batches.aclose()
        assert http.open_connections == 0
        await asyncio.wait_for(up.hung_up.wait(), 5)


@every
async def test_a_connection_is_used_again(dialect, stream):
    reply = streamed(*dialect.frames) if stream else whole(dialect.answer)
    async with upstream(reply) as up, connected(dialect, up.url) as (adapter, model, _http):
        for _ in range(3):
            await answered(adapter, model, asking(stream=stream))
            await asyncio.sleep(0.01)  # the end of the connection's body may come after the last word
        assert (len(up.asked), up.connections) == (3, 1)


@pytest.mark.parametrize("dialect", STREAMS[:2])
async def test_a_stream_whose_connection_never_closes_still_ends(dialect):
    """The last word is the end: nobody waits for what may come after it. (Gemini has no last word.)"""
    async with upstream(silent(*dialect.frames)) as up, connected(dialect, up.url) as (adapter, model, _):
        assert told(await answered(adapter, model, asking(stream=True)))[0] == "Hello there"


@every
async def test_a_kept_connection_that_was_closed_meanwhile_is_no_fault(dialect, stream):
    """Nobody has seen the request: it is sent again, on a new connection."""
    good = streamed(*dialect.frames) if stream else whole(dialect.answer)
    async with upstream(good, gone(), good) as up, connected(dialect, up.url) as (adapter, model, _):
        for _ in range(2):
            assert told(await answered(adapter, model, asking(stream=stream)))[0] == "Hello there"
            await asyncio.sleep(0.01)
    assert (len(up.asked), up.connections) == (3, 2)


@every
async def test_a_provider_that_takes_nothing_in(dialect, stream):
    """Sending has its time too: a prompt that nobody reads must not hang."""
    release = asyncio.Event()

    async def deaf(_, writer):
        await release.wait()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    huge = [{"role": "user", "content": "x" * 16_000_000}]
    async with connected(dialect, url) as (adapter, model, http):
        with pytest.raises(TimedOut):
            await answered(adapter, model, asking(stream=stream, messages=huge), timeout_s=0.05)
        assert http.open_connections == 0
    release.set()
    server.close()


def test_an_adapter_outlives_its_event_loop():
    model = model_at("http://x/v1", "openai", "m")
    adapter = OPENAI.adapter(model.provider, http_module.Http())

    async def ask() -> str:
        async with upstream(whole(OPENAI.answer)) as up:
            adapter._upstream._base = up.url
            return told(await answered(adapter, model, asking(stream=False)))[0]

    assert [asyncio.run(ask()) for _ in range(2)] == ["Hello there"] * 2
