"""What routes declare: the principal with the permission they need, and the runtime.

Dependencies are coroutines although they wait for nothing: FastAPI would call a function in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from ..core import permissions
from ..core.errors import Forbidden, Unauthenticated
from ..core.types import Principal

if TYPE_CHECKING:
    from ..runtime.compose import Runtime
else:  # it brings LangChain, which a process that serves models alone does without
    Runtime = Any


class Scope:
    """A dependency that lets a principal through who holds `permission`.

    Args:
        permission: One of `core.permissions.ALL`; another name raises at import.
    """

    def __init__(self, permission: str) -> None:
        if permission not in permissions.ALL:
            raise ValueError(f"unknown permission {permission!r}")
        self.permission = permission

    async def __call__(self, request: Request) -> Principal:
        """Return the principal; `Unauthenticated` or `Forbidden` otherwise."""
        principal: Principal | None = getattr(request.state, "principal", None)
        if principal is None:
            raise Unauthenticated("Send Authorization: Bearer <token>.")
        check_holds(principal, self.permission)
        return principal


def check_holds(principal: Principal, permission: str) -> None:
    """Raise `Forbidden` unless the principal holds a permission; for routes that need more for some requests."""
    if permission not in principal.scopes:
        raise Forbidden(
            f"This needs the permission {permission}.",
            code="insufficient_scope",
            headers={"www-authenticate": f'Bearer error="insufficient_scope", scope="{permission}"'},
        )


def needs(permission: str) -> Any:
    """Declare the permission of a route, in its signature."""
    return Depends(Scope(permission))


async def runtime_of(request: Request) -> Runtime:
    """The runtime of the app that serves this request."""
    runtime: Runtime = request.app.state.runtime
    return runtime


CurrentRuntime = Annotated[Runtime, Depends(runtime_of)]
ThreadReader = Annotated[Principal, needs("threads:read")]
ThreadWriter = Annotated[Principal, needs("threads:write")]
RunReader = Annotated[Principal, needs("runs:read")]
RunWriter = Annotated[Principal, needs("runs:write")]
ApprovalReader = Annotated[Principal, needs("approvals:read")]
ApprovalWriter = Annotated[Principal, needs("approvals:write")]
AssistantReader = Annotated[Principal, needs("assistants:read")]
WorkspaceReader = Annotated[Principal, needs("workspaces:read")]
WorkspaceWriter = Annotated[Principal, needs("workspaces:write")]
