"""Nothing that a model or a tool says can steer the terminal."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.cli.terminal import brief, clean, coloured_diff, local_time
from codelab.cli.transcript import Transcript


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("a\rb\x08c\x00", "abc"),
        ("\x9b31mred", "31mred"),
        ("safe\u202etxt.exe", "safetxt.exe"),
        ("tab\tand\nnewline\r\n", "tab\tand\nnewline\n"),
    ],
)
def test_what_steers_is_removed(text, left):
    assert clean(text) == left


@given(st.text(st.characters(codec="utf-8")) | st.text("\x1b[]0;m\x07\\P_^AZ\x9b"))
def test_no_control_character_survives(text):
    assert not [c for c in clean(text) if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160]


def test_a_diff_is_coloured_by_its_lines():
    text = coloured_diff("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\x1b[2J\n same\n")
    assert text.plain == "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\n"
    assert [span.style for span in text.spans] == ["bold", "bold", "cyan", "red", "green"]


def test_a_long_text_is_cut_and_says_so():
    assert brief("\n".join("abc"), lines=2) == "a\nb\n… +1"
    assert brief("x" * 20, width=5) == "xxxx…"


def test_a_transcript_reads_like_a_conversation(console, printed):
    transcript = Transcript(console)
    for event in (
        {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
        {
            "type": "CUSTOM",
            "name": "agent_switched",
            "value": {"source": None, "target": "debug", "reason": "a failing test"},
        },
        {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "I look\x1b[2J "},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "first."},
        {"type": "TEXT_MESSAGE_END", "messageId": "m"},
        {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "read_file"},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"path": '},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '"a.py"}'},
        {"type": "TOOL_CALL_END", "toolCallId": "c"},
        {"type": "TOOL_CALL_RESULT", "toolCallId": "c", "messageId": "n", "content": "one\ntwo"},
        {"type": "CUSTOM", "name": "ui.notification", "value": {"level": "info", "title": "look", "body": "here"}},
        {"type": "SOMETHING_NEW"},
        {"type": "RUN_ERROR", "message": "the model is away", "code": "unavailable"},
    ):
        transcript.show(event)
    assert printed() == (
        '→ debug: a failing test\nI look first.\n• read_file {"path": "a.py"}\n  one\n  two\n» look · here\n'
        "The run failed: the model is away [unavailable]\n"
    )


def test_moments_are_shown_by_the_clock_on_the_wall(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert local_time("2026-01-02T23:30:00.123456Z") == "2026-01-03 00:30"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
