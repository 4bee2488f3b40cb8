from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from codelab.core.context import RunSettings
from codelab.core.permissions import ALL
from codelab.core.settings import Settings
from codelab.core.types import Principal
from codelab.runtime.compose import Runtime, build_runtime
from codelab.runtime.runs.owner import Owner
from codelab.runtime.runs.schemas import Run
from tests.runtime.toy import Toy

ME = Principal("local", scopes=ALL)
DEAD = Owner(Owner.here().host, 999_999_999, "1", "dead")
Open = Callable[..., AbstractAsyncContextManager["Lab"]]


class Lab:
    """A runtime with one thread, and short words for what tests do with it."""

    def __init__(self, runtime: Runtime, thread_id: str) -> None:
        self.rt = runtime
        self.thread_id = thread_id

    async def start(self, text: str, **settings: Any) -> Run:
        return await self.rt.runs.start(ME, self.thread_id, text=text, settings=RunSettings(**settings))

    async def wait(self, run: Run) -> Run:
        return await self.rt.runs.wait(ME, self.thread_id, run.id, 10)

    async def say(self, text: str, **settings: Any) -> Run:
        return await self.wait(await self.start(text, **settings))

    async def pending(self) -> list[Any]:
        return await self.rt.approvals.list(ME, status="pending", thread_id=self.thread_id)

    async def newest(self) -> Run:
        return await self.wait((await self.rt.runs.list(ME, self.thread_id))[0])

    async def decide(self, decision: str = "approve", **more: Any) -> Run:
        """Decide everything that is pending; the run that goes on."""
        for approval in await self.pending():
            await self.rt.approvals.decide(ME, approval.id, decision, **more)
        return await self.newest()

    async def events(self) -> list[Any]:
        return await self.rt.log.read(self.thread_id)

    async def types(self) -> list[str]:
        """The kinds in order; how many records a text came in is a matter of time."""
        return [kind for kind, _ in groupby(event.type for event in await self.events())]

    async def messages(self) -> list[tuple[str, str]]:
        return [(m.role, m.content) for m in await self.rt.threads.messages(ME, self.thread_id)]

    async def thread(self) -> Any:
        return await self.rt.threads.get(ME, self.thread_id)


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(url: str, **runs: Any) -> Settings:
        quick = {"heartbeat_s": 0.1, "lease_s": 5, **runs}
        return Settings(_env_file=None, data_dir=tmp_path / "data", database={"url": url}, runs=quick)

    return make


@pytest.fixture
def open_lab(toy: Toy, folder: Path, make_settings: Callable[..., Settings]) -> Open:
    """Open a runtime on a database; again with `thread_id=` to go on as another process would."""

    @asynccontextmanager
    async def opened(url: str, *, thread_id: str | None = None, owner: Owner | None = None, **runs: Any):
        async with build_runtime(make_settings(url, **runs), graph=toy.build(), owner=owner) as runtime:
            workspace = await runtime.workspaces.register(ME, folder, trusted=True)
            if thread_id is None:
                thread_id = (await runtime.threads.create(ME, workspace_id=workspace.id)).id
            yield Lab(runtime, thread_id)

    return opened


@pytest.fixture
async def lab(open_lab: Open, database_url: str) -> AsyncIterator[Lab]:
    async with open_lab(database_url) as opened:
        yield opened
