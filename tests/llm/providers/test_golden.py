"""Golden transcripts: what we ask each provider, to the letter, and what we read in its answers, streamed and whole."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import msgspec
import openai
import pytest
from anthropic.types import MessageParam, TextBlockParam, ToolChoiceParam, ToolUnionParam
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import TypeAdapter

from codelab.llm.catalog import Model, Provider
from codelab.llm.chat import Caller, CompletionRequest
from codelab.llm.events import Event, Finish, Reasoning, Text, ToolCall, Used
from codelab.llm.providers.http import Http
from codelab.llm.providers.registry import open_adapter
from tests.llm.providers.dialects import answered
from tests.support.upstream import frame, streamed, upstream, whole

FILES = sorted(Path(__file__).with_name("golden").glob("*.json"))
NAMES = [path.stem for path in FILES]


def load(name: str) -> dict:
    return json.loads(Path(__file__).with_name("golden").joinpath(f"{name}.json").read_text("utf-8"))


def frames_of(golden: dict) -> list[bytes]:
    return [
        frame(one.encode()) if isinstance(one, str) else frame(one, one.get("type", "")) for one in golden["frames"]
    ]


def events_of(raw: list) -> list:
    return msgspec.convert(raw, list[Event])


def sum_up(events: list) -> dict:
    """What an answer says, however it was cut: texts joined, calls joined, the last usage."""
    calls = {}
    for event in events:
        if isinstance(event, ToolCall):
            call = calls.setdefault((event.choice, event.index), ["", "", "", ""])
            for at, part in enumerate((event.id, event.name, event.arguments, event.signature)):
                call[at] += part
    said = {
        kind.__name__: {
            choice: "".join(e.text for e in events if isinstance(e, kind) and e.choice == choice) for choice in (0, 1)
        }
        for kind in (Text, Reasoning)
    }
    return {
        **said,
        "seals": [e.signature for e in events if isinstance(e, Reasoning) and e.signature],
        "calls": calls,
        "finish": sorted((e.choice, e.reason) for e in events if isinstance(e, Finish)),
        "usage": [e.usage for e in events if isinstance(e, Used)][-1],
    }


@asynccontextmanager
async def opened(name: str, golden: dict, url: str):
    kind = name.partition("_")[0]
    traits = {key: frozenset(value) for key, value in golden["provider"].items()}
    provider = Provider(name=kind, kind=kind, base_url=url, **traits)
    http = Http()
    try:
        yield open_adapter(provider, http), Model(id="short", provider=provider, upstream=golden["upstream_model"])
    finally:
        await http.close()


async def ask(name: str, golden: dict, reply, **more) -> tuple[list, object]:
    async with upstream(reply) as up, opened(name, golden, up.url) as (adapter, model):
        request = CompletionRequest(body={**golden["request"], **more}, caller=Caller(**golden["caller"]))
        return await answered(adapter, model, request), up.asked[0]


@pytest.mark.parametrize("name", NAMES)
async def test_a_whole_answer(name):
    golden = load(name)
    events, asked = await ask(name, golden, whole(golden["answer"]))
    assert (asked.body, asked.path) == (golden["asked"], golden["path"])
    assert events == events_of(golden["events"])


@pytest.mark.parametrize("name", NAMES)
async def test_a_streamed_answer(name):
    golden = load(name)
    events, asked = await ask(name, golden, streamed(*frames_of(golden)), stream=True)
    assert asked.body == golden["asked"] | golden["asked_streamed"]
    assert asked.path == golden["path_streamed"]
    assert events == events_of(golden["streamed_events"])


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_bytes_cut_anywhere_say_the_same(name):
    golden = load(name)
    stream = b"".join(frames_of(golden))
    parts = [stream[at : at + 7] for at in range(0, len(stream), 7)]
    events, _ = await ask(name, golden, streamed(*parts), stream=True)
    assert sum_up(events) == sum_up(events_of(golden["streamed_events"]))


@pytest.mark.parametrize("name", NAMES)
def test_streamed_and_whole_say_the_same(name):
    golden = load(name)
    assert sum_up(events_of(golden["streamed_events"])) == sum_up(events_of(golden["events"]))


def dropped(kind: object, value: object) -> object:
    """Give a value as an official type keeps it: what the type does not know is gone."""
    adapter = TypeAdapter(kind)  # it has to live as long as its lists are read
    return realised(adapter.validate_python(value))


def realised(value: object) -> object:
    """Read what pydantic leaves to be read: lists within lists are checked as they are read."""
    if isinstance(value, dict):
        return {key: realised(each) for key, each in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    return [realised(each) for each in value]


def of(prefix: str) -> list[str]:
    return [name for name in NAMES if name.startswith(prefix)]


@pytest.mark.parametrize("name", of("anthropic"))
def test_anthropics_own_types_know_all_that_we_send(name):
    asked = load(name)["asked"]
    assert dropped(list[MessageParam], asked["messages"]) == asked["messages"]
    assert dropped(list[TextBlockParam], asked.get("system", [])) == asked.get("system", [])
    assert dropped(list[ToolUnionParam], asked.get("tools", [])) == asked.get("tools", [])
    if "tool_choice" in asked:
        assert dropped(ToolChoiceParam, asked["tool_choice"]) == asked["tool_choice"]


@pytest.mark.parametrize("name", of("anthropic"))
async def test_anthropics_own_client_sends_what_we_send_and_reads_what_we_read(name):
    golden = load(name)
    asked = {key: value for key, value in golden["asked"].items() if key != "temperature"}
    extra = {"temperature": golden["asked"]["temperature"]} if "temperature" in golden["asked"] else None
    async with upstream(whole(golden["answer"]), streamed(*frames_of(golden))) as up:
        client = anthropic.AsyncAnthropic(api_key="k", base_url=up.url.removesuffix("/v1"), max_retries=0)
        async with client:
            message = await client.messages.create(**asked, extra_body=extra)
            async with client.messages.stream(**asked, extra_body=extra) as stream:
                final = await stream.get_final_message()
    assert [one.body for one in up.asked] == [golden["asked"], golden["asked"] | golden["asked_streamed"]]
    for read in (message, final):
        said = sum_up(events_of(golden["events"]))
        calls = [block for block in read.content if block.type == "tool_use" and block.name != "json"]
        assert "".join(block.text for block in read.content if block.type == "text") in {said["Text"][0], ""}
        assert [call.input for call in calls] == [json.loads(call[2]) for call in said["calls"].values()]
        assert read.usage.output_tokens == said["usage"].output_tokens


@pytest.mark.parametrize("name", of("openai"))
async def test_openais_own_client_sends_what_we_send_and_reads_what_we_read(name):
    golden = load(name)
    asked = golden["asked"]
    assert all(ChatCompletionChunk.model_validate(one, strict=True) for one in golden["frames"] if one != "[DONE]")
    assert ChatCompletion.model_validate(golden["answer"], strict=True)
    assert dropped(list[ChatCompletionMessageParam], asked["messages"])
    async with (
        upstream(whole(golden["answer"]), streamed(*frames_of(golden))) as up,
        openai.AsyncOpenAI(api_key="k", base_url=up.url, max_retries=0) as client,
    ):
        completion = await client.chat.completions.create(**asked)
        stream = await client.chat.completions.create(**asked, **golden["asked_streamed"])
        chunks = [chunk async for chunk in stream]
    assert [one.body for one in up.asked] == [asked, asked | golden["asked_streamed"]]
    said = sum_up(events_of(golden["events"]))
    assert (completion.choices[0].message.content or "") == said["Text"][0]
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.index == 0]
    assert "".join(delta.content or "" for delta in deltas) == said["Text"][0]
    assert [chunk.usage for chunk in chunks if chunk.usage][-1].prompt_tokens == said["usage"].input_tokens
