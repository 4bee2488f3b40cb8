"""The authorization endpoint, before HTTP: whether somebody must sign in, or be asked, or gets a code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import AccessDeniedError, OAuth2Error

from ...store.engine import Database
from ...store.models import UserRow
from ..seams import AuditEntry, SignedIn
from .asking import AuthorizationRequest, read_asked
from .codes import Asked, add_code
from .consent import ConsentAsk, allowed_before, remember
from .errors import ConsentRequiredError, LoginRequiredError
from .families import Agreement, held_scope
from .redirects import host_of, with_parameters
from .registry import open_server
from .requests import OAuthRequest
from .server import OAuthParts, Server


@dataclass(frozen=True)
class Back:
    """The browser goes back to the client, with a code or an error."""

    address: str


@dataclass(frozen=True)
class SignInFirst:
    """Somebody must sign in; `next` is a local address."""

    next: str


Step = Back | SignInFirst | ConsentAsk


class Authorization:
    """Answers authorization requests.

    Args:
        database: Where everything is.
        parts: What the authorization server is made of.
    """

    def __init__(self, database: Database, parts: OAuthParts) -> None:
        self._database = database
        self._parts = parts

    async def look(self, request: OAuthRequest, session: SignedIn | None) -> Step:
        """Say what comes next; a code only for what needs no question.

        Raises:
            OAuth2Error: The client cannot be told.
        """
        return await self._run(request, lambda server: _look(server, request, session))

    async def decide(self, request: OAuthRequest, session: SignedIn | None, *, allow: bool) -> Step:
        """Carry out what a person decided.

        Raises:
            OAuth2Error: The client cannot be told.
        """
        return await self._run(request, lambda server: _decide(server, request, session, allow=allow))

    async def _run(self, request: OAuthRequest, act: Callable[[Server], Step]) -> Step:
        try:
            async with self._database.transaction() as session:
                server: Server = await session.run_sync(lambda sync: open_server(sync, self._parts))
                server.origin = request.origin
                return await session.run_sync(lambda _: act(server))
        except OAuth2Error as error:
            if not error.redirect_uri:
                raise
            return _back(self._parts, error.redirect_uri, error.state, dict(error.get_body()))


def _look(server: Server, request: OAuthRequest, session: SignedIn | None) -> Step:
    asked = read_asked(server, request)
    user = _user(server, session)
    if session is None or user is None or not asked.accepts(session.proof, server.now):
        if "none" in asked.prompts:
            raise LoginRequiredError(redirect_uri=asked.redirect_uri, state=asked.state)
        return SignInFirst(asked.after_sign_in(server.now))
    agreement = _agreement(server, asked, session)
    before = allowed_before(server, asked.client, user.id)
    known = asked.client.row.first_party or before.issuperset(agreement.scope.split())
    if known and _is_assured(asked) and "consent" not in asked.prompts:
        return _with_code(server, asked, agreement)
    if "none" in asked.prompts:
        raise ConsentRequiredError(redirect_uri=asked.redirect_uri, state=asked.state)
    return _ask(asked, agreement, user.email, before)


def _is_assured(asked: AuthorizationRequest) -> bool:
    """Whether it is the client who gets the answer. On this machine any program could (RFC 8252, 8.6)."""
    return asked.redirect_uri.startswith("https://")


def _decide(server: Server, request: OAuthRequest, session: SignedIn | None, *, allow: bool) -> Step:
    asked = read_asked(server, request)
    user = _user(server, session)
    if session is None or user is None or not asked.accepts(session.proof, server.now):
        return SignInFirst(asked.after_sign_in(server.now))
    agreement = _agreement(server, asked, session)
    if not allow:
        server.parts.audit.note(server.session, _denied(server, asked, agreement))
        body = dict(AccessDeniedError().get_body())
        return _back(server.parts, asked.redirect_uri, asked.state, body)
    remember(server, asked.client, agreement, allowed_before(server, asked.client, user.id))
    return _with_code(server, asked, agreement)


def _user(server: Server, session: SignedIn | None) -> UserRow | None:
    user = None if session is None else server.session.get(UserRow, session.user_id)
    return user if user is not None and user.is_active else None


def _agreement(server: Server, asked: AuthorizationRequest, session: SignedIn) -> Agreement:
    scope = held_scope(server, session.user_id, asked.scope)
    if not scope:
        raise AccessDeniedError("The person may do none of this.", redirect_uri=asked.redirect_uri, state=asked.state)
    return Agreement(
        user_id=session.user_id,
        tenant_id=session.tenant_id,
        session_id=session.id,
        scope=scope,
        resource=asked.resource,
        proof=session.proof,
        since=server.now,
    )


def _ask(asked: AuthorizationRequest, agreement: Agreement, email: str, before: frozenset[str]) -> ConsentAsk:
    row, scopes = asked.client.row, agreement.scope.split()
    new = [word for word in scopes if before and word not in before]
    return ConsentAsk(
        client_name=row.name,
        redirect_uri=asked.redirect_uri,
        redirect_host=host_of(asked.redirect_uri),
        scopes=scopes,
        new_scopes=new,
        again=bool(new),
        email=email,
        dynamic=row.dynamic,
        fields=list(asked.fields.items()),
    )


def _with_code(server: Server, asked: AuthorizationRequest, agreement: Agreement) -> Back:
    bound = Asked(redirect_uri=asked.redirect_uri, code_challenge=asked.code_challenge, nonce=asked.nonce)
    code = add_code(server, asked.client, agreement, bound)
    return _back(server.parts, asked.redirect_uri, asked.state, {"code": code})


def _back(parts: OAuthParts, redirect_uri: str, state: str | None, parameters: dict[str, str]) -> Back:
    """Lead back; the issuer's name (RFC 9207) lets a client of several servers notice that they were mixed up."""
    told = {**parameters, **({} if state is None else {"state": state}), "iss": parts.issuer}
    return Back(with_parameters(redirect_uri, told))


def _denied(server: Server, asked: AuthorizationRequest, agreement: Agreement) -> AuditEntry:
    return AuditEntry(
        type="auth.consent_granted",
        outcome="denied",
        tenant_id=agreement.tenant_id,
        actor=agreement.user_id,
        client_id=asked.client.id,
        subject=f"client:{asked.client.id}",
        origin=server.origin,
    )
