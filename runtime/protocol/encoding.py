"""From records of the log to events on the wire. Stateless: the same record is always the same events.

A run of the protocol logs its events itself. Of other runs on the same thread (REST runs, turns) clients see the
lifecycle, what their graphs ask, and those streamed parts whose form is the same here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...store.records import LoggedEvent, NewEvent
from ...store.texts import dump_json
from .feed import last_word
from .words import RECORD, event, lifecycle, requested

Event = dict[str, Any]
_MEMO: Final = "protocol"
SAME_FORM: Final = frozenset({"values", "updates", "custom"})
"""Modes of a REST stream that are told as they are."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event, and its JSON text, made once for everybody who gets it."""

    event: Event
    text: str


def encoded(record: LoggedEvent) -> Sequence[Encoded]:
    """Make the events of one record, with their texts."""
    known: Sequence[Encoded] | None = record.memo.get(_MEMO)
    if known is None:
        known = record.memo[_MEMO] = [Encoded(event, _text(record, event)) for event in encode(record)]
    return known


def _text(record: LoggedEvent, event: Event) -> str:
    """A record of the protocol was made text already when it was logged: only its position is put in front."""
    logged = record.text if record.type == RECORD else None
    if logged is None:
        return dump_json(event)
    return f'{{"type":"event","event_id":"{event["event_id"]}","seq":{record.seq},{logged[1:]}'


def encode(record: LoggedEvent) -> list[Event]:
    """Make the events of one record, in order; none for what clients of the protocol do not see."""
    if record.type == RECORD:
        return [_wired(record, record.data, 0)]
    told = _told(record)
    return [_wired(record, each.data, index) for index, each in enumerate(told)]


def _wired(record: LoggedEvent, data: Mapping[str, Any], index: int) -> Event:
    position = f"{record.seq}-{index}"
    return {
        "type": "event",
        "event_id": position,
        "seq": record.seq,
        "method": data["method"],
        "params": data["params"],
    }


def _told(record: LoggedEvent) -> list[NewEvent]:
    data, at_ms = record.data, int(record.at.timestamp() * 1000)
    if record.type == "part" and data["event"] in SAME_FORM:
        return [event(data["event"], data.get("ns") or (), _state(data["data"]), at_ms=at_ms)]
    if record.type not in {"run.started", "run.finished"} or data.get("protocol"):
        return []
    name = str(data.get("graph_id") or "agent")
    if not record.attempt:  # dropped before it began: whoever waits for it, and for nothing else, is told
        unbegun = {"message": "The run was cancelled before it began"}
        return [last_word(name, data["status"], unbegun)] if data.get("unbegun") else []
    if record.type == "run.started":
        told = [lifecycle("running", name)]
    else:
        asked = [
            each for each in data.get("interrupts", ()) if "value" in each
        ]  # a turn's approvals have their own API
        questions = [requested(each.get("ns") or (), each["id"], each["value"]) for each in asked]
        told = [*questions, last_word(name, data["status"], data.get("error"), asks=bool(questions))]
    for each in told:
        each.data["params"]["timestamp"] = at_ms
    return told


def _state(data: Any) -> Any:
    return {k: v for k, v in data.items() if k != "__interrupt__"} if isinstance(data, dict) else data
