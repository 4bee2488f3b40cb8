"""What a server says that cannot start: one sentence, by whoever called it, and not a traceback."""

from __future__ import annotations

import logging
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from ..core.errors import CodeLabError

_TOLD: Final = (CodeLabError, OSError, SQLAlchemyError)
"""What the person can do something about; anything else is a fault of ours and keeps its traceback."""


class Starting:
    """An application whose failure to start is kept, to be raised where it is told.

    Args:
        app: The ASGI application.

    Attributes:
        error: Why it did not start.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.error: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on but the failure."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: dict[str, Any] | None = None

        async def held_back(message: dict[str, Any]) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message
            else:
                await send(message)

        try:
            await self._app(scope, receive, held_back)
        except _TOLD as exc:
            if failed is None:
                raise
            self.error, failed = exc, {"type": failed["type"]}
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would say that something is wrong
        finally:
            if failed is not None:
                await send(failed)
