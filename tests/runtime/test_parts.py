"""A frame is cut out of what was logged, and a message is written as its plain form would be."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk

from codelab.runtime.agent_runs.parts import cut, frame_event, part, written_part
from codelab.runtime.runs.plain import plain, plain_text
from codelab.store.texts import dump_json

WORDS = st.text(max_size=20)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)
CHUNKS = st.builds(
    AIMessageChunk,
    content=WORDS | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": WORDS}), max_size=2),
    id=st.none() | WORDS,
    name=st.none() | WORDS,
    additional_kwargs=st.dictionaries(WORDS, DATA, max_size=2),
    response_metadata=st.dictionaries(WORDS, DATA, max_size=2),
    usage_metadata=st.none() | st.just({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    tool_call_chunks=st.lists(
        st.builds(tool_call_chunk, name=WORDS, args=WORDS, id=st.none() | WORDS, index=st.integers(0, 3)), max_size=2
    ),
    chunk_position=st.none() | st.just("last"),
)


@given(CHUNKS)
def test_a_message_is_written_as_its_plain_form(chunk: AIMessageChunk) -> None:
    assert json.loads(plain_text(chunk)) == json.loads(dump_json(plain(chunk)))


@pytest.mark.parametrize(
    "value",
    [
        AIMessage("whole", tool_calls=[{"name": "t", "args": {"a": [1, None]}, "id": "c"}]),
        HumanMessage([{"type": "text", "text": "\N{GRINNING FACE} NaN Infinity \\u0000"}]),
        ToolMessage("done", tool_call_id="c", artifact={"at": 1.5}),
        AIMessageChunk("a\x00b"),
        {"message": HumanMessage("inside")},
        float("nan"),
    ],
    ids=["calls", "marks", "result", "nul", "inside", "nan"],
)
def test_so_is_everything_else(value: Any) -> None:
    text = plain_text(value)
    assert text.isascii()
    assert "\\u0000" not in text.replace("\\\\", "")
    assert json.loads(text) == json.loads(dump_json(plain(value)))


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=3), DATA)
def test_a_part_is_cut_into_what_it_was_made_of(event: str, ns: list[str], data: Any) -> None:
    text = dump_json(data)
    made, written = part(event, ns, data), written_part(event, ns, text)
    assert written.text == dump_json(made.data)
    names = json.loads(dump_json([event, ns]))
    assert cut(written.text or "") == (frame_event(names[0], names[1]), text)


def test_a_name_may_look_like_the_data() -> None:
    event = 'x","ns":[],"data":1'
    assert cut(written_part(event, [',"data":'], "2").text or "") == (f'{event}|,"data":', "2")
