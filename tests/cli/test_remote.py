"""A server far away: its errors, its streams, its connection that breaks."""

import json

import httpx
import pytest

from codelab.cli import remote as module
from codelab.cli.client import _credential
from codelab.cli.remote import Remote
from codelab.cli.sse import Parser
from codelab.core.errors import CodeLabError, Conflict, InvalidInput, NotFound, Unauthenticated, Unavailable
from codelab.core.settings import Settings


def sent(seq, **event):
    return f"id: e:{seq}\r\nevent: message\r\ndata: {json.dumps(event, ensure_ascii=False)}\r\n\r\n".encode()


STREAM = [
    sent(1, type="RUN_STARTED", runId="r"),
    b": ping\r\n\r\n",
    sent(2, type="TEXT_MESSAGE_CONTENT", delta="a\u2028b\x85c"),
    sent(3, type="RUN_FINISHED", outcome={"type": "success"}),
]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_the_parser_takes_any_pieces(size):
    data, parser = b"".join(STREAM), Parser()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    found = [event for piece in pieces for event in parser.feed(piece)]
    assert [event.id for event in found] == ["e:1", "e:2", "e:3"]
    assert json.loads(found[1].data)["delta"] == "a\u2028b\x85c"


class Broken(httpx.AsyncByteStream):
    """Sends some pieces, then breaks."""

    def __init__(self, pieces):
        self.pieces = pieces

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece
        raise httpx.ReadError("reset")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSES", (0, 0, 0))


def answering(answer):
    return Remote("http://codelab.example/", "t0ken", transport=httpx.MockTransport(answer))


async def test_a_broken_stream_goes_on_after_the_last_event():
    asked = []

    def answer(request):
        asked.append(request.headers.get("last-event-id"))
        if len(asked) == 1:
            return httpx.Response(200, stream=Broken(STREAM[:1]))
        if len(asked) == 2:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, content=b"".join(STREAM[1:]))

    async with answering(answer) as remote:
        events = [event["type"] async for event in remote.events("t", "r")]
    assert events == ["RUN_STARTED", "TEXT_MESSAGE_CONTENT", "RUN_FINISHED"]
    assert asked == [None, "e:1", "e:1"]


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), httpx.Response(200, content=b": ping\n\n")])
async def test_a_stream_that_never_comes_is_given_up(answer):
    def reply(_request):
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, content=answer.content)

    async with answering(reply) as remote:
        with pytest.raises(Unavailable, match="does not answer"):
            await anext(remote.events("t", "r"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, Unauthenticated),
        (404, NotFound),
        (409, Conflict),
        (422, InvalidInput),
        (500, CodeLabError),
        (502, CodeLabError),
    ],
)
async def test_problems_come_back_as_errors(status, kind):
    def answer(request):
        assert request.headers["authorization"] == "Bearer t0ken"
        return httpx.Response(status, json={"detail": "Do something else.", "code": "some_code"})

    async with answering(answer) as remote:
        with pytest.raises(kind, match=r"Do something else\.") as caught:
            await remote.runs("t")
        with pytest.raises(kind):
            await anext(remote.events("t", "r"))
    assert caught.value.code == "some_code"


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
async def test_an_answer_that_is_no_problem_document(body):
    async with answering(lambda _: httpx.Response(503, content=body)) as remote:
        with pytest.raises(Unavailable, match="HTTP 503"):
            await remote.agents()


async def test_a_finished_run_needs_no_cancel():
    async with answering(lambda _: httpx.Response(409, json={"detail": "finished"})) as remote:
        await remote.cancel("t", "r")


async def test_a_server_that_is_away():
    def answer(_request):
        raise httpx.ConnectError("refused")

    async with answering(answer) as remote:
        with pytest.raises(Unavailable, match=r"codelab\.example"):
            await remote.threads.list()


@pytest.mark.parametrize("server", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:8000"])
def test_this_machines_token_is_for_this_machine(tmp_path, server):
    settings = Settings(_env_file=None, data_dir=tmp_path)
    with pytest.raises(InvalidInput):
        _credential(server, settings)
    (tmp_path / "token").write_text("own")
    assert _credential(server, settings) == "own"
    for other in ("http://codelab.example", "http://127.0.0.1.codelab.example", "http://127.0.0.1@codelab.example"):
        with pytest.raises(InvalidInput, match="token"):
            _credential(other, settings)


def test_a_token_that_is_set_goes_anywhere(tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path, server={"token": "set"})
    assert _credential("https://codelab.example", settings) == "set"


async def test_a_refused_first_message_leaves_no_thread_behind():
    asked = []

    def answer(request):
        asked.append(f"{request.method} {request.url.path.removeprefix('/api/v1/')}")
        if request.url.path.endswith("/runs"):
            return httpx.Response(422, json={"code": "unknown_agent", "detail": "There is no agent"})
        return httpx.Response(200, json=[] if request.method == "GET" else {"id": "an-id"})

    async with answering(answer) as remote:
        with pytest.raises(InvalidInput):
            await remote.start("hello", agent="nobody")
    assert asked[2:] == ["POST threads", "POST threads/an-id/runs", "DELETE threads/an-id"]
