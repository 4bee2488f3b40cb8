"""What `codelab login` and `codelab logout` do: the device flow of RFC 8628, as the client `codelab-cli`."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import typer

from ..core.errors import CodeLabError, InvalidInput, Unauthenticated, Unavailable
from .bearing import asked
from .credentials import Credentials, Login, name_of
from .ending import DONE
from .terminal import clean
from .texts import say

CLIENT: Final = "codelab-cli"
GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
SCOPES: Final = "openid profile email offline_access"
_DISCOVERY: Final = "/.well-known/oauth-authorization-server"
_TIMEOUT_S: Final = 15.0
_SLOWER_S: Final = 5.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


async def sign_in(server: str, *, scopes: str | None = None) -> int:
    """Sign in at a server; the exit code."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
        login = await obtain(http, server, scopes=scopes)
    kept = Credentials.here()
    with kept.lock():
        kept.put(server, login)
    typer.echo(say("signed_in", server=name_of(server)))
    return DONE


async def sign_out(server: str) -> int:
    """Give the tokens back and forget them; the exit code."""
    kept = Credentials.here()
    with kept.lock():
        login = kept.get(server)
        kept.put(server, None)
    if login is not None and login.revocation_endpoint:
        form = {"token": login.refresh_token or login.access_token, "client_id": login.client_id}
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as http:
            try:
                await http.post(login.revocation_endpoint, data=form)
            except httpx.TransportError as exc:
                raise Unavailable(say("not_revoked", server=server)) from exc
    typer.echo(say("signed_out", server=name_of(server)))
    return DONE


async def obtain(http: httpx.AsyncClient, server: str, *, scopes: str | None = None) -> Login:
    """Ask for a code, show it, and wait until the person has decided."""
    found = await _discover(http, server)
    wanted = scopes or _sensible(found)
    device = await asked(http, found["device_authorization_endpoint"], {"client_id": CLIENT, "scope": wanted})
    if "device_code" not in device:
        raise CodeLabError(say("refused_by_server", problem=_said(device)))
    address = str(device.get("verification_uri_complete") or device["verification_uri"])
    typer.echo(clean(say("open_and_confirm", url=address, code=str(device["user_code"]))), err=True)
    answer = await _await_decision(http, found["token_endpoint"], device)
    blank = Login(
        client_id=CLIENT,
        token_endpoint=found["token_endpoint"],
        revocation_endpoint=found.get("revocation_endpoint"),
        access_token="",
        expires_at=0,
        refresh_token=None,
    )
    return blank.renewed(answer)


async def _discover(http: httpx.AsyncClient, server: str) -> dict[str, Any]:
    url = urlsplit(server)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        raise InvalidInput(say("needs_https", server=server))
    try:
        response = await http.get(name_of(server) + _DISCOVERY)
        found = response.json() if response.is_success else {}
    except (httpx.TransportError, ValueError) as exc:
        raise Unavailable(say("unreachable", server=server, problem=type(exc).__name__)) from exc
    if not isinstance(found, dict) or "device_authorization_endpoint" not in found or "token_endpoint" not in found:
        raise InvalidInput(say("no_sign_in_there", server=server))
    if found.get("issuer") != name_of(server):  # else a server could send us to another's endpoints
        raise InvalidInput(say("other_issuer", server=server, issuer=str(found.get("issuer"))))
    return found


def _sensible(found: dict[str, Any]) -> str:
    """All that a person may do with threads and the like; nothing of an administrator's."""
    offered = [str(scope) for scope in found.get("scopes_supported", [])]
    return " ".join(s for s in offered if not s.endswith(":admin") and s != "audit:read") or SCOPES


async def _await_decision(http: httpx.AsyncClient, endpoint: str, device: dict[str, Any]) -> dict[str, Any]:
    pause = float(device.get("interval", _SLOWER_S))
    until = time.monotonic() + float(device.get("expires_in", 600))
    form = {"grant_type": GRANT, "device_code": device["device_code"], "client_id": CLIENT}
    while time.monotonic() < until:
        await asyncio.sleep(pause)
        answer = await asked(http, endpoint, form)
        if "access_token" in answer:
            return answer
        error = answer.get("error")
        if error == "slow_down":
            pause += _SLOWER_S
        elif error != "authorization_pending":
            raise Unauthenticated(say("refused_by_server", problem=_said(answer)))
    raise Unauthenticated(say("nobody_decided"))


def _said(answer: dict[str, Any]) -> str:
    return str(answer.get("error_description") or answer.get("error") or "?")
