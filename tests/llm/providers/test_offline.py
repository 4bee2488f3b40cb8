"""Models without a network behind the same seam: the demo model, scripts with their faults, embeddings by hashing."""

import math

import pytest

from codelab.core.errors import ConfigError
from codelab.core.settings_llm import LLMSettings
from codelab.llm.answer import Fault
from codelab.llm.catalog import Provider
from codelab.llm.catalog_load import load_catalogue
from codelab.llm.errors import Interrupted, Malformed, Overloaded, Rejected, ServerFailed, TimedOut
from codelab.llm.events import Finish, Text, ToolCall, Used
from codelab.llm.providers.hashing import hashed
from codelab.llm.providers.offline import OfflineAdapter
from codelab.llm.providers.registry import build_adapters
from codelab.llm.scripted import Playbook, Reply, Script, ScriptedCall
from tests.llm.providers.dialects import answered, asking, model_at, told

PROVIDER = Provider(name="demo", kind="offline")
MODEL = model_at("", "offline", "scripted")


def scripted(*replies: Reply | str) -> OfflineAdapter:
    return OfflineAdapter(PROVIDER, Playbook(Script.of(*replies)).answer)


def both(kind: str) -> list:
    return [pytest.param(kind, True, id=f"{kind}-stream"), pytest.param(kind, False, id=f"{kind}-whole")]


async def test_the_demo_model_says_the_same_streamed_and_whole():
    catalogue = load_catalogue(LLMSettings(), {})
    adapters = build_adapters(catalogue)
    tool = {"name": "list_files", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}
    asked = {"messages": [{"role": "user", "content": "list files"}], "tools": [{"type": "function", "function": tool}]}
    model = catalogue.find("strong")
    streamed, whole = [
        await answered(adapters[model.provider.name], model, asking(stream=stream, **asked)) for stream in (True, False)
    ]
    await adapters.close()
    assert streamed == whole
    assert [event.name for event in whole if isinstance(event, ToolCall) and event.name] == ["list_files"]
    assert whole[-2] == Finish("tool_calls")
    assert whole[-1].usage.output_tokens > 0


async def test_a_script_in_a_file(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text("replies: [{text: Hello there}]", "utf-8")
    adapter = OfflineAdapter(Provider(name="s", kind="offline", base_url=str(path)))
    text, reason, usage = told(await answered(adapter, MODEL, asking(stream=True)))
    assert (text, reason, usage.output_tokens) == ("Hello there", "stop", 4)
    missing = OfflineAdapter(Provider(name="s", kind="offline", base_url=str(tmp_path / "none.yaml")))
    with pytest.raises(ConfigError):
        await answered(missing, MODEL, asking(stream=True))


async def test_calls_come_in_pieces_with_one_head():
    adapter = scripted(Reply(text="I look.", tool_calls=(ScriptedCall(name="look", args={"at": "x" * 50}),)))
    events = await answered(adapter, MODEL, asking(stream=True))
    calls = [event for event in events if isinstance(event, ToolCall)]
    assert (calls[0].name, len([call for call in calls if call.id]), len(calls) > 2) == ("look", 1, True)
    assert "".join(call.arguments for call in calls) == '{"at": "' + "x" * 50 + '"}'


@pytest.mark.parametrize(
    ("kind", "stream"),
    [case for kind in ("rate_limit", "server_error", "timeout", "cut", "malformed_json") for case in both(kind)],
)
async def test_scripted_faults_are_a_providers(kind, stream):
    errors = {"rate_limit": Overloaded, "server_error": ServerFailed, "timeout": TimedOut, "cut": Interrupted,
              "malformed_json": Malformed}  # fmt: skip
    adapter = scripted(Reply(text="a b c", fault=Fault(kind=kind, after=2, retry_after=3)))
    seen = []

    async def ask() -> None:
        async for batch in adapter.answer(MODEL, asking(stream=stream), timeout_s=1):
            seen.extend(batch.events)

    with pytest.raises(errors[kind]) as raised:
        await ask()
    refuses = kind in {"rate_limit", "server_error"}
    assert seen == ([Text("a "), Text("b ")] if stream and not refuses else [])
    assert raised.value.retry_after == (3 if refuses else None)


async def test_what_no_reply_gives_and_what_cannot_be_read_is_the_clients_fault():
    forced = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}
    with pytest.raises(Rejected) as raised:
        await answered(scripted("text"), MODEL, asking(stream=False, **forced))
    assert raised.value.code == "unscripted"
    with pytest.raises(Rejected):
        await answered(scripted("text"), MODEL, asking(stream=False, tools=[{"type": "function"}]))


async def test_usage_is_told():
    events = await answered(scripted("Hello"), MODEL, asking(stream=False))
    used = next(event for event in events if isinstance(event, Used))
    assert used.raw["total_tokens"] == used.usage.total_tokens > 0


def near(a: str, b: str) -> float:
    return sum(x * y for x, y in zip(hashed(a), hashed(b), strict=True))


def test_hashed_vectors_have_unit_length_and_know_spelling():
    assert all(math.isclose(near(text, text), 1) for text in ("hello", "", "Привет, мир", "a"))
    same, other = (
        near("how do I parse JSON in Python", "how do i parse json in python?"),
        near("parse JSON", "bake bread"),
    )
    assert same > 0.99
    assert other < 0.5


async def embedded(**body):
    return await OfflineAdapter(PROVIDER).embed(MODEL, body, timeout_s=1)


async def test_embeddings_in_openais_form():
    got = await embedded(input=["hello", "hello", "world"], dimensions=8)
    vectors = [one["embedding"] for one in got["data"]]
    assert vectors[0] == vectors[1] != vectors[2]
    assert {len(vector) for vector in vectors} == {8}
    assert (got["object"], got["model"], got["usage"]["prompt_tokens"]) == ("list", "short", 5)
    assert [len((await embedded(input=given))["data"]) for given in ("x", [1, 2], [[1], [2]])] == [1, 1, 2]


@pytest.mark.parametrize("body", [{}, {"input": []}, {"input": 7}, {"input": "x", "dimensions": 10**9}])
async def test_what_cannot_be_embedded(body):
    with pytest.raises(Rejected):
        await embedded(**body)
