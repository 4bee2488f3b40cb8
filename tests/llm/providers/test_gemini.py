"""What Gemini's API needs beyond the golden transcripts: stored prefixes, blocked prompts, embeddings, odd parts."""

import asyncio

import pytest

from codelab.llm.chat import Caller, CompletionRequest
from codelab.llm.errors import Rejected, ServerFailed
from codelab.llm.providers import gemini_cache
from codelab.llm.providers.gemini_request import generate_body
from tests.llm.providers.dialects import GEMINI, answered, asking, connected, model_at, told
from tests.support.upstream import frame, streamed, upstream, whole

STORING = {"traits": frozenset({"context_cache"})}
BIG = {"messages": [{"role": "system", "content": "S" * 20_000}, {"role": "user", "content": "Hi"}]}
OK = whole(GEMINI.answer)


def body_of(messages: list, upstream: str = "gemini-3.8-flash", **more) -> dict:
    request = CompletionRequest(body={"model": "short", "messages": messages, **more}, caller=Caller(user_id="u"))
    return generate_body(model_at("http://x/v1", "gemini", upstream), request)


async def settled() -> None:
    """Let what runs behind the requests' backs come to its end."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        storing = [task for task in others if "_stored" in repr(task.get_coro())]
        if not storing:
            return
        await asyncio.wait(storing)


async def test_a_big_prefix_that_comes_again_is_stored_and_sent_by_name():
    async with (
        upstream(OK, OK, whole({"name": "cachedContents/p1"}), OK) as up,
        connected(GEMINI, up.url, **STORING) as (adapter, model, _),
    ):
        for _ in range(2):
            await answered(adapter, model, asking(stream=False, **BIG))
            await settled()
        await answered(adapter, model, asking(stream=False, **BIG))
        await adapter.close()
    paths = [asked.path.rsplit("/", 1)[1] for asked in up.asked]
    assert sorted(paths) == sorted(["gemini-3.5-flash-lite:generateContent"] * 3 + ["cachedContents"])
    stored = next(asked.body for asked in up.asked if asked.path.endswith("cachedContents"))
    assert stored["model"] == "models/gemini-3.5-flash-lite"
    assert (stored["ttl"], stored["systemInstruction"]) == ("300s", up.asked[0].body["systemInstruction"])
    assert up.asked[-1].body == {"contents": up.asked[0].body["contents"], "cachedContent": "cachedContents/p1"}


async def test_a_stored_prefix_that_is_gone_is_sent_again():
    gone = whole({"error": {"code": 403, "message": "CachedContent not found", "status": "PERMISSION_DENIED"}}, 403)
    async with (
        upstream(OK, OK, whole({"name": "cachedContents/p1"}), gone, OK) as up,
        connected(GEMINI, up.url, **STORING) as (adapter, model, _),
    ):
        for _ in range(2):
            await answered(adapter, model, asking(stream=False, **BIG))
            await settled()
        assert told(await answered(adapter, model, asking(stream=False, **BIG)))[0] == "Hello there"
    assert "cachedContent" in up.asked[-2].body
    assert "systemInstruction" in up.asked[-1].body


async def test_a_prefix_that_cannot_be_stored_goes_on_being_sent():
    async with (
        upstream(OK, OK, whole(GEMINI.error("too small"), 400), OK) as up,
        connected(GEMINI, up.url, **STORING) as (adapter, model, _),
    ):
        for _ in range(3):
            await answered(adapter, model, asking(stream=False, **BIG))
            await settled()
    assert all("cachedContent" not in asked.body for asked in up.asked)


async def test_small_prefixes_forced_calls_and_other_providers_are_not_stored():
    async with upstream(OK) as up, connected(GEMINI, up.url, **STORING) as (adapter, model, _):
        for _ in range(3):
            await answered(adapter, model, asking(stream=False))
            tool = {"type": "function", "function": {"name": "look"}}
            await answered(adapter, model, asking(stream=False, tools=[tool], tool_choice="required", **BIG))
            await settled()
    async with upstream(OK) as plain, connected(GEMINI, plain.url) as (adapter, model, _):
        for _ in range(3):
            await answered(adapter, model, asking(stream=False, **BIG))
    assert not [asked for asked in [*up.asked, *plain.asked] if asked.path.endswith("cachedContents")]


def test_what_was_seen_is_forgotten_in_time(monkeypatch):
    monkeypatch.setattr(gemini_cache, "_KEPT", 2)
    prefixes = gemini_cache.Prefixes(None, clock=lambda: 0.0)
    model = model_at("", "gemini", "g")
    for n in range(5):
        prefixes.used(model, {"systemInstruction": {"parts": [{"text": f"{n}" * 20_000}]}})
    assert len(prefixes._known) == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_prompt_is_refused_by_a_content_filter(stream):
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    async with (
        upstream(streamed(frame(blocked)) if stream else whole(blocked)) as up,
        connected(GEMINI, up.url) as (adapter, model, _),
    ):
        with pytest.raises(Rejected) as raised:
            await answered(adapter, model, asking(stream=stream))
    assert raised.value.code == "content_filter"


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
async def test_a_call_that_is_none_may_be_tried_again(reason):
    answer = {"candidates": [{"finishReason": reason, "content": {}}]}
    async with upstream(whole(answer)) as up, connected(GEMINI, up.url) as (adapter, model, _):
        with pytest.raises(ServerFailed) as raised:
            await answered(adapter, model, asking(stream=False))
    assert raised.value.retryable


async def test_embeddings():
    reply = whole({"embeddings": [{"values": [0.5, 0.5]}, {"values": [1.0]}]})
    async with upstream(reply) as up, connected(GEMINI, up.url) as (adapter, model, _):
        got = await adapter.embed(model, {"input": ["a", "b"], "dimensions": 2}, timeout_s=5)
        with pytest.raises(Rejected):
            await adapter.embed(model, {"input": [[1, 2]]}, timeout_s=5)
    assert [(one["index"], one["embedding"]) for one in got["data"]] == [(0, [0.5, 0.5]), (1, [1.0])]
    assert up.asked[0].path == "/v1/models/gemini-3.5-flash-lite:batchEmbedContents"
    assert up.asked[0].body["requests"][0] == {
        "model": "models/gemini-3.5-flash-lite", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2,
    }  # fmt: skip
    assert up.asked[0].headers["x-goog-api-key"]


def test_a_call_of_another_model_is_excused_its_missing_seal():
    def parts(upstream: str) -> list:
        calls = [{"id": f"c{n}", "function": {"name": "look", "arguments": "{}"}} for n in (1, 2)]
        said = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": calls}]
        return body_of(said, upstream)["contents"][1]["parts"]

    assert [part.get("thoughtSignature") for part in parts("gemini-3.8-flash")] == [
        "skip_thought_signature_validator",
        None,
    ]
    assert [part.get("thoughtSignature") for part in parts("gemini-2.5-pro")] == [None, None]


def test_seals_go_back_to_where_they_stood():
    said = {"role": "assistant", "content": "y", "reasoning_signature": "gemini:s1",
            "tool_calls": [{"id": "c", "function": {"name": "look"}, "signature": "s2"}]}  # fmt: skip
    parts = body_of([{"role": "user", "content": "x"}, said])["contents"][1]["parts"]
    assert [part["thoughtSignature"] for part in parts] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("upstream", "effort", "thinking"),
    [
        ("gemini-3.8-flash", "high", {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-3.8-flash", "none", {"thinkingLevel": "minimal"}),
        ("gemini-2.5-flash", "low", {"includeThoughts": True, "thinkingBudget": 1024}),
    ],
)
def test_thinking_by_version(upstream, effort, thinking):
    body = body_of([{"role": "user", "content": "x"}], upstream, reasoning_effort=effort)
    assert body["generationConfig"]["thinkingConfig"] == thinking


def test_googles_own_tools_and_forced_calls():
    tools = [{"type": "google_search", "googleSearch": {}}, {"type": "function", "function": {"name": "look"}}]
    choice = {"type": "function", "function": {"name": "look"}}
    body = body_of([{"role": "user", "content": "x"}], tools=tools, tool_choice=choice)
    assert body["tools"] == [{"functionDeclarations": [{"name": "look", "description": ""}]}, {"googleSearch": {}}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}}
