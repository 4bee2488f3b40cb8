"""An application's own `langgraph_sdk.Auth`: who comes in, and what they may do."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from langgraph_sdk import Auth
from langgraph_sdk.auth.exceptions import HTTPException as Refusal
from starlette.exceptions import HTTPException as WebRefusal
from starlette.requests import HTTPConnection, Request

from ..core import permissions
from ..core.errors import CodeLabError, ConfigError, Forbidden, Unauthenticated
from ..core.types import Principal
from ..core.user import User

Filter = Mapping[str, Any]
_TELLS: Final = ("identity", "display_name", "is_authenticated", "permissions")
_EVERY: Final = "*"


def _kinds() -> dict[int, type[CodeLabError]]:
    return {kind.status: kind for kind in CodeLabError.__subclasses__() if kind.status < 500}  # noqa: PLR2004


class SdkAuth:
    """The `Admission` of an application that brings its own, and its rules for what each person may do.

    Args:
        auth: As the application made it.

    Raises:
        ConfigError: It has no `authenticate`, or that asks for an argument that nobody can give.
    """

    def __init__(self, auth: Auth) -> None:
        if auth._authenticate_handler is None:  # noqa: SLF001 - the SDK's contract with servers
            raise ConfigError("auth.path names an Auth without @auth.authenticate: add one.")
        self._auth = auth
        self._authenticate: Callable[..., Any] = auth._authenticate_handler  # noqa: SLF001
        self._asks = _arguments(self._authenticate)

    @property
    def has_rules(self) -> bool:
        """Whether there is any `@auth.on`."""
        return bool(self._auth._handlers or self._auth._global_handlers)  # noqa: SLF001

    async def admit(self, connection: HTTPConnection) -> Principal:
        """See `Admission`. No header lets anybody pass without being asked, Studio's included."""
        given = {name: _given(name, connection) for name in self._asks}
        if "body" in given:
            given["body"] = await _body(connection)
        try:
            found = self._authenticate(**given)
            user = await found if isinstance(found, Awaitable) else found
        except (Refusal, WebRefusal) as exc:
            raise refused(exc) from exc
        facts = _facts(user)
        return Principal(user_id=str(facts["identity"]), scopes=permissions.ALL, facts=facts)

    async def allow(self, principal: Principal, resource: str, action: str, value: dict[str, Any]) -> Filter:
        """Ask the most specific rule; the filter that it sets, empty if none. It may change `value`.

        Raises:
            Forbidden: It says no.
        """
        rule = self._rule(resource, action)
        if rule is None:
            return {}
        user = User(principal.facts or {"identity": principal.user_id})
        context = Auth.types.AuthContext(
            permissions=user.permissions,
            user=user,
            resource=resource,  # type: ignore[arg-type]  # one of its words
            action=action,  # type: ignore[arg-type]  # one of its words
        )
        try:
            said = await rule(ctx=context, value=value)
        except (Refusal, WebRefusal) as exc:
            raise refused(exc) from exc
        if said is False:
            raise Forbidden("Forbidden")
        return said if isinstance(said, Mapping) else {}

    def _rule(self, resource: str, action: str) -> Callable[..., Awaitable[Any]] | None:
        known = self._auth._handlers  # noqa: SLF001
        for key in ((resource, action), (resource, _EVERY), (_EVERY, action)):
            if known.get(key):
                return known[key][-1]
        general = self._auth._global_handlers  # noqa: SLF001
        return general[-1] if general else None


def refused(exc: Refusal | WebRefusal) -> CodeLabError:
    """Turn an application's refusal into one of ours, with its status and its words."""
    kind = _kinds().get(exc.status_code, Unauthenticated if exc.status_code < 500 else CodeLabError)  # noqa: PLR2004
    return kind(str(exc.detail), headers=dict(exc.headers or {}))


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    known = {"request", "body", "path", "method", "path_params", "query_params", "headers", "authorization", "scope"}
    taken = inspect.signature(function).parameters.values()
    named = [p for p in taken if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
    strange = [p.name for p in named if p.name not in known and p.default is p.empty]
    if strange:
        raise ConfigError(
            f"@auth.authenticate asks for {', '.join(strange)}: it may ask for {', '.join(sorted(known))}."
        )
    return tuple(p.name for p in named if p.name in known)


def _given(name: str, connection: HTTPConnection) -> Any:
    scope = connection.scope
    if name == "headers":
        return {key.lower(): value for key, value in scope["headers"]}
    if name == "authorization":
        return connection.headers.get("authorization")
    if name == "query_params":
        return dict(connection.query_params)
    if name == "method":
        return scope.get("method", "GET")
    plain = {"request": connection, "scope": scope, "path": scope["path"], "path_params": scope.get("path_params")}
    return plain.get(name)


async def _body(connection: HTTPConnection) -> Any:
    if not isinstance(connection, Request):
        return None
    try:
        return json.loads(await connection.body())
    except ValueError:
        return None


def _facts(user: Any) -> dict[str, Any]:
    """Read whatever `authenticate` may return: a name, a dict, an object."""
    if isinstance(user, str):
        return {"identity": user}
    if isinstance(user, Mapping):
        facts = dict(user)
    else:
        facts = {name: getattr(user, name) for name in _TELLS if hasattr(user, name)}
        dump = getattr(user, "model_dump", None)
        facts |= dump(mode="json") if callable(dump) else {}
    if not facts.get("identity"):
        raise Unauthenticated("Unauthorized")
    told: dict[str, Any] = json.loads(json.dumps(facts, default=str))  # it is stored with runs
    return told | {"permissions": list(told.get("permissions") or ())}
