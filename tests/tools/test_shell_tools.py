"""Commands, long outputs, notices, questions and the list of steps, as a model calls them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, HumanMessage

from codelab.core.errors import CodeLabError, InvalidInput, NotFound
from codelab.tools.calls import call_key
from codelab.tools.context import CallKey, RunContext
from codelab.tools.flow import finish, prompt_user, update_todo_list
from codelab.tools.memory import MemoryJournal
from codelab.tools.shell import execute_command, kill_command, read_output
from codelab.tools.ui import apply_patch_review, show_notification, show_progress
from tests.support.toolkit import run_context


class Calls:
    """Calls tools inside one thread whose newest message holds the call."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.events: list[Any] = []

    def runtime(self, call_id: str = "c1") -> ToolRuntime[RunContext, Any]:
        message = AIMessage("", id="m1", tool_calls=[{"name": "x", "args": {}, "id": call_id}])
        state = {"messages": [HumanMessage("go"), message]}
        return ToolRuntime(
            state=state,
            context=self.context,
            config={},
            stream_writer=self.events.append,
            tool_call_id=call_id,
            store=None,
        )

    async def __call__(self, tool: Any, call_id: str = "c1", **args: Any) -> Any:
        return await tool.ainvoke({**args, "runtime": self.runtime(call_id)})


@pytest.fixture
def call(tmp_path: Path) -> Calls:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("one\n")
    return Calls(run_context(root))


async def test_a_command_tells_code_time_and_output(call: Calls) -> None:
    first, output = (await call(execute_command, command="echo hi; exit 3", cwd="sub")).split("\n", 1)
    assert first.startswith("Exit code 3 after ")
    assert output == "hi\n"
    assert (await call(execute_command, command="true")).endswith("(no output)")
    assert "/sub\n" in await call(execute_command, command="pwd", cwd="sub")
    with pytest.raises(InvalidInput, match="outside"):
        await call(execute_command, command="pwd", cwd="..")


async def test_a_time_out_says_so(call: Calls) -> None:
    told = await call(execute_command, command="echo begun; sleep 60", timeout_s=0.5)
    assert told.startswith("Timed out after 0.5 s")
    assert told.endswith("begun\n")


async def test_the_journal_knows_the_process_group(call: Calls) -> None:
    journal = MemoryJournal()
    call.context = run_context(call.context.workspace_handle.folder, journal=journal)
    key = CallKey("thread", "m1", "c1")
    await journal.begin(key, tool="execute_command")
    told = await call(execute_command, command="ps -o pgid= -p $$")
    entry = await journal.begin(key, tool="execute_command")
    assert entry.pgid == int(told.split("\n")[1])


async def test_a_long_output_is_cut_and_can_be_paged(call: Calls) -> None:
    told = await call(execute_command, command="seq 1 20000; echo needle")
    assert len(told) < 10_400
    assert "\n1\n2\n" in told
    assert told.endswith("20000\nneedle\n")
    artifact = told.partition("artifact_id='")[2].partition("'")[0]
    page = await call(read_output, artifact_id=artifact, offset=500, limit=2)
    assert page == "500 | 500\n501 | 501\n(19500 more; go on with offset=502)"
    assert await call(read_output, artifact_id=artifact, search="needle") == "20001 | needle"
    assert (await call(read_output, artifact_id=artifact, search="1999", limit=1, offset=2)).startswith("11999 |")
    assert await call(read_output, artifact_id=artifact, search="nope") == "(no lines: 0 hits in all)"
    assert await call(read_output, artifact_id=artifact, offset=90000) == "(no lines: 20001 lines in all)"
    assert len(await call(read_output, artifact_id=artifact, limit=100_000)) < 10_200
    with pytest.raises(NotFound):
        await call(read_output, artifact_id="nope")


async def test_a_running_command_can_be_killed(call: Calls) -> None:
    assert "No command" in await call(kill_command)
    running = asyncio.create_task(call(execute_command, command="echo up > up; sleep 60"))
    folder = call.context.workspace_handle.folder
    assert folder is not None
    for _ in range(500):
        if await asyncio.to_thread((folder / "up").exists):
            break
        await asyncio.sleep(0.01)
    assert await call(kill_command, call_id="c2") == "Killed 1 running command(s)."
    assert "Exit code 137" in await running
    assert "No command" in await call(kill_command)


def test_a_call_is_found_in_the_newest_message_that_holds_it(call: Calls) -> None:
    assert call_key(call.runtime("c9")) == CallKey("thread", "m1", "c9")
    runtime = call.runtime()
    runtime.state["messages"].pop()
    with pytest.raises(CodeLabError, match="c1"):
        call_key(runtime)


async def test_notices_are_stream_events(call: Calls) -> None:
    await call(show_notification, level="info", title="Hi", body="there")
    await call(show_progress, id="p", label="Work", done=1, total=4)
    assert call.events == [
        {"type": "ui.notification", "level": "info", "title": "Hi", "body": "there"},
        {"type": "ui.progress", "id": "p", "label": "Work", "done": 1, "total": 4},
    ]


async def test_a_reviewed_patch_is_applied(call: Calls) -> None:
    patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"
    assert "changed a.txt" in await call(apply_patch_review, diff=patch, message="Two is better")
    assert await call.context.workspace_handle.read("a.txt") == b"two\n"


async def test_flow(call: Calls) -> None:
    listed = await call(update_todo_list, todos=[{"content": "look", "status": "completed"}, {"content": "act"}])
    assert listed.update["todos"] == [
        {"content": "look", "status": "completed"},
        {"content": "act", "status": "pending"},
    ]
    assert listed.update["messages"][0].content == "The list has 2 steps, 1 completed."
    assert listed.update["messages"][0].tool_call_id == "c1"
    assert (await call(finish, result="done")).update["finished"] == "done"


async def test_a_question_returns_what_the_person_filled_in() -> None:
    questions = [{"question": "Which?", "kind": "text"}]
    assert "blue" in await prompt_user.ainvoke({"questions": questions, "answer": "blue"})
    assert "Decide yourself" in await prompt_user.ainvoke({"questions": questions})
