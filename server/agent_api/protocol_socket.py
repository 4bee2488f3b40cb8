"""The thread protocol v2 over a WebSocket: commands up, answers and subscribed events down.

One live tail per socket; an event is sent once, whichever of its subscriptions want it. A new subscription is first
given what it missed, then its answer. Who reads too slowly is closed with 1013 and comes back with `since`.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic_core import from_json
from starlette.websockets import WebSocketState

from ...core.errors import BadRequest
from ...core.types import Principal, new_id
from ...runtime.agent import AgentRuntime
from ...runtime.protocol.commands import READ, error, is_command, success
from ...runtime.protocol.encoding import encoded
from ...runtime.protocol.following import let_pass
from ...runtime.protocol.subscribing import Subscription, subscription_of
from ...store.records import LoggedEvent
from ...store.texts import dump_json
from ..middleware import MAX_BODY

MOST_SUBSCRIPTIONS: Final = 32
SEND_S: Final = 30.0
BAD_DATA, NOT_ALLOWED, TOO_BIG, TOO_SLOW = 1003, 1008, 1009, 1013

router = APIRouter()


@router.websocket("/threads/{thread_id}/stream/events")
async def socket(websocket: WebSocket, thread_id: str) -> None:
    """Serve one client until either side closes; needs `runs:read`, and `runs:write` for commands that make runs."""
    principal: Principal | None = getattr(websocket.state, "principal", None)
    thread = _canonical(thread_id)
    if principal is None or READ not in principal.scopes or thread is None:
        await websocket.close(NOT_ALLOWED)
        return
    await websocket.accept(subprotocol=getattr(websocket.state, "subprotocol", None))
    await Conversation(websocket, websocket.app.state.agent, principal=principal, thread_id=thread).hold()


def _canonical(thread_id: str) -> str | None:
    with suppress(ValueError):
        return str(UUID(thread_id))
    return None


class Conversation:
    """One socket.

    Args:
        websocket: Accepted.
        agent: What it is served from.
        principal: Who is at the other end.
        thread_id: The thread it is about, which need not exist yet.
    """

    def __init__(self, websocket: WebSocket, agent: AgentRuntime, *, principal: Principal, thread_id: str) -> None:
        self._websocket = websocket
        self._protocol = agent.protocol
        self._principal = principal
        self._thread_id = thread_id
        self._subscriptions: dict[str, Subscription] = {}
        self._position = 0  # everything up to this record was told to whoever wanted it
        self._gate = asyncio.Lock()
        self._sending = asyncio.Lock()
        self._tail: asyncio.Task[None] | None = None

    async def hold(self) -> None:
        """Answer what comes, until the end."""
        try:
            while (sent := await self._received()) is not None:
                await self._answer(sent)
        except (WebSocketDisconnect, RuntimeError):
            pass  # gone; the framework raises RuntimeError when it is told to send to who is gone
        finally:
            if self._tail is not None:
                self._tail.cancel()
                await asyncio.wait({self._tail})

    async def _received(self) -> str | None:
        """The next frame; None when the socket was closed for what it sent."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        if text is None:
            await self._close(BAD_DATA, "Send text frames.")
        elif len(text) > MAX_BODY:
            await self._close(TOO_BIG, f"A frame may hold at most {MAX_BODY} characters.")
            return None
        return text

    async def _answer(self, text: str) -> None:
        try:
            sent = from_json(text)
        except ValueError:
            await self._send(error(None, "invalid_argument", "Protocol commands must be valid JSON."))
            return
        method = sent.get("method") if is_command(sent) else None
        if method == "subscription.subscribe":
            await self._send(await self._subscribe(sent["id"], sent.get("params")))
        elif method == "subscription.unsubscribe":
            await self._send(self._unsubscribe(sent["id"], sent.get("params")))
        else:
            await self._send(await self._protocol.commands.execute(self._principal, self._thread_id, sent))

    async def _subscribe(self, number: int, params: Any) -> dict[str, Any]:
        try:
            asked = subscription_of(params)
        except BadRequest as exc:
            return error(number, "invalid_argument", f"subscription.subscribe: {exc.message}")
        if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            return error(number, "invalid_argument", f"A socket holds at most {MOST_SUBSCRIPTIONS} subscriptions.")
        async with self._gate:
            if self._tail is None:
                self._position = await self._protocol.following.head(self._principal, self._thread_id)
                self._tail = asyncio.create_task(self._follow())
            replayed = await self._replay(asked)
            name = new_id()
            self._subscriptions[name] = asked
            result = {"subscription_id": name, "replayed_events": replayed}
            return success(number, result, self._position)

    def _unsubscribe(self, number: int, params: Any) -> dict[str, Any]:
        name = params.get("subscription_id") if isinstance(params, dict) else None
        if not isinstance(name, str):
            return error(number, "invalid_argument", "subscription.unsubscribe requires a subscription_id.")
        if self._subscriptions.pop(name, None) is None:
            return error(number, "no_such_subscription", f"Unknown subscription: {name[:200]}")
        return success(number, {}, self._position)

    async def _replay(self, asked: Subscription) -> int:
        """Send what a new subscription wants of what the socket has seen go by; how many that were."""
        thread = await self._protocol.following.thread(self._principal, self._thread_id)
        if thread is None or max(asked.since or 0, thread.trimmed_seq) >= self._position:
            return 0
        replayed = 0
        following = self._protocol.following.batches(self._principal, self._thread_id, asked.since)
        async with aclosing(following) as batches:
            async for batch in batches:
                due = [record for record in batch if record.seq <= self._position]
                replayed += await self._tell(due, [asked])
                if batch[-1].seq >= self._position:
                    break
        return replayed

    async def _follow(self) -> None:
        """Send what is new; ends with the thread."""
        following = self._protocol.following.batches(self._principal, self._thread_id, self._position)
        with suppress(WebSocketDisconnect, RuntimeError):
            async with aclosing(following) as batches:
                async for batch in batches:
                    await let_pass(self._subscriptions.values(), batch)
                    async with self._gate:
                        await self._tell(batch, list(self._subscriptions.values()))
                        self._position = batch[-1].seq
            await self._close(1000, "The thread was deleted.")

    async def _tell(self, records: Any, subscriptions: list[Subscription]) -> int:
        told = 0
        for record in records:
            told += await self._tell_one(record, subscriptions)
        return told

    async def _tell_one(self, record: LoggedEvent, subscriptions: list[Subscription]) -> int:
        wanted = [each for each in encoded(record) if any(asked.wants(each.event) for asked in subscriptions)]
        for each in wanted:
            await self._send_text(each.text)
        return len(wanted)

    async def _send(self, answer: dict[str, Any]) -> None:
        await self._send_text(dump_json(answer))

    async def _send_text(self, text: str) -> None:
        try:
            async with self._sending, asyncio.timeout(SEND_S):
                await self._websocket.send_text(text)
        except TimeoutError as exc:
            await self._close(TOO_SLOW, "Read faster, or come back with `since`.")
            raise WebSocketDisconnect(TOO_SLOW) from exc

    async def _close(self, code: int, reason: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):  # the closing frame waits for the same full buffer
                    await self._websocket.close(code, reason)
