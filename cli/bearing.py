"""The credential of requests to a server: a token that was given, or that of a login, replaced when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any, Final

import httpx

from ..core.errors import Unauthenticated, Unavailable
from .credentials import Credentials, Login
from .texts import say

_TIMEOUT_S: Final = 15.0
_OVER: Final = frozenset({"invalid_grant", "invalid_client", "unauthorized_client"})


class Bearer(httpx.Auth):
    """A token that is what it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Show it."""
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


class SignedIn(httpx.Auth):
    """The login at a server.

    Args:
        server: Which.
        kept: Where its tokens are.
        transport: How refreshes travel; the network if left out.
    """

    def __init__(self, server: str, kept: Credentials, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._server = server
        self._kept = kept
        self._transport = transport
        self._one = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Show the access token; a refused one is replaced once."""
        token = await self._token(refused=None)
        request.headers["authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["authorization"] = f"Bearer {await self._token(refused=token)}"
            yield request

    async def _token(self, *, refused: str | None) -> str:
        async with self._one:
            login = self._kept.get(self._server)
            if login is not None and login.is_fresh and login.access_token != refused:
                return login.access_token
            return await asyncio.to_thread(self._renew, refused)

    def _renew(self, refused: str | None) -> str:
        """Use the refresh token; another command may have done so while we waited for the file."""
        with self._kept.lock():
            login = self._kept.get(self._server)
            if login is not None and login.is_fresh and login.access_token != refused:
                return login.access_token
            if login is None or login.refresh_token is None:
                raise Unauthenticated(say("sign_in_again", server=self._server))
            renewed = asyncio.run(self._refresh(login))
            self._kept.put(self._server, renewed)
            return renewed.access_token

    async def _refresh(self, login: Login) -> Login:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": login.refresh_token,
            "client_id": login.client_id,
        }
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, transport=self._transport) as http:
            answer = await asked(http, login.token_endpoint, form)
        if answer.get("error") in _OVER:
            self._kept.put(self._server, None)
            raise Unauthenticated(say("sign_in_again", server=self._server))
        if "access_token" not in answer:
            raise Unavailable(say("unreachable", server=self._server, problem=str(answer.get("error", "no token"))))
        return login.renewed(answer)


async def asked(http: httpx.AsyncClient, url: str, form: dict[str, Any]) -> dict[str, Any]:
    """Post a form to an authorization server; its answer, which may be an error of the RFC's.

    Raises:
        Unavailable: It cannot be reached, or answers in no form that we know.
    """
    try:
        response = await http.post(url, data=form)
        answer = response.json()
    except (httpx.TransportError, ValueError) as exc:
        raise Unavailable(say("unreachable", server=url, problem=type(exc).__name__)) from exc
    if not isinstance(answer, dict):
        raise Unavailable(say("unreachable", server=url, problem="no object"))
    return answer
