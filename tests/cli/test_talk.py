"""The chat, on the real service with a scripted model; lines are typed by the test."""

import asyncio
import os
import signal

import pytest

from codelab.cli.ending import Interrupted
from codelab.cli.talk import Chat
from codelab.core.settings import Settings
from codelab.lab import CodeLab
from tests.lab.conftest import editing_model


@pytest.fixture
async def lab(git_repo, tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path / "data")
    async with CodeLab(git_repo, model=editing_model(), settings=settings) as lab:
        yield lab


def ended():
    error = Interrupted()
    error.__cause__ = EOFError()
    return error


@pytest.fixture
def chat(lab, console, typing):
    return lambda *lines, **options: Chat(lab, console, typing(*lines), **options)


async def started(lab):
    """The thread and the run that come first."""
    while True:
        for thread in (await lab.threads.list())["items"]:
            for run in await lab.runs(thread["id"]):
                return thread["id"], run["id"]
        await asyncio.sleep(0.02)


async def test_a_conversation_with_an_approval(chat, printed, git_repo, lab):
    assert await chat("write a note", "a", "", "hello", "/exit").loop() == 0
    assert (git_repo / "NOTES.md").exists()
    assert "coder asks: write_file" in printed()
    assert "+first" in printed()
    assert "It is written." in printed()
    assert len((await lab.threads.list())["items"]) == 1


async def test_commands(chat, printed, git_repo, lab):
    talk = chat(
        "/diff", "/agent nobody", "/agent coder", "write a note", "a", "/diff", "/undo", "/undo", "/threads",
        "/nonsense", "/help", "/agent auto", "/new", "hello", ended(),
    )  # fmt: skip
    assert await talk.loop() == 0
    text = printed()
    for words in (
        "Nothing was said in this thread yet.",
        "There is no agent nobody",
        "Next: coder",
        "Put back: NOTES.md",
        "No turn of this thread changed files.",
        "write a note\n",
        "There is no command /nonsense",
        "/undo [TURN]",
        "the router chooses",
        "The next message begins a new thread.",
    ):
        assert words in text
    assert not (git_repo / "NOTES.md").exists()
    assert len((await lab.threads.list())["items"]) == 2


async def test_a_second_interrupt_at_the_prompt_leaves(chat, printed):
    assert await chat(Interrupted(), "/agent coder", Interrupted(), Interrupted()).loop() == 0
    assert "Ctrl-C again" in printed()


async def test_an_interrupt_at_a_question_gives_the_approvals_up_and_keeps_the_thread(chat, printed, lab, git_repo):
    talk = chat("write a note", Interrupted(), "hello", ended())
    assert await talk.loop() == 0
    assert "The thread is kept" in printed()
    assert "Nothing to do." in printed()
    assert not (git_repo / "NOTES.md").exists()
    assert await lab.approvals() == []
    assert len(await lab.runs(talk.thread_id)) == 2


async def test_ctrl_c_cancels_the_run_and_keeps_the_thread(chat, printed, lab):
    talk = chat("slow", "hello", ended())
    before = signal.getsignal(signal.SIGINT)
    looping = asyncio.create_task(talk.loop())
    async with asyncio.timeout(20):
        async for event in lab.events(*await started(lab)):
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                break
    os.kill(os.getpid(), signal.SIGINT)
    assert await looping == 0
    assert signal.getsignal(signal.SIGINT) is before
    assert "The thread is kept" in printed()
    assert [run["status"] for run in await lab.runs(talk.thread_id)] == ["success", "interrupted"]


async def test_an_open_turn_is_finished_first(chat, printed, git_repo, lab):
    async for event in lab.run("write a note"):
        thread_id = event.get("threadId")
    talk = chat("a", "/exit")
    await talk.open(thread_id)
    assert await talk.loop() == 0
    assert (git_repo / "NOTES.md").exists()
    assert f"Thread {thread_id}" in printed()
