"""The loop guard refuses repetition without news, and nothing else."""

from __future__ import annotations

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage

from codelab.agents.loops import REPEATS, repeated_calls


def call(number: int, name: str = "read_file", **args: object) -> ToolCall:
    return ToolCall(name=name, args=args or {"path": "a.py"}, id=f"c{number}", type="tool_call")


def history(results: list[str]) -> list[AnyMessage]:
    messages: list[AnyMessage] = [HumanMessage("go")]
    for number, result in enumerate(results):
        messages += [AIMessage("", tool_calls=[call(number)]), ToolMessage(result, tool_call_id=f"c{number}")]
    return messages


def test_the_same_result_three_times_refuses_the_fourth() -> None:
    assert list(repeated_calls(history(["same"] * REPEATS), [call(9)])) == ["c9"]


def test_fewer_repeats_are_let_through() -> None:
    assert repeated_calls(history(["same"] * (REPEATS - 1)), [call(9)]) == {}


def test_polling_is_legal_when_the_result_changes() -> None:
    assert repeated_calls(history(["1 of 3", "2 of 3", "3 of 3", "done"]), [call(9)]) == {}


def test_other_arguments_are_another_call() -> None:
    assert repeated_calls(history(["same"] * REPEATS), [call(9, path="b.py")]) == {}


def test_a_new_message_of_the_person_starts_the_count_anew() -> None:
    messages = [*history(["same"] * REPEATS), HumanMessage("try once more")]
    assert repeated_calls(messages, [call(9)]) == {}
