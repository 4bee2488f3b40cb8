"""Forms: read within bounds, and proven to come from a page that this browser was given."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ...auth.issuer import is_secure, session_cookie
from ...auth.oauth.asking import AFTER, ENDPOINT
from ...auth.sessions.csrf import check_csrf, csrf_of
from ...core.errors import BadRequest, Forbidden, TooLarge
from .render import page

_MOST_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 50
_MOST_ADDRESS: Final = 4096
_SEED: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_ADDRESS: Final = re.compile(r"/[\x21-\x7e]*")


class Form:
    """What a form sent.

    Args:
        pairs: Names and values as they were sent.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._values: Mapping[str, str] = dict(pairs)

    def get(self, name: str) -> str:
        """The value of a field as it was typed; empty if it was not sent."""
        return self._values.get(name, "")

    def line(self, name: str) -> str:
        """The value of a field that is no secret, without blanks around it."""
        return self.get(name).strip()


async def read_form(request: Request) -> Form:
    """Read a form.

    Raises:
        BadRequest: It is none.
        TooLarge: It holds more than a person types.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadRequest("Send a form.")
    body = await request.body()
    if len(body) > _MOST_BYTES:
        raise TooLarge(f"A form may hold at most {_MOST_BYTES} bytes.")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest("The form cannot be read.") from None
    if any("\0" in value for _, value in pairs):
        raise BadRequest("The form holds a NUL character.")
    return Form(pairs)


def see_other(address: str) -> RedirectResponse:
    """Lead on with GET, whatever came."""
    return RedirectResponse(address, status_code=303, headers={"cache-control": "no-store"})


# Forms of people who are signed in: tied to their session.


def session_of(request: Request) -> str:
    """The session cookie's value; empty if there is none."""
    return request.cookies.get(session_cookie(_issuer(request)), "")


def csrf(request: Request) -> str:
    """What the forms of this browser session carry."""
    return csrf_of(session_of(request))


def is_own(request: Request, form: Form) -> bool:
    """Whether a form was given to this browser session."""
    return _fits(session_of(request), form)


# Forms of people who are not: tied to a random cookie, which says nothing else.


def seed_cookie(issuer: str) -> str:
    """Name the cookie that ties a form to a browser nobody has signed in with."""
    return "__Host-pre" if is_secure(issuer) else "pre"


def open_page(request: Request, name: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page with a form for somebody who is not signed in."""
    issuer = _issuer(request)
    known = request.cookies.get(seed_cookie(issuer), "")
    seed = known if _SEED.fullmatch(known) else secrets.token_urlsafe(32)
    response = page(request, name, status=status, csrf=csrf_of(seed), host=urlsplit(issuer).netloc, **values)
    if seed != known:
        response.set_cookie(
            seed_cookie(issuer), seed, httponly=True, samesite="lax", secure=is_secure(issuer), path="/"
        )
    return response


def is_open_own(request: Request, form: Form) -> bool:
    """Whether a form was given to this browser."""
    seed = request.cookies.get(seed_cookie(_issuer(request)), "")
    return _SEED.fullmatch(seed) is not None and _fits(seed, form)


def forget_seed(request: Request, response: Response) -> None:
    """Let the cookie go: who the browser belongs to has changed."""
    issuer = _issuer(request)
    response.delete_cookie(seed_cookie(issuer), path="/", secure=is_secure(issuer), httponly=True, samesite="lax")


# Where to go on.


def local_address(asked: str, default: str = "/") -> str:
    """Return an address of ours as it is; anything that could be read as another's becomes the default."""
    if len(asked) > _MOST_ADDRESS or not _ADDRESS.fullmatch(asked):
        return default
    path = re.split("[?#]", asked, maxsplit=1)[0]
    plain = unquote(unquote(path))
    if "//" in plain or "\\" in plain or not plain.isprintable() or plain.rstrip("/") in {"/login", "/logout"}:
        return default
    return asked


def asked_client(address: str) -> tuple[str, str]:
    """Read which client an address of the authorization endpoint is about, and where it leads back to."""
    asked = _authorization(address)
    return asked.get("client_id", ""), asked.get("redirect_uri", "")


def asked_since(address: str) -> float:
    """Read since when somebody must have signed in for this address (Unix time): before, they do so again."""
    since = _authorization(address).get(AFTER, "")
    return float(since) if since.isascii() and since.isdecimal() else 0.0


def _authorization(address: str) -> Mapping[str, str]:
    parts = urlsplit(address)
    return dict(parse_qsl(parts.query)) if parts.path == ENDPOINT else {}


def _issuer(request: Request) -> str:
    issuer: str = request.app.state.identity.issuer
    return issuer


def _fits(token: str, form: Form) -> bool:
    try:
        check_csrf(token, form.get("csrf"))
    except Forbidden:
        return False
    return True
