"""The last rung: a labelled text in place of an answer, only where that is allowed and honest."""

from dataclasses import replace
from typing import Any

import pytest

from codelab.core.errors import CodeLabError
from codelab.llm.chat import AGENT, Caller, CompletionRequest, Controls
from codelab.llm.errors import AllDown, Interrupted, Rejected, ServerFailed
from codelab.llm.events import Text, Used
from codelab.llm.gateway import Gateway
from codelab.llm.resilience.standin import can_stand_in, stand_in
from codelab.llm.usage import Usage
from tests.llm.gateway.doubles import SAID, House, Scripted, text

DOWN = AllDown("nobody", retry_after=5)


def asked(said: str = "hello", *, controls: Controls = AGENT, **body: Any) -> CompletionRequest:
    whole = {"model": "dear", "messages": [{"role": "user", "content": said}], **body}
    return CompletionRequest(body=whole, caller=Caller(user_id="u"), controls=controls)


def offline(house: House) -> Gateway:
    """The house's gateway with the last rung in place."""
    gateway = house.gateway
    return Gateway(replace(gateway._parts, offline=True))


@pytest.mark.parametrize("error", [DOWN, ServerFailed("500")], ids=["all_down", "failed"])
async def test_where_no_model_answers_a_text_says_so(error: Exception):
    house = House(attempts=Scripted(said=[error]))
    answering = offline(house).answer(asked())
    events = [event async for batch in answering for event in batch.events]
    assert "[offline]" in "".join(event.text for event in events if isinstance(event, Text))
    outcome = answering.outcome
    assert (outcome.degraded, outcome.provider, outcome.model) == ("offline", "offline", "offline")
    assert (outcome.error, outcome.cost) == ("", 0)
    assert house.row is outcome


async def test_it_is_off_by_default():
    with pytest.raises(AllDown):
        await text(House(attempts=Scripted(said=[DOWN])).gateway, asked())


async def test_nothing_is_added_to_a_broken_answer():
    house = House(attempts=Scripted(said=[SAID[0], Interrupted("cut")]))
    with pytest.raises(Interrupted):
        await text(offline(house), asked(stream=True))


def test_it_speaks_the_language_of_the_last_message():
    said = [event.text for pieces in stand_in(asked("привет")).batches for event in pieces if isinstance(event, Text)]
    assert "модель" in said[0]
    used = [event.usage for pieces in stand_in(asked()).batches for event in pieces if isinstance(event, Used)]
    assert used == [Usage()]


@pytest.mark.parametrize(
    ("request_", "error", "may"),
    [
        (asked(), DOWN, True),
        (asked(), ServerFailed("500"), True),
        (asked(tools=[{}], tool_choice="auto"), DOWN, True),
        (asked(), Rejected("too long"), False),
        (asked(), AllDown("crowded", retry_after=1, code="shed"), False),
        (asked(response_format={"type": "json_object"}), DOWN, False),
        (asked(tool_choice="required"), DOWN, False),
        (asked(controls=Controls(fallback=False)), DOWN, False),
    ],
    ids=["down", "failed", "free_tools", "bad_request", "shed", "json", "forced_tool", "this_model_only"],
)
def test_when_a_text_will_do(request_: CompletionRequest, error: CodeLabError, may: bool):
    assert can_stand_in(request_, error) is may
