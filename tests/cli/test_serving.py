"""The server and the remote client in one event loop, over a real socket."""

import asyncio
import os
import re
import signal
from contextlib import asynccontextmanager

import httpx
import pytest

from codelab.cli.client import Access, connect
from codelab.cli.conversations import (
    Verdict,
    decide_call,
    go_on,
    remove,
    show_approvals,
    show_diff,
    show_list,
    show_thread,
    undo_turn,
)
from codelab.cli.serving import run_server
from codelab.cli.task import give_task
from codelab.core.errors import InvalidInput, NotFound, Unauthenticated
from codelab.core.types import DecisionKind

TASK = "create NOTES.md with first"


@pytest.fixture
def serving(capsys):
    @asynccontextmanager
    async def serve(*folders):
        """Serve; gives the URL and what was printed."""
        task = asyncio.create_task(run_server(folders=folders, host=None, port=0))
        said = ""
        async with asyncio.timeout(20):
            while "oken" not in said:
                await asyncio.sleep(0.02)
                said += capsys.readouterr().out
        yield re.search(r"http://[\d.:]+", said)[0], said
        os.kill(os.getpid(), signal.SIGTERM)
        assert await task == 0

    return serve


async def test_the_link_signs_in_once(serving, git_repo):
    async with serving(git_repo) as (url, said), httpx.AsyncClient() as http:
        link = re.search(r"http://\S+login\S+", said)[0]
        assert str(git_repo) in said
        assert (await http.get(link)).status_code in {302, 303, 307}
        assert (await http.get(f"{url}/", headers={"accept": "text/html"})).status_code == 200
        async with httpx.AsyncClient() as other:
            assert (await other.get(link)).status_code >= 400
            assert (await other.get(f"{url}/api/v1/threads")).status_code == 401


async def test_a_task_over_http(serving, git_repo, capsys, console, printed):
    async with serving(git_repo) as (url, _):
        access = Access(git_repo, url)
        assert await give_task(access, TASK, agent=None, mode="ask", as_json=False) == 3
        assert "codelab threads decide" in capsys.readouterr().err
        async with connect(access) as client:
            (thread,) = (await client.threads.list())["items"]
            (approval,) = await client.approvals(thread["id"])
            await show_approvals(client, console, thread["id"], as_json=False)
            assert "+first" in printed()
            with pytest.raises(InvalidInput):
                await decide_call(client, console, approval["id"], Verdict("edit", arguments="[]"), as_json=False)
            verdict = Verdict(DecisionKind.EDIT, arguments='{"path": "NOTES.md", "content": "second\\n"}')
            assert await decide_call(client, console, approval["id"], verdict, as_json=False) == 0
            assert (git_repo / "NOTES.md").read_text() == "second\n"
            await show_diff(client, console, thread["id"])
            await show_thread(client, console, thread["id"], as_json=False)
            await show_list(client, console, as_json=False)
            await undo_turn(client, console, thread["id"], None)
            await remove(client, console, thread["id"])
            with pytest.raises(NotFound):
                await client.threads.get(thread["id"])
        for words in ("+second", f"user: {TASK}", "• write_file", "Put back: NOTES.md", "Removed"):
            assert words in printed()
        assert not (git_repo / "NOTES.md").exists()


async def test_a_wrong_token_is_refused(serving, git_repo):
    async with serving(git_repo) as (url, _), connect(Access(None, url, "wrong")) as client:
        with pytest.raises(Unauthenticated):
            await client.agents()


async def test_only_registered_folders_are_served(serving, git_repo, tmp_path):
    async with serving(git_repo) as (url, _):
        with pytest.raises(InvalidInput, match="cannot be a workspace"):
            await give_task(Access(tmp_path, url), TASK, agent=None, mode="ask", as_json=True)


async def test_a_run_far_away_is_cancelled(serving, git_repo):
    async with serving(git_repo) as (url, _), connect(Access(git_repo, url)) as client:
        run = await client.start("list files")
        await client.cancel(run["thread_id"], run["id"])
        events = [event async for event in client.events(run["thread_id"], run["id"])]
        assert events[-1]["type"] == "RUN_FINISHED"
        await client.cancel(run["thread_id"], run["id"])


async def test_a_folder_that_is_none_ends_the_server(tmp_path, capsys):
    assert await run_server(folders=[tmp_path / "nothing"], host=None, port=0) == 2
    assert "cannot be a workspace" in capsys.readouterr().err


async def test_an_empty_house(git_repo, console, printed):
    async with connect(Access(git_repo)) as client:
        await show_list(client, console, as_json=False)
        await show_approvals(client, console, None, as_json=False)
        with pytest.raises(NotFound):
            await go_on(client, console, "no-such-thread", as_json=False)
    assert printed() == "No threads yet.\nNothing waits for a decision.\n"
