"""The layer that asks an application's rules (`@auth.on`) about each request, and keeps to what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...auth.sdk import SdkAuth
from ...core.errors import CodeLabError, Forbidden, InvalidInput
from ...core.types import Principal
from ...runtime.agent import AgentRuntime
from ...runtime.protocol.commands import error
from ..admission import refuse, with_body
from .filters import check_seen, joined, marks_of, wanted
from .rules import Deed, Json, command_action, deed_of, sent_of, value_of

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})
_SOCKET: Final = "/stream/events"


class Nothing(Exception):  # noqa: N818 - it reads as a fact
    """A search can find nothing."""


class Authorized:
    """Denies with 403, hides with 404, narrows searches, and serves what a rule made of the request.

    Args:
        app: The routes; the runtime is in its `state.agent`.
        auth: The application's rules.
    """

    def __init__(self, app: ASGIApp, *, auth: SdkAuth) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, then pass on."""
        principal = scope.get("state", {}).get("principal")
        if principal is None or scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        case = Case(self._auth, scope["app"].state.agent, scope, principal)
        try:
            _check_path(scope["path"])
            receive = await (case.request(receive) if scope["type"] == "http" else case.socket(receive, send))
        except ClientDisconnect:
            return
        except Nothing:
            empty: Any = 0 if scope["path"].endswith("count") else []
            await JSONResponse(empty, headers={"x-pagination-total": "0"})(scope, receive, send)
        except CodeLabError as exc:
            await refuse(scope, receive, send, exc)
        else:
            await self._app(scope, receive, send)


class Case:
    """One request before the rules.

    Args:
        auth: The rules.
        agent: Looks things up.
        scope: The request; its principal and its query may change.
        principal: Who asks.
    """

    def __init__(self, auth: SdkAuth, agent: AgentRuntime, scope: Scope, principal: Principal) -> None:
        self._auth = auth
        self._agent = agent
        self._scope = scope
        self._principal = principal

    async def request(self, receive: Receive) -> Receive:
        """Ask about a request of HTTP; what the routes receive."""
        method, path = self._scope["method"], self._scope["path"]
        if method in _WITHOUT_BODY:
            await self._look(deed_of(method, path, None))
            return receive
        raw = await Request(self._scope, receive).body()
        if path.rstrip("/") == "/mcp":
            await self._tools(_json(raw))
            return with_body(raw, receive)
        deed, sent = deed_of(method, path, _json(raw)), _json(raw)
        if deed is None:
            return with_body(raw, receive)
        body = await self._asked(deed, path, sent)
        unread = bool(raw) and not isinstance(sent, dict | list)  # no JSON: the route is to say so
        return with_body(raw, receive) if unread or (not raw and not body) else self._with(body, receive)

    async def _asked(self, deed: Deed, path: str, sent: Any) -> Any:
        if path.endswith("/commands"):
            return await self._command(deed, sent)
        if path.endswith("/batch") and isinstance(sent, list) and sent:
            return [await self._ask(deed, each) if isinstance(each, dict) else each for each in sent]
        asked = await self._ask(deed, sent if isinstance(sent, dict) else {})
        return asked if isinstance(sent, dict) or sent is None else sent

    async def socket(self, receive: Receive, send: Send) -> Receive:
        """Ask about a socket; what comes over it is asked about as it comes, and refused in the protocol's words."""
        thread = self._scope["path"].removesuffix(_SOCKET).rpartition("/")[2]
        deed = Deed(resource="threads", action="read", ids={"thread_id": thread})
        await self._ask(deed, {})

        async def asked() -> Message:
            while True:
                message = await receive()
                sent = _json(message.get("text") or message.get("bytes") or b"")
                if command_action(sent) != "create_run":
                    return message
                try:
                    made = await self._command(replace(deed, action="create_run"), sent)
                except CodeLabError as exc:
                    refusal = error(sent.get("id"), "permission_denied", exc.message)
                    await send({"type": "websocket.send", "text": json.dumps(refusal)})
                else:
                    return {"type": "websocket.receive", "text": json.dumps(made)}

        return asked

    async def _look(self, deed: Deed | None) -> None:
        if deed is None:
            return
        given = parse_qs(self._scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = {name: values[-1] for name, values in given.items()}
        if deed.resource != "store":
            await self._ask(deed, {})
            return
        named = {**query, "namespace": query.get("namespace", "").split(".")}
        value = await self._ask(deed, named)
        told = {**query, "namespace": ".".join(value["namespace"])}
        self._scope["query_string"] = urlencode(told).encode()

    async def _command(self, deed: Deed, sent: Any) -> Any:
        """Ask about a command; its parameters are what a run is made of."""
        params = sent.get("params") if isinstance(sent, dict) else None
        asked = await self._ask(deed, params if isinstance(params, dict) else {})
        return {**sent, "params": asked} if deed.action == "create_run" else sent

    async def _tools(self, message: Any) -> None:
        """Tools are assistants; where a rule hides some, none is a tool."""
        called = isinstance(message, dict) and message.get("method") == "tools/call"
        resource, action = ("threads", "create_run") if called else ("assistants", "search")
        rule = await self._auth.allow(self._principal, resource, action, {"metadata": {}})
        if rule and not called:
            raise Forbidden("A rule of this application hides assistants: they are no tools here.")
        self._mark(rule)

    async def _ask(self, deed: Deed, sent: Json) -> Json:
        """Ask the rule; the body that is left to serve."""
        value = value_of(deed, sent)
        rule = await self._auth.allow(self._principal, deed.resource, deed.action, value)
        body = sent_of(deed, value)
        if not rule or deed.resource == "store":
            return body
        needed = wanted(rule)
        if deed.look == "many":
            return _narrowed(body, needed)
        if deed.look == "one":
            await self._check(deed, body, needed)
        if deed.resource == "threads":
            self._mark(rule)
        return body

    async def _check(self, deed: Deed, body: Json, needed: Mapping[str, Any]) -> None:
        if deed.resource == "threads":
            named = [deed.ids.get("thread_id") or body.get("thread_id"), *(body.get("thread_ids") or ())]
        else:
            named = list(deed.ids.values())
        things = [thing for each in named if each and (thing := _canonical(deed.resource, str(each)))]
        if not things and deed.action in {"update", "delete"}:
            raise Forbidden("A rule of this application shows some threads only: name the thread.")
        for thing in things:
            await check_seen(self._agent, self._principal, deed.resource, thing, needed)

    def _mark(self, rule: Mapping[str, Any]) -> None:
        self._principal = replace(self._principal, marks=marks_of(rule))
        self._scope["state"]["principal"] = self._principal

    def _with(self, body: Any, receive: Receive) -> Receive:
        raw = json.dumps(body, default=str).encode()
        headers = MutableHeaders(scope=self._scope)
        headers["content-length"] = str(len(raw))
        self._scope["headers"] = headers.raw
        return with_body(raw, receive)


def _check_path(path: str) -> None:
    """Refuse an address that the routes and the rules would read differently: to routes it may end in a line feed."""
    if not path.isprintable():
        raise InvalidInput("The address holds a control character")


def _narrowed(body: Json, needed: Mapping[str, Any]) -> Json:
    both = joined(body.get("metadata") or {}, needed)
    if both is None:
        raise Nothing
    return {**body, "metadata": both}


def _canonical(resource: str, thing: str) -> str | None:
    """Give an id in the form that rows have it; None for what can name nothing: the route refuses that."""
    if resource == "assistants":
        return thing
    try:
        return str(UUID(thing))
    except ValueError:
        return None


def _json(raw: bytes | str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
