"""What guards a saver: the run's own word, and the token of its lease."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from .lease import TAKEN, Lease, LostLease

Fence = Callable[[], None]
"""Raises when the run that writes has lost its lease."""

Method = TypeVar("Method", bound=Callable[..., Any])
STRATEGIES = ("keep_latest", "delete")


def no_fence() -> None:
    """Let everything pass: for reading, and for graphs that no run drives."""


class Fenced(BaseCheckpointSaver[Any]):
    """A stale worker writes no checkpoint.

    Every write asks the fence first, which costs nothing. Where there is a database, the write then proves the lease in
    the transaction that writes: a worker that slept past its lease, and does not know it yet, is refused there.
    """

    fence: Fence = staticmethod(no_fence)
    lease: Lease | None = None

    def guarded(self, fence: Fence = no_fence, lease: Lease | None = None) -> Self:
        """Make another saver on the same tables, for one run."""
        saver = copy(self)
        saver.fence, saver.lease = fence, lease
        return saver

    async def drop_runs(self, thread_id: str, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote in a thread: its newest checkpoint is the one before."""
        raise NotImplementedError

    async def drop_namespaces(self, thread_id: str) -> None:
        """Drop the checkpoints of a thread's sub-graphs."""
        raise NotImplementedError


def signed(method: Method) -> Method:
    """Keep a method's signature at hand: LangGraph reads that of `aput_writes` whenever a graph starts."""
    method.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    return method


def writer(config: RunnableConfig) -> str | None:
    """Tell the run that writes: a resumed run writes into checkpoints of the run before."""
    run_id = (config.get("metadata") or {}).get("run_id")
    return None if run_id is None else str(run_id)


def lost() -> LostLease:
    """Make the refusal."""
    return LostLease(TAKEN)


def checked(thread_ids: Sequence[str], strategy: str) -> list[str]:
    """Check what `aprune` was asked for.

    Raises:
        TypeError: One id instead of a list of them.
        ValueError: No such strategy.
    """
    if isinstance(thread_ids, str):
        raise TypeError("thread_ids must be a sequence of thread ids, not a str")
    if strategy not in STRATEGIES:
        raise ValueError(f"Unknown prune strategy: {strategy!r}; use one of {', '.join(STRATEGIES)}")
    return [str(thread_id) for thread_id in thread_ids]


def is_delta(metadata: Any) -> bool:
    """A channel of the thread is kept as differences: its newest checkpoint needs the older ones."""
    return "counters_since_delta_snapshot" in metadata or "delta_writes_versioned" in metadata
