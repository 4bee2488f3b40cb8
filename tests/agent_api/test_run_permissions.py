"""What whoever starts a run may do goes with the run, through every way in: our own graphs, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from codelab.core import permissions
from codelab.core.settings import Settings
from codelab.core.types import Principal, utc_now
from codelab.llm.matching import When
from codelab.llm.models import StaticModels
from codelab.llm.scripted import Reply, Script, ScriptedCall, ScriptedChatModel
from codelab.runtime.compose import build_runtime
from codelab.server.app import create_app
from codelab.store.models import CronRow, RunRow
from tests.support.agent_server import eventually

WRITE = ScriptedCall(name="write_file", args={"path": "note.txt", "content": "hello\n"})
SAID = (
    Reply(when=When(human="write", step=0), text="I write a note.", tool_calls=(WRITE,)),
    Reply(text="Done."),
)
ASKED = {"messages": [{"role": "user", "content": "write the note"}]}
AUTO = {"assistant_id": "coder", "input": ASKED, "config": {"configurable": {"approval_mode": "auto"}}}
READS = frozenset(name for name in permissions.ALL if name.endswith(":read"))
WITHOUT = permissions.ALL - {"workspaces:write"}
MOST = permissions.ALL - {"llm:admin"}
SCOPES = {"all": permissions.ALL, "reader": READS, "careful": WITHOUT, "most": MOST}


class People:
    """One person with three credentials: for everything, for reading, and for all but to change a workspace."""

    cookie_name = "sid"

    async def bearer(self, token: str, path: str = "/") -> Principal | None:  # noqa: ARG002
        return Principal("ann", scopes=SCOPES[token]) if token in SCOPES else None

    async def cookie(self, _value: str) -> Principal | None:
        return None

    async def lives(self, token: str) -> bool:
        return bool(token)

    async def bounded(self, principal: Principal) -> Principal:
        return principal

    def nobody(self) -> Principal | None:
        return None


class Api:
    """The app, and the folder that its agents work in."""

    def __init__(self, app: Any, http: httpx.AsyncClient, folder: Path) -> None:
        self.runtime = app.state.runtime
        self.folder = folder
        self._http = http

    async def ask(self, who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._http.request(method, path, json=body, headers={"authorization": f"Bearer {who}"})

    @property
    def written(self) -> bool:
        return (self.folder / "note.txt").exists()

    async def rows(self) -> list[RunRow]:
        async with self.runtime.database.read() as session:
            return list(await session.scalars(select(RunRow).order_by(RunRow.created_at)))

    async def rested(self) -> None:
        """Wait until no run is on its way."""
        async with asyncio.timeout(20):
            while any(row.status in ("pending", "running") for row in await self.rows()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(url: str, tmp_path: Path) -> AsyncIterator[Api]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", database={"url": url})
    models = StaticModels(ScriptedChatModel(script=Script(name="note", replies=SAID)))
    app = create_app(settings, runtime=build_runtime(settings, models=models), auth=People())
    folder = tmp_path / "project"
    folder.mkdir()
    async with app.router.lifespan_context(app):
        await app.state.runtime.workspaces.register(Principal("ann"), folder, trusted=True)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Api(app, http, folder)


@pytest.fixture
async def api(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(sqlite_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def both(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """On both databases."""
    async with serving(database_url, tmp_path) as opened:
        yield opened


async def thread_of(api: Api, who: str = "all") -> str:
    return (await api.ask(who, "POST", "/threads", {})).json()["thread_id"]


async def own_thread_of(api: Api) -> str:
    (workspace,) = (await api.ask("all", "GET", "/api/v1/workspaces")).json()
    made = await api.ask("all", "POST", "/api/v1/threads", {"workspace_id": workspace["id"]})
    return made.json()["id"]


def called(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def started(**params: Any) -> dict[str, Any]:
    return {"id": 1, "method": "run.start", "params": {**AUTO, **params}}


WAYS = {
    "a run": lambda thread, _own: ("POST", f"/threads/{thread}/runs/wait", AUTO),
    "a run without a thread": lambda _thread, _own: ("POST", "/runs/wait", AUTO),
    "a run of our own API": lambda _thread, own: (
        "POST",
        f"/api/v1/threads/{own}/runs",
        {"text": "write the note", "agent": "coder", "approval_mode": "auto"},
    ),
    "a tool over MCP": lambda _thread, _own: (
        "POST",
        "/mcp",
        called("tools/call", {"name": "coder", "arguments": ASKED}),
    ),
    "the thread protocol": lambda thread, _own: ("POST", f"/threads/{thread}/commands", started()),
}


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_who_may_only_read_starts_nothing(api: Api, way: str) -> None:
    method, path, body = WAYS[way](await thread_of(api), await own_thread_of(api))
    answer = await api.ask("reader", method, path, body)
    assert answer.status_code == 403 or "permission runs:write" in answer.text, answer.text
    await api.rested()
    assert await api.rows() == []
    assert not api.written


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_who_may_not_change_a_workspace_has_no_agent_do_it(api: Api, way: str) -> None:
    method, path, body = WAYS[way](await thread_of(api), await own_thread_of(api))
    answer = await api.ask("careful", method, path, body)
    assert answer.status_code < 300, answer.text
    await api.rested()
    rows = await api.rows()
    assert [set(row.scopes) for row in rows] == [WITHOUT]
    assert not api.written
    await api.ask("all", method, path, body)
    await api.rested()
    assert (await api.rows())[-1].scopes is None
    assert api.written or way == "a tool over MCP"  # which asks for approvals, and nobody gives one


@pytest.mark.parametrize(("who", "kept"), [("all", None), ("most", sorted(MOST))], ids=["all", "most"])
async def test_who_decides_lends_the_run_nothing_and_takes_nothing(both: Api, who: str, kept: Any) -> None:
    own = await own_thread_of(both)
    await both.ask(who, "POST", f"/api/v1/threads/{own}/runs", {"text": "write the note", "agent": "coder"})
    await both.rested()
    (waits,) = (await both.ask("all", "GET", "/api/v1/approvals?status=pending")).json()
    decision = {"decision": "approve"}
    assert (await both.ask("reader", "POST", f"/api/v1/approvals/{waits['id']}", decision)).status_code == 403
    other = "most" if who == "all" else "all"
    assert (await both.ask(other, "POST", f"/api/v1/approvals/{waits['id']}", decision)).status_code == 200
    await both.rested()
    assert [row.scopes for row in await both.rows()] == [kept, kept]
    assert both.written


async def fire(both: Api, cron: str) -> RunRow:
    """Make a cron due and wait for its run; the runtime's own clock may be faster than the call here."""
    before = {row.id for row in await both.rows()}

    async def begun() -> bool:
        return not before >= {row.id for row in await both.rows()}

    async with both.runtime.database.transaction() as session:
        due = update(CronRow).where(CronRow.id == cron).values(next_run_at=utc_now() - timedelta(seconds=1))
        await session.execute(due)
    await both.runtime.agent.crons.fire_due()
    await eventually(begun, "the cron's run")
    await both.rested()
    return (await both.rows())[-1]


async def test_a_crons_runs_may_do_what_whoever_made_it_may(both: Api) -> None:
    body = {**AUTO, "schedule": "0 0 1 1 *"}
    assert (await both.ask("reader", "POST", "/runs/crons", body)).status_code == 403
    made = (await both.ask("careful", "POST", "/runs/crons", body)).json()["cron_id"]
    assert set((await fire(both, made)).scopes) == WITHOUT
    changed = await both.ask("all", "PATCH", f"/runs/crons/{made}", {"schedule": "0 0 2 1 *"})
    assert changed.status_code == 200
    assert set((await fire(both, made)).scopes) == WITHOUT
    assert not both.written


async def test_who_changes_a_cron_lends_it_no_more_than_they_may(both: Api) -> None:
    made = (await both.ask("all", "POST", "/runs/crons", {**AUTO, "schedule": "0 0 1 1 *"})).json()["cron_id"]
    await both.ask("careful", "PATCH", f"/runs/crons/{made}", {"input": ASKED})
    assert set((await fire(both, made)).scopes) == WITHOUT
    assert not both.written


async def test_a_run_from_before_there_were_scopes_may_do_everything(both: Api) -> None:
    answer = await both.ask("all", "POST", f"/threads/{await thread_of(both)}/runs/wait", AUTO)
    assert answer.status_code == 200
    assert [row.scopes for row in await both.rows()] == [None]
    assert both.written
