"""What each request of the Agent Server API does, in the words of `@auth.on`, and what a rule gets to see of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

Json = dict[str, Any]
Look = Literal["one", "many", "none"]

_RUN_FIELDS: Final = ("assistant_id", "metadata", "multitask_strategy", "if_not_exists", "after_seconds")
_RUN_COMMANDS: Final = frozenset({"run.start", "input.respond"})


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What a request does.

    Attributes:
        resource: Of `@auth.on`.
        action: Of `@auth.on`.
        look: Whether it is about one thing, about those that a search finds, or about something that has no metadata.
        ids: The ids in its path.
    """

    resource: str
    action: str
    look: Look = "one"
    ids: Mapping[str, str] = field(default_factory=dict)


_DEEDS: Final[tuple[tuple[str, str, str, str, Look], ...]] = (
    ("POST", "/assistants", "assistants", "create", "none"),
    ("POST", "/assistants/(search|count)", "assistants", "search", "many"),
    ("POST", "/assistants/(?P<assistant_id>[^/]+)/versions", "assistants", "read", "one"),
    ("POST", "/assistants/(?P<assistant_id>[^/]+)/latest", "assistants", "update", "one"),
    ("GET", "/assistants/(?P<assistant_id>[^/]+)(/.*)?", "assistants", "read", "one"),
    ("PATCH", "/assistants/(?P<assistant_id>[^/]+)", "assistants", "update", "one"),
    ("DELETE", "/assistants/(?P<assistant_id>[^/]+)", "assistants", "delete", "one"),
    ("POST", "/threads", "threads", "create", "one"),
    ("POST", "/threads/(search|count)", "threads", "search", "many"),
    ("POST", "/threads/prune", "threads", "delete", "one"),
    ("POST", "/threads/(?P<thread_id>[^/]+)/runs/crons", "crons", "create", "none"),
    ("POST", "/threads/(?P<thread_id>[^/]+)/runs(/stream|/wait)?", "threads", "create_run", "one"),
    ("POST", "/threads/(?P<thread_id>[^/]+)/runs/(?P<run_id>[^/]+)/cancel", "threads", "update", "one"),
    ("DELETE", "/threads/(?P<thread_id>[^/]+)/runs/(?P<run_id>[^/]+)", "threads", "delete", "one"),
    ("POST", "/threads/(?P<thread_id>[^/]+)/(history|state/checkpoint|stream/events)", "threads", "read", "one"),
    ("POST", "/threads/(?P<thread_id>[^/]+)/state", "threads", "update", "one"),
    ("POST", "/threads/(?P<thread_id>[^/]+)/copy", "threads", "read", "one"),
    ("POST", "/threads/(?P<thread_id>[^/]+)/commands", "threads", "command", "one"),
    ("GET", "/threads/(?P<thread_id>[^/]+)/runs/(?P<run_id>[^/]+)(/.*)?", "threads", "read", "one"),
    ("GET", "/threads/(?P<thread_id>[^/]+)(/.*)?", "threads", "read", "one"),
    ("PATCH", "/threads/(?P<thread_id>[^/]+)", "threads", "update", "one"),
    ("DELETE", "/threads/(?P<thread_id>[^/]+)", "threads", "delete", "one"),
    ("POST", "/runs/crons", "crons", "create", "none"),
    ("POST", "/runs/crons/(search|count)", "crons", "search", "many"),
    ("GET", "/runs/crons/(?P<cron_id>[^/]+)", "crons", "read", "one"),
    ("PATCH", "/runs/crons/(?P<cron_id>[^/]+)", "crons", "update", "one"),
    ("DELETE", "/runs/crons/(?P<cron_id>[^/]+)", "crons", "delete", "one"),
    ("POST", "/runs/cancel", "threads", "update", "one"),
    ("POST", "/runs(/stream|/wait|/batch)?", "threads", "create_run", "one"),
    ("PUT", "/store/items", "store", "put", "none"),
    ("GET", "/store/items", "store", "get", "none"),
    ("DELETE", "/store/items", "store", "delete", "none"),
    ("POST", "/store/items/search", "store", "search", "none"),
    ("POST", "/store/namespaces", "store", "list_namespaces", "none"),
)
_PATTERNS: Final = tuple((method, re.compile(path), (of, do, look)) for method, path, of, do, look in _DEEDS)


def deed_of(method: str, path: str, body: Any) -> Deed | None:
    """Tell what a request does; None where no rule is asked."""
    for known, pattern, (resource, action, look) in _PATTERNS:
        if known == method and (match := pattern.fullmatch(path.rstrip("/"))):
            done = command_action(body) if action == "command" else action
            return Deed(resource=resource, action=done, look=look, ids=match.groupdict())
    return None


def command_action(command: Any) -> str:
    """Tell whether a command of the thread protocol makes a run or only looks."""
    runs = isinstance(command, dict) and command.get("method") in _RUN_COMMANDS
    return "create_run" if runs else "read"


def value_of(deed: Deed, sent: Mapping[str, Any]) -> Json:
    """Make what a rule sees, and may change: what was sent, with the ids of the path."""
    ids: Json = {name: _uuid(value) for name, value in deed.ids.items() if value is not None}
    if deed.action == "create_run":
        rest = {name: value for name, value in sent.items() if name not in _RUN_FIELDS}
        run: Json = {name: sent[name] for name in _RUN_FIELDS if name in sent}
        return {"thread_id": None, "run_id": None, **run, **ids, "kwargs": rest}
    if deed.resource == "store":
        return {**sent, "namespace": _namespace(sent)}
    if deed.resource == "crons" and deed.action in {"create", "update"}:
        own = {"schedule", "timezone", "end_time", "enabled", "metadata", "on_run_completed", "thread_id"}
        payload = {name: value for name, value in sent.items() if name not in own}
        return {**{n: v for n, v in sent.items() if n in own}, **ids, "payload": payload}
    return {**sent, **ids}


def sent_of(deed: Deed, value: Json) -> Json:
    """Undo `value_of`: the body to be served, as the rule left it."""
    if deed.resource == "store":
        return _store_body(deed.action, value)
    if deed.action == "create_run":
        run = {name: each for name, each in value.items() if name not in {"thread_id", "run_id", "kwargs"}}
        return {**_dict(value.get("kwargs")), **run}
    rest = {name: each for name, each in value.items() if name not in deed.ids}
    return {**_dict(rest.pop("payload", None)), **rest} if deed.resource == "crons" else rest


def _store_body(action: str, value: Json) -> Json:
    named = {"search": "namespace_prefix", "list_namespaces": "prefix"}.get(action, "namespace")
    rest = {name: each for name, each in value.items() if name != "namespace"}
    namespace = value.get("namespace")
    return {**rest, named: list(namespace) if namespace else []}


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _namespace(sent: Mapping[str, Any]) -> tuple[str, ...]:
    for name in ("namespace", "namespace_prefix", "prefix"):
        if isinstance(sent.get(name), list | tuple):
            return tuple(sent[name])
    return ()


def _uuid(text: str) -> UUID | str:
    try:
        return UUID(text)
    except ValueError:
        return text
