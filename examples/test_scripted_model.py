"""Test your own use of CodeLab without a model: the replies are written beforehand.

pytest examples/test_scripted_model.py
"""
# ruff: noqa: S101 - a test asserts

import asyncio
from pathlib import Path

from codelab import CodeLab
from codelab.core.settings import Settings
from codelab.llm.scripted import Reply, ScriptedCall, ScriptedChatModel


def test_a_note_is_written_after_approval(tmp_path: Path) -> None:
    """The model asks to write, the test approves, the file is there."""
    note = ScriptedCall(name="write_file", args={"path": "NOTES.md", "content": "first\n"})
    model = ScriptedChatModel.of(Reply(text="I write it down.", tool_calls=(note,)), "Done.")
    folder = tmp_path / "work"
    folder.mkdir()
    asked = []

    def decide(interrupt: dict) -> str:
        asked.append(interrupt["metadata"]["tool"])
        return "approve"

    async def work() -> list[dict]:
        async with CodeLab(folder, model=model, settings=Settings(data_dir=tmp_path / "data")) as lab:
            return [event async for event in lab.run("note it", agent="coder", approve=decide)]

    assert asyncio.run(work())[-1]["outcome"] == {"type": "success"}
    assert asked == ["write_file"]
    assert (folder / "NOTES.md").read_text() == "first\n"
    assert not model.unmatched
