"""What routes of the Agent Server API declare: the principal, the runtime, ids, and bodies of any content type.

All are coroutines, for the reason that `server/deps.py` gives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from ...core.errors import InvalidInput
from ...core.types import Principal
from ...runtime.agent import AgentRuntime
from ..deps import needs
from .errors import said

Model = TypeVar("Model", bound=BaseModel)


async def agent_of(request: Request) -> AgentRuntime:
    """The runtime of the app that serves this request."""
    agent: AgentRuntime = request.app.state.agent
    return agent


def read_uuid(name: str, value: str) -> str:
    """Read an id in its canonical form; `InvalidInput` when it is none."""
    try:
        return str(UUID(value))
    except ValueError as exc:
        raise InvalidInput(f"Invalid {name}: must be a UUID") from exc


async def thread_id(request: Request) -> str:
    """The path's thread id, in its canonical form; `InvalidInput` when it is none."""
    return read_uuid("thread ID", request.path_params["thread_id"])


async def run_id(request: Request) -> str:
    """The path's run id; `InvalidInput` when it is none."""
    return read_uuid("run ID", request.path_params["run_id"])


def body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """Make a dependency that reads JSON whatever the content type says: Studio sends `text/plain`."""

    async def read(request: Request) -> Model:
        try:
            return model.model_validate_json(await request.body() or b"{}")
        except ValidationError as exc:
            raise InvalidInput(said(exc.errors(include_url=False, include_input=False))) from exc

    return read


Agent = Annotated[AgentRuntime, Depends(agent_of)]
ThreadId = Annotated[str, Depends(thread_id)]
RunId = Annotated[str, Depends(run_id)]
ThreadReader = Annotated[Principal, needs("threads:read")]
ThreadWriter = Annotated[Principal, needs("threads:write")]
RunReader = Annotated[Principal, needs("runs:read")]
RunWriter = Annotated[Principal, needs("runs:write")]
AssistantReader = Annotated[Principal, needs("assistants:read")]
AssistantWriter = Annotated[Principal, needs("assistants:write")]
StoreReader = Annotated[Principal, needs("store:read")]
StoreWriter = Annotated[Principal, needs("store:write")]
CronReader = Annotated[Principal, needs("crons:read")]
CronWriter = Annotated[Principal, needs("crons:write")]
Json = dict[str, Any]
