"""What Anthropic's API needs beyond the golden transcripts: breakpoints, thinking by version, odd conversations."""

import pytest

from codelab.llm.chat import Caller, CompletionRequest, Outcome
from codelab.llm.errors import Rejected
from codelab.llm.events import Reasoning
from codelab.llm.providers.anthropic_request import messages_body, version_of
from codelab.llm.tally import Tally
from codelab.llm.usage import Usage
from tests.llm.providers.dialects import ANTHROPIC, KEY, answered, asking, connected, model_at
from tests.support.upstream import frame, silent, upstream, whole

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
NEW, OLD = "claude-sonnet-5-5", "claude-3-7-sonnet-latest"


def body_of(messages: list, upstream: str = NEW, caller: dict | None = None, **more) -> dict:
    request = CompletionRequest(
        body={"model": "short", "messages": messages, **more}, caller=Caller(user_id="u", **(caller or {}))
    )
    return messages_body(model_at("http://x/v1", "anthropic", upstream), request)


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def marks(body: dict) -> list[str]:
    """Name where the breakpoints are."""
    found = [name for name in ("tools", "system") for block in body.get(name, []) if "cache_control" in block]
    return found + [
        str(at) for at, m in enumerate(body["messages"]) for block in m["content"] if "cache_control" in block
    ]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-3-5-haiku-latest", (3, 5)),
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-opus-4-7", (4, 7)),
        ("claude-sonnet-5", (5, 0)),
        ("anthropic/claude-sonnet-5.5", (5, 5)),
        ("mythos", (99, 0)),
    ],
)
def test_versions(name, version):
    assert version_of(name) == version


LONG = [{"role": "system", "content": "S"}, user("1"), {"role": "assistant", "content": "a"}, user("2"),
        {"role": "assistant", "content": "b"}, user("3")]  # fmt: skip


def test_breakpoints_are_where_the_next_request_begins():
    assert marks(body_of(LONG, tools=[TOOL, TOOL])) == ["tools", "system", "2", "4"]


def test_a_single_question_keeps_its_head_only_unless_somebody_goes_on_from_it():
    one = [{"role": "system", "content": "S"}, user("1")]
    assert marks(body_of(one)) == ["system"]
    assert marks(body_of(one, caller={"thread_id": "t"})) == ["system", "0"]
    assert marks(body_of([user("1")])) == []


def test_a_client_that_sets_breakpoints_is_left_alone():
    own = [
        {
            "role": "system",
            "content": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        }
    ]
    body = body_of([*own, user("1")], tools=[TOOL], caller={"session": "s"})
    assert marks(body) == ["system"]
    assert body["system"][0]["cache_control"]["ttl"] == "1h"


def test_the_request_itself_is_never_changed():
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    body_of(messages, tools=[TOOL], caller={"session": "s"})
    assert messages == [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    assert "cache_control" not in TOOL


@pytest.mark.parametrize(
    ("upstream", "effort", "thinking", "config"),
    [
        (NEW, "high", {"type": "adaptive", "display": "summarized"}, {"effort": "high"}),
        (NEW, "minimal", {"type": "adaptive", "display": "summarized"}, {"effort": "low"}),
        (NEW, "none", None, None),
        (NEW, None, None, None),
        (OLD, "low", {"type": "enabled", "budget_tokens": 2048}, None),
        (OLD, "high", {"type": "enabled", "budget_tokens": 4000}, None),
        ("claude-3-5-haiku-latest", "high", None, None),
    ],
)
def test_thinking_by_version(upstream, effort, thinking, config):
    body = body_of([user("x")], upstream, reasoning_effort=effort, max_tokens=8000)
    assert (body.get("thinking"), body.get("output_config")) == (thinking, config)


def test_no_thinking_where_it_would_be_refused():
    assert "thinking" not in body_of([user("x")], reasoning_effort="high", tools=[TOOL], tool_choice="required")
    assert "thinking" not in body_of([user("x")], OLD, reasoning_effort="high", max_tokens=500)
    calls = [
        user("x"),
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "y"},
    ]
    assert "thinking" not in body_of(calls, OLD, reasoning_effort="high")
    assert "thinking" in body_of(calls, NEW, reasoning_effort="high")


def test_models_of_today_choose_by_themselves():
    sampling = {"temperature": 0.5, "top_p": 0.9, "top_k": 5}
    assert not sampling.keys() & body_of([user("x")], NEW, **sampling).keys()
    assert sampling.items() <= body_of([user("x")], "claude-sonnet-4-6", **sampling).items()


def test_thoughts_go_back_to_whom_they_came_from():
    def said(**message) -> list:
        return body_of([user("x"), {"role": "assistant", "content": "y", **message}, user("z")])["messages"][1][
            "content"
        ]

    text = {"type": "text", "text": "y"}
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "s1"}, {"signature": "redacted:d"}]
    assert said(reasoning_details=details) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "s1"}, {"type": "redacted_thinking", "data": "d"}, text,
    ]  # fmt: skip
    assert said(reasoning_content="Hm.", reasoning_signature="s1")[0]["signature"] == "s1"
    assert said(reasoning_content="a thought without a seal") == [text]
    assert said(reasoning_content="Hm.", reasoning_signature="gemini:s") == [text]


def test_odd_conversations():
    body = body_of(
        [user(""), user("a"), {"role": "system", "content": "Mind the gap."}, {"role": "assistant", "content": "  "},
         {"role": "assistant", "content": "b \n"}]
    )  # fmt: skip
    assert "system" not in body
    assert [(m["role"], [b["text"] for b in m["content"]]) for m in body["messages"]] == [
        ("user", ["a", "Mind the gap."]), ("assistant", ["b"]),
    ]  # fmt: skip


def test_files_and_what_is_no_file():
    def file(**data) -> list:
        return [{"role": "user", "content": [{"type": "file", "file": data}]}]

    block = body_of(file(file_data="data:application/pdf;base64,JVBERg=="))["messages"][0]["content"][0]
    assert block["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert block["type"] == "document"
    with pytest.raises(Rejected):
        body_of(file(file_id="file-1"))


@pytest.mark.parametrize("body", [{"n": 2}, {"messages": [{"role": "user", "content": 7}]}])
async def test_what_this_api_does_not_have(body):
    async with connected(ANTHROPIC, "http://127.0.0.1:1/v1") as (adapter, model, _):
        with pytest.raises(Rejected):
            await anext(adapter.answer(model, asking(stream=False, **body), timeout_s=1))
        with pytest.raises(Rejected):
            await adapter.embed(model, {"input": "x"}, timeout_s=1)


async def test_39431_a_thought_is_told_as_it_is_thought():
    thinking = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "Hm"}}
    async with upstream(silent(frame(thinking))) as up, connected(ANTHROPIC, up.url) as (adapter, model, _):
        stream = adapter.answer(model, asking(stream=True), timeout_s=5)
        assert list((await anext(stream)).events) == [Reasoning("Hm")]
        await stream.aclose()


async def test_the_headers():
    async with upstream(whole(ANTHROPIC.answer)) as up:
        async with connected(ANTHROPIC, up.url, headers={"anthropic-beta": "x"}) as (adapter, model, _):
            await answered(adapter, model, asking(stream=False))
        headers = up.asked[0].headers
    assert [headers[name] for name in ("x-api-key", "anthropic-version", "anthropic-beta")] == [KEY, "2023-06-01", "x"]
    assert "authorization" not in headers


async def test_of_an_answer_that_is_left_the_prompt_is_paid_as_it_was_counted():
    """What Anthropic counted at the start holds, cached part included; only the answer is guessed."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 90_000, "output_tokens": 1}
    start = frame({"type": "message_start", "message": {"usage": usage}})
    word = frame({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 360}})
    request, outcome = asking(stream=True), Outcome(attempts=1)
    async with upstream(silent(start, word)) as up, connected(ANTHROPIC, up.url) as (adapter, model, _):
        stream, tally = adapter.answer(model, request, timeout_s=5), Tally(request, outcome)
        tally.see(await anext(stream))
        await stream.aclose()
        tally.close()
    assert outcome.usage == Usage(90_010, 100, cached_tokens=90_000, estimated=True)
