"""The library: tasks, approvals, decisions, early ends, several labs at once."""

import asyncio
from contextlib import aclosing

import pytest

from codelab.core.errors import CodeLabError, InvalidInput, NotFound
from codelab.core.settings import Settings
from codelab.lab import CodeLab
from codelab.llm.models import StaticModels
from tests.lab.conftest import editing_model


async def collect(events):
    return [event async for event in events]


def kinds(events):
    return [event["type"] for event in events]


def said(events):
    return "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")


async def test_a_task_streams_to_its_end(open_lab):
    async with open_lab() as lab:
        events = await collect(lab.run("hello", agent="ask"))
    assert kinds(events)[0] == "TEXT_MESSAGE_CHUNK"
    assert "RUN_STARTED" in kinds(events)
    assert events[-1]["outcome"] == {"type": "success"}
    assert said(events) == "Nothing to do."


async def approve_later(_interrupt):
    await asyncio.sleep(0)
    return {"decision": "approve"}


@pytest.mark.parametrize(
    ("answer", "written", "last"),
    [
        (lambda _: "approve", "first\n", "It is written."),
        (approve_later, "first\n", "It is written."),
        (lambda _: {"decision": "reject", "message": "no notes"}, None, "Then I leave it."),
        (
            lambda _: {"decision": "edit", "arguments": {"path": "NOTES.md", "content": "second\n"}},
            "second\n",
            "It is written.",
        ),
        (lambda _: {"decision": "respond", "message": "later"}, None, "As you say."),
    ],
)
async def test_a_callable_decides(open_lab, git_repo, answer, written, last):
    asked = []

    def decide(interrupt):
        asked.append(interrupt)
        return answer(interrupt)

    async with open_lab() as lab:
        events = await collect(lab.run("write a note", approve=decide))
    assert [interrupt["metadata"]["tool"] for interrupt in asked] == ["write_file"]
    assert "+first" in asked[0]["metadata"]["preview"]["diff"]
    assert kinds(events).count("RUN_FINISHED") == 2
    assert events[-1]["outcome"] == {"type": "success"}
    assert said(events).endswith(last)
    note = git_repo / "NOTES.md"
    assert (note.read_text() if note.exists() else None) == written


async def test_without_a_callable_the_stream_ends_at_the_approval_and_goes_on_later(open_lab, git_repo):
    async with open_lab() as lab:
        events = await collect(lab.run("write a note"))
        thread_id = events[-1]["threadId"]
        assert events[-1]["outcome"]["type"] == "interrupt"
        assert not (git_repo / "NOTES.md").exists()
    async with open_lab() as lab:  # another process could do this
        (approval,) = await lab.approvals(thread_id)
        decided = await lab.decide(approval["id"], "approve")
        assert decided["replayed"] is False
        events = await collect(lab.resume(thread_id))
        assert events[-1]["outcome"] == {"type": "success"}
        assert (await lab.decide(approval["id"], "approve"))["replayed"] is True
    assert (git_repo / "NOTES.md").read_text() == "first\n"


async def test_resume_can_ask_too(open_lab, git_repo):
    async with open_lab() as lab:
        thread_id = (await collect(lab.run("write a note")))[-1]["threadId"]
        events = await collect(lab.resume(thread_id, approve=lambda _: "approve"))
    assert events[-1]["outcome"] == {"type": "success"}
    assert (git_repo / "NOTES.md").exists()


@pytest.mark.parametrize(("mode", "exists"), [("auto", True), ("deny", False)])
async def test_modes(open_lab, git_repo, mode, exists):
    async with open_lab() as lab:
        events = await collect(lab.run("write a note", approve=mode))
    assert events[-1]["outcome"] == {"type": "success"}
    assert (git_repo / "NOTES.md").exists() is exists


async def test_an_early_end_cancels_the_run_and_keeps_the_thread(open_lab):
    async with open_lab() as lab:
        async with aclosing(lab.run("slow", agent="ask")) as events:
            async for event in events:
                if event["type"] == "TEXT_MESSAGE_CONTENT":
                    break
        (thread,) = (await lab.threads.list())["items"]
        (run,) = await lab.runs(thread["id"])
        assert (run["status"], run["reason"]) == ("interrupted", "cancelled")
        again = await collect(lab.run("hello", agent="ask", thread_id=thread["id"]))
        assert again[-1]["outcome"] == {"type": "success"}
        assert (await lab.threads.messages(thread["id"]))[0]["role"] == "user"


async def test_leaving_the_lab_cancels_what_nobody_follows(open_lab):
    async with open_lab() as lab:
        events = lab.run("slow", agent="ask")
        async for event in events:
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                thread_id = (await lab.threads.list())["items"][0]["id"]
                break
    async with open_lab() as lab:
        assert [run["status"] for run in await lab.runs(thread_id)] == ["interrupted"]
    with pytest.raises(CodeLabError):
        await anext(lab.run("hello"))


async def test_a_cancelled_task_cancels_its_run(open_lab):
    speaking = asyncio.Event()

    async def listen(lab):
        async for event in lab.run("slow", agent="ask"):
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                speaking.set()

    async with open_lab() as lab:
        task = asyncio.create_task(listen(lab))
        await speaking.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (thread,) = (await lab.threads.list())["items"]
        assert [run["status"] for run in await lab.runs(thread["id"])] == ["interrupted"]


@pytest.mark.parametrize("shared", [True, False])
async def test_two_labs_in_one_process(open_lab, tmp_path, settings, shared):
    other = settings if shared else Settings(_env_file=None, data_dir=tmp_path / "other")
    (tmp_path / "second").mkdir()
    async with open_lab() as one, open_lab(tmp_path / "second", settings=other) as two:
        first, second = await asyncio.gather(
            collect(one.run("write a note", approve=lambda _: "approve")),
            collect(two.run("write a note", approve=lambda _: "approve")),
        )
        assert len((await one.threads.list())["items"]) == (2 if shared else 1)
    assert first[-1]["outcome"] == second[-1]["outcome"] == {"type": "success"}
    assert (tmp_path / "second" / "NOTES.md").read_text() == "first\n"


async def test_changes_and_undo(open_lab, git_repo):
    async with open_lab() as lab:
        thread_id = (await collect(lab.run("write a note", approve="auto")))[-1]["threadId"]
        changes = await lab.threads.changes(thread_id)
        assert "+first" in changes["diff"]
        undone = await lab.threads.undo(thread_id, changes["turns"][0]["turn_id"])
        assert undone["files"] == ["NOTES.md"]
    assert not (git_repo / "NOTES.md").exists()


async def test_a_thread_can_be_deleted(open_lab):
    async with open_lab() as lab:
        thread_id = (await collect(lab.run("hello", agent="ask")))[-1]["threadId"]
        await lab.threads.delete(thread_id)
        with pytest.raises(NotFound):
            await lab.threads.get(thread_id)
        with pytest.raises(NotFound):
            await anext(lab.resume(thread_id))


async def test_what_is_wrong_is_said(open_lab, tmp_path):
    async with open_lab() as lab:
        with pytest.raises(InvalidInput, match="no agent"):
            await anext(lab.run("hello", agent="nobody"))
        with pytest.raises(InvalidInput, match="approval_mode"):
            await anext(lab.run("hello", approve="sometimes"))
        with pytest.raises(InvalidInput, match="decision"):
            await lab.decide("some-id", "maybe")
        assert (await lab.threads.list())["items"] == []
    with pytest.raises(InvalidInput, match="workspace"):
        async with open_lab(tmp_path / "nothing"):
            pass
    with pytest.raises(InvalidInput, match="Open the lab"):
        _ = open_lab().graph


async def test_a_lab_without_a_folder_only_goes_on(open_lab, settings):
    async with open_lab() as lab:
        thread_id = (await collect(lab.run("hello", agent="ask")))[-1]["threadId"]
    async with CodeLab(None, model=editing_model(), settings=settings) as lab:
        events = await collect(lab.run("hello again", agent="ask", thread_id=thread_id))
        assert events[-1]["outcome"] == {"type": "success"}
        with pytest.raises(CodeLabError):
            await anext(lab.run("hello"))


async def test_models_may_be_given_by_role(open_lab):
    async with open_lab(model=StaticModels({"strong": editing_model()})) as lab:
        assert said(await collect(lab.run("hello", agent="ask"))) == "Nothing to do."
        assert {agent["name"] for agent in await lab.agents()} >= {"coder", "ask"}
        assert "coder" in lab.graph.nodes


def test_a_name_chooses_the_model_and_a_url_the_database(settings):
    lab = CodeLab(model="some-model", database="sqlite:////tmp/x.db", settings=settings)
    assert lab.settings.llm.models.strong == lab.settings.llm.models.fast == "some-model"
    assert lab.settings.database_url == "sqlite:////tmp/x.db"
    assert settings.llm.models.strong is None
