"""Functions that make a graph: which of their arguments is which, and how each kind is called."""

from __future__ import annotations

import inspect
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import is_dataclass
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.store.base import BaseStore
from langgraph_sdk.auth.types import BaseUser
from langgraph_sdk.runtime import AccessContext, ServerRuntime, _ExecutionRuntime, _ReadRuntime
from pydantic import BaseModel

from ...core.errors import ConfigError
from .contexts import fitting

Wanted = Literal["config", "runtime"]

_NAMED: Mapping[str, Wanted] = {"config": "config", "runtime": "runtime"}
_ANNOTATED: Mapping[str, Wanted] = {
    "RunnableConfig": "config",
    "ServerRuntime": "runtime",
    "_ExecutionRuntime": "runtime",
    "_ReadRuntime": "runtime",
}


class Factory:
    """A function that makes a graph for one use.

    Args:
        graph_id: Whose factory this is, for errors.
        function: Sync or async, or a context manager of either kind (a bare generator counts as one).

    Raises:
        ConfigError: It asks for an argument that the server has not.
    """

    def __init__(self, graph_id: str, function: Callable[..., Any]) -> None:
        self._function = _entered_by_generator(function)
        self._graph_id = graph_id
        self._wanted, hint = self._arguments(function)
        self._context_type = _context_type(hint)

    def _arguments(self, function: Callable[..., Any]) -> tuple[dict[str, Wanted], Any]:
        hints, wanted, runtime_hint = _hints(function), dict[str, Wanted](), None
        known = inspect.signature(function).parameters.values()
        taken = [p for p in known if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
        for parameter in taken:
            hint = hints.get(parameter.name, parameter.annotation)
            which = _which(parameter.name, hint, alone=len(taken) == 1)
            if which is not None:
                wanted[parameter.name] = which
                runtime_hint = hint if which == "runtime" else runtime_hint
            elif parameter.default is parameter.empty:
                raise ConfigError(
                    f"The factory of the graph {self._graph_id!r} wants {parameter.name!r}: "
                    "a factory may take a RunnableConfig (config) and a ServerRuntime (runtime)."
                )
        return wanted, runtime_hint

    def runtime(
        self, access: AccessContext, *, user: BaseUser | None, store: BaseStore, context: Any
    ) -> ServerRuntime[Any]:
        """Tell the factory why it is called, for whom, and with what."""
        if access != "threads.create_run":
            return _ReadRuntime(access_context=access, user=user, store=store)
        typed = _typed(self._context_type, context)
        return _ExecutionRuntime(access_context=access, user=user, store=store, context=typed)

    @asynccontextmanager
    async def made(self, config: RunnableConfig, runtime: ServerRuntime[Any]) -> AsyncIterator[Any]:
        """Make the graph; what the factory opened stays open until the block ends.

        The factory gets a copy of the config: what it adds to its own does not travel into the run.
        """
        given: Mapping[Wanted, Any] = {"config": _copied(config), "runtime": runtime}
        # All are positional-or-keyword or keyword-only, but for the few written with a slash.
        arguments = {name: given[which] for name, which in self._wanted.items()}
        made = self._called(arguments)
        if isinstance(made, Awaitable):
            made = await made
        if isinstance(made, AbstractAsyncContextManager):
            async with made as graph:
                yield graph
        elif isinstance(made, AbstractContextManager):
            with made as graph:
                yield graph
        else:
            yield made

    def _called(self, arguments: Mapping[str, Any]) -> Any:
        bound = inspect.signature(self._function).bind_partial()
        bound.arguments.update(arguments)
        return self._function(*bound.args, **bound.kwargs)


def _entered_by_generator(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):
        return asynccontextmanager(function)
    if inspect.isgeneratorfunction(function):
        return contextmanager(function)
    return function


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError):  # named for a type checker only: the text must do
        return {}


def _which(name: str, hint: Any, *, alone: bool) -> Wanted | None:
    """Tell what an argument is: by its annotation, else by its name; a lone one without either is the config."""
    text = hint if isinstance(hint, str) else f"{getattr(hint, '__name__', '')} {hint}"
    for word, wanted in _ANNOTATED.items():
        if word in text:
            return wanted
    if name in _NAMED:
        return _NAMED[name]
    return "config" if alone and (hint is inspect.Parameter.empty or hint is dict) else None


def _context_type(hint: Any) -> Any:
    """The type in `ServerRuntime[Type]`; None where none was named or it cannot be known."""
    arguments = typing.get_args(hint)
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], type) else None


def _typed(kind: Any, context: Any) -> Any:
    if not isinstance(context, Mapping):
        return context
    if isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, BaseModel)):
        return kind(**fitting(kind, context))
    return context


def _copied(config: RunnableConfig) -> RunnableConfig:
    """Copy a config as deep as a factory is likely to write."""
    copied = config.copy()
    copied["configurable"] = dict(config.get("configurable") or {})
    copied["metadata"] = dict(config.get("metadata") or {})
    return copied
