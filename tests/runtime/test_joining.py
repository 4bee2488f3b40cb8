"""Pieces that reach the log together become one record, and nothing else changes."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from codelab.runtime.runs.joining import joined
from codelab.store.records import NewEvent

NAMES = st.sampled_from("ab")
EVENTS = st.one_of(
    st.builds(lambda name, text: NewEvent("text.delta", {"message_id": name, "delta": text}), NAMES, st.text()),
    st.builds(lambda name, text: NewEvent("tool.args", {"tool_call_id": name, "delta": text}), NAMES, st.text()),
    st.builds(lambda name: NewEvent("text.end", {"message_id": name}), NAMES),
    st.builds(lambda name: NewEvent("custom", {"delta": name}), NAMES),
)


def whose(event: NewEvent) -> tuple[str, str | None]:
    return event.type, event.data.get("message_id") or event.data.get("tool_call_id")


@given(st.lists(EVENTS))
def test_neighbours_that_continue_each_other_are_one(events: list[NewEvent]) -> None:
    before = [(event.type, dict(event.data)) for event in events]
    found = joined(iter(events))
    expected = []
    for (kind, name), group in groupby(events, whose):
        some = list(group)
        if kind in ("text.delta", "tool.args"):
            expected.append((kind, name, "".join(event.data["delta"] for event in some)))
        else:
            expected += [(kind, name, event.data.get("delta")) for event in some]
    assert [(*whose(event), event.data.get("delta")) for event in found] == expected
    assert [(event.type, event.data) for event in events] == before


def test_what_was_logged_already_as_text_stays() -> None:
    frame = NewEvent("frame", text='{"x":1}')
    assert joined([frame, frame]) == [frame, frame]
