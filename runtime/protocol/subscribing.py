"""Which events a client asked for: channels, namespaces, depth. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...core.errors import BadRequest

CHANNELS: Final = (
    "values",
    "updates",
    "messages",
    "tools",
    "lifecycle",
    "input",
    "tasks",
    "custom",
    "checkpoints",
)
WATCHING: Final = frozenset({"lifecycle", "input"})
_CUSTOM: Final = "custom:"
_MOST: Final = 256
"""Channels, and namespaces, that one subscription may name."""


def channel_of(event: Mapping[str, Any]) -> str:
    """Name the channel of an event; a custom event that has a name is in a channel of its own."""
    method: str = event["method"]
    if method == "input.requested":
        return "input"
    if method == "custom":
        data = event["params"]["data"]
        name = data.get("name") if isinstance(data, Mapping) else None
        return f"{_CUSTOM}{name}" if name else method
    return method


@dataclass(frozen=True)
class Subscription:
    """A filter of events.

    Attributes:
        channels: Names of `CHANNELS`, or `custom:<name>`.
        namespaces: Prefixes, one of which must match; none: everything matches. A segment without a task id matches
            every task.
        depth: How far below its prefix an event may be; None: any.
        since: The `seq` after which events are wanted; None: all that are kept.
    """

    channels: frozenset[str]
    namespaces: tuple[tuple[str, ...], ...] = ()
    depth: int | None = None
    since: int | None = None

    def wants(self, event: Mapping[str, Any]) -> bool:
        """Whether this event was asked for."""
        channel = channel_of(event)
        if channel not in self.channels and not (channel.startswith(_CUSTOM) and "custom" in self.channels):
            return False
        namespace = event["params"]["namespace"]
        return not self.namespaces or any(self._within(namespace, prefix) for prefix in self.namespaces)

    @property
    def only_watches(self) -> bool:
        """Whether it is told how runs stand, and nothing of what they say."""
        return self.channels <= WATCHING

    def _within(self, namespace: Sequence[str], prefix: Sequence[str]) -> bool:
        below = len(namespace) - len(prefix)
        if below < 0 or (self.depth is not None and below > self.depth):
            return False
        return all(_same(segment, wanted) for segment, wanted in zip(namespace, prefix, strict=False))


def _same(segment: str, wanted: str) -> bool:
    return segment == wanted or (":" not in wanted and segment.partition(":")[0] == wanted)


def subscription_of(asked: Any) -> Subscription:
    """Read what a client sent.

    Raises:
        BadRequest: It names no channel, one that does not exist, or has another form than it should.
    """
    if not isinstance(asked, Mapping):
        raise BadRequest("The body must be an object with a non-empty array `channels`.")
    return Subscription(
        channels=_channels(asked.get("channels")),
        namespaces=_namespaces(asked.get("namespaces")),
        depth=_number(asked, "depth"),
        since=_number(asked, "since"),
    )


def _channels(asked: Any) -> frozenset[str]:
    if not isinstance(asked, list) or not asked:
        raise BadRequest("channels is required and must be a non-empty array")
    unknown = [name for name in asked if not _is_channel(name)]
    if unknown or len(asked) > _MOST:
        raise BadRequest(
            f"channels contains unsupported entries: {', '.join(str(name)[:64] for name in unknown[:8])}. "
            f"Allowed: {', '.join(CHANNELS)}, or any `custom:<name>`; at most {_MOST}."
        )
    return frozenset(asked)


def _is_channel(name: Any) -> bool:
    return isinstance(name, str) and (name in CHANNELS or (name.startswith(_CUSTOM) and len(name) > len(_CUSTOM)))


def _namespaces(asked: Any) -> tuple[tuple[str, ...], ...]:
    if asked is None:
        return ()
    if not (isinstance(asked, list) and len(asked) <= _MOST and all(_is_path(path) for path in asked)):
        raise BadRequest("namespaces must be an array of arrays of strings")
    return tuple(tuple(path) for path in asked)


def _is_path(path: Any) -> bool:
    return isinstance(path, list) and all(isinstance(segment, str) for segment in path)


def _number(asked: Mapping[str, Any], name: str) -> int | None:
    value = asked.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise BadRequest(f"{name} must be a number from 0")
    return value
