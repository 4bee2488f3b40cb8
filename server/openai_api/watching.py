"""Noticing that a client has hung up while its answer is made."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from starlette.types import Receive

PATIENCE_S: Final = 0.05
"""An answer that comes sooner is not watched over: most need no task of their own."""


class Watch:
    """Cancels the block's work when the request's client hangs up, and takes that cancellation back at its end.

    Args:
        receive: The request's, its body already read.
    """

    __slots__ = ("_asked", "_looking", "_receive", "_timer", "gone")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._looking: asyncio.Task[None] | None = None
        self.gone = False

    def __enter__(self) -> Self:
        """Begin to look, in a moment."""
        self._asked = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Look no more; a cancellation that is not ours goes on."""
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
        ours = self.gone and kind is asyncio.CancelledError
        if ours and self._asked is not None:
            self._asked.uncancel()
        return ours

    def _look(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._asked is not None:
            self._asked.cancel()
