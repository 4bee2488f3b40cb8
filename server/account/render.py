"""Pages: rendered here, in the reader's language, under a strict content security policy."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ...core.catalogs import LANGUAGES, language, text
from ..middleware import SECURITY_HEADERS
from ..origins import LANGUAGE_COOKIE

_YEAR_S: Final = 365 * 86_400
_POLICY: Final = SECURITY_HEADERS["content-security-policy"]
_HTTP_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_APP_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9.+-]{0,99}:")
_NEVER_SCHEMES: Final = frozenset({"javascript:", "data:", "blob:", "filesystem:", "about:", "vbscript:", "file:"})
_NO_PAGES: Final = ("/api/", "/oauth/", "/.well-known/")
_FAULT: Final = 500
_SAID: Final = frozenset({400, 401, 403, 404, 409, 429, 500, 503})


def _moment(value: datetime) -> Markup:
    """Show a time to the minute; its markup holds it exactly."""
    utc = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), utc.strftime("%Y-%m-%d %H:%M UTC"))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("codelab", "web/templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    return environment


_templates = _environment()


def page(request: Request, name: str, /, *, status: int = 200, form_target: str = "", **values: Any) -> HTMLResponse:
    """Render a template.

    Args:
        request: Says the language; `?lang=` is kept in a cookie.
        name: The template's, in `web/templates`.
        status: Of the answer.
        form_target: An address beyond ours that the answer to the page's form leads to. Chromium takes the whole
            chain of redirects after a form for where the form is sent.
        values: What the template shows; all of it is escaped.
    """
    lang = language_of(request)
    shown = {"_": partial(text, lang), "lang": lang, "languages": _switches(request, lang), **_standing(request)}
    response = HTMLResponse(
        _templates.get_template(name).render(**shown, **values),
        status_code=status,
        headers={
            "cache-control": "no-store",
            "content-language": lang,
            "content-security-policy": _policy(form_target),
            "referrer-policy": "no-referrer",
        },
    )
    if request.query_params.get("lang") == lang:
        response.set_cookie(
            LANGUAGE_COOKIE, lang, max_age=_YEAR_S, httponly=True, samesite="lax", secure=request.url.scheme == "https"
        )
    return response


def language_of(request: Request) -> str:
    """The language for whoever asks: what they chose now, or before, else what their browser prefers."""
    chosen = (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE))
    return language(request.headers.get("accept-language", ""), *chosen)


def say(request: Request, key: str, **values: Any) -> str:
    """Say something in the language of whoever asks."""
    return text(language_of(request), key, **values)


def error_page(request: Request, status: int, *, key: str = "") -> HTMLResponse:
    """Tell a browser what went wrong, without a word of what is inside.

    Args:
        request: The one that went wrong.
        status: Of the answer; one that has no text of its own is told as its class.
        key: What to say in place of the status's text.
    """
    told = status if status in _SAID else (500 if status >= _FAULT else 400)
    reference = getattr(request.state, "correlation_id", "") if status >= _FAULT else ""
    return page(request, "error.html", status=status, told=told, key=key or f"error.{told}.text", reference=reference)


def wants_page(request: Request) -> bool:
    """Whether a browser asks that shows a page, at an address that is no API."""
    path = request.scope["path"]
    return "text/html" in request.headers.get("accept", "") and not path.startswith(
        ("/api/", "/oauth/", "/.well-known/")
    )


def source_of(uri: str) -> str:
    """Write the origin of an address as a source of a content security policy; empty if it has no safe form."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme in {"http", "https"}:
        return origin if _HTTP_ORIGIN.fullmatch(origin) else ""
    scheme = f"{parts.scheme}:"
    return scheme if _APP_SCHEME.fullmatch(scheme) and scheme not in _NEVER_SCHEMES else ""


def _policy(target: str) -> str:
    source = source_of(target) if target else ""
    return _POLICY.replace("form-action 'self'", f"form-action 'self' {source}") if source else _POLICY


def _switches(request: Request, lang: str) -> list[tuple[str, str, str]]:
    """Name, own name and address of this page in the other languages; an answer to a form has no address."""
    if request.method != "GET":
        return []
    kept = [(k, v) for k, v in parse_qsl(request.url.query, keep_blank_values=True) if k != "lang"]
    others = (name for name in LANGUAGES if name != lang)
    return [(name, text(name, "lang.name"), "?" + urlencode([*kept, ("lang", name)])) for name in others]


def home(request: Request) -> str:
    """Where somebody begins who came for nothing in particular: the threads, where there are any."""
    runtime = getattr(request.app.state, "runtime", None)
    return "/" if hasattr(runtime, "threads") or _identity(request) is None else "/account"


def _identity(request: Request) -> Any:
    return getattr(request.app.state, "identity", None)


def _standing(request: Request) -> dict[str, Any]:
    """Say where the reader begins, and whether they are signed in as somebody who has an account page."""
    principal = getattr(request.state, "principal", None)
    in_session = principal is not None and principal.session_id is not None
    return {"home": home(request), "signed_in": in_session and _identity(request) is not None}
