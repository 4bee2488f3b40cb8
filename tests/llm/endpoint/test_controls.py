"""What a request's headers say reaches the gateway, checked; keys are slowed down."""

from __future__ import annotations

import pytest

from codelab.llm.chat import DIRECT, Caller
from codelab.llm.events import Text
from codelab.llm.usage import Usage
from tests.llm.endpoint.doubles import Endpoint, asking, saying

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_headers_nothing_is_said(served: Endpoint) -> None:
    await served.post(asking())
    (request,) = served.gateway.asked
    assert request.controls is DIRECT
    assert request.caller == Caller(user_id="local", key_id=served.key.id)


async def test_headers_reach_the_gateway(served: Endpoint) -> None:
    await served.post(
        asking(),
        **{
            "x-codelab-cache": "refresh",
            "X-CodeLab-Cache-TTL": "90.5",
            "x-codelab-tags": "prompt:v2, repo:acme/calc@main",
            "x-codelab-semantic": "off",
            "x-codelab-deadline": "2",
            "x-codelab-fallback": "off",
            "x-replay-rate": "120",
            "x-codelab-thread": "01a-thread",
            "x-codelab-run": "run.1",
            "x-codelab-agent": "coder",
            "x-codelab-session": "s:1",
            "x-codelab-priority": "batch",
            "x-codelab-unknown": "?!",
        },
    )
    (request,) = served.gateway.asked
    controls, caller = request.controls, request.caller
    assert (controls.cache, controls.ttl_s, controls.semantic) == ("refresh", 90.5, False)
    assert controls.tags == ("prompt:v2", "repo:acme/calc@main")
    assert (controls.deadline_s, controls.fallback, controls.replay_rate) == (2, False, 120)
    assert (caller.thread_id, caller.run_id, caller.agent) == ("01a-thread", "run.1", "coder")
    assert (caller.session, caller.priority) == ("s:1", "batch")


async def test_headers_of_embeddings_count_too(served: Endpoint) -> None:
    told = {"x-codelab-cache": "off", "x-codelab-agent": "indexer"}
    await served.post({"model": "small", "input": "a"}, "/v1/embeddings", **told)
    _body, caller, controls = served.gateway.embedded[0]
    assert (caller.agent, controls.cache) == ("indexer", "off")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-codelab-cache", "sometimes"),
        ("x-codelab-cache-ttl", "-1"),
        ("x-codelab-cache-ttl", "nan"),
        ("x-codelab-cache-ttl", "1e400"),
        ("x-codelab-cache-ttl", "99999999"),
        ("x-codelab-tags", ",".join("abcdefghijklmnopqr")),
        ("x-codelab-tags", "a,,b"),
        ("x-codelab-tags", "a b"),
        ("x-codelab-deadline", "0"),
        ("x-codelab-deadline", "soon"),
        ("x-codelab-fallback", "maybe"),
        ("x-codelab-semantic", "1"),
        ("x-codelab-thread", "x" * 129),
        ("x-codelab-thread", "a;drop table"),
        ("x-codelab-agent", ""),
        ("x-codelab-priority", "urgent"),
        ("x-replay-rate", "fast"),
        ("x-replay-rate", "inf"),
    ],
    ids=[str(number) for number in range(18)],
)
async def test_a_header_that_says_something_impossible_is_refused(served: Endpoint, name: str, value: str) -> None:
    answer = await served.post(asking(), **{name: value})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_header", name)
    assert not served.gateway.asked


async def test_a_key_that_asks_too_often_waits(served: Endpoint) -> None:
    key = await served.make_key(requests_per_minute=2)
    told = {"authorization": f"Bearer {key.key}"}
    answers = [await served.post(asking(), **told) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert 25 <= int(answers[-1].headers["retry-after"]) <= 30
    assert (await served.post(asking())).status_code == 200  # nobody else's does


async def test_tokens_count_as_they_were_used_embeddings_too(served: Endpoint) -> None:
    served.gateway.answer_with = saying(Text("much"), usage=Usage(400, 700))
    key = await served.make_key(tokens_per_minute=1_000)
    told = {"authorization": f"Bearer {key.key}"}
    assert (await served.post(asking(stream=True), **told)).status_code == 200
    refused = await served.post({"model": "small", "input": "a"}, "/v1/embeddings", **told)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 6


async def test_a_request_that_is_no_request_costs_nothing(served: Endpoint) -> None:
    key = await served.make_key(requests_per_minute=1)
    told = {"authorization": f"Bearer {key.key}"}
    assert (await served.post(b"{", **told)).status_code == 400
    assert (await served.post(asking(), **told)).status_code == 200
