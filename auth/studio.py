"""The `auth.path` of our `langgraph.json`: who may use the graphs that `langgraph dev` serves, and what is whose.

An entry point, as `graph/studio.py` is: it reads the settings when the first request comes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from langgraph_sdk import Auth
from langgraph_sdk.auth.exceptions import HTTPException as Refusal

from ..core.settings import Settings
from .anonymous import Anonymous
from .issuer import issuer_of
from .local import LOCAL, LocalAuth, read_or_make_token
from .resource import ResourceAuth
from .seams import Authenticator

auth = Auth()

_READS: Final = frozenset({"read", "search", "list_namespaces", "get"})
_HOW: Final = "Send Authorization: Bearer <token>; in local mode it is in the file `token` of the data folder."


@cache
def _door() -> Authenticator:
    settings = Settings()
    if settings.auth.mode == "anonymous":
        return Anonymous()
    if settings.auth.mode == "oauth":
        own = issuer_of(settings)
        return ResourceAuth(settings.auth.issuer or own, audience=own)
    token = settings.server.token
    return LocalAuth(token.get_secret_value() if token else read_or_make_token(settings.data_dir))


@auth.authenticate
async def authenticate(authorization: str | None, path: str) -> dict[str, Any]:
    """Let in who carries a bearer token that the settings' mode knows."""
    scheme, _, token = (authorization or "").partition(" ")
    door = _door()
    known = await door.bearer(token.strip(), path) if scheme.lower() == "bearer" else door.nobody()
    if known is None:
        raise Refusal(status_code=401, detail=_HOW, headers={"www-authenticate": 'Bearer realm="codelab"'})
    return {"identity": known.user_id, "permissions": sorted(known.scopes)}


@auth.on
async def own(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> Any:
    """Let everybody do what they may, with what is their own; the graphs' assistants are everybody's to read."""
    needed = f"{'runs' if ctx.action == 'create_run' else ctx.resource}:{'read' if ctx.action in _READS else 'write'}"
    if needed not in ctx.permissions:
        return False
    if ctx.user.identity == LOCAL.user_id:
        return None
    if ctx.resource == "assistants":
        return None if ctx.action in _READS else False
    if ctx.resource == "store":
        space = tuple(value.get("namespace") or ())
        value["namespace"] = space if space[:1] == (ctx.user.identity,) else (ctx.user.identity, *space)
        return None
    owner = {"owner": ctx.user.identity}
    value["metadata"] = {**(value.get("metadata") or {}), **owner}
    return owner
