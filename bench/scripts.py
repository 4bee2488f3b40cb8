"""What the benchmarks say and do: one tool call, then a text, every turn; and a long history."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from codelab.llm.answer import Answer
from codelab.llm.matching import When
from codelab.llm.request import ChatRequest
from codelab.llm.scripted import Reply, Script, ScriptedCall, ScriptedChatModel

LONG = 500


def scripted() -> ScriptedChatModel:
    """The model of both sides."""
    call = ScriptedCall(name="write_file", args={"path": "note.txt", "content": "hello\n"})
    replies = (
        Reply(when=When(step=0), text="I write it. " * 5, tool_calls=(call,)),
        Reply(text="Done, it is written. " * 5),
    )
    return ScriptedChatModel(script=Script(name="bench", replies=replies))


class ClockedChatModel(ScriptedChatModel):
    """Says in its first token when that token was made (the machine's monotonic clock, seconds)."""

    def answer(self, request: ChatRequest) -> Answer:
        """Answer from the script, the time first."""
        scripted_answer = super().answer(request)
        return replace(scripted_answer, text=f"{time.monotonic():.6f} {scripted_answer.text}")


def long_history() -> list[Any]:
    """500 messages, about 200 KB."""
    return [
        (HumanMessage if i % 2 == 0 else AIMessage)(f"message {i} " + "lorem ipsum dolor " * 22, id=f"old-{i}")
        for i in range(LONG)
    ]
