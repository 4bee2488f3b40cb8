"""Whatever a cut-off turn left behind, a provider is shown one result for each call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage

from codelab.agents.repair import LOST, repaired


def ai(*ids: str) -> AIMessage:
    return AIMessage("", tool_calls=[ToolCall(name="t", args={}, id=i, type="tool_call") for i in ids])


def test_an_orphaned_call_gets_a_result() -> None:
    out = repaired([HumanMessage("x"), ai("a", "b"), ToolMessage("ok", tool_call_id="a")])
    assert [m.content for m in out[2:]] == ["ok", LOST]


def test_a_late_result_moves_behind_its_call() -> None:
    out = repaired([ai("a"), HumanMessage("and?"), ToolMessage("late", tool_call_id="a")])
    assert [type(m).__name__ for m in out] == ["AIMessage", "ToolMessage", "HumanMessage"]


def test_a_result_without_a_call_is_dropped() -> None:
    assert repaired([ToolMessage("stray", tool_call_id="zz"), HumanMessage("x")]) == [HumanMessage("x")]


pieces = st.lists(
    st.one_of(
        st.builds(lambda n: HumanMessage(str(n)), st.integers(0, 9)),
        st.builds(lambda ids: ai(*ids), st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)),
        st.builds(lambda i: ToolMessage("r", tool_call_id=i), st.sampled_from("abcdef")),
    ),
    max_size=12,
)


@given(pieces)
def test_every_call_is_followed_by_exactly_its_results(messages: list[AnyMessage]) -> None:
    out = repaired(messages)
    expected: list[str] = []
    for message in out:
        if isinstance(message, ToolMessage):
            assert expected, "a result without a call before it"
            assert message.tool_call_id == expected.pop(0)
        else:
            assert not expected
            expected = [c["id"] or "" for c in message.tool_calls] if isinstance(message, AIMessage) else []
    assert not expected
