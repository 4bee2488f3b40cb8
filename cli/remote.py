"""A CodeLab server as the client sees it: REST for everything, SSE for events, resumed where a connection broke."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from ..core.errors import CodeLabError, Conflict, InvalidInput, Unavailable
from ..server.turns import RESTS, Event, Json, Rows
from .bearing import Bearer
from .sse import Parser, Sent
from .texts import say

_TIMEOUT: Final = httpx.Timeout(30, read=60)  # the server sends a comment every 15 seconds
_PAUSES: Final = (0.2, 0.5, 1, 2, 4, 8)


class Remote:
    """The server's side of the commands. Enter it to open connections.

    Args:
        url: The server, without a path.
        credential: A bearer token, or what signs requests.
        workspace: The folder new threads work in; matched by path, name or id.
        transport: How requests travel; the network if left out.
    """

    def __init__(
        self,
        url: str,
        credential: str | httpx.Auth,
        *,
        workspace: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}/api/v1/",
            auth=Bearer(credential) if isinstance(credential, str) else credential,
            timeout=_TIMEOUT,
            transport=transport,
        )
        self._url = url
        self._workspace = workspace
        self._stack = AsyncExitStack()
        self.threads = RemoteThreads(self)

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        await self._stack.enter_async_context(self._http)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self._stack.aclose()

    async def call(self, method: str, path: str, *, body: Json | None = None, **query: str | int | None) -> Any:
        """Make one request; a problem comes back as the error of the tree that the server raised."""
        params = {name: value for name, value in query.items() if value is not None}
        try:
            response = await self._http.request(method, path, json=body, params=params)
        except httpx.TransportError as exc:
            raise Unavailable(say("unreachable", server=self._url, problem=str(exc))) from exc
        _check(response)
        return response.json() if response.content else None

    async def start(
        self, task: str, *, agent: str | None = None, mode: str | None = None, thread_id: str | None = None
    ) -> Json:
        """See `Client`."""
        body = {"text": task, "agent": agent, "approval_mode": mode}
        if thread_id is not None:
            return await self._run(thread_id, body)
        created = (await self.call("POST", "threads", body={"workspace_id": await self._workspace_id()}))["id"]
        try:
            return await self._run(created, body)
        except InvalidInput:  # nothing was said: leave no empty thread behind
            await self.threads.delete(created)
            raise

    async def _run(self, thread_id: str, body: Json) -> Json:
        run: Json = await self.call("POST", f"threads/{thread_id}/runs", body=body)
        return run

    async def _workspace_id(self) -> str:
        wanted = self._workspace or Path()
        real = str(await asyncio.to_thread(wanted.resolve))
        for known in await self.call("GET", "workspaces"):
            if known["path"] == real or str(wanted) in {known["id"], known["name"]}:
                return str(known["id"])
        return str((await self.call("POST", "workspaces", body={"path": real}))["id"])

    async def events(self, thread_id: str, run_id: str) -> AsyncGenerator[Event, None]:
        """See `Service`; a dropped connection is taken up again after the last event that arrived."""
        seen, failures = "", 0
        while True:
            try:
                async for sent in self._stream(thread_id, run_id, seen):
                    seen, failures = sent.id, 0
                    event: Event = json.loads(sent.data)
                    yield event
                    if event["type"] in RESTS:
                        return
            except httpx.TransportError as exc:
                if failures == len(_PAUSES):
                    raise Unavailable(say("unreachable", server=self._url, problem=str(exc))) from exc
            else:
                if failures == len(_PAUSES):
                    raise Unavailable(say("unreachable", server=self._url, problem=say("stream_ended")))
            await asyncio.sleep(_PAUSES[failures])
            failures += 1

    async def _stream(self, thread_id: str, run_id: str, seen: str) -> AsyncGenerator[Sent, None]:
        headers = {"accept": "text/event-stream"} | ({"last-event-id": seen} if seen else {})
        path, parser = f"threads/{thread_id}/events", Parser()
        async with self._http.stream("GET", path, params={"run_id": run_id}, headers=headers) as response:
            if response.is_error:
                await response.aread()
            _check(response)
            async for piece in response.aiter_bytes():
                for sent in parser.feed(piece):
                    yield sent

    async def runs(self, thread_id: str) -> Rows:
        """See `Service`."""
        found: Rows = await self.call("GET", f"threads/{thread_id}/runs")
        return found

    async def approvals(self, thread_id: str | None = None, status: str | None = "pending") -> Rows:
        """See `Service`."""
        found: Rows = await self.call("GET", "approvals", thread_id=thread_id, status=status)
        return found

    async def decide(
        self, approval_id: str, decision: str, *, arguments: Json | None = None, message: str | None = None
    ) -> Json:
        """See `Service`."""
        body = {"decision": decision, "arguments": arguments, "message": message}
        decided: Json = await self.call("POST", f"approvals/{approval_id}", body=body)
        return decided

    async def cancel(self, thread_id: str, run_id: str) -> None:
        """See `Service`."""
        with suppress(Conflict):
            await self.call("POST", f"threads/{thread_id}/runs/{run_id}/cancel")

    async def agents(self) -> Rows:
        """See `Client`."""
        found: Rows = await self.call("GET", "agents")
        return found


class RemoteThreads:
    """The conversations on the server."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Json:
        """See `Threads`."""
        page: Json = await self._remote.call("GET", "threads", limit=limit, cursor=cursor)
        return page

    async def get(self, thread_id: str) -> Json:
        """See `Threads`."""
        thread: Json = await self._remote.call("GET", f"threads/{thread_id}")
        return thread

    async def messages(self, thread_id: str) -> Rows:
        """See `Threads`."""
        found: Rows = await self._remote.call("GET", f"threads/{thread_id}/messages")
        return found

    async def delete(self, thread_id: str) -> None:
        """See `Threads`."""
        await self._remote.call("DELETE", f"threads/{thread_id}")

    async def changes(self, thread_id: str) -> Json:
        """See `Threads`."""
        changes: Json = await self._remote.call("GET", f"threads/{thread_id}/changes")
        return changes

    async def undo(self, thread_id: str, turn_id: str) -> Json:
        """See `Threads`."""
        undone: Json = await self._remote.call("POST", f"threads/{thread_id}/changes/{turn_id}/undo")
        return undone


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    detail = str(problem.get("detail") or f"HTTP {response.status_code}")
    kinds = {kind.status: kind for kind in CodeLabError.__subclasses__() if kind.__module__ == CodeLabError.__module__}
    kind = InvalidInput if response.status_code == httpx.codes.BAD_REQUEST else kinds.get(response.status_code)
    raise (kind or CodeLabError)(detail, code=problem.get("code"))
