"""The permissions a route, channel, tool call or graph can need, and the roles everybody starts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_RESOURCES: Final = ("threads", "runs", "approvals", "assistants", "store", "crons", "workspaces", "api-keys")
_READS: Final = frozenset(f"{resource}:read" for resource in _RESOURCES)
_WRITES: Final = frozenset(f"{resource}:write" for resource in _RESOURCES)

SESSION_ONLY: Final[frozenset[str]] = frozenset({"account:read", "account:write"})
"""What a person may do with themselves: only in a browser session, never with a token or a key."""

ADMIN: Final[frozenset[str]] = frozenset({"users:admin", "clients:admin", "roles:admin", "audit:read", "llm:admin"})

GRANTABLE: Final[frozenset[str]] = _READS | _WRITES | ADMIN | {"llm:invoke", "usage:read"}
"""What a token or a key may carry: the scopes of the authorization server, besides OpenID's own."""

ALL: Final[frozenset[str]] = GRANTABLE | SESSION_ONLY
"""Every permission there is; a route that declares another name fails a test."""

OPENID: Final[frozenset[str]] = frozenset({"openid", "profile", "email", "offline_access"})
"""Scopes that are no permissions: they say what a client may learn, and that it may come back without the person."""

BUILT_IN: Final[Mapping[str, tuple[frozenset[str], tuple[str, ...]]]] = {
    "viewer": (_READS | {"usage:read"} | SESSION_ONLY, ()),
    "member": (_WRITES | {"llm:invoke"}, ("viewer",)),
    "admin": (ADMIN, ("member",)),
}
"""Each tenant's first roles: their own permissions, and the roles whose permissions they have too."""
