"""Requests of any form: each is asked or refused with a reason, and nothing of it is changed."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.errors import ConnectFailed, Refused, Rejected, UpstreamError
from codelab.llm.providers.anthropic_request import messages_body
from codelab.llm.providers.conversation import dumped, translated
from codelab.llm.providers.gemini_request import generate_body
from codelab.llm.providers.openai import upstream_body
from tests.llm.providers.dialects import DIALECTS, answered, asking, connected, model_at

ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab{}\n ", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "name", "id", "url"]), inner, max_size=2)
    ),
    max_leaves=4,
)
TEXT = st.text("ab \n", max_size=4)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "input_audio", "odd"])},
    optional={
        "text": TEXT,
        "image_url": st.sampled_from([{"url": "http://x/y.png"}, {"url": "data:image/png;base64,QQ=="}, "http://x"])
        | ODD,
        "file": st.sampled_from([{"file_data": "data:application/pdf;base64,QQ=="}, {"file_id": "f"}]) | ODD,
    },
)
CALL = st.fixed_dictionaries(
    {
        "id": TEXT,
        "function": st.fixed_dictionaries({"name": TEXT, "arguments": st.sampled_from(["{}", "", "[1]", "{"])}),
    },
    optional={"signature": TEXT, "extra_content": ODD},
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])},
    optional={
        "content": TEXT | st.none() | st.lists(PART, max_size=3),
        "tool_calls": st.lists(CALL, max_size=2) | st.none(),
        "tool_call_id": TEXT,
        "reasoning_details": st.lists(
            st.fixed_dictionaries({}, optional={"text": TEXT, "signature": TEXT}), max_size=2
        ),
        "reasoning_content": TEXT,
        "reasoning_signature": TEXT,
    },
)
TOOL = st.fixed_dictionaries({"type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXT})})
REQUEST = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, max_size=5)},
    optional={
        "tools": st.lists(TOOL, max_size=2) | ODD,
        "tool_choice": st.sampled_from(["auto", "none", "required"]) | ODD,
        "response_format": st.sampled_from([{"type": "json_object"}, {"type": "json_schema"}]) | ODD,
        "stop": TEXT | st.lists(TEXT) | ODD,
        "reasoning_effort": st.sampled_from(["none", "low", "max"]) | ODD,
        "max_tokens": st.integers(1, 9) | ODD,
        "metadata": ODD,
        "n": ODD,
    },
)
MAKERS = {
    "openai": (upstream_body, "gpt-6-luna"),
    "anthropic": (messages_body, "claude-sonnet-5-5"),
    "anthropic-old": (messages_body, "claude-3-5-haiku-latest"),
    "gemini": (generate_body, "gemini-3.8-flash"),
}


@pytest.mark.parametrize("kind", MAKERS)
@given(request_body=REQUEST, stream=st.booleans())
def test_asked_or_refused_and_never_changed(kind, request_body, stream):
    make, upstream = MAKERS[kind]
    request = asking(stream=stream, **request_body)
    before = deepcopy(request.body)
    refused = None
    try:
        made = translated(make, model_at("http://x/v1", kind.partition("-")[0], upstream), request)
    except Rejected as exc:
        refused = exc
    assert (refused.message and not refused.counts) if refused else dumped(made)
    assert request.body == before


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("text", ["\ud800", 2**70], ids=["half a character", "a number too long"])
async def test_what_json_has_not_is_refused(dialect, text):
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}
    async with connected(dialect, "http://127.0.0.1:1/v1") as (adapter, model, _):
        with pytest.raises(UpstreamError) as raised:
            await answered(adapter, model, asking(stream=False, **body))
    assert isinstance(raised.value, Rejected)
    assert not isinstance(raised.value, ConnectFailed | Refused)
